/* vision.h without OpenCV: every call says what is missing. */
#include "apps/vision.h"
#if !MN_HAVE_OPENCV

static mn_status missing(const char *what, mn_error *err) {
    return mn_fail(err, MN_ERR_UNSUPPORTED,
                   "%s: this mien was built without OpenCV; hint: install libopencv-dev and "
                   "opencv-data and build again, or give pictures of single faces with --whole",
                   what);
}

bool vision_available(void) { return false; }

vision_detector *vision_detector_open(const char *cascade, const char *yunet, mn_error *err) {
    (void)cascade, (void)yunet;
    return missing("faces cannot be looked for", err), NULL;
}
void vision_detector_close(vision_detector *d) { (void)d; }
mn_status vision_detect(vision_detector *d, const mn_image *im, int min_side, face_box *box, int max, int *n, mn_error *err) {
    (void)d, (void)im, (void)min_side, (void)box, (void)max;
    *n = 0;
    return missing("faces cannot be looked for", err);
}
mn_status vision_find_eyes(vision_detector *d, const mn_image *im, face_box *box, mn_error *err) {
    (void)d, (void)im, (void)box;
    return missing("eyes cannot be looked for", err);
}

vision_video *vision_video_open(const char *path, vision_video_info *info, mn_error *err) {
    (void)info;
    return missing(path, err), NULL;
}
vision_video *vision_camera_open(const char *which, vision_video_info *info, mn_error *err) {
    (void)which, (void)info;
    return missing("cameras cannot be opened", err), NULL;
}
void vision_video_close(vision_video *v) { (void)v; }
mn_status vision_video_read(vision_video *v, bool skip, mn_image *im, bool *end, mn_error *err) {
    (void)v, (void)skip, (void)im;
    *end = true;
    return missing("videos cannot be read", err);
}
int vision_list_cameras(FILE *out, int most) {
    (void)out, (void)most;
    return 0;
}

vision_writer *vision_writer_open(const char *path, int width, int height, double fps, mn_error *err) {
    (void)width, (void)height, (void)fps;
    return missing(path, err), NULL;
}
mn_status vision_writer_write(vision_writer *w, const mn_image *im, mn_error *err) {
    (void)w, (void)im;
    return missing("videos cannot be written", err);
}
void vision_writer_close(vision_writer *w) { (void)w; }

mn_status vision_check_screen(mn_error *err) { return missing("a window cannot be shown", err); }
mn_status vision_show(const char *title, const mn_image *im, int wait_ms, bool *quit, mn_error *err) {
    (void)title, (void)im, (void)wait_ms;
    *quit = true;
    return missing("a window cannot be shown", err);
}

#endif
