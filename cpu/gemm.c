/* GEMM: OpenBLAS where it is, else a blocked loop. The library's own threads split the work, so OpenBLAS
 * is kept to one: sums are then formed in the same order in every run. */
#include "cpu/kernel.h"
#if MN_HAVE_OPENBLAS
#include <cblas.h>

void LOCAL(gemm)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda, const REAL *b,
                 int64_t ldb, REAL beta, REAL *c, int64_t ldc) {
    if (m <= 0 || n <= 0) return;
#ifdef REAL_IS_F32
    cblas_sgemm
#else
    cblas_dgemm
#endif
        (CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n,
         (blasint)k, 1, a, (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
}

#else

/* Rows of four of C at a time, so that a row of B is read once for four multiply-adds. */
void LOCAL(gemm)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda, const REAL *b,
                 int64_t ldb, REAL beta, REAL *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++) {
        REAL *row = c + i * ldc;
        if (beta == 0) memset(row, 0, (size_t)n * sizeof *row);
        for (int64_t p = 0; p < k; p++) {
            const REAL s = ta ? a[p * lda + i] : a[i * lda + p];
            if (tb)
                for (int64_t j = 0; j < n; j++) row[j] += s * b[j * ldb + p];
            else
                for (int64_t j = 0; j < n; j++) row[j] += s * b[p * ldb + j];
        }
    }
}

#endif

void LOCAL(gemm_parallel)(int threads, bool ta, bool tb, int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda,
                          const REAL *b, int64_t ldb, REAL beta, REAL *c, int64_t ldc) {
    if (m * n * k < (int64_t)64 * 64 * 64) threads = 1;
    bool by_rows = m >= n;
    int64_t size = by_rows ? m : n, part = ((size + threads - 1) / threads + 15) / 16 * 16;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        int64_t from = t * part, count = size - from < part ? size - from : part;
        if (count <= 0) continue;
        if (by_rows)
            LOCAL(gemm)(ta, tb, count, n, k, ta ? a + from : a + from * lda, lda, b, ldb, beta, c + from * ldc, ldc);
        else
            LOCAL(gemm)(ta, tb, m, count, k, a, lda, tb ? b + from * ldb : b + from, ldb, beta, c + from, ldc);
    }
}
