/* The inside of GEMM, for kernels that prepare their factors themselves (conv2d_winograd.c). */
#ifndef MIEN_CPU_GEMM_H
#define MIEN_CPU_GEMM_H
#include "cpu/vector.h"

/* Columns of B that are multiplied at a time. */
enum { GEMM_PANEL = 2 * VEC_BYTES / sizeof(REAL) };
/* Element (i,p) of a left factor A stands at a[i*row + p*step]. */
typedef struct gemm_factor {
    const REAL *a;
    int64_t row, step;
} gemm_factor;

/* Rows p < k and columns j < n of op(B) into panels: to[j / GEMM_PANEL][p][j % GEMM_PANEL], 0 beyond n. */
void LOCAL(gemm_pack)(bool tb, int64_t k, int64_t n, const REAL *b, int64_t ldb, REAL *to);
/* C (m,n) (+)= A B, with B in panels; n is a multiple of GEMM_PANEL. On the calling thread. 2*m*n*k flop. */
void LOCAL(gemm_panels)(int64_t m, int64_t n, int64_t k, gemm_factor A, const REAL *panels, bool add, REAL *c,
                        int64_t ldc);
#endif
