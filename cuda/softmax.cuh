/* One row of softmax by one warp, shared by softmax, log_softmax and cross_entropy. Lane l takes the elements l,
 * l + 32, ... of the row. Kernels are launched with WARPS warps a block, a warp a row. */
#ifndef MIEN_CUDA_SOFTMAX_CUH
#define MIEN_CUDA_SOFTMAX_CUH
#include "cuda/reduce.cuh"

constexpr int WARPS = 4;
static inline unsigned rows_grid(int64_t rows) {
    int64_t blocks = (rows + WARPS - 1) / WARPS;
    return (unsigned)(blocks < 65536 ? blocks : 65536);
}
/* for each row r that is this warp's */
#define WARP_ROWS(r, rows)                                                                                 \
    for (int64_t r = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32; r < (rows); r += (int64_t)gridDim.x * WARPS)

/* The largest of x[0..n-1] in *max and the sum of exp(x - max), in every lane. The largest exponent is 0, so nothing
 * overflows and the sum is at least 1. 2 reads an element. */
template <class T> __device__ double exp_sum(const T *x, int64_t n, T *max) {
    const int lane = threadIdx.x % 32;
    T m = x[0];
    for (int64_t k = lane; k < n; k += 32) m = x[k] > m ? x[k] : m;
    m = warp_max(m);
    double sum = 0;
    for (int64_t k = lane; k < n; k += 32) sum += (double)exp(x[k] - m);
    *max = m;
    return warp_sum(sum);
}
#endif
