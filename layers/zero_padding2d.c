/* ZeroPadding2D: rows and columns of zeros around (C,H,W). */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_zero_padding2d_layer, SIDES, padding, "padding", 0, 0, 65536), {0}};

static mn_status build(mn__layer *l) {
    const int *p = ((const mn_zero_padding2d_layer *)l->opt)->padding;
    if (mn__want_image(l)) return MN_ERR_SHAPE;
    l->shape = mn__in_shape(l, 0);
    l->shape.dim[1] += p[0] + p[1];
    l->shape.dim[2] += p[2] + p[3];
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const int *p = ((const mn_zero_padding2d_layer *)l->opt)->padding;
    return mn_pad2d(in[0], (mn_pad2d_opt){.padding = {p[0], p[1], p[2], p[3]}});
}

const mn__layer_class mn__class_zero_padding2d = {.name = "ZeroPadding2D",
                                                  .stem = "zero_padding2d",
                                                  .min_inputs = 1,
                                                  .max_inputs = 1,
                                                  .opt_bytes = sizeof(mn_zero_padding2d_layer),
                                                  .fields = fields,
                                                  .build = build,
                                                  .forward = forward};

mn_sym mn_layer_zero_padding2d(mn_model *m, mn_sym x, mn_zero_padding2d_layer opt) {
    return mn__layer_add(m, &mn__class_zero_padding2d, &x, 1, &opt);
}
