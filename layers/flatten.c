/* Flatten: all of a sample's numbers in one row, (C,H,W) to (C*H*W). Keras counts them in the order (H,W,C);
 * model files turn the weights of what follows (data/formats/feature_order.c). */
#include "layers/internal.h"

static mn_status build(mn__layer *l) {
    l->shape = MN_SHAPE(mn_shape_count(mn__in_shape(l, 0)));
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    (void)l;
    return mn_flatten(in[0]);
}

const mn__layer_class mn__class_flatten = {.name = "Flatten",
                                           .stem = "flatten",
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .view = true,
                                           .opt_bytes = sizeof(mn_plain_layer),
                                           .build = build,
                                           .forward = forward};

mn_sym mn_layer_flatten(mn_model *m, mn_sym x, mn_plain_layer opt) { return mn__layer_add(m, &mn__class_flatten, &x, 1, &opt); }
