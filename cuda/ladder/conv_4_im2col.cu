/* Convolution, step 4: as a product of matrices. Every window of an image is written down as a column: 9*C rows, H*W
 * columns ("im2col"). Then y = w (K, 9*C) times that, and step 4 of the product's ladder does the work. What it costs: a
 * matrix nine times the image is written and read again, 72 bytes for each number of x. */
#include "cuda/ladder/ladder.cuh"

__global__ void conv_columns(ladder_conv v, int n, float *columns) {
    const int64_t pixels = (int64_t)v.H * v.W, e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= 9 * v.C * pixels) return;
    const int pixel = (int)(e % pixels), row = (int)(e / pixels), c = row / 9, r = row % 9 / 3, s = row % 3;
    const int h = pixel / v.W + r - 1, w = pixel % v.W + s - 1;
    const bool inside = h >= 0 && h < v.H && w >= 0 && w < v.W;
    columns[e] = inside ? v.x[(((int64_t)n * v.C + c) * v.H + h) * v.W + w] : 0.f;
}

cudaError_t ladder_conv_4(cudaStream_t stream, const ladder_conv &v) {
    const int pixels = v.H * v.W;
    cudaError_t e = cudaSuccess;
    for (int n = 0; n < v.N && e == cudaSuccess; n++) { /* an image at a time: the matrix is large */
        ladder_gemm g = {};
        g.M = v.K, g.N = pixels, g.K = 9 * v.C, g.a = v.w, g.b = v.scratch, g.c = v.y + (int64_t)n * v.K * pixels;
        e = MN_LAUNCH(conv_columns, ladder_tiles((int64_t)g.K * pixels, 256), 256, 0, stream, v, n, v.scratch);
        if (e == cudaSuccess) e = ladder_gemm_4(stream, g);
    }
    return e;
}
