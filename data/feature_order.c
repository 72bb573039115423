/* In which order a row of features counts the numbers of the image it was made of.
 *
 * Here Flatten takes (C,H,W) row by row: feature (c*H + h)*W + w. Keras's images are (H,W,C): there the same
 * number is feature (h*W + w)*C + c. What reads such a row (Dense, BatchNormalization) has weights in that
 * order, so files need order[i]: the number, in Keras, of feature i here. */
#include "data/model_config.h"

#define MAX_ORDER_TOTAL ((int64_t)1 << 26)

static int64_t keras_index(mn_shape s, int64_t i) {
    if (s.ndim != 3) return i;
    int64_t plane = s.dim[1] * s.dim[2];
    return i % plane * s.dim[0] + i / plane;
}

static bool is_identity(mn_shape s) { return s.ndim != 3 || s.dim[0] == 1 || s.dim[1] * s.dim[2] == 1; }

static int32_t *new_order(mn__orders *o, int64_t count) {
    o->total += count;
    if (o->total > MAX_ORDER_TOTAL) {
        mn_fail(o->err, MN_ERR_MEMORY, "the model flattens more than %lld numbers", (long long)MAX_ORDER_TOTAL);
        return NULL;
    }
    int32_t *p = mn_alloc((size_t)count * sizeof *p);
    if (!p) mn_fail(o->err, MN_ERR_MEMORY, "out of host memory for the order of features");
    return p;
}

/* Element i of the order of sym x, which may be an image. */
static int64_t order_at(const mn__orders *o, const mn_model *m, mn_sym x, int64_t i) {
    return o->order[x] ? o->order[x][i] : keras_index(m->layer[x]->shape, i);
}

/* A row of features that holds x's numbers. */
static mn_status copy_order(mn__orders *o, const mn_model *m, mn_sym to, mn_sym x) {
    if (!o->order[x] && is_identity(m->layer[x]->shape)) return MN_OK;
    int64_t count = mn_shape_count(m->layer[to]->shape);
    int32_t *p = o->order[to] = new_order(o, count);
    if (!p) return o->err->status;
    for (int64_t i = 0; i < count; i++) p[i] = (int32_t)order_at(o, m, x, i);
    return MN_OK;
}

static mn_status cannot(mn__orders *o, const mn__layer *l, const char *what) {
    return mn_fail(o->err, MN_ERR_UNSUPPORTED, "%s \"%s\": %s, which count an image's numbers differently from Keras; such a "
                   "layer cannot be stored in a Keras file", l->class->name, l->name, what);
}

static mn_status reshape_order(mn__orders *o, const mn_model *m, mn_sym to) {
    const mn__layer *l = m->layer[to];
    if (l->shape.ndim == 1) return copy_order(o, m, to, l->in[0]);
    int64_t count = mn_shape_count(l->shape);
    if (!o->order[l->in[0]] && is_identity(m->layer[l->in[0]]->shape) && is_identity(l->shape)) return MN_OK;
    for (int64_t i = 0; i < count; i++)
        if (order_at(o, m, l->in[0], i) != keras_index(l->shape, i)) return cannot(o, l, "reshapes features to an image");
    return MN_OK;
}

static mn_status concat_order(mn__orders *o, const mn_model *m, mn_sym to) {
    const mn__layer *l = m->layer[to];
    bool any = false;
    for (int k = 0; k < l->n_in; k++) any |= o->order[l->in[k]] != NULL;
    if (!any || l->shape.ndim != 1) return MN_OK;
    int32_t *p = o->order[to] = new_order(o, l->shape.dim[0]);
    if (!p) return o->err->status;
    int64_t base = 0;
    for (int k = 0; k < l->n_in; k++) {
        int64_t n = m->layer[l->in[k]]->shape.dim[0];
        for (int64_t i = 0; i < n; i++) p[base + i] = (int32_t)(base + order_at(o, m, l->in[k], i));
        base += n;
    }
    return MN_OK;
}

static mn_status add_order(mn__orders *o, const mn_model *m, mn_sym to) {
    const mn__layer *l = m->layer[to];
    if (l->shape.ndim != 1) return MN_OK;
    for (int k = 1; k < l->n_in; k++)
        for (int64_t i = 0; i < l->shape.dim[0]; i++)
            if (order_at(o, m, l->in[k], i) != order_at(o, m, l->in[0], i)) return cannot(o, l, "adds rows of features");
    return copy_order(o, m, to, l->in[0]);
}

mn_status mn__orders_create(mn__orders *o, const mn_model *m, mn_error *err) {
    *o = (mn__orders){.n = m->n_layers, .err = err, .order = mn_alloc_zero((size_t)m->n_layers + 1, sizeof *o->order)};
    if (!o->order) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the order of features");
    mn_status s = MN_OK;
    for (int i = 0; i < m->n_layers && s == MN_OK; i++) {
        const mn__layer *l = m->layer[i];
        if (l->class == &mn__class_flatten || (l->class->elementwise && l->shape.ndim == 1)) s = copy_order(o, m, i, l->in[0]);
        else if (l->class == &mn__class_reshape) s = reshape_order(o, m, i);
        else if (l->class == &mn__class_concatenate) s = concat_order(o, m, i);
        else if (l->class == &mn__class_add) s = add_order(o, m, i);
    }
    if (s) mn__orders_free(o);
    return s;
}

void mn__orders_free(mn__orders *o) {
    for (int i = 0; o->order && i < o->n; i++) mn_free(o->order[i]);
    mn_free(o->order);
    o->order = NULL;
}
