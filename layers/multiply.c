/* Multiply: the product of two or more inputs; a dimension of 1 is stretched, so that (C,1,1) weighs the channels of (C,H,W). */
#include "layers/internal.h"

static mn_status build(mn__layer *l) {
    char a[64], b[64];
    l->shape = mn__in_shape(l, 0);
    for (int i = 1; i < l->n_in; i++) {
        mn_shape s = mn__in_shape(l, i);
        bool fits = s.ndim == l->shape.ndim;
        for (int d = 0; d < s.ndim && fits; d++) {
            fits = s.dim[d] == l->shape.dim[d] || s.dim[d] == 1 || l->shape.dim[d] == 1;
            if (s.dim[d] > l->shape.dim[d]) l->shape.dim[d] = s.dim[d];
        }
        if (!fits)
            return mn__layer_fail(l, MN_ERR_SHAPE, "input 0 is %s and input %d is %s; wanted the same numbers, or 1",
                                  mn_shape_text(mn__in_shape(l, 0), a, sizeof a), i, mn_shape_text(s, b, sizeof b));
    }
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    mn_tensor *y = in[0];
    for (int i = 1; i < l->n_in; i++) y = mn_mul(y, in[i]);
    return y;
}

const mn__layer_class mn__class_multiply = {.name = "Multiply",
                                            .stem = "multiply",
                                            .min_inputs = 2,
                                            .max_inputs = MN__MAX_LAYER_INPUTS,
                                            .opt_bytes = sizeof(mn_plain_layer),
                                            .build = build,
                                            .forward = forward};

mn_sym mn_layer_multiply(mn_model *m, const mn_sym *x, int n, mn_plain_layer opt) {
    return mn__layer_add(m, &mn__class_multiply, x, n, &opt);
}
