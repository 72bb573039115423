/* Everything that is said about a model's answers: metrics, intervals, calibration, groups, copies, the
 * baseline. One computation for training's validation rows and for mien eval. */
#ifndef MIEN_SCORE_H
#define MIEN_SCORE_H

#include "apps/intervals.h"
#include "apps/metrics.h"
#include "data/data.h"
#include <stdio.h>
#if MN_HAVE_JSON
#include <jansson.h>
#endif

/* ---- what is known of the pictures ---- */

typedef enum score_copy { COPY_NONE = 0, COPY_IDENTICAL, COPY_NEAR } score_copy;

typedef struct score_rows {
    int64_t n;
    int64_t *cluster, clusters; /* pictures of one person, or copies, share a number */
    bool *subject;              /* of each picture: its cluster is a person */
    uint8_t *copy;              /* score_copy: has it a copy among the training rows? NULL: not looked for */
    int n_traits;
    char trait_name[MN_MAX_TRAITS + MN_MAX_HEADS][32];
    const char **trait; /* (n, n_traits); NULL: not known; the data set's strings */
} score_rows;
/* The traits are the data set's own and its labels ("gender", for the scores of emotion). Free with
 * score_rows_free. */
mn_status score_rows_create(score_rows *r, const mn_dataset *rows, mn_error *err);
void score_rows_free(score_rows *r);

/* ---- the scores of one head ---- */

typedef struct score_group {
    const char *value;
    metrics m;
} score_group;

typedef struct score_trait {
    const char *name;
    int n;
    score_group *group; /* in rising order */
} score_trait;

typedef struct score {
    metrics m;              /* accuracy_lo and _hi are `accuracy`'s */
    int64_t subjects;       /* people with a labelled picture; 0: not known */
    interval accuracy;      /* by bootstrap over them where they are known, else Wilson's */
    interval macro_f1;      /* by bootstrap over clusters */
    mn_calibration applied; /* temperature that the probabilities have, threshold */
    int64_t answered, answered_right;
    double risk_area; /* AURC */
    metrics_bin bin[METRICS_BINS];
    int n_traits;
    score_trait trait[MN_MAX_TRAITS + MN_MAX_HEADS];
    bool copies_known;
    int64_t identical, near; /* labelled pictures that copy a training picture */
    metrics without_copies;
    bool has_baseline;
    metrics baseline; /* of a logistic regression on the same rows */
} score;

/* p (n, classes) and label (n) are of rows r. `head`: its name, whose own labels are no trait. Free with
 * score_free. */
void score_compute(score *s, const score_rows *r, const char *head, const float *p, const int32_t *label, int classes,
                   mn_calibration applied);
/* baseline (n, classes): probabilities of the same rows. */
void score_set_baseline(score *s, const float *baseline, const int32_t *label, int64_t n);
void score_free(score *s);

/* What report_print says and more; at most 80 columns. */
void score_print(FILE *out, const mn_head *head, const score *s);
#if MN_HAVE_JSON
/* report_json's object and more; docs/training.md lists it. */
json_t *score_json(const mn_head *head, const score *s);
#endif

#endif
