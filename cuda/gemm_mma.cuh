/* The product of cuda/gemm.cuh on tensor cores: one instruction, mma.sync, multiplies two small matrices that the 32
 * threads of a warp hold between them, and adds to sums in f32. It exists for rounded factors only:
 *
 *   tf32    8 bits of exponent, 10 of mantissa        a (16,8)  times b (8,8)    an error of 2^-11 a factor
 *   bf16    8 bits of exponent,  7 of mantissa        a (16,16) times b (16,8)   2^-8, twice as many a second
 *   tf32x3  x = hi + lo, both tf32; hi hi + hi lo + lo hi   about as exact as f32, a third of tf32's speed
 *
 * Shared memory holds 32-bit words: one tf32 or two bf16 that follow each other along k. A product of either kind is 8
 * words deep, and its fragments (who holds what: cuda/mn_cuda.h) are the same words: so one kernel serves all three.
 *
 *   - a block of 8 warps computes a tile of C, two warps down and four across; slabs of 16 words, two in turn;
 *   - factors are rounded once, on the way into shared memory (tf32x3: split on the way out of it);
 *   - where a line's numbers are neighbours in memory, a line is a row of shared memory, 20 words apart: ldmatrix reads
 *     8 rows of 4 words, which then lie in 32 different banks. Where neighbouring lines are, a row of shared memory is a
 *     value of k, 8 words longer than needed, for the same reason.
 * Needs compute capability 8.0. */
#ifndef MIEN_CUDA_GEMM_MMA_CUH
#define MIEN_CUDA_GEMM_MMA_CUH
#include "cuda/strips.cuh"

constexpr int WORDS = 16; /* of a slab, along k */

/* A fragment's words: COUNT in each thread. Formats of one part do not use `lo`. */
template <int COUNT> struct gemm_fragment {
    uint32_t hi[COUNT], lo[COUNT];
};

struct gemm_tf32 {
    static constexpr int PER_WORD = 1;
    static __device__ __forceinline__ uint32_t pack(const float v[1]) { return mn_to_tf32(v[0]); }
    template <int N> static __device__ __forceinline__ void split(gemm_fragment<N> &) {}
    static __device__ __forceinline__ void multiply(float d[4], const gemm_fragment<4> &a, const gemm_fragment<2> &b) {
        mn_mma_tf32(d, a.hi, b.hi, d);
    }
};
struct gemm_bf16 {
    static constexpr int PER_WORD = 2;
    static __device__ __forceinline__ uint32_t pack(const float v[2]) { return mn_pack_bf16(v[0], v[1]); }
    template <int N> static __device__ __forceinline__ void split(gemm_fragment<N> &) {}
    static __device__ __forceinline__ void multiply(float d[4], const gemm_fragment<4> &a, const gemm_fragment<2> &b) {
        mn_mma_bf16(d, a.hi, b.hi, d);
    }
};
struct gemm_tf32x3 {
    static constexpr int PER_WORD = 1;
    static __device__ __forceinline__ uint32_t pack(const float v[1]) { return __float_as_uint(v[0]); }
    /* x = hi + lo but for 2^-22 of it. An infinite x makes the sum NaN. */
    template <int N> static __device__ __forceinline__ void split(gemm_fragment<N> &f) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float x = __uint_as_float(f.hi[i]);
            f.hi[i] = mn_to_tf32(x);
            f.lo[i] = mn_to_tf32(x - __uint_as_float(f.hi[i]));
        }
    }
    /* The small products first. */
    static __device__ __forceinline__ void multiply(float d[4], const gemm_fragment<4> &a, const gemm_fragment<2> &b) {
        mn_mma_tf32(d, a.lo, b.hi, d);
        mn_mma_tf32(d, a.hi, b.lo, d);
        mn_mma_tf32(d, a.hi, b.hi, d);
    }
};

/* A slab of LINES lines in shared memory, and how fragments are read from it. */
template <int LINES, bool ALONG> struct gemm_words;
template <int LINES> struct gemm_words<LINES, true> {
    uint32_t word[LINES][WORDS + 4];
    __device__ __forceinline__ uint32_t &at(int line, int k) { return word[line][k]; }
    /* Four 8x4 pieces: lines from.. and from+8.., words k.. and k+4..; `down` says which come first. */
    __device__ __forceinline__ void pieces(int from, int k, bool down, uint32_t r[4]) const {
        const int lane = threadIdx.x % 32, one = lane / 8 % 2, two = lane / 16;
        mn_ldmatrix4(r, &word[from + lane % 8 + (down ? one : two) * 8][k + (down ? two : one) * 4]);
    }
};
template <int LINES> struct gemm_words<LINES, false> {
    uint32_t word[WORDS][LINES + 8];
    __device__ __forceinline__ uint32_t &at(int line, int k) { return word[k][line]; }
    __device__ __forceinline__ void pieces(int from, int k, bool down, uint32_t r[4]) const {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int one = i % 2, two = i / 2;
            r[i] = word[k + t + (down ? two : one) * 4][from + g + (down ? one : two) * 8];
        }
    }
};

/* One thread's part in bringing a slab to shared memory: as gemm_loader (cuda/gemm_simt.cuh), in words. */
template <int LINES, class Format, class Operand> struct gemm_word_loader {
    static constexpr bool ALONG = Operand::ALONG_K;
    static constexpr int PER_WORD = Format::PER_WORD, SIDE = ALONG ? WORDS : LINES;
    static constexpr int EACH = LINES * WORDS / THREADS, STRIDE = THREADS / SIDE;
    typename Operand::line line[ALONG ? EACH : 1];
    bool inside[ALONG ? EACH : 1];
    float value[EACH][PER_WORD];

    static __device__ __forceinline__ int first() { return (int)threadIdx.x % SIDE; }
    static __device__ __forceinline__ int second(int e) { return (int)threadIdx.x / SIDE + e * STRIDE; }

    __device__ __forceinline__ void start(const Operand &op, int from, int lines) {
#pragma unroll
        for (int e = 0; e < (ALONG ? EACH : 1); e++) {
            const int i = from + (ALONG ? second(e) : first());
            inside[e] = i < lines;
            line[e] = op.line_of(inside[e] ? i : 0);
        }
    }
    __device__ __forceinline__ void fetch(const Operand &op, int k, int end) {
#pragma unroll
        for (int h = 0; h < PER_WORD; h++) {
            if (ALONG) {
                const int at = k + first() * PER_WORD + h;
                const typename Operand::step step = op.step_of(at < end ? at : 0);
#pragma unroll
                for (int e = 0; e < EACH; e++) value[e][h] = at < end && inside[e] ? op.at(line[e], step) : 0.f;
            } else {
#pragma unroll
                for (int e = 0; e < EACH; e++) {
                    const int at = k + second(e) * PER_WORD + h;
                    value[e][h] = at < end && inside[0] ? op.at(line[0], op.step_of(at)) : 0.f;
                }
            }
        }
    }
    __device__ __forceinline__ void store(gemm_words<LINES, ALONG> &to) const {
#pragma unroll
        for (int e = 0; e < EACH; e++) to.at(ALONG ? second(e) : first(), ALONG ? first() : second(e)) = Format::pack(value[e]);
    }
};

/* sum += A B for one slab; this warp's part of the tile begins at row i0 and column j0. */
template <class Format, int ROWS, int COLUMNS, class Left, class Right>
__device__ __forceinline__ void gemm_mma_multiply(const Left &left, const Right &right, int i0, int j0,
                                                  float (&sum)[ROWS][COLUMNS][4]) {
#pragma unroll
    for (int k = 0; k < WORDS; k += 8) {
        gemm_fragment<4> a[ROWS];
        gemm_fragment<2> b[COLUMNS];
#pragma unroll
        for (int i = 0; i < ROWS; i++) left.pieces(i0 + i * 16, k, true, a[i].hi), Format::split(a[i]);
#pragma unroll
        for (int j = 0; j < COLUMNS; j += 2) {
            uint32_t r[4];
            right.pieces(j0 + j * 8, k, false, r);
            b[j].hi[0] = r[0], b[j].hi[1] = r[1], b[j + 1].hi[0] = r[2], b[j + 1].hi[1] = r[3];
            Format::split(b[j]), Format::split(b[j + 1]);
        }
#pragma unroll
        for (int i = 0; i < ROWS; i++)
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) Format::multiply(sum[i][j], a[i], b[j]);
    }
}

/* The warp's sums to a result that takes four columns at once. Of a fragment two neighbouring threads have four columns, in two
 * rows: they exchange halves, and the even one takes the upper row, the odd one the lower. */
template <int ROWS, int COLUMNS, class C>
__device__ __forceinline__ void gemm_mma_put_fours(const C &c, int M, int N, int i0, int j0, const float (&sum)[ROWS][COLUMNS][4]) {
    const int lane = threadIdx.x % 32, odd = lane % 2;
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
        const int column = j0 + j * 8 + lane % 4 / 2 * 4;
        const typename C::column to = c.column_of(column < N ? column : 0);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const float(&v)[4] = sum[i][j];
            const float a = __shfl_xor_sync(~0u, odd ? v[0] : v[2], 1), b = __shfl_xor_sync(~0u, odd ? v[1] : v[3], 1);
            const float four[4] = {odd ? a : v[0], odd ? b : v[1], odd ? v[2] : a, odd ? v[3] : b};
            const int row = i0 + i * 16 + lane / 4 + odd * 8;
            if (row < M && column < N) c.put(row, to, four);
        }
    }
}

/* Block (t, s, g) as in gemm_kernel: tile t of C, M_ x N_, slice s of K, group g. */
template <class Format, int M_, int N_, class A, class B, class C>
__global__ void __launch_bounds__(THREADS, 2) gemm_mma_kernel(int M, int N, int K, int slice, A a, B b, C c, float *part) {
    constexpr int ROWS = M_ / 32, COLUMNS = N_ / 32, SLAB_K = WORDS * Format::PER_WORD; /* a warp: ROWS x COLUMNS fragments */
    __shared__ __align__(16) gemm_words<M_, A::ALONG_K> left[2];
    __shared__ __align__(16) gemm_words<N_, B::ALONG_K> right[2];
    const int down = (M + M_ - 1) / M_, i0 = (int)(blockIdx.x % down) * M_, j0 = (int)(blockIdx.x / down) * N_;
    const int from = (int)blockIdx.y * slice, end = K - from < slice ? K : from + slice;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, own_i = warp % 2 * (M_ / 2), own_j = warp / 2 * (N_ / 4);
    a.select((int)blockIdx.z), b.select((int)blockIdx.z), c.select((int)blockIdx.z);

    gemm_word_loader<M_, Format, A> rows;
    gemm_word_loader<N_, Format, B> columns;
    rows.start(a, i0, M), columns.start(b, j0, N);
    float sum[ROWS][COLUMNS][4] = {};
    rows.fetch(a, from, end), columns.fetch(b, from, end);
    rows.store(left[0]), columns.store(right[0]);
    __syncthreads();
    for (int k = from, turn = 0; k < end; k += SLAB_K, turn ^= 1) {
        const bool more = k + SLAB_K < end;
        if (more) rows.fetch(a, k + SLAB_K, end), columns.fetch(b, k + SLAB_K, end);
        gemm_mma_multiply<Format>(left[turn], right[turn], own_i, own_j, sum);
        if (more) rows.store(left[turn ^ 1]), columns.store(right[turn ^ 1]);
        __syncthreads();
    }

    if constexpr (C::AT_ONCE == 4)
        if (!part) return gemm_mma_put_fours(c, M, N, i0 + own_i, j0 + own_j, sum);
    float *const own = part ? part + ((int64_t)blockIdx.z * gridDim.y + blockIdx.y) * M * N : nullptr;
#pragma unroll
    for (int j = 0; j < COLUMNS * 2; j++) { /* a fragment's columns: 2t and 2t+1 */
        const int column = j0 + own_j + j / 2 * 8 + lane % 4 * 2 + j % 2;
        if (column >= N) continue;
        [[maybe_unused]] const typename C::column to = c.column_of(column);
#pragma unroll
        for (int i = 0; i < ROWS * 2; i++) { /* its rows: g and g+8 */
            const int row = i0 + own_i + i / 2 * 16 + lane / 4 + i % 2 * 8;
            float &v = sum[i / 2][j / 2][i % 2 * 2 + j % 2];
            if (row >= M) continue;
            if (part) own[(int64_t)row * N + column] = v;
            else if constexpr (C::AT_ONCE == 1) v = c.put(row, to, v);
        }
    }
    if constexpr (C::MEASURED) { /* a warp's part of the tile is a strip: four threads have a row of it */
        if (!c.measure.at) return;
        const int first = j0 + own_j, left_over = N - first, numbers = left_over < N_ / 4 ? left_over : N_ / 4;
#pragma unroll
        for (int i = 0; i < ROWS * 2; i++) {
            const int row = i0 + own_i + i / 2 * 16 + lane / 4 + i % 2 * 8;
            strip_of<COLUMNS * 2, 4, float>(
                c.measure, row, first / (N_ / 4), numbers > 0 ? numbers : 0, row < M,
                [&](int j) { return sum[i / 2][j / 2][i % 2 * 2 + j % 2]; },
                [&](int j) { return first + j / 2 * 8 + lane % 4 * 2 + j % 2 < N; });
        }
    }
}
#endif
