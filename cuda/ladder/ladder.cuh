/* The ladder: the same product and the same convolution eight times each, every step with one idea more
 * (docs/ladder.md). What the steps have in common stands here; a step's function launches its kernels and returns the
 * first CUDA error. All sizes work in every step. Everything is f32 in device memory. */
#ifndef MIEN_CUDA_LADDER_CUH
#define MIEN_CUDA_LADDER_CUH
#include "cuda/mn_cuda.h"

/* c (M,N) = a (M,K) b (K,N), row-major; 2*M*N*K flop. Step 8 also adds `bias` (N) where it is given, and takes the
 * positive part where `relu`. scratch: ladder_gemm_scratch() floats. */
struct ladder_gemm {
    int M, N, K;
    const float *a, *b, *bias;
    bool relu;
    float *c, *scratch;
};
/* y[n,k,p,q] = sum_{c,r,s} x[n,c,p+r-1,q+s-1] w[k,c,r,s], r, s < 3; 0 outside of x. x (N,C,H,W), w (K,C,3,3),
 * y (N,K,H,W); 18*N*K*C*H*W flop. Step 7 also adds `bias` (K) and takes the positive part. Step 8 is the gradient of x:
 * there x is dy (N,C,H,W), y is dx (N,K,H,W), and w (C,K,3,3) the weights of the layer. scratch:
 * ladder_conv_scratch() floats. */
struct ladder_conv {
    int N, C, H, W, K;
    const float *x, *w, *bias;
    bool relu;
    float *y, *scratch;
};

constexpr int LADDER_SLICES = 8; /* of K, in step 8 of the product */
static inline int ladder_up(int n, int to) { return (n + to - 1) / to * to; }
static inline size_t ladder_gemm_scratch(const ladder_gemm &g) { return (size_t)LADDER_SLICES * (size_t)g.M * (size_t)g.N; }
static inline size_t ladder_conv_scratch(const ladder_conv &v) { /* a column matrix; or x and w with C and K padded to 4 */
    const size_t pixels = (size_t)v.H * (size_t)v.W, c = (size_t)ladder_up(v.C, 4), k = (size_t)ladder_up(v.K, 4);
    const size_t columns = 9 * (size_t)v.C * pixels, padded = (size_t)v.N * pixels * c + 18 * c * k;
    return columns > padded ? columns : padded;
}

/* One block a tile: how many along a side. */
static inline unsigned ladder_tiles(int64_t size, int tile) { return (unsigned)((size + tile - 1) / tile); }

typedef cudaError_t ladder_gemm_step(cudaStream_t stream, const ladder_gemm &g);
ladder_gemm_step ladder_gemm_1, ladder_gemm_2, ladder_gemm_3, ladder_gemm_4, ladder_gemm_5, ladder_gemm_6, ladder_gemm_7,
    ladder_gemm_8;
typedef cudaError_t ladder_conv_step(cudaStream_t stream, const ladder_conv &v);
ladder_conv_step ladder_conv_1, ladder_conv_2, ladder_conv_3, ladder_conv_4, ladder_conv_5, ladder_conv_6, ladder_conv_7,
    ladder_conv_8;
#endif
