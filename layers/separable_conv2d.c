/* SeparableConv2D: a depthwise convolution, then a 1x1 one over its channels, then bias (Chollet 2017). */
#include "autograd/separable_conv2d.h"
#include "layers/internal.h"

static const mn__field fields[] = {
#define F(...) MN__FIELD(mn_separable_conv2d_layer, __VA_ARGS__)
    F(INT, filters, "filters", 0, 1, MN__MAX_UNITS),
    F(PAIR, kernel_size, "kernel_size", 0, 1, 1024),
    F(PAIR, strides, "strides", 1, 1, 1024),
    F(PADDING, padding, "padding", 0, 0, 0),
    F(PAIR, dilation_rate, "dilation_rate", 1, 1, 1024),
    F(INT, depth_multiplier, "depth_multiplier", 1, 1, 1024),
    F(ACTIVATION, activation, "activation", 0, 0, 0),
    F(NOT, no_bias, "use_bias", 0, 0, 0),
    F(INIT, depthwise_initializer, "depthwise_initializer", 0, 0, 0),
    F(INIT, pointwise_initializer, "pointwise_initializer", 0, 0, 0),
#undef F
    {0}};

static mn_status build(mn__layer *l) {
    const mn_separable_conv2d_layer *o = l->opt;
    int64_t p, q, k = o->filters;
    if (mn__want_image(l) || mn__window_size(l, o->kernel_size, o->strides, o->dilation_rate, o->padding, &p, &q))
        return MN_ERR_SHAPE;
    int64_t middle = mn__in_shape(l, 0).dim[0] * o->depth_multiplier, window = (int64_t)o->kernel_size[0] * o->kernel_size[1];
    l->shape = MN_SHAPE(k, p, q);
    l->macs = p * q * middle * (window + k);
    mn__weight_add(l, (mn__weight){.name = "depthwise_kernel",
                                   .shape = MN_SHAPE(middle, 1, o->kernel_size[0], o->kernel_size[1]),
                                   .init = mn__init_for(o->depthwise_initializer, MN_ACT_LINEAR),
                                   .fan_in = window,
                                   .fan_out = window * o->depth_multiplier,
                                   .order = MN__HWCM});
    mn__weight_add(l, (mn__weight){.name = "pointwise_kernel",
                                   .shape = MN_SHAPE(k, middle, 1, 1),
                                   .init = mn__init_for(o->pointwise_initializer, o->activation),
                                   .fan_in = middle,
                                   .fan_out = k,
                                   .order = MN__HWIO,
                                   .rows = true});
    return mn__weight_add(l, (mn__weight){.name = "bias", .shape = MN_SHAPE(k), .init = MN_INIT_ZEROS, .absent = o->no_bias});
}

/* May both halves be one operation? (The bias is the one that folding batch norm makes, too.) */
static bool whole(const mn__layer *l) {
    const mn_separable_conv2d_layer *o = l->opt;
    bool steps = o->strides[0] == 1 && o->strides[1] == 1 && o->dilation_rate[0] == 1 && o->dilation_rate[1] == 1;
    return steps && !l->weight[2].t && o->activation == MN_ACT_LINEAR;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_separable_conv2d_layer *o = l->opt;
    if (whole(l)) return mn__separable_conv2d(in[0], l->weight[0].t, l->weight[1].t, l->pad);
    mn_tensor *y = mn_conv2d(in[0], l->weight[0].t, NULL,
                             (mn_conv2d_opt){.stride = {o->strides[0], o->strides[1]},
                                             .dilation = {o->dilation_rate[0], o->dilation_rate[1]},
                                             .groups = (int)mn__in_shape(l, 0).dim[0],
                                             .padding = {l->pad[0], l->pad[1], l->pad[2], l->pad[3]}});
    return mn__conv2d_activated(y, l->weight[1].t, l->weight[2].t, (mn_conv2d_opt){0}, o->activation);
}

const mn__layer_class mn__class_separable_conv2d = {.name = "SeparableConv2D",
                                                    .stem = "separable_conv2d",
                                                    .min_inputs = 1,
                                                    .max_inputs = 1,
                                                    .opt_bytes = sizeof(mn_separable_conv2d_layer),
                                                    .fields = fields,
                                                    .build = build,
                                                    .forward = forward};

mn_sym mn_layer_separable_conv2d(mn_model *m, mn_sym x, mn_separable_conv2d_layer opt) {
    return mn__layer_add(m, &mn__class_separable_conv2d, &x, 1, &opt);
}
