/* What Winograd's F(4x4, 3x3) needs wherever it is used: the transforms of a tile (conv2d_winograd.c says what they are). */
#ifndef MIEN_CPU_WINOGRAD_H
#define MIEN_CPU_WINOGRAD_H
#include "cpu/gemm.h"

enum { POINTS = 36, PANEL = GEMM_PANEL };

/* ---- the four transforms in one dimension, on vectors of channels ---- */

/* The points A and B, chosen for small rounding errors; both are exact in binary. */
#define A R(0.625)
#define B R(1.5)
#define AA (A * A)
#define BB (B * B)

/* v = Bt d: the values of the polynomial d at the six points. */
INLINE void to_points(const vec d[6], vec v[6]) {
    vec even_a = d[4] - BB * d[2], odd_a = A * (d[3] - BB * d[1]);
    vec even_b = d[4] - AA * d[2], odd_b = B * (d[3] - AA * d[1]);
    v[0] = AA * BB * d[0] - (AA + BB) * d[2] + d[4];
    v[1] = even_a + odd_a;
    v[2] = even_a - odd_a;
    v[3] = even_b + odd_b;
    v[4] = even_b - odd_b;
    v[5] = AA * BB * d[1] - (AA + BB) * d[3] + d[5];
}

/* y = At m: from the six points back to four pixels. */
INLINE void from_points(const vec m[6], vec y[4]) {
    vec sum_a = m[1] + m[2], difference_a = A * (m[1] - m[2]);
    vec sum_b = m[3] + m[4], difference_b = B * (m[3] - m[4]);
    y[0] = m[0] + sum_a + sum_b;
    y[1] = difference_a + difference_b;
    y[2] = AA * sum_a + BB * sum_b;
    y[3] = AA * difference_a + BB * difference_b + m[5];
}

/* m = At^T y, the transpose of from_points: what four pixels of dy contribute to the six points. */
INLINE void gradient_to_points(const vec y[4], vec m[6]) {
    vec even_a = y[0] + AA * y[2], odd_a = A * (y[1] + AA * y[3]);
    vec even_b = y[0] + BB * y[2], odd_b = B * (y[1] + BB * y[3]);
    m[0] = y[0];
    m[1] = even_a + odd_a;
    m[2] = even_a - odd_a;
    m[3] = even_b + odd_b;
    m[4] = even_b - odd_b;
    m[5] = y[3];
}

/* G divides by the product of the distances between a point and the others. */
#define AT_0 (1 / (AA * BB))
#define AT_A (1 / (2 * AA * (AA - BB)))
#define AT_B (1 / (2 * BB * (BB - AA)))

/* u = G w: the values of a row of the kernel at the six points. */
INLINE void kernel_to_points(const vec w[3], vec u[6]) {
    vec even_a = AT_A * (w[0] + AA * w[2]), odd_a = AT_A * A * w[1];
    vec even_b = AT_B * (w[0] + BB * w[2]), odd_b = AT_B * B * w[1];
    u[0] = AT_0 * w[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = w[2];
}

/* w = G^T u, the transpose of kernel_to_points. */
INLINE void gradient_from_points(const vec u[6], vec w[3]) {
    vec sum_a = AT_A * (u[1] + u[2]), sum_b = AT_B * (u[3] + u[4]);
    w[0] = AT_0 * u[0] + sum_a + sum_b;
    w[1] = AT_A * A * (u[1] - u[2]) + AT_B * B * (u[3] - u[4]);
    w[2] = AA * sum_a + BB * sum_b + u[5];
}

/* Two dimensions: the rows of an n x n square (numbers of `step` places a row), then the columns of the result. */
#define TWO_DIMENSIONS(name, transform, n, m)                                                            \
    INLINE void name(const vec from[(n) * (n)], vec to[(m) * (m)]) {                                     \
        vec half[(m) * (n)], column[6], result[6];                                                       \
        UNROLL for (int i = 0; i < (n); i++) {                                                           \
            transform(from + i * (n), result);                                                           \
            UNROLL for (int j = 0; j < (m); j++) half[j * (n) + i] = result[j];                          \
        }                                                                                                \
        UNROLL for (int j = 0; j < (m); j++) {                                                           \
            UNROLL for (int i = 0; i < (n); i++) column[i] = half[j * (n) + i];                          \
            transform(column, result);                                                                   \
            UNROLL for (int i = 0; i < (m); i++) to[i * (m) + j] = result[i];                            \
        }                                                                                                \
    }
TWO_DIMENSIONS(tile_to_points, to_points, 6, 6)
TWO_DIMENSIONS(tile_from_points, from_points, 6, 4)
TWO_DIMENSIONS(gradient_tile_to_points, gradient_to_points, 4, 6)
TWO_DIMENSIONS(kernel_square_to_points, kernel_to_points, 3, 6)
TWO_DIMENSIONS(gradient_square_from_points, gradient_from_points, 6, 3)

/* kernel[point][panel][in][PANEL], `step` numbers from a point to the next: the points of w (out,in,3,3) as the right
 * factors of 36 matrix products; channels beyond `out`, up to out_lanes, are 0. rotated: w is (in,out,3,3) and turned by
 * half a turn, for the gradient of the input. One thread a panel. */
void LOCAL(winograd_kernel)(int64_t in, int64_t out, int64_t out_lanes, int64_t step, const REAL *w, bool rotated,
                            REAL *kernel, int threads);
#endif
