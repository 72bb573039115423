/* mean: all elements added up, divided by their number. */
#include "autograd/dims.h"

static mn_status shape(mn_node *n) {
    char text[64];
    if (n->in[0]->count == 0)
        return mn__op_fail(n, MN_ERR_SHAPE, "the input %s has no elements, so there is no mean; hint: an empty batch?",
                           mn_shape_text(n->in[0]->shape, text, sizeof text));
    n->workspace_bytes = mn__sum_workspace(n->in[0]->count);
    return mn__out(n, (mn_shape){0});
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_shape shapes[] = {{1, {1}}, {3, {2, 3, 4}}, {0, {0}}};
    return k < 3 ? mn_mean(mn__example_input(c, k, shapes[k], -1, 1)) : NULL;
}

const mn_op mn__op_mean = {.name = "mean", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_mean(mn_tensor *x) { return mn__apply(MN_OP_mean, &x, 1, NULL, 0); }
