/* dropout: y = x * mask / (1-p). */
#include "autograd/internal.h"

static mn_status shape(mn_node *n) {
    const mn_dropout_opt *o = n->opt;
    if (!(o->p >= 0 && o->p < 1)) return mn__op_fail(n, MN_ERR_ARG, "p is %g; wanted 0 <= p < 1", o->p);
    return mn__out(n, n->in[0]->shape);
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_shape shapes[] = {{1, {1}}, {1, {11}}, {4, {2, 3, 2, 2}}};
    if (k > 2) return NULL;
    return mn_dropout(mn__example_input(c, k, shapes[k], -1, 1), (mn_dropout_opt){.p = 0.2 * (k + 1), .training = true});
}

const mn_op mn__op_dropout = {.name = "dropout", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_dropout(mn_tensor *x, mn_dropout_opt opt) {
    bool identity = opt.p == 0 || (!opt.training && opt.p > 0 && opt.p < 1);
    if (identity && x && !x->ctx->error.status) return x;
    return mn__apply(MN_OP_dropout, &x, 1, &opt, sizeof opt);
}
