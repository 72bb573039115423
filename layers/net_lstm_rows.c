/* lstm-rows: an image as a sequence of its rows, from the top, read by an LSTM; its last state tells the class. Colour
 * becomes one channel first, by a 1x1 convolution that is learned. */
#include "layers/internal.h"

void mn__net_lstm_rows(mn_model *m, mn_sym x, const mn_net_opt *o) {
    if (o->channels > 1) x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 1, .kernel_size = {1, 1}});
    x = mn_layer_reshape(m, x, (mn_reshape_layer){.target_shape = MN_SHAPE(o->height, o->width)});
    x = mn_layer_lstm(m, x, (mn_lstm_layer){.units = 128});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.2});
    mn__net_heads(m, x, o);
}
