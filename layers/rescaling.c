/* Rescaling: y = x*scale + offset, the same for all numbers. */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_rescaling_layer, REAL, scale, "scale", 1, -1e30, 1e30),
                                   MN__FIELD(mn_rescaling_layer, REAL, offset, "offset", 0, -1e30, 1e30),
                                   {0}};

static mn_status build(mn__layer *l) {
    l->shape = mn__in_shape(l, 0);
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_rescaling_layer *o = l->opt;
    mn_tensor *y = mn_scale(in[0], o->scale);
    return o->offset != 0 ? mn_shift(y, o->offset) : y;
}

const mn__layer_class mn__class_rescaling = {.name = "Rescaling",
                                             .stem = "rescaling",
                                             .min_inputs = 1,
                                             .max_inputs = 1,
                                             .elementwise = true,
                                             .opt_bytes = sizeof(mn_rescaling_layer),
                                             .fields = fields,
                                             .build = build,
                                             .forward = forward};

mn_sym mn_layer_rescaling(mn_model *m, mn_sym x, mn_rescaling_layer opt) {
    return mn__layer_add(m, &mn__class_rescaling, &x, 1, &opt);
}
