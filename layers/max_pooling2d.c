/* MaxPooling2D: the largest number of each window, channel by channel. */
#include "layers/pooling.h"

static mn_tensor *forward(mn__layer *l, mn_tensor **in) { return mn_max_pool2d(in[0], mn__pooling_opt(l)); }

const mn__layer_class mn__class_max_pooling2d = {.name = "MaxPooling2D",
                                                 .stem = "max_pooling2d",
                                                 .min_inputs = 1,
                                                 .max_inputs = 1,
                                                 .opt_bytes = sizeof(mn_pooling2d_layer),
                                                 .fields = mn__pooling_fields,
                                                 .build = mn__pooling_build,
                                                 .forward = forward};

mn_sym mn_layer_max_pooling2d(mn_model *m, mn_sym x, mn_pooling2d_layer opt) {
    return mn__layer_add(m, &mn__class_max_pooling2d, &x, 1, &opt);
}
