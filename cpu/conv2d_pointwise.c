/* 1x1 convolution between few channels, by the products of cpu/pointwise.h: shortcuts with a stride, and the second half of
 * separable convolutions that cpu/separable_conv2d.c does not take whole. The gradients take x and dy from the second cache
 * together. With a stride the pixels that are read are gathered first. 2*N*K*C*P*Q flop a product. */
#include "cpu/line.h"
#include "cpu/pointwise.h"

enum { MOST_WEIGHTS = 8192 };

static bool fits(const mn__window *g) {
    return g->R == 1 && g->S == 1 && g->groups == 1 && g->top == 0 && g->left == 0 && (g->P - 1) * g->stride_h < g->H &&
           (g->Q - 1) * g->stride_w < g->W && g->C * g->K <= MOST_WEIGHTS;
}

/* ---- strides ---- */

static bool strided(const mn__window *g) { return g->P != g->H || g->Q != g->W; }

/* to (C,PQ): the pixels of x that are read, through batch norm where that is pending. */
static void gather(const mn__window *g, const REAL *x, const mn_node *norm, REAL *to) {
    for (int64_t c = 0; c < g->C; c++, to += g->P * g->Q) {
        for (int64_t p = 0; p < g->P; p++) {
            const REAL *row = x + (c * g->H + p * g->stride_h) * g->W;
            int64_t q = 0, pairs = g->stride_w == 2 ? g->W / 2 : 0; /* whole pairs in a row: their first ones, in vectors */
            for (; q + LANES <= pairs && q + LANES <= g->Q; q += LANES)
                store(to + p * g->Q + q, even_lanes(load(row + 2 * q), load(row + 2 * q + LANES)));
            for (; q < g->Q; q++) to[p * g->Q + q] = row[q * g->stride_w];
        }
        if (norm) follow_line(g->P * g->Q, line_of(norm, c), to, to);
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
    int64_t edge = LOCAL(pointwise_edge)(j->dy ? g->K : g->C), tail = LOCAL(pointwise_tail)(g->K, g->C);
    return (j->dw ? padded(LOCAL(pointwise_sums)(g->K, g->C)) : 0) + padded(edge > tail ? edge : tail) +
           (strided(g) ? padded(g->C * g->P * g->Q) : 0);
}
static int64_t scratch(const conv2d_job *j) {
    const mn__window *g = &j->g;
    return (j->dy ? LOCAL(pointwise_packed)(g->K, g->C) : LOCAL(pointwise_packed)(g->C, g->K)) + j->threads * thread_size(j);
}

/* Work is cut into images, or with fewer images than threads and no stride into parts of one. */
static int64_t parts_of(const conv2d_job *j) { return j->g.N < j->threads && !strided(&j->g) ? j->threads : 1; }
static void pixels_of(const conv2d_job *j, int64_t part, int64_t *from, int64_t *to) {
    int64_t pixels = j->g.P * j->g.Q, size = round_up((pixels + parts_of(j) - 1) / parts_of(j), 2 * LANES);
    *from = part * size < pixels ? part * size : pixels;
    *to = *from + size < pixels ? *from + size : pixels;
}

static void forward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    const pointwise p = LOCAL(pointwise_pack)(g->C, g->K, j->w, g->C, 1, j->b, j->scratch);
    int64_t parts = parts_of(j), pixels = g->P * g->Q;
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *edge = j->scratch + LOCAL(pointwise_packed)(g->C, g->K) + t * thread_size(j);
        REAL *gathered = strided(g) ? edge + thread_size(j) - padded(g->C * pixels) : NULL;
        int64_t first, last, from, to;
        chunk_of(g->N * parts, j->threads, t, &first, &last);
        for (int64_t i = first; i < last; i++) {
            const REAL *x = j->x + i / parts * g->C * g->H * g->W;
            if (strided(g)) gather(g, x, j->norm, gathered), x = gathered;
            pixels_of(j, i % parts, &from, &to);
            LOCAL(pointwise_multiply)(&p, from, to, x, pixels, false, j->y + i / parts * g->K * pixels, edge);
        }
    }
}

/* Pixels [from, to) of image n. */
static void backward_image(const conv2d_job *j, const pointwise *p, int64_t n, int64_t from, int64_t to, REAL *sums, REAL *edge,
                           REAL *gathered) {
    const mn__window *g = &j->g;
    const REAL *x = j->x + n * g->C * g->H * g->W, *dy = j->dy + n * g->K * g->P * g->Q;
    REAL *dx = j->dx + n * g->C * g->H * g->W;
    bool apart = strided(g);
    if (j->dw) {
        if (apart) gather(g, x, j->norm, gathered);
        LOCAL(pointwise_correlate)(g->K, g->C, from, to, dy, apart ? gathered : x, g->P * g->Q, sums, edge);
    }
    if (j->dx) {
        LOCAL(pointwise_multiply)(p, from, to, dy, g->P * g->Q, j->add_dx && !apart, apart ? gathered : dx, edge);
        if (apart) scatter(g, gathered, j->add_dx, dx);
    }
}

static void backward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    const pointwise p = LOCAL(pointwise_pack)(g->K, g->C, j->w, 1, g->C, NULL, j->scratch);
    int64_t parts = parts_of(j), stride = thread_size(j);
    REAL *own = j->scratch + LOCAL(pointwise_packed)(g->K, g->C);
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *sums = own + t * stride, *edge = sums + (j->dw ? padded(LOCAL(pointwise_sums)(g->K, g->C)) : 0);
        REAL *gathered = strided(g) ? sums + stride - padded(g->C * g->P * g->Q) : NULL;
        int64_t first, last, from, to;
        chunk_of(g->N * parts, j->threads, t, &first, &last);
        if (j->dw) memset(sums, 0, (size_t)LOCAL(pointwise_sums)(g->K, g->C) * sizeof *sums);
        for (int64_t i = first; i < last; i++) {
            pixels_of(j, i % parts, &from, &to);
            backward_image(j, &p, i / parts, from, to, sums, edge, gathered);
        }
    }
    if (j->dw) LOCAL(pointwise_collect)(g->K, g->C, own, stride, j->threads, j->add_dw, j->dw);
}

const conv2d_path LOCAL(conv2d_pointwise) = {fits, scratch, forward, backward, strided};
