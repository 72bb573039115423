/* sum_dim: y[o,i] = sum_m x[o,m,i] over one dimension. */
#include "autograd/dims.h"

mn_status mn__reduce_shape(mn_node *n) {
    const mn_reduce_opt *o = n->opt;
    mn_shape x = n->in[0]->shape, y = {0};
    int dim = mn__dim(x, o->dim);
    if (dim < 0) {
        char text[64];
        return mn__op_fail(n, MN_ERR_ARG, "there is no dimension %d in %s; wanted %d..%d", o->dim,
                           mn_shape_text(x, text, sizeof text), -x.ndim, x.ndim - 1);
    }
    for (int i = 0; i < x.ndim; i++) {
        if (i != dim) y.dim[y.ndim++] = x.dim[i];
        else if (o->keep_dim) y.dim[y.ndim++] = 1;
    }
    return mn__out(n, y);
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_reduce_opt opt[] = {{0, false}, {1, true}, {-1, false}};
    return k < 3 ? mn_sum_dim(mn__example_input(c, 0, MN_SHAPE(2, 3, 4), -1, 1), opt[k]) : NULL;
}

const mn_op mn__op_sum_dim = {.name = "sum_dim", .inputs = 1, .shape = mn__reduce_shape, .example = example};

mn_tensor *mn_sum_dim(mn_tensor *x, mn_reduce_opt opt) { return mn__apply(MN_OP_sum_dim, &x, 1, &opt, sizeof opt); }
