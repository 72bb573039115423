/* Reshape: the same numbers, in the same order, under another shape; one dimension may be -1. */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_reshape_layer, SHAPE, target_shape, "target_shape", 0, 0, 0), {0}};

static mn_status build(mn__layer *l) {
    mn_shape s = ((const mn_reshape_layer *)l->opt)->target_shape, in = mn__in_shape(l, 0);
    char given[64], wanted[64];
    mn_shape_text(in, given, sizeof given);
    mn_shape_text(s, wanted, sizeof wanted);
    if (s.ndim < 1 || s.ndim >= MN_MAX_DIMS)
        return mn__layer_fail(l, MN_ERR_SHAPE, "target_shape has %d dimensions; wanted 1 to %d", s.ndim, MN_MAX_DIMS - 1);
    int free_dim = -1;
    int64_t known = 1;
    for (int i = 0; i < s.ndim; i++) {
        if (s.dim[i] == -1 && free_dim < 0)
            free_dim = i;
        else if (s.dim[i] < 1 || s.dim[i] > MN__MAX_SAMPLE)
            return mn__layer_fail(l, MN_ERR_SHAPE, "target_shape is %s; wanted positive numbers and at most one -1", wanted);
        else if (__builtin_mul_overflow(known, s.dim[i], &known))
            known = 0, i = s.ndim;
    }
    if (known > 0 && free_dim >= 0) s.dim[free_dim] = mn_shape_count(in) / known;
    if (known <= 0 || mn_shape_count(s) != mn_shape_count(in))
        return mn__layer_fail(l, MN_ERR_SHAPE, "the input %s has %lld numbers, which do not make %s", given,
                              (long long)mn_shape_count(in), wanted);
    l->shape = s;
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    mn_shape s = {.ndim = l->shape.ndim + 1, .dim = {in[0]->shape.dim[0]}};
    for (int i = 0; i < l->shape.ndim; i++) s.dim[i + 1] = l->shape.dim[i];
    return mn_reshape(in[0], s);
}

const mn__layer_class mn__class_reshape = {.name = "Reshape",
                                           .stem = "reshape",
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .view = true,
                                           .opt_bytes = sizeof(mn_reshape_layer),
                                           .fields = fields,
                                           .build = build,
                                           .forward = forward};

mn_sym mn_layer_reshape(mn_model *m, mn_sym x, mn_reshape_layer opt) { return mn__layer_add(m, &mn__class_reshape, &x, 1, &opt); }
