/* The layout of steps 6 to 8: channels last. The channels of a pixel stand side by side, padded with zeros to a multiple of
 * 4: a tap of 4 channels is 16 bytes in a row, one cp.async, inside of the image or outside of it as a whole. In a network
 * the activations would stay in this layout; here two small kernels bring x and w into it, and y leaves it. */
#ifndef MIEN_CUDA_LADDER_CHANNELS_LAST_CUH
#define MIEN_CUDA_LADDER_CHANNELS_LAST_CUH
#include "cuda/ladder/pipeline.cuh"

struct channels_last {
    int C, K;       /* padded to a multiple of 4 */
    float *x, *w;   /* (N,H,W,C) and (9,C,K), in the scratch memory */
};
static inline channels_last channels_last_of(const ladder_conv &v) {
    const int C = ladder_up(v.C, 4);
    return {C, ladder_up(v.K, 4), v.scratch, v.scratch + (int64_t)v.N * v.H * v.W * C};
}

static __global__ void image_to_channels_last(ladder_conv v, channels_last to) {
    const int64_t pixels = (int64_t)v.H * v.W, e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= v.N * pixels * to.C) return;
    const int64_t c = e % to.C, at = e / to.C, n = at / pixels;
    to.x[e] = c < v.C ? v.x[(n * v.C + c) * pixels + at % pixels] : 0.f;
}
/* TURNED: by half a turn and with the two kinds of channels exchanged, which step 8 wants. */
template <bool TURNED> __global__ void weights_to_channels_last(ladder_conv v, channels_last to) {
    const int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= (int64_t)9 * to.C * to.K) return;
    const int64_t k = e % to.K, c = e / to.K % to.C, tap = e / to.K / to.C;
    const int64_t from = TURNED ? (c * v.K + k) * 9 + 8 - tap : (k * v.C + c) * 9 + tap;
    to.w[e] = k < v.K && c < v.C ? v.w[from] : 0.f;
}
template <bool TURNED> cudaError_t to_channels_last(cudaStream_t stream, const ladder_conv &v, const channels_last &to) {
    const int64_t numbers = (int64_t)v.N * v.H * v.W * to.C, weights = (int64_t)9 * to.C * to.K;
    const cudaError_t e = MN_LAUNCH(image_to_channels_last, ladder_tiles(numbers, 256), 256, 0, stream, v, to);
    if (e != cudaSuccess) return e;
    return MN_LAUNCH(weights_to_channels_last<TURNED>, ladder_tiles(weights, 256), 256, 0, stream, v, to);
}
#endif
