/* log_softmax: y[n,k] = (x[n,k] - max_n) - log sum_j exp(x[n,j] - max_n)
 *   dx[n,k] (+)= dy[n,k] - exp(y[n,k]) * sum_j dy[n,j]
 * x, y (N,K), n standing for all dimensions but the last. y overwritten (and used for the exponentials on
 * the way). Rows in parallel. */
#include "cpu/reduce.h"
#include "cpu/softmax.h"

mn_status FWD(log_softmax)(mn_node *n);
mn_status FWD(log_softmax)(mn_node *n) {
    int64_t K = n->out->shape.dim[n->out->shape.ndim - 1], N = n->out->count / K;
    const REAL *x = in(n, 0);
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t r = 0; r < N; r++) {
        REAL max, *row = y + r * K;
        const double sum = exp_row(row, x + r * K, K, &max);
        const REAL log_sum = (REAL)log(sum);
        for (int64_t k = 0; k < K; k++) row[k] = (x[r * K + k] - max) - log_sum;
    }
    return MN_OK;
}

mn_status BWD(log_softmax)(mn_node *n);
mn_status BWD(log_softmax)(mn_node *n) {
    if (n->out->count == 0) return MN_OK;
    int64_t K = n->out->shape.dim[n->out->shape.ndim - 1], N = n->out->count / K;
    const REAL *y = out(n), *dy = out_grad(n);
    REAL *dx = in_grad(n, 0);
    const bool add = mn__adds(n, 0);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t r = 0; r < N; r++) {
        const REAL *l = y + r * K, *g = dy + r * K, sum = (REAL)sum_row(g, K);
        REAL *d = dx + r * K;
#pragma omp simd
        for (int64_t k = 0; k < K; k++) d[k] = (add ? d[k] : 0) + (g[k] - exp(l[k]) * sum);
    }
    return MN_OK;
}
