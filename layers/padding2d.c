/* Padding2D: rows and columns of one value around (C,H,W). Zeros are ZeroPadding2D; a very low value pads a max-pooling. */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_padding2d_layer, SIDES, padding, "padding", 0, 0, 65536),
                                   MN__FIELD(mn_padding2d_layer, REAL, value, "value", 0, -3e38, 3e38),
                                   {0}};

static mn_status build(mn__layer *l) {
    const int *p = ((const mn_padding2d_layer *)l->opt)->padding;
    if (mn__want_image(l)) return MN_ERR_SHAPE;
    l->shape = mn__in_shape(l, 0);
    l->shape.dim[1] += p[0] + p[1];
    l->shape.dim[2] += p[2] + p[3];
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_padding2d_layer *o = l->opt;
    const int *p = o->padding;
    return mn_pad2d(in[0], (mn_pad2d_opt){.padding = {p[0], p[1], p[2], p[3]}, .value = o->value});
}

const mn__layer_class mn__class_padding2d = {.name = "Padding2D",
                                             .stem = "padding2d",
                                             .min_inputs = 1,
                                             .max_inputs = 1,
                                             .opt_bytes = sizeof(mn_padding2d_layer),
                                             .fields = fields,
                                             .build = build,
                                             .forward = forward};

mn_sym mn_layer_padding2d(mn_model *m, mn_sym x, mn_padding2d_layer opt) {
    return mn__layer_add(m, &mn__class_padding2d, &x, 1, &opt);
}
