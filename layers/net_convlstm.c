/* convlstm: a clip (T,C,H,W) to one class. Two convolutions of stride 2 and a pooling make small maps of every frame by
 * itself; a ConvLSTM2D follows them through time, and what it has in mind after the last frame is pooled and
 * classified. S2 names the layer, not the network. */
#include "layers/internal.h"

static mn_sym frame_conv(mn_model *m, mn_sym x, int filters) {
    x = mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){.filters = filters,
                                          .kernel_size = {3, 3},
                                          .strides = {2, 2},
                                          .padding = MN_SAME,
                                          .no_bias = true,
                                          .kernel_initializer = MN_INIT_HE_NORMAL});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
    return mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU});
}

void mn__net_convlstm(mn_model *m, mn_sym x, const mn_net_opt *o) {
    mn_model_time_distributed(m, true);
    x = frame_conv(m, x, 16);
    x = frame_conv(m, x, 32);
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.padding = MN_SAME});
    mn_model_time_distributed(m, false);
    x = mn_layer_conv_lstm2d(m, x, (mn_conv_lstm2d_layer){.filters = 32, .kernel_size = {3, 3}, .padding = MN_SAME});
    x = mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.2});
    mn__net_heads(m, x, o);
}
