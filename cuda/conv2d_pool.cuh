/* Max pooling where a convolution stores its result: z = conv2d(x, w) + b, with a ReLU behind it z = max(0, z), and of each
 * 2x2 window of z the largest number. z is never written; backward asks the place of each maximum, as max_pool2d does.
 *   y[n,k,p,q]             = max over r, s < 2 of z[n, k, 2p+r, 2q+s]
 *   index[n,k,p,q]         = 2r+s of the first that is as large; NaN counts as the largest
 *   dz[n,k,2p+r,2q+s]      = dy[n,k,p,q] where index[n,k,p,q] = 2r+s, and y[n,k,p,q] > 0 if there is a ReLU; else 0
 * z (N,K,P,Q); y and index (N,K,P/2,Q/2): an odd row or column at the end of z is in no window, and is not computed. */
#ifndef MIEN_CUDA_CONV2D_POOL_CUH
#define MIEN_CUDA_CONV2D_POOL_CUH
#include "autograd/ends_in_relu.h"
#include "autograd/window.h"
#include "cuda/kernel.cuh"

/* The largest so far of a window, whose numbers come in the order of their places. */
template <class T> struct window_best {
    T value;
    int place;
    __device__ __forceinline__ void see(int at, T z) {
        if (at == 0 || ((z > value || z != z) && value == value)) value = z, place = at;
    }
};

/* Thread map: a thread a number of z, count = N*K*P*Q. 1 write, and 1 read of dy, of y and of a byte for four threads. Index:
 * unsigned where the number of elements fits, for cheaper divisions. */
template <class T, class Index>
__global__ void from_pooled(int64_t count, int P, int Q, const T *y, const uint8_t *index, const T *dy, bool relu, T *dz) {
    GRID_STRIDE(i, count) {
        const Index line = (Index)i / (Index)Q, plane = line / (Index)P; /* (n*K + k)*P + p; n*K + k */
        const int p = (int)(line % (Index)P), q = (int)((Index)i % (Index)Q);
        const int64_t window = ((int64_t)plane * (P / 2) + p / 2) * (Q / 2) + q / 2;
        const bool inside = p / 2 < P / 2 && q / 2 < Q / 2;
        dz[i] = inside && index[window] == p % 2 * 2 + q % 2 && (!relu || y[window] > 0) ? dy[window] : T(0);
    }
}

/* The gradient of z, in a buffer for as long as this lives. */
template <class T> struct pooled_gradient {
    mn_context *c;
    T *dz;
    mn_status status;
    pooled_gradient(mn_node *n, const mn__window &g, bool pooled, bool relu) : c(n->ctx), dz(nullptr), status(MN_OK) {
        if (!pooled) return;
        const int64_t count = g.N * g.K * g.P * g.Q;
        dz = (T *)mn__buffer_take(c, (size_t)count * sizeof(T));
        status = !dz ? c->error.status
                     : LAUNCH(c, (fits_32(count) ? from_pooled<T, uint32_t> : from_pooled<T, int64_t>), grid_for(count), THREADS, 0,
                              count, (int)g.P, (int)g.Q, out<T>(n), saved<uint8_t>(n, 1), out_grad<T>(n), relu, dz);
    }
    ~pooled_gradient() {
        if (dz) mn__buffer_give(c, dz);
    }
};
#endif
