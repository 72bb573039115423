/* GEMM, step 1: the definition. A thread an output, c[i,j] = sum_k a[i,k] b[k,j].
 * Threads that follow each other take rows that follow each other. So the 32 threads of a warp read 32 numbers of a that
 * stand K apart, and write 32 numbers of c that stand N apart: 32 sectors of 32 bytes each, of which 4 bytes are used.
 * 2 reads a multiply-add. */
#include "cuda/ladder/ladder.cuh"

__global__ void gemm_naive(ladder_gemm g) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), j = (int)blockIdx.y;
    if (i >= g.M) return;
    float sum = 0;
    for (int k = 0; k < g.K; k++) sum += g.a[(int64_t)i * g.K + k] * g.b[(int64_t)k * g.N + j];
    g.c[(int64_t)i * g.N + j] = sum;
}

cudaError_t ladder_gemm_1(cudaStream_t stream, const ladder_gemm &g) {
    return MN_LAUNCH(gemm_naive, dim3(ladder_tiles(g.M, 256), (unsigned)g.N), 256, 0, stream, g);
}
