/* What a network must beat: a logistic regression on the pixels. */
#ifndef MIEN_BASELINE_H
#define MIEN_BASELINE_H

#include "data/data.h"

/* Learns the labels of head `head` from the pictures of `train` and predicts those of `rows`, both made grey,
 * BASELINE_SIDE pixels wide and high, each less its mean and divided by its deviation. class_of[k]: the
 * model's class for the data's class k. p (rows->length, classes): probabilities. */
#define BASELINE_SIDE 32
mn_status baseline_run(const mn_dataset *train, const mn_dataset *rows, int head, const int32_t *class_of, int classes,
                       int threads, float *p, mn_error *err);
/* Is it done in seconds, in memory that a network needs as well? */
bool baseline_is_cheap(const mn_dataset *train);

#endif
