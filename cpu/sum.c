/* sum: y = sum_i x[i], blocks of 8192 in parallel, then the blocks in order; dx[i] (+)= dy.
 * x any shape, y (). y overwritten. 1 read an element forward, 1 write backward. */
#include "cpu/reduce.h"

REAL LOCAL(sum_all)(int threads, int64_t n, const REAL *x, double scale, double *blocks) {
    int64_t count = (n + MN__SUM_BLOCK - 1) / MN__SUM_BLOCK;
    double total = 0;
#pragma omp parallel for num_threads(threads) if (n > MN__PARALLEL_MIN)
    for (int64_t b = 0; b < count; b++) {
        int64_t from = b * MN__SUM_BLOCK, left = n - from;
        blocks[b] = sum_row(x + from, left < MN__SUM_BLOCK ? left : MN__SUM_BLOCK);
    }
    for (int64_t b = 0; b < count; b++) total += blocks[b];
    return (REAL)(total * scale);
}

mn_status FWD(sum)(mn_node *n);
mn_status FWD(sum)(mn_node *n) {
    out(n)[0] = LOCAL(sum_all)(n->ctx->threads, n->in[0]->count, in(n, 0), 1, n->workspace);
    return MN_OK;
}

mn_status BWD(sum)(mn_node *n);
mn_status BWD(sum)(mn_node *n) {
    LOCAL(spread_axis)(n->ctx->threads, 1, n->in[0]->count, 1, out_grad(n), 1, mn__adds(n, 0), in_grad(n, 0));
    return MN_OK;
}
