/* pad2d: y[n,top+h,left+w] = x[n,h,w], the rest is `value`; dx[n,h,w] (+)= dy[n,top+h,left+w].
 * x (N,H,W), n standing for all dimensions but the last two; y (N,P,Q), P = top+H+bottom, Q = left+W+right, overwritten.
 * Thread map: a thread an element of y forward, of x backward. 1 read and 1 write an element. */
#include "cuda/kernel.cuh"

struct pad2d_planes {
    int64_t H, W, P, Q, top, left;
};
static pad2d_planes planes_of(const mn_node *n) {
    const mn_pad2d_opt *o = options<mn_pad2d_opt>(n);
    const mn_shape x = n->in[0]->shape, y = n->out->shape;
    return {x.dim[x.ndim - 2], x.dim[x.ndim - 1], y.dim[y.ndim - 2], y.dim[y.ndim - 1], o->padding[0], o->padding[2]};
}

/* Index: unsigned where the number of elements fits, for cheaper divisions. */
template <class T, class Index>
__global__ void pad2d_forward(int64_t count, pad2d_planes p, const T *x, T value, T *y) {
    GRID_STRIDE(k, count) {
        const Index row = (Index)k / (Index)p.Q, n = row / (Index)p.P;
        const int64_t h = (int64_t)(row % (Index)p.P) - p.top, w = (int64_t)((Index)k % (Index)p.Q) - p.left;
        const bool inside = h >= 0 && h < p.H && w >= 0 && w < p.W;
        y[k] = inside ? x[((int64_t)n * p.H + h) * p.W + w] : value;
    }
}
template <class T, class Index>
__global__ void pad2d_backward(int64_t count, pad2d_planes p, const T *dy, bool add, T *dx) {
    GRID_STRIDE(k, count) {
        const Index row = (Index)k / (Index)p.W, w = (Index)k % (Index)p.W, n = row / (Index)p.H, h = row % (Index)p.H;
        const T g = dy[((int64_t)n * p.P + h + p.top) * p.Q + w + p.left];
        dx[k] = add ? dx[k] + g : g;
    }
}

template <class T> static mn_status forward(mn_node *n) {
    const int64_t count = n->out->count;
    return LAUNCH(n->ctx, (fits_32(count) ? pad2d_forward<T, uint32_t> : pad2d_forward<T, int64_t>), grid_for(count),
                  THREADS, 0, count, planes_of(n), in<T>(n, 0), (T)options<mn_pad2d_opt>(n)->value, out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    const int64_t count = n->in[0]->count;
    return LAUNCH(n->ctx, (fits_32(count) ? pad2d_backward<T, uint32_t> : pad2d_backward<T, int64_t>), grid_for(count),
                  THREADS, 0, count, planes_of(n), out_grad<T>(n), mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(pad2d, forward, backward)
