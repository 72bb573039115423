/* Compiled pooling, vectorised over channels: a window is cut where it reaches beyond the image. */
#include "cpu/infer.h"

/* The part of a window from `at` on that lies inside of `size`: [*from, *to) of its `window` elements. */
static void cut(int64_t at, int64_t window, int64_t size, int64_t *from, int64_t *to) {
    *from = at < 0 ? -at : 0;
    *to = size - at < window ? size - at : window;
}

/* As cpu/max_pool2d.c: an element takes the place of the best before it when it is larger or NaN; NaN stays. */
INLINE vec larger(vec best, vec v) { return choose(~(v <= best) & (best == best), v, best); }

INLINE void pool_pixel(const mn__infer_step *s, bool largest, const REAL *x, int64_t rows, int64_t columns, const REAL *plus,
                       REAL *y) {
    const REAL share = 1 / (REAL)(rows * columns);
    int64_t lanes = s->y->lanes;
    for (int64_t c = 0; c < lanes; c += LANES) {
        vec sum = load(x + c);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t t = r ? 0 : 1; t < columns; t++) {
                vec v = load(x + r * s->x->row + t * lanes + c);
                sum = largest ? larger(sum, v) : sum + v;
            }
        if (!largest) sum *= broadcast(share);
        if (plus) sum += load(plus + c);
        if (s->activation == MN_ACT_RELU) sum = relu_lanes(sum);
        if (lanes < LANES) memcpy(y, &sum, (size_t)lanes * sizeof *y);
        else store(y + c, sum);
    }
}

INLINE void pool(const mn__infer_job *j, bool largest) {
    const mn__infer_step *s = j->s;
    const mn__window *g = &s->g;
    int64_t from, to;
    clear_borders(j);
    chunk_of(j->images * g->P, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t n = i / g->P, p = i % g->P, h = p * g->stride_h - g->top, r0, r1, s0, s1;
        const REAL *x = job_x(j, n), *plus = job_plus(j, n);
        cut(h, g->R, g->H, &r0, &r1);
        for (int64_t q = 0; q < g->Q; q++) {
            int64_t w = q * g->stride_w - g->left;
            cut(w, g->S, g->W, &s0, &s1);
            pool_pixel(s, largest, x + mn__map_at(s->x, h + r0, w + s0), r1 - r0, s1 - s0,
                       plus ? plus + mn__map_at(s->plus, p, q) : NULL, job_y(j, n) + mn__map_at(s->y, p, q));
        }
    }
}
static void max_pool(const mn__infer_job *j) { pool(j, true); }
static void average_pool(const mn__infer_job *j) { pool(j, false); }
const mn__infer_way LOCAL(infer_max_pool) = {NULL, NULL, NULL, max_pool};
const mn__infer_way LOCAL(infer_average_pool) = {NULL, NULL, NULL, average_pool};

/* The mean of each channel. */
static void mean(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    int64_t from, to;
    chunk_of(j->images, j->parts, j->part, &from, &to);
    for (int64_t n = from; n < to; n++) {
        REAL *y = job_y(j, n);
        for (int64_t c = 0; c < s->x->C; c++) y[c] = 0;
        for (int64_t h = 0; h < s->x->H; h++)
            for (int64_t w = 0; w < s->x->W; w++) {
                const REAL *x = job_x(j, n) + mn__map_at(s->x, h, w);
                for (int64_t c = 0; c < s->x->C; c++) y[c] += x[c];
            }
        for (int64_t c = 0; c < s->x->C; c++) y[c] /= (REAL)(s->x->H * s->x->W);
    }
}
const mn__infer_way LOCAL(infer_mean) = {NULL, NULL, NULL, mean};
