/* Weights as the exported kernels read them, and as 8-bit numbers. */
#include "data/export_c/export_c.h"
#include <math.h>
#include <string.h>

static mn_status push(mn__export *x, mn__numbers *l, float v) {
    if (l->n == l->capacity) {
        int64_t capacity = l->capacity ? 2 * l->capacity : 1024;
        float *p = mn_realloc(l->at, (size_t)l->capacity * sizeof *p, (size_t)capacity * sizeof *p);
        if (!p) return mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for the exported weights");
        l->at = p, l->capacity = capacity;
    }
    l->at[l->n++] = v;
    return MN_OK;
}

mn_status mn__export_number(mn__export *x, double value) { return push(x, &x->numbers, (float)value); }

double mn__int8_step(const double *row, int64_t n) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(row[i]));
    return largest / 127;
}

/* One weight as it stands in the file. */
static float stored(double w, const double *step, int64_t k) {
    if (!step) return (float)w;
    return step[k] > 0 ? (float)round(w / step[k]) : 0;
}

/* Biases, then steps, each filled up with zeros to what the kernels load at once. */
static mn_status push_numbers(mn__export *x, const double *bias, const double *step, int64_t n, int64_t padded) {
    mn_status s = MN_OK;
    for (int64_t k = 0; k < padded && s == MN_OK; k++) s = mn__export_number(x, k < n && bias ? bias[k] : 0);
    for (int64_t k = 0; k < padded && s == MN_OK && step; k++) s = mn__export_number(x, k < n ? step[k] : 0);
    return s;
}

mn_status mn__export_pack(mn__export *x, const double *w, const double *bias, int64_t filters, int64_t length, const int32_t *map,
                          bool blocks, mn__packed *at) {
    double *step = NULL;
    if (x->opt->int8) {
        if (!(step = mn_alloc((size_t)filters * sizeof *step)))
            return mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for the exported weights");
        for (int64_t k = 0; k < filters; k++) step[k] = mn__int8_step(w + k * length, length);
    }
    *at = (mn__packed){.weights = x->weights.n, .numbers = x->numbers.n};
    mn_status s = MN_OK;
    int64_t width = blocks ? 16 : filters;
    for (int64_t first = 0; first < filters && s == MN_OK; first += width) {
        int64_t lanes = !blocks ? filters : filters - first > 8 ? 16 : 8;
        for (int64_t j = 0; j < length; j++)
            for (int64_t k = first; k < first + lanes && s == MN_OK; k++)
                s = push(x, &x->weights, k < filters ? stored(w[k * length + (map ? map[j] : j)], step, k) : 0);
    }
    if (s == MN_OK) s = push_numbers(x, bias, step, filters, blocks ? (filters + 7) / 8 * 8 : filters);
    mn_free(step);
    return s;
}

/* ---- of a layer ---- */

mn_status mn__export_values(mn__export *x, const mn__weight *w, double **out) {
    *out = NULL;
    if (!w->t) return MN_OK;
    if (!(*out = mn_alloc((size_t)w->t->count * sizeof **out)))
        return mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for the weight \"%s\"", w->t->name);
    mn_status s = mn_get_f64(w->t, *out);
    return s ? mn_fail(x->err, s, "%s", w->t->ctx->error.text) : MN_OK;
}

/* The order in which the kernels go through a row of a kernel (C,R,S), as (R,S,C), or through features. */
static mn_status map_of(mn__export *x, const mn__weight *w, const int32_t *order, int32_t **map) {
    int64_t length = w->t->count / w->shape.dim[0];
    if (!(*map = mn_alloc((size_t)length * sizeof **map)))
        return mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for the order of \"%s\"", w->t->name);
    if (w->shape.ndim == 4) {
        int64_t channels = w->shape.dim[1], window = w->shape.dim[2] * w->shape.dim[3];
        for (int64_t i = 0; i < length; i++) (*map)[i % window * channels + i / window] = (int32_t)i;
    } else {
        for (int64_t i = 0; i < length; i++) (*map)[order ? order[i] : i] = (int32_t)i;
    }
    return MN_OK;
}

mn_status mn__export_pack_layer(mn__export *x, const mn__layer *l, int k, int b, int groups, bool blocks, mn__packed *first) {
    const mn__weight *w = &l->weight[k];
    const int32_t *order = w->order == MN__IN_OUT ? x->orders.order[l->in[0]] : NULL;
    int64_t filters = w->shape.dim[0] / groups, length = w->t->count / w->shape.dim[0];
    double *values = NULL, *bias = NULL;
    int32_t *map = NULL;
    mn_status s = mn__export_values(x, w, &values);
    if (s == MN_OK && b >= 0) s = mn__export_values(x, &l->weight[b], &bias);
    if (s == MN_OK) s = map_of(x, w, order, &map);
    for (int g = 0; g < groups && s == MN_OK; g++) {
        mn__packed here;
        s = mn__export_pack(x, values + g * filters * length, bias ? bias + g * filters : NULL, filters, length, map, blocks,
                            &here);
        if (g == 0) *first = here;
    }
    mn_free(map);
    mn_free(bias);
    mn_free(values);
    return s;
}

/* ---- rounding, to see what it changes ---- */

static mn_status round_weight(mn_tensor *t) {
    int64_t rows = t->shape.dim[0], length = t->count / rows;
    double *w = mn_alloc((size_t)t->count * sizeof *w);
    if (!w) return MN__FAIL(t->ctx, MN_ERR_MEMORY, "out of host memory for rounding \"%s\"", t->name);
    mn_status s = mn_get_f64(t, w);
    for (int64_t k = 0; k < rows && s == MN_OK; k++) {
        double step = mn__int8_step(w + k * length, length);
        for (int64_t i = 0; i < length && step > 0; i++) w[k * length + i] = round(w[k * length + i] / step) * step;
    }
    if (s == MN_OK) s = mn_set_f64(t, w);
    mn_free(w);
    return s;
}

mn_status mn_model_round_int8(mn_model *m) {
    if (!m) return MN_ERR_ARG;
    if (mn_model_fold_batch_norm(m) < 0) return m->ctx->error.status;
    for (int i = 0; i < m->n_layers; i++)
        for (int k = 0; k < m->layer[i]->n_weights; k++) {
            const mn__weight *w = &m->layer[i]->weight[k];
            if (w->t && w->shape.ndim >= 2 && round_weight(w->t)) return m->ctx->error.status;
        }
    return MN_OK;
}
