/* mean_dim: y[o,i] = 1/M sum_m x[o,m,i]; dx[o,m,i] (+)= dy[o,i] / M.
 * x (O,M,I), y (O,I), as in cuda/sum_dim.cu; the kernels are those of cuda/reduce.cuh. */
#include "autograd/dims.h"
#include "cuda/reduce.cuh"

template <class T> static mn_status forward(mn_node *n) {
    const mn__split p = mn__split_at(n->in[0]->shape, options<mn_reduce_opt>(n)->dim);
    return sum_axis(n->ctx, p.outer, p.middle, p.inner, in<T>(n, 0), 1.0 / (double)p.middle, false, out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    const mn__split p = mn__split_at(n->in[0]->shape, options<mn_reduce_opt>(n)->dim);
    return spread_axis(n->ctx, p.outer, p.middle, p.inner, out_grad<T>(n), 1.0 / (double)p.middle, mn__adds(n, 0),
                       in_grad<T>(n, 0));
}
MN__EXPORT(mean_dim, forward, backward)
