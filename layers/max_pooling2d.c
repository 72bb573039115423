/* MaxPooling2D: the largest number of each window, channel by channel. */
#include "layers/internal.h"

static const mn__field fields[] = {
#define F(...) MN__FIELD(mn_pooling2d_layer, __VA_ARGS__)
    F(PAIR, pool_size, "pool_size", 2, 1, 1024),
    F(PAIR, strides, "strides", 0, 0, 1024),
    F(PADDING, padding, "padding", 0, 0, 0),
#undef F
    {0}};

static mn_status build(mn__layer *l) {
    mn_pooling2d_layer *o = l->opt;
    for (int i = 0; i < 2; i++)
        if (o->strides[i] == 0) o->strides[i] = o->pool_size[i];
    int64_t p, q;
    if (mn__want_image(l) || mn__window(l, o->pool_size, o->strides, (const int[]){1, 1}, o->padding, &p, &q))
        return MN_ERR_SHAPE;
    l->shape = MN_SHAPE(mn__in_shape(l, 0).dim[0], p, q);
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_pooling2d_layer *o = l->opt;
    return mn_max_pool2d(in[0], (mn_pool2d_opt){.kernel = {o->pool_size[0], o->pool_size[1]},
                                               .stride = {o->strides[0], o->strides[1]},
                                               .padding = {l->pad[0], l->pad[1], l->pad[2], l->pad[3]}});
}

const mn__layer_class mn__class_max_pooling2d = {
    .name = "MaxPooling2D", .stem = "max_pooling2d", .min_inputs = 1, .max_inputs = 1,
    .opt_bytes = sizeof(mn_pooling2d_layer), .fields = fields, .build = build, .forward = forward};

mn_sym mn_layer_max_pooling2d(mn_model *m, mn_sym x, mn_pooling2d_layer opt) {
    return mn__layer_add(m, &mn__class_max_pooling2d, &x, 1, &opt);
}
