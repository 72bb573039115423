/* GEMM: C (m,n) (+)= op(A) op(B), in the way of Goto and van de Geijn 2008 ("Anatomy of high-performance matrix
 * multiplication"), reduced to what the shapes of small networks need:
 *
 *   1. k is cut into blocks of DEPTH and n into blocks of WIDTH; that block of B is copied ("packed") into panels of
 *      PANEL columns, so that the inner loop reads it front to back from the second cache.
 *      A block of HEIGHT rows of A is copied as it lies, so that it is close together.
 *   2. The inner loop keeps a tile of C, ROWS x PANEL, in registers; for every p it reads one row of the panel and
 *      ROWS numbers of A, and makes ROWS x PANEL multiply-adds of them.
 *   3. B^T is transposed while it is packed. For a few rows of A that would not pay: they make dot products, with
 *      whole vectors along k.
 *
 * With AVX2 or AVX-512 this is as fast as the OpenBLAS of Debian 12 or faster on the shapes of these networks
 * (docs/performance.md). The plain variant, which may not use such registers, leaves its products to OpenBLAS, which
 * finds out by itself what the processor has; BLAS=none keeps them here. */
#include "cpu/gemm.h"
#define USE_OPENBLAS (MN_HAVE_OPENBLAS && VEC_BYTES == 16)
#if USE_OPENBLAS
#include <cblas.h>
#endif

/* Registers: ROWS*2 for the tile, 2 for a row of the panel, 1 for A, of the 32 or 16 that there are. */
#if defined(__AVX512F__)
enum { ROWS = 8, DOT_ROWS = 4, DOT_COLUMNS = 4 };
#elif defined(__AVX2__)
enum { ROWS = 6, DOT_ROWS = 3, DOT_COLUMNS = 3 };
#else
enum { ROWS = 4, DOT_ROWS = 2, DOT_COLUMNS = 4 };
#endif
enum { PANEL = GEMM_PANEL, DEPTH = 256, WIDTH = 1024 / sizeof(REAL), HEIGHT = 12 * ROWS,
       DOT_DEPTH = 8192 / sizeof(REAL) };

/* C (rows,PANEL) (+)= A (rows,k) B (k,PANEL), row p of B at b + p*b_step. `rows` is a constant where this is inlined. */
INLINE void tile(int rows, int64_t k, gemm_factor A, const REAL *b, int64_t b_step, bool add, REAL *c, int64_t ldc) {
    vec sum[ROWS][2] = {0};
    for (int64_t p = 0; p < k; p++) {
        vec b0 = load(b + p * b_step), b1 = load(b + p * b_step + LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            vec s = broadcast(A.a[i * A.row + p * A.step]);
            sum[i][0] += s * b0;
            sum[i][1] += s * b1;
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        REAL *to = c + i * ldc;
        store(to, add ? load(to) + sum[i][0] : sum[i][0]);
        store(to + LANES, add ? load(to + LANES) + sum[i][1] : sum[i][1]);
    }
}

/* The rows that are left over at the bottom, one of the constants that `tile` wants. */
static void short_tile(int rows, int64_t k, gemm_factor A, const REAL *b, int64_t b_step, bool add, REAL *c, int64_t ldc) {
    switch (rows) {
    case 1: tile(1, k, A, b, b_step, add, c, ldc); break;
    case 2: tile(2, k, A, b, b_step, add, c, ldc); break;
    case 3: tile(3, k, A, b, b_step, add, c, ldc); break;
#if defined(__AVX2__)
    case 4: tile(4, k, A, b, b_step, add, c, ldc); break;
    case 5: tile(5, k, A, b, b_step, add, c, ldc); break;
#endif
#if defined(__AVX512F__)
    case 6: tile(6, k, A, b, b_step, add, c, ldc); break;
    case 7: tile(7, k, A, b, b_step, add, c, ldc); break;
#endif
    default: break;
    }
}

/* All m rows of one panel. Fewer than PANEL columns are computed in full beside C and copied. */
static void sweep(int64_t m, int64_t columns, int64_t k, gemm_factor A, const REAL *b, int64_t b_step, bool add, REAL *c,
                  int64_t ldc) {
    REAL edge[ROWS * PANEL];
    for (int64_t i = 0; i < m; i += ROWS, A.a += ROWS * A.row, c += ROWS * ldc) {
        int rows = m - i < ROWS ? (int)(m - i) : ROWS;
        bool whole = columns == PANEL;
        REAL *to = whole ? c : edge;
        int64_t stride = whole ? ldc : PANEL;
        if (rows == ROWS) tile(ROWS, k, A, b, b_step, add && whole, to, stride);
        else short_tile(rows, k, A, b, b_step, add && whole, to, stride);
        for (int r = 0; r < rows && !whole; r++)
            for (int64_t j = 0; j < columns; j++) c[r * ldc + j] = (add ? c[r * ldc + j] : 0) + edge[r * PANEL + j];
    }
}

void LOCAL(gemm_pack)(bool tb, int64_t k, int64_t n, const REAL *b, int64_t ldb, REAL *to) {
    int64_t whole = n / PANEL * PANEL, rest = n - whole;
    if (rest) memset(to + whole * k, 0, (size_t)(k * PANEL) * sizeof *to);
    if (tb) {
        for (int64_t j = 0; j < n; j += PANEL)
            transpose(j < whole ? PANEL : rest, k, b + j * ldb, ldb, to + j * k, PANEL);
        return;
    }
    for (int64_t p = 0; p < k; p++, b += ldb) {
        for (int64_t j = 0; j < whole; j += PANEL) {
            store(to + j * k + p * PANEL, load(b + j));
            store(to + j * k + p * PANEL + LANES, load(b + j + LANES));
        }
        for (int64_t j = 0; j < rest; j++) to[whole * k + p * PANEL + j] = b[whole + j];
    }
}

void LOCAL(gemm_panels)(int64_t m, int64_t n, int64_t k, gemm_factor A, const REAL *panels, bool add, REAL *c,
                        int64_t ldc) {
    for (int64_t j = 0; j < n; j += PANEL) sweep(m, PANEL, k, A, panels + j * k, PANEL, add, c + j, ldc);
}

#if !USE_OPENBLAS
/* Rows i < m and columns p < k of op(A), as they lie but close together: rows that are a multiple of 4096 bytes apart
 * would push each other out of the first cache. */
static gemm_factor gather(int64_t m, int64_t k, gemm_factor A, REAL *to) {
    bool rows = A.step == 1;
    int64_t lines = rows ? m : k, length = rows ? k : m, from = rows ? A.row : A.step, step = rows ? DEPTH + 16 : HEIGHT;
    for (int64_t i = 0; i < lines; i++) memcpy(to + i * step, A.a + i * from, (size_t)length * sizeof *to);
    return (gemm_factor){to, rows ? step : 1, rows ? 1 : step};
}

/* The block C (m, n) (+)= A B of at most DEPTH products, n at most WIDTH. */
static void multiply_block(bool tb, int64_t m, int64_t n, int64_t k, gemm_factor A, const REAL *b, int64_t ldb, bool add,
                           REAL *c, int64_t ldc) {
    _Alignas(64) REAL panels[DEPTH * WIDTH], rows[HEIGHT * (DEPTH + 16)];
    bool in_place = !tb && m <= ROWS && n % PANEL == 0; /* B is used once: packing would only read it twice */
    if (!in_place) LOCAL(gemm_pack)(tb, k, n, b, ldb, panels);
    for (int64_t i = 0; i < m; i += HEIGHT) {
        int64_t height = m - i < HEIGHT ? m - i : HEIGHT;
        gemm_factor part = gather(height, k, (gemm_factor){A.a + i * A.row, A.row, A.step}, rows);
        for (int64_t j = 0; j < n; j += PANEL)
            sweep(height, n - j < PANEL ? n - j : PANEL, k, part, in_place ? b + j : panels + j * k,
                  in_place ? ldb : PANEL, add, c + i * ldc + j, ldc);
    }
}

static void multiply(bool tb, int64_t m, int64_t n, int64_t k, gemm_factor A, const REAL *b, int64_t ldb, bool add, REAL *c,
                     int64_t ldc) {
    for (int64_t j = 0; j < n; j += WIDTH)
        for (int64_t p = 0; p < k; p += DEPTH)
            multiply_block(tb, m, n - j < WIDTH ? n - j : WIDTH, k - p < DEPTH ? k - p : DEPTH,
                           (gemm_factor){A.a + p * A.step, A.row, A.step}, tb ? b + j * ldb + p : b + p * ldb + j, ldb,
                           add || p > 0, c + j, ldc);
}

/* c[i][j] (+)= sum_p a[i*lda+p] * b[j*ldb+p] for i < rows, j < columns, constants where this is inlined. */
INLINE void dot_tile(int rows, int columns, int64_t k, const REAL *a, int64_t lda, const REAL *b, int64_t ldb, bool add,
                     REAL *c, int64_t ldc) {
    vec sum[DOT_ROWS][DOT_COLUMNS] = {0};
    int64_t p = 0;
    for (; p + LANES <= k; p += LANES) {
        vec right[DOT_COLUMNS];
        UNROLL for (int j = 0; j < columns; j++) right[j] = load(b + j * ldb + p);
        UNROLL for (int i = 0; i < rows; i++) {
            vec left = load(a + i * lda + p);
            UNROLL for (int j = 0; j < columns; j++) sum[i][j] += left * right[j];
        }
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < columns; j++) {
        REAL total = sum_lanes(sum[i][j]);
        for (int64_t q = p; q < k; q++) total += a[i * lda + q] * b[j * ldb + q];
        c[i * ldc + j] = add ? c[i * ldc + j] + total : total;
    }
}

/* C (m,n) (+)= A B^T for few rows: memory-bound, every number of B is read once. */
static void multiply_dots(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda, const REAL *b, int64_t ldb,
                          bool add, REAL *c, int64_t ldc) {
    for (int64_t p = 0; p < k; p += DOT_DEPTH) {
        int64_t depth = k - p < DOT_DEPTH ? k - p : DOT_DEPTH;
        bool adds = add || p > 0;
        for (int64_t j = 0; j < n; j += DOT_COLUMNS)
            for (int64_t i = 0; i < m; i += DOT_ROWS) {
                const REAL *left = a + i * lda + p, *right = b + j * ldb + p;
                REAL *to = c + i * ldc + j;
                if (m - i >= DOT_ROWS && n - j >= DOT_COLUMNS)
                    dot_tile(DOT_ROWS, DOT_COLUMNS, depth, left, lda, right, ldb, adds, to, ldc);
                else
                    for (int64_t r = 0; r < DOT_ROWS && r < m - i; r++)
                        for (int64_t s = 0; s < DOT_COLUMNS && s < n - j; s++)
                            dot_tile(1, 1, depth, left + r * lda, lda, right + s * ldb, ldb, adds, to + r * ldc + s, ldc);
            }
    }
}
#endif

void LOCAL(gemm)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda, const REAL *b,
                 int64_t ldb, REAL beta, REAL *c, int64_t ldc) {
    bool add = beta != 0;
    if (m <= 0 || n <= 0) return;
    if (k <= 0) {
        for (int64_t i = 0; i < m && !add; i++) memset(c + i * ldc, 0, (size_t)n * sizeof *c);
        return;
    }
#if USE_OPENBLAS
#ifdef REAL_IS_F32
    cblas_sgemm
#else
    cblas_dgemm
#endif
        (CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n,
         (blasint)k, 1, a, (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
#else
    if (tb && !ta && m <= DOT_ROWS) multiply_dots(m, n, k, a, lda, b, ldb, add, c, ldc);
    else multiply(tb, m, n, k, (gemm_factor){a, ta ? 1 : lda, ta ? lda : 1}, b, ldb, add, c, ldc);
#endif
}

void LOCAL(gemm_parallel)(int threads, bool ta, bool tb, int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda,
                          const REAL *b, int64_t ldb, REAL beta, REAL *c, int64_t ldc) {
    if (m * n * k < (int64_t)64 * 64 * 64) threads = 1;
    bool by_rows = m >= n;
    int64_t size = by_rows ? m : n, part = ((size + threads - 1) / threads + PANEL - 1) / PANEL * PANEL;
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
