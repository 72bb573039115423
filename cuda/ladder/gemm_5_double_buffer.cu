/* GEMM, step 5: two slabs in turn, and banks. In step 4 everybody waits while a slab is on its way, and then the memory
 * waits while it is multiplied. Here the next slab is read into registers before this one is multiplied, and put into a
 * second buffer after it: one barrier a slab instead of two, and the reads take the time of 512 multiply-adds.
 * The 8 columns of a thread become two groups of 4, 64 apart: the 16 threads of a row then read 256 bytes in a row from
 * shared memory, where in step 4 threads 4 apart met in one bank. Rows of `left` are 4 longer than needed: the 8 threads
 * that write one column of it meet 8 banks. */
#include "cuda/ladder/ladder.cuh"

struct slab_double { /* one thread's share of a slab, in registers */
    float a[4], b[4];
    __device__ __forceinline__ void read(const ladder_gemm &g, int i0, int j0, int k0) {
        const int t = (int)threadIdx.x;
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int i = i0 + t / 8 + e * 32, ka = k0 + t % 8, kb = k0 + t / 128 + e * 2, j = j0 + t % 128;
            a[e] = i < g.M && ka < g.K ? g.a[(int64_t)i * g.K + ka] : 0.f;
            b[e] = kb < g.K && j < g.N ? g.b[(int64_t)kb * g.N + j] : 0.f;
        }
    }
    __device__ __forceinline__ void store(float (*left)[132], float (*right)[128]) const {
        const int t = (int)threadIdx.x;
#pragma unroll
        for (int e = 0; e < 4; e++) left[t % 8][t / 8 + e * 32] = a[e], right[t / 128 + e * 2][t % 128] = b[e];
    }
};

__global__ void __launch_bounds__(256) gemm_double_buffer(ladder_gemm g) {
    __shared__ __align__(16) float left[2][8][132], right[2][8][128];
    const int t = (int)threadIdx.x, i0 = (int)blockIdx.y * 128, j0 = (int)blockIdx.x * 128, ti = t / 16 * 4, tj = t % 16 * 4;
    float sum[8][8] = {};
    slab_double next;
    next.read(g, i0, j0, 0);
    next.store(left[0], right[0]);
    __syncthreads();
    for (int k0 = 0, turn = 0; k0 < g.K; k0 += 8, turn ^= 1) {
        const bool more = k0 + 8 < g.K;
        if (more) next.read(g, i0, j0, k0 + 8);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            __align__(16) float a[8], b[8]; /* written four at a time */
            for (int h = 0; h < 2; h++) {
                *reinterpret_cast<float4 *>(a + 4 * h) = *reinterpret_cast<const float4 *>(&left[turn][k][ti + 64 * h]);
                *reinterpret_cast<float4 *>(b + 4 * h) = *reinterpret_cast<const float4 *>(&right[turn][k][tj + 64 * h]);
            }
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) sum[i][j] += a[i] * b[j];
        }
        if (more) next.store(left[turn ^ 1], right[turn ^ 1]);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int row = i0 + ti + i / 4 * 64 + i % 4, column = j0 + tj + j / 4 * 64 + j % 4;
            if (row < g.M && column < g.N) g.c[(int64_t)row * g.N + column] = sum[i][j];
        }
}

cudaError_t ladder_gemm_5(cudaStream_t stream, const ladder_gemm &g) {
    return MN_LAUNCH(gemm_double_buffer, dim3(ladder_tiles(g.N, 128), ladder_tiles(g.M, 128)), 256, 0, stream, g);
}
