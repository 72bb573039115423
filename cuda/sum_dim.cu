/* sum_dim: y[o,i] = sum_m x[o,m,i]; dx[o,m,i] (+)= dy[o,i].
 * x (O,M,I): O and I stand for all dimensions before and after the one that is summed over. y (O,I).
 * Thread map: a block a row where I is 1, else a column of threads an output (cuda/reduce.cuh); backward a thread an
 * element. y overwritten. 1 read an element forward, 1 write backward. */
#include "autograd/dims.h"
#include "cuda/reduce.cuh"

template <class T> static mn_status forward(mn_node *n) {
    const mn__split p = mn__split_at(n->in[0]->shape, options<mn_reduce_opt>(n)->dim);
    return sum_axis(n->ctx, p.outer, p.middle, p.inner, in<T>(n, 0), 1, false, out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    const mn__split p = mn__split_at(n->in[0]->shape, options<mn_reduce_opt>(n)->dim);
    return spread_axis(n->ctx, p.outer, p.middle, p.inner, out_grad<T>(n), 1, mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(sum_dim, forward, backward)
