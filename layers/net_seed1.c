/* seed1: S1's design: convolution, pooling, batch normalisation, dropout and fully connected layers, the parts
 * its ablation removes one by one. The paper gives neither numbers nor sizes of layers; this is the common
 * shape of that design, three blocks of two convolutions, 1.47 M parameters with 7 classes at 48x48. */
#include "layers/internal.h"

static mn_sym norm_relu(mn_model *m, mn_sym x) {
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
    return mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU});
}

static mn_sym block(mn_model *m, mn_sym x, int filters) {
    for (int i = 0; i < 2; i++) {
        x = mn_layer_conv2d(m, x,
                            (mn_conv2d_layer){.filters = filters,
                                              .kernel_size = {3, 3},
                                              .padding = MN_SAME,
                                              .no_bias = true,
                                              .kernel_initializer = MN_INIT_HE_NORMAL});
        x = norm_relu(m, x);
    }
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {2, 2}, .padding = MN_SAME});
    return mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.25});
}

void mn__net_seed1(mn_model *m, mn_sym x, const mn_net_opt *o) {
    x = block(m, x, 32);
    x = block(m, x, 64);
    x = block(m, x, 128);
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = 256, .no_bias = true, .kernel_initializer = MN_INIT_HE_NORMAL});
    x = norm_relu(m, x);
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.5});
    mn__net_heads(m, x, o);
}
