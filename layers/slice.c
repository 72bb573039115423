/* Slice: a part of one dimension, from `start` on, `length` long: some channels, some rows, one step of a sequence. */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_slice_layer, AXIS, axis, "axis", 1, 1, MN_MAX_DIMS - 1),
                                   MN__FIELD(mn_slice_layer, INT, start, "start", 0, 0, MN__MAX_SAMPLE),
                                   MN__FIELD(mn_slice_layer, INT, length, "length", 0, 1, MN__MAX_SAMPLE),
                                   {0}};

static mn_status build(mn__layer *l) {
    const mn_slice_layer *o = l->opt;
    char text[64];
    l->shape = mn__in_shape(l, 0);
    if (o->axis > l->shape.ndim || (int64_t)o->start + o->length > l->shape.dim[o->axis - 1])
        return mn__layer_fail(l, MN_ERR_SHAPE, "%d numbers from %d on along axis %d do not lie in (N,) + %s", o->length, o->start,
                              o->axis, mn_shape_text(l->shape, text, sizeof text));
    l->shape.dim[o->axis - 1] = o->length;
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_slice_layer *o = l->opt;
    return mn_slice(in[0], o->axis, o->start, o->length);
}

const mn__layer_class mn__class_slice = {.name = "Slice",
                                         .stem = "slice",
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .opt_bytes = sizeof(mn_slice_layer),
                                         .fields = fields,
                                         .build = build,
                                         .forward = forward};

mn_sym mn_layer_slice(mn_model *m, mn_sym x, mn_slice_layer opt) { return mn__layer_add(m, &mn__class_slice, &x, 1, &opt); }
