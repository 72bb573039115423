/* reshape moves nothing forward. Backward it moves nothing either, unless the input already has a gradient
 * (or is a leaf): then dx[i] (+)= dy[i]. */
#include "cuda/kernel.cuh"

template <class T> static mn_status forward(mn_node *) { return MN_OK; }
template <class T> static mn_status backward(mn_node *n) {
    return pass_on(n->ctx, n->out->count, out_grad<T>(n), mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(reshape, forward, backward)
