/* bias_add: y[n,c,...] = x[n,c,...] + b[c]. */
#include "autograd/internal.h"

static mn_status shape(mn_node *n) {
    mn_shape x = n->in[0]->shape, b = n->in[1]->shape;
    char tx[64], tb[64];
    if (x.ndim < 2 || b.ndim != 1 || b.dim[0] != x.dim[1])
        return mn__op_fail(n, MN_ERR_SHAPE, "x is %s and the bias %s; wanted x (N,C,...) and the bias (C)",
                           mn_shape_text(x, tx, sizeof tx), mn_shape_text(b, tb, sizeof tb));
    return mn__out(n, x);
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_shape shapes[] = {{2, {4, 3}}, {4, {2, 3, 2, 2}}, {3, {1, 3, 5}}};
    if (k > 2) return NULL;
    return mn_bias_add(mn__example_input(c, 0, shapes[k], -1, 1), mn__example_input(c, 1, MN_SHAPE(3), -1, 1));
}

const mn_op mn__op_bias_add = {.name = "bias_add", .inputs = 2, .shape = shape, .example = example};

mn_tensor *mn_bias_add(mn_tensor *x, mn_tensor *b) {
    return mn__apply(MN_OP_bias_add, (mn_tensor *[]){x, b}, 2, NULL, 0);
}
