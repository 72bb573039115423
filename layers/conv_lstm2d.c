/* ConvLSTM2D: gates_t = conv(x_t, kernel) + conv(h_{t-1}, recurrent_kernel) + bias, in Keras's order i, f, c, o;
 * (h,c)_t = lstm_cell(gates_t). x (T,C,H,W), kernel (4*filters, C, R, S), recurrent_kernel (4*filters, filters, R, S).
 * Shi et al. 2015, without their peepholes, as in Keras. docs/ops/lstm.md. */
#include "layers/recurrent.h"

static const mn__field fields[] = {
#define F(...) MN__FIELD(mn_conv_lstm2d_layer, __VA_ARGS__)
    F(INT, filters, "filters", 0, 1, MN__MAX_UNITS / 4),
    F(PAIR, kernel_size, "kernel_size", 0, 1, 1024),
    F(PAIR, strides, "strides", 1, 1, 1024),
    F(PADDING, padding, "padding", 0, 0, 0),
    F(PAIR, dilation_rate, "dilation_rate", 1, 1, 1024),
    F(CELL, activation, "activation", 0, 0, 0),
    F(GATE, recurrent_activation, "recurrent_activation", 0, 0, 0),
    F(NOT, no_bias, "use_bias", 0, 0, 0),
    F(NOT, no_unit_forget_bias, "unit_forget_bias", 0, 0, 0),
    F(YES, return_sequences, "return_sequences", 0, 0, 0),
    F(INIT, kernel_initializer, "kernel_initializer", 0, 0, 0),
    F(INIT, recurrent_initializer, "recurrent_initializer", 0, 0, 0),
#undef F
    {0}};

static void add_weights(mn__layer *l, int64_t channels) {
    const mn_conv_lstm2d_layer *o = l->opt;
    const int *size = o->kernel_size;
    int64_t units = o->filters, window = (int64_t)size[0] * size[1];
    mn__weight_add(l, (mn__weight){.name = "kernel",
                                   .shape = MN_SHAPE(4 * units, channels, size[0], size[1]),
                                   .init = o->kernel_initializer,
                                   .fan_in = channels * window,
                                   .fan_out = 4 * units * window,
                                   .order = MN__HWIO});
    mn__weight_add(l, (mn__weight){.name = "recurrent_kernel",
                                   .shape = MN_SHAPE(4 * units, units, size[0], size[1]),
                                   .init = o->recurrent_initializer,
                                   .fan_in = units * window,
                                   .fan_out = 4 * units * window,
                                   .order = MN__HWIO});
    mn__weight_add(l, (mn__weight){.name = "bias",
                                   .shape = MN_SHAPE(4 * units),
                                   .init = MN_INIT_ZEROS,
                                   .ones_from = units,
                                   .ones_to = o->no_unit_forget_bias ? units : 2 * units,
                                   .absent = o->no_bias});
}

static mn_status build(mn__layer *l) {
    mn_conv_lstm2d_layer *o = l->opt;
    mn_shape s = mn__in_shape(l, 0);
    char text[64];
    int64_t p, q;
    if (s.ndim != 4)
        return mn__layer_fail(l, MN_ERR_SHAPE,
                              "the input \"%s\" is %s; wanted a sequence of images "
                              "(steps,channels,height,width)",
                              l->model->layer[l->in[0]]->name, mn_shape_text(s, text, sizeof text));
    if (mn__want_steps(l, s.dim[0]) || mn__window_size(l, o->kernel_size, o->strides, o->dilation_rate, o->padding, &p, &q))
        return MN_ERR_SHAPE;
    if (o->recurrent_initializer == MN_INIT_DEFAULT) o->recurrent_initializer = MN_INIT_ORTHOGONAL;
    l->shape = mn__with_steps(MN_SHAPE(o->filters, p, q), s.dim[0], o->return_sequences);
    l->macs = s.dim[0] * 4 * o->filters * p * q * o->kernel_size[0] * o->kernel_size[1] * (s.dim[1] + o->filters);
    add_weights(l, s.dim[1]);
    return l->model->status;
}

static mn_tensor *of_state(mn__layer *l, mn_tensor *h) {
    const mn_conv_lstm2d_layer *o = l->opt;
    mn_conv2d_opt c = {0};
    for (int i = 0; i < 2; i++)
        mn_same_padding(h->shape.dim[2 + i], o->kernel_size[i], 1, 1, &c.padding[2 * i], &c.padding[2 * i + 1]);
    return mn_conv2d(h, l->weight[1].t, NULL, c);
}

/* One convolution takes in all steps' images; only the state's has to wait for the step before. */
static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_conv_lstm2d_layer *o = l->opt;
    mn_tensor *z = mn_conv2d(mn__fold_steps(in[0]), l->weight[0].t, l->weight[2].t,
                             (mn_conv2d_opt){.stride = {o->strides[0], o->strides[1]},
                                             .dilation = {o->dilation_rate[0], o->dilation_rate[1]},
                                             .padding = {l->pad[0], l->pad[1], l->pad[2], l->pad[3]}});
    return mn__recur(l, mn__unfold_steps(z, in[0]->shape.dim[1]), l->n_in > 1 ? in[1] : NULL,
                     &(mn__recurrence){.activation = o->activation,
                                       .gate = o->recurrent_activation,
                                       .units = o->filters,
                                       .return_sequences = o->return_sequences,
                                       .of_state = of_state});
}

const mn__layer_class mn__class_conv_lstm2d = {.name = "ConvLSTM2D",
                                               .stem = "conv_lstm2d",
                                               .min_inputs = 1,
                                               .max_inputs = 2,
                                               .opt_bytes = sizeof(mn_conv_lstm2d_layer),
                                               .fields = fields,
                                               .build = build,
                                               .forward = forward};

mn_sym mn_layer_conv_lstm2d(mn_model *m, mn_sym x, mn_conv_lstm2d_layer opt) {
    return mn__layer_add(m, &mn__class_conv_lstm2d, &x, 1, &opt);
}
mn_sym mn_layer_conv_lstm2d_masked(mn_model *m, mn_sym x, mn_sym mask, mn_conv_lstm2d_layer opt) {
    return mn__layer_add(m, &mn__class_conv_lstm2d, (const mn_sym[]){x, mask}, 2, &opt);
}
