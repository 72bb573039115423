/* mean_dim: y[o,i] = 1/M sum_m x[o,m,i] over one dimension of M elements. */
#include "autograd/dims.h"

static mn_status shape(mn_node *n) {
    const mn_reduce_opt *o = n->opt;
    int dim = mn__dim(n->in[0]->shape, o->dim);
    char text[64];
    if (dim >= 0 && n->in[0]->shape.dim[dim] == 0)
        return mn__op_fail(n, MN_ERR_SHAPE, "dimension %d of %s has no elements, so there is no mean", o->dim,
                           mn_shape_text(n->in[0]->shape, text, sizeof text));
    return mn__reduce_shape(n);
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_reduce_opt opt[] = {{0, true}, {1, false}, {-1, false}};
    return k < 3 ? mn_mean_dim(mn__example_input(c, 0, MN_SHAPE(2, 3, 4), -1, 1), opt[k]) : NULL;
}

const mn_op mn__op_mean_dim = {.name = "mean_dim", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_mean_dim(mn_tensor *x, mn_reduce_opt opt) { return mn__apply(MN_OP_mean_dim, &x, 1, &opt, sizeof opt); }
