/* MaxPooling2D: the largest number of each window, channel by channel. */
#include "layers/pooling.h"

bool mn__makes_pool(const mn__layer *conv) {
    if (conv->class != &mn__class_conv2d || !conv->training || conv->model->ctx->device_kind != MN_CUDA) return false;
    const mn__layer *l = mn__only_reader(conv);
    if (!l || l->class != &mn__class_max_pooling2d) return false;
    const mn_activation own = *mn__layer_activation(conv);
    const mn_pool2d_opt o = mn__pooling_opt(l);
    bool halves = (own == MN_ACT_RELU || own == MN_ACT_LINEAR);
    for (int i = 0; i < 2; i++) halves &= o.kernel[i] == 2 && o.stride[i] == 2;
    for (int i = 0; i < 4; i++) halves &= o.padding[i] == 0;
    return halves;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    mn__layer *x = l->model->layer[l->in[0]];
    if (!mn__makes_pool(x)) return mn_max_pool2d(in[0], mn__pooling_opt(l));
    x->out = NULL; /* is the result of this layer */
    return in[0];
}

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
