/* cross_entropy: the mean of -log softmax(x) at the target, with labels or soft targets, label smoothing,
 * class weights, and samples without a label. */
#include "autograd/cross_entropy.h"

static mn_status check_target(mn_node *n) {
    mn_shape x = n->in[0]->shape;
    const mn_tensor *t = n->in[1];
    char tx[64], tt[64];
    mn_shape_text(x, tx, sizeof tx), mn_shape_text(t->shape, tt, sizeof tt);
    if (t->dtype == MN_I32 && !mn_shape_equal(t->shape, MN_SHAPE(x.dim[0])))
        return mn__op_fail(n, MN_ERR_SHAPE, "the logits are %s and the labels %s; wanted one label a row, (%lld)", tx, tt,
                           (long long)x.dim[0]);
    if (t->dtype != MN_I32 && !mn_shape_equal(t->shape, x))
        return mn__op_fail(n, MN_ERR_SHAPE, "the logits are %s and the target probabilities %s; wanted the same shape; "
                           "hint: class numbers go into an mn_labels tensor", tx, tt);
    return MN_OK;
}

static mn_status shape(mn_node *n) {
    const mn_cross_entropy_opt *o = n->opt;
    mn_shape x = n->in[0]->shape;
    char text[64];
    if (x.ndim != 2 || x.dim[1] < 1)
        return mn__op_fail(n, MN_ERR_SHAPE, "the logits are %s; wanted (N,K): a row of K classes for each sample",
                           mn_shape_text(x, text, sizeof text));
    if (check_target(n)) return n->ctx->error.status;
    if (n->in[2] && !mn_shape_equal(n->in[2]->shape, MN_SHAPE(x.dim[1])))
        return mn__op_fail(n, MN_ERR_SHAPE, "the class weights are %s; wanted (%lld), one number a class",
                           mn_shape_text(n->in[2]->shape, text, sizeof text), (long long)x.dim[1]);
    if (!(o->label_smoothing >= 0 && o->label_smoothing <= 1))
        return mn__op_fail(n, MN_ERR_ARG, "label_smoothing is %g; wanted 0..1", o->label_smoothing);
    /* a row's loss and weight in double; the exponentials too when they are not kept */
    n->workspace_bytes = (size_t)x.dim[0] * 2 * sizeof(double);
    if (!n->recording) n->workspace_bytes += (size_t)n->in[0]->count * mn_dtype_size(n->ctx->dtype);
    /* CPU: softmax(x), and the weight of all samples. CUDA: dx before what the second multiplies it with. */
    if (mn__save(n, 0, n->ctx->dtype, x)) return n->ctx->error.status;
    if (mn__save(n, 1, n->ctx->dtype, (mn_shape){0})) return n->ctx->error.status;
    return mn__out(n, (mn_shape){0});
}

/* Cases 0..3: labels, one of them missing; 4..7: probabilities, one row missing. Odd ones: class weights. */
static mn_tensor *example(mn_context *c, int k) {
    if (k > 7) return NULL;
    static const int32_t label[4] = {2, 0, -1, 1};
    static const double soft[12] = {0.2, 0.3, 0.5, 1, 0, 0, 0, 0, 0, 0.1, 0.8, 0.2};
    mn_tensor *x = mn__example_input(c, 0, MN_SHAPE(4, 3), -2, 2), *w = NULL;
    mn_tensor *t = mn_tensor_create(c, MN_MODEL, k < 4 ? MN_I32 : MN_F64, k < 4 ? MN_SHAPE(4) : MN_SHAPE(4, 3));
    if (!t || mn_set(t, k < 4 ? (const void *)label : soft)) return NULL;
    if (k & 1) {
        if (!(w = mn__example_input(c, 1, MN_SHAPE(3), 0.2, 2))) return NULL;
        w->requires_grad = false;
    }
    return mn_cross_entropy(x, t, w, (mn_cross_entropy_opt){.label_smoothing = k & 2 ? 0.1 : 0});
}

const mn_op mn__op_cross_entropy = {
    .name = "cross_entropy", .inputs = 3, .optional = 4, .integers = 2, .constant = 6, .shape = shape, .example = example};

mn_tensor *mn_cross_entropy(mn_tensor *x, mn_tensor *target, mn_tensor *class_weight, mn_cross_entropy_opt opt) {
    return mn__cross_entropy(x, target, class_weight, (mn__cross_entropy_opt){.of = opt});
}
mn_tensor *mn__cross_entropy(mn_tensor *x, mn_tensor *target, mn_tensor *class_weight, mn__cross_entropy_opt opt) {
    return mn__apply(MN_OP_cross_entropy, (mn_tensor *[]){x, target, class_weight}, 3, &opt, sizeof opt);
}
