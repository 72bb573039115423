/* The kernel of steps 7 and 8 of the product: block (x, y, z) computes tile (x, y) from slice z of K. */
#ifndef MIEN_CUDA_LADDER_GEMM_7_CUH
#define MIEN_CUDA_LADDER_GEMM_7_CUH
#include "cuda/ladder/pipeline.cuh"

/* WIDE floats are copied at a time: 4 where all rows of a and b begin at a multiple of 16 bytes, else 1. */
template <int WIDE> __global__ void __launch_bounds__(128) gemm_pipeline(ladder_gemm g, int slice, float *to) {
    __shared__ pipeline_buffers s;
    const int t = (int)threadIdx.x, i0 = (int)blockIdx.y * 64, j0 = (int)blockIdx.x * 64;
    const int from = (int)blockIdx.z * slice, end = g.K - from < slice ? g.K : from + slice;
    float sum[2][4][4] = {};
    const auto fetch = [&](int stage, int slab) {
        const int k0 = from + slab * 16;
        for (int e = t * WIDE; e < 64 * 16; e += 128 * WIDE) {
            const int i = e / 16, k = e % 16, kb = e / 64, j = e % 64;
            const int in_a = i0 + i < g.M ? end - k0 - k : 0, in_b = k0 + kb < end ? g.N - j0 - j : 0;
            copy_floats<WIDE>(&s.left[stage][swizzled_left(i, k)], in_a > 0 ? &g.a[(int64_t)(i0 + i) * g.K + k0 + k] : g.a, in_a);
            copy_floats<WIDE>(&s.right[stage][swizzled_right(kb, j)], in_b > 0 ? &g.b[(int64_t)(k0 + kb) * g.N + j0 + j] : g.b, in_b);
        }
    };
    run_pipeline(s, (end - from + 15) / 16, fetch, [](int m) { return m; }, sum);
    float *const own = to + (int64_t)blockIdx.z * g.M * g.N;
    each_sum(sum, [&](int i, int j, float v) {
        if (i0 + i < g.M && j0 + j < g.N) own[(int64_t)(i0 + i) * g.N + j0 + j] = v;
    });
}

static inline cudaError_t launch_pipeline(cudaStream_t stream, const ladder_gemm &g, int slices, int slice, float *to) {
    const dim3 grid(ladder_tiles(g.N, 64), ladder_tiles(g.M, 64), (unsigned)slices);
    const bool wide = g.K % 4 == 0 && g.N % 4 == 0;
    return MN_LAUNCH((wide ? gemm_pipeline<4> : gemm_pipeline<1>), grid, 128, 0, stream, g, slice, to);
}
#endif
