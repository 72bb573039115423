/* linear: y = x w^T + b, a fully connected layer. */
#include "autograd/ends_in_relu.h"

static mn_status shape(mn_node *n) {
    mn_shape x = n->in[0]->shape, w = n->in[1]->shape;
    char tx[64], tw[64], tb[64];
    mn_shape_text(x, tx, sizeof tx), mn_shape_text(w, tw, sizeof tw);
    if (x.ndim != 2 || w.ndim != 2)
        return mn__op_fail(n, MN_ERR_SHAPE, "x is %s and the weight %s; wanted x (N,in) and the weight (out,in)%s", tx, tw,
                           x.ndim > 2 ? "; hint: mn_flatten(x)" : "");
    if (x.dim[1] != w.dim[1])
        return mn__op_fail(n, MN_ERR_SHAPE, "x %s has %lld features, the weight %s wants %lld; hint: the layer's input "
                           "size is wrong, or the images have another size than the network was made for", tx,
                           (long long)x.dim[1], tw, (long long)w.dim[1]);
    if (n->in[2] && !mn_shape_equal(n->in[2]->shape, MN_SHAPE(w.dim[0])))
        return mn__op_fail(n, MN_ERR_SHAPE, "the bias is %s, wanted (%lld), one number for each row of the weight %s",
                           mn_shape_text(n->in[2]->shape, tb, sizeof tb), (long long)w.dim[0], tw);
    return mn__out(n, MN_SHAPE(x.dim[0], w.dim[0]));
}

static mn_tensor *example(mn_context *c, int k) {
    if (k > 2) return NULL;
    int64_t N = k == 2 ? 1 : 4;
    return mn_linear(mn__example_input(c, 0, MN_SHAPE(N, 3), -1, 1), mn__example_input(c, 1, MN_SHAPE(5, 3), -1, 1),
                     k == 1 ? NULL : mn__example_input(c, 2, MN_SHAPE(5), -1, 1));
}

const mn_op mn__op_linear = {.name = "linear", .inputs = 3, .optional = 4, .shape = shape, .example = example};

static mn_tensor *apply(mn_tensor *in[3], bool relu) {
    return mn__apply(MN_OP_linear, in, 3, &(mn__linear_opt){relu}, sizeof(mn__linear_opt));
}
mn_tensor *mn_linear(mn_tensor *x, mn_tensor *w, mn_tensor *b) { return apply((mn_tensor *[]){x, w, b}, false); }
mn_tensor *mn__linear_relu(mn_tensor *x, mn_tensor *w, mn_tensor *b) {
    bool fused = mn__fuses_relu(x);
    mn_tensor *y = apply((mn_tensor *[]){x, w, b}, fused);
    return fused ? y : mn__relu_over(y);
}
