/* Simple classifiers on features: how much a layer knows, and what a network must beat. */
#ifndef MIEN_PROBE_H
#define MIEN_PROBE_H

#include "data/data.h"

/* n rows of `width` numbers each; label -1: none. */
typedef struct probe_rows {
    int64_t n;
    int width, classes;
    const float *x;
    const int32_t *label;
} probe_rows;

typedef enum probe_kind { PROBE_LOGREG = 0, PROBE_KNN } probe_kind;
extern const char *const probe_names[2];

/* Learns from the rows train[0..n_train-1] and fills p (n_rows, classes) with probabilities for rows[0..n_rows-1].
 * Rows without a label teach nothing. Features are standardised by the training rows' mean and deviation.
 * logreg: softmax regression, Adam, weight decay 0.01, a fixed number of steps. knn: the votes of the 5 training
 * rows with the smallest angle. Both are functions of the rows and `seed`. */
mn_status probe_run(probe_kind kind, const probe_rows *f, const int64_t *train, int64_t n_train, const int64_t *rows,
                    int64_t n_rows, int threads, uint64_t seed, float *p, mn_error *err);

#endif
