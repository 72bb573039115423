/* The first steps of a pipeline: from a photograph to its largest face, cut out as the network wants it. One function
 * for `mien prepare`, and for training and evaluation on photographs; predict, which wants all faces, uses the same parts. */
#ifndef MIEN_CROP_H
#define MIEN_CROP_H
#include "apps/vision.h"

/* A picture whose shorter side is below this many pixels is taken for a crop: detectors do not find what fills it. */
#define CROP_SMALLEST 80

typedef struct crop_report {
    bool small;   /* left whole: smaller than CROP_SMALLEST */
    bool eyes;    /* they were found; asked for with `align` only */
    int faces;    /* found in the picture */
    face_box box; /* of the face that was cut out, and what was cut */
    face_box cut;
} crop_report;

/* Detectors for threads: each call borrows one. */
typedef struct cropper cropper;
/* `cascade`, `yunet`: as for vision_detector_open. Opens a detector at once, to fail early. */
cropper *cropper_open(const mn_preprocess *p, const char *cascade, const char *yunet, mn_error *err);
void cropper_close(cropper *c);
/* The largest face of `im`; the whole picture where none is found or the picture is small. Thread-safe. */
mn_status cropper_cut(cropper *c, const mn_image *im, mn_image *out, crop_report *report, mn_error *err);
/* How many pictures it has left whole because no face was found. */
int64_t cropper_missed(const cropper *c);

/* What is in DIR/pipeline.txt, which `mien prepare` wrote: pictures below DIR have passed detect, margin and align.
 * *found: there is one. */
mn_status crop_pipeline_of(const char *dir, mn_preprocess *p, bool *found, mn_error *err);

#endif
