/* Sums, shared by the kernels that need them. All are formed in double and in an order that does not depend
 * on the number of threads, so that a long sum in float keeps its digits and a run can be repeated. */
#ifndef MIEN_CPU_REDUCE_H
#define MIEN_CPU_REDUCE_H
#include "autograd/dims.h"
#include "cpu/kernel.h"

/* sum_i x[i] */
static inline double sum_row(const REAL *x, int64_t n) {
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < n; i++) s += x[i];
    return s;
}

/* dx[i] (+)= dy[i]: a gradient that goes through unchanged. */
static inline void pass_on(int threads, int64_t n, const REAL *dy, bool add, REAL *dx) {
#pragma omp parallel for simd num_threads(threads) if (n > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] = add ? dx[i] + dy[i] : dy[i];
}

/* y[o,i] = scale * sum_m x[o,m,i], added to y where `add`: x (O,M,I), y (O,I). (cpu/sum_dim.c) */
void LOCAL(sum_axis)(int threads, int64_t O, int64_t M, int64_t I, const REAL *x, REAL scale, bool add, REAL *y);
/* y[o,m,i] = scale * x[o,i], added to y where `add`: the other way round. */
void LOCAL(spread_axis)(int threads, int64_t O, int64_t M, int64_t I, const REAL *x, REAL scale, bool add, REAL *y);
/* scale * sum_i x[i]; blocks: mn__sum_workspace(n) bytes. (cpu/sum.c) */
REAL LOCAL(sum_all)(int threads, int64_t n, const REAL *x, double scale, double *blocks);
#endif
