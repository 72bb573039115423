/* GEMM, step 4: sums in registers. Step 3 still reads two numbers of shared memory for each multiply-add. Here a thread
 * has 8x8 outputs: for each k it reads 8 numbers of a and 8 of b, four to an instruction (float4), and makes 64
 * multiply-adds of them. A block of 256 threads computes 128x128; a stands transposed in shared memory, so that its 8
 * numbers lie side by side. */
#include "cuda/ladder/ladder.cuh"

__global__ void __launch_bounds__(256) gemm_registers_8x8(ladder_gemm g) {
    __shared__ __align__(16) float left[8][128], right[8][128];
    const int t = (int)threadIdx.x, i0 = (int)blockIdx.y * 128, j0 = (int)blockIdx.x * 128;
    const int ti = t / 16 * 8, tj = t % 16 * 8;
    float sum[8][8] = {};
    for (int k0 = 0; k0 < g.K; k0 += 8) {
        for (int e = t; e < 8 * 128; e += 256) {
            const int k = e % 8, i = e / 8;
            left[k][i] = i0 + i < g.M && k0 + k < g.K ? g.a[(int64_t)(i0 + i) * g.K + k0 + k] : 0.f;
        }
        for (int e = t; e < 8 * 128; e += 256) {
            const int k = e / 128, j = e % 128;
            right[k][j] = k0 + k < g.K && j0 + j < g.N ? g.b[(int64_t)(k0 + k) * g.N + j0 + j] : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 8; k++) {
            __align__(16) float a[8], b[8]; /* written four at a time */
            for (int h = 0; h < 8; h += 4) {
                *reinterpret_cast<float4 *>(a + h) = *reinterpret_cast<const float4 *>(&left[k][ti + h]);
                *reinterpret_cast<float4 *>(b + h) = *reinterpret_cast<const float4 *>(&right[k][tj + h]);
            }
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) sum[i][j] += a[i] * b[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++)
            if (i0 + ti + i < g.M && j0 + tj + j < g.N) g.c[(int64_t)(i0 + ti + i) * g.N + j0 + tj + j] = sum[i][j];
}

cudaError_t ladder_gemm_4(cudaStream_t stream, const ladder_gemm &g) {
    return MN_LAUNCH(gemm_registers_8x8, dim3(ladder_tiles(g.N, 128), ladder_tiles(g.M, 128)), 256, 0, stream, g);
}
