/* global_avg_pool2d: y[n,c] = 1/(H*W) * sum_{h,w} x[n,c,h,w];   dx[n,c,h,w] (+)= dy[n,c] / (H*W).
 * x (N,C,H,W), y (N,C), overwritten. It is a mean over the last dimension of (N*C, H*W): a block, or for
 * small planes a warp, adds a plane (cuda/reduce.cuh). 1 read an element forward, 1 write backward. */
#include "cuda/reduce.cuh"

static int64_t pixels_of(const mn_node *n) { return n->in[0]->shape.dim[2] * n->in[0]->shape.dim[3]; }

template <class T> static mn_status forward(mn_node *n) {
    const int64_t pixels = pixels_of(n);
    return sum_axis(n->ctx, n->out->count, pixels, 1, in<T>(n, 0), 1 / (double)pixels, false, out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    const int64_t pixels = pixels_of(n);
    return spread_axis(n->ctx, n->out->count, pixels, 1, out_grad<T>(n), 1 / (double)pixels, mn__adds(n, 0),
                       in_grad<T>(n, 0));
}
MN__EXPORT(global_avg_pool2d, forward, backward)
