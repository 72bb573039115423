/* The work of `mien predict`: find faces, crop, run the networks in batches, report, annotate. */
#ifndef MIEN_PREDICT_H
#define MIEN_PREDICT_H
#include "apps/annotate.h"
#include "apps/source.h"
#include "apps/stages.h"
#include <signal.h>

#define PREDICT_MAX_FACES 64 /* in one picture */

typedef struct predict_opt {
    findings_format format;
    const char *annotate; /* file or folder; NULL: none */
    annotate_palette palette;
    bool show, whole, bench, always; /* whole: every picture is one face; always: never "unsure" */
    face_box *face;                  /* given faces instead of detected ones */
    int faces;
    int min_face; /* pixels; 0: by the picture's size */
    double margin, smooth;
    bool align;                /* crops are turned to level eyes, as the models were trained */
    int64_t every, max_frames; /* of a stream; max_frames 0: all */
} predict_opt;

typedef struct predict_job {
    predict_opt opt;
    predictor predictor;
    vision_detector *detector; /* NULL with whole or given faces */
    stages time;
    bool annotate_folder;
    int64_t done, faces;          /* pictures and frames; faces in them */
    int64_t failed, failed_named; /* pictures that could not be read; those that were inputs themselves */
    bool quit;                    /* the window was closed */
} predict_job;

/* All pictures among the items, in batches. A picture that cannot be read is reported and counted. An error
 * means that it is of no use to go on. */
mn_status predict_pictures(predict_job *j, const source_list *l, mn_error *err);
/* One video, camera or test pattern. */
mn_status predict_stream(predict_job *j, const source_item *item, mn_error *err);
/* Set by a signal handler: the stream ends as if the video did. */
extern volatile sig_atomic_t predict_stop;

#endif
