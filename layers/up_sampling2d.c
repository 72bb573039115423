/* UpSampling2D: every number becomes a block of size[0] x size[1] copies (nearest neighbour). */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_up_sampling2d_layer, PAIR, size, "size", 2, 1, 256), {0}};

static mn_status build(mn__layer *l) {
    const mn_up_sampling2d_layer *o = l->opt;
    if (mn__want_image(l)) return MN_ERR_SHAPE;
    l->shape = mn__in_shape(l, 0);
    l->shape.dim[1] *= o->size[0];
    l->shape.dim[2] *= o->size[1];
    return MN_OK;
}

/* (N*C*H,1,W,1) times ones (1,size,1,size): the product stretches, and its gradient sums over the copies. */
static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_up_sampling2d_layer *o = l->opt;
    mn_shape s = in[0]->shape;
    mn_tensor *ones = mn_tensor_create(in[0]->ctx, MN_STEP, in[0]->dtype, MN_SHAPE(1, o->size[0], 1, o->size[1]));
    if (!ones || mn_fill(ones, 1)) return NULL;
    mn_tensor *y = mn_mul(mn_reshape(in[0], MN_SHAPE(s.dim[0] * s.dim[1] * s.dim[2], 1, s.dim[3], 1)), ones);
    return mn_reshape(y, MN_SHAPE(s.dim[0], s.dim[1], s.dim[2] * o->size[0], s.dim[3] * o->size[1]));
}

const mn__layer_class mn__class_up_sampling2d = {.name = "UpSampling2D",
                                                 .stem = "up_sampling2d",
                                                 .min_inputs = 1,
                                                 .max_inputs = 1,
                                                 .opt_bytes = sizeof(mn_up_sampling2d_layer),
                                                 .fields = fields,
                                                 .build = build,
                                                 .forward = forward};

mn_sym mn_layer_up_sampling2d(mn_model *m, mn_sym x, mn_up_sampling2d_layer opt) {
    return mn__layer_add(m, &mn__class_up_sampling2d, &x, 1, &opt);
}
