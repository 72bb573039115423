/* GEMM, step 2: coalesced reads. The same as step 1, but threads that follow each other take columns that follow each
 * other. Now a warp reads 32 neighbours of b, one number of a for all, and writes 32 neighbours of c: 4 sectors instead
 * of 32. Still 2 reads a multiply-add. */
#include "cuda/ladder/ladder.cuh"

__global__ void gemm_coalesced(ladder_gemm g) {
    const int j = (int)(blockIdx.x * blockDim.x + threadIdx.x), i = (int)blockIdx.y;
    if (j >= g.N) return;
    float sum = 0;
    for (int k = 0; k < g.K; k++) sum += g.a[(int64_t)i * g.K + k] * g.b[(int64_t)k * g.N + j];
    g.c[(int64_t)i * g.N + j] = sum;
}

cudaError_t ladder_gemm_2(cudaStream_t stream, const ladder_gemm &g) {
    return MN_LAUNCH(gemm_coalesced, dim3(ladder_tiles(g.N, 256), (unsigned)g.M), 256, 0, stream, g);
}
