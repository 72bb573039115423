/* separable_conv2d: z[n,c,p,q] = sum_{r,s} x[n, c, p-top+r, q-left+s] depth[c,r,s], y[n,k,p,q] = sum_c point[k,c] z[n,c,p,q].
 * Nothing is saved: the backward pass computes z of one image after the other again. */
#include "autograd/separable_conv2d.h"
#include <string.h>

enum { MOST_WEIGHTS = 8192 }; /* of the 1x1 convolution: sums of their gradients have to stay in the second cache */

typedef struct options {
    int padding[4];
} options;

mn__window mn__separable_conv2d_window(const mn_node *n) {
    const options *o = n->opt;
    const int64_t *x = n->in[0]->shape.dim;
    return (mn__window){
        .N = x[0], .C = x[1], .H = x[2], .W = x[3], .K = n->in[2]->shape.dim[0], .R = 3, .S = 3, .groups = 1,
        .P = mn__window_count(x[2], 3, 1, 1, o->padding[0], o->padding[1]),
        .Q = mn__window_count(x[3], 3, 1, 1, o->padding[2], o->padding[3]),
        .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .top = o->padding[0], .left = o->padding[2],
    };
}

static mn_status shape(mn_node *n) {
    mn__window g = mn__separable_conv2d_window(n);
    return mn__out(n, MN_SHAPE(g.N, g.K, g.P, g.Q));
}

/* Other shapes, and wrong ones with their sentences, are conv2d's business. */
static bool fits(const mn_tensor *x, const mn_tensor *depth, const mn_tensor *point, const int padding[4]) {
    if (!x || !depth || !point || mn_context_device(x->ctx) != MN_CPU) return false;
    const mn_shape *s = &x->shape;
    int64_t C = s->dim[1];
    bool sides = true;
    for (int i = 0; i < 4; i++) sides &= padding[i] >= 0 && padding[i] <= 2;
    return sides && s->ndim == 4 && mn_shape_equal(depth->shape, MN_SHAPE(C, 1, 3, 3)) && point->shape.ndim == 4 &&
           mn_shape_equal(point->shape, MN_SHAPE(point->shape.dim[0], C, 1, 1)) && point->count <= MOST_WEIGHTS && C > 1 &&
           s->dim[2] + padding[0] + padding[1] >= 3 && s->dim[3] + padding[2] + padding[3] >= 3 && s->dim[2] <= INT32_MAX &&
           s->dim[3] <= INT32_MAX;
}

static mn_tensor *example(mn_context *c, int k) {
    static const int padding[][4] = {{1, 1, 1, 1}, {0, 2, 1, 0}, {0, 0, 0, 0}};
    if (k > 2) return NULL;
    return mn__separable_conv2d(mn__example_input(c, 0, MN_SHAPE(2, 3, 5, 4), -1, 1),
                                mn__example_input(c, 1, MN_SHAPE(3, 1, 3, 3), -1, 1),
                                mn__example_input(c, 2, MN_SHAPE(4, 3, 1, 1), -1, 1), padding[k]);
}

const mn_op mn__op_separable_conv2d = {.name = "separable_conv2d", .inputs = 3, .through = 1, .shape = shape, .example = example};

mn_tensor *mn__separable_conv2d(mn_tensor *x, mn_tensor *depth, mn_tensor *point, const int padding[4]) {
    options o;
    memcpy(o.padding, padding, sizeof o.padding);
    if (fits(x, depth, point, padding)) {
        mn_tensor *y = mn__apply(MN_OP_separable_conv2d, (mn_tensor *[]){x, depth, point}, 3, &o, sizeof o);
        if (y) y->ctx->next_node++; /* it stands for two: later operations draw the same random numbers on every device */
        return y;
    }
    mn_conv2d_opt one = {.groups = x && x->shape.ndim == 4 ? (int)x->shape.dim[1] : 0};
    memcpy(one.padding, padding, sizeof one.padding);
    return mn_conv2d(mn_conv2d(x, depth, NULL, one), point, NULL, (mn_conv2d_opt){0});
}
