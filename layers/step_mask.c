/* StepMask: which steps of a sequence are there. (T,...) to (T): 1 where a step has any number but 0, else 0. It is what LSTM
 * and ConvLSTM2D read as their mask: Keras's Masking with mask_value 0, as a layer that can be seen. Clips that are shorter
 * than T frames are filled up with zeros after normalisation (mn_preprocess.steps), so they mask themselves. Not
 * differentiated. */
#include "layers/internal.h"

static mn_status build(mn__layer *l) {
    mn_shape s = mn__in_shape(l, 0);
    if (s.ndim < 2)
        return mn__layer_fail(l, MN_ERR_SHAPE,
                              "the input has one dimension; wanted a sequence (steps,...); hint: a Reshape before it");
    if (l->each_step) return mn__layer_fail(l, MN_ERR_ARG, "it looks at all steps; it cannot be applied to each by itself");
    l->shape = MN_SHAPE(s.dim[0]);
    return MN_OK;
}

/* min(1, 1e30 sum |x|) */
static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_tensor *x = in[0];
    int64_t n = x->shape.dim[0], steps = x->shape.dim[1];
    (void)l;
    mn_tensor *size =
        mn_sum_dim(mn_reshape(mn_abs(in[0]), MN_SHAPE(n, steps, x->count / (n * steps))), (mn_reduce_opt){.dim = 2});
    return mn_clamp(mn_scale(size, 1e30), 0, 1);
}

const mn__layer_class mn__class_step_mask = {.name = "StepMask",
                                             .stem = "step_mask",
                                             .min_inputs = 1,
                                             .max_inputs = 1,
                                             .opt_bytes = sizeof(mn_plain_layer),
                                             .build = build,
                                             .forward = forward};

mn_sym mn_layer_step_mask(mn_model *m, mn_sym x, mn_plain_layer opt) {
    return mn__layer_add(m, &mn__class_step_mask, &x, 1, &opt);
}
