/* The layers of a network as calls of the exported kernels. */
#include "data/export_c/export_c.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>

void mn__grow(mn__growing *g, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t n = (size_t)vsnprintf(NULL, 0, format, args);
    if (!g->failed && g->used + n + 1 > g->capacity) {
        size_t capacity = 2 * g->capacity + n + 1024;
        char *p = mn_realloc(g->text, g->capacity, capacity);
        if (p)
            g->text = p, g->capacity = capacity;
        else
            g->failed = true;
    }
    if (!g->failed) g->used += (size_t)vsnprintf(g->text + g->used, n + 1, format, again);
    va_end(again);
    va_end(args);
}

/* ---- buffers ---- */

int mn__export_buffer(mn__export *x, int64_t size) {
    x->size[x->n_buffers] = size;
    return x->n_buffers++;
}

mn__pointer mn__pointer_to(int buffer, int64_t per_step) {
    mn__pointer p;
    if (per_step)
        snprintf(p.text, sizeof p.text, "@%d + t * %lld", buffer, (long long)per_step);
    else
        snprintf(p.text, sizeof p.text, "@%d", buffer);
    return p;
}

static mn_sym only_reader(const mn_model *m, mn_sym i) {
    if (mn__layer_readers(m, i) != 1) return -1;
    for (int r = i + 1; r < m->n_layers; r++)
        for (int k = 0; k < m->layer[r]->n_in; k++)
            if (m->layer[r]->in[k] == i) return r;
    return -1;
}

/* Does the layer give on what it reads? */
static bool passes_on(const mn__layer *l) {
    const mn_activation *a = mn__layer_activation(l);
    return l->folded || l->class->view || l->class == &mn__class_dropout ||
           (l->class == &mn__class_activation && *a == MN_ACT_LINEAR);
}

/* Does anybody read the buffer of layer i's input after layer i? */
static bool read_later(const mn__export *x, mn_sym i) {
    int b = x->buffer[x->m->layer[i]->in[0]];
    if (b == 0) return true; /* the caller's */
    for (int o = 0; o < x->m->n_outputs; o++)
        if (x->m->output[o] < i && x->buffer[x->m->output[o]] == b) return true;
    for (int r = i + 1; r < x->m->n_layers; r++)
        for (int k = 0; k < x->m->layer[r]->n_in; k++) {
            mn_sym from = x->m->layer[r]->in[k];
            if (from < i && x->buffer[from] == b) return true;
        }
    return false;
}

/* The output of a layer that works number by number: its input's place when nobody needs that any more. */
static int in_place(mn__export *x, mn_sym i) {
    const mn__layer *l = x->m->layer[i];
    return read_later(x, i) ? mn__export_buffer(x, mn_shape_count(l->shape)) : x->buffer[l->in[0]];
}

/* ---- activations ---- */

static mn__after activation_after(mn__export *x, mn_sym i) {
    const mn__layer *l = x->m->layer[i];
    const mn_activation *own = mn__layer_activation(l);
    mn__after a = {.function = own ? *own : MN_ACT_LINEAR, .low = "-FLT_MAX"};
    for (mn_sym next = only_reader(x->m, i); a.function == MN_ACT_LINEAR && next >= 0; next = only_reader(x->m, next)) {
        const mn__layer *n = x->m->layer[next];
        const mn_activation_layer *o = n->class == &mn__class_activation ? n->opt : NULL;
        if (!passes_on(n) && (!o || o->activation != MN_ACT_RELU)) break;
        if (o && o->activation == MN_ACT_RELU) a.function = MN_ACT_RELU, x->absorbed[next] = i;
    }
    if (a.function == MN_ACT_RELU) a.low = "0";
    return a;
}

static void say_activation(mn__export *x, mn__after a, const char *from, int64_t n, const char *to) {
    static const char *const name[] = {"", "RELU", "LEAKY_RELU", "ELU", "SIGMOID", "TANH", "GELU", "SILU", "SOFTPLUS"};
    if (a.function == MN_ACT_LINEAR) return;
    double alpha = a.alpha != 0 ? a.alpha : a.function == MN_ACT_LEAKY_RELU ? 0.01 : 1;
    if (a.function == MN_ACT_SOFTMAX)
        MN__SAY("    KERNEL(softmax)(%s, %lld, %s);\n", from, (long long)n, to);
    else
        MN__SAY("    KERNEL(activate)(%s, %lld, %s, (float)%.9g, %s);\n", from, (long long)n, name[a.function], alpha, to);
}

/* ---- layers without kernels ---- */

static long long count(mn_shape s) { return (long long)mn_shape_count(s); }

/* y = x*factor + offset, channel by channel: batch normalisation with its moving statistics. */
static mn_status plan_norm(mn__export *x, const mn__call *c) {
    const mn_batch_normalization_layer *o = c->l->opt;
    const int32_t *order = x->orders.order[c->l->in[0]];
    int64_t n = c->in.dim[0], first = x->numbers.n;
    double *w[4] = {0}, *factor = mn_alloc((size_t)n * 2 * sizeof *factor);
    mn_status s = factor ? MN_OK : mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for a batch normalisation");
    for (int k = 0; k < 4 && s == MN_OK; k++) s = mn__export_values(x, &c->l->weight[k], &w[k]);
    for (int64_t i = 0; i < n && s == MN_OK; i++) {
        int64_t to = order ? order[i] : i;
        factor[to] = (w[0] ? w[0][i] : 1) / sqrt(w[3][i] + o->epsilon);
        factor[n + to] = (w[1] ? w[1][i] : 0) - factor[to] * w[2][i];
    }
    for (int64_t i = 0; i < 2 * n && s == MN_OK; i++) s = mn__export_number(x, factor[i]);
    for (int k = 0; k < 4; k++) mn_free(w[k]);
    mn_free(factor);
    MN__SAY("    KERNEL(scale)(%s, %lld, %lld, numbers + %lld, numbers + %lld, %s);\n", c->from.text, count(c->in) / n,
            (long long)n, (long long)first, (long long)(first + n), c->to.text);
    return s;
}

static void say_pool(mn__export *x, const mn__call *c, const int *size, const int *stride, const int *pad, bool mean) {
    MN__SAY("    KERNEL(pool)(%s, %lld, %lld, %lld, (const int[]){%d, %d}, (const int[]){%d, %d}, %d, %d, %lld, %lld, %d, %s);\n",
            c->from.text, (long long)c->in.dim[1], (long long)c->in.dim[2], (long long)c->in.dim[0], size[0], size[1], stride[0],
            stride[1], pad[0], pad[2], c->out.ndim == 3 ? (long long)c->out.dim[1] : 1,
            c->out.ndim == 3 ? (long long)c->out.dim[2] : 1, mean, c->to.text);
}

static mn_status plan_pool(mn__export *x, const mn__call *c) {
    const mn_pooling2d_layer *o = c->l->opt;
    if (c->l->class == &mn__class_global_average_pooling2d)
        say_pool(x, c, (const int[]){(int)c->in.dim[1], (int)c->in.dim[2]}, (const int[]){1, 1}, (const int[]){0, 0, 0, 0}, true);
    else
        say_pool(x, c, o->pool_size, o->strides, c->l->pad, c->l->class == &mn__class_average_pooling2d);
    return MN_OK;
}

static mn_status plan_padding(mn__export *x, const mn__call *c) {
    const int *p = ((const mn_zero_padding2d_layer *)c->l->opt)->padding;
    long long n = (long long)c->in.dim[0];
    MN__SAY("    KERNEL(pad)(%s, %lld, %lld, %d, %d, %lld, %lld, %s);\n", c->from.text, (long long)c->in.dim[1],
            (long long)c->in.dim[2] * n, p[0], p[1], p[2] * n, p[3] * n, c->to.text);
    return MN_OK;
}

static mn_status plan_rescaling(mn__export *x, const mn__call *c) {
    const mn_rescaling_layer *o = c->l->opt;
    MN__SAY("    KERNEL(rescale)(%s, %lld, (float)%.9g, (float)%.9g, %s);\n", c->from.text, count(c->in), o->scale, o->offset,
            c->to.text);
    return MN_OK;
}

/* ---- layers of several inputs: whole sequences at once ---- */

static void plan_add(mn__export *x, mn_sym i, mn__pointer to, const char *low) {
    const mn__layer *l = x->m->layer[i];
    for (int k = 1; k < l->n_in; k++)
        MN__SAY("    KERNEL(add)(%s, @%d, %lld, %s, %s);\n", k == 1 ? mn__pointer_to(x->buffer[l->in[0]], 0).text : to.text,
                x->buffer[l->in[k]], count(l->shape), k == l->n_in - 1 ? low : "-FLT_MAX", to.text);
}

/* Along any dimension: each input is pieces of its last dimensions, from that one on. */
static void plan_concatenate(mn__export *x, mn_sym i, mn__pointer to) {
    const mn__layer *l = x->m->layer[i];
    int axis = ((const mn_concatenate_layer *)l->opt)->axis - 1 + l->each_step, ndim = l->shape.ndim;
    int64_t pieces = 1, whole = 1, done = 0;
    for (int d = 0, before = 1; d < ndim; d++) { /* dimensions in the order of the file: (T,H,W,C) */
        if (mn__file_dim(ndim, d) == axis) before = 0;
        if (before)
            pieces *= l->shape.dim[mn__file_dim(ndim, d)];
        else
            whole *= l->shape.dim[mn__file_dim(ndim, d)];
    }
    for (int k = 0; k < l->n_in; k++) {
        int64_t n = mn_shape_count(x->m->layer[l->in[k]]->shape) / pieces;
        MN__SAY("    KERNEL(join)(@%d, %lld, %lld, %lld, %s + %lld);\n", x->buffer[l->in[k]], (long long)pieces, (long long)n,
                (long long)whole, to.text, (long long)done);
        done += n;
    }
}

/* ---- the walk ---- */

static const struct {
    const mn__layer_class *class;
    mn_status (*plan)(mn__export *x, const mn__call *c);
    bool activates, in_place;
} planners[] = {
    {&mn__class_conv2d, mn__plan_conv2d, true, false},
    {&mn__class_depthwise_conv2d, mn__plan_depthwise, true, false},
    {&mn__class_separable_conv2d, mn__plan_separable, true, false},
    {&mn__class_dense, mn__plan_dense, true, false},
    {&mn__class_batch_normalization, plan_norm, false, true},
    {&mn__class_rescaling, plan_rescaling, false, true},
    {&mn__class_max_pooling2d, plan_pool, false, false},
    {&mn__class_average_pooling2d, plan_pool, false, false},
    {&mn__class_global_average_pooling2d, plan_pool, false, false},
    {&mn__class_zero_padding2d, plan_padding, false, false},
    {&mn__class_lstm, mn__plan_lstm, false, false},
    {&mn__class_conv_lstm2d, mn__plan_conv_lstm, false, false},
};
enum { N_PLANNERS = sizeof planners / sizeof *planners };

static mn_shape one_step(mn_shape s, bool each_step) {
    if (!each_step) return s;
    mn_shape step = {.ndim = s.ndim - 1};
    memcpy(step.dim, s.dim + 1, (size_t)step.ndim * sizeof *step.dim);
    return step;
}

static mn_status plan_one(mn__export *x, mn_sym i, int p) {
    const mn__layer *l = x->m->layer[i];
    bool steps = l->each_step;
    mn__call c = {.l = l, .in = mn__in_shape(l, 0), .out = one_step(l->shape, steps), .after = {.low = "-FLT_MAX"}};
    if (planners[p].activates) c.after = activation_after(x, i);
    x->buffer[i] = planners[p].in_place ? in_place(x, i) : mn__export_buffer(x, mn_shape_count(l->shape));
    c.from = mn__pointer_to(x->buffer[l->in[0]], steps ? mn_shape_count(c.in) : 0);
    c.to = mn__pointer_to(x->buffer[i], steps ? mn_shape_count(c.out) : 0);
    if (steps) MN__SAY("    for (t = 0; t < %lld; t++) {\n", (long long)l->shape.dim[0]);
    mn_status s = planners[p].plan(x, &c);
    if (c.after.function != MN_ACT_RELU) say_activation(x, c.after, c.to.text, mn_shape_count(c.out), c.to.text);
    if (steps) MN__SAY("    }\n");
    return s;
}

/* In softmax the features of each sample compete; elsewhere steps need no loop. */
static mn_status plan_activation(mn__export *x, mn_sym i) {
    const mn__layer *l = x->m->layer[i];
    const mn_activation_layer *o = l->opt;
    x->buffer[i] = in_place(x, i);
    bool loop = o->activation == MN_ACT_SOFTMAX && l->each_step;
    int64_t n = mn_shape_count(one_step(l->shape, loop));
    mn__pointer from = mn__pointer_to(x->buffer[l->in[0]], loop ? n : 0), to = mn__pointer_to(x->buffer[i], loop ? n : 0);
    if (loop) MN__SAY("    for (t = 0; t < %lld; t++)\n", (long long)l->shape.dim[0]);
    say_activation(x, (mn__after){.function = o->activation, .alpha = o->alpha}, from.text, n, to.text);
    return MN_OK;
}

static mn_status plan_layer(mn__export *x, mn_sym i) {
    const mn__layer *l = x->m->layer[i];
    char class[64];
    if (x->absorbed[i] >= 0 || (l->n_in && passes_on(l))) {
        x->buffer[i] = x->buffer[x->absorbed[i] >= 0 ? x->absorbed[i] : l->in[0]];
        return MN_OK;
    }
    if (l->class == &mn__class_input) return MN_OK; /* buffer 0 */
    snprintf(class, sizeof class, "%s", l->class->name);
    MN__SAY("%c    /* ", MN__NEW_CALL);
    for (const char *p = l->name; *p; p++) /* a name must not end the comment */
        MN__SAY("%c", (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '-' ? *p : '_');
    MN__SAY(": %s */\n", class);
    if ((l->n_in > 1 || l->each_step) && (l->class == &mn__class_lstm || l->class == &mn__class_conv_lstm2d))
        return mn_fail(x->err, MN_ERR_UNSUPPORTED, "%s \"%s\": %s is not exported to C", class, l->name,
                       l->n_in > 1 ? "a mask" : "a recurrent layer inside TimeDistributed");
    if (l->class == &mn__class_activation) return plan_activation(x, i);
    if (l->class == &mn__class_add) {
        const char *low = activation_after(x, i).low;
        x->buffer[i] = l->n_in == 2 ? in_place(x, i) : mn__export_buffer(x, mn_shape_count(l->shape));
        return plan_add(x, i, mn__pointer_to(x->buffer[i], 0), low), MN_OK;
    }
    if (l->class == &mn__class_concatenate) {
        x->buffer[i] = mn__export_buffer(x, mn_shape_count(l->shape));
        return plan_concatenate(x, i, mn__pointer_to(x->buffer[i], 0)), MN_OK;
    }
    for (int p = 0; p < N_PLANNERS; p++)
        if (planners[p].class == l->class) return plan_one(x, i, p);
    return mn_fail(x->err, MN_ERR_UNSUPPORTED, "%s \"%s\": this class of layers is not exported to C", class, l->name);
}

static void plan_outputs(mn__export *x) {
    int64_t done = 0;
    MN__SAY("%c    /* the outputs */\n", MN__NEW_CALL);
    for (int i = 0; i < x->m->n_outputs; i++) {
        int b = x->buffer[x->m->output[i]];
        long long n = count(mn_model_output_shape(x->m, i));
        bool classes = mn__ends_in_softmax(x->m, x->info, x->m->output[i]);
        double t = classes ? x->info->calibration[i].temperature : 0;
        if (t > 0 && t != 1)
            MN__SAY("    KERNEL(rescale)(@%d, %lld, (float)%.9g, 0, out + %lld);\n    KERNEL(softmax)(out + %lld, %lld, out + "
                    "%lld);\n",
                    b, n, 1 / t, (long long)done, (long long)done, n, (long long)done);
        else if (classes)
            MN__SAY("    KERNEL(softmax)(@%d, %lld, out + %lld);\n", b, n, (long long)done);
        else
            MN__SAY("    memcpy(out + %lld, @%d, %lld * sizeof *out);\n", (long long)done, b, n);
        done += n;
    }
}

mn_status mn__export_plan(mn__export *x) {
    const mn_model *m = x->m;
    if (m->n_inputs != 1)
        return mn_fail(x->err, MN_ERR_UNSUPPORTED, "the model \"%s\" has %d inputs; wanted one for a C file", m->name,
                       m->n_inputs);
    mn_status s = mn__orders_create(&x->orders, m, x->err);
    if (s) return s;
    mn__export_buffer(x, mn_shape_count(mn_model_input_shape(m, 0)));
    for (int i = 0; i < m->n_layers; i++) x->absorbed[i] = -1;
    for (int i = 0; i < m->n_layers && s == MN_OK; i++) s = plan_layer(x, i);
    if (s == MN_OK) plan_outputs(x);
    if (s == MN_OK && (x->calls.failed || x->first_call.failed))
        s = mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for the C text");
    return s;
}
