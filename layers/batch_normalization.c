/* BatchNormalization: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, a channel (or feature) at a
 * time. In training the batch's mean and variance, and the moving ones follow it; else the moving ones. */
#include "autograd/batch_norm.h"
#include "layers/internal.h"

static const mn__field fields[] = {
#define F(...) MN__FIELD(mn_batch_normalization_layer, __VA_ARGS__)
    F(REAL, momentum, "momentum", 0.99, 0, 1),
    F(REAL, epsilon, "epsilon", 1e-3, 1e-12, 1),
    F(NOT, no_center, "center", 0, 0, 0),
    F(NOT, no_scale, "scale", 0, 0, 0),
#undef F
    {0}};

static mn_status build(mn__layer *l) {
    const mn_batch_normalization_layer *o = l->opt;
    l->shape = mn__in_shape(l, 0);
    if (l->shape.ndim != 1 && l->shape.ndim != 3) return mn__want_image(l);
    mn__weight w = {.shape = MN_SHAPE(l->shape.dim[0]), .order = MN__FEATURE};
    w.name = "gamma", w.init = MN_INIT_ONES, w.absent = o->no_scale;
    mn__weight_add(l, w);
    w.name = "beta", w.init = MN_INIT_ZEROS, w.absent = o->no_center;
    mn__weight_add(l, w);
    w.name = "moving_mean", w.absent = false, w.statistic = true;
    mn__weight_add(l, w);
    w.name = "moving_variance", w.init = MN_INIT_ONES;
    return mn__weight_add(l, w);
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_batch_normalization_layer *o = l->opt;
    mn__weight *w = l->weight;
    double move = o->momentum < 1 ? 1 - o->momentum : -1; /* autograd's momentum is the batch's share; -1: stand still */
    mn_batch_norm_opt opt = {.training = l->training, .momentum = move, .eps = o->epsilon, .biased_running = true};
    mn__layer *next = mn__only_reader(l), *sum = next && mn__makes_sum(next) == l ? next : NULL;
    mn_tensor *more = sum ? l->model->layer[sum->in[l->model->layer[sum->in[0]] == l]]->out : NULL;
    if (l->training && !more) return mn__batch_norm_pending(in[0], w[0].t, w[1].t, w[2].t, w[3].t, mn__makes_relu(l), opt);
    return mn__batch_norm_add(in[0], w[0].t, w[1].t, w[2].t, w[3].t, more, mn__makes_relu(sum ? sum : l), opt);
}

const mn__layer_class mn__class_batch_normalization = {.name = "BatchNormalization",
                                                       .stem = "batch_normalization",
                                                       .min_inputs = 1,
                                                       .max_inputs = 1,
                                                       .elementwise = true,
                                                       .opt_bytes = sizeof(mn_batch_normalization_layer),
                                                       .fields = fields,
                                                       .build = build,
                                                       .forward = forward};

mn_sym mn_layer_batch_normalization(mn_model *m, mn_sym x, mn_batch_normalization_layer opt) {
    return mn__layer_add(m, &mn__class_batch_normalization, &x, 1, &opt);
}
