/* Clip: y = min(max(x, min_value), max_value). With 0 and 6 it is ReLU6 (Howard et al. 2017). */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_clip_layer, REAL, min_value, "min_value", 0, -1e30, 1e30),
                                   MN__FIELD(mn_clip_layer, REAL, max_value, "max_value", 6, -1e30, 1e30),
                                   {0}};

static mn_status build(mn__layer *l) {
    const mn_clip_layer *o = l->opt;
    if (!(o->min_value < o->max_value))
        return mn__layer_fail(l, MN_ERR_ARG, "min_value is %g and max_value %g; wanted a smaller and a larger number",
                              o->min_value, o->max_value);
    l->shape = mn__in_shape(l, 0);
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_clip_layer *o = l->opt;
    return mn_clamp(in[0], o->min_value, o->max_value);
}

const mn__layer_class mn__class_clip = {.name = "Clip",
                                        .stem = "clip",
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .elementwise = true,
                                        .opt_bytes = sizeof(mn_clip_layer),
                                        .fields = fields,
                                        .build = build,
                                        .forward = forward};

mn_sym mn_layer_clip(mn_model *m, mn_sym x, mn_clip_layer opt) { return mn__layer_add(m, &mn__class_clip, &x, 1, &opt); }
