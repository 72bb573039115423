/* max_pool2d: y[n,c,p,q] = max over r, s of x[n, c, p*stride-top+r, q*stride-left+s], where that lies inside
 * x. dx[n,c,h,w] (+)= the sum of dy over the windows whose maximum it is (of equal ones the first in row
 * order) x (N,C,H,W), y (N,C,P,Q), overwritten; NaN counts as the largest. Saved: index (N,C,P,Q), r*S+s in
 * the window, in 8 bits; windows of more than 256 elements are searched again backward, and their indices
 * stand in the workspace. Thread map: forward a thread a window. Backward a thread an element of x, which
 * asks the windows it lies in: so each element of dx has one writer and no atomics are needed. R*S reads, 1
 * write and 1 byte a window forward; 1 read (and 1 byte) for each window around an element, and 1 write
 * backward. */
#include "cuda/pool.cuh"

/* The maximum of each window to y, its place to index; either may be NULL. Index: unsigned where the number
 * of elements fits, for cheaper divisions. Where: what holds a place. */
template <class T, class Where, class Index>
__global__ void max_pool2d_forward(int64_t count, mn__window g, const T *x, T *y, Where *index) {
    GRID_STRIDE(k, count) {
        const pool_place<Index> at((Index)k, g.P, g.Q);
        const pool_box b(g, at.row, at.column);
        const T *plane = x + at.plane * g.H * g.W;
        T best = plane[b.h0 * g.W + b.w0];
        int64_t h_best = b.h0, w_best = b.w0;
        for (int64_t h = b.h0; h < b.h1; h++)
            for (int64_t w = b.w0; w < b.w1; w++) {
                const T v = plane[h * g.W + w];
                if ((v > best || v != v) && best == best) best = v, h_best = h, w_best = w;
            }
        if (y) y[k] = best;
        if (index) index[k] = (Where)((h_best - b.top) * g.S + w_best - b.left);
    }
}

template <class T, class Where, class Index>
__global__ void max_pool2d_backward(int64_t count, mn__window g, const Where *index, const T *dy, bool add,
                                    T *dx) {
    GRID_STRIDE(k, count) {
        const pool_place<Index> at((Index)k, g.H, g.W);
        const pool_windows<Index> rows(at.row, g.top, g.R, g.stride_h, g.P);
        const pool_windows<Index> columns(at.column, g.left, g.S, g.stride_w, g.Q);
        T sum = 0;
        for (int64_t p = rows.from; p < rows.to; p++)
            for (int64_t q = columns.from; q < columns.to; q++) {
                const int64_t i = (at.plane * g.P + p) * g.Q + q;
                const int64_t here =
                    (at.row + g.top - p * g.stride_h) * g.S + at.column + g.left - q * g.stride_w;
                if ((int64_t)index[i] == here) sum += dy[i];
            }
        dx[k] = add ? dx[k] + sum : sum;
    }
}

template <class T, class Where> static mn_status find(mn_node *n, T *y, Where *index) {
    const int64_t count = n->out->count;
    const bool small = fits_32(count) && fits_32(n->in[0]->count);
    return LAUNCH(n->ctx,
                  (small ? max_pool2d_forward<T, Where, uint32_t> : max_pool2d_forward<T, Where, int64_t>),
                  grid_for(count), THREADS, 0, count, mn__pool2d_window(n), in<T>(n, 0), y, index);
}
template <class T, class Where> static mn_status give_back(mn_node *n, const Where *index) {
    const int64_t count = n->in[0]->count;
    return LAUNCH(
        n->ctx,
        (fits_32(count) ? max_pool2d_backward<T, Where, uint32_t> : max_pool2d_backward<T, Where, int64_t>),
        grid_for(count), THREADS, 0, count, mn__pool2d_window(n), index, out_grad<T>(n), mn__adds(n, 0),
        in_grad<T>(n, 0));
}

template <class T> static mn_status forward(mn_node *n) {
    return find<T, uint8_t>(n, out<T>(n), saved<uint8_t>(n, 0));
}
template <class T> static mn_status backward(mn_node *n) {
    if (n->saved[0]) return give_back<T, uint8_t>(n, saved<uint8_t>(n, 0));
    int64_t *index = (int64_t *)mn__workspace(n->ctx, (size_t)n->out->count * sizeof *index);
    if (!index) return n->ctx->error.status;
    mn_status s = find<T, int64_t>(n, nullptr, index);
    return s ? s : give_back<T, int64_t>(n, index);
}
MN__EXPORT(max_pool2d, forward, backward)
