/* Where predict's pictures come from: files, folders, videos, cameras, and a test pattern of rendered faces.
 */
#ifndef MIEN_SOURCE_H
#define MIEN_SOURCE_H
#include "apps/vision.h"

typedef enum source_kind { SOURCE_PICTURE = 0, SOURCE_VIDEO, SOURCE_CAMERA, SOURCE_TEST } source_kind;

typedef struct source_item {
    source_kind kind;
    char *path;  /* of the file; the camera's number or path; the number of frames of the test pattern */
    char *input; /* how reports call it: the path, or camera:0, test: as they were given */
    char *name;  /* relative to what was given: the name of an annotated copy */
    bool named;  /* given itself, not found in a folder */
} source_item;

typedef struct source_list {
    source_item *item;
    int n, capacity;
} source_list;

/* Adds what one INPUT stands for: camera:0, camera:/dev/video0, test:, test:FRAMES, a file, or a folder with
 * all PNG and JPEG files below it in the order of their names. Fails when it is not there or a folder holds
 * no picture. */
mn_status source_add(source_list *l, const char *input, mn_error *err);
void source_list_free(source_list *l);

/* A stream of frames. */
typedef struct source_stream {
    source_kind kind;
    vision_video *video;
    vision_video_info info;
    int64_t next;
    mn_image face;
} source_stream;
mn_status source_open(source_stream *s, const source_item *item, mn_error *err);
mn_status source_read(source_stream *s, bool skip, mn_image *im, bool *end, mn_error *err);
void source_close(source_stream *s);

#endif
