/* global_avg_pool2d: y[n,c] = 1/(H*W) * sum_{h,w} x[n,c,h,w];   dx[n,c,h,w] (+)= dy[n,c] / (H*W).
 * x (N,C,H,W), y (N,C), overwritten. One thread a plane; 1 read an element forward, 1 write backward. */
#include "cpu/kernel.h"

mn_status FWD(global_avg_pool2d)(mn_node *n);
mn_status FWD(global_avg_pool2d)(mn_node *n) {
    int64_t planes = n->out->count, pixels = n->in[0]->shape.dim[2] * n->in[0]->shape.dim[3];
    const REAL *x = in(n, 0);
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < planes; i++) {
        REAL sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t k = 0; k < pixels; k++) sum += x[i * pixels + k];
        y[i] = sum / (REAL)pixels;
    }
    return MN_OK;
}

mn_status BWD(global_avg_pool2d)(mn_node *n);
mn_status BWD(global_avg_pool2d)(mn_node *n) {
    int64_t planes = n->out->count, pixels = n->in[0]->shape.dim[2] * n->in[0]->shape.dim[3];
    const REAL *dy = out_grad(n);
    REAL *dx = in_grad(n, 0);
    bool add = mn__adds(n, 0);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < planes; i++) {
        const REAL share = dy[i] / (REAL)pixels;
        for (int64_t k = 0; k < pixels; k++) dx[i * pixels + k] = add ? dx[i * pixels + k] + share : share;
    }
    return MN_OK;
}
