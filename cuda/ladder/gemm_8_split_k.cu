/* GEMM, step 8: slices of K, and what follows the product. A layer of 256 outputs at batch 32 has 4 tiles of 64x64: four
 * blocks, on a GPU that runs hundreds, each with a long way to go along K. So K is cut into slices, a block each, and a
 * second kernel adds their sums, in order: atomic additions would give other digits in every run. It also does what comes
 * after a product in a network, c = max(0, sum + bias), while the numbers are in registers: two passes over c saved. */
#include "cuda/ladder/gemm_7_pipeline.cuh"

__global__ void gemm_finish_slices(ladder_gemm g, int slices) {
    const int64_t count = (int64_t)g.M * g.N, k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= count) return;
    float sum = g.bias ? g.bias[k % g.N] : 0.f;
    for (int s = 0; s < slices; s++) sum += g.scratch[s * count + k];
    g.c[k] = g.relu && sum < 0 ? 0.f : sum;
}

cudaError_t ladder_gemm_8(cudaStream_t stream, const ladder_gemm &g) {
    const int slice = ladder_up((g.K + LADDER_SLICES - 1) / LADDER_SLICES, 16), slices = (int)ladder_tiles(g.K, slice);
    const cudaError_t e = launch_pipeline(stream, g, slices, slice, g.scratch);
    if (e != cudaSuccess) return e;
    return MN_LAUNCH(gemm_finish_slices, ladder_tiles((int64_t)g.M * g.N, 256), 256, 0, stream, g, slices);
}
