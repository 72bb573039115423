/* mini-xception: Arriaga, Valdenegro-Toro and Ploeger 2017, "Real-time convolutional neural networks for
 * emotion and gender classification", as its authors published it: 58,423 parameters (56,951 of them trained)
 * with 7 classes at 64x64 grey. No fully connected layer: a convolution makes one map a class, and its mean is
 * the logit. (Here batch norm follows with momentum 0.9; theirs, 0.99, needs longer runs.) */
#include "layers/internal.h"

static mn_sym norm(mn_model *m, mn_sym x) {
    return mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
}
static mn_sym relu(mn_model *m, mn_sym x) { return mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU}); }
static mn_sym separable(mn_model *m, mn_sym x, int filters) {
    return norm(m, mn_layer_separable_conv2d(m, x,
                                             (mn_separable_conv2d_layer){.filters = filters,
                                                                         .kernel_size = {3, 3},
                                                                         .padding = MN_SAME,
                                                                         .no_bias = true,
                                                                         .pointwise_initializer = MN_INIT_HE_NORMAL}));
}

/* Two separable convolutions and a pooling, beside a 1x1 convolution of stride 2. */
static mn_sym module(mn_model *m, mn_sym x, int filters) {
    mn_sym side = norm(
        m,
        mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){
                            .filters = filters, .kernel_size = {1, 1}, .strides = {2, 2}, .padding = MN_SAME, .no_bias = true}));
    x = relu(m, separable(m, x, filters));
    x = separable(m, x, filters);
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME});
    return mn_layer_add(m, (const mn_sym[]){x, side}, 2, (mn_plain_layer){0});
}

void mn__net_mini_xception(mn_model *m, mn_sym x, const mn_net_opt *o) {
    for (int i = 0; i < 2; i++)
        x = relu(m, norm(m, mn_layer_conv2d(m, x,
                                            (mn_conv2d_layer){.filters = 8,
                                                              .kernel_size = {3, 3},
                                                              .no_bias = true,
                                                              .kernel_initializer = MN_INIT_HE_NORMAL})));
    for (int filters = 16; filters <= 128; filters *= 2) x = module(m, x, filters);
    for (int i = 0; i < o->n_heads; i++) {
        mn_sym map =
            mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = o->heads[i].classes, .kernel_size = {3, 3}, .padding = MN_SAME});
        map = mn_layer_global_average_pooling2d(m, map, (mn_plain_layer){0});
        mn_model_output(m, mn_layer_activation(m, map, (mn_activation_layer){.name = o->heads[i].name}));
    }
}
