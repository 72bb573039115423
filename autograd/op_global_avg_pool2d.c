/* global_avg_pool2d: (N,C,H,W) -> (N,C), the mean of every plane (Lin, Chen, Yan 2013, "Network in network"). */
#include "autograd/internal.h"

static mn_status shape(mn_node *n) {
    mn_shape x = n->in[0]->shape;
    char text[64];
    if (x.ndim != 4 || x.dim[2] < 1 || x.dim[3] < 1)
        return mn__op_fail(n, MN_ERR_SHAPE, "input is %s, wanted (N,C,H,W) with H and W 1 or more",
                           mn_shape_text(x, text, sizeof text));
    return mn__out(n, MN_SHAPE(x.dim[0], x.dim[1]));
}

static mn_tensor *example(mn_context *c, int k) {
    if (k > 1) return NULL;
    return mn_global_avg_pool2d(mn__example_input(c, 0, k ? MN_SHAPE(1, 2, 1, 5) : MN_SHAPE(2, 3, 4, 3), -1, 1));
}

const mn_op mn__op_global_avg_pool2d = {.name = "global_avg_pool2d", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_global_avg_pool2d(mn_tensor *x) { return mn__apply(MN_OP_global_avg_pool2d, &x, 1, NULL, 0); }
