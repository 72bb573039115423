/* avg_pool2d: y[n,c,p,q] = 1/m * sum over r, s of x[n, c, p*stride-top+r, q*stride-left+s] inside x, with m
 * the number of those elements, or R*S with count_padding.   dx[n,c,h,w] (+)= sum over its windows of dy / m.
 * x (N,C,H,W), y (N,C,P,Q), overwritten.
 * Thread map: forward a thread a window; backward a thread an element of x, which asks the windows it lies
 * in: one writer an element, no atomics. R*S reads and 1 write a window forward; 1 read a window around it
 * and 1 write an element backward. */
#include "cuda/pool.cuh"

template <class T>
__device__ __forceinline__ T avg_pool2d_share(const mn__window &g, bool count_padding, const pool_box &b) {
    return T(1) / (T)(count_padding ? g.R * g.S : (b.h1 - b.h0) * (b.w1 - b.w0));
}

/* Index: unsigned where the number of elements fits, for cheaper divisions. */
template <class T, class Index>
__global__ void avg_pool2d_forward(int64_t count, mn__window g, bool count_padding, const T *x, T *y) {
    GRID_STRIDE(k, count) {
        const pool_place<Index> at((Index)k, g.P, g.Q);
        const pool_box b(g, at.row, at.column);
        const T *plane = x + at.plane * g.H * g.W;
        T sum = 0;
        for (int64_t h = b.h0; h < b.h1; h++)
            for (int64_t w = b.w0; w < b.w1; w++) sum += plane[h * g.W + w];
        y[k] = sum * avg_pool2d_share<T>(g, count_padding, b);
    }
}
template <class T, class Index>
__global__ void avg_pool2d_backward(int64_t count, mn__window g, bool count_padding, const T *dy, bool add,
                                    T *dx) {
    GRID_STRIDE(k, count) {
        const pool_place<Index> at((Index)k, g.H, g.W);
        const pool_windows<Index> rows(at.row, g.top, g.R, g.stride_h, g.P);
        const pool_windows<Index> columns(at.column, g.left, g.S, g.stride_w, g.Q);
        T sum = 0;
        for (int64_t p = rows.from; p < rows.to; p++)
            for (int64_t q = columns.from; q < columns.to; q++)
                sum += dy[(at.plane * g.P + p) * g.Q + q] *
                       avg_pool2d_share<T>(g, count_padding, pool_box(g, p, q));
        dx[k] = add ? dx[k] + sum : sum;
    }
}

static bool count_padding(const mn_node *n) { return options<mn_pool2d_opt>(n)->count_padding; }

template <class T> static mn_status forward(mn_node *n) {
    const int64_t count = n->out->count;
    return LAUNCH(n->ctx, (fits_32(count) ? avg_pool2d_forward<T, uint32_t> : avg_pool2d_forward<T, int64_t>),
                  grid_for(count), THREADS, 0, count, mn__pool2d_window(n), count_padding(n), in<T>(n, 0),
                  out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    const int64_t count = n->in[0]->count;
    return LAUNCH(n->ctx,
                  (fits_32(count) ? avg_pool2d_backward<T, uint32_t> : avg_pool2d_backward<T, int64_t>),
                  grid_for(count), THREADS, 0, count, mn__pool2d_window(n), count_padding(n), out_grad<T>(n),
                  mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(avg_pool2d, forward, backward)
