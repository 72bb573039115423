/* base: 988,921 trained parameters with heads of 7 and 2 at 48x48 grey, 114 M multiply-adds. 3x3 convolutions
 * throughout, each followed by batch norm; strides halve the image, residual blocks do the work between. */
#include "layers/internal.h"

static mn_sym conv(mn_model *m, mn_sym x, int filters, int stride) {
    x = mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){.filters = filters,
                                          .kernel_size = {3, 3},
                                          .strides = {stride, stride},
                                          .padding = MN_SAME,
                                          .no_bias = true,
                                          .kernel_initializer = MN_INIT_HE_NORMAL});
    return mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
}
static mn_sym relu(mn_model *m, mn_sym x) { return mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU}); }
static mn_sym residual(mn_model *m, mn_sym x, mn_sym y) {
    return relu(m, mn_layer_add(m, (const mn_sym[]){x, y}, 2, (mn_plain_layer){0}));
}

void mn__net_base(mn_model *m, mn_sym x, const mn_net_opt *o) {
    x = relu(m, conv(m, x, 32, 1));
    x = relu(m, conv(m, x, 56, 2)); /* 24x24 */
    x = residual(m, x, conv(m, relu(m, conv(m, x, 56, 1)), 56, 1));
    x = relu(m, conv(m, x, 128, 2)); /* 12x12 */
    x = residual(m, x, conv(m, relu(m, conv(m, x, 128, 1)), 128, 1));
    x = relu(m, conv(m, x, 192, 2)); /* 6x6 */
    x = residual(m, x, conv(m, x, 192, 1));
    x = mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.3});
    mn__net_heads(m, x, o);
}
