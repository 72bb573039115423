/* 1x1 convolution between few channels: the second half of separable convolutions, and shortcuts with a stride. Its three
 * matrix products
 *   y[k][i]  = b[k] + sum_c w[k,c] x[c][i]       dx[c][i] (+)= sum_k w[k,c] dy[k][i]       i: pixels of an image
 *   dw[k,c] (+)= sum over images and i of dy[k][i] x[c][i]
 * have few rows, so that a general one would spend its time on packing the image. Here the weights alone are packed, and
 * strips of pixels that stay in the first cache meet all of them; the gradients take x and dy from the second cache
 * together. With a stride the pixels that are read are gathered first. 2*N*K*C*P*Q flop a product. */
#include "cpu/conv2d.h"
#include "cpu/vector.h"

/* A tile of y: ROWS channels x STRIP pixels; one of dw: DOWN x ACROSS, a vector of pixels at a time. */
#if defined(__AVX512F__)
enum { ROWS = 8, DOWN = 4, ACROSS = 4 };
#else
enum { ROWS = 4, DOWN = 2, ACROSS = 4 };
#endif
enum { STRIP = 2 * LANES, CHUNK = 512, MOST_WEIGHTS = 8192 };

static bool fits(const mn__window *g) {
    return g->R == 1 && g->S == 1 && g->groups == 1 && g->top == 0 && g->left == 0 && (g->P - 1) * g->stride_h < g->H &&
           (g->Q - 1) * g->stride_w < g->W && g->C * g->K <= MOST_WEIGHTS;
}

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

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

/* One of the two products: `w` is packed as [block of ROWS][in][row], then the biases follow. */
typedef struct product {
    int64_t in, out;
    const REAL *w;
} product;
static int64_t packed_size(int64_t in, int64_t out) { return padded(round_up(out, ROWS) * (in + 1)); }

/* w[k*down + c*across] is the factor between input c and output k. */
static product pack(int64_t in, int64_t out, const REAL *w, int64_t down, int64_t across, const REAL *b, REAL *to) {
    memset(to, 0, (size_t)packed_size(in, out) * sizeof *to);
    for (int64_t k = 0; k < out; k++) {
        for (int64_t c = 0; c < in; c++) to[(k / ROWS * in + c) * ROWS + k % ROWS] = w[k * down + c * across];
        if (b) to[round_up(out, ROWS) * in + k] = b[k];
    }
    return (product){in, out, to};
}

/* Of a thread: a strip of x and a tile of y, for the ends of rows and of channels. */
static int64_t edge_size(int64_t in) { return (in + ROWS) * STRIP; }

/* Pixels [from, to) of y (out,step) (+)= bias + w x, x (in,step). */
static void multiply(const product *p, int64_t from, int64_t to, const REAL *x, int64_t step, bool add, REAL *y, REAL *edge) {
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

static int64_t sums_size(const mn__window *g) { return round_up(g->K, DOWN) * round_up(g->C, ACROSS) * LANES; }

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
static void correlate_all(const mn__window *g, int64_t count, const REAL *dy, int64_t dy_step, const REAL *x, int64_t x_step,
                          REAL *sums) {
    for (int64_t k = 0; k < g->K; k += DOWN) {
        const REAL *rows[DOWN], *columns[ACROSS];
        for (int a = 0; a < DOWN; a++) rows[a] = dy + (k + a < g->K ? k + a : g->K - 1) * dy_step;
        for (int64_t c = 0; c < g->C; c += ACROSS, sums += DOWN * ACROSS * LANES) {
            for (int b = 0; b < ACROSS; b++) columns[b] = x + (c + b < g->C ? c + b : g->C - 1) * x_step;
            correlate(count, rows, columns, sums);
        }
    }
}

/* Of a thread: the last pixels of dy and x, filled up with zeros to a vector. */
static int64_t tail_size(const mn__window *g) { return (g->K + g->C) * LANES; }

static void copy_tail(int64_t rows, int64_t width, const REAL *from, int64_t step, REAL *to) {
    memset(to, 0, (size_t)(rows * LANES) * sizeof *to);
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * LANES, from + r * step, (size_t)width * sizeof *to);
}

static void weight_gradient(const mn__window *g, int64_t from, int64_t to, const REAL *dy, const REAL *x, REAL *sums, REAL *tail) {
    int64_t step = g->P * g->Q, whole = from + (to - from) / LANES * LANES;
    for (int64_t i = from; i < whole; i += CHUNK)
        correlate_all(g, whole - i < CHUNK ? whole - i : CHUNK, dy + i, step, x + i, step, sums);
    if (whole == to) return;
    copy_tail(g->K, to - whole, dy + whole, step, tail);
    copy_tail(g->C, to - whole, x + whole, step, tail + g->K * LANES);
    correlate_all(g, LANES, tail, LANES, tail + g->K * LANES, LANES, sums);
}

/* dw (+)= the threads' sums, in order. */
static void collect(const conv2d_job *j, const REAL *sums, int64_t stride) {
    const mn__window *g = &j->g;
    int64_t across = round_up(g->C, ACROSS);
    for (int64_t i = 0; i < g->K * g->C; i++) {
        int64_t k = i / g->C, c = i % g->C, block = (k - k % DOWN) * across + (c - c % ACROSS) * DOWN;
        int64_t at = (block + k % DOWN * ACROSS + c % ACROSS) * LANES;
        REAL total = j->add_dw ? j->dw[i] : 0;
        for (int t = 0; t < j->threads; t++) total += sum_lanes(load(sums + t * stride + at));
        j->dw[i] = total;
    }
}

/* ---- strides ---- */

static bool strided(const mn__window *g) { return g->P != g->H || g->Q != g->W; }

/* to (C,PQ): the pixels of x that are read. */
static void gather(const mn__window *g, const REAL *x, REAL *to) {
    for (int64_t c = 0; c < g->C; c++)
        for (int64_t p = 0; p < g->P; p++, to += g->Q) {
            const REAL *row = x + (c * g->H + p * g->stride_h) * g->W;
            for (int64_t q = 0; q < g->Q; q++) to[q] = row[q * g->stride_w];
        }
}

/* dx (+)= from (C,PQ) where it was read, 0 elsewhere. */
static void scatter(const mn__window *g, const REAL *from, bool add, REAL *dx) {
    if (!add) memset(dx, 0, (size_t)(g->C * g->H * g->W) * sizeof *dx);
    for (int64_t c = 0; c < g->C; c++)
        for (int64_t p = 0; p < g->P; p++, from += g->Q) {
            REAL *row = dx + (c * g->H + p * g->stride_h) * g->W;
            for (int64_t q = 0; q < g->Q; q++) row[q * g->stride_w] += from[q];
        }
}

/* ---- the path ---- */

/* Scratch: the packed weights; of each thread: sums of dw, an edge or a tail, the gathered image. */
static int64_t thread_size(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int64_t edge = edge_size(j->dy ? g->K : g->C), tail = tail_size(g);
    return (j->dw ? padded(sums_size(g)) : 0) + padded(edge > tail ? edge : tail) +
           (strided(g) ? padded(g->C * g->P * g->Q) : 0);
}
static int64_t scratch(const conv2d_job *j) {
    const mn__window *g = &j->g;
    return (j->dy ? packed_size(g->K, g->C) : packed_size(g->C, g->K)) + j->threads * thread_size(j);
}

/* Work is cut into images, or with fewer images than threads and no stride into parts of one. */
static int64_t parts_of(const conv2d_job *j) { return j->g.N < j->threads && !strided(&j->g) ? j->threads : 1; }
static void pixels_of(const conv2d_job *j, int64_t part, int64_t *from, int64_t *to) {
    int64_t pixels = j->g.P * j->g.Q, size = round_up((pixels + parts_of(j) - 1) / parts_of(j), STRIP);
    *from = part * size < pixels ? part * size : pixels;
    *to = *from + size < pixels ? *from + size : pixels;
}

static void forward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    const product p = pack(g->C, g->K, j->w, g->C, 1, j->b, j->scratch);
    int64_t parts = parts_of(j), pixels = g->P * g->Q;
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *edge = j->scratch + packed_size(g->C, g->K) + t * thread_size(j);
        REAL *gathered = strided(g) ? edge + thread_size(j) - padded(g->C * pixels) : NULL;
        int64_t first, last, from, to;
        chunk_of(g->N * parts, j->threads, t, &first, &last);
        for (int64_t i = first; i < last; i++) {
            const REAL *x = j->x + i / parts * g->C * g->H * g->W;
            if (strided(g)) gather(g, x, gathered), x = gathered;
            pixels_of(j, i % parts, &from, &to);
            multiply(&p, from, to, x, pixels, false, j->y + i / parts * g->K * pixels, edge);
        }
    }
}

/* Pixels [from, to) of image n. */
static void backward_image(const conv2d_job *j, const product *p, int64_t n, int64_t from, int64_t to, REAL *sums, REAL *edge,
                           REAL *gathered) {
    const mn__window *g = &j->g;
    const REAL *x = j->x + n * g->C * g->H * g->W, *dy = j->dy + n * g->K * g->P * g->Q;
    REAL *dx = j->dx + n * g->C * g->H * g->W;
    bool apart = strided(g);
    if (j->dw) {
        if (apart) gather(g, x, gathered);
        weight_gradient(g, from, to, dy, apart ? gathered : x, sums, edge);
    }
    if (j->dx) {
        multiply(p, from, to, dy, g->P * g->Q, j->add_dx && !apart, apart ? gathered : dx, edge);
        if (apart) scatter(g, gathered, j->add_dx, dx);
    }
}

static void backward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    const product p = pack(g->K, g->C, j->w, 1, g->C, NULL, j->scratch);
    int64_t parts = parts_of(j), stride = thread_size(j);
    REAL *own = j->scratch + packed_size(g->K, g->C);
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *sums = own + t * stride, *edge = sums + (j->dw ? padded(sums_size(g)) : 0);
        REAL *gathered = strided(g) ? sums + stride - padded(g->C * g->P * g->Q) : NULL;
        int64_t first, last, from, to;
        chunk_of(g->N * parts, j->threads, t, &first, &last);
        if (j->dw) memset(sums, 0, (size_t)sums_size(g) * sizeof *sums);
        for (int64_t i = first; i < last; i++) {
            pixels_of(j, i % parts, &from, &to);
            backward_image(j, &p, i / parts, from, to, sums, edge, gathered);
        }
    }
    if (j->dw) collect(j, own, stride);
}

const conv2d_path LOCAL(conv2d_pointwise) = {fits, scratch, forward, backward};
