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
 *   put(i, column, v)
 *   select(g)
 *
 * The kernel, in the order in which the ladder (docs/ladder.md) comes to it:
 *   - a block computes a tile of C. For 8 values of k at a time (a "slab") its threads bring the numbers that the tile
 *     needs into shared memory: each is read once from global memory and used by a whole row of threads;
 *   - a thread keeps 8x8 (or 4x4) sums in registers: 16 numbers read from shared memory make 64 multiply-adds;
 *   - two slabs take turns: while one is multiplied, the next is on its way into registers. One barrier a slab;
 *   - what lies outside of A, B or C is 0 when read and dropped when written: every shape works;
 *   - few tiles and a long K leave most of a GPU idle: then K is cut into slices, a block each, whose sums go to the
 *     workspace and are added in order of k. No atomic additions: the same bits in every run.
 * 2*M*N*K flop. Used by gemm.cu (matrices) and conv2d_implicit.cu. */
#ifndef MIEN_CUDA_GEMM_CUH
#define MIEN_CUDA_GEMM_CUH
#include "cuda/kernel.cuh"

constexpr int SLAB = 8;                   /* values of k at a time */
struct __align__(16) gemm_quad_f32 { float v[4]; };  /* read from shared memory in one instruction */
struct __align__(16) gemm_quad_f64 { double v[4]; }; /* in two */
template <class T> struct gemm_quad;
template <> struct gemm_quad<float> { typedef gemm_quad_f32 type; };
template <> struct gemm_quad<double> { typedef gemm_quad_f64 type; };

/* A block's tile, and the sums of one thread in it: in bands of four, so that threads side by side read side by side. */
template <int M_, int N_, int ROWS_, int COLUMNS_> struct gemm_tile {
    static constexpr int M = M_, N = N_, ROWS = ROWS_, COLUMNS = COLUMNS_;
    static constexpr int ACROSS_N = N / COLUMNS; /* threads along a row */
    static_assert(M / ROWS * ACROSS_N == THREADS, "a tile is a block's work");
    /* where sum (i, j) of this thread stands in the tile */
    static __device__ __forceinline__ int row(int i) {
        return i / 4 * (M * 4 / ROWS) + (int)threadIdx.x / ACROSS_N * 4 + i % 4;
    }
    static __device__ __forceinline__ int column(int j) {
        return j / 4 * (N * 4 / COLUMNS) + (int)threadIdx.x % ACROSS_N * 4 + j % 4;
    }
};

/* One thread's part in bringing a slab of LINES lines to shared memory. Neighbouring threads take numbers that are
 * neighbours in memory. */
template <class T, int LINES, class Operand> struct gemm_loader {
    static constexpr bool ALONG = Operand::ALONG_K;
    static constexpr int EACH = LINES * SLAB / THREADS, STRIDE = THREADS / (ALONG ? SLAB : LINES);
    typename Operand::line line[ALONG ? EACH : 1];
    bool inside[ALONG ? EACH : 1];
    T value[EACH];

    static __device__ __forceinline__ int first() { return (int)threadIdx.x % (ALONG ? SLAB : LINES); }
    static __device__ __forceinline__ int second(int e) { return (int)threadIdx.x / (ALONG ? SLAB : LINES) + e * STRIDE; }

    __device__ __forceinline__ void start(const Operand &op, int from, int lines) {
#pragma unroll
        for (int e = 0; e < (ALONG ? EACH : 1); e++) {
            const int i = from + (ALONG ? second(e) : first());
            inside[e] = i < lines;
            line[e] = op.line_of(inside[e] ? i : 0);
        }
    }
    /* Numbers k.. of the lines, k < end, into registers; */
    __device__ __forceinline__ void fetch(const Operand &op, int k, int end) {
        if (ALONG) {
            const bool any = k + first() < end;
            const typename Operand::step step = op.step_of(any ? k + first() : 0);
#pragma unroll
            for (int e = 0; e < EACH; e++) value[e] = any && inside[e] ? op.at(line[e], step) : T(0);
        } else {
#pragma unroll
            for (int e = 0; e < EACH; e++) {
                const bool any = inside[0] && k + second(e) < end;
                value[e] = any ? op.at(line[0], op.step_of(k + second(e))) : T(0);
            }
        }
    }
    /* and from there to shared memory. Rows of four more than LINES: threads along k would meet in one bank. */
    __device__ __forceinline__ void store(T (*to)[LINES + 4]) const {
#pragma unroll
        for (int e = 0; e < EACH; e++) to[ALONG ? first() : second(e)][ALONG ? second(e) : first()] = value[e];
    }
};

/* sum[i][j] += a[k][row i] * b[k][column j] for the k of a slab. */
template <class T, class Tile>
__device__ __forceinline__ void gemm_multiply(const T (*a)[Tile::M + 4], const T (*b)[Tile::N + 4],
                                              T (&sum)[Tile::ROWS][Tile::COLUMNS]) {
    typedef typename gemm_quad<T>::type quad;
#pragma unroll
    for (int k = 0; k < SLAB; k++) {
        quad left[Tile::ROWS / 4], right[Tile::COLUMNS / 4];
#pragma unroll
        for (int i = 0; i < Tile::ROWS; i += 4) left[i / 4] = *reinterpret_cast<const quad *>(&a[k][Tile::row(i)]);
#pragma unroll
        for (int j = 0; j < Tile::COLUMNS; j += 4) right[j / 4] = *reinterpret_cast<const quad *>(&b[k][Tile::column(j)]);
#pragma unroll
        for (int i = 0; i < Tile::ROWS; i++)
#pragma unroll
            for (int j = 0; j < Tile::COLUMNS; j++) sum[i][j] += left[i / 4].v[i % 4] * right[j / 4].v[j % 4];
    }
}

/* Block (t, s, g): tile t of C, slice s of K, group g. The tiles of a column of C follow each other: they read the
 * same numbers of B at about the same time. With `part` the sums go there, (g,s,M,N), instead of into the result. */
template <class T, class Tile, class A, class B, class C>
__global__ void __launch_bounds__(THREADS, 2) gemm_kernel(int M, int N, int K, int slice, A a, B b, C c, T *part) {
    __shared__ __align__(16) T left[2][SLAB][Tile::M + 4];
    __shared__ __align__(16) T right[2][SLAB][Tile::N + 4];
    const int down = (M + Tile::M - 1) / Tile::M;
    const int i0 = (int)(blockIdx.x % down) * Tile::M, j0 = (int)(blockIdx.x / down) * Tile::N;
    const int from = (int)blockIdx.y * slice, end = K - from < slice ? K : from + slice;
    a.select((int)blockIdx.z), b.select((int)blockIdx.z), c.select((int)blockIdx.z);

    gemm_loader<T, Tile::M, A> rows;
    gemm_loader<T, Tile::N, B> columns;
    rows.start(a, i0, M), columns.start(b, j0, N);
    T sum[Tile::ROWS][Tile::COLUMNS] = {};
    rows.fetch(a, from, end), columns.fetch(b, from, end);
    rows.store(left[0]), columns.store(right[0]);
    __syncthreads();
    for (int k = from, turn = 0; k < end; k += SLAB, turn ^= 1) {
        const bool more = k + SLAB < end;
        if (more) rows.fetch(a, k + SLAB, end), columns.fetch(b, k + SLAB, end);
        gemm_multiply<T, Tile>(left[turn], right[turn], sum);
        if (more) rows.store(left[turn ^ 1]), columns.store(right[turn ^ 1]); /* all have left this one */
        __syncthreads();
    }

    T *const own = part ? part + ((int64_t)blockIdx.z * gridDim.y + blockIdx.y) * M * N : nullptr;
#pragma unroll
    for (int j = 0; j < Tile::COLUMNS; j++) {
        const int column = j0 + Tile::column(j);
        if (column >= N) continue;
        const typename C::column to = c.column_of(column);
#pragma unroll
        for (int i = 0; i < Tile::ROWS; i++) {
            const int row = i0 + Tile::row(i);
            if (row >= M) continue;
            if (part) own[(int64_t)row * N + column] = sum[i][j];
            else c.put(row, to, sum[i][j]);
        }
    }
}

/* Adds up what the slices left, in order. A thread a number of C. */
template <class T, class C>
__global__ void gemm_finish(int64_t M, int64_t N, int slices, const T *part, C c) {
    c.select((int)blockIdx.y);
    part += (int64_t)blockIdx.y * slices * M * N;
    GRID_STRIDE(k, M * N) {
        T sum = 0;
        for (int s = 0; s < slices; s++) sum += part[s * M * N + k];
        c.put((int)(k / N), c.column_of((int)(k % N)), sum);
    }
}

template <class T, class Tile, class A, class B, class C>
mn_status gemm_tiles(mn_context *c, int groups, int M, int N, int K, A a, B b, C out) {
    const int64_t tiles = (int64_t)((M + Tile::M - 1) / Tile::M) * ((N + Tile::N - 1) / Tile::N);
    /* Slices: until two blocks a multiprocessor are at work, but at least 128 values of k each. */
    int64_t slices = (2 * mn__cuda_processors(c) + tiles * groups - 1) / (tiles * groups);
    if (slices > K / 128) slices = K / 128 ? K / 128 : 1;
    const int slice = (int)((K + slices - 1) / slices + SLAB - 1) / SLAB * SLAB;
    slices = K ? (K + slice - 1) / slice : 1;
    T *part = nullptr;
    if (slices > 1) {
        part = (T *)mn__workspace(c, (size_t)groups * (size_t)slices * (size_t)M * (size_t)N * sizeof *part);
        if (!part) return c->error.status;
    }
    mn_status s = LAUNCH(c, (gemm_kernel<T, Tile, A, B, C>), dim3((unsigned)tiles, (unsigned)slices, (unsigned)groups),
                         THREADS, 0, M, N, K, slice, a, b, out, part);
    if (s || slices == 1) return s;
    return LAUNCH(c, (gemm_finish<T, C>), dim3(grid_for((int64_t)M * N), (unsigned)groups), THREADS, 0, M, N, (int)slices,
                  part, out);
}

/* See above. Small tiles where large ones would leave multiprocessors idle or lie mostly outside of C. Sizes of C up to
 * 2^31 - 1. Uses the workspace. */
template <class T, class A, class B, class C>
mn_status gemm_any(mn_context *c, int groups, int64_t M, int64_t N, int64_t K, A a, B b, C out) {
    if (M == 0 || N == 0) return MN_OK;
    if (!fits_32(M) || !fits_32(N) || !fits_32(K))
        return mn_fail(&c->error, MN_ERR_SHAPE, "CUDA: a product of (%lld,%lld) and (%lld,%lld) is too large; wanted sizes "
                       "below 2^31; hint: a smaller batch", (long long)M, (long long)K, (long long)K, (long long)N);
    const int m = (int)M, n = (int)N, k = (int)K;
    if (M <= 32) return gemm_tiles<T, gemm_tile<32, 128, 4, 4>>(c, groups, m, n, k, a, b, out);
    if constexpr (sizeof(T) == 4) /* 64 sums of double do not fit into a thread's registers */
        if (((M + 127) / 128) * ((N + 127) / 128) * groups >= mn__cuda_processors(c) && M > 64 && N > 64)
            return gemm_tiles<T, gemm_tile<128, 128, 8, 8>>(c, groups, m, n, k, a, b, out);
    return gemm_tiles<T, gemm_tile<64, 64, 4, 4>>(c, groups, m, n, k, a, b, out);
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
};
template <class T> mn_status gemm(mn_context *c, const gemm_job<T> &job);
#endif
