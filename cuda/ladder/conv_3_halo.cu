/* Convolution, step 3: the image in shared memory, and eight outputs a thread. A tile of 16x16 outputs needs 18x18
 * pixels: the tile and a rim, its "halo". They are read once and used 9 times by each of 8 output channels, whose sums a
 * thread keeps in registers: one number of the image and 8 weights make 8 multiply-adds. Outside of the image the halo
 * is 0, so the inner loop asks no questions. */
#include "cuda/ladder/ladder.cuh"

__global__ void __launch_bounds__(256) conv_halo(ladder_conv v) {
    __shared__ float tile[18][19], weight[8][9];
    const int tx = (int)threadIdx.x % 16, ty = (int)threadIdx.x / 16, across = (v.W + 15) / 16;
    const int p0 = (int)blockIdx.x / across * 16, q0 = (int)blockIdx.x % across * 16, k0 = (int)blockIdx.y * 8, n = (int)blockIdx.z;
    float sum[8] = {};
    for (int c = 0; c < v.C; c++) {
        for (int e = (int)threadIdx.x; e < 18 * 18; e += 256) {
            const int h = p0 + e / 18 - 1, w = q0 + e % 18 - 1;
            const bool inside = h >= 0 && h < v.H && w >= 0 && w < v.W;
            tile[e / 18][e % 18] = inside ? v.x[(((int64_t)n * v.C + c) * v.H + h) * v.W + w] : 0.f;
        }
        if (threadIdx.x < 72) {
            const int k = k0 + (int)threadIdx.x / 9, tap = (int)threadIdx.x % 9;
            weight[threadIdx.x / 9][tap] = k < v.K ? v.w[((int64_t)k * v.C + c) * 9 + tap] : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int tap = 0; tap < 9; tap++) {
            const float x = tile[ty + tap / 3][tx + tap % 3];
#pragma unroll
            for (int k = 0; k < 8; k++) sum[k] += x * weight[k][tap];
        }
        __syncthreads();
    }
    if (p0 + ty >= v.H || q0 + tx >= v.W) return;
#pragma unroll
    for (int k = 0; k < 8; k++)
        if (k0 + k < v.K) v.y[(((int64_t)n * v.K + k0 + k) * v.H + p0 + ty) * v.W + q0 + tx] = sum[k];
}

cudaError_t ladder_conv_3(cudaStream_t stream, const ladder_conv &v) {
    const dim3 grid(ladder_tiles(v.H, 16) * ladder_tiles(v.W, 16), ladder_tiles(v.K, 8), (unsigned)v.N);
    return MN_LAUNCH(conv_halo, grid, 256, 0, stream, v);
}
