/* Shared by the steps of compiled inference, cpu/infer_*.c: layers/infer.h says what they compute. */
#ifndef MIEN_CPU_INFER_H
#define MIEN_CPU_INFER_H
#include "cpu/conv2d.h"
#include "cpu/vector.h"
#include "layers/infer.h"

extern const mn__infer_way LOCAL(infer_load), LOCAL(infer_conv), LOCAL(infer_winograd), LOCAL(infer_depthwise),
    LOCAL(infer_separable), LOCAL(infer_max_pool), LOCAL(infer_average_pool), LOCAL(infer_mean), LOCAL(infer_flatten),
    LOCAL(infer_dense), LOCAL(infer_affine), LOCAL(infer_add), LOCAL(infer_store);

/* Image n of a job's maps. */
static inline const REAL *job_x(const mn__infer_job *j, int64_t n) { return (const REAL *)j->x + n * j->s->x->size; }
static inline const REAL *job_plus(const mn__infer_job *j, int64_t n) {
    return j->s->plus ? (const REAL *)j->plus + n * j->s->plus->size : NULL;
}
static inline REAL *job_y(const mn__infer_job *j, int64_t n) { return (REAL *)j->y + n * j->s->y->size; }

/* Writes the zeros around the images of y; the first part does it for all. */
static inline void clear_borders(const mn__infer_job *j) {
    const mn__map *m = j->s->y;
    if (j->part || !(m->top + m->bottom + m->left + m->right)) return;
    size_t left = (size_t)(m->left * m->lanes) * sizeof(REAL), right = (size_t)(m->right * m->lanes) * sizeof(REAL);
    for (int64_t n = 0; n < j->images; n++) {
        REAL *y = job_y(j, n);
        memset(y, 0, (size_t)(m->top * m->row) * sizeof *y);
        memset(y + (m->top + m->H) * m->row, 0, (size_t)(m->bottom * m->row) * sizeof *y);
        for (int64_t h = 0; h < m->H; h++) {
            memset(y + (m->top + h) * m->row, 0, left);
            memset(y + mn__map_at(m, h, m->W), 0, right);
        }
    }
}

/* v, or 0 where it is not larger than 0 (as mn_relu: NaN becomes 0). */
INLINE vec relu_lanes(vec v) {
    vec zero = {0};
    return choose(v > zero, v, zero);
}

/* One row of a depthwise convolution: y (Q pixels of x's lanes) = bias + sum over the window, relu'd or not. x: the
 * upper left pixel that the first window reads; y is written in whole vectors, up to LANES-1 numbers beyond its end.
 * w: what depthwise_pack made. */
void LOCAL(depthwise_row)(const mn__infer_step *s, const REAL *w, const REAL *x, bool relu, REAL *y);
int64_t LOCAL(depthwise_packed)(const mn__infer_step *s);
void LOCAL(depthwise_pack)(const mn__infer_step *s, const REAL *kernel, const REAL *bias, REAL *to);
#endif
