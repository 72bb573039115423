/* Convolution, step 6: tensor cores. Step 5 with the pipeline of the product's step 7, channels last: rows are pixels,
 * columns output channels, and K runs over (tap, channel). 16 bytes of a row are 4 channels of one pixel at one tap:
 * cp.async copies them, or zeros where the tap looks outside of the image. A tile is 64 pixels by 64 channels. */
#include "cuda/ladder/channels_last.cuh"

__global__ void __launch_bounds__(128) conv_tensor_core(ladder_conv v, channels_last l) {
    __shared__ pipeline_buffers s;
    const int t = (int)threadIdx.x, pixels = v.H * v.W, rows = v.N * pixels, taps = 9 * l.C;
    const int i0 = (int)blockIdx.x * 64, j0 = (int)blockIdx.y * 64;
    float sum[2][4][4] = {};
    const auto fetch = [&](int stage, int slab) {
        for (int e = t * 4; e < 64 * 16; e += 512) {
            const int i = i0 + e / 16, k = slab * 16 + e % 16, tap = k / l.C, p = i % pixels / v.W, q = i % v.W;
            const int h = p + tap / 3 - 1, w = q + tap % 3 - 1;
            const bool inside = i < rows && k < taps && h >= 0 && h < v.H && w >= 0 && w < v.W;
            const int64_t at = (((int64_t)(i / pixels) * v.H + h) * v.W + w) * l.C + k % l.C;
            copy_floats<4>(&s.left[stage][swizzled_left(e / 16, e % 16)], inside ? &l.x[at] : l.x, inside ? 4 : 0);
            const int kb = slab * 16 + e / 64, j = j0 + e % 64;
            const bool any = kb < taps && j < l.K;
            copy_floats<4>(&s.right[stage][swizzled_right(e / 64, e % 64)], any ? &l.w[(int64_t)kb * l.K + j] : l.w, any ? 4 : 0);
        }
    };
    run_pipeline(s, (taps + 15) / 16, fetch, [](int m) { return m; }, sum);
    each_sum(sum, [&](int i, int j, float value) {
        if (i0 + i >= rows || j0 + j >= v.K) return;
        v.y[((int64_t)((i0 + i) / pixels) * v.K + j0 + j) * pixels + (i0 + i) % pixels] = value;
    });
}

cudaError_t ladder_conv_6(cudaStream_t stream, const ladder_conv &v) {
    const channels_last l = channels_last_of(v);
    const dim3 grid(ladder_tiles((int64_t)v.N * v.H * v.W, 64), ladder_tiles(v.K, 64));
    const cudaError_t e = to_channels_last<false>(stream, v, l);
    return e != cudaSuccess ? e : MN_LAUNCH(conv_tensor_core, grid, 128, 0, stream, v, l);
}
