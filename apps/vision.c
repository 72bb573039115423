/* vision.h: finds libmien_vision.so, which vision_opencv.cpp becomes, and hands the calls on to it. OpenCV brings some 250
 * shared libraries, which take 60 MB and 0.2 s: only a run that looks for faces or reads a video loads them. */
#include "apps/vision.h"
#include "apps/app.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static const vision_calls *calls; /* NULL: not there, and here is why */
#if MN_HAVE_OPENCV
static char why[500] = "libmien_vision.so, mien's part that needs OpenCV, is neither beside the program nor in ../lib/mien; "
                       "hint: build or install again";
#else
static char why[500] = "this mien was built without OpenCV; hint: install libopencv-dev and opencv-data and build again";
#endif

static void load_from(const char *folder, const char *way) {
    char *path = app_text("%s%s/libmien_vision.so", folder, way);
    if (!calls && access(path, F_OK) == 0) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library) calls = dlsym(library, "vision_opencv");
        if (!calls) snprintf(why, sizeof why, "OpenCV cannot be loaded: %s", dlerror());
    }
    free(path);
}

/* Beside the program as built, or where `make install` puts it. */
static void load(void) {
    char *folder = MN_HAVE_OPENCV ? app_folder() : NULL;
    if (!folder) return;
    load_from(folder, "");
    load_from(folder, "/../lib/mien");
    free(folder);
}

const char *vision_missing(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return calls ? NULL : why;
}

static bool missing(const char *what, mn_error *err) {
    if (!vision_missing()) return false;
    mn_fail(err, MN_ERR_UNSUPPORTED, "%s: %s, or give pictures of single faces with --whole", what, why);
    return true;
}

/* What is opened was opened by OpenCV: only the calls that come first ask whether it is there. */

vision_detector *vision_detector_open(const char *cascade, const char *yunet, mn_error *err) {
    return missing("faces cannot be looked for", err) ? NULL : calls->detector_open(cascade, yunet, err);
}
void vision_detector_close(vision_detector *d) {
    if (d) calls->detector_close(d);
}
mn_status vision_detect(vision_detector *d, const mn_image *im, int min_side, face_box *box, int max, int *n, mn_error *err) {
    return calls->detect(d, im, min_side, box, max, n, err);
}
mn_status vision_find_eyes(vision_detector *d, const mn_image *im, face_box *box, mn_error *err) {
    return calls->find_eyes(d, im, box, err);
}

vision_video *vision_video_open(const char *path, vision_video_info *info, mn_error *err) {
    return missing(path, err) ? NULL : calls->video_open(path, info, err);
}
vision_video *vision_camera_open(const char *which, vision_video_info *info, mn_error *err) {
    return missing("cameras cannot be opened", err) ? NULL : calls->camera_open(which, info, err);
}
void vision_video_close(vision_video *v) {
    if (v) calls->video_close(v);
}
mn_status vision_video_read(vision_video *v, bool skip, mn_image *im, bool *end, mn_error *err) {
    return calls->video_read(v, skip, im, end, err);
}
int vision_list_cameras(FILE *out, int most) { return vision_missing() ? 0 : calls->list_cameras(out, most); }

vision_writer *vision_writer_open(const char *path, int width, int height, double fps, mn_error *err) {
    return missing(path, err) ? NULL : calls->writer_open(path, width, height, fps, err);
}
mn_status vision_writer_write(vision_writer *w, const mn_image *im, mn_error *err) { return calls->writer_write(w, im, err); }
void vision_writer_close(vision_writer *w) {
    if (w) calls->writer_close(w);
}

mn_status vision_check_screen(mn_error *err) {
    return missing("a window cannot be shown", err) ? err->status : calls->check_screen(err);
}
mn_status vision_show(const char *title, const mn_image *im, int wait_ms, bool *quit, mn_error *err) {
    *quit = true;
    return missing("a window cannot be shown", err) ? err->status : calls->show(title, im, wait_ms, quit, err);
}
