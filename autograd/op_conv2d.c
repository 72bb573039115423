/* conv2d: y[n,k,p,q] = b[k] + sum_{c,r,s} x[n, c, p*stride-top+r*dilation, q*stride-left+s*dilation] w[k,c,r,s].
 * Nothing is saved: the backward pass needs x and w, which the tape keeps anyway. */
#include "autograd/ends_in_relu.h"
#include "autograd/window.h"

void mn_same_padding(int64_t size, int kernel, int stride, int dilation, int *before, int *after) {
    if (stride < 1) stride = 1;
    if (dilation < 1) dilation = 1;
    int64_t out = (size + stride - 1) / stride;
    int64_t total = (out - 1) * stride + (int64_t)dilation * (kernel - 1) + 1 - size;
    if (total < 0) total = 0;
    *before = (int)(total / 2);
    *after = (int)(total - total / 2); /* TensorFlow puts the odd one at the end */
}

/* The options that no input could satisfy. */
static mn_status check_options(mn_node *n) {
    const mn_conv2d_opt *o = n->opt;
    if (o->stride[0] < 1 || o->stride[1] < 1)
        return mn__op_fail(n, MN_ERR_ARG, "stride is {%d,%d}, wanted 1 or more", o->stride[0], o->stride[1]);
    if (o->dilation[0] < 1 || o->dilation[1] < 1)
        return mn__op_fail(n, MN_ERR_ARG, "dilation is {%d,%d}, wanted 1 or more", o->dilation[0], o->dilation[1]);
    if (o->groups < 1) return mn__op_fail(n, MN_ERR_ARG, "groups is %d, wanted 1 or more", o->groups);
    for (int i = 0; i < 4; i++)
        if (o->padding[i] < 0)
            return mn__op_fail(n, MN_ERR_ARG, "padding is {%d,%d,%d,%d}, wanted 0 or more; hint: mn_slice crops",
                               o->padding[0], o->padding[1], o->padding[2], o->padding[3]);
    return MN_OK;
}

static mn_status check_channels(mn_node *n) {
    const mn_conv2d_opt *o = n->opt;
    mn_shape x = n->in[0]->shape, w = n->in[1]->shape;
    char tx[64], tw[64], tb[64];
    mn_shape_text(x, tx, sizeof tx), mn_shape_text(w, tw, sizeof tw);
    if (x.ndim != 4 || w.ndim != 4)
        return mn__op_fail(n, MN_ERR_SHAPE, "input is %s and weight %s, wanted (N,C,H,W) and (K,C/groups,R,S)", tx, tw);
    long long c = x.dim[1], k = w.dim[0];
    if (o->groups == 1 && c != w.dim[1])
        return mn__op_fail(n, MN_ERR_SHAPE, "input has %lld channels %s, weight wants %lld %s; hint: %s%lld", c, tx,
                           (long long)w.dim[1], tw, w.dim[1] == 1 ? "convert to grey or set in_channels=" :
                           "set in_channels=", c);
    if (c % o->groups || k % o->groups || c / o->groups != w.dim[1])
        return mn__op_fail(n, MN_ERR_SHAPE, "%d groups of input %s want a weight (K,%lld,R,S) with K a multiple of "
                           "groups, got %s; hint: groups must divide the channels", o->groups, tx, c / o->groups, tw);
    if (!n->in[2] || (n->in[2]->shape.ndim == 1 && n->in[2]->count == k)) return MN_OK;
    return mn__op_fail(n, MN_ERR_SHAPE, "bias is %s, wanted (%lld): one number for each output channel of the weight %s",
                       mn_shape_text(n->in[2]->shape, tb, sizeof tb), k, tw);
}

mn__window mn__conv2d_window(const mn_node *n) {
    const mn_conv2d_opt *o = n->opt;
    const int64_t *x = n->in[0]->shape.dim, *w = n->in[1]->shape.dim;
    return (mn__window){
        .N = x[0], .C = x[1], .H = x[2], .W = x[3], .K = w[0], .R = w[2], .S = w[3], .groups = o->groups,
        .P = mn__window_count(x[2], w[2], o->stride[0], o->dilation[0], o->padding[0], o->padding[1]),
        .Q = mn__window_count(x[3], w[3], o->stride[1], o->dilation[1], o->padding[2], o->padding[3]),
        .stride_h = o->stride[0], .stride_w = o->stride[1], .dilation_h = o->dilation[0], .dilation_w = o->dilation[1],
        .top = o->padding[0], .left = o->padding[2],
    };
}

static mn_status shape(mn_node *n) {
    mn_status s = check_options(n);
    if (!s) s = check_channels(n);
    if (s) return s;
    mn_shape x = n->in[0]->shape, w = n->in[1]->shape;
    bool sane = x.dim[2] <= INT32_MAX && x.dim[3] <= INT32_MAX && w.dim[2] <= INT32_MAX && w.dim[3] <= INT32_MAX;
    mn__window g = sane ? mn__conv2d_window(n) : (mn__window){0};
    const mn_conv2d_opt *o = n->opt;
    char tx[64], tw[64];
    if (g.P < 1 || g.Q < 1 || n->in[1]->count < 1)
        return mn__op_fail(n, MN_ERR_SHAPE, "the kernel of weight %s (dilation {%d,%d}) does not fit into input %s with "
                           "padding {%d,%d,%d,%d}; hint: more padding or a larger image",
                           mn_shape_text(w, tw, sizeof tw), o->dilation[0], o->dilation[1],
                           mn_shape_text(x, tx, sizeof tx), o->padding[0], o->padding[1], o->padding[2],
                           o->padding[3]);
    if (!((const mn__conv2d_opt *)n->opt)->pooled) return mn__out(n, MN_SHAPE(g.N, g.K, g.P, g.Q));
    if (g.P < 2 || g.Q < 2)
        return mn__op_fail(n, MN_ERR_SHAPE, "its result of %lldx%lld has no room for a window of 2x2; hint: fewer poolings or a "
                           "larger image", (long long)g.P, (long long)g.Q);
    s = mn__out(n, MN_SHAPE(g.N, g.K, g.P / 2, g.Q / 2));
    return s ? s : mn__save(n, 1, MN_U8, n->out->shape);
}

static mn_tensor *example(mn_context *c, int k) {
    static const struct {
        int64_t x[4], w[4];
        bool bias;
        mn_conv2d_opt opt;
    } cases[] = {
        {{2, 3, 5, 4}, {4, 3, 3, 3}, true, {.padding = {1, 1, 1, 1}}},
        {{1, 2, 6, 5}, {3, 2, 2, 3}, false, {.stride = {2, 1}, .padding = {0, 1, 2, 0}}}, /* N = 1, no bias */
        {{2, 2, 7, 6}, {2, 2, 2, 2}, true, {.dilation = {3, 2}, .padding = {1, 0, 0, 2}}},
        {{2, 4, 4, 4}, {6, 2, 3, 1}, true, {.groups = 2, .padding = {1, 1, 0, 0}}},
        {{2, 3, 5, 5}, {6, 1, 3, 3}, true, {.groups = 3, .stride = {2, 2}, .padding = {1, 1, 1, 1}}}, /* depthwise */
        {{1, 3, 5, 7}, {3, 1, 3, 3}, false, {.groups = 3, .padding = {1, 1, 1, 1}}},
        {{2, 3, 4, 3}, {2, 3, 1, 1}, true, {.groups = 1}},           /* 1x1 */
        {{2, 3, 5, 5}, {2, 3, 1, 1}, true, {.stride = {2, 2}}},      /* 1x1 with a stride */
        {{2, 1, 6, 5}, {3, 1, 3, 3}, true, {.padding = {1, 1, 1, 1}}}, /* one channel */
        {{1, 2, 5, 5}, {2, 2, 2, 2}, true, {.stride = {3, 3}}},      /* stride larger than the kernel */
    };
    if (k >= (int)(sizeof cases / sizeof *cases)) return NULL;
    const int64_t *x = cases[k].x, *w = cases[k].w;
    mn_tensor *b = cases[k].bias ? mn__example_input(c, 2, MN_SHAPE(w[0]), -1, 1) : NULL;
    return mn_conv2d(mn__example_input(c, 0, MN_SHAPE(x[0], x[1], x[2], x[3]), -1, 1),
                     mn__example_input(c, 1, MN_SHAPE(w[0], w[1], w[2], w[3]), -1, 1), b, cases[k].opt);
}

const mn_op mn__op_conv2d = {.name = "conv2d", .inputs = 3, .optional = 1 << 2, .through = 1, .shape = shape, .example = example};

static mn_tensor *apply(mn_tensor *in[3], mn_conv2d_opt opt, bool relu, bool measured, bool pooled) {
    for (int i = 0; i < 2; i++) {
        if (opt.stride[i] == 0) opt.stride[i] = 1;
        if (opt.dilation[i] == 0) opt.dilation[i] = 1;
    }
    if (opt.groups == 0) opt.groups = 1;
    return mn__apply(MN_OP_conv2d, in, 3, &(mn__conv2d_opt){opt, relu, measured, pooled}, sizeof(mn__conv2d_opt));
}
mn_tensor *mn_conv2d(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt) {
    return apply((mn_tensor *[]){x, w, b}, opt, false, false, false);
}
mn_tensor *mn__conv2d_measured(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt) {
    return apply((mn_tensor *[]){x, w, b}, opt, false, true, false);
}
mn_tensor *mn__conv2d_relu(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt) {
    bool fused = mn__fuses_relu(x);
    mn_tensor *y = apply((mn_tensor *[]){x, w, b}, opt, fused, false, false);
    return fused ? y : mn__relu_over(y);
}
mn_tensor *mn__conv2d_pooled(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt, bool relu) {
    if (!x || mn_context_device(x->ctx) != MN_CUDA)
        return mn_max_pool2d(relu ? mn__conv2d_relu(x, w, b, opt) : mn_conv2d(x, w, b, opt), (mn_pool2d_opt){.kernel = {2, 2}});
    mn_tensor *y = apply((mn_tensor *[]){x, w, b}, opt, relu, false, true);
    if (y) y->ctx->next_node += 1 + (uint64_t)relu; /* it counts as those that it stands for */
    return y;
}
