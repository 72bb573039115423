/* How good predictions are: pure functions of probabilities and labels. */
#ifndef MIEN_METRICS_H
#define MIEN_METRICS_H

#include <stdint.h>

/* Of n samples and K classes. A number that is not defined (no samples, class never seen) is NaN. */
typedef struct metrics {
    int64_t n; /* samples with a label; the others do not count anywhere */
    int classes;
    double loss;                               /* mean of -log p[label] */
    double accuracy, accuracy_lo, accuracy_hi; /* with Wilson's 95 % interval */
    double macro_f1;                           /* mean F1 over the classes that occur, as labels or as predictions */
    double weighted_f1;                        /* mean F1 weighted by support */
    double ece;                                /* expected calibration error, METRICS_BINS bins of equal width */
    int64_t *confusion;                        /* [label * classes + predicted] */
    int64_t *support;                          /* labels of each class */
    double *precision, *recall, *f1;
} metrics;

#define METRICS_BINS 15
/* Bin b: samples whose largest probability is in (b/15, (b+1)/15]. Means of an empty bin are NaN. */
typedef struct metrics_bin {
    int64_t n;
    double confidence, accuracy;
} metrics_bin;
void metrics_bins(const float *p, const int32_t *label, int64_t n, int classes, metrics_bin *bin);

/* Fills *m from p (n,K), rows summing to 1, and label (n), -1: none. Free with metrics_free. */
void metrics_compute(metrics *m, const float *p, const int32_t *label, int64_t n, int classes);
void metrics_free(metrics *m);

/* The interval of Wilson (1927) for `hits` of `n`: never leaves 0..1, right for few samples and for 0 or all
 * hits. */
void metrics_wilson(int64_t hits, int64_t n, double *lo, double *hi);
/* In place: rows of logits become probabilities, softmax(logits / temperature); temperature 0: 1. */
void metrics_softmax(float *x, int64_t n, int classes, double temperature);
/* Position of the largest; the first of equals. */
int metrics_argmax(const float *x, int classes);

#endif
