/* Exponential moving average of weights (Polyak and Juditsky 1992; the decay's beginning is TensorFlow's). */
#include "optim/internal.h"
#include <math.h>

struct mn_ema {
    mn_context *ctx;
    int n;
    mn_tensor **average;
    mn__update_part *part; /* w: the average, g and state[0]: the weight */
    double decay;
    int64_t updates;
    void *later; /* see mn__update */
};

mn_ema *mn_ema_create(mn_context *c, mn_tensor **t, int n, double decay) {
    if (c->error.status || mn__check_list(c, "ema", t, n)) return NULL;
    if (!(decay >= 0 && decay < 1))
        return MN__FAIL(c, MN_ERR_ARG, "ema: the decay is %g; wanted a number from 0 to below 1, such as 0.999", decay), NULL;
    mn_ema *e = mn__host(c, MN_MODEL, sizeof *e);
    if (!e) return NULL;
    *e = (mn_ema){.ctx = c, .n = n, .decay = decay};
    e->average = mn__host(c, MN_MODEL, (size_t)n * sizeof *e->average);
    e->part = mn__host(c, MN_MODEL, (size_t)n * sizeof *e->part);
    if (!e->average || !e->part || mn__update_room(c, n, &e->later)) return NULL;
    for (int i = 0; i < n; i++) {
        mn_tensor *a = e->average[i] = mn_tensor_create(c, MN_MODEL, c->dtype, t[i]->shape);
        if (!a || mn_copy(a, t[i])) return NULL;
        e->part[i] = (mn__update_part){.w = a->data, .g = t[i]->data, .state = {t[i]->data}, .count = a->count};
    }
    return e;
}

/* The kernels, or NULL: after a failure, or where there are none. */
static const mn__update_kernels *kernels(mn_ema *e) {
    mn_context *c = e->ctx;
    const mn__update_kernels *k = c->kernels->update[c->dtype];
    if (!k) MN__FAIL(c, MN_ERR_UNSUPPORTED, "averages of weights have no kernel for %s", c->device->name);
    return c->error.status ? NULL : k;
}

/* One more update: launched, or, for the recorded launch of a step, its decay stored. */
static mn_status update(mn_ema *e, bool store) {
    double t = (double)e->updates++, begin = (t + 1) / (t + 10);
    mn__update u = {.ctx = e->ctx, .part = e->part, .n = e->n, .decay = fmin(begin, e->decay)};
    if (store) u.later = e->later, u.store = true;
    return e->ctx->kernels->update[e->ctx->dtype]->average(&u);
}
static mn_status again(void *arg) { return update(*(mn_ema **)arg, true); }

mn_status mn_ema_update(mn_ema *e) {
    const mn__update_kernels *k = e ? kernels(e) : NULL;
    if (!k) return e ? e->ctx->error.status : MN_ERR_ARG;
    if (!e->ctx->recording) return update(e, false);
    mn_status s = mn__step_again(e->ctx, again, &e, sizeof e);
    return s ? s : k->average(&(mn__update){.ctx = e->ctx, .part = e->part, .n = e->n, .later = e->later});
}

mn_status mn_ema_swap(mn_ema *e) {
    const mn__update_kernels *k = e ? kernels(e) : NULL;
    if (!k) return e ? e->ctx->error.status : MN_ERR_ARG;
    return k->swap(&(mn__update){.ctx = e->ctx, .part = e->part, .n = e->n});
}

int64_t mn_ema_updates(const mn_ema *e) { return e->updates; }
void mn_ema_set_updates(mn_ema *e, int64_t updates) { e->updates = updates; }
mn_tensor *mn_ema_tensor(mn_ema *e, int i) { return i >= 0 && i < e->n ? e->average[i] : NULL; }
