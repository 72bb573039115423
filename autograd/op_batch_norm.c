/* batch_norm: y = (x - mean) / sqrt(var + eps) * gamma + beta for each channel.
 * Inputs: x, gamma, beta, running_mean, running_var, and what is added to the result (autograd/batch_norm.h). Saved for
 * backward: mean and 1/sqrt(var + eps), each (C). */
#include "autograd/batch_norm.h"

static mn_status check_vector(mn_node *n, int i, const char *what, int64_t channels) {
    char a[64], b[64];
    const mn_tensor *t = n->in[i];
    if (!t || (t->shape.ndim == 1 && t->count == channels)) return MN_OK;
    return mn__op_fail(n, MN_ERR_SHAPE, "%s is %s, wanted (%lld): one number for each channel of input %s", what,
                       mn_shape_text(t->shape, a, sizeof a), (long long)channels,
                       mn_shape_text(n->in[0]->shape, b, sizeof b));
}

static mn_status shape(mn_node *n) {
    const mn_batch_norm_opt *o = n->opt;
    mn_shape x = n->in[0]->shape;
    char text[64];
    mn_shape_text(x, text, sizeof text);
    if (x.ndim != 2 && x.ndim != 4)
        return mn__op_fail(n, MN_ERR_SHAPE, "input is %s, wanted (N,C) or (N,C,H,W)", text);
    static const char *const names[] = {"", "gamma", "beta", "running_mean", "running_var"};
    for (int i = 1; i < 5; i++) {
        mn_status s = check_vector(n, i, names[i], x.dim[1]);
        if (s) return s;
    }
    if (n->in[5] && !mn_shape_equal(n->in[5]->shape, x)) {
        char more[64];
        return mn__op_fail(n, MN_ERR_SHAPE, "what is added is %s, wanted the shape of the input, %s",
                           mn_shape_text(n->in[5]->shape, more, sizeof more), text);
    }
    if (!(o->eps > 0)) return mn__op_fail(n, MN_ERR_ARG, "eps is %g, wanted more than 0, or 0 for 1e-5", o->eps);
    if (!(o->momentum <= 1)) return mn__op_fail(n, MN_ERR_ARG, "momentum is %g, wanted at most 1", o->momentum);
    if (!n->in[3] != !n->in[4])
        return mn__op_fail(n, MN_ERR_ARG, "one of running_mean and running_var is NULL; hint: give both or neither");
    if (!o->training && !n->in[3])
        return mn__op_fail(n, MN_ERR_ARG, "running_mean and running_var are NULL, and outside of training they are used");
    if (o->training && n->in[0]->count && n->in[0]->count <= x.dim[1])
        return mn__op_fail(n, MN_ERR_SHAPE, "input %s has one value a channel, which has no variance; hint: a batch of 2 "
                           "or more when training", text);
    const mn__batch_norm_opt *with = n->opt;
    n->pending = with->pending && o->training && n->recording && !n->in[5] && x.ndim == 4 && n->ctx->device_kind == MN_CPU;
    mn_status s = mn__out(n, x);
    if (!s) s = mn__save(n, 0, n->ctx->dtype, MN_SHAPE(x.dim[1]));
    return s ? s : mn__save(n, 1, n->ctx->dtype, MN_SHAPE(x.dim[1]));
}

static mn_tensor *example(mn_context *c, int k) {
    if (k > 6) return NULL;
    bool plain = k == 2, flat = k == 1 || k == 4; /* no gamma, beta, running_*; an input (N,C) */
    mn_batch_norm_opt o = {.training = k < 3 || k > 4, .momentum = k == 1 ? -1 : 0, .eps = k == 1 ? 1e-2 : 0};
    mn_tensor *x = mn__example_input(c, 0, flat ? MN_SHAPE(5, 3) : MN_SHAPE(2, 3, 2, 3), -1, 1);
    mn_tensor *v[4] = {0};
    for (int i = 0; i < 4 && !plain; i++)
        if (!(v[i] = mn__example_input(c, i + 1, MN_SHAPE(3), i == 1 || i == 2 ? -1 : 0.5, 1.5))) return NULL;
    if (!plain) v[2]->requires_grad = v[3]->requires_grad = false;
    mn_tensor *more = k == 5 ? mn__example_input(c, 9, x->shape, -1, 1) : k == 6 ? x : NULL;
    return mn__batch_norm_add(x, v[0], v[1], v[2], v[3], more, false, o);
}

const mn_op mn__op_batch_norm = {.name = "batch_norm", .inputs = 6, .optional = 0x3e, .constant = 0x18, .shape = shape,
                                 .example = example};

static mn_tensor *apply(mn_tensor *in[6], mn__batch_norm_opt opt) {
    if (opt.of.momentum == 0) opt.of.momentum = 0.1;
    if (opt.of.eps == 0) opt.of.eps = 1e-5;
    mn_tensor *y = mn__apply(MN_OP_batch_norm, in, 6, &opt, sizeof opt);
    /* It counts as those that it stands for: later operations draw the same random numbers either way. */
    if (y) y->ctx->next_node += (uint64_t)opt.relu + (in[5] ? 1 : 0);
    return y;
}
mn_tensor *mn__batch_norm_add(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean, mn_tensor *running_var,
                              mn_tensor *more, bool relu, mn_batch_norm_opt opt) {
    return apply((mn_tensor *[]){x, gamma, beta, running_mean, running_var, more}, (mn__batch_norm_opt){opt, relu, false});
}
mn_tensor *mn__batch_norm_pending(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean,
                                  mn_tensor *running_var, bool relu, mn_batch_norm_opt opt) {
    return apply((mn_tensor *[]){x, gamma, beta, running_mean, running_var, NULL}, (mn__batch_norm_opt){opt, relu, true});
}
mn_tensor *mn_batch_norm(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean,
                         mn_tensor *running_var, mn_batch_norm_opt opt) {
    return mn__batch_norm_add(x, gamma, beta, running_mean, running_var, NULL, false, opt);
}
