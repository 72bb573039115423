/* Teachers (Hinton, Vinyals and Dean 2015): what other models say about the training rows becomes a part of what the rows
 * are trained towards:
 *
 *   target = (1 - w) label + w mean over teachers of softmax(logits / T)
 *
 * and, where the recipe's augmentation mirrors pictures, the mean of that for the picture and its mirror image. */
#ifndef MIEN_TEACH_H
#define MIEN_TEACH_H
#include "apps/train.h"
#if MN_HAVE_JSON

/* The run's training rows with such targets, in r->taught: the same pictures and labels, and soft labels in every head that
 * a teacher has by name, for rows that are labelled in it. What is to be kept of it in model files goes to r->teachers. Fails
 * when a teacher's classes or its cut of faces differ from the run's, or when it is known to have seen rows that are held out
 * here. `rows`: the decoded training rows. */
mn_status teach_open(train_run *r, const mn_dataset *rows, mn_error *err);

/* p: n rows of K probabilities, added up over `teachers` of them; becomes the target. label: n, -1: none; soft: the row's
 * own probabilities, NULL: none. A row with neither becomes zeros. */
void teach_mix(float *p, int64_t n, int K, int teachers, double weight, const int32_t *label, const float *const *soft);

#endif
#endif
