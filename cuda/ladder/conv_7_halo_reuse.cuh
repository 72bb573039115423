/* The kernel of steps 7 and 8 of the convolution. Block (x, y, n): 8x8 pixels, 64 channels, image n. */
#ifndef MIEN_CUDA_LADDER_CONV_7_CUH
#define MIEN_CUDA_LADDER_CONV_7_CUH
#include "cuda/ladder/channels_last.cuh"

static __global__ void __launch_bounds__(128) conv_halo_reuse(ladder_conv v, channels_last l) {
    __shared__ __align__(16) float halo[100 * 16], weight[2][16 * 64];
    const int t = (int)threadIdx.x, across = (v.W + 7) / 8, n = (int)blockIdx.z;
    const int p0 = (int)blockIdx.x / across * 8, q0 = (int)blockIdx.x % across * 8, j0 = (int)blockIdx.y * 64;
    float sum[2][4][4] = {};
    const auto fetch_halo = [&](int c0) { /* 10x10 pixels of 16 channels: row (h,w) of the left slab */
        for (int e = t * 4; e < 100 * 16; e += 512) {
            const int h = p0 + e / 160 - 1, w = q0 + e / 16 % 10 - 1, c = c0 + e % 16;
            const bool inside = h >= 0 && h < v.H && w >= 0 && w < v.W && c < l.C;
            const float *from = inside ? &l.x[(((int64_t)n * v.H + h) * v.W + w) * l.C + c] : l.x;
            copy_floats<4>(&halo[swizzled_left(e / 16, e % 16)], from, inside ? 4 : 0);
        }
    };
    const auto fetch_weight = [&](int tap, int c0) {
        for (int e = t * 4; e < 16 * 64; e += 512) {
            const int c = c0 + e / 64, j = j0 + e % 64;
            const bool any = c < l.C && j < l.K;
            const float *from = any ? &l.w[((int64_t)tap * l.C + c) * l.K + j] : l.w;
            copy_floats<4>(&weight[tap % 2][swizzled_right(e / 64, e % 64)], from, any ? 4 : 0);
        }
        mn_cp_async_commit();
    };
    for (int c0 = 0; c0 < l.C; c0 += 16) {
        __syncthreads(); /* all have left the halo and the weights of the channels before */
        fetch_halo(c0);
        fetch_weight(0, c0);
        for (int tap = 0; tap < 9; tap++) {
            mn_cp_async_wait<0>();
            __syncthreads();
            if (tap < 8) fetch_weight(tap + 1, c0);
            const int shift = tap / 3 * 10 + tap % 3; /* a tap is another row of the halo, nothing is copied for it */
            multiply_swizzled(halo, [=](int m) { return m / 8 * 10 + m % 8 + shift; }, weight[tap % 2], sum);
        }
    }
    each_sum(sum, [&](int i, int j, float value) {
        const int p = p0 + i / 8, q = q0 + i % 8, k = j0 + j;
        if (p >= v.H || q >= v.W || k >= v.K) return;
        if (v.bias) value += v.bias[k];
        v.y[(((int64_t)n * v.K + k) * v.H + p) * v.W + q] = v.relu && value < 0 ? 0.f : value;
    });
}

static inline cudaError_t launch_halo_reuse(cudaStream_t stream, const ladder_conv &v, const channels_last &l) {
    const dim3 grid(ladder_tiles(v.H, 8) * ladder_tiles(v.W, 8), ladder_tiles(v.K, 64), (unsigned)v.N);
    return MN_LAUNCH(conv_halo_reuse, grid, 128, 0, stream, v, l);
}
#endif
