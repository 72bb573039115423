/* Concatenate: inputs one after the other along one dimension; they agree in the others. */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_concatenate_layer, AXIS, axis, "axis", 1, 1, MN_MAX_DIMS - 1), {0}};

static mn_status build(mn__layer *l) {
    const mn_concatenate_layer *o = l->opt;
    l->shape = mn__in_shape(l, 0);
    int d = o->axis - 1;
    char a[64], b[64];
    if (d >= l->shape.ndim)
        return mn__layer_fail(l, MN_ERR_SHAPE, "axis is %d, but the inputs are (N,) + %s", o->axis,
                              mn_shape_text(l->shape, a, sizeof a));
    for (int i = 1; i < l->n_in; i++) {
        mn_shape s = mn__in_shape(l, i), first = mn__in_shape(l, 0);
        int64_t length = s.ndim == first.ndim ? s.dim[d] : 0;
        s.dim[d] = first.dim[d];
        if (!mn_shape_equal(s, first))
            return mn__layer_fail(l, MN_ERR_SHAPE, "input 0 is %s and input %d is %s; they may differ only along axis %d",
                                  mn_shape_text(first, a, sizeof a), i, mn_shape_text(mn__in_shape(l, i), b, sizeof b), o->axis);
        l->shape.dim[d] += length;
    }
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    return mn_concat(in, l->n_in, ((const mn_concatenate_layer *)l->opt)->axis);
}

const mn__layer_class mn__class_concatenate = {.name = "Concatenate",
                                               .stem = "concatenate",
                                               .min_inputs = 1,
                                               .max_inputs = MN__MAX_LAYER_INPUTS,
                                               .opt_bytes = sizeof(mn_concatenate_layer),
                                               .fields = fields,
                                               .build = build,
                                               .forward = forward};

mn_sym mn_layer_concatenate(mn_model *m, const mn_sym *x, int n, mn_concatenate_layer opt) {
    return mn__layer_add(m, &mn__class_concatenate, x, n, &opt);
}
