/* max_pool2d: the largest element of every window. Saved for backward: where it was, r*S+s in the window, in 8
 * bits; windows of more than 256 elements save nothing and are searched again. */
#include "autograd/window.h"

mn_pool2d_opt mn__pool2d_defaults(mn_pool2d_opt opt) {
    for (int i = 0; i < 2; i++)
        if (opt.stride[i] == 0) opt.stride[i] = opt.kernel[i];
    return opt;
}

mn__window mn__pool2d_window(const mn_node *n) {
    const mn_pool2d_opt *o = n->opt;
    const int64_t *x = n->in[0]->shape.dim;
    return (mn__window){
        .N = x[0], .C = x[1], .H = x[2], .W = x[3], .K = x[1], .R = o->kernel[0], .S = o->kernel[1], .groups = 1,
        .P = mn__window_count(x[2], o->kernel[0], o->stride[0], 1, o->padding[0], o->padding[1]),
        .Q = mn__window_count(x[3], o->kernel[1], o->stride[1], 1, o->padding[2], o->padding[3]),
        .stride_h = o->stride[0], .stride_w = o->stride[1], .dilation_h = 1, .dilation_w = 1,
        .top = o->padding[0], .left = o->padding[2],
    };
}

mn_status mn__pool2d_shape(mn_node *n) {
    const mn_pool2d_opt *o = n->opt;
    mn_shape x = n->in[0]->shape;
    char text[64];
    mn_shape_text(x, text, sizeof text);
    if (x.ndim != 4) return mn__op_fail(n, MN_ERR_SHAPE, "input is %s, wanted (N,C,H,W)", text);
    if (o->kernel[0] < 1 || o->kernel[1] < 1)
        return mn__op_fail(n, MN_ERR_ARG, "kernel is {%d,%d}, wanted 1 or more", o->kernel[0], o->kernel[1]);
    if (o->stride[0] < 1 || o->stride[1] < 1)
        return mn__op_fail(n, MN_ERR_ARG, "stride is {%d,%d}, wanted 1 or more, or 0 for the window's size",
                           o->stride[0], o->stride[1]);
    for (int i = 0; i < 4; i++)
        if (o->padding[i] < 0 || o->padding[i] > o->kernel[i / 2] / 2)
            return mn__op_fail(n, MN_ERR_ARG, "padding is {%d,%d,%d,%d}, wanted 0 to half the window {%d,%d}: a window "
                               "must hold a part of the image", o->padding[0], o->padding[1], o->padding[2],
                               o->padding[3], o->kernel[0], o->kernel[1]);
    bool sane = x.dim[2] <= INT32_MAX && x.dim[3] <= INT32_MAX;
    mn__window g = sane ? mn__pool2d_window(n) : (mn__window){0};
    if (g.P < 1 || g.Q < 1)
        return mn__op_fail(n, MN_ERR_SHAPE, "the window (%d,%d) does not fit into input %s; hint: fewer poolings or a "
                           "larger image", o->kernel[0], o->kernel[1], text);
    return mn__out(n, MN_SHAPE(g.N, g.C, g.P, g.Q));
}

static mn_status shape(mn_node *n) {
    mn_status s = mn__pool2d_shape(n);
    const mn_pool2d_opt *o = n->opt;
    bool small = !s && (int64_t)o->kernel[0] * o->kernel[1] <= 256;
    return small ? mn__save(n, 0, MN_U8, n->out->shape) : s;
}

/* Elements at least 0.1 apart, in a shuffled order: no step of the gradient check changes which is largest. */
static mn_tensor *distinct_input(mn_context *c, mn_shape shape) {
    mn_tensor *x = mn__example_input(c, 0, shape, 0, 1);
    double v[256];
    if (!x || x->count > 256) return NULL;
    for (int64_t i = 0; i < x->count; i++) v[i] = 0.1 * (double)(i * 89 % x->count);
    return mn_set_f64(x, v) == MN_OK ? x : NULL;
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn_pool2d_opt opts[] = {
        {.kernel = {2, 2}},
        {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}}, /* overlapping windows */
        {.kernel = {3, 2}, .stride = {1, 3}, .padding = {0, 1, 1, 0}},
        {.kernel = {1, 2}, .stride = {3, 3}}, /* stride larger than the window */
    };
    if (k >= (int)(sizeof opts / sizeof *opts)) return NULL;
    return mn_max_pool2d(distinct_input(c, k == 2 ? MN_SHAPE(1, 2, 5, 7) : MN_SHAPE(2, 3, 6, 4)), opts[k]);
}

const mn_op mn__op_max_pool2d = {.name = "max_pool2d", .inputs = 1, .through = 1, .shape = shape, .example = example};

mn_tensor *mn_max_pool2d(mn_tensor *x, mn_pool2d_opt opt) {
    opt = mn__pool2d_defaults(opt);
    return mn__apply(MN_OP_max_pool2d, &x, 1, &opt, sizeof opt);
}
