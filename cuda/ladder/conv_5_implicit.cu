/* Convolution, step 5: the product without the matrix ("implicit GEMM"). Row (c,r,s) of column (n,p,q) is
 * x[n,c,p+r-1,q+s-1]: whoever needs it can look it up. The tiled product stays as it is; only the line that reads the
 * right factor changes, and nothing is written down. One launch does all images: their pixels follow each other as
 * columns. cuda/conv2d_implicit.cu is this for every stride, dilation and group, and for both gradients. */
#include "cuda/ladder/ladder.cuh"

__global__ void __launch_bounds__(256) conv_implicit(ladder_conv v) {
    __shared__ __align__(16) float left[8][68], right[8][64];
    const int t = (int)threadIdx.x, pixels = v.H * v.W, taps = 9 * v.C, columns = v.N * pixels;
    const int i0 = (int)blockIdx.y * 64, j0 = (int)blockIdx.x * 64, ti = t / 16 * 4, tj = t % 16 * 4;
    const int column = j0 + t % 64, n = column / pixels, p = column % pixels / v.W, q = column % v.W; /* the same all along */
    const float *const image = v.x + (int64_t)n * v.C * pixels;
    float sum[4][4] = {};
    for (int k0 = 0; k0 < taps; k0 += 8) {
        for (int e = t; e < 8 * 64; e += 256) {
            const int k = e % 8, i = e / 8;
            left[k][i] = i0 + i < v.K && k0 + k < taps ? v.w[(int64_t)(i0 + i) * taps + k0 + k] : 0.f;
        }
        for (int k = t / 64; k < 8; k += 4) {
            const int row = k0 + k, c = row / 9, h = p + row % 9 / 3 - 1, w = q + row % 3 - 1;
            const bool inside = column < columns && row < taps && h >= 0 && h < v.H && w >= 0 && w < v.W;
            right[k][t % 64] = inside ? image[((int64_t)c * v.H + h) * v.W + w] : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 8; k++) {
            __align__(16) float a[4], b[4];
            *reinterpret_cast<float4 *>(a) = *reinterpret_cast<const float4 *>(&left[k][ti]);
            *reinterpret_cast<float4 *>(b) = *reinterpret_cast<const float4 *>(&right[k][tj]);
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] += a[i] * b[j];
        }
        __syncthreads();
    }
    for (int j = 0; j < 4; j++) {
        const int to = j0 + tj + j;
        for (int i = 0; i < 4; i++)
            if (to < columns && i0 + ti + i < v.K)
                v.y[((int64_t)(to / pixels) * v.K + i0 + ti + i) * pixels + to % pixels] = sum[i][j];
    }
}

cudaError_t ladder_conv_5(cudaStream_t stream, const ladder_conv &v) {
    return MN_LAUNCH(conv_implicit, dim3(ladder_tiles((int64_t)v.N * v.H * v.W, 64), ladder_tiles(v.K, 64)), 256, 0, stream, v);
}
