/* Products of matrices: C (M,N) = A (M,K) B (K,N), c[i,j] = sum_k a[i,k] b[k,j].
 *
 * A and B need not be matrices in memory. An operand is a struct that says what its numbers are; a convolution's
 * operand finds them in an image (cuda/conv2d_implicit.cu), so that nothing is ever copied into a matrix. A "line" is a
 * row of A or a column of B: K numbers.
 *
 *   ALONG_K         do the numbers of one line stand side by side in memory, or those of neighbouring lines?
 *   line_of(i)      what a thread keeps of line i
 *   step_of(k)      what it needs for number k of any line; most of the index arithmetic is in these two
 *   at(line, step)  the number
 *   select(g)       moves to group g, for grouped convolutions
 *
 * A result says where c[i,j] goes, what is added to it, and what becomes of it:
 *
 *   column_of(j)    what a thread keeps of column j
 *   put(i, column, v)   gives the number that is there now
 *   select(g)
 *   AT_ONCE         1; or 4, and put() takes the numbers of four columns side by side, one of which is the first of them
 *   MEASURED        may it want the statistics of its rows (cuda/strips.cuh)? Then reserve() makes room for them
 *
 * gemm_simt.cuh multiplies in f32 or f64 on every GPU. gemm_mma.cuh does it on tensor cores, in one of the precisions
 * that the context allows (mn_context_opt.precision); without tensor cores SIMT does it, exactly.
 *
 * Few tiles and a long K leave most of a GPU idle: then K is cut into slices, a block each, whose sums go to the
 * workspace and are added in order of k. No atomic additions: the same bits in every run.
 * 2*M*N*K flop. Used by gemm.cu (matrices) and conv2d_implicit.cu. */
#ifndef MIEN_CUDA_GEMM_CUH
#define MIEN_CUDA_GEMM_CUH
#include "cuda/gemm_mma.cuh"
#include "cuda/gemm_simt.cuh"

/* Adds up what the slices left, in order. A thread a number of C, or C::AT_ONCE of them. */
template <class T, class C>
__global__ void gemm_finish(int64_t M, int64_t N, int slices, const T *part, C c) {
    c.select((int)blockIdx.y);
    part += (int64_t)blockIdx.y * slices * M * N;
    GRID_STRIDE(i, M * N / C::AT_ONCE) {
        const int64_t k = i * C::AT_ONCE;
        T sum[C::AT_ONCE] = {};
#pragma unroll
        for (int e = 0; e < C::AT_ONCE; e++)
            for (int s = 0; s < slices; s++) sum[e] += part[s * M * N + k + e];
        if constexpr (C::AT_ONCE == 1) c.put((int)(k / N), c.column_of((int)(k % N)), sum[0]);
        else c.put((int)(k / N), c.column_of((int)(k % N)), sum);
    }
}

/* A kernel (gemm_kernel or gemm_mma_kernel) and the tile and the slab of k that it works with. */
template <class T, class A, class B, class C> struct gemm_way {
    const char *name;
    void (*kernel)(int M, int N, int K, int slice, A a, B b, C c, T *part);
    int M, N, slab, strips; /* strips: of a row of a tile */
};

/* Launches it, in slices of K if there are few tiles. */
template <class T, class A, class B, class C>
mn_status gemm_launch(mn_context *c, const gemm_way<T, A, B, C> &way, int groups, int M, int N, int K, A a, B b, C out) {
    const int64_t tiles = (int64_t)((M + way.M - 1) / way.M) * ((N + way.N - 1) / way.N);
    /* Slices: until two blocks a multiprocessor are at work, but at least 128 values of k each. */
    int64_t slices = (2 * mn__cuda_processors(c) + tiles * groups - 1) / (tiles * groups);
    if (slices > K / 128) slices = K / 128 ? K / 128 : 1;
    const int slice = (int)((K + slices - 1) / slices + way.slab - 1) / way.slab * way.slab;
    slices = K ? (K + slice - 1) / slice : 1;
    T *part = nullptr;
    if (slices > 1) {
        part = (T *)mn__workspace(c, (size_t)groups * (size_t)slices * (size_t)M * (size_t)N * sizeof *part);
        if (!part) return c->error.status;
    }
    if constexpr (C::MEASURED) {
        if (slices == 1 && out.reserve(c, (N + way.N - 1) / way.N * way.strips)) return c->error.status;
    }
    mn_status s = mn__cuda_launch(c, way.name, way.kernel, dim3((unsigned)tiles, (unsigned)slices, (unsigned)groups),
                                  THREADS, 0, M, N, K, slice, a, b, out, part);
    if (s || slices == 1) return s;
    return LAUNCH(c, (gemm_finish<T, C>), dim3(grid_for((int64_t)M * N), (unsigned)groups), THREADS, 0, M, N, (int)slices,
                  part, out);
}

template <class T, class Tile, class A, class B, class C> gemm_way<T, A, B, C> gemm_simt(const char *name) {
    return {name, gemm_kernel<T, Tile, A, B, C>, Tile::M, Tile::N, SLAB, 1};
}
template <int M, int N, class A, class B, class C> gemm_way<float, A, B, C> gemm_tensor_cores(mn_precision p) {
    if (p == MN_TF32) return {"gemm in tf32", gemm_mma_kernel<gemm_tf32, M, N, A, B, C>, M, N, WORDS, 4};
    if (p == MN_BF16) return {"gemm in bf16", gemm_mma_kernel<gemm_bf16, M, N, A, B, C>, M, N, 2 * WORDS, 4};
    return {"gemm in tf32x3", gemm_mma_kernel<gemm_tf32x3, M, N, A, B, C>, M, N, WORDS, 4};
}

/* The way for a shape: small tiles where large ones would leave multiprocessors idle or lie mostly outside of C. */
template <class T, class A, class B, class C>
gemm_way<T, A, B, C> gemm_choose(const mn_context *c, int groups, int64_t M, int64_t N) {
    if constexpr (sizeof(T) == 4) {
        if (c->precision != MN_PRECISE && mn__cuda_capability(c) >= 80)
            return M <= 32 ? gemm_tensor_cores<32, 128, A, B, C>(c->precision)
                           : gemm_tensor_cores<64, 128, A, B, C>(c->precision);
        /* 64 sums a thread; of double they would not fit into its registers */
        if (((M + 127) / 128) * ((N + 127) / 128) * groups >= mn__cuda_processors(c) && M > 64 && N > 64)
            return gemm_simt<T, gemm_tile<128, 128, 8, 8>, A, B, C>("gemm 128x128");
    }
    if (M <= 32) return gemm_simt<T, gemm_tile<32, 128, 4, 4>, A, B, C>("gemm 32x128");
    return gemm_simt<T, gemm_tile<64, 64, 4, 4>, A, B, C>("gemm 64x64");
}

/* See the top. M, N, K below 2^31. Uses the workspace. */
template <class T, class A, class B, class C>
mn_status gemm_any(mn_context *c, int groups, int64_t M, int64_t N, int64_t K, A a, B b, C out) {
    if (M == 0 || N == 0) return MN_OK;
    if (!fits_32(M) || !fits_32(N) || !fits_32(K))
        return mn_fail(&c->error, MN_ERR_SHAPE, "CUDA: a product of (%lld,%lld) and (%lld,%lld) is too large; wanted sizes "
                       "below 2^31; hint: a smaller batch", (long long)M, (long long)K, (long long)K, (long long)N);
    return gemm_launch(c, gemm_choose<T, A, B, C>(c, groups, M, N), groups, (int)M, (int)N, (int)K, a, b, out);
}

/* ---- matrices in memory (gemm.cu) ---- */

/* C (m,n) = op(A) op(B) + bias, or C += op(A) op(B); row-major, row lengths lda, ldb, ldc; op transposes where its flag
 * is set: A is (m,k), or (k,m) when ta; B is (k,n), or (n,k) when tb. bias (n) or NULL: added to every row. */
template <class T> struct gemm_job {
    bool ta, tb;
    int64_t m, n, k;
    const T *a;
    int64_t lda;
    const T *b;
    int64_t ldb;
    const T *bias;
    bool add;
    T *c;
    int64_t ldc;
    bool relu = false; /* C is max(0, that) */
};
template <class T> mn_status gemm(mn_context *c, const gemm_job<T> &job);
#endif
