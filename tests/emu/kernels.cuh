/* Ordinary kernels, one idea each, for the emulator's tests. They compile with nvcc too. */
#ifndef MN_TESTS_EMU_KERNELS_CUH
#define MN_TESTS_EMU_KERNELS_CUH
#include "cuda/mn_cuda.h"

/* y += a * x, n elements; a thread for each. */
__global__ void axpy(int n, float a, const float *x, float *y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}

/* The sum of v over a block of up to 1024 threads, in thread 0: shuffles in each warp, then one warp for the
 * rest. */
template <class T> __device__ T block_sum(T v) {
    __shared__ T part[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
    if (lane == 0) part[warp] = v;
    __syncthreads();
    if (warp == 0) {
        v = lane < (int)blockDim.x / 32 ? part[lane] : T(0);
        for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
    }
    return v;
}

/* y = sum of x[0..n) in one launch, the same bits every time: each block leaves its part, the block that
 * comes last (by ticket) adds the parts in block order. ticket is 0 before and after. */
template <class T> __global__ void sum_all(int n, const T *x, T *part, unsigned *ticket, T *y) {
    __shared__ bool last;
    T s = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) s += x[i];
    s = block_sum(s);
    if (threadIdx.x == 0) {
        part[blockIdx.x] = s;
        __threadfence();
        last = atomicAdd(ticket, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last || threadIdx.x != 0) return;
    __threadfence();
    T total = 0;
    for (int b = 0; b < (int)gridDim.x; b++) total += part[b];
    *y = total;
    *ticket = 0;
}

/* y (C,R) = transpose of x (R,C) through a 32x32 tile; PAD = 1 keeps the column reads free of bank conflicts.
 * Block (32,8). */
template <int PAD> __global__ void transpose(int R, int C, const float *x, float *y) {
    __shared__ float tile[32][32 + PAD];
    int r0 = blockIdx.y * 32, c0 = blockIdx.x * 32, tx = threadIdx.x;
    for (int i = threadIdx.y; i < 32; i += 8)
        if (r0 + i < R && c0 + tx < C) tile[i][tx] = x[(r0 + i) * C + c0 + tx];
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += 8)
        if (c0 + i < C && r0 + tx < R) y[(c0 + i) * R + r0 + tx] = tile[tx][i];
}

/* c (M,N) = a (M,K) * b (K,N); a thread for each output, 32x32 tiles in shared memory. Block (32,32). */
template <class T>
__global__ void __launch_bounds__(1024) gemm_tiled(int M, int N, int K, const T *a, const T *b, T *c) {
    __shared__ T as[32][33], bs[32][33];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * 32 + ty, col = blockIdx.x * 32 + tx;
    T s = 0;
    for (int k0 = 0; k0 < K; k0 += 32) {
        as[ty][tx] = row < M && k0 + tx < K ? a[row * K + k0 + tx] : T(0);
        bs[ty][tx] = k0 + ty < K && col < N ? b[(k0 + ty) * N + col] : T(0);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 32; k++) s += as[ty][k] * bs[k][tx];
        __syncthreads();
    }
    if (row < M && col < N) c[row * N + col] = s;
}

/* The same with 8x4 outputs in the registers of a thread: 64x64 tiles, k in slices of 16. Block 128, shared
 * GEMM_REGISTERS_SHARED bytes. */
constexpr int GEMM_REGISTERS_SHARED = (16 * 68 + 16 * 64) * 4;
__global__ void __launch_bounds__(128)
    gemm_registers(int M, int N, int K, const float *a, const float *b, float *c) {
    float *as = mn_dynamic_shared<float>(),
          *bs = as + 16 * 68; /* as[k][m], rows of 68: fewer bank conflicts */
    int t = threadIdx.x, tr = t / 16 * 8, tc = t % 16 * 4, r0 = blockIdx.y * 64, c0 = blockIdx.x * 64;
    float acc[8][4] = {};
    for (int k0 = 0; k0 < K; k0 += 16) {
        for (int i = t; i < 16 * 64; i += 128) {
            int k = i % 16, m = i / 16;
            as[k * 68 + m] = r0 + m < M && k0 + k < K ? __ldg(&a[(r0 + m) * K + k0 + k]) : 0.f;
        }
        for (int i = t; i < 16 * 64; i += 128) {
            int k = i / 64, n = i % 64;
            bs[k * 64 + n] = k0 + k < K && c0 + n < N ? __ldg(&b[(k0 + k) * N + c0 + n]) : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 16; k++) {
            float4 v = *reinterpret_cast<const float4 *>(&bs[k * 64 + tc]);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float u = as[k * 68 + tr + i];
                acc[i][0] += u * v.x, acc[i][1] += u * v.y, acc[i][2] += u * v.z, acc[i][3] += u * v.w;
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++)
            if (r0 + tr + i < M && c0 + tc + j < N) c[(r0 + tr + i) * N + c0 + tc + j] = acc[i][j];
}

/* The same on tensor cores in tf32, with the next slice on its way while one is multiplied. Four warps, each
 * 16x32 of a 32x64 tile; k in slices of 16, two stages. Any M; rows of a and b are copied in pieces of 4: K
 * and N % 4 == 0. */
__global__ void __launch_bounds__(128)
    gemm_tf32(int M, int N, int K, const float *a, const float *b, float *c) {
    __shared__ __align__(16) float as[2][32][20],
        bs[2][16][72]; /* padded: fragments without bank conflicts */
    int t = threadIdx.x, lane = t % 32, warp = t / 32, g = lane / 4, q = lane % 4;
    int r0 = blockIdx.y * 32, c0 = blockIdx.x * 64, wr = warp / 2 * 16, wc = warp % 2 * 32;
    auto load = [&](int stage, int k0) {
        int m = t / 4, k = t % 4 * 4;
        bool in = r0 + m < M && k0 + k < K;
        mn_cp_async<16>(&as[stage][m][k], in ? &a[(r0 + m) * K + k0 + k] : a, in ? 16 : 0);
        for (int i = t; i < 16 * 16; i += 128) {
            int kb = i / 16, n = i % 16 * 4;
            bool inb = k0 + kb < K && c0 + n < N;
            mn_cp_async<16>(&bs[stage][kb][n], inb ? &b[(k0 + kb) * N + c0 + n] : b, inb ? 16 : 0);
        }
        mn_cp_async_commit();
    };
    float d[4][4] = {};
    load(0, 0);
    for (int k0 = 0, s = 0; k0 < K; k0 += 16, s ^= 1) {
        if (k0 + 16 < K) {
            load(s ^ 1, k0 + 16);
            mn_cp_async_wait<1>();
        } else
            mn_cp_async_wait<0>();
        __syncthreads();
        for (int k = 0; k < 16; k += 8) {
            uint32_t fa[4], fb[2];
            mn_ldmatrix4(fa, &as[s][wr + lane % 8 + lane / 8 % 2 * 8][k + lane / 16 * 4]);
            for (int i = 0; i < 4; i++) fa[i] = mn_to_tf32(__uint_as_float(fa[i]));
            for (int j = 0; j < 4; j++) {
                for (int i = 0; i < 2; i++) fb[i] = mn_to_tf32(bs[s][k + q + i * 4][wc + j * 8 + g]);
                mn_mma_tf32(d[j], fa, fb, d[j]);
            }
        }
        __syncthreads();
    }
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            int row = r0 + wr + g + i / 2 * 8, col = c0 + wc + j * 8 + 2 * q + i % 2;
            if (row < M && col < N) c[row * N + col] = d[j][i];
        }
}

/* c (16,8) = a (16,16) * b (16,8), bf16 operands, one warp; b, rows of 8, comes by the transposing ldmatrix.
 */
__global__ void __launch_bounds__(32) mma_bf16_one(const uint16_t *a, const uint16_t *b, float *c) {
    __shared__ __align__(16) uint16_t as[16][24], bs[32][8];
    int lane = threadIdx.x, g = lane / 4, q = lane % 4;
    for (int i = lane; i < 256; i += 32) as[i / 16][i % 16] = a[i];
    for (int i = lane; i < 256; i += 32) bs[i / 8][i % 8] = i < 128 ? b[i] : (uint16_t)0;
    __syncwarp();
    uint32_t fa[4], fb[4];
    float d[4] = {};
    mn_ldmatrix4(fa, &as[lane % 8 + lane / 8 % 2 * 8][lane / 16 * 8]);
    mn_ldmatrix4_trans(fb, bs[lane]);
    mn_mma_bf16(d, fa, fb, d);
    for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 8 + 2 * q + i % 2] = d[i];
}

/* y[n,k,p,q] = max(0, b[k] + sum_{c,r,s} x[n,c,p+r-1,q+s-1] * w[k,c,r,s]), H x W = P x Q. 16x16 outputs of KB
 * channels a block of 256: grid (tiles, channels / KB, N). */
template <int KB>
__global__ void __launch_bounds__(256)
    conv3x3(int C, int H, int W, int K, const float *x, const float *w, const float *b, float *y) {
    __shared__ float xs[18][19], ws[KB][9];
    int tx = threadIdx.x % 16, ty = threadIdx.x / 16, across = (W + 15) / 16;
    int p0 = blockIdx.x / across * 16, q0 = blockIdx.x % across * 16, k0 = blockIdx.y * KB, n = blockIdx.z;
    float acc[KB] = {};
    for (int c = 0; c < C; c++) {
        for (int i = threadIdx.x; i < 18 * 18; i += 256) {
            int h = p0 + i / 18 - 1, v = q0 + i % 18 - 1;
            xs[i / 18][i % 18] = h >= 0 && h < H && v >= 0 && v < W ? x[((n * C + c) * H + h) * W + v] : 0.f;
        }
        for (int i = threadIdx.x; i < KB * 9; i += 256)
            ws[i / 9][i % 9] = k0 + i / 9 < K ? w[((k0 + i / 9) * C + c) * 9 + i % 9] : 0.f;
        __syncthreads();
        for (int r = 0; r < 3; r++)
            for (int s = 0; s < 3; s++)
                for (int k = 0; k < KB; k++) acc[k] += xs[ty + r][tx + s] * ws[k][r * 3 + s];
        __syncthreads();
    }
    if (p0 + ty >= H || q0 + tx >= W) return;
    for (int k = 0; k < KB; k++)
        if (k0 + k < K) y[((n * K + k0 + k) * H + p0 + ty) * W + q0 + tx] = max(acc[k] + b[k0 + k], 0.f);
}

/* y[r,:] = softmax(x[r,:]); a warp for each row, several rows a block. */
__global__ void softmax_rows(int R, int C, const float *x, float *y) {
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= R) return; /* the whole warp */
    float top = -INFINITY, sum = 0;
    for (int i = lane; i < C; i += 32) top = max(top, x[row * C + i]);
    for (int d = 16; d > 0; d /= 2) top = max(top, __shfl_xor_sync(0xffffffffu, top, d));
    for (int i = lane; i < C; i += 32) sum += __expf(x[row * C + i] - top);
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
    for (int i = lane; i < C; i += 32) y[row * C + i] = __expf(x[row * C + i] - top) / sum;
}

/* y[i] = x[0] + ... + x[i] in each half-warp of 16; both halves under their own mask. */
__global__ void scan16(const int *x, int *y) {
    int t = threadIdx.x, lane = t % 32, v = x[t];
    unsigned mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    for (int d = 1; d < 16; d *= 2) {
        int u = __shfl_up_sync(mask, v, d, 16);
        if (lane % 16 >= d) v += u;
    }
    y[t] = v;
}

/* count[v] += how often v (0..15) is in x[0..n): in shared memory first. */
__global__ void histogram(int n, const int *x, unsigned *count) {
    __shared__ unsigned mine[16];
    if (threadIdx.x < 16) mine[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&mine[x[i]], 1u);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&count[threadIdx.x], mine[threadIdx.x]);
}

/* Votes of a warp and of the block, a matrix of the built-in variables, what each lane holds after
 * __shfl_sync. */
__global__ void votes(unsigned *y) {
    int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    unsigned odd = __ballot_sync(0xffffffffu, t & 1);
    int any = __any_sync(0xffffffffu, t == 40), all = __all_sync(0xffffffffu, t < 64);
    int ones = __syncthreads_count(t % 3 == 0), or_all = __syncthreads_or(t == 95),
        and_all = __syncthreads_and(t < 96);
    unsigned from = __shfl_sync(0xffffffffu, (unsigned)t, 5), bits = __popc(odd) + __clz(1) + __ffs(8);
    y[t] =
        odd / 2 + any * 2 + all * 4 + ones * 8 + or_all * 512 + and_all * 1024 + from * 2048 + bits * 1048576;
}
#endif
