/* pad2d: a border of zeros, or of `value`, around the last two dimensions. */
#include "autograd/internal.h"

static mn_status shape(mn_node *n) {
    const mn_pad2d_opt *o = n->opt;
    mn_shape s = n->in[0]->shape;
    char text[64];
    if (s.ndim < 2)
        return mn__op_fail(n, MN_ERR_SHAPE, "the input is %s; wanted (...,H,W)", mn_shape_text(s, text, sizeof text));
    for (int i = 0; i < 4; i++)
        if (o->padding[i] < 0)
            return mn__op_fail(n, MN_ERR_ARG, "the padding is {%d,%d,%d,%d} (top, bottom, left, right); wanted numbers from "
                               "0; hint: mn_slice cuts a border off", o->padding[0], o->padding[1], o->padding[2],
                               o->padding[3]);
    s.dim[s.ndim - 2] += (int64_t)o->padding[0] + o->padding[1];
    s.dim[s.ndim - 1] += (int64_t)o->padding[2] + o->padding[3];
    return mn__out(n, s);
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_pad2d_opt cases[] = {{{1, 2, 3, 0}, 0}, {{0, 0, 0, 0}, 0}, {{1, 1, 1, 1}, 0.5}};
    static const mn_shape shapes[] = {{4, {2, 1, 2, 3}}, {2, {2, 3}}, {3, {2, 1, 1}}};
    return k < 3 ? mn_pad2d(mn__example_input(c, 0, shapes[k], -1, 1), cases[k]) : NULL;
}

const mn_op mn__op_pad2d = {.name = "pad2d", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_pad2d(mn_tensor *x, mn_pad2d_opt opt) { return mn__apply(MN_OP_pad2d, &x, 1, &opt, sizeof opt); }
