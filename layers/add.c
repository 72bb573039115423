/* Add: the sum of two or more inputs of one shape; the end of a residual block. */
#include "layers/internal.h"

static mn_status build(mn__layer *l) {
    l->shape = mn__in_shape(l, 0);
    char a[64], b[64];
    for (int i = 1; i < l->n_in; i++)
        if (!mn_shape_equal(mn__in_shape(l, i), l->shape))
            return mn__layer_fail(l, MN_ERR_SHAPE, "input 0 is %s and input %d is %s; all must have one shape",
                                  mn_shape_text(l->shape, a, sizeof a), i, mn_shape_text(mn__in_shape(l, i), b, sizeof b));
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    mn__layer *norm = mn__makes_sum(l);
    if (norm) {
        mn_tensor *sum = norm->out;
        norm->out = NULL; /* is the result of this layer */
        return sum;
    }
    mn_tensor *y = in[0];
    for (int i = 1; i < l->n_in; i++) y = mn_add(y, in[i]);
    return y;
}

const mn__layer_class mn__class_add = {.name = "Add",
                                       .stem = "add",
                                       .min_inputs = 2,
                                       .max_inputs = MN__MAX_LAYER_INPUTS,
                                       .opt_bytes = sizeof(mn_plain_layer),
                                       .build = build,
                                       .forward = forward};

mn_sym mn_layer_add(mn_model *m, const mn_sym *x, int n, mn_plain_layer opt) {
    return mn__layer_add(m, &mn__class_add, x, n, &opt);
}
