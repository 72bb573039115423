/* reshape: the same numbers under another shape. */
#include "autograd/internal.h"

static mn_status shape(mn_node *n) {
    mn_shape s = *(const mn_shape *)n->opt;
    int64_t known = 1, count = n->in[0]->count;
    int free_dim = -1;
    for (int i = 0; i < s.ndim; i++) {
        if (s.dim[i] >= 0) known *= s.dim[i];
        else if (free_dim < 0) free_dim = i;
        else return mn__op_fail(n, MN_ERR_SHAPE, "two dimensions are -1; at most one can be found out");
    }
    if (free_dim >= 0) s.dim[free_dim] = known > 0 ? count / known : 0;
    if (mn_shape_count(s) != count) {
        char a[64], b[64];
        return mn__op_fail(n, MN_ERR_SHAPE, "%s has %lld elements, which do not make %s",
                           mn_shape_text(n->in[0]->shape, a, sizeof a), (long long)count,
                           mn_shape_text(*(const mn_shape *)n->opt, b, sizeof b));
    }
    return mn__out(n, s);
}

static mn_tensor *example(mn_context *c, int k) {
    if (k > 0) return NULL;
    return mn_reshape(mn__example_input(c, 0, MN_SHAPE(2, 3, 4), -1, 1), MN_SHAPE(4, -1));
}

const mn_op mn__op_reshape = {.name = "reshape", .inputs = 1, .view = true, .shape = shape, .example = example};

mn_tensor *mn_reshape(mn_tensor *x, mn_shape s) { return mn__apply(MN_OP_reshape, &x, 1, &s, sizeof s); }

mn_tensor *mn_flatten(mn_tensor *x) {
    if (!x) return NULL;
    return mn_reshape(x, x->shape.ndim ? MN_SHAPE(x->shape.dim[0], -1) : MN_SHAPE(1, 1));
}
