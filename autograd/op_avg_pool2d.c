/* avg_pool2d: the mean of every window. The gradient needs only the geometry: nothing is saved. */
#include "autograd/window.h"

static mn_tensor *example(mn_context *c, int k) {
    static const mn_pool2d_opt opts[] = {
        {.kernel = {2, 2}},
        {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}},
        {.kernel = {3, 2}, .stride = {1, 3}, .padding = {0, 1, 1, 0}, .count_padding = true},
    };
    if (k >= (int)(sizeof opts / sizeof *opts)) return NULL;
    mn_shape s = k == 2 ? MN_SHAPE(1, 2, 5, 7) : MN_SHAPE(2, 3, 6, 4);
    return mn_avg_pool2d(mn__example_input(c, 0, s, -1, 1), opts[k]);
}

const mn_op mn__op_avg_pool2d = {.name = "avg_pool2d", .inputs = 1, .shape = mn__pool2d_shape, .example = example};

mn_tensor *mn_avg_pool2d(mn_tensor *x, mn_pool2d_opt opt) {
    opt = mn__pool2d_defaults(opt);
    return mn__apply(MN_OP_avg_pool2d, &x, 1, &opt, sizeof opt);
}
