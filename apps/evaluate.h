/* Running a model over a data set. */
#ifndef MIEN_EVALUATE_H
#define MIEN_EVALUATE_H

#include "apps/metrics.h"
#include "data/data.h"

/* Can the model label pictures? One input, the picture that its preprocessing makes, and one to MN_MAX_HEADS outputs, each a
 * number for every class of the head it belongs to. `path` names the model in the sentence of the failure. */
mn_status evaluation_fits(const mn_model *m, const mn_model_info *info, const char *path, mn_error *err);

/* The class of that name; -1: the head has none. */
int head_class(const mn_head *h, const char *name);

/* Where a model's heads are in a data set, and which class of the model each of the data's classes is. */
typedef struct head_map {
    int n_heads;
    int at[MN_MAX_HEADS];            /* the data's head; -1: the data has none for this one */
    int32_t *class_of[MN_MAX_HEADS]; /* by the data's class */
} head_map;
/* Heads are matched by name, or, where each side has one head, by their class names alone. Fails when no head
 * matches, or when the data has a class that the model does not know. Free with head_map_free. */
mn_status head_map_create(head_map *m, const mn_head *head, int n_heads, const mn_dataset *d, mn_error *err);
void head_map_free(head_map *m);

/* Probabilities and labels of every sample for every head of the model. */
typedef struct evaluation {
    int64_t n;
    int n_heads, classes[MN_MAX_HEADS];
    float *p[MN_MAX_HEADS];           /* (n, classes) */
    int32_t *label[MN_MAX_HEADS];     /* n, -1: none */
    double temperature[MN_MAX_HEADS]; /* probabilities are softmax(logits / temperature); 0: 1. Set it before running */
    bool flip;                        /* each picture twice, as it is and mirrored; the mean of their probabilities */
} evaluation;
void evaluation_create(evaluation *e, const mn_model *m, int64_t n);
void evaluation_free(evaluation *e);

/* Fills e from one pass of `l`, which must not shuffle, over e->n samples. `what` names the progress bar;
 * NULL: none. Stops with MN_ERR_ARG and the sentence "stopped" when *stop becomes non-zero (NULL: never). */
mn_status evaluation_run(evaluation *e, mn_model *m, mn_loader *l, const head_map *map, const char *what,
                         const volatile int *stop, mn_error *err);
void evaluation_metrics(const evaluation *e, int head, metrics *m);

#endif
