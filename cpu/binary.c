/* Elementwise operations of two tensors: y = value(a, b), and with dy = d loss / d y
 *   da (+)= sum of dy * (dy/da) over what a was stretched along; db likewise.
 * Every line of binary.def becomes three loops over a piece of a row here; two walkers call them.
 * Loop order: rows of the output, in pieces of CHUNK; the row is the longest run along which each input
 * either moves by one or stands still, so same shapes, scalars and channels are plain vector loops.
 * Sums are formed in double, in an order that does not depend on the number of threads.
 * 2 reads and 1 write an element forward, 4 reads and 1 write backward. */
#include "autograd/broadcast.h"
#include "cpu/reduce.h"

enum { CHUNK = 512 };

/* Adds to at[] where index r, counted over the dimensions dim[0..n-1] with the first one fastest, stands. */
static void locate(const mn__walk *w, const int *dim, int n, int64_t r, int64_t at[3]) {
    for (int k = 0; k < n; k++) {
        int64_t size = w->size[dim[k]], j = r % size;
        r /= size;
        for (int t = 0; t < 3; t++) at[t] += j * w->step[t][dim[k]];
    }
}

/* One piece of a row: y[i] = value, or t[i] = dy[i] * derivative. sa, sb: 1, or 0 for a number that stays. */
typedef void value_fn(REAL *ys, const REAL *as, int64_t sa, const REAL *bs, int64_t sb, int64_t n);
typedef void term_fn(REAL *ts, const REAL *as, int64_t sa, const REAL *bs, int64_t sb, const REAL *ys, const REAL *dys,
                     int64_t n);

static void forward(mn_node *n, value_fn *value) {
    static const int outer[] = {1, 2, 3, 4};
    const mn__walk w = mn__walk_of(n);
    const REAL *a = in(n, 0), *b = in(n, 1);
    REAL *y = out(n);
    int64_t row = w.size[0], pieces = (row + CHUNK - 1) / CHUNK, tasks = n->out->count / row * pieces;
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t p = 0; p < tasks; p++) {
        int64_t at[3] = {0, 0, 0}, i = p % pieces * CHUNK, len = row - i < CHUNK ? row - i : CHUNK;
        locate(&w, outer, w.ndim - 1, p / pieces, at);
        value(y + at[2] + i, a + at[0] + i * w.step[0][0], w.step[0][0], b + at[1] + i * w.step[1][0], w.step[1][0], len);
    }
}

/* The gradient of an input of y's shape: no sum. */
static void gradient(mn_node *n, int k, term_fn *term) {
    static const int outer[] = {1, 2, 3, 4};
    const mn__walk w = mn__walk_of(n);
    const REAL *a = in(n, 0), *b = in(n, 1), *y = out(n), *dy = out_grad(n);
    REAL *dx = in_grad(n, k);
    bool add = mn__adds(n, k);
    int64_t row = w.size[0], pieces = (row + CHUNK - 1) / CHUNK, tasks = n->out->count / row * pieces;
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t p = 0; p < tasks; p++) {
        REAL t[CHUNK];
        int64_t at[3] = {0, 0, 0}, i = p % pieces * CHUNK, len = row - i < CHUNK ? row - i : CHUNK;
        locate(&w, outer, w.ndim - 1, p / pieces, at);
        REAL *d = dx + at[2] + i;
        term(add ? t : d, a + at[0] + i * w.step[0][0], w.step[0][0], b + at[1] + i * w.step[1][0], w.step[1][0],
             y + at[2] + i, dy + at[2] + i, len);
        for (int64_t j = 0; add && j < len; j++) d[j] += t[j];
    }
}

/* The gradient of a stretched input. A task owns a piece of it, `width` numbers that lie side by side, and
 * sums over all rows that they were stretched along; where the row itself is stretched, width is 1. */
static void gradient_summed(mn_node *n, int k, term_fn *term) {
    const mn__walk w = mn__walk_of(n);
    const REAL *a = in(n, 0), *b = in(n, 1), *y = out(n), *dy = out_grad(n);
    REAL *dx = in_grad(n, k);
    bool add = mn__adds(n, k), along = w.step[k][0] != 0;
    int kept[MN_MAX_DIMS], n_kept = 0, summed[MN_MAX_DIMS], n_summed = 0;
    int64_t rows_kept = 1, rows_summed = 1, row = w.size[0], sa = w.step[0][0], sb = w.step[1][0];
    for (int d = 1; d < w.ndim; d++) {
        if (w.step[k][d]) kept[n_kept++] = d, rows_kept *= w.size[d];
        else summed[n_summed++] = d, rows_summed *= w.size[d];
    }
    int64_t pieces = along ? (row + CHUNK - 1) / CHUNK : 1;
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t p = 0; p < rows_kept * pieces; p++) {
        REAL t[CHUNK];
        double sum[CHUNK] = {0};
        int64_t own[3] = {0, 0, 0}, from = p % pieces * CHUNK, to = along && row - from > CHUNK ? from + CHUNK : row;
        locate(&w, kept, n_kept, p / pieces, own);
        for (int64_t s = 0; s < rows_summed; s++) {
            int64_t at[3] = {own[0], own[1], own[2]};
            locate(&w, summed, n_summed, s, at);
            for (int64_t i = from; i < to; i += CHUNK) {
                int64_t len = to - i < CHUNK ? to - i : CHUNK;
                term(t, a + at[0] + i * sa, sa, b + at[1] + i * sb, sb, y + at[2] + i, dy + at[2] + i, len);
                if (along) for (int64_t j = 0; j < len; j++) sum[j] += t[j];
                else sum[0] += sum_row(t, len);
            }
        }
        REAL *d = dx + own[k] + (along ? from : 0);
        for (int64_t j = 0; j < (along ? to - from : 1); j++) d[j] = (REAL)((add ? d[j] : 0) + sum[j]);
    }
}

static void backward(mn_node *n, int k, term_fn *term) {
    if (!mn__wants(n, k)) return;
    if (n->in[k]->count == n->out->count) {
        if (n->out->count) gradient(n, k, term);
    } else if (n->out->count) {
        gradient_summed(n, k, term);
    } else if (!mn__adds(n, k)) {
        memset(in_grad(n, k), 0, (size_t)n->in[k]->count * sizeof(REAL));
    }
}

#define LOOP(sa_, sb_, to, expression)                                                                   \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                                \
        const REAL a = as[i * sa_], b = bs[i * sb_];                                                     \
        (void)a, (void)b;                                                                                \
        to[i] = expression;                                                                              \
    }
#define LOOPS(to, expression)                                                                            \
    if (sa && sb) LOOP(1, 1, to, expression)                                                             \
    else if (sa) LOOP(1, 0, to, expression)                                                              \
    else if (sb) LOOP(0, 1, to, expression)                                                              \
    else LOOP(0, 0, to, expression)

#define BINARY(op, value, da, db, lo, hi)                                                                \
    static void op##_value(REAL *ys, const REAL *as, int64_t sa, const REAL *bs, int64_t sb, int64_t n) { \
        LOOPS(ys, value)                                                                                 \
    }                                                                                                    \
    static void op##_da(REAL *ts, const REAL *as, int64_t sa, const REAL *bs, int64_t sb, const REAL *y_, \
                        const REAL *dy, int64_t n) {                                                     \
        (void)y_;                                                                                        \
        LOOPS(ts, dy[i] * (da))                                                                          \
    }                                                                                                    \
    static void op##_db(REAL *ts, const REAL *as, int64_t sa, const REAL *bs, int64_t sb, const REAL *y_, \
                        const REAL *dy, int64_t n) {                                                     \
        (void)y_;                                                                                        \
        LOOPS(ts, dy[i] * (db))                                                                          \
    }                                                                                                    \
    mn_status FWD(op)(mn_node * n);                                                                      \
    mn_status FWD(op)(mn_node * n) {                                                                     \
        forward(n, op##_value);                                                                          \
        return MN_OK;                                                                                    \
    }                                                                                                    \
    mn_status BWD(op)(mn_node * n);                                                                      \
    mn_status BWD(op)(mn_node * n) {                                                                     \
        backward(n, 0, op##_da);                                                                         \
        backward(n, 1, op##_db);                                                                         \
        return MN_OK;                                                                                    \
    }
/* In the expressions y is the output's element. */
#define y y_[i]
#include "autograd/binary.def"
