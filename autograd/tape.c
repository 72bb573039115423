/* The tape: how an operation is applied and recorded, and how gradients flow back. */
#include "autograd/batch_norm.h"
#include "autograd/ends_in_relu.h"
#include "autograd/guided.h"
#include "autograd/internal.h"
#include "autograd/profile.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mn_status mn_step_begin(mn_context *c) {
    c->tape_first = c->tape_last = NULL;
    c->tape_length = 0;
    c->next_node = 0;
    c->buffers = NULL;
    c->branches = c->waited_for = 0;
    c->step++;
    if (c->step_data.head && c->step_data.head->next) mn__place_changed(c); /* several blocks become one */
    if (!mn__arena_rewind(&c->step_data) || !mn__arena_rewind(&c->step_host))
        return MN__FAIL(c, MN_ERR_MEMORY, "out of memory while merging the memory of the last step");
    return MN_OK;
}

void mn_no_grad_begin(mn_context *c) { c->no_grad++; }
void mn_no_grad_end(mn_context *c) {
    if (c->no_grad > 0) c->no_grad--;
}
int mn_tape_length(const mn_context *c) { return c->tape_length; }

/* ---- forward ---- */

mn_status mn__op_fail(mn_node *n, mn_status status, const char *format, ...) {
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *name = mn__op(n->id)->name;
    return n->scope ? MN__FAIL(n->ctx, status, "%s \"%s\": %s", name, n->scope, text)
                    : MN__FAIL(n->ctx, status, "%s: %s", name, text);
}

mn_status mn__out(mn_node *n, mn_shape shape) {
    bool view = mn__op(n->id)->view || n->over || n->pending;
    n->out = view ? mn__tensor_shell(n->ctx, MN_STEP, n->ctx->dtype, shape)
                  : mn_tensor_create(n->ctx, MN_STEP, n->ctx->dtype, shape);
    if (!n->out) return n->ctx->error.status;
    if (view) n->out->data = n->in[0]->data;
    return MN_OK;
}

mn_status mn__save(mn_node *n, int k, mn_dtype dtype, mn_shape shape) {
    if (!n->recording) return MN_OK;
    n->saved[k] = mn_tensor_create(n->ctx, MN_STEP, dtype, shape);
    return n->saved[k] ? MN_OK : n->ctx->error.status;
}

static double per_row(const mn_tensor *w) { return (double)(w->count / w->shape.dim[0]); }

/* What a node computed and moved; backward, a product is computed once for each of its factors. */
static void measure(mn_profile *p, const mn_node *n, int direction, double seconds) {
    bool backward = direction == MN__BACKWARD;
    double size = (double)mn_dtype_size(n->ctx->dtype), factors = backward ? 2 : 1, bytes = factors * (double)n->out->count * size;
    for (int i = 0; i < n->n_in; i++) bytes += n->in[i] ? factors * (double)n->in[i]->count * size : 0;
    double products = 0; /* for each number of the result */
    if (n->id == MN_OP_conv2d || n->id == MN_OP_linear) products = per_row(n->in[1]);
    if (n->id == MN_OP_conv2d && ((const mn__conv2d_opt *)n->opt)->pooled) products *= 4;
    if (n->id == MN_OP_separable_conv2d) products = per_row(n->in[2]) + (double)n->in[1]->count / (double)n->in[2]->shape.dim[0];
    mn__profile_add(p, (mn_profile_row){.layer = n->scope, .op = mn__op(n->id)->name, .backward = backward, .seconds = seconds,
                                        .flop = 2 * factors * (double)n->out->count * products, .bytes = bytes});
}

/* 0 and the seconds since, by the device's clock; or a clock that stands for the processor. */
static double op_clock(const mn_context *c, bool end) {
    return c->device->timer ? c->device->timer(c->device_state, end) : mn__profile_clock();
}

static mn_status run(mn_node *n, int direction) {
    mn_context *c = n->ctx;
    mn_kernel kernel = c->kernels->run[n->id][direction][c->dtype];
    if (!kernel)
        return mn__op_fail(n, MN_ERR_UNSUPPORTED, "has no %s kernel for %s in %s",
                           direction == MN__FORWARD ? "forward" : "backward", c->device->name,
                           mn_dtype_name(c->dtype));
    if (n->workspace_bytes && !(n->workspace = mn__workspace(c, n->workspace_bytes))) return c->error.status;
    mn_profile *p = mn__profile();
    double begun = p ? op_clock(c, false) : 0;
    mn_status s = kernel(n);
    if (p) measure(p, n, direction, op_clock(c, true) - begun);
    return s;
}

mn_status mn__settle(mn_tensor *t) {
    if (!mn__pending(t)) return MN_OK;
    mn_node *n = t->node;
    void *data = mn__device_memory(n->ctx, MN_STEP, (size_t)t->count * mn_dtype_size(t->dtype));
    if (!data) return n->ctx->error.status;
    t->data = data;
    n->pending = false, n->settling = true;
    return run(n, MN__FORWARD);
}

/* Inputs that are pending, for a kernel that knows nothing of it. */
static mn_status settle_inputs(const mn_node *n) {
    mn_status s = MN_OK;
    for (int i = 0; i < n->n_in && !s; i++)
        if (!(mn__op(n->id)->through >> i & 1)) s = mn__settle(n->in[i]);
    return s;
}

static mn_status check_inputs(mn_node *n, const mn_op *op) {
    for (int i = 0; i < n->n_in; i++) {
        const mn_tensor *t = n->in[i];
        if (!t) continue;
        if (t->ctx != n->ctx) return mn__op_fail(n, MN_ERR_ARG, "input %d belongs to another context", i);
        if (t->dtype != n->ctx->dtype && !(t->dtype == MN_I32 && op->integers >> i & 1))
            return mn__op_fail(n, MN_ERR_ARG, "input %d is %s, wanted %s%s", i, mn_dtype_name(t->dtype),
                               mn_dtype_name(n->ctx->dtype), op->integers >> i & 1 ? " or i32" : "");
    }
    return MN_OK;
}

/* The context of the first input; NULL when an input that must be there is missing. */
static mn_context *common_context(const mn_op *op, mn_tensor **in, int n_in) {
    mn_context *c = NULL;
    for (int i = 0; i < n_in; i++) {
        if (in[i] && !c) c = in[i]->ctx;
        if (!in[i] && !(op->optional >> i & 1)) return NULL;
    }
    return c;
}

static mn_node *new_node(mn_context *c, mn_op_id id, mn_tensor **in, int n_in, const void *opt, size_t opt_bytes) {
    size_t inputs = (size_t)n_in * sizeof *in;
    mn_node *n = mn__host(c, MN_STEP, sizeof *n + inputs + opt_bytes);
    if (!n) return NULL;
    n->id = id, n->ctx = c, n->n_in = n_in, n->scope = c->scope, n->number = c->next_node++;
    n->in = memcpy(n + 1, in, inputs);
    n->opt = n->in + n_in, n->opt_bytes = opt_bytes;
    if (opt_bytes) memcpy(n->in + n_in, opt, opt_bytes);
    for (int i = 0; i < n_in && !c->no_grad; i++)
        if (mn__wants(n, i)) n->recording = true;
    return n;
}

static void append(mn_context *c, mn_node *n) {
    n->previous = c->tape_last;
    if (c->tape_last) c->tape_last->next = n;
    else c->tape_first = n;
    c->tape_last = n;
    c->tape_length++;
}

mn_tensor *mn__apply(mn_op_id id, mn_tensor **in, int n_in, const void *opt, size_t opt_bytes) {
    const mn_op *op = mn__op(id);
    mn_context *c = common_context(op, in, n_in);
    if (!c || c->error.status) return NULL; /* an earlier failure runs through to the end of the chain */
    if (n_in < 1 || n_in > MN__MAX_INPUTS)
        return MN__FAIL(c, MN_ERR_ARG, "%s: %d inputs; wanted 1 to %d", op->name, n_in, MN__MAX_INPUTS), NULL;
    mn_node *n = new_node(c, id, in, n_in, opt, opt_bytes);
    if (!n || check_inputs(n, op) || settle_inputs(n) || op->shape(n)) return NULL;
    if (!op->view && n->out->count > 0 && run(n, MN__FORWARD)) return NULL;
    n->out->node = n;
    n->out->requires_grad = n->recording;
    if (n->recording) append(c, n);
    return n->out;
}

/* ---- backward ---- */

/* Makes room for t's gradient. A leaf keeps its own for as long as it lives; others borrow a buffer. */
static mn_status make_room(mn_tensor *t) {
    if (t->grad) return MN_OK;
    mn_context *c = t->ctx;
    size_t bytes = (size_t)t->count * mn_dtype_size(t->dtype);
    mn_lifetime life = mn__is_leaf(t) ? t->lifetime : MN_STEP;
    mn_tensor *g = mn__tensor_shell(c, life, t->dtype, t->shape);
    if (!g) return c->error.status;
    g->data = mn__is_leaf(t) ? mn__device_memory(c, life, bytes) : mn__buffer_take(c, bytes);
    if (!g->data) return c->error.status;
    t->grad = g;
    return MN_OK;
}

/* What y's gradient lay in is free, unless an input's has taken it over. */
static void release(const mn_node *n) {
    mn_tensor *t = n->out;
    if (mn__is_leaf(t) || t->retain_grad || !t->grad) return;
    const mn_tensor *x = n->in[0];
    if (!x || !x->grad || x->grad->data != t->grad->data) mn__buffer_give(t->ctx, t->grad->data);
    t->grad = NULL;
}

/* A view's gradient is the same numbers: hand the buffer down when nothing is there yet, else add. */
static bool hand_down(mn_node *n) {
    mn_tensor *x = n->in[0], *y = n->out;
    if (mn__is_leaf(x) || x->grad || y->retain_grad) return false;
    x->grad = y->grad;
    x->grad->shape = x->shape;
    y->grad = NULL;
    return true;
}

/* Does the operation end in a rectifier: is it one, or has it a ReLU in its options? */
static bool rectifies(const mn_node *n) {
    switch (n->id) {
    case MN_OP_relu:
    case MN_OP_leaky_relu:
    case MN_OP_elu:
    case MN_OP_gelu:
    case MN_OP_silu:
    case MN_OP_clamp:
        return true;
    case MN_OP_conv2d:
        return ((const mn__conv2d_opt *)n->opt)->relu;
    case MN_OP_linear:
        return ((const mn__linear_opt *)n->opt)->relu;
    case MN_OP_batch_norm:
        return ((const mn__batch_norm_opt *)n->opt)->relu;
    default:
        return false;
    }
}

/* Kernels that read dy[i] for the last time when they write dx[i]. */
static bool writes_over(const mn_node *n) {
    return n->over || (n->id == MN_OP_batch_norm && n->ctx->device_kind == MN_CPU);
}

/* The gradient of such a kernel's input lies where that of its output lay. */
static mn_status share(mn_node *n) {
    mn_tensor *x = n->in[0], *y = n->out;
    if (!writes_over(n) || !mn__wants(n, 0) || mn__is_leaf(x) || x->grad || y->retain_grad) return MN_OK;
    if (!(x->grad = mn__tensor_shell(n->ctx, MN_STEP, x->dtype, x->shape))) return n->ctx->error.status;
    x->grad->data = y->grad->data;
    return MN_OK;
}

/* A loss that has left its input's gradient, in a pass that begins with it: nothing is computed, if the operation before it
 * will only read that. */
static bool hands_over(const mn_node *n) {
    if (!n || !n->ready || n->out->retain_grad || mn__is_leaf(n->in[0]) || n->in[0]->grad) return false;
    const mn_node *before = n->in[0]->node;
    return !mn__op(before->id)->view && !writes_over(before) && !rectifies(before);
}
static void hand_over(mn_node *n, uint64_t pass) {
    n->in[0]->grad = n->saved[0];
    n->in[0]->grad_pass = pass;
    release(n);
}

/* Gradients of n's inputs from the gradient of its output. `base`: leaves written by this pass or later
 * are added to. A branch may be writing the gradient of a leaf: who adds to it waits. */
static mn_status node_backward(mn_node *n, uint64_t pass, uint64_t base) {
    mn_context *c = n->ctx;
    n->accumulate = 0;
    if (mn__op(n->id)->view && hand_down(n)) {
        n->in[0]->grad_pass = pass;
        return MN_OK;
    }
    if (share(n)) return c->error.status;
    for (int i = 0; i < n->n_in; i++) {
        if (!mn__wants(n, i)) continue;
        mn_tensor *x = n->in[i];
        if (make_room(x)) return c->error.status;
        if (mn__is_leaf(x) && x->grad_pass == pass && mn__branches_wait(c, c->branches)) return c->error.status;
        if (x->grad_pass >= (mn__is_leaf(x) ? base : pass)) n->accumulate |= 1u << i;
        x->grad_pass = pass;
    }
    mn_status s = run(n, MN__BACKWARD);
    if (s == MN_OK) release(n);
    c->branched = false;
    return s;
}

/* For guided backpropagation: g = max(g, 0). Through the host, for it is one picture that somebody looks at. */
static mn_status keep_positive(mn_tensor *g) {
    double *v = mn_alloc((size_t)g->count * sizeof *v);
    if (!v) return MN__FAIL(g->ctx, MN_ERR_MEMORY, "out of host memory for a gradient");
    mn_status s = mn_get_f64(g, v);
    for (int64_t i = 0; i < g->count; i++) v[i] = v[i] > 0 ? v[i] : 0;
    if (s == MN_OK) s = mn_set_f64(g, v);
    mn_free(v);
    return s;
}

static mn_status walk_back(mn_context *c, mn_tensor *y, const mn_tensor *dy, bool accumulate, bool guided) {
    if (c->error.status) return c->error.status;
    if (!y) return MN__FAIL(c, MN_ERR_ARG, "backward: there is no tensor to start from (NULL)");
    if (!y->requires_grad)
        return MN__FAIL(c, MN_ERR_ARG, "backward: the tensor does not depend on anything that requires a gradient; "
                        "hint: was it computed between mn_no_grad_begin and mn_no_grad_end?");
    if (dy ? !mn_shape_equal(dy->shape, y->shape) : y->count != 1) {
        char a[64], b[64];
        return MN__FAIL(c, MN_ERR_SHAPE, "backward: starts from the shape %s with the gradient %s; hint: reduce the "
                        "loss to one number (mn_mean, mn_sum), or use mn_backward_from",
                        mn_shape_text(y->shape, a, sizeof a), dy ? mn_shape_text(dy->shape, b, sizeof b) : "1");
    }
    uint64_t pass = ++c->pass;
    if (!accumulate) c->base_pass = pass;
    if (make_room(y)) return c->error.status;
    const bool ready = !dy && hands_over(y->node);
    mn_status s = dy ? mn_copy(y->grad, dy) : ready ? MN_OK : mn_fill(y->grad, 1);
    y->grad_pass = pass;
    for (mn_node *n = c->tape_last; n && s == MN_OK; n = n->previous) {
        if (!n->out->grad || n->out->grad_pass != pass) continue;
        if (guided && rectifies(n)) s = keep_positive(n->out->grad);
        if (ready && n == y->node) hand_over(n, pass);
        else if (s == MN_OK) s = node_backward(n, pass, c->base_pass);
    }
    const mn_status waited = mn__branches_wait(c, c->branches); /* the parameters' gradients are there for all */
    return s ? s : waited;
}

mn_status mn__backward_from(mn_context *c, mn_tensor *y, const mn_tensor *dy, bool accumulate) {
    return walk_back(c, y, dy, accumulate, false);
}
mn_status mn_backward_guided(mn_context *c, mn_tensor *y, const mn_tensor *dy) {
    if (!dy) return MN__FAIL(c, MN_ERR_ARG, "backward_guided: the gradient to start from is NULL");
    return walk_back(c, y, dy, false, true);
}
mn_status mn_backward(mn_context *c, mn_tensor *loss) { return mn__backward_from(c, loss, NULL, false); }
mn_status mn_backward_accumulate(mn_context *c, mn_tensor *loss) { return mn__backward_from(c, loss, NULL, true); }
mn_status mn_backward_from(mn_context *c, mn_tensor *y, const mn_tensor *dy) {
    if (!dy) return MN__FAIL(c, MN_ERR_ARG, "backward_from: the gradient to start from is NULL");
    return mn__backward_from(c, y, dy, false);
}
uint64_t mn_backward_pass(const mn_context *c) { return c->pass; }

/* ---- drawing ---- */

static void dot_tensor(FILE *f, const mn_tensor *t) {
    char shape[64];
    fprintf(f, "  t%p [shape=%s,label=\"%s%s%s\"];\n", (const void *)t, mn__is_leaf(t) ? "box" : "ellipse",
            t->name ? t->name : "", t->name ? "\\n" : "", mn_shape_text(t->shape, shape, sizeof shape));
}

mn_status mn_tape_dot(mn_context *c, FILE *out) {
    fprintf(out, "digraph tape {\n  rankdir=TB; node [fontname=\"sans-serif\",fontsize=10];\n");
    for (const mn_node *n = c->tape_first; n; n = n->next) {
        fprintf(out, "  n%p [shape=box,style=\"rounded,filled\",fillcolor=\"#e8eef7\",label=\"%s%s%s\"];\n",
                (const void *)n, mn__op(n->id)->name, n->scope ? "\\n" : "", n->scope ? n->scope : "");
        for (int i = 0; i < n->n_in; i++) {
            if (!n->in[i]) continue;
            if (mn__is_leaf(n->in[i])) dot_tensor(out, n->in[i]);
            fprintf(out, "  t%p -> n%p;\n", (const void *)n->in[i], (const void *)n);
        }
        dot_tensor(out, n->out);
        fprintf(out, "  n%p -> t%p;\n", (const void *)n, (const void *)n->out);
    }
    fprintf(out, "}\n");
    return ferror(out) ? MN__FAIL(c, MN_ERR_IO, "the drawing of the tape could not be written") : MN_OK;
}
