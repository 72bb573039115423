/* Convolution, step 1: the definition. A thread an output, 9*C products each; what lies outside of x is 0.
 * Threads that follow each other take channels k that follow each other, so a warp reads 32 weights that stand 9*C apart
 * and writes 32 outputs that stand H*W apart: 32 sectors of 32 bytes for 128 bytes. */
#include "cuda/ladder/ladder.cuh"

__global__ void conv_naive(ladder_conv v) {
    const int k = (int)(blockIdx.x * blockDim.x + threadIdx.x), pixel = (int)blockIdx.y, n = (int)blockIdx.z;
    const int p = pixel / v.W, q = pixel % v.W;
    if (k >= v.K) return;
    float sum = 0;
    for (int c = 0; c < v.C; c++)
        for (int r = 0; r < 3; r++)
            for (int s = 0; s < 3; s++) {
                const int h = p + r - 1, w = q + s - 1;
                if (h < 0 || h >= v.H || w < 0 || w >= v.W) continue;
                sum += v.x[(((int64_t)n * v.C + c) * v.H + h) * v.W + w] * v.w[((int64_t)k * v.C + c) * 9 + r * 3 + s];
            }
    v.y[((int64_t)n * v.K + k) * v.H * v.W + pixel] = sum;
}

cudaError_t ladder_conv_1(cudaStream_t stream, const ladder_conv &v) {
    return MN_LAUNCH(conv_naive, dim3(ladder_tiles(v.K, 32), (unsigned)(v.H * v.W), (unsigned)v.N), 32, 0, stream, v);
}
