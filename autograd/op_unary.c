/* The elementwise operations of unary.def: one shape rule and one example generator for all. */
#include "autograd/unary.h"

static mn_status shape(mn_node *n) {
    n->over = ((const mn__unary_opt *)n->opt)->over;
    return mn__out(n, n->in[0]->shape);
}

mn_tensor *mn__relu_over(mn_tensor *x) {
    return mn__apply(MN_OP_relu, &x, 1, &(mn__unary_opt){.over = true}, sizeof(mn__unary_opt));
}

/* Inputs from [lo, hi], moved off the kinks of the piecewise functions (0, 0.3, 0.8). */
static mn_tensor *example(mn_context *c, mn_op_id id, int k, double lo, double hi) {
    static const mn_shape shapes[] = {{1, {7}}, {4, {2, 3, 1, 5}}, {1, {1}}};
    if (k >= (int)(sizeof shapes / sizeof *shapes)) return NULL;
    mn_tensor *x = mn__example_input(c, (int)id, shapes[k], lo, hi);
    double v[32];
    if (!x || mn_get_f64(x, v)) return NULL;
    static const double kinks[] = {0, 0.3, 0.8};
    for (int64_t i = 0; i < x->count; i++)
        for (int j = 0; j < 3; j++)
            if (v[i] > kinks[j] - 0.02 && v[i] < kinks[j] + 0.02) v[i] = kinks[j] + 0.05;
    if (mn_set_f64(x, v)) return NULL;
    return mn__apply(id, &x, 1, &(mn__unary_opt){.a = 0.3, .b = 0.8}, sizeof(mn__unary_opt));
}

#define DEFINE(name_, lo, hi)                                                                            \
    static mn_tensor *example_##name_(mn_context *c, int k) { return example(c, MN_OP_##name_, k, lo, hi); } \
    const mn_op mn__op_##name_ = {.name = #name_, .inputs = 1, .shape = shape, .example = example_##name_};
#define UNARY0(name, value, derivative, lo, hi)                                                          \
    DEFINE(name, lo, hi)                                                                                 \
    mn_tensor *mn_##name(mn_tensor *x) {                                                                 \
        return mn__apply(MN_OP_##name, &x, 1, &(mn__unary_opt){0}, sizeof(mn__unary_opt));               \
    }
#define UNARY1(name, value, derivative, lo, hi)                                                          \
    DEFINE(name, lo, hi)                                                                                 \
    mn_tensor *mn_##name(mn_tensor *x, double a) {                                                       \
        return mn__apply(MN_OP_##name, &x, 1, &(mn__unary_opt){.a = a}, sizeof(mn__unary_opt));          \
    }
#define UNARY2(name, value, derivative, lo, hi)                                                          \
    DEFINE(name, lo, hi)                                                                                 \
    mn_tensor *mn_##name(mn_tensor *x, double a, double b) {                                             \
        return mn__apply(MN_OP_##name, &x, 1, &(mn__unary_opt){.a = a, .b = b}, sizeof(mn__unary_opt));  \
    }
#include "autograd/unary.def"
