/* matmul: y = op(a) op(b), op being the identity or the transpose. */
#include "autograd/internal.h"

static mn_status shape(mn_node *n) {
    const mn_matmul_opt *o = n->opt;
    mn_shape a = n->in[0]->shape, b = n->in[1]->shape;
    char ta[64], tb[64];
    mn_shape_text(a, ta, sizeof ta), mn_shape_text(b, tb, sizeof tb);
    if (a.ndim != 2 || b.ndim != 2)
        return mn__op_fail(n, MN_ERR_SHAPE, "the inputs are %s and %s, wanted two matrices", ta, tb);
    int64_t ka = a.dim[!o->transpose_a], kb = b.dim[o->transpose_b];
    if (ka != kb)
        return mn__op_fail(n, MN_ERR_SHAPE, "%s%s times %s%s: the inner sizes %lld and %lld differ; hint: transpose_a "
                           "or transpose_b", ta, o->transpose_a ? " transposed" : "", tb,
                           o->transpose_b ? " transposed" : "", (long long)ka, (long long)kb);
    return mn__out(n, MN_SHAPE(a.dim[o->transpose_a], b.dim[!o->transpose_b]));
}

static mn_tensor *example(mn_context *c, int k) {
    if (k > 4) return NULL;
    mn_matmul_opt o = {k & 1, k >> 1 & 1};
    if (k == 4) { /* the same matrix twice */
        mn_tensor *x = mn__example_input(c, 2, MN_SHAPE(3, 3), -1, 1);
        return mn_matmul(x, x, (mn_matmul_opt){.transpose_b = true});
    }
    mn_tensor *a = mn__example_input(c, 0, o.transpose_a ? MN_SHAPE(5, 3) : MN_SHAPE(3, 5), -1, 1);
    mn_tensor *b = mn__example_input(c, 1, o.transpose_b ? MN_SHAPE(4, 5) : MN_SHAPE(5, 4), -1, 1);
    return mn_matmul(a, b, o);
}

const mn_op mn__op_matmul = {.name = "matmul", .inputs = 2, .shape = shape, .example = example};

mn_tensor *mn_matmul(mn_tensor *a, mn_tensor *b, mn_matmul_opt opt) {
    return mn__apply(MN_OP_matmul, (mn_tensor *[]){a, b}, 2, &opt, sizeof opt);
}
