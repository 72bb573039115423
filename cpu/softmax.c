/* softmax: y[n,k] = exp(x[n,k] - max_n) / sum_j exp(x[n,j] - max_n)
 *   dx[n,k] (+)= y[n,k] * (dy[n,k] - sum_j dy[n,j] y[n,j])
 * x, y (N,K), n standing for all dimensions but the last. y overwritten. Rows in parallel; three passes
 * over a row forward, two backward. */
#include "cpu/softmax.h"

mn_status FWD(softmax)(mn_node *n);
mn_status FWD(softmax)(mn_node *n) {
    int64_t K = n->out->shape.dim[n->out->shape.ndim - 1], N = n->out->count / K;
    const REAL *x = in(n, 0);
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t r = 0; r < N; r++) {
        REAL max, *row = y + r * K;
        const REAL scale = (REAL)(1 / exp_row(row, x + r * K, K, &max));
        for (int64_t k = 0; k < K; k++) row[k] *= scale;
    }
    return MN_OK;
}

mn_status BWD(softmax)(mn_node *n);
mn_status BWD(softmax)(mn_node *n) {
    if (n->out->count == 0) return MN_OK;
    int64_t K = n->out->shape.dim[n->out->shape.ndim - 1], N = n->out->count / K;
    const REAL *y = out(n), *dy = out_grad(n);
    REAL *dx = in_grad(n, 0);
    const bool add = mn__adds(n, 0);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t r = 0; r < N; r++) {
        const REAL *p = y + r * K, *g = dy + r * K;
        REAL *d = dx + r * K;
        double dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t k = 0; k < K; k++) dot += g[k] * p[k];
        const REAL shift = (REAL)dot;
        for (int64_t k = 0; k < K; k++) d[k] = (add ? d[k] : 0) + p[k] * (g[k] - shift);
    }
    return MN_OK;
}
