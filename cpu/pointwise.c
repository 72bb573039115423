/* 1x1 convolution between few channels: its products (cpu/pointwise.h). conv2d_pointwise.c and separable_conv2d.c call them
 * with an image, or a part of one, that lies in the second cache. */
#include "cpu/pointwise.h"

/* A tile of y: ROWS channels x STRIP pixels; one of dw: DOWN x ACROSS, a vector of pixels at a time. */
#if defined(__AVX512F__)
enum { ROWS = 8, DOWN = 4, ACROSS = 4 };
#else
enum { ROWS = 4, DOWN = 2, ACROSS = 4 };
#endif
enum { STRIP = 2 * LANES, CHUNK = 512 };

/* ---- y = w x ---- */

/* result[row][0..STRIP) (+)= bias[row] + sum_c w[c][row] x[c][0..STRIP), rows and channels a step apart. */
INLINE void tile(int64_t depth, const REAL *w, const REAL *bias, const REAL *x, int64_t x_step, bool add, REAL *result,
                 int64_t step) {
    vec sum[ROWS][2];
    UNROLL for (int row = 0; row < ROWS; row++) sum[row][0] = sum[row][1] = broadcast(bias[row]);
    for (int64_t c = 0; c < depth; c++, x += x_step) {
        vec x0 = load(x), x1 = load(x + LANES);
        UNROLL for (int row = 0; row < ROWS; row++) {
            vec f = broadcast(w[c * ROWS + row]);
            sum[row][0] += f * x0;
            sum[row][1] += f * x1;
        }
    }
    UNROLL for (int row = 0; row < ROWS; row++) {
        REAL *to = result + row * step;
        store(to, add ? load(to) + sum[row][0] : sum[row][0]);
        store(to + LANES, add ? load(to + LANES) + sum[row][1] : sum[row][1]);
    }
}

int64_t LOCAL(pointwise_packed)(int64_t in, int64_t out) { return padded(round_up(out, ROWS) * (in + 1)); }

pointwise LOCAL(pointwise_pack)(int64_t in, int64_t out, const REAL *w, int64_t down, int64_t across, const REAL *b, REAL *to) {
    memset(to, 0, (size_t)LOCAL(pointwise_packed)(in, out) * sizeof *to);
    for (int64_t k = 0; k < out; k++) {
        for (int64_t c = 0; c < in; c++) to[(k / ROWS * in + c) * ROWS + k % ROWS] = w[k * down + c * across];
        if (b) to[round_up(out, ROWS) * in + k] = b[k];
    }
    return (pointwise){in, out, to};
}

/* Of a thread: a strip of x and a tile of y, for the ends of rows and of channels. */
int64_t LOCAL(pointwise_edge)(int64_t in) { return (in + ROWS) * STRIP; }

void LOCAL(pointwise_multiply)(const pointwise *p, int64_t from, int64_t to, const REAL *x, int64_t step, bool add, REAL *y,
                               REAL *edge) {
    const REAL *bias = p->w + round_up(p->out, ROWS) * p->in;
    REAL *edge_y = edge + p->in * STRIP;
    for (int64_t i = from; i < to; i += STRIP) {
        int64_t width = to - i < STRIP ? to - i : STRIP, x_step = step;
        const REAL *strip = x + i;
        if (width < STRIP) {
            for (int64_t c = 0; c < p->in; c++) memcpy(edge + c * STRIP, strip + c * step, (size_t)width * sizeof *edge);
            strip = edge, x_step = STRIP;
        }
        for (int64_t k = 0; k < p->out; k += ROWS) {
            const REAL *w = p->w + k * p->in;
            int64_t rows = p->out - k < ROWS ? p->out - k : ROWS;
            if (rows == ROWS && width == STRIP) {
                tile(p->in, w, bias + k, strip, x_step, add, y + k * step + i, step);
                continue;
            }
            tile(p->in, w, bias + k, strip, x_step, false, edge_y, STRIP);
            for (int64_t row = 0; row < rows; row++) {
                REAL *at = y + (k + row) * step + i;
                for (int64_t q = 0; q < width; q++) at[q] = (add ? at[q] : 0) + edge_y[row * STRIP + q];
            }
        }
    }
}

/* ---- dw = dy x^T ---- */

int64_t LOCAL(pointwise_sums)(int64_t K, int64_t C) { return round_up(K, DOWN) * round_up(C, ACROSS) * LANES; }

/* sums[a][b] += dy[a][i] x[b][i] over `count` pixels, lane by lane. */
INLINE void correlate(int64_t count, const REAL *const dy[DOWN], const REAL *const x[ACROSS], REAL *sums) {
    vec sum[DOWN][ACROSS];
    UNROLL for (int a = 0; a < DOWN; a++)
        UNROLL for (int b = 0; b < ACROSS; b++) sum[a][b] = load(sums + (a * ACROSS + b) * LANES);
    for (int64_t i = 0; i < count; i += LANES) {
        vec g[DOWN];
        UNROLL for (int a = 0; a < DOWN; a++) g[a] = load(dy[a] + i);
        UNROLL for (int b = 0; b < ACROSS; b++) {
            vec v = load(x[b] + i);
            UNROLL for (int a = 0; a < DOWN; a++) sum[a][b] += g[a] * v;
        }
    }
    UNROLL for (int a = 0; a < DOWN; a++)
        UNROLL for (int b = 0; b < ACROSS; b++) store(sums + (a * ACROSS + b) * LANES, sum[a][b]);
}

/* All of dw over `count` pixels, whole vectors. Rows beyond the last repeat it and are left out in the end. */
static void correlate_all(int64_t K, int64_t C, int64_t count, const REAL *dy, const REAL *x, int64_t step, REAL *sums) {
    for (int64_t k = 0; k < K; k += DOWN) {
        const REAL *rows[DOWN], *columns[ACROSS];
        for (int a = 0; a < DOWN; a++) rows[a] = dy + (k + a < K ? k + a : K - 1) * step;
        for (int64_t c = 0; c < C; c += ACROSS, sums += DOWN * ACROSS * LANES) {
            for (int b = 0; b < ACROSS; b++) columns[b] = x + (c + b < C ? c + b : C - 1) * step;
            correlate(count, rows, columns, sums);
        }
    }
}

/* The last pixels of dy and x, filled up with zeros to a vector. */
int64_t LOCAL(pointwise_tail)(int64_t K, int64_t C) { return (K + C) * LANES; }

static void copy_tail(int64_t rows, int64_t width, const REAL *from, int64_t step, REAL *to) {
    memset(to, 0, (size_t)(rows * LANES) * sizeof *to);
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * LANES, from + r * step, (size_t)width * sizeof *to);
}

void LOCAL(pointwise_correlate)(int64_t K, int64_t C, int64_t from, int64_t to, const REAL *dy, const REAL *x, int64_t step,
                                REAL *sums, REAL *tail) {
    int64_t whole = from + (to - from) / LANES * LANES;
    for (int64_t i = from; i < whole; i += CHUNK)
        correlate_all(K, C, whole - i < CHUNK ? whole - i : CHUNK, dy + i, x + i, step, sums);
    if (whole == to) return;
    copy_tail(K, to - whole, dy + whole, step, tail);
    copy_tail(C, to - whole, x + whole, step, tail + K * LANES);
    correlate_all(K, C, LANES, tail, tail + K * LANES, LANES, sums);
}

void LOCAL(pointwise_collect)(int64_t K, int64_t C, const REAL *sums, int64_t stride, int threads, bool add, REAL *dw) {
    int64_t across = round_up(C, ACROSS);
    for (int64_t i = 0; i < K * C; i++) {
        int64_t k = i / C, c = i % C, block = (k - k % DOWN) * across + (c - c % ACROSS) * DOWN;
        int64_t at = (block + k % DOWN * ACROSS + c % ACROSS) * LANES;
        REAL total = add ? dw[i] : 0;
        for (int t = 0; t < threads; t++) total += sum_lanes(load(sums + t * stride + at));
        dw[i] = total;
    }
}
