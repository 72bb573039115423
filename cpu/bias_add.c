/* bias_add: y[n,c,i] = x[n,c,i] + b[c]; dx (+)= dy, db[c] (+)= sum_{n,i} dy[n,c,i].
 * x, y (N,C,I), i standing for all dimensions after the second; b (C). y overwritten.
 * Loop order n, c, i; without a third dimension (I = 1) a row of C at once. 2 reads, 1 write an element. */
#include "cpu/reduce.h"

mn_status FWD(bias_add)(mn_node *n);
mn_status FWD(bias_add)(mn_node *n) {
    int64_t N = n->out->shape.dim[0], C = n->out->shape.dim[1], I = n->out->count / (N * C);
    const REAL *x = in(n, 0), *b = in(n, 1);
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t k = 0; k < N; k++) {
        const REAL *from = x + k * C * I;
        REAL *to = y + k * C * I;
        if (I == 1)
            for (int64_t c = 0; c < C; c++) to[c] = from[c] + b[c];
        else
            for (int64_t c = 0; c < C; c++)
                for (int64_t i = 0; i < I; i++) to[c * I + i] = from[c * I + i] + b[c];
    }
    return MN_OK;
}

/* db[c] (+)= sum_{n,i} dy[n,c,i]: a channel is summed by one thread, image after image. */
static void bias_gradient(int threads, int64_t N, int64_t C, int64_t I, const REAL *dy, bool add, REAL *db) {
#pragma omp parallel for num_threads(threads) if (N * C * I > MN__PARALLEL_MIN)
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t k = 0; k < N; k++) sum += sum_row(dy + (k * C + c) * I, I);
        db[c] = (REAL)((add ? db[c] : 0) + sum);
    }
}

mn_status BWD(bias_add)(mn_node *n);
mn_status BWD(bias_add)(mn_node *n) {
    int64_t N = n->out->shape.dim[0], C = n->out->shape.dim[1], I = n->out->count ? n->out->count / (N * C) : 0;
    const REAL *dy = out_grad(n);
    if (mn__wants(n, 0)) pass_on(n->ctx->threads, n->out->count, dy, mn__adds(n, 0), in_grad(n, 0));
    if (mn__wants(n, 1) && I == 1) LOCAL(sum_axis)(n->ctx->threads, 1, N, C, dy, 1, mn__adds(n, 1), in_grad(n, 1));
    else if (mn__wants(n, 1)) bias_gradient(n->ctx->threads, N, C, I, dy, mn__adds(n, 1), in_grad(n, 1));
    return MN_OK;
}
