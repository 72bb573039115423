/* slice: the elements start .. start+length-1 of one dimension. */
#include "autograd/dims.h"

static mn_status shape(mn_node *n) {
    const mn__slice_opt *o = n->opt;
    mn_shape s = n->in[0]->shape;
    int dim = mn__dim(s, o->dim);
    char text[64];
    mn_shape_text(s, text, sizeof text);
    if (dim < 0)
        return mn__op_fail(n, MN_ERR_ARG, "there is no dimension %d in %s; wanted %d..%d", o->dim, text, -s.ndim,
                           s.ndim - 1);
    if (o->start < 0 || o->length < 0 || o->start > s.dim[dim] || o->length > s.dim[dim] - o->start)
        return mn__op_fail(n, MN_ERR_ARG, "start %lld and length %lld leave dimension %d of %s, which has %lld elements",
                           (long long)o->start, (long long)o->length, o->dim, text, (long long)s.dim[dim]);
    s.dim[dim] = o->length;
    return mn__out(n, s);
}

static mn_tensor *example(mn_context *c, int k) {
    static const mn__slice_opt cases[] = {{0, 1, 1}, {1, 0, 2}, {-1, 2, 2}, {2, 0, 4}};
    if (k > 3) return NULL;
    return mn_slice(mn__example_input(c, 0, MN_SHAPE(2, 3, 4), -1, 1), cases[k].dim, cases[k].start, cases[k].length);
}

const mn_op mn__op_slice = {.name = "slice", .inputs = 1, .shape = shape, .example = example};

mn_tensor *mn_slice(mn_tensor *x, int dim, int64_t start, int64_t length) {
    return mn__apply(MN_OP_slice, &x, 1, &(mn__slice_opt){dim, start, length}, sizeof(mn__slice_opt));
}
