/* What a batch adds to the sums of an epoch, shared by tally.cu and cross_entropy.cu. */
#ifndef MIEN_CUDA_TALLY_CUH
#define MIEN_CUDA_TALLY_CUH
#include "cuda/reduce.cuh"
#include "layers/tally.h"

/* The place of the largest of row[0..K-1], of equal ones the first, in every lane of a warp. NaN counts as in
 * for (k = 1; k < K; k++) if (row[k] > row[best]) best = k: only the first number can win by being none. */
template <class T> __device__ __forceinline__ int64_t warp_largest(const T *row, int64_t K) {
    T v = (T)-INFINITY;
    int64_t best = 0;
    for (int64_t k = threadIdx.x % 32; k < K; k += 32)
        if (row[k] > v) v = row[k], best = k;
    for (int d = 16; d > 0; d /= 2) {
        const T other = __shfl_xor_sync(~0u, v, d);
        const int64_t at = __shfl_xor_sync(~0u, best, d);
        if (other > v || (other == v && at < best)) v = other, best = at;
    }
    return row[0] == row[0] ? best : 0;
}

/* By one thread. */
__device__ __forceinline__ void tally_store(double *sum, double loss, double right, double of) {
    sum[MN__TALLY_LOSS] += loss * of;
    sum[MN__TALLY_RIGHT] += right;
    sum[MN__TALLY_OF] += of;
    sum[MN__TALLY_BATCHES]++;
    if (!isfinite(loss) && sum[MN__TALLY_NOT_FINITE] == 0) sum[MN__TALLY_NOT_FINITE] = sum[MN__TALLY_BATCHES];
}
#endif
