/* LSTM: gates_t = kernel x_t + recurrent_kernel h_{t-1} + bias, in Keras's order i, f, c, o; (h,c)_t = lstm_cell(gates_t).
 * x (T,in), kernel (4*units, in), recurrent_kernel (4*units, units). docs/ops/lstm.md. */
#include "layers/recurrent.h"

static const mn__field fields[] = {
#define F(...) MN__FIELD(mn_lstm_layer, __VA_ARGS__)
    F(INT, units, "units", 0, 1, MN__MAX_UNITS / 4),
    F(CELL, activation, "activation", 0, 0, 0),
    F(GATE, recurrent_activation, "recurrent_activation", 0, 0, 0),
    F(NOT, no_bias, "use_bias", 0, 0, 0),
    F(NOT, no_unit_forget_bias, "unit_forget_bias", 0, 0, 0),
    F(YES, return_sequences, "return_sequences", 0, 0, 0),
    F(INIT, kernel_initializer, "kernel_initializer", 0, 0, 0),
    F(INIT, recurrent_initializer, "recurrent_initializer", 0, 0, 0),
#undef F
    {0}};

static mn_status build(mn__layer *l) {
    mn_lstm_layer *o = l->opt;
    mn_shape s = mn__in_shape(l, 0);
    char text[64];
    if (s.ndim != 2)
        return mn__layer_fail(l, MN_ERR_SHAPE, "the input \"%s\" is %s; wanted a sequence (steps,features)%s",
                              l->model->layer[l->in[0]]->name, mn_shape_text(s, text, sizeof text),
                              s.ndim == 4 ? "; hint: a time-distributed Flatten before it, or ConvLSTM2D" : "");
    int64_t steps = s.dim[0], in = s.dim[1], units = o->units;
    if (mn__want_steps(l, steps)) return MN_ERR_SHAPE;
    if (o->recurrent_initializer == MN_INIT_DEFAULT) o->recurrent_initializer = MN_INIT_ORTHOGONAL;
    l->shape = mn__with_steps(MN_SHAPE(units), steps, o->return_sequences);
    l->macs = steps * 4 * units * (in + units);
    mn__weight_add(l, (mn__weight){.name = "kernel",
                                   .shape = MN_SHAPE(4 * units, in),
                                   .init = o->kernel_initializer,
                                   .fan_in = in,
                                   .fan_out = 4 * units,
                                   .order = MN__IN_OUT});
    mn__weight_add(l, (mn__weight){.name = "recurrent_kernel",
                                   .shape = MN_SHAPE(4 * units, units),
                                   .init = o->recurrent_initializer,
                                   .fan_in = units,
                                   .fan_out = 4 * units,
                                   .order = MN__OUT_OUT});
    return mn__weight_add(l, (mn__weight){.name = "bias",
                                          .shape = MN_SHAPE(4 * units),
                                          .init = MN_INIT_ZEROS,
                                          .ones_from = units,
                                          .ones_to = o->no_unit_forget_bias ? units : 2 * units,
                                          .absent = o->no_bias});
}

static mn_tensor *of_state(mn__layer *l, mn_tensor *h) { return mn_linear(h, l->weight[1].t, NULL); }

/* One matrix product takes in all steps' inputs; only the state's has to wait for the step before. */
static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_lstm_layer *o = l->opt;
    mn_tensor *z = mn_linear(mn__fold_steps(in[0]), l->weight[0].t, l->weight[2].t);
    return mn__recur(l, mn__unfold_steps(z, in[0]->shape.dim[1]), l->n_in > 1 ? in[1] : NULL,
                     &(mn__recurrence){.activation = o->activation,
                                       .gate = o->recurrent_activation,
                                       .units = o->units,
                                       .return_sequences = o->return_sequences,
                                       .of_state = of_state});
}

const mn__layer_class mn__class_lstm = {.name = "LSTM",
                                        .stem = "lstm",
                                        .min_inputs = 1,
                                        .max_inputs = 2,
                                        .opt_bytes = sizeof(mn_lstm_layer),
                                        .fields = fields,
                                        .build = build,
                                        .forward = forward};

mn_sym mn_layer_lstm(mn_model *m, mn_sym x, mn_lstm_layer opt) { return mn__layer_add(m, &mn__class_lstm, &x, 1, &opt); }
mn_sym mn_layer_lstm_masked(mn_model *m, mn_sym x, mn_sym mask, mn_lstm_layer opt) {
    return mn__layer_add(m, &mn__class_lstm, (const mn_sym[]){x, mask}, 2, &opt);
}
