/* In which order a row of features counts the numbers of the image it was made of.
 *
 * Here Flatten takes (C,H,W) row by row: feature (c*H + h)*W + w. Keras's images are (H,W,C): there the same
 * number is feature (h*W + w)*C + c. What reads such a row (Dense, BatchNormalization) has weights in that
 * order, so files need order[i]: the number, in Keras, of feature i here. In sequences of features (T,F) every step has
 * the same order, and it is kept once. */
#include "data/formats/model_config.h"

#define MAX_ORDER_TOTAL ((int64_t)1 << 26)

/* Images (C,H,W), and sequences of them (T,C,H,W). */
static int64_t keras_index(mn_shape s, int64_t i) {
    if (s.ndim < 3) return i;
    const int64_t *image = s.dim + s.ndim - 3;
    int64_t plane = image[1] * image[2], size = image[0] * plane, k = i % size;
    return i - k + k % plane * image[0] + k / plane;
}

static bool is_identity(mn_shape s) { return s.ndim < 3 || s.dim[s.ndim - 3] == 1 || s.dim[s.ndim - 2] * s.dim[s.ndim - 1] == 1; }

/* Of a row of features, or of a sequence of such rows. */
static int64_t features(mn_shape s) { return s.dim[s.ndim - 1]; }

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
    mn_shape s = m->layer[x]->shape;
    if (!o->order[x]) return keras_index(s, i);
    int64_t k = i % features(s);
    return i - k + o->order[x][k];
}

/* A row of features, or one a step, that holds x's numbers. */
static mn_status copy_order(mn__orders *o, const mn_model *m, mn_sym to, mn_sym x) {
    if (!o->order[x] && is_identity(m->layer[x]->shape)) return MN_OK;
    int64_t count = features(m->layer[to]->shape);
    int32_t *p = o->order[to] = new_order(o, count);
    if (!p) return o->err->status;
    for (int64_t i = 0; i < count; i++) p[i] = (int32_t)order_at(o, m, x, i);
    return MN_OK;
}

static mn_status cannot(mn__orders *o, const mn__layer *l, const char *what) {
    return mn_fail(o->err, MN_ERR_UNSUPPORTED,
                   "%s \"%s\": %s, which count an image's numbers differently from Keras; such a "
                   "layer cannot be stored in a Keras file",
                   l->class->name, l->name, what);
}

static mn_status reshape_order(mn__orders *o, const mn_model *m, mn_sym to) {
    const mn__layer *l = m->layer[to];
    if (l->shape.ndim == 1 + l->each_step) return copy_order(o, m, to, l->in[0]);
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
    if (!any) return MN_OK;
    if (l->shape.ndim != 1) return cannot(o, l, "joins sequences of features");
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
    if (l->shape.ndim > 2) return MN_OK;
    for (int k = 1; k < l->n_in; k++)
        for (int64_t i = 0; i < features(l->shape); i++)
            if (order_at(o, m, l->in[k], i) != order_at(o, m, l->in[0], i)) return cannot(o, l, "joins rows of features");
    return copy_order(o, m, to, l->in[0]);
}

mn_status mn__orders_create(mn__orders *o, const mn_model *m, mn_error *err) {
    *o = (mn__orders){.n = m->n_layers, .err = err, .order = mn_alloc_zero((size_t)m->n_layers + 1, sizeof *o->order)};
    if (!o->order) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the order of features");
    mn_status s = MN_OK;
    for (int i = 0; i < m->n_layers && s == MN_OK; i++) {
        const mn__layer *l = m->layer[i];
        if (l->each_step && m->layer[l->in[0]]->shape.ndim == 3)
            s = cannot(o, l, "takes the channels of an image for steps");
        else if (l->class == &mn__class_flatten || (l->class->elementwise && l->shape.ndim <= 2))
            s = copy_order(o, m, i, l->in[0]);
        else if (l->class == &mn__class_reshape)
            s = reshape_order(o, m, i);
        else if (l->class == &mn__class_concatenate)
            s = concat_order(o, m, i);
        else if (l->class == &mn__class_add || l->class == &mn__class_multiply)
            s = add_order(o, m, i);
        else if (l->class == &mn__class_slice && o->order[l->in[0]])
            s = cannot(o, l, "takes a part of features");
    }
    if (s) mn__orders_free(o);
    return s;
}

void mn__orders_free(mn__orders *o) {
    for (int i = 0; o->order && i < o->n; i++) mn_free(o->order[i]);
    mn_free(o->order);
    o->order = NULL;
}
