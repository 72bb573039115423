/* GEMM, step 3: tiles in shared memory. The 16x16 outputs of a block need the same 16 rows of a and 16 columns of b. For
 * 16 values of k at a time each thread brings one number of both; after a barrier all use all of them. A number is read
 * from global memory once for 16 multiply-adds. The second barrier keeps the fast threads from overwriting what the slow
 * ones still read. What lies outside of a and b is 0. */
#include "cuda/ladder/ladder.cuh"

__global__ void __launch_bounds__(256) gemm_shared(ladder_gemm g) {
    __shared__ float left[16][16], right[16][16];
    const int tx = (int)threadIdx.x, ty = (int)threadIdx.y, i = (int)blockIdx.y * 16 + ty, j = (int)blockIdx.x * 16 + tx;
    float sum = 0;
    for (int k0 = 0; k0 < g.K; k0 += 16) {
        left[ty][tx] = i < g.M && k0 + tx < g.K ? g.a[(int64_t)i * g.K + k0 + tx] : 0.f;
        right[ty][tx] = k0 + ty < g.K && j < g.N ? g.b[(int64_t)(k0 + ty) * g.N + j] : 0.f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 16; k++) sum += left[ty][k] * right[k][tx];
        __syncthreads();
    }
    if (i < g.M && j < g.N) g.c[(int64_t)i * g.N + j] = sum;
}

cudaError_t ladder_gemm_3(cudaStream_t stream, const ladder_gemm &g) {
    return MN_LAUNCH(gemm_shared, dim3(ladder_tiles(g.N, 16), ladder_tiles(g.M, 16)), dim3(16, 16), 0, stream, g);
}
