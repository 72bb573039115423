/* vgg: ten 3x3 convolutions in blocks of 64, 128, 256 and 512 channels, each with batch norm and ReLU, a
 * max-pooling after each block, then two fully connected layers (after Simonyan and Zisserman 2015). */
#include "layers/internal.h"

static mn_sym conv(mn_model *m, mn_sym x, int filters) {
    x = mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){.filters = filters,
                                          .kernel_size = {3, 3},
                                          .padding = MN_SAME,
                                          .no_bias = true,
                                          .kernel_initializer = MN_INIT_HE_NORMAL});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
    return mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU});
}

void mn__net_vgg(mn_model *m, mn_sym x, const mn_net_opt *o) {
    const struct { int filters, convolutions; } blocks[] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}};
    for (int b = 0; b < 4; b++) {
        for (int i = 0; i < blocks[b].convolutions; i++) x = conv(m, x, blocks[b].filters);
        x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {2, 2}, .padding = MN_SAME});
    }
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = 512, .activation = MN_ACT_RELU});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.5});
    mn__net_heads(m, x, o);
}
