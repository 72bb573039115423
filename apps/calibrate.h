/* Whether probabilities mean what they say, and when to give no answer. Pure functions of probabilities (n,
 * K), rows summing to 1, and labels, -1: none. */
#ifndef MIEN_CALIBRATE_H
#define MIEN_CALIBRATE_H

#include "apps/metrics.h"

/* The temperature T that makes softmax(log p / T) have the least mean -log p[label] (Guo et al. 2017, "On
 * calibration of modern neural networks", 4.2), within 0.05 .. 20. Labels count as 1 - 1/(n+2) sure (Platt
 * 1999): few rows, all right, prove no certainty. 1 where there is no labelled row. It changes no answer,
 * only how sure it is. */
double calibrate_temperature(const float *p, const int32_t *label, int64_t n, int classes);
/* In place: p becomes softmax(log p / T). */
void calibrate_apply(float *p, int64_t n, int classes, double temperature);

/* Selective classification (Geifman and El-Yaniv 2017): the threshold on the largest probability below which
 * at most `share` of the labelled rows lie. 0 where there are none, or share is 0. */
double calibrate_threshold(const float *p, const int32_t *label, int64_t n, int classes, double share);
/* Labelled rows whose largest probability is at least `threshold`, and how many of them are right. */
void calibrate_answered(const float *p, const int32_t *label, int64_t n, int classes, double threshold, int64_t *answered,
                        int64_t *right);

/* The risk-coverage curve: point i is the error among the (i+1) surest labelled rows, i = 0 .. *points-1.
 * Rows that are equally sure share one error, so their order does not matter. Free with free; NULL for no
 * rows. *area: the mean error over all coverages (AURC). */
double *calibrate_risk(const float *p, const int32_t *label, int64_t n, int classes, int64_t *points, double *area);

#endif
