/* mean: y = 1/count sum_i x[i]; dx[i] (+)= dy / count.
 * x any shape with elements, y (). y overwritten. 1 read an element forward, 1 write backward. */
#include "cpu/reduce.h"

mn_status FWD(mean)(mn_node *n);
mn_status FWD(mean)(mn_node *n) {
    int64_t count = n->in[0]->count;
    out(n)[0] = LOCAL(sum_all)(n->ctx->threads, count, in(n, 0), 1.0 / (double)count, n->workspace);
    return MN_OK;
}

mn_status BWD(mean)(mn_node *n);
mn_status BWD(mean)(mn_node *n) {
    int64_t count = n->in[0]->count;
    LOCAL(spread_axis)(n->ctx->threads, 1, count, 1, out_grad(n), 1 / (REAL)count, mn__adds(n, 0), in_grad(n, 0));
    return MN_OK;
}
