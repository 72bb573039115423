/* InputLayer: where a model is fed. Its options are a name and the shape of one sample. */
#include "layers/internal.h"

typedef struct input_layer {
    const char *name;
    mn_shape shape;
} input_layer;

static const mn__field fields[] = {MN__FIELD(input_layer, SHAPE, shape, "shape", 0, 0, 0), {0}};

static mn_status build(mn__layer *l) {
    l->shape = ((const input_layer *)l->opt)->shape;
    if (l->shape.ndim >= 1 && l->shape.ndim < MN_MAX_DIMS) return MN_OK;
    return mn__layer_fail(l, MN_ERR_SHAPE, "the shape of a sample has %d dimensions; wanted 1 to %d, such as (C,H,W)",
                          l->shape.ndim, MN_MAX_DIMS - 1);
}

/* A forward pass puts the caller's tensor here. */
static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    (void)in;
    return l->out;
}

const mn__layer_class mn__class_input = {.name = "InputLayer",
                                         .stem = "input",
                                         .opt_bytes = sizeof(input_layer),
                                         .view = true,
                                         .fields = fields,
                                         .build = build,
                                         .forward = forward};

mn_sym mn_model_input(mn_model *m, const char *name, mn_shape shape) {
    input_layer opt = {name, shape};
    mn_sym x = mn__layer_add(m, &mn__class_input, NULL, 0, &opt);
    if (x < 0) return x;
    mn_sym *list = mn__host(m->ctx, MN_MODEL, ((size_t)m->n_inputs + 1) * sizeof *list);
    if (!list) return mn__model_fail(m, MN_ERR_MEMORY, "out of host memory"), -1;
    for (int i = 0; i < m->n_inputs; i++) list[i] = m->input[i];
    list[m->n_inputs++] = x;
    m->input = list;
    return x;
}
