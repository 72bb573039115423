/* A 3x3 window that slides over padded planes (cpu/conv2d_frame.h), stride 1. */
#ifndef MIEN_CPU_DEPTHWISE_3X3_H
#define MIEN_CPU_DEPTHWISE_3X3_H
#include "cpu/conv2d_frame.h"

/* v[s] = LANES numbers from p + s on, for s = 0, 1, 2. With registers as long as cache lines two of three loads would meet
 * two lines each, so neighbours are shifted together from whole vectors: *here is load(p), and becomes load(p + LANES). */
#if defined(__AVX512F__) && defined(REAL_IS_F32)
INLINE void neighbours(const REAL *p, vec *here, vec v[3]) {
    vec after = load(p + LANES);
    v[0] = *here;
    v[1] = SHUFFLE(*here, after, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    v[2] = SHUFFLE(*here, after, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17);
    *here = after;
}
#else
INLINE void neighbours(const REAL *p, vec *here, vec v[3]) {
    (void)here;
    v[0] = load(p), v[1] = load(p + 1), v[2] = load(p + 2);
}
#endif

/* y[p][q] = sum_{r,s} w[r*3+s] x[p+r][q+s], x a padded plane, y without gaps between its rows. Down a column of vectors: each
 * row of x is read once, ends the sums of one row of y, goes on with the next and begins another. A vector that goes beyond
 * the end of a narrow row is overwritten by the rows that follow; the last one of a wide row overlaps the one before it. */
static inline void slide_rows(const frame *f, const REAL *x, const REAL *w, REAL *y) {
    const int64_t P = f->height_out, Q = f->width_out, columns = f->columns;
    vec factor[9];
    UNROLL for (int i = 0; i < 9; i++) factor[i] = broadcast(w[i]);
    for (int64_t q = 0; q < Q; q = q + LANES < Q && q + 2 * LANES > Q ? Q - LANES : q + LANES) {
        vec first = {0}, second = {0}; /* sums of y's rows p and p + 1 over the rows of x above p + 2 */
        for (int64_t p = -2; p < P; p++) {
            vec v[3], done = first, here = load(x + (p + 2) * columns + q), zero = {0};
            neighbours(x + (p + 2) * columns + q, &here, v);
            first = second, second = zero;
            UNROLL for (int s = 0; s < 3; s++) {
                done += factor[6 + s] * v[s];
                first += factor[3 + s] * v[s];
                second += factor[s] * v[s];
            }
            int64_t at = p * Q + q, room = P * Q - at;
            if (p < 0) continue;
            if (room >= LANES) {
                store(y + at, done);
            } else {
                vec last = done;
                memcpy(y + at, &last, (size_t)room * sizeof *y);
            }
        }
    }
}

/* sums[r*3+s] += dy[i] x[i + r*columns + s] for 0 <= i < count, lane by lane: dy has rows as long as those of x, which are
 * padded, and zeros in the gaps. */
static inline void correlate_windows(int64_t count, int64_t columns, const REAL *x, const REAL *dy, REAL *sums) {
    vec sum[9], here[3];
    UNROLL for (int i = 0; i < 9; i++) sum[i] = load(sums + i * LANES);
    UNROLL for (int r = 0; r < 3; r++) here[r] = load(x + r * columns);
    for (int64_t i = 0; i < count; i += LANES) {
        vec g = load(dy + i);
        UNROLL for (int r = 0; r < 3; r++) {
            vec v[3];
            neighbours(x + i + r * columns, &here[r], v);
            UNROLL for (int s = 0; s < 3; s++) sum[r * 3 + s] += g * v[s];
        }
    }
    UNROLL for (int i = 0; i < 9; i++) store(sums + i * LANES, sum[i]);
}
#endif
