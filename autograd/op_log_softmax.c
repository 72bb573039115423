/* log_softmax: y[k] = x[k] - log sum_j exp(x[j]) over the last dimension. */
#include "autograd/internal.h"

static mn_status shape(mn_node *n) {
    if (n->in[0]->shape.ndim == 0)
        return mn__op_fail(n, MN_ERR_SHAPE, "the input is a single number, wanted at least one dimension of classes");
    return mn__out(n, n->in[0]->shape);
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_shape shapes[] = {{1, {5}}, {2, {3, 4}}, {3, {2, 2, 3}}, {2, {3, 1}}};
    return k < 4 ? mn_log_softmax(mn__example_input(c, k, shapes[k], -2, 2)) : NULL;
}

const mn_op mn__op_log_softmax = {.name = "log_softmax", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_log_softmax(mn_tensor *x) { return mn__apply(MN_OP_log_softmax, &x, 1, NULL, 0); }
