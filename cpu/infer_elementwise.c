/* Compiled inference: what moves numbers without mixing them. Rows (or images) are shared out among the parts. */
#include "cpu/infer.h"

/* ---- the input and the outputs: (C,H,W) to a map and back ---- */

static void load_image(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const mn__map *m = s->y;
    int64_t from, to, pixels = m->H * m->W;
    clear_borders(j);
    chunk_of(j->images * m->H, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t n = i / m->H, h = i % m->H;
        const REAL *x = job_x(j, n) + h * m->W;
        REAL *y = job_y(j, n) + mn__map_at(m, h, 0);
        for (int64_t c = 0; c < m->C; c++)
            for (int64_t w = 0; w < m->W; w++) y[w * m->lanes + c] = x[c * pixels + w];
    }
}
const mn__infer_way LOCAL(infer_load) = {NULL, NULL, NULL, load_image};

/* A map to (C,H,W), a row at a time. */
static void channels_first(const mn__map *m, const REAL *x, REAL *y, int64_t h) {
    transpose(m->W, m->C, x + mn__map_at(m, h, 0), m->lanes, y + h * m->W, m->H * m->W);
}
static void store_image(const mn__infer_job *j) {
    const mn__map *m = j->s->x;
    int64_t from, to;
    chunk_of(j->images * m->H, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++)
        channels_first(m, job_x(j, i / m->H), job_y(j, i / m->H), i % m->H);
}
const mn__infer_way LOCAL(infer_store) = {NULL, NULL, NULL, store_image};
const mn__infer_way LOCAL(infer_flatten) = {NULL, NULL, NULL, store_image};

/* ---- scale, offset, activation ---- */

/* packed: scale, offset, each a pixel long. */
static int64_t affine_packed(const mn__infer_step *s) { return 2 * s->x->lanes; }
static void affine_pack(const mn__infer_step *s, int threads) {
    (void)threads;
    REAL *to = s->packed;
    for (int64_t c = 0; c < s->x->lanes; c++) {
        to[c] = s->scale && c < s->x->C ? (REAL)s->scale[c] : 1;
        to[s->x->lanes + c] = s->offset && c < s->x->C ? (REAL)s->offset[c] : 0;
    }
}

static inline REAL activated(mn_activation a, REAL alpha, REAL x) {
    switch (a) {
    case MN_ACT_RELU: return x > 0 ? x : 0;
    case MN_ACT_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case MN_ACT_ELU: return x > 0 ? x : alpha * expm1(x);
    case MN_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case MN_ACT_TANH: return tanh(x);
    case MN_ACT_GELU: return R(0.5) * x * (1 + erf(x * R(0.70710678118654752)));
    case MN_ACT_SILU: return x / (1 + exp(-x));
    case MN_ACT_SOFTPLUS: return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
    default: return x;
    }
}

static void affine(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const mn__map *m = s->x;
    const REAL *scale = s->packed, *offset = scale + m->lanes, alpha = (REAL)s->alpha;
    bool simple = s->activation == MN_ACT_LINEAR || s->activation == MN_ACT_RELU;
    int64_t from, to;
    clear_borders(j);
    chunk_of(j->images * m->H, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++)
        for (int64_t w = 0; w < m->W; w++) {
            const REAL *x = job_x(j, i / m->H) + mn__map_at(m, i % m->H, w);
            REAL *y = job_y(j, i / m->H) + mn__map_at(s->y, i % m->H, w);
            const REAL least = s->activation == MN_ACT_RELU ? 0 : -INFINITY;
            if (simple)
                for (int64_t c = 0; c < m->C; c++) {
                    REAL v = x[c] * scale[c] + offset[c];
                    y[c] = v > least || s->activation != MN_ACT_RELU ? v : 0;
                }
            else
                for (int64_t c = 0; c < m->C; c++) y[c] = activated(s->activation, alpha, x[c] * scale[c] + offset[c]);
        }
}
const mn__infer_way LOCAL(infer_affine) = {affine_packed, affine_pack, NULL, affine};

static void add(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const mn__map *m = s->x;
    int64_t from, to;
    bool relu = s->activation == MN_ACT_RELU;
    clear_borders(j);
    chunk_of(j->images * m->H, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t n = i / m->H, h = i % m->H;
        const REAL *x = job_x(j, n) + mn__map_at(m, h, 0), *plus = job_plus(j, n) + mn__map_at(s->plus, h, 0);
        REAL *y = job_y(j, n) + mn__map_at(s->y, h, 0);
        for (int64_t k = 0; k < m->W * m->lanes; k++) {
            REAL v = x[k] + plus[k];
            y[k] = relu && !(v > 0) ? 0 : v;
        }
    }
}
const mn__infer_way LOCAL(infer_add) = {NULL, NULL, NULL, add};
