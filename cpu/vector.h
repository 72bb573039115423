/* Vectors of the widest registers that a variant may use, by GCC's vector extension: arithmetic on a `vec` is
 * arithmetic on LANES numbers, on every processor, without intrinsics. */
#ifndef MIEN_CPU_VECTOR_H
#define MIEN_CPU_VECTOR_H
#include "cpu/kernel.h"

#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX2__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
#define LANES ((int)(VEC_BYTES / sizeof(REAL)))
typedef REAL vec __attribute__((vector_size(VEC_BYTES)));
/* The same in memory: at any address of a REAL. */
typedef REAL vec_in_memory __attribute__((vector_size(VEC_BYTES), aligned(sizeof(REAL)), may_alias));

static inline vec load(const REAL *p) { return *(const vec_in_memory *)p; }
static inline void store(REAL *p, vec v) { *(vec_in_memory *)p = v; }
static inline vec broadcast(REAL s) { return s - (vec){0}; }
static inline REAL sum_lanes(vec v) {
    REAL sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

/* a0 b0 a1 b1 ...: the lower and the upper half of two vectors, interleaved. */
#if defined(REAL_IS_F32)
typedef int32_t lane_index __attribute__((vector_size(VEC_BYTES)));
#else
typedef int64_t lane_index __attribute__((vector_size(VEC_BYTES)));
#endif
/* The lanes of a and, counted on from LANES, of b that are listed. GCC before 12 has only the first form. */
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (lane_index){__VA_ARGS__})
#endif
static inline vec zip_low(vec a, vec b) {
    enum { L = VEC_BYTES / sizeof(REAL) };
#if defined(__AVX512F__)
    return SHUFFLE(a, b, 0, L, 1, L + 1, 2, L + 2, 3, L + 3, 4, L + 4, 5, L + 5, 6, L + 6, 7, L + 7);
#elif defined(__AVX2__)
    return SHUFFLE(a, b, 0, L, 1, L + 1, 2, L + 2, 3, L + 3);
#elif defined(REAL_IS_F32)
    return SHUFFLE(a, b, 0, L, 1, L + 1);
#else
    return SHUFFLE(a, b, 0, L);
#endif
}
static inline vec zip_high(vec a, vec b) {
    enum { L = VEC_BYTES / sizeof(REAL), M = L / 2, N = L + M };
#if defined(__AVX512F__)
    return SHUFFLE(a, b, M, N, M + 1, N + 1, M + 2, N + 2, M + 3, N + 3, M + 4, N + 4, M + 5, N + 5,
                      M + 6, N + 6, M + 7, N + 7);
#elif defined(__AVX2__)
    return SHUFFLE(a, b, M, N, M + 1, N + 1, M + 2, N + 2, M + 3, N + 3);
#elif defined(REAL_IS_F32)
    return SHUFFLE(a, b, M, N, M + 1, N + 1);
#else
    return SHUFFLE(a, b, M, N);
#endif
}

/* Of 2*LANES numbers in a row: those at even and at odd places. */
static inline vec even_lanes(vec a, vec b) {
#if defined(__AVX512F__)
    return SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif defined(__AVX2__)
    return SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#elif defined(REAL_IS_F32)
    return SHUFFLE(a, b, 0, 2, 4, 6);
#else
    return SHUFFLE(a, b, 0, 2);
#endif
}
static inline vec odd_lanes(vec a, vec b) {
#if defined(__AVX512F__)
    return SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX2__)
    return SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#elif defined(REAL_IS_F32)
    return SHUFFLE(a, b, 1, 3, 5, 7);
#else
    return SHUFFLE(a, b, 1, 3);
#endif
}

/* Comparing two vec gives a lane_index of -1 (true) and 0 (false). mask ? a : b, for each lane: */
static inline lane_index choose_index(lane_index mask, lane_index a, lane_index b) { return (mask & a) | (~mask & b); }
static inline vec choose(lane_index mask, vec a, vec b) {
    return (vec)choose_index(mask, (lane_index)a, (lane_index)b);
}
/* LANES bytes, for positions that are stored in 8 bits. */
typedef uint8_t byte_lanes __attribute__((vector_size(VEC_BYTES / sizeof(REAL))));

/* For short loops whose counters must become constants, so that arrays of vec live in registers. */
#define UNROLL _Pragma("GCC unroll 32")
#define INLINE static inline __attribute__((always_inline))

/* to[j*to_step + i] = from[i*from_step + j] for i, j < LANES: a square turned over inside the registers. Number the
 * elements by (row, lane) in binary: a round of zips moves the highest bit of that number to its end, so that after
 * log2(LANES) rounds row and lane have changed places. */
INLINE void transpose_square(const REAL *from, int64_t from_step, REAL *to, int64_t to_step) {
    vec v[VEC_BYTES / sizeof(REAL)], next[VEC_BYTES / sizeof(REAL)];
    UNROLL for (int i = 0; i < LANES; i++) v[i] = load(from + i * from_step);
    UNROLL for (int round = 1; round < LANES; round *= 2) {
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = zip_low(v[i], v[i + LANES / 2]);
            next[2 * i + 1] = zip_high(v[i], v[i + LANES / 2]);
        }
        UNROLL for (int i = 0; i < LANES; i++) v[i] = next[i];
    }
    UNROLL for (int i = 0; i < LANES; i++) store(to + i * to_step, v[i]);
}

/* The same for any rectangle: to[j*to_step + i] = from[i*from_step + j], i < rows, j < columns. */
static inline void transpose(int64_t rows, int64_t columns, const REAL *from, int64_t from_step, REAL *to,
                             int64_t to_step) {
    for (int64_t i = 0; i < rows; i += LANES)
        for (int64_t j = 0; j < columns; j += LANES) {
            const REAL *f = from + i * from_step + j;
            REAL *t = to + j * to_step + i;
            if (i + LANES <= rows && j + LANES <= columns) {
                transpose_square(f, from_step, t, to_step);
                continue;
            }
            for (int64_t r = 0; r < LANES && i + r < rows; r++)
                for (int64_t s = 0; s < LANES && j + s < columns; s++) t[s * to_step + r] = f[r * from_step + s];
        }
}
#endif
