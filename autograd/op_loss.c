/* The losses of loss.def: one shape rule and one example generator for all. */
#include "autograd/loss.h"

static mn_status shape(mn_node *n) {
    const mn__loss_opt *o = n->opt;
    mn_shape x = n->in[0]->shape, t = n->in[1]->shape;
    char tx[64], tt[64];
    mn_shape_text(x, tx, sizeof tx), mn_shape_text(t, tt, sizeof tt);
    if (!mn_shape_equal(x, t))
        return mn__op_fail(n, MN_ERR_SHAPE, "the input is %s and the target %s; wanted the same shape%s", tx, tt,
                           n->in[0]->count == n->in[1]->count ? "; hint: mn_reshape" : "");
    if (n->in[0]->count == 0)
        return mn__op_fail(n, MN_ERR_SHAPE, "the input %s has no elements, so there is no mean; hint: an empty batch?", tx);
    if (!(o->a > 0)) return mn__op_fail(n, MN_ERR_ARG, "the parameter is %g, wanted a number above 0", o->a);
    n->workspace_bytes = mn__sum_workspace(n->in[0]->count);
    return mn__out(n, (mn_shape){0});
}

static mn_tensor *example(mn_context *c, mn_op_id id, int k, double lo, double hi, double target_lo, double target_hi) {
    static const mn_shape shapes[] = {{1, {1}}, {2, {3, 4}}, {4, {2, 1, 3, 2}}};
    if (k > 2) return NULL;
    mn_tensor *x = mn__example_input(c, 2 * k, shapes[k], lo, hi);
    mn_tensor *t = mn__example_input(c, 2 * k + 1, shapes[k], target_lo, target_hi);
    if (t) t->requires_grad = false;
    return mn__apply(id, (mn_tensor *[]){x, t}, 2, &(mn__loss_opt){0.7}, sizeof(mn__loss_opt));
}

#define DEFINE(name_, ...)                                                                               \
    static mn_tensor *example_##name_(mn_context *c, int k) { return example(c, MN_OP_##name_, k, __VA_ARGS__); } \
    const mn_op mn__op_##name_ = {                                                                       \
        .name = #name_, .inputs = 2, .constant = 2, .shape = shape, .example = example_##name_};
#define LOSS0(name, value, derivative, ...)                                                              \
    DEFINE(name, __VA_ARGS__)                                                                            \
    mn_tensor *mn_##name(mn_tensor *x, mn_tensor *target) {                                              \
        return mn__apply(MN_OP_##name, (mn_tensor *[]){x, target}, 2, &(mn__loss_opt){1}, sizeof(mn__loss_opt)); \
    }
#define LOSS1(name, value, derivative, ...)                                                              \
    DEFINE(name, __VA_ARGS__)                                                                            \
    mn_tensor *mn_##name(mn_tensor *x, mn_tensor *target, double a) {                                    \
        return mn__apply(MN_OP_##name, (mn_tensor *[]){x, target}, 2, &(mn__loss_opt){a}, sizeof(mn__loss_opt)); \
    }
#include "autograd/loss.def"
