/* sum_dim: y[o,i] = sum_m x[o,m,i]; dx[o,m,i] (+)= dy[o,i].
 * x (O,M,I): O and I stand for all dimensions before and after the one that is summed over. y (O,I).
 * Loop order: where I is 1 a row is one sum; else rows of I are added to a strip of sums, STRIP columns at
 * a time. Parallel over o and strips. 1 read an element forward, 1 write backward. */
#include "cpu/reduce.h"

enum { STRIP = 256 };

static void sum_strip(int64_t M, int64_t I, int64_t width, const REAL *x, REAL scale, bool add, REAL *y) {
    double sum[STRIP] = {0};
    if (I == 1) sum[0] = sum_row(x, M);
    else
        for (int64_t m = 0; m < M; m++)
            for (int64_t i = 0; i < width; i++) sum[i] += x[m * I + i];
    for (int64_t i = 0; i < width; i++) y[i] = (REAL)((add ? y[i] : 0) + scale * sum[i]);
}

void LOCAL(sum_axis)(int threads, int64_t O, int64_t M, int64_t I, const REAL *x, REAL scale, bool add, REAL *y) {
    int64_t strips = (I + STRIP - 1) / STRIP;
#pragma omp parallel for num_threads(threads) if (O * M * I > MN__PARALLEL_MIN)
    for (int64_t p = 0; p < O * strips; p++) {
        int64_t o = p / strips, from = p % strips * STRIP, width = I - from < STRIP ? I - from : STRIP;
        sum_strip(M, I, width, x + o * M * I + from, scale, add, y + o * I + from);
    }
}

void LOCAL(spread_axis)(int threads, int64_t O, int64_t M, int64_t I, const REAL *x, REAL scale, bool add, REAL *y) {
    const REAL keep = add;
    if (I == 1 && O == 1) { /* one number into one row: split along the row */
#pragma omp parallel for simd num_threads(threads) if (M > MN__PARALLEL_MIN)
        for (int64_t m = 0; m < M; m++) y[m] = (keep != 0 ? y[m] : 0) + scale * x[0];
        return;
    }
#pragma omp parallel for num_threads(threads) if (O * M * I > MN__PARALLEL_MIN)
    for (int64_t o = 0; o < O; o++)
        for (int64_t m = 0; m < M; m++) {
            const REAL *from = x + o * I;
            REAL *to = y + (o * M + m) * I;
            for (int64_t i = 0; i < I; i++) to[i] = (keep != 0 ? to[i] : 0) + scale * from[i];
        }
}

mn_status FWD(sum_dim)(mn_node *n);
mn_status FWD(sum_dim)(mn_node *n) {
    const mn_reduce_opt *o = n->opt;
    mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    LOCAL(sum_axis)(n->ctx->threads, p.outer, p.middle, p.inner, in(n, 0), 1, false, out(n));
    return MN_OK;
}

mn_status BWD(sum_dim)(mn_node *n);
mn_status BWD(sum_dim)(mn_node *n) {
    const mn_reduce_opt *o = n->opt;
    mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    LOCAL(spread_axis)(n->ctx->threads, p.outer, p.middle, p.inner, out_grad(n), 1, mn__adds(n, 0), in_grad(n, 0));
    return MN_OK;
}
