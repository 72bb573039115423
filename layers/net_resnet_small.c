/* resnet-small: six residual blocks of two 3x3 convolutions (He et al. 2016) with 32, 64 and 128 channels; the
 * first block of each later width halves the image, its shortcut is a 1x1 convolution. */
#include "layers/internal.h"

static mn_sym conv(mn_model *m, mn_sym x, int filters, int size, int stride) {
    x = mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){.filters = filters,
                                          .kernel_size = {size, size},
                                          .strides = {stride, stride},
                                          .padding = MN_SAME,
                                          .no_bias = true,
                                          .kernel_initializer = MN_INIT_HE_NORMAL});
    return mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
}
static mn_sym relu(mn_model *m, mn_sym x) { return mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU}); }

static mn_sym block(mn_model *m, mn_sym x, int filters, int stride) {
    mn_sym shortcut = stride > 1 ? conv(m, x, filters, 1, stride) : x;
    mn_sym y = relu(m, conv(m, x, filters, 3, stride));
    y = conv(m, y, filters, 3, 1);
    return relu(m, mn_layer_add(m, (const mn_sym[]){y, shortcut}, 2, (mn_plain_layer){0}));
}

void mn__net_resnet_small(mn_model *m, mn_sym x, const mn_net_opt *o) {
    x = relu(m, conv(m, x, 32, 3, 1));
    for (int filters = 32; filters <= 128; filters *= 2) {
        x = block(m, x, filters, filters == 32 ? 1 : 2);
        x = block(m, x, filters, 1);
    }
    x = mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    mn__net_heads(m, x, o);
}
