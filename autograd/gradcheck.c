/* The gradient check: what backward says against what finite differences say.
 *
 * For L = sum_i w_i y_i with fixed random w, backward gives dL/dx for every x in one pass. The five-point
 * formula  f'(x) ~ (f(x-2h) - 8 f(x-h) + 8 f(x+h) - f(x+2h)) / 12h  has an error of order h^4: with h = 1e-3
 * in double precision about eleven digits are right. A check proves that forward and backward agree, not
 * that forward is what it should be: that is what the naive references in tests/ are for. */
#include "autograd/internal.h"
#include <math.h>
#include <string.h>

#define STEP 1e-3
/* Differences are taken relative to the larger of the two numbers, but not to less than this. */
#define SMALL 1e-2

typedef struct check {
    mn_context *ctx;
    mn_gradcheck_fn f;
    mn_tensor **in;
    int n_in;
    void *arg;
    double *w, *y; /* of y's size */
    int64_t count;
} check;

static double weight(int64_t i) {
    uint32_t r[4];
    mn_random_u32x4(1, 2, (uint64_t)i, r);
    double u = r[0] / 4294967296.0 + 0.5; /* 0.5 .. 1.5, either sign */
    return r[1] & 1 ? u : -u;
}

/* Every evaluation is the same step, so that random operations (dropout) draw the same numbers. */
static mn_tensor *forward(check *k) {
    uint64_t step = mn_context_step(k->ctx);
    mn_status s = mn_step_begin(k->ctx);
    mn_context_set_step(k->ctx, step);
    if (s) return NULL;
    return k->f(k->in, k->n_in, k->arg);
}

static mn_status loss_at(check *k, mn_tensor *x, int64_t i, double value, double *loss) {
    mn_error *err = &k->ctx->error;
    mn_status s = k->ctx->device->upload(k->ctx->device_state, (double *)x->data + i, &value, sizeof value, err);
    if (s) return s;
    mn_no_grad_begin(k->ctx);
    mn_tensor *y = forward(k);
    mn_no_grad_end(k->ctx);
    if (!y) return err->status;
    if ((s = mn_get_f64(y, k->y))) return s;
    *loss = 0;
    for (int64_t j = 0; j < k->count; j++) *loss += k->w[j] * k->y[j];
    return MN_OK;
}

static mn_status numeric(check *k, mn_tensor *x, int64_t i, double *slope) {
    static const double offset[4] = {-2, -1, 1, 2}, factor[4] = {1, -8, 8, -1};
    double x0 = mn_item(x, i), sum = 0, loss = 0;
    for (int j = 0; j < 4; j++) {
        mn_status s = loss_at(k, x, i, x0 + offset[j] * STEP, &loss);
        if (s) return s;
        sum += factor[j] * loss;
    }
    *slope = sum / (12 * STEP);
    return k->ctx->device->upload(k->ctx->device_state, (double *)x->data + i, &x0, sizeof x0, &k->ctx->error);
}

/* One backward pass into the gradients of the inputs. */
static mn_status backward(check *k, bool accumulate) {
    mn_tensor *y = forward(k);
    if (!y) return k->ctx->error.status;
    if (!y->requires_grad) return MN__FAIL(k->ctx, MN_ERR_ARG, "gradient check: the result requires no gradient");
    mn_tensor *dy = mn_tensor_create(k->ctx, MN_STEP, MN_F64, y->shape);
    mn_status s = dy ? mn_set_f64(dy, k->w) : k->ctx->error.status;
    if (s) return s;
    return mn__backward_from(k->ctx, y, dy, accumulate);
}

static void compare(mn_gradcheck_result *r, int input, int64_t element, double analytic, double wanted) {
    double size = fmax(fmax(fabs(analytic), fabs(wanted)), SMALL), d = fabs(analytic - wanted) / size;
    r->elements++;
    if (!(d <= r->worst)) { /* NaN counts as the worst */
        r->worst = isnan(d) ? INFINITY : d;
        r->input = input, r->element = element, r->analytic = analytic, r->numeric = wanted;
    }
}

/* Overwriting: NaN that stands in a gradient must not survive. Accumulating: a second pass doubles it. */
static mn_status check_rules(check *k) {
    mn_status s = backward(k, false);
    for (int i = 0; i < k->n_in && !s; i++)
        if (k->in[i] && k->in[i]->requires_grad && k->in[i]->grad) s = mn_fill(k->in[i]->grad, NAN);
    if (!s) s = backward(k, false);
    double *once = s ? NULL : mn_alloc_zero((size_t)k->n_in, sizeof *once);
    if (!s && !once) s = MN__FAIL(k->ctx, MN_ERR_MEMORY, "out of host memory for a gradient check");
    for (int pass = 0; pass < 2 && !s; pass++) {
        for (int i = 0; i < k->n_in && !s; i++) {
            mn_tensor *g = k->in[i] && k->in[i]->requires_grad ? k->in[i]->grad : NULL;
            double sum = 0;
            for (int64_t e = 0; g && e < g->count; e++) sum += fabs(mn_item(g, e));
            if (pass == 0) once[i] = sum;
            else if (!(fabs(sum - 2 * once[i]) <= 1e-9 * (1 + sum)))
                s = MN__FAIL(k->ctx, MN_ERR_NUMERIC, "input %d: %s", i,
                             isnan(sum) ? "the gradient is not overwritten (NaN survives)"
                                        : "a second, accumulating pass does not double the gradient");
        }
        if (pass == 0 && !s) s = backward(k, true);
    }
    mn_free(once);
    return s ? s : backward(k, false);
}

static mn_status check_elements(check *k, mn_gradcheck_result *r) {
    for (int i = 0; i < k->n_in; i++) {
        mn_tensor *x = k->in[i];
        for (int64_t e = 0; x && x->requires_grad && e < x->count; e++) {
            double slope, analytic = x->grad ? mn_item(x->grad, e) : 0;
            mn_status s = numeric(k, x, e, &slope);
            if (s) return s;
            compare(r, i, e, analytic, slope);
        }
    }
    return MN_OK;
}

mn_status mn_gradcheck(mn_context *c, mn_gradcheck_fn f, mn_tensor **in, int n_in, void *arg, double tolerance,
                       mn_gradcheck_result *result) {
    mn_gradcheck_result local = {0}, *r = result ? result : &local;
    *r = (mn_gradcheck_result){0};
    if (c->dtype != MN_F64)
        return MN__FAIL(c, MN_ERR_ARG, "the gradient check needs a context in f64; in %s differences drown in rounding",
                        mn_dtype_name(c->dtype));
    check k = {.ctx = c, .f = f, .in = in, .n_in = n_in, .arg = arg};
    mn_tensor *y = forward(&k);
    if (!y) return c->error.status ? c->error.status : MN__FAIL(c, MN_ERR_ARG, "the function under test gave NULL");
    k.count = y->count;
    k.w = mn_alloc((size_t)k.count * sizeof *k.w);
    k.y = mn_alloc((size_t)k.count * sizeof *k.y + sizeof *k.y);
    mn_status s = k.w && k.y ? MN_OK : MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for a gradient check");
    for (int64_t i = 0; !s && i < k.count; i++) k.w[i] = weight(i);
    if (!s) s = check_rules(&k);
    if (!s) s = check_elements(&k, r);
    mn_free(k.w);
    mn_free(k.y);
    double limit = tolerance > 0 ? tolerance : 1e-6;
    if (!s && !(r->worst <= limit))
        s = MN__FAIL(c, MN_ERR_NUMERIC, "input %d, element %lld: backward says %.9g, differences say %.9g (relative "
                     "difference %.2g, allowed %.2g)", r->input, (long long)r->element, r->analytic, r->numeric,
                     r->worst, limit);
    return s;
}

/* ---- the built-in cases: an example's node is kept and applied again and again ---- */

typedef struct replay {
    mn_op_id id;
    const void *opt;
    size_t opt_bytes;
} replay;

static mn_tensor *apply_again(mn_tensor **in, int n_in, void *arg) {
    const replay *r = arg;
    return mn__apply(r->id, in, n_in, r->opt, r->opt_bytes);
}

mn_tensor *mn__example_input(mn_context *c, int number, mn_shape shape, double lo, double hi) {
    mn_tensor *t = mn_parameter(c, NULL, shape);
    return t && mn_fill_uniform(t, 7000 + (uint64_t)number, lo, hi) == MN_OK ? t : NULL;
}

mn_status mn_gradcheck_op(mn_context *c, int op, int k, bool *more, mn_gradcheck_result *result) {
    *more = false;
    if (op < 0 || op >= MN_OP_COUNT) return MN__FAIL(c, MN_ERR_ARG, "there is no operation number %d", op);
    mn_status s = mn_step_begin(c);
    if (s) return s;
    mn_tensor *y = mn__op((mn_op_id)op)->example(c, k);
    if (!y) return c->error.status;
    *more = true;
    const mn_node *n = y->node; /* gone at the next step: keep what is needed */
    size_t inputs = (size_t)n->n_in * sizeof *n->in;
    char *copy = mn_alloc(inputs + n->opt_bytes);
    if (!copy) return MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for a gradient check");
    memcpy(copy, n->in, inputs);
    memcpy(copy + inputs, n->opt, n->opt_bytes);
    replay r = {.id = n->id, .opt = copy + inputs, .opt_bytes = n->opt_bytes};
    s = mn_gradcheck(c, apply_again, (mn_tensor **)copy, n->n_in, &r, 0, result);
    mn_free(copy);
    if (s) mn_error_prefix(&c->error, "%s, case %d", mn_op_name(op), k);
    return s;
}
