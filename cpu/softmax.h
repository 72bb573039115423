/* One row of softmax, shared by softmax, log_softmax and cross_entropy. */
#ifndef MIEN_CPU_SOFTMAX_H
#define MIEN_CPU_SOFTMAX_H
#include "cpu/kernel.h"

/* e[k] = exp(x[k] - max); returns the sum of e, and the maximum in *max. The largest exponent is 0, so
 * nothing overflows and the sum is at least 1. */
static inline double exp_row(REAL *e, const REAL *x, int64_t n, REAL *max) {
    REAL m = x[0];
    for (int64_t k = 1; k < n; k++) m = x[k] > m ? x[k] : m;
#pragma omp simd
    for (int64_t k = 0; k < n; k++) e[k] = exp(x[k] - m);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < n; k++) sum += e[k];
    *max = m;
    return sum;
}
#endif
