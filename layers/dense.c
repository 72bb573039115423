/* Dense (fully connected): y = activation(x kernel^T + bias). x (in), kernel (units, in). */
#include "layers/internal.h"

static const mn__field fields[] = {
#define F(...) MN__FIELD(mn_dense_layer, __VA_ARGS__)
    F(INT, units, "units", 0, 1, MN__MAX_UNITS),
    F(ACTIVATION, activation, "activation", 0, 0, 0),
    F(NOT, no_bias, "use_bias", 0, 0, 0),
    F(INIT, kernel_initializer, "kernel_initializer", 0, 0, 0),
#undef F
    {0}};

static mn_status build(mn__layer *l) {
    const mn_dense_layer *o = l->opt;
    if (mn__want_features(l)) return MN_ERR_SHAPE;
    int64_t in = mn__in_shape(l, 0).dim[0], units = o->units;
    l->shape = MN_SHAPE(units);
    l->macs = units * in;
    mn__weight_add(l, (mn__weight){.name = "kernel",
                                   .shape = MN_SHAPE(units, in),
                                   .init = mn__init_for(o->kernel_initializer, o->activation),
                                   .fan_in = in,
                                   .fan_out = units,
                                   .order = MN__IN_OUT,
                                   .rows = true});
    return mn__weight_add(l, (mn__weight){.name = "bias", .shape = MN_SHAPE(units), .init = MN_INIT_ZEROS, .absent = o->no_bias});
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_dense_layer *o = l->opt;
    return mn__linear_activated(in[0], l->weight[0].t, l->weight[1].t, o->activation);
}

const mn__layer_class mn__class_dense = {.name = "Dense",
                                         .stem = "dense",
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .opt_bytes = sizeof(mn_dense_layer),
                                         .fields = fields,
                                         .build = build,
                                         .forward = forward};

mn_sym mn_layer_dense(mn_model *m, mn_sym x, mn_dense_layer opt) { return mn__layer_add(m, &mn__class_dense, &x, 1, &opt); }
