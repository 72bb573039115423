/* mean: y = 1/count sum_i x[i]; dx[i] (+)= dy / count.
 * x any shape with elements, y (). y overwritten. 1 read an element forward, 1 write backward. */
#include "cuda/reduce.cuh"

template <class T> static mn_status forward(mn_node *n) {
    const int64_t count = n->in[0]->count;
    return sum_axis(n->ctx, 1, count, 1, in<T>(n, 0), 1.0 / (double)count, false, out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    const int64_t count = n->in[0]->count;
    return spread_axis(n->ctx, 1, count, 1, out_grad<T>(n), 1.0 / (double)count, mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(mean, forward, backward)
