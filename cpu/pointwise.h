/* The three matrix products of a 1x1 convolution between few channels, on planes of pixels that stand `step` apart:
 *   y[k][i]  = b[k] + sum_c w[k,c] x[c][i]       dx[c][i] (+)= sum_k w[k,c] dy[k][i]       i: pixels of an image
 *   dw[k,c] (+)= sum over images and i of dy[k][i] x[c][i]
 * They have few rows, so that a general product would spend its time on packing the image. Here the weights alone are
 * packed, and strips of pixels that stay in the first cache meet all of them. 2*K*C flop a pixel and product. */
#ifndef MIEN_CPU_POINTWISE_H
#define MIEN_CPU_POINTWISE_H
#include "cpu/conv2d.h"
#include "cpu/vector.h"

/* Weights of y = w x, or of dx = w^T dy: packed as [block of rows][in][row], then the biases follow. */
typedef struct pointwise {
    int64_t in, out;
    const REAL *w;
} pointwise;
int64_t LOCAL(pointwise_packed)(int64_t in, int64_t out); /* numbers that they take */
/* w[k*down + c*across] is the factor between input c and output k. b may be NULL. */
pointwise LOCAL(pointwise_pack)(int64_t in, int64_t out, const REAL *w, int64_t down, int64_t across, const REAL *b, REAL *to);

/* Pixels [from, to) of y (out,step) (+)= bias + w x, x (in,step). */
void LOCAL(pointwise_multiply)(const pointwise *p, int64_t from, int64_t to, const REAL *x, int64_t step, bool add, REAL *y,
                               REAL *edge);
int64_t LOCAL(pointwise_edge)(int64_t in); /* numbers of scratch in `edge`, for the ends of rows and of channels */

/* sums += dy[k][i] x[c][i] over pixels [from, to), lane by lane, for all k < K and c < C; zeros in the beginning. */
void LOCAL(pointwise_correlate)(int64_t K, int64_t C, int64_t from, int64_t to, const REAL *dy, const REAL *x, int64_t step,
                                REAL *sums, REAL *tail);
int64_t LOCAL(pointwise_sums)(int64_t K, int64_t C);
int64_t LOCAL(pointwise_tail)(int64_t K, int64_t C); /* numbers of scratch in `tail`, for the last pixels */
/* dw (K,C) (+)= the sums of `threads` threads, which stand `stride` apart, in order. */
void LOCAL(pointwise_collect)(int64_t K, int64_t C, const REAL *sums, int64_t stride, int threads, bool add, REAL *dw);
#endif
