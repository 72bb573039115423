/* linear: y[n,k] = b[k] + sum_c x[n,c] w[k,c], as a matrix product: y = x w^T + b.
 *   dx (+)= dy w        dw (+)= dy^T x        db[k] (+)= sum_n dy[n,k]
 * x (N,C), w (K,C), b (K) or NULL, y (N,K). y overwritten. 2*N*K*C flop forward, twice that backward. */
#include "cpu/reduce.h"

mn_status FWD(linear)(mn_node *n);
mn_status FWD(linear)(mn_node *n) {
    int64_t N = n->out->shape.dim[0], K = n->out->shape.dim[1], C = n->in[0]->shape.dim[1];
    const REAL *b = in(n, 2);
    REAL *y = out(n);
    for (int64_t i = 0; b && i < N; i++) memcpy(y + i * K, b, (size_t)K * sizeof *y);
    LOCAL(gemm_parallel)(n->ctx->threads, false, true, N, K, C, in(n, 0), C, in(n, 1), C, b ? 1 : 0, y, K);
    return MN_OK;
}

mn_status BWD(linear)(mn_node *n);
mn_status BWD(linear)(mn_node *n) {
    int64_t N = n->out->shape.dim[0], K = n->out->shape.dim[1], C = n->in[0]->shape.dim[1];
    const REAL *x = in(n, 0), *w = in(n, 1), *dy = out_grad(n);
    REAL *dx = in_grad(n, 0), *dw = in_grad(n, 1), *db = in_grad(n, 2);
    int t = n->ctx->threads;
    if (dx) LOCAL(gemm_parallel)(t, false, false, N, C, K, dy, K, w, C, mn__adds(n, 0), dx, C);
    if (dw) LOCAL(gemm_parallel)(t, true, false, K, C, N, dy, K, x, C, mn__adds(n, 1), dw, C);
    if (db) LOCAL(sum_axis)(t, 1, N, K, dy, 1, mn__adds(n, 2), db);
    return MN_OK;
}
