/* Scoring a model file on rows of data: what mien eval does for each of its models. */
#ifndef MIEN_EVAL_H
#define MIEN_EVAL_H

#include "apps/datasets.h"
#include "apps/device.h"
#include "apps/evaluate.h"
#include "apps/foreign.h"
#include "apps/latency.h"
#include "apps/score.h"
#if MN_HAVE_JSON

typedef enum eval_part {
    EVAL_DEFAULT = -1, /* test rows where there are any, else all */
    EVAL_TRAIN = MN_SPLIT_TRAIN,
    EVAL_VALID,
    EVAL_TEST,
    EVAL_ALL
} eval_part;
extern const char *const eval_part_names[4]; /* "train", "valid", "test", "all" */

typedef struct eval_options {
    const char *model, *against, *classes, *data[DATA_MAX_PARTS], *json, *predictions, *plot, *calibration, *card;
    int n_data, batch, threads, workers;
    device_choice device;
    size_t memory_limit; /* bytes; 0: none */
    bool flip, uncalibrated, near_copies, no_baseline;
    eval_part part;
    foreign foreign;
} eval_options;

typedef struct eval {
    const eval_options *o;
    const char *path; /* of the model file */
    mn_context *c;
    mn_model *m;
    mn_model_info info;
    mn_model_stats stats; /* of the network as it is in the file */
    json_t *record;       /* the training record, or NULL */
    bool trained_on;      /* on some of this data */
    data_rows data;
    head_map map;
    eval_part part;
    int64_t *index, n; /* rows of data.all, in its order */
    mn_dataset *rows;
    mn_loader *loader;
    evaluation answers;
    score_rows about;
    score score[MN_MAX_HEADS];
    latency speed;
    char *what; /* "test rows of fer2013:..." */
} eval;

/* Opens and runs the model at `path`. `like`: on the very rows of that one (NULL: on those that the options ask for),
 * without looking for copies or training a baseline again. Free with eval_close, whatever came out. */
mn_status eval_run(eval *e, const eval_options *o, const char *path, const eval *like, mn_error *err);
void eval_close(eval *e);

/* The files that the options name. `against`: the comparison, or NULL; taken over. */
mn_status eval_write(const eval *e, json_t *against, mn_error *err);
/* What of a test is kept in the model file; docs/training.md. */
json_t *eval_log_entry(const eval *e);
#endif
#endif
