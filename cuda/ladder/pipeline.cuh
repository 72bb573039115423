/* What the last steps of both ladders share: 64x64 sums of a block of 4 warps from slabs of 16 values of k, in shared
 * memory without bank conflicts and without padding.
 *
 * Swizzling: 16 bytes ("a chunk", 4 numbers) is what cp.async copies and what ldmatrix reads, so chunks are what may be
 * moved. Row m of the left slab has 4 chunks; chunk c of it is kept at place c ^ (m/2 % 4). The 8 rows that ldmatrix takes
 * at once then lie in 8 different groups of 4 banks. Row k of the right slab has 16 chunks; chunk c is kept at place
 * c ^ 2*(k % 4): the four rows of k that a fragment takes are 8 banks apart. */
#ifndef MIEN_CUDA_LADDER_PIPELINE_CUH
#define MIEN_CUDA_LADDER_PIPELINE_CUH
#include "cuda/ladder/ladder.cuh"

__device__ __forceinline__ int swizzled_left(int m, int k) { return m * 16 + ((k / 4 ^ m / 2 % 4) * 4 | k % 4); }
__device__ __forceinline__ int swizzled_right(int k, int n) { return k * 64 + ((n / 4 ^ k % 4 * 2) * 4 | n % 4); }

/* Copies COUNT floats asynchronously; those from `valid` on become 0. */
template <int COUNT> __device__ __forceinline__ void copy_floats(float *to, const float *from, int valid) {
    mn_cp_async<4 * COUNT>(to, from, 4 * (valid < 0 ? 0 : valid < COUNT ? valid : COUNT));
}

/* sum += left right for the 32x32 outputs of this warp. row_of(m) says which row of the left slab row m of the tile is. */
template <class Row>
__device__ __forceinline__ void multiply_swizzled(const float *left, Row row_of, const float *right, float (&sum)[2][4][4]) {
    const int t = (int)threadIdx.x, lane = t % 32, g = lane / 4, q = lane % 4, wi = t / 64 * 32, wj = t / 32 % 2 * 32;
#pragma unroll
    for (int k = 0; k < 16; k += 8) {
        uint32_t a[2][4], b[4][2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            mn_ldmatrix4(a[i], &left[swizzled_left(row_of(wi + 16 * i + lane % 16), k + lane / 16 * 4)]);
            for (int h = 0; h < 4; h++) a[i][h] = mn_to_tf32(__uint_as_float(a[i][h]));
        }
#pragma unroll
        for (int j = 0; j < 4; j++)
            for (int h = 0; h < 2; h++) b[j][h] = mn_to_tf32(right[swizzled_right(k + q + h * 4, wj + 8 * j + g)]);
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) mn_mma_tf32(sum[i][j], a[i], b[j], sum[i][j]);
    }
}

/* Calls put(m, n, v) for each of this thread's sums. */
template <class Put> __device__ __forceinline__ void each_sum(const float (&sum)[2][4][4], Put put) {
    const int t = (int)threadIdx.x, lane = t % 32, wi = t / 64 * 32, wj = t / 32 % 2 * 32;
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int h = 0; h < 4; h++)
                put(wi + 16 * i + lane / 4 + h / 2 * 8, wj + 8 * j + lane % 4 * 2 + h % 2, sum[i][j][h]);
}

constexpr int STAGES = 3;
struct pipeline_buffers {
    __align__(16) float left[STAGES][64 * 16];
    __align__(16) float right[STAGES][16 * 64];
};
/* The loop over `slabs` slabs: fetch(stage, slab) starts the copies of a slab into a stage. Two are always on their way
 * while a third is multiplied; the stage that is filled next is the one that was multiplied before the barrier. */
template <class Fetch, class Row>
__device__ __forceinline__ void run_pipeline(pipeline_buffers &s, int slabs, Fetch fetch, Row row_of, float (&sum)[2][4][4]) {
    for (int k = 0; k < STAGES - 1; k++) {
        if (k < slabs) fetch(k, k);
        mn_cp_async_commit(); /* an empty group keeps the count right */
    }
    for (int k = 0; k < slabs; k++) {
        mn_cp_async_wait<STAGES - 2>();
        __syncthreads();
        if (k + STAGES - 1 < slabs) fetch((k + STAGES - 1) % STAGES, k + STAGES - 1);
        mn_cp_async_commit();
        multiply_swizzled(s.left[k % STAGES], row_of, s.right[k % STAGES], sum);
    }
}
#endif
