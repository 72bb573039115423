/* GEMM, step 6: tensor cores. One instruction of a warp multiplies a (16,8) by b (8,8), both rounded to tf32 (11
 * significant bits), and adds to 16x8 sums in f32: 1024 multiply-adds. The 32 threads hold the matrices between them, as
 * cuda/mn_cuda.h says. A block of 4 warps computes 64x64, each warp 32x32: 2x4 such products for 8 values of k.
 * The fragments are read number by number from shared memory as it comes: rows of 16 numbers of a put four of the eight
 * rows that a fragment takes into the same bank, and the four rows of b all meet (EMU_COUNT=1 shows it). Step 7. */
#include "cuda/ladder/ladder.cuh"

__global__ void __launch_bounds__(128) gemm_tensor_core(ladder_gemm g) {
    __shared__ float left[64][16], right[16][64];
    const int t = (int)threadIdx.x, lane = t % 32, row = lane / 4, q = lane % 4;
    const int i0 = (int)blockIdx.y * 64, j0 = (int)blockIdx.x * 64, wi = t / 64 * 32, wj = t / 32 % 2 * 32;
    float sum[2][4][4] = {};
    for (int k0 = 0; k0 < g.K; k0 += 16) {
        for (int e = t; e < 64 * 16; e += 128) {
            const int i = e / 16, k = e % 16, kb = e / 64, j = e % 64;
            left[i][k] = i0 + i < g.M && k0 + k < g.K ? g.a[(int64_t)(i0 + i) * g.K + k0 + k] : 0.f;
            right[kb][j] = k0 + kb < g.K && j0 + j < g.N ? g.b[(int64_t)(k0 + kb) * g.N + j0 + j] : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 16; k += 8) {
            uint32_t a[2][4], b[4][2];
            for (int i = 0; i < 2; i++)
                for (int h = 0; h < 4; h++) a[i][h] = mn_to_tf32(left[wi + 16 * i + row + h % 2 * 8][k + q + h / 2 * 4]);
            for (int j = 0; j < 4; j++)
                for (int h = 0; h < 2; h++) b[j][h] = mn_to_tf32(right[k + q + h * 4][wj + 8 * j + row]);
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 4; j++) mn_mma_tf32(sum[i][j], a[i], b[j], sum[i][j]);
        }
        __syncthreads();
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            for (int h = 0; h < 4; h++) {
                const int r = i0 + wi + 16 * i + row + h / 2 * 8, c = j0 + wj + 8 * j + 2 * q + h % 2;
                if (r < g.M && c < g.N) g.c[(int64_t)r * g.N + c] = sum[i][j][h];
            }
}

cudaError_t ladder_gemm_6(cudaStream_t stream, const ladder_gemm &g) {
    return MN_LAUNCH(gemm_tensor_core, dim3(ladder_tiles(g.N, 64), ladder_tiles(g.M, 64)), 128, 0, stream, g);
}
