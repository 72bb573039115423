/* Statistics of a product's rows, taken from the registers in which it was computed (cuda/gemm.cuh). A strip is a row's part in
 * a tile: of its numbers how many there are, their mean, and the sum of their squared distances from that mean. Batch norm puts
 * strips together (cuda/batch_norm.cu). The mean is subtracted within a strip, so nothing cancels where it is large beside the
 * deviation; the order of all sums depends on the shape alone. */
#ifndef MIEN_CUDA_STRIPS_CUH
#define MIEN_CUDA_STRIPS_CUH
#include "cuda/kernel.cuh"

/* (rows, count, 3), in memory of the step; at NULL: not wanted. */
template <class T> struct strips {
    T *at;
    int count; /* of a row */
    __device__ __forceinline__ void put(int row, int strip, int numbers, T mean, T squares) const {
        T *const to = at + ((int64_t)row * count + strip) * 3;
        to[0] = (T)numbers, to[1] = mean, to[2] = squares;
    }
};

/* The sum over LANES neighbouring lanes, in each of them. */
template <int LANES, class T> __device__ __forceinline__ T lanes_sum(T v) {
#pragma unroll
    for (int d = LANES / 2; d > 0; d /= 2) v += __shfl_xor_sync(~0u, v, d);
    return v;
}

/* One row of which this lane has v(0), ..., v(COLUMNS-1), where inside(j), and LANES neighbours the rest: `numbers` in all.
 * The first of them writes where keep is true. All lanes of the warp come here. */
template <int COLUMNS, int LANES, class T, class Value, class Inside>
__device__ __forceinline__ void strip_of(const strips<T> &s, int row, int strip, int numbers, bool keep, Value v, Inside inside) {
    T sum = 0, squares = 0;
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) sum += inside(j) ? v(j) : T(0);
    const T mean = numbers > 0 ? lanes_sum<LANES>(sum) / (T)numbers : T(0);
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) squares += inside(j) ? (v(j) - mean) * (v(j) - mean) : T(0);
    squares = lanes_sum<LANES>(squares);
    if (keep && threadIdx.x % LANES == 0) s.put(row, strip, numbers, mean, squares);
}
#endif
