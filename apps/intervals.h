/* How sure a score is: the bootstrap over subjects, and McNemar's test of two models on the same pictures. */
#ifndef MIEN_INTERVALS_H
#define MIEN_INTERVALS_H

#include <stdint.h>

typedef struct interval {
    double lo, hi; /* 95 % */
} interval;

/* Answers to n pictures, -1 labels not counted. Pictures of one cluster (a person, copies) stand and fall
 * together: as a sample they are worth less than as many pictures of as many people. */
typedef struct answers {
    int64_t n;
    int classes;
    const int32_t *label, *predicted;
    const int64_t *cluster; /* 0 .. clusters-1; NULL: each picture is its own */
    int64_t clusters;
} answers;

/* Percentile intervals from INTERVALS_DRAWS resamples of clusters with replacement (Efron and Tibshirani
 * 1993, ch. 13; clusters: Davison and Hinkley 1997, 3.8). The same numbers for the same answers. NaN for
 * none. Macro F1 as in metrics.h. */
#define INTERVALS_DRAWS 2000
void intervals_bootstrap(const answers *a, interval *accuracy, interval *macro_f1);
/* Of the difference in accuracy of b less a on the same pictures (label and clusters are a's). */
interval intervals_difference(const answers *a, const int32_t *predicted_b);

/* Two models on the same pictures. */
typedef struct mcnemar {
    int64_t n, both, only_a, only_b; /* pictures with a label; right by both, by one alone */
    double p;                        /* exact two-sided: of as many disagreements falling at least so unevenly, were the models
                                        equally good */
} mcnemar;
mcnemar intervals_mcnemar(const answers *a, const int32_t *predicted_b);
/* min(1, 2 P(X <= min(b,c))), X ~ Binomial(b + c, 1/2). */
double intervals_sign_test(int64_t b, int64_t c);

#endif
