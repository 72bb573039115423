/* Optimisers: the list of parameters, their state, and one launch a step. The rules are in sgd.c, adam.c,
 * rmsprop.c, the arithmetic in cpu/optim.c. */
#include "optim/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OPTIM(name) extern const mn__optim_rule mn__optim_##name;
#include "optim/optim.def"
#undef OPTIM
static const mn__optim_rule *const rules[MN__OPTIM_COUNT] = {
#define OPTIM(name) &mn__optim_##name,
#include "optim/optim.def"
#undef OPTIM
};

/* What the optimiser knows of one parameter. */
typedef struct slot {
    mn_tensor *w, *state[MN__OPTIM_STATES];
    double lr_factor, weight_decay; /* weight_decay < 0: the optimiser's */
    int64_t updates;
} slot;

struct mn_optim {
    mn_context *ctx;
    const mn__optim_rule *rule;
    mn_optim_opt opt;
    int n, states; /* parameters; state tensors of each */
    slot *slot;
    mn__update_part *part; /* room for one launch */
    int *which;            /* part[k] is parameter which[k] */
    void *later;           /* see mn__update */
    const char **name;     /* of the state tensors */
    mn_tensor *norm2;      /* one f64: the squared norm of the gradients; NULL without clip_norm */
    mn_tensor *updates;    /* f64 (n): slot[].updates for checkpoints */
    bool updates_shared;   /* `updates` was handed out and may have been written since */
    int64_t steps;
    uint64_t last_pass; /* the newest backward pass that a step has used */
};

bool mn_optim_kind_parse(const char *text, mn_optim_kind *out) {
    for (int k = 0; text && k < MN__OPTIM_COUNT; k++)
        if (!strcmp(text, rules[k]->name)) return *out = (mn_optim_kind)k, true;
    return false;
}
const char *mn_optim_kind_name(mn_optim_kind k) { return (unsigned)k < MN__OPTIM_COUNT ? rules[k]->name : NULL; }

/* ---- creating ---- */

static void fill_defaults(mn_optim_opt *o, const mn__optim_rule *rule) {
    if (o->lr == 0) o->lr = rule->lr;
    if (o->beta1 == 0) o->beta1 = 0.9;
    if (o->beta2 == 0) o->beta2 = 0.999;
    if (o->alpha == 0) o->alpha = 0.99;
    if (o->eps == 0) o->eps = 1e-8;
}

typedef struct range {
    const char *name;
    double value;
    bool below_one;
} range;

static mn_status check_options(const mn_optim_opt *o, const mn__optim_rule *rule, mn_error *err) {
    const range all[] = {{"lr", o->lr, false},
                         {"momentum", o->momentum, true},
                         {"dampening", o->dampening, false},
                         {"weight_decay", o->weight_decay, false},
                         {"beta1", o->beta1, true},
                         {"beta2", o->beta2, true},
                         {"alpha", o->alpha, true},
                         {"eps", o->eps, false},
                         {"clip_norm", o->clip_norm, false},
                         {"clip_value", o->clip_value, false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(all[i].value >= 0 && isfinite(all[i].value) && (!all[i].below_one || all[i].value < 1)))
            return mn_fail(err, MN_ERR_ARG, "%s: %s is %g; wanted a number %s", rule->name, all[i].name, all[i].value,
                           all[i].below_one ? "from 0 to below 1, such as 0.9" : "of at least 0");
    return rule->check ? rule->check(o, err) : MN_OK;
}

mn_status mn__check_list(mn_context *c, const char *what, mn_tensor **t, int n) {
    if (n < 1 || !t) return MN__FAIL(c, MN_ERR_ARG, "%s: no tensors were given", what);
    for (int i = 0; i < n; i++) {
        if (!t[i]) return MN__FAIL(c, MN_ERR_ARG, "%s: tensor %d is NULL", what, i);
        const char *name = t[i]->name ? t[i]->name : "without a name";
        if (t[i]->ctx != c || t[i]->lifetime != MN_MODEL || t[i]->dtype != c->dtype)
            return MN__FAIL(c, MN_ERR_ARG,
                            "%s: tensor %d (%s) is not an MN_MODEL tensor of this context in %s; hint: "
                            "make it with mn_parameter",
                            what, i, name, mn_dtype_name(c->dtype));
        for (int k = 0; k < i; k++)
            if (t[k] == t[i]) return MN__FAIL(c, MN_ERR_ARG, "%s: tensor %d (%s) is in the list twice", what, i, name);
    }
    return MN_OK;
}

mn_status mn__update_room(mn_context *c, int n, void **out) {
    if (!c->device->recorder) return MN_OK;
    *out = mn__device_memory(c, MN_MODEL, (size_t)n * MN__UPDATE_NUMBERS);
    return *out ? MN_OK : c->error.status;
}

static mn_tensor *zeros(mn_context *c, mn_dtype dtype, mn_shape shape) {
    mn_tensor *t = mn_tensor_create(c, MN_MODEL, dtype, shape);
    return t && mn_fill(t, 0) == MN_OK ? t : NULL;
}

/* The state of parameter i; states of one kind stand together under the names "<state>/<i>". */
static mn_status create_state(mn_optim *o, int i) {
    for (int s = 0; s < o->states; s++) {
        char name[64];
        int length = snprintf(name, sizeof name, "%s/%d", o->rule->state_name[s], i);
        char *copy = mn__host(o->ctx, MN_MODEL, (size_t)length + 1);
        mn_tensor *t = zeros(o->ctx, o->ctx->dtype, o->slot[i].w->shape);
        if (!copy || !t) return o->ctx->error.status;
        t->name = o->name[s * o->n + i] = strcpy(copy, name);
        o->slot[i].state[s] = t;
    }
    return MN_OK;
}

mn_optim *mn_optim_create(mn_context *c, mn_tensor **params, int n, mn_optim_opt opt) {
    if (c->error.status) return NULL;
    if ((unsigned)opt.kind >= MN__OPTIM_COUNT)
        return MN__FAIL(c, MN_ERR_ARG, "there is no optimiser number %d", (int)opt.kind), NULL;
    const mn__optim_rule *rule = rules[opt.kind];
    fill_defaults(&opt, rule);
    if (check_options(&opt, rule, &c->error) || mn__check_list(c, rule->name, params, n)) return NULL;
    mn_optim *o = mn__host(c, MN_MODEL, sizeof *o);
    if (!o) return NULL;
    *o = (mn_optim){.ctx = c, .rule = rule, .opt = opt, .n = n, .states = rule->states(&opt)};
    o->slot = mn__host(c, MN_MODEL, (size_t)n * sizeof *o->slot);
    o->part = mn__host(c, MN_MODEL, (size_t)n * sizeof *o->part);
    o->which = mn__host(c, MN_MODEL, (size_t)n * sizeof *o->which);
    o->name = mn__host(c, MN_MODEL, (size_t)(n * o->states + 1) * sizeof *o->name);
    if (!o->slot || !o->part || !o->which || !o->name || mn__update_room(c, n, &o->later)) return NULL;
    for (int i = 0; i < n; i++) {
        o->slot[i] = (slot){.w = params[i], .lr_factor = 1, .weight_decay = -1};
        if (create_state(o, i)) return NULL;
    }
    if (opt.clip_norm > 0 && !(o->norm2 = zeros(c, MN_F64, MN_SHAPE(1)))) return NULL;
    if (!(o->updates = zeros(c, MN_F64, MN_SHAPE(n)))) return NULL;
    o->name[n * o->states] = "updates";
    return o;
}

/* ---- stepping ---- */

/* Reads back what a checkpoint may have put into `updates`. */
static mn_status take_updates(mn_optim *o) {
    if (!o->updates_shared) return MN_OK;
    o->updates_shared = false;
    o->ctx->unread--;
    for (int i = 0; i < o->n; i++) {
        double v = mn_item(o->updates, i);
        if (!(v >= 0 && v <= 1e15))
            return MN__FAIL(o->ctx, MN_ERR_NUMERIC, "%s: parameter %d has had %g updates, says its state", o->rule->name, i, v);
        o->slot[i].updates = (int64_t)v;
    }
    return MN_OK;
}

/* Lists the parameters that have a gradient since the last step. */
static int collect(mn_optim *o) {
    int n = 0;
    for (int i = 0; i < o->n; i++)
        if (o->slot[i].w->grad && o->slot[i].w->grad_pass > o->last_pass) o->which[n++] = i;
    return n;
}

/* The list for a launch. `count`: it is one more update of each parameter. */
static void make_parts(mn_optim *o, const int *which, int n, bool count) {
    for (int k = 0; k < n; k++) {
        slot *s = &o->slot[which[k]];
        double decay = s->weight_decay < 0 ? o->opt.weight_decay : s->weight_decay;
        if (count) s->updates++;
        o->part[k] = (mn__update_part){.w = s->w->data,
                                       .g = s->w->grad->data,
                                       .count = s->w->count,
                                       .state = {s->state[0] ? s->state[0]->data : NULL, s->state[1] ? s->state[1]->data : NULL},
                                       .lr = o->opt.lr * s->lr_factor,
                                       .weight_decay = decay,
                                       .t = s->updates};
    }
}

static mn_status check_rate(const mn_optim *o) {
    if (o->opt.lr >= 0 && isfinite(o->opt.lr)) return MN_OK;
    return MN__FAIL(o->ctx, MN_ERR_ARG, "%s: the learning rate is %g; wanted a number of at least 0", o->rule->name, o->opt.lr);
}

static mn_status launch(mn_optim *o, mn__update u) {
    const mn__update_kernels *k = o->ctx->kernels->update[o->ctx->dtype];
    u.ctx = o->ctx, u.opt = &o->opt, u.part = o->part, u.norm2 = o->norm2 ? o->norm2->data : NULL;
    if (u.norm2 && !u.store && k->square_sum(&u)) return o->ctx->error.status;
    return k->step[o->opt.kind](&u);
}

/* ---- in recorded steps: the update is recorded once, what changes is put where it reads ---- */

typedef struct recorded_step {
    mn_optim *o;
    int n, which[];
} recorded_step;

static mn_status again(void *arg) {
    const recorded_step *r = arg;
    mn_optim *o = r->o;
    if (take_updates(o) || check_rate(o)) return o->ctx->error.status;
    make_parts(o, r->which, r->n, true);
    o->last_pass = o->ctx->pass;
    o->steps++;
    return launch(o, (mn__update){.n = r->n, .later = o->later, .store = true});
}

static mn_status record(mn_optim *o, int n) {
    size_t bytes = sizeof(recorded_step) + (size_t)n * sizeof(int);
    recorded_step *r = mn_alloc(bytes);
    if (!r) return MN__FAIL(o->ctx, MN_ERR_MEMORY, "out of host memory for recording an optimiser");
    r->o = o, r->n = n;
    memcpy(r->which, o->which, (size_t)n * sizeof *r->which);
    mn_status s = mn__step_again(o->ctx, again, r, bytes);
    mn_free(r);
    if (s) return s;
    make_parts(o, o->which, n, false);
    return launch(o, (mn__update){.n = n, .later = o->later});
}

mn_status mn_optim_step(mn_optim *o) {
    if (!o) return MN_ERR_ARG;
    mn_context *c = o->ctx;
    if (c->error.status || take_updates(o) || check_rate(o)) return c->error.status;
    int n = collect(o);
    if (n == 0)
        return MN__FAIL(c, MN_ERR_ARG,
                        "%s: no parameter has received a gradient since the last step; hint: call "
                        "mn_backward before mn_optim_step, and leave something unfrozen",
                        o->rule->name);
    if (!c->kernels->update[c->dtype])
        return MN__FAIL(c, MN_ERR_UNSUPPORTED, "%s has no kernel for %s in %s", o->rule->name, c->device->name,
                        mn_dtype_name(c->dtype));
    if (c->recording) return record(o, n);
    make_parts(o, o->which, n, true);
    o->last_pass = c->pass;
    o->steps++;
    return launch(o, (mn__update){.n = n});
}

/* ---- looking and setting ---- */

void mn_optim_set_lr(mn_optim *o, double lr) { o->opt.lr = lr; }
double mn_optim_lr(const mn_optim *o) { return o->opt.lr; }
int64_t mn_optim_steps(const mn_optim *o) { return o->steps; }
void mn_optim_set_steps(mn_optim *o, int64_t steps) { o->steps = steps; }

mn_status mn_optim_set_param(mn_optim *o, int i, double lr_factor, double weight_decay) {
    if (!o) return MN_ERR_ARG;
    if (i < 0 || i >= o->n)
        return MN__FAIL(o->ctx, MN_ERR_ARG, "%s: there is no parameter %d; wanted 0..%d", o->rule->name, i, o->n - 1);
    if (!(lr_factor >= 0 && isfinite(lr_factor) && isfinite(weight_decay)))
        return MN__FAIL(o->ctx, MN_ERR_ARG, "%s: parameter %d cannot have a rate factor of %g and a weight decay of %g",
                        o->rule->name, i, lr_factor, weight_decay);
    o->slot[i].lr_factor = lr_factor;
    o->slot[i].weight_decay = weight_decay;
    return MN_OK;
}

double mn_optim_grad_norm(const mn_optim *o) { return o->norm2 ? sqrt(mn_item(o->norm2, 0)) : 0; }

int mn_optim_state_count(const mn_optim *o) { return o->n * o->states + 1; }

mn_tensor *mn_optim_state(mn_optim *o, int i, const char **name) {
    if (i < 0 || i >= mn_optim_state_count(o)) return NULL;
    if (name) *name = o->name[i];
    if (i < o->n * o->states) return o->slot[i % o->n].state[i / o->n];
    if (!o->updates_shared) { /* else it holds what the caller put there */
        double *v = mn_alloc((size_t)o->n * sizeof *v);
        if (!v) return MN__FAIL(o->ctx, MN_ERR_MEMORY, "out of host memory for an optimiser's state"), NULL;
        for (int k = 0; k < o->n; k++) v[k] = (double)o->slot[k].updates;
        mn_status s = mn_set_f64(o->updates, v);
        mn_free(v);
        if (s) return NULL;
    }
    if (!o->updates_shared) o->ctx->unread++;
    o->updates_shared = true;
    return o->updates;
}
