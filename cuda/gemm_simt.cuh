/* The product of cuda/gemm.cuh by ordinary multiply-adds ("SIMT"), in f32 and f64, on every GPU.
 *   - a block computes a tile of C. For 8 values of k at a time (a "slab") its threads bring the numbers that the tile
 *     needs into shared memory: each is read once from global memory and used by a whole row of threads;
 *   - a thread keeps 8x8 (or 4x4) sums in registers: 16 numbers read from shared memory make 64 multiply-adds;
 *   - two slabs take turns: while one is multiplied, the next is on its way into registers. One barrier a slab;
 *   - what lies outside of A, B or C is 0 when read and dropped when written: every shape works. */
#ifndef MIEN_CUDA_GEMM_SIMT_CUH
#define MIEN_CUDA_GEMM_SIMT_CUH
#include "cuda/strips.cuh"

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
    /* more at a time, and 128 registers would not do for 64 sums */
    [[maybe_unused]] constexpr int STEPS = Tile::ROWS * Tile::COLUMNS > 16 ? 2 : SLAB;
#pragma unroll STEPS
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

/* The thread's sums to a result that takes four columns at once: they stand side by side in a band. */
template <class Tile, class T, class C>
__device__ __forceinline__ void gemm_put_fours(const C &c, int M, int N, int i0, int j0, const T (&sum)[Tile::ROWS][Tile::COLUMNS]) {
#pragma unroll
    for (int j = 0; j < Tile::COLUMNS; j += 4) {
        const int column = j0 + Tile::column(j);
        if (column >= N) continue;
        const typename C::column to = c.column_of(column);
#pragma unroll
        for (int i = 0; i < Tile::ROWS; i++) {
            const T four[4] = {sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]};
            if (i0 + Tile::row(i) < M) c.put(i0 + Tile::row(i), to, four);
        }
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

    if constexpr (C::AT_ONCE == 4)
        if (!part) return gemm_put_fours<Tile>(c, M, N, i0, j0, sum);
    T *const own = part ? part + ((int64_t)blockIdx.z * gridDim.y + blockIdx.y) * M * N : nullptr;
#pragma unroll
    for (int j = 0; j < Tile::COLUMNS; j++) {
        const int column = j0 + Tile::column(j);
        if (column >= N) continue;
        [[maybe_unused]] const typename C::column to = c.column_of(column);
#pragma unroll
        for (int i = 0; i < Tile::ROWS; i++) {
            const int row = i0 + Tile::row(i);
            if (row >= M) continue;
            if (part) own[(int64_t)row * N + column] = sum[i][j];
            else if constexpr (C::AT_ONCE == 1) sum[i][j] = c.put(row, to, sum[i][j]);
        }
    }
    if constexpr (C::MEASURED) {
        if (!c.measure.at) return;
        const int numbers = N - j0 < Tile::N ? N - j0 : Tile::N;
#pragma unroll
        for (int i = 0; i < Tile::ROWS; i++) {
            const int row = i0 + Tile::row(i);
            strip_of<Tile::COLUMNS, Tile::ACROSS_N, T>(
                c.measure, row, j0 / Tile::N, numbers, row < M, [&](int j) { return sum[i][j]; },
                [&](int j) { return j0 + Tile::column(j) < N; });
        }
    }
}
#endif
