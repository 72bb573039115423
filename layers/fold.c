/* Folding batch normalisation into the weights before it, for inference:
 *   y = gamma (w x + b - mean) / sqrt(variance + epsilon) + beta = (s w) x + (s (b - mean) + beta),
 *   s = gamma / sqrt(variance + epsilon), one number an output channel. */
#include "layers/internal.h"
#include <math.h>
#include <stdio.h>

/* The weight whose rows are output channels, when the layer can take a batch norm in. */
static mn__weight *row_weight(mn__layer *l) {
    for (int k = 0; k < l->n_weights; k++)
        if (l->weight[k].rows) return &l->weight[k];
    return NULL;
}

static bool can_fold(const mn_model *m, const mn__layer *norm) {
    if (norm->class != &mn__class_batch_normalization || norm->folded) return false;
    mn__layer *l = m->layer[norm->in[0]];
    if (l->each_step != norm->each_step) return false;
    const mn_activation *a = mn__layer_activation(l);
    return row_weight(l) && (!a || *a == MN_ACT_LINEAR) && mn__layer_readers(m, norm->in[0]) == 1;
}

mn_status mn__norm_factors(const mn__layer *norm, int64_t n, double *scale, double *offset, double *buffer) {
    const mn_batch_normalization_layer *o = norm->opt;
    const mn__weight *w = norm->weight;
    double *mean = buffer, *variance = buffer + n;
    if (mn_get_f64(w[2].t, mean) || mn_get_f64(w[3].t, variance)) return norm->model->ctx->error.status;
    for (int64_t k = 0; k < n; k++) scale[k] = 1, offset[k] = 0;
    if ((w[0].t && mn_get_f64(w[0].t, scale)) || (w[1].t && mn_get_f64(w[1].t, offset))) return norm->model->ctx->error.status;
    for (int64_t k = 0; k < n; k++) {
        scale[k] /= sqrt(variance[k] + o->epsilon);
        offset[k] -= scale[k] * mean[k];
    }
    return MN_OK;
}

static mn_status give_bias(mn__layer *l, mn__weight *b) {
    if (b->t) return MN_OK;
    char name[2 * MN__MAX_NAME];
    snprintf(name, sizeof name, "%s/%s", l->name, b->name);
    b->t = mn_parameter(l->model->ctx, name, b->shape);
    b->absent = false;
    return b->t ? MN_OK : l->model->ctx->error.status;
}

static mn_status fold_into(mn__layer *l, const mn__layer *norm) {
    mn__weight *w = row_weight(l), *b = &l->weight[l->n_weights - 1];
    int64_t rows = w->t->shape.dim[0], length = w->t->count / rows;
    mn_status s = give_bias(l, b);
    double *scale = s == MN_OK ? mn_alloc((size_t)(5 * rows + w->t->count) * sizeof *scale) : NULL;
    if (!scale) return s ? s : MN__FAIL(l->model->ctx, MN_ERR_MEMORY, "out of host memory for folding batch norm");
    double *offset = scale + rows, *bias = offset + rows, *buffer = bias + rows, *values = buffer + 2 * rows;
    s = mn__norm_factors(norm, rows, scale, offset, buffer);
    if (s == MN_OK) s = mn_get_f64(w->t, values);
    if (s == MN_OK) s = mn_get_f64(b->t, bias);
    if (s == MN_OK) {
        for (int64_t k = 0; k < rows; k++) {
            bias[k] = scale[k] * bias[k] + offset[k];
            for (int64_t i = 0; i < length; i++) values[k * length + i] *= scale[k];
        }
        s = mn_set_f64(w->t, values);
        if (s == MN_OK) s = mn_set_f64(b->t, bias);
    }
    mn_free(scale);
    return s;
}

int mn_model_fold_batch_norm(mn_model *m) {
    if (!m || m->status || m->ctx->error.status) return -1;
    if (!m->built) return MN__FAIL(m->ctx, MN_ERR_ARG, "fold_batch_norm: the model \"%s\" is not built", m->name), -1;
    int folded = 0;
    for (int i = 0; i < m->n_layers; i++) {
        mn__layer *norm = m->layer[i];
        if (!can_fold(m, norm)) continue;
        if (fold_into(m->layer[norm->in[0]], norm)) return -1;
        norm->folded = m->folded = true;
        folded++;
    }
    return mn__model_list_parameters(m) == MN_OK ? folded : -1;
}
