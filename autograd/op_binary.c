/* The operations of binary.def: one shape rule (broadcasting) and one example generator for all. */
#include "autograd/internal.h"

/* Dimension d of s, counted from the last one: 1 where s has no such dimension. */
static int64_t from_last(mn_shape s, int d) { return d < s.ndim ? s.dim[s.ndim - 1 - d] : 1; }

static mn_status shape(mn_node *n) {
    mn_shape a = n->in[0]->shape, b = n->in[1]->shape, y = {.ndim = a.ndim > b.ndim ? a.ndim : b.ndim};
    for (int d = 0; d < y.ndim; d++) {
        int64_t p = from_last(a, d), q = from_last(b, d);
        if (p != q && p != 1 && q != 1) {
            char ta[64], tb[64];
            return mn__op_fail(n, MN_ERR_SHAPE, "%s and %s do not broadcast: sizes %lld and %lld meet; hint: aligned at "
                               "the last dimension, two sizes must be equal or one of them 1",
                               mn_shape_text(a, ta, sizeof ta), mn_shape_text(b, tb, sizeof tb), (long long)p,
                               (long long)q);
        }
        y.dim[y.ndim - 1 - d] = p == 1 ? q : p;
    }
    return mn__out(n, y);
}

static mn_tensor *example(mn_context *c, mn_op_id id, int k, double lo, double hi) {
    static const mn_shape shapes[][2] = {
        {{2, {2, 5}}, {2, {2, 5}}},             /* the same shape */
        {{2, {3, 4}}, {1, {4}}},                /* a row added to every row */
        {{4, {2, 3, 2, 2}}, {4, {1, 3, 1, 1}}}, /* one number a channel */
        {{0, {0}}, {2, {2, 3}}},                /* a scalar */
        {{3, {4, 1, 2}}, {2, {3, 1}}},          /* both stretched */
        {{5, {2, 1, 2, 1, 2}}, {5, {1, 3, 1, 2, 1}}},
        {{1, {4}}, {1, {0}}},                   /* one tensor in both places */
    };
    int cases = (int)(sizeof shapes / sizeof *shapes);
    if (k >= cases) return NULL;
    mn_tensor *a = mn__example_input(c, 2 * (int)id, shapes[k][0], lo, hi);
    mn_tensor *b = k == cases - 1 ? a : mn__example_input(c, 2 * (int)id + 1, shapes[k][1], lo, hi);
    return mn__apply(id, (mn_tensor *[]){a, b}, 2, NULL, 0);
}

#define BINARY(name_, value, da, db, lo, hi)                                                             \
    static mn_tensor *example_##name_(mn_context *c, int k) { return example(c, MN_OP_##name_, k, lo, hi); } \
    const mn_op mn__op_##name_ = {.name = #name_, .inputs = 2, .shape = shape, .example = example_##name_};  \
    mn_tensor *mn_##name_(mn_tensor *a, mn_tensor *b) {                                                  \
        return mn__apply(MN_OP_##name_, (mn_tensor *[]){a, b}, 2, NULL, 0);                              \
    }
#include "autograd/binary.def"
