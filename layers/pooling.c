#include "layers/pooling.h"

const mn__field mn__pooling_fields[] = {
#define F(...) MN__FIELD(mn_pooling2d_layer, __VA_ARGS__)
    F(PAIR, pool_size, "pool_size", 2, 1, 1024),
    F(PAIR, strides, "strides", 0, 0, 1024),
    F(PADDING, padding, "padding", 0, 0, 0),
#undef F
    {0}};

mn_status mn__pooling_build(mn__layer *l) {
    mn_pooling2d_layer *o = l->opt;
    for (int i = 0; i < 2; i++)
        if (o->strides[i] == 0) o->strides[i] = o->pool_size[i];
    int64_t p, q;
    if (mn__want_image(l) || mn__window_size(l, o->pool_size, o->strides, (const int[]){1, 1}, o->padding, &p, &q))
        return MN_ERR_SHAPE;
    l->shape = MN_SHAPE(mn__in_shape(l, 0).dim[0], p, q);
    return MN_OK;
}

mn_pool2d_opt mn__pooling_opt(const mn__layer *l) {
    const mn_pooling2d_layer *o = l->opt;
    return (mn_pool2d_opt){.kernel = {o->pool_size[0], o->pool_size[1]},
                           .stride = {o->strides[0], o->strides[1]},
                           .padding = {l->pad[0], l->pad[1], l->pad[2], l->pad[3]}};
}
