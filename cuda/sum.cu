/* sum: y = sum_i x[i], in slices of 8192, then the slices (cuda/reduce.cuh); dx[i] (+)= dy.
 * x any shape, y (). y overwritten. 1 read an element forward, 1 write backward. */
#include "cuda/reduce.cuh"

template <class T> static mn_status forward(mn_node *n) {
    return sum_axis(n->ctx, 1, n->in[0]->count, 1, in<T>(n, 0), 1, false, out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    return spread_axis(n->ctx, 1, n->in[0]->count, 1, out_grad<T>(n), 1, mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(sum, forward, backward)
