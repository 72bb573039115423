/* tiny: 83,145 trained parameters with heads of 7 and 2 at 48x48 grey, 15.0 M multiply-adds. A 5x5 convolution
 * of stride 2 leaves the large image at once, full 3x3 ones follow at 24x24, and below, where channels are
 * many, depthwise 3x3 and 1x1 pairs. Every convolution is followed by batch norm; there is no ReLU between a
 * depthwise convolution and its 1x1. */
#include "layers/internal.h"

static mn_sym norm(mn_model *m, mn_sym x) {
    return mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
}
static mn_sym relu(mn_model *m, mn_sym x) { return mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU}); }
static mn_sym conv(mn_model *m, mn_sym x, int filters, int size, int stride) {
    return norm(m, mn_layer_conv2d(m, x,
                                   (mn_conv2d_layer){.filters = filters,
                                                     .kernel_size = {size, size},
                                                     .strides = {stride, stride},
                                                     .padding = MN_SAME,
                                                     .no_bias = true,
                                                     .kernel_initializer = MN_INIT_HE_NORMAL}));
}
/* Depthwise 3x3, then 1x1 to `filters` channels. */
static mn_sym pair(mn_model *m, mn_sym x, int filters, int stride) {
    x = norm(m, mn_layer_depthwise_conv2d(m, x,
                                          (mn_depthwise_conv2d_layer){.kernel_size = {3, 3},
                                                                      .strides = {stride, stride},
                                                                      .padding = MN_SAME,
                                                                      .no_bias = true,
                                                                      .depthwise_initializer = MN_INIT_HE_NORMAL}));
    return conv(m, x, filters, 1, 1);
}
static mn_sym residual(mn_model *m, mn_sym x, mn_sym y) {
    return relu(m, mn_layer_add(m, (const mn_sym[]){x, y}, 2, (mn_plain_layer){0}));
}

void mn__net_tiny(mn_model *m, mn_sym x, const mn_net_opt *o) {
    x = relu(m, conv(m, x, 32, 5, 2)); /* 24x24 */
    x = residual(m, x, conv(m, relu(m, conv(m, x, 32, 3, 1)), 32, 3, 1));
    x = relu(m, pair(m, x, 64, 2)); /* 12x12 */
    x = residual(m, x, pair(m, relu(m, pair(m, x, 64, 1)), 64, 1));
    x = residual(m, x, pair(m, x, 64, 1));
    x = relu(m, pair(m, x, 128, 2)); /* 6x6 */
    x = residual(m, x, pair(m, relu(m, pair(m, x, 128, 1)), 128, 1));
    x = mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.1});
    mn__net_heads(m, x, o);
}
