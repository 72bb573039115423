/* mean_dim: y[o,i] = 1/M sum_m x[o,m,i]; dx[o,m,i] (+)= dy[o,i] / M.
 * x (O,M,I), y (O,I), as in cpu/sum_dim.c, whose loops do the work. */
#include "cpu/reduce.h"

mn_status FWD(mean_dim)(mn_node *n);
mn_status FWD(mean_dim)(mn_node *n) {
    const mn_reduce_opt *o = n->opt;
    mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    LOCAL(sum_axis)(n->ctx->threads, p.outer, p.middle, p.inner, in(n, 0), 1 / (REAL)p.middle, false, out(n));
    return MN_OK;
}

mn_status BWD(mean_dim)(mn_node *n);
mn_status BWD(mean_dim)(mn_node *n) {
    const mn_reduce_opt *o = n->opt;
    mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    LOCAL(spread_axis)(n->ctx->threads, p.outer, p.middle, p.inner, out_grad(n), 1 / (REAL)p.middle, mn__adds(n, 0),
                       in_grad(n, 0));
    return MN_OK;
}
