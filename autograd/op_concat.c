/* concat: several tensors one after the other along a dimension. */
#include "autograd/dims.h"

static mn_status shape(mn_node *n) {
    mn_shape y = n->in[0]->shape;
    int dim = mn__dim(y, *(const int *)n->opt);
    char a[64], b[64];
    if (dim < 0)
        return mn__op_fail(n, MN_ERR_ARG, "there is no dimension %d in %s; wanted %d..%d", *(const int *)n->opt,
                           mn_shape_text(y, a, sizeof a), -y.ndim, y.ndim - 1);
    for (int i = 1; i < n->n_in; i++) {
        mn_shape s = n->in[i]->shape;
        int64_t size = s.ndim == y.ndim ? s.dim[dim] : 0;
        s.dim[dim] = y.dim[dim]; /* equal in all the others? */
        if (!mn_shape_equal(s, y))
            return mn__op_fail(n, MN_ERR_SHAPE, "input 0 is %s and input %d is %s; wanted shapes that differ only in "
                               "dimension %d", mn_shape_text(n->in[0]->shape, a, sizeof a), i,
                               mn_shape_text(n->in[i]->shape, b, sizeof b), dim);
        y.dim[dim] += size;
    }
    return mn__out(n, y);
}

static mn_tensor *example(mn_context *c, int k) {
    if (k > 3) return NULL;
    mn_tensor *a = mn__example_input(c, 0, MN_SHAPE(2, 3, 2), -1, 1);
    if (k == 3) return mn_concat((mn_tensor *[]){a, a}, 2, -1); /* one tensor in both places */
    mn_shape s = MN_SHAPE(2, 3, 2);
    s.dim[k] = 1;
    mn_tensor *b = mn__example_input(c, 1, s, -1, 1), *d = mn__example_input(c, 2, MN_SHAPE(2, 3, 2), -1, 1);
    return mn_concat((mn_tensor *[]){a, b, d}, 3, k);
}

const mn_op mn__op_concat = {.name = "concat", .inputs = -1, .shape = shape, .example = example};

mn_tensor *mn_concat(mn_tensor **x, int n, int dim) { return mn__apply(MN_OP_concat, x, n, &dim, sizeof dim); }
