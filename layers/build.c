/* Building: parameters in one piece of memory, and their first values. */
#include "layers/internal.h"
#include <stdio.h>
#include <string.h>

/* Each weight begins at a multiple of this many numbers, a cache line even in f32. */
#define LINE 16

static int64_t padded(int64_t count) { return (count + LINE - 1) / LINE * LINE; }

static mn_status total_size(mn_model *m, int64_t *total) {
    *total = 0;
    for (int i = 0; i < m->n_layers; i++)
        for (int k = 0; k < m->layer[i]->n_weights; k++) {
            const mn__weight *w = &m->layer[i]->weight[k];
            if (!w->absent) *total += padded(mn_shape_count(w->shape));
            if (*total > MN__MAX_PARAMETERS)
                return mn__layer_fail(m->layer[i], MN_ERR_MEMORY,
                                      "with its weights the model has more than %lld "
                                      "parameters; hint: fewer units, or pooling before a Dense layer",
                                      (long long)MN__MAX_PARAMETERS);
        }
    return MN_OK;
}

/* The key of a weight's random numbers is its full name, so that the same layer begins with the same numbers
 * in whatever network of that name it stands (Fowler, Noll and Vo's hash, FNV-1a). */
static uint64_t stream_of(const mn_model *m, const char *weight) {
    uint64_t h = 14695981039346656037u;
    const char *parts[] = {m->name, "/", weight};
    for (int i = 0; i < 3; i++)
        for (const char *p = parts[i]; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    return h;
}

static mn_status set_ones(const mn__weight *w) {
    double *v = mn_alloc((size_t)w->t->count * sizeof *v);
    if (!v) return MN__FAIL(w->t->ctx, MN_ERR_MEMORY, "out of host memory for the first values of \"%s\"", w->t->name);
    mn_status s = mn_get_f64(w->t, v);
    for (int64_t i = w->ones_from; i < w->ones_to; i++) v[i] = 1;
    if (s == MN_OK) s = mn_set_f64(w->t, v);
    mn_free(v);
    return s;
}

static mn_status make_weight(mn__layer *l, mn__weight *w, char *data) {
    mn_context *c = l->model->ctx;
    size_t bytes = strlen(l->name) + strlen(w->name) + 2;
    char *name = mn__host(c, MN_MODEL, bytes);
    mn_tensor *t = name ? mn__tensor_shell(c, MN_MODEL, c->dtype, w->shape) : NULL;
    if (!t) return c->error.status;
    snprintf(name, bytes, "%s/%s", l->name, w->name);
    t->data = data, t->name = name;
    t->requires_grad = !w->statistic && !l->frozen;
    w->t = t;
    mn_status s = mn_init_fill(t, w->init, w->fan_in, w->fan_out, 1, stream_of(l->model, name));
    return s || w->ones_from == w->ones_to ? s : set_ones(w);
}

/* Trained weights first, then statistics: an optimiser's and a snapshot's pass run along the memory. */
static mn_status make_weights(mn_model *m, char *slab) {
    size_t size = mn_dtype_size(m->ctx->dtype);
    for (int statistic = 0; statistic < 2; statistic++)
        for (int i = 0; i < m->n_layers; i++)
            for (int k = 0; k < m->layer[i]->n_weights; k++) {
                mn__weight *w = &m->layer[i]->weight[k];
                if (w->absent || w->statistic != statistic) continue;
                mn_status s = make_weight(m->layer[i], w, slab);
                if (s) return s;
                slab += (size_t)padded(w->t->count) * size;
            }
    return MN_OK;
}

mn_status mn__model_list_parameters(mn_model *m) {
    int n = 0;
    for (int i = 0; i < m->n_layers; i++) n += m->layer[i]->n_weights;
    mn_tensor **list = mn__host(m->ctx, MN_MODEL, (size_t)(n + 1) * sizeof *list);
    if (!list) return m->ctx->error.status;
    m->param = list, m->n_param = m->n_trained = 0;
    for (int statistic = 0; statistic < 2; statistic++) {
        for (int i = 0; i < m->n_layers; i++)
            for (int k = 0; k < m->layer[i]->n_weights && !m->layer[i]->folded; k++) {
                const mn__weight *w = &m->layer[i]->weight[k];
                if (w->t && w->statistic == statistic) list[m->n_param++] = w->t;
            }
        if (!statistic) m->n_trained = m->n_param;
    }
    return MN_OK;
}

mn_status mn_model_build(mn_model *m) {
    if (!m) return MN_ERR_ARG;
    if (m->status || m->built) return m->status;
    if (m->ctx->error.status) return m->status = m->ctx->error.status;
    if (!m->n_inputs) return mn__model_fail(m, MN_ERR_ARG, "the model \"%s\" has no input; hint: mn_model_input", m->name);
    if (!m->n_outputs) return mn__model_fail(m, MN_ERR_ARG, "the model \"%s\" has no output; hint: mn_model_output", m->name);
    int64_t total;
    if (total_size(m, &total)) return m->status;
    char *slab = mn__device_memory(m->ctx, MN_MODEL, (size_t)(total ? total : 1) * mn_dtype_size(m->ctx->dtype));
    mn_status s = slab ? make_weights(m, slab) : m->ctx->error.status;
    if (s == MN_OK) s = mn__model_list_parameters(m);
    m->built = s == MN_OK;
    return m->status = s;
}
