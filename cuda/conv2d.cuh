/* What the ways of computing a convolution share. cuda/conv2d.cu chooses one by shape. */
#ifndef MIEN_CUDA_CONV2D_CUH
#define MIEN_CUDA_CONV2D_CUH
#include "autograd/window.h"
#include "cuda/kernel.cuh"

/* One convolution, forward or backward. dx, dw are NULL where no gradient is wanted; add_* say that it is added to what
 * is there. */
template <class T> struct conv2d_job {
    mn_context *c;
    mn__window g;
    const T *x, *w, *b, *dy;
    T *y, *dx, *dw;
    bool add_dx, add_dw;
    bool relu = false;              /* forward: y is max(0, that) */
    mn_tensor **measured = nullptr; /* forward: where the statistics of y go (autograd/ends_in_relu.h), or NULL */
    bool pooled = false;            /* forward: y is the largest of each 2x2 window of that (cuda/conv2d_pool.cuh), */
    uint8_t *index = nullptr;       /* and here is which; NULL: not wanted */
};

template <class T> mn_status conv2d_implicit_forward(const conv2d_job<T> &j); /* any shape */
template <class T> mn_status conv2d_implicit_backward(const conv2d_job<T> &j);
template <class T> mn_status conv2d_direct_forward(const conv2d_job<T> &j); /* one input channel a group */
template <class T> mn_status conv2d_direct_backward(const conv2d_job<T> &j);

/* Division of 0 <= n < 2^31 by a number that the compiler does not know, as a multiplication and a shift (Granlund and
 * Montgomery 1994, "Division by invariant integers using multiplication"): with s = ceil(log2 d),
 *   n / d = (n + floor(n m / 2^32)) >> s,   m = floor(2^32 (2^s - d) / d) + 1 */
struct divisor {
    uint32_t d, m, s;
    __device__ __forceinline__ int of(int n) const { return (int)(((uint32_t)((uint64_t)(uint32_t)n * m >> 32) + (uint32_t)n) >> s); }
    /* n / d, and n becomes the remainder */
    __device__ __forceinline__ int take(int &n) const {
        const int q = of(n);
        n -= q * (int)d;
        return q;
    }
};
static inline divisor divide_by(int64_t d) {
    uint32_t s = 0;
    while (((uint64_t)1 << s) < (uint64_t)d) s++;
    return {(uint32_t)d, (uint32_t)((((uint64_t)1 << s) - (uint64_t)d) * ((uint64_t)1 << 32) / (uint64_t)d + 1), s};
}
#endif
