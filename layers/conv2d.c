/* Conv2D: y = activation(conv(x, kernel) + bias). x (C,H,W), kernel (filters, C/groups, R, S). */
#include "autograd/ends_in_relu.h"
#include "layers/internal.h"

static const mn__field fields[] = {
#define F(...) MN__FIELD(mn_conv2d_layer, __VA_ARGS__)
    F(INT, filters, "filters", 0, 1, MN__MAX_UNITS),
    F(PAIR, kernel_size, "kernel_size", 0, 1, 1024),
    F(PAIR, strides, "strides", 1, 1, 1024),
    F(PADDING, padding, "padding", 0, 0, 0),
    F(PAIR, dilation_rate, "dilation_rate", 1, 1, 1024),
    F(INT, groups, "groups", 1, 1, MN__MAX_UNITS),
    F(ACTIVATION, activation, "activation", 0, 0, 0),
    F(NOT, no_bias, "use_bias", 0, 0, 0),
    F(INIT, kernel_initializer, "kernel_initializer", 0, 0, 0),
#undef F
    {0}};

static mn_status build(mn__layer *l) {
    const mn_conv2d_layer *o = l->opt;
    int64_t p, q, k = o->filters;
    if (mn__want_image(l) || mn__window_size(l, o->kernel_size, o->strides, o->dilation_rate, o->padding, &p, &q))
        return MN_ERR_SHAPE;
    int64_t channels = mn__in_shape(l, 0).dim[0], c = channels / o->groups,
            window = (int64_t)o->kernel_size[0] * o->kernel_size[1];
    if (channels % o->groups || k % o->groups)
        return mn__layer_fail(l, MN_ERR_SHAPE, "groups is %d, which must divide the input's %lld channels and the %d filters",
                              o->groups, (long long)channels, o->filters);
    l->shape = MN_SHAPE(k, p, q);
    l->macs = k * p * q * c * window;
    mn__weight_add(l, (mn__weight){.name = "kernel",
                                   .shape = MN_SHAPE(k, c, o->kernel_size[0], o->kernel_size[1]),
                                   .init = mn__init_for(o->kernel_initializer, o->activation),
                                   .fan_in = c * window,
                                   .fan_out = k * window / o->groups,
                                   .order = MN__HWIO,
                                   .rows = true});
    return mn__weight_add(l, (mn__weight){.name = "bias", .shape = MN_SHAPE(k), .init = MN_INIT_ZEROS, .absent = o->no_bias});
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_conv2d_layer *o = l->opt;
    mn_conv2d_opt opt = {.stride = {o->strides[0], o->strides[1]},
                         .dilation = {o->dilation_rate[0], o->dilation_rate[1]},
                         .groups = o->groups,
                         .padding = {l->pad[0], l->pad[1], l->pad[2], l->pad[3]}};
    const mn__layer *next = mn__only_reader(l);
    if (o->activation == MN_ACT_LINEAR && l->training && next && next->class == &mn__class_batch_normalization && !next->frozen)
        return mn__conv2d_measured(in[0], l->weight[0].t, l->weight[1].t, opt);
    if (mn__makes_pool(l)) return mn__conv2d_pooled(in[0], l->weight[0].t, l->weight[1].t, opt, o->activation == MN_ACT_RELU);
    return mn__conv2d_activated(in[0], l->weight[0].t, l->weight[1].t, opt, o->activation);
}

const mn__layer_class mn__class_conv2d = {.name = "Conv2D",
                                          .stem = "conv2d",
                                          .min_inputs = 1,
                                          .max_inputs = 1,
                                          .opt_bytes = sizeof(mn_conv2d_layer),
                                          .fields = fields,
                                          .build = build,
                                          .forward = forward};

mn_sym mn_layer_conv2d(mn_model *m, mn_sym x, mn_conv2d_layer opt) { return mn__layer_add(m, &mn__class_conv2d, &x, 1, &opt); }
