/* seed2: the network S2 describes: three convolutions, two max-poolings, two fully connected layers. The paper
 * leaves widths open; these are the usual 32, 64, 128 and 256. With 7 classes at 48x48: 4,813,319 parameters. */
#include "layers/internal.h"

static mn_sym conv(mn_model *m, mn_sym x, int filters) {
    return mn_layer_conv2d(
        m, x, (mn_conv2d_layer){.filters = filters, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_RELU});
}

void mn__net_seed2(mn_model *m, mn_sym x, const mn_net_opt *o) {
    mn_pooling2d_layer halve = {.pool_size = {2, 2}, .padding = MN_SAME};
    x = conv(m, x, 32);
    x = mn_layer_max_pooling2d(m, x, halve);
    x = conv(m, x, 64);
    x = mn_layer_max_pooling2d(m, x, halve);
    x = conv(m, x, 128);
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = 256, .activation = MN_ACT_RELU});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.5});
    mn__net_heads(m, x, o);
}
