/* Convolution, step 2: coalesced. A block has one output channel, and threads that follow each other take pixels that
 * follow each other: neighbours read and write neighbours. All of a block need the same weights, which come through
 * shared memory, 64 channels at a time. */
#include "cuda/ladder/ladder.cuh"

__global__ void __launch_bounds__(128) conv_coalesced(ladder_conv v) {
    __shared__ float weight[64 * 9];
    const int pixel = (int)(blockIdx.x * 128 + threadIdx.x), k = (int)blockIdx.y, n = (int)blockIdx.z;
    const int p = pixel / v.W, q = pixel % v.W;
    float sum = 0;
    for (int c0 = 0; c0 < v.C; c0 += 64) {
        const int channels = v.C - c0 < 64 ? v.C - c0 : 64;
        for (int e = (int)threadIdx.x; e < channels * 9; e += 128) weight[e] = v.w[((int64_t)k * v.C + c0) * 9 + e];
        __syncthreads();
        for (int c = 0; c < channels && p < v.H; c++)
            for (int r = 0; r < 3; r++)
                for (int s = 0; s < 3; s++) {
                    const int h = p + r - 1, w = q + s - 1;
                    if (h < 0 || h >= v.H || w < 0 || w >= v.W) continue;
                    sum += v.x[(((int64_t)n * v.C + c0 + c) * v.H + h) * v.W + w] * weight[c * 9 + r * 3 + s];
                }
        __syncthreads();
    }
    if (p < v.H) v.y[((int64_t)n * v.K + k) * v.H * v.W + pixel] = sum;
}

cudaError_t ladder_conv_2(cudaStream_t stream, const ladder_conv &v) {
    return MN_LAUNCH(conv_coalesced, dim3(ladder_tiles((int64_t)v.H * v.W, 128), (unsigned)v.K, (unsigned)v.N), 128, 0, stream, v);
}
