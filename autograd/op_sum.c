/* sum: all elements added up. */
#include "autograd/dims.h"

static mn_status shape(mn_node *n) {
    n->workspace_bytes = mn__sum_workspace(n->in[0]->count);
    return mn__out(n, (mn_shape){0});
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_shape shapes[] = {{1, {1}}, {3, {2, 3, 4}}, {0, {0}}};
    return k < 3 ? mn_sum(mn__example_input(c, k, shapes[k], -1, 1)) : NULL;
}

const mn_op mn__op_sum = {.name = "sum", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_sum(mn_tensor *x) { return mn__apply(MN_OP_sum, &x, 1, NULL, 0); }
