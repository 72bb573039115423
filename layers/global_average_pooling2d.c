/* GlobalAveragePooling2D: (C,H,W) to (C), the mean of each channel. */
#include "layers/internal.h"

static mn_status build(mn__layer *l) {
    if (mn__want_image(l)) return MN_ERR_SHAPE;
    l->shape = MN_SHAPE(mn__in_shape(l, 0).dim[0]);
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    (void)l;
    return mn_global_avg_pool2d(in[0]);
}

const mn__layer_class mn__class_global_average_pooling2d = {.name = "GlobalAveragePooling2D",
                                                            .stem = "global_average_pooling2d",
                                                            .min_inputs = 1,
                                                            .max_inputs = 1,
                                                            .opt_bytes = sizeof(mn_plain_layer),
                                                            .build = build,
                                                            .forward = forward};

mn_sym mn_layer_global_average_pooling2d(mn_model *m, mn_sym x, mn_plain_layer opt) {
    return mn__layer_add(m, &mn__class_global_average_pooling2d, &x, 1, &opt);
}
