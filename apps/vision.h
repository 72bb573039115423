/* What the program needs of OpenCV, as plain C: detection, video, windows. vision_opencv.cpp does it, in a library that
 * vision.c loads when it is first needed; without it calls fail with a sentence that says why. Pictures are mn_image, RGB. */
#ifndef MIEN_VISION_H
#define MIEN_VISION_H

#include "apps/faces.h"
#include "data/data.h"
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Loads OpenCV. NULL when it is there; else a sentence that says why not and what to do. */
const char *vision_missing(void);

/* ---- faces ---- */

typedef struct vision_detector vision_detector;
/* `yunet`: an .onnx file of the YuNet detector, or NULL for a Haar cascade: `cascade`, or $MIEN_CASCADE, or
 * the one of Debian's opencv-data. NULL on failure. */
vision_detector *vision_detector_open(const char *cascade, const char *yunet, mn_error *err);
void vision_detector_close(vision_detector *d);
/* At most `max` faces, the surest first, merged. Faces narrower than min_side pixels are not looked for. */
mn_status vision_detect(vision_detector *d, const mn_image *im, int min_side, face_box *box, int max, int *n, mn_error *err);
/* Looks for the eyes in a box that has none yet (a Haar cascade's), by another cascade of opencv-data; box->has_eyes says
 * whether two were found where eyes can be. Fails when the cascade is not there. */
mn_status vision_find_eyes(vision_detector *d, const mn_image *im, face_box *box, mn_error *err);

/* ---- video ---- */

typedef struct vision_video vision_video;
typedef struct vision_video_info {
    int width, height;
    double fps;     /* 25 when the source does not say */
    int64_t frames; /* -1: not known */
} vision_video_info;
vision_video *vision_video_open(const char *path, vision_video_info *info, mn_error *err);
/* "0", "1", ... or a path such as /dev/video0. */
vision_video *vision_camera_open(const char *which, vision_video_info *info, mn_error *err);
void vision_video_close(vision_video *v);
/* The next frame; *end at the end. With skip the frame is passed over without being decoded into *im. */
mn_status vision_video_read(vision_video *v, bool skip, mn_image *im, bool *end, mn_error *err);
/* Tries the first `most` camera numbers and prints those that give a picture; returns how many. */
int vision_list_cameras(FILE *out, int most);

typedef struct vision_writer vision_writer;
/* By extension: .mp4, .mkv (MPEG-4), .avi (Motion JPEG). */
vision_writer *vision_writer_open(const char *path, int width, int height, double fps, mn_error *err);
mn_status vision_writer_write(vision_writer *w, const mn_image *im, mn_error *err);
void vision_writer_close(vision_writer *w);

/* ---- a window ---- */

/* Fails with a sentence where there is no screen. */
mn_status vision_check_screen(mn_error *err);
/* Shows a picture for at least wait_ms milliseconds (0: until a key); *quit is set by q, Escape or closing
 * it. */
mn_status vision_show(const char *title, const mn_image *im, int wait_ms, bool *quit, mn_error *err);

/* The functions above as libmien_vision.so exports them, under the name vision_opencv. */
#define CALL(name) __typeof__(&vision_##name) name;
typedef struct vision_calls {
    CALL(detector_open)
    CALL(detector_close) CALL(detect) CALL(find_eyes) CALL(video_open) CALL(camera_open) CALL(video_close) CALL(video_read)
        CALL(list_cameras) CALL(writer_open) CALL(writer_write) CALL(writer_close) CALL(check_screen) CALL(show)
} vision_calls;
#undef CALL

#ifdef __cplusplus
}
#endif
#endif
