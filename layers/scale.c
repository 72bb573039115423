/* Scale: y = x*gamma + beta, a channel (or feature) at a time, both learned: a batch normalisation without the statistics. */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_scale_layer, NOT, no_center, "center", 0, 0, 0),
                                   MN__FIELD(mn_scale_layer, NOT, no_scale, "scale", 0, 0, 0),
                                   {0}};

static mn_status build(mn__layer *l) {
    const mn_scale_layer *o = l->opt;
    l->shape = mn__in_shape(l, 0);
    if (l->shape.ndim != 1 && l->shape.ndim != 3) return mn__want_image(l);
    mn__weight w = {.shape = MN_SHAPE(l->shape.dim[0]), .order = MN__FEATURE};
    w.name = "gamma", w.init = MN_INIT_ONES, w.absent = o->no_scale;
    mn__weight_add(l, w);
    w.name = "beta", w.init = MN_INIT_ZEROS, w.absent = o->no_center;
    return mn__weight_add(l, w);
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    mn_tensor *gamma = l->weight[0].t, *beta = l->weight[1].t;
    int64_t n = l->weight[0].shape.dim[0];
    mn_tensor *y = gamma ? mn_mul(in[0], in[0] && in[0]->shape.ndim == 4 ? mn_reshape(gamma, MN_SHAPE(n, 1, 1)) : gamma) : in[0];
    return beta ? mn_bias_add(y, beta) : y;
}

const mn__layer_class mn__class_scale = {.name = "Scale",
                                         .stem = "scale",
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .elementwise = true,
                                         .opt_bytes = sizeof(mn_scale_layer),
                                         .fields = fields,
                                         .build = build,
                                         .forward = forward};

mn_sym mn_layer_scale(mn_model *m, mn_sym x, mn_scale_layer opt) { return mn__layer_add(m, &mn__class_scale, &x, 1, &opt); }
