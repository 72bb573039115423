/* What the poolings share: where a window lies in the image, and which windows an element lies in. */
#ifndef MIEN_CUDA_POOL_CUH
#define MIEN_CUDA_POOL_CUH
#include "autograd/window.h"
#include "cuda/kernel.cuh"

/* Element k of a tensor (N,C,rows,columns): its plane n*C+c, its row and its column. */
template <class Index> struct pool_place {
    int64_t plane, row, column;
    __device__ __forceinline__ pool_place(Index k, int64_t rows, int64_t columns) {
        const Index line = k / (Index)columns;
        column = (int64_t)(k - line * (Index)columns);
        plane = (int64_t)(line / (Index)rows);
        row = (int64_t)(line % (Index)rows);
    }
};

/* Window (p,q) cut to the image: rows h0 .. h1-1, columns w0 .. w1-1. top, left: of the whole window. */
struct pool_box {
    int64_t top, left, h0, h1, w0, w1;
    __device__ __forceinline__ pool_box(const mn__window &g, int64_t p, int64_t q)
        : top(p * g.stride_h - g.top), left(q * g.stride_w - g.left), h0(top < 0 ? 0 : top),
          h1(top + g.R < g.H ? top + g.R : g.H), w0(left < 0 ? 0 : left),
          w1(left + g.S < g.W ? left + g.S : g.W) {}
};

/* The windows `from` .. `to`-1 of `windows`, along one dimension, in which element i lies:
 *   p*stride - before <= i < p*stride - before + size */
template <class Index> struct pool_windows {
    int64_t from, to;
    __device__ __forceinline__ pool_windows(int64_t i, int64_t before, int64_t size, int64_t stride,
                                            int64_t windows) {
        const Index at = (Index)(i + before);
        from = at < (Index)size ? 0 : (int64_t)((at - (Index)size) / (Index)stride) + 1;
        to = (int64_t)(at / (Index)stride) + 1;
        if (to > windows) to = windows;
    }
};
#endif
