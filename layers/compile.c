/* Compiling a model for inference: its layers become the steps of layers/infer.h. Batch normalisation is folded into
 * weights, ReLU and additions into the steps that make their inputs, layers that do nothing without training vanish.
 * docs/inference.md tells why. A model that holds a layer without such a step keeps running on the tape. */
#include "layers/compile.h"
#include <string.h>

enum { MOST_STEPS = 4096 };

/* What the plan knows of a symbol: where its map is, the step that makes it, and whether that step may still change it
 * because nobody else reads what it makes. */
typedef struct value {
    int slot, step;
    bool exclusive;
} value;

typedef struct builder {
    mn_model *m;
    struct mn__plan *p;
    value *of; /* by symbol */
} builder;

/* ---- slots and steps ---- */

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Numbers a pixel of C channels takes. */
static int64_t lanes_for(int64_t C, int64_t vector) {
    int64_t lanes = 1;
    while (lanes < C && lanes < vector) lanes *= 2;
    return C > vector ? round_up(C, vector) : lanes;
}

static int new_slot(builder *b, int64_t H, int64_t W, int64_t C) {
    b->p->slot[b->p->n_slots] =
        (mn__slot){.map = {.H = H, .W = W, .C = C, .lanes = lanes_for(C, b->p->kernels->lanes)}, .tensor = -1};
    return b->p->n_slots++;
}

/* The tensor of a symbol, (C,H,W) as the tape has it. */
static int tensor_slot(builder *b, mn_sym s) {
    int i = new_slot(b, 1, 1, mn_shape_count(b->m->layer[s]->shape));
    b->p->slot[i].tensor = s;
    return i;
}

static value new_step(builder *b, const mn__layer *l, mn__infer_kind kind, int x, int y) {
    b->p->step[b->p->n_steps] = (mn__planned){.s = {.kind = kind}, .x = x, .plus = -1, .y = y, .layer = l};
    return (value){y, b->p->n_steps++, false};
}
static mn__planned *step_of(builder *b, value v) { return &b->p->step[v.step]; }

/* A step from the layer's first input to an image of the layer's shape. */
static value image_step(builder *b, const mn__layer *l, mn__infer_kind kind) {
    const int64_t *d = l->shape.dim;
    bool image = l->shape.ndim == 3;
    int y = image ? new_slot(b, d[1], d[2], d[0]) : new_slot(b, 1, 1, mn_shape_count(l->shape));
    return new_step(b, l, kind, b->of[l->in[0]].slot, y);
}

/* Scale, offset and activation as a step of their own. */
static value affine(builder *b, const mn__layer *l, value x, mn_activation a, double alpha) {
    mn__map m = b->p->slot[x.slot].map;
    value v = new_step(b, l, MN__INFER_AFFINE, x.slot, new_slot(b, m.H, m.W, m.C));
    if (alpha == 0) alpha = a == MN_ACT_ELU ? 1 : 0.01;
    step_of(b, v)->s.activation = a, step_of(b, v)->s.alpha = alpha;
    return v;
}

/* ReLU belongs to the step that made x, where only this activation reads x; others are a step of their own. */
static value activated(builder *b, const mn__layer *l, value x, mn_activation a, double alpha) {
    if (a == MN_ACT_LINEAR) return x;
    mn__planned *p = step_of(b, x);
    bool joins = a == MN_ACT_RELU && x.exclusive && p->s.activation == MN_ACT_LINEAR && p->s.kind != MN__INFER_LOAD &&
                 p->s.kind != MN__INFER_MEAN && p->s.kind != MN__INFER_FLATTEN;
    if (!joins) return affine(b, l, x, a, alpha);
    p->s.activation = MN_ACT_RELU;
    return x;
}

/* ---- layers ---- */

static void set_window(builder *b, const mn__layer *l, value v, const int size[2], const int stride[2], const int dilation[2]) {
    mn_shape x = mn__in_shape(l, 0);
    mn__infer_step *s = &step_of(b, v)->s;
    s->g = (mn__window){.C = x.dim[0],
                        .H = x.dim[1],
                        .W = x.dim[2],
                        .K = l->shape.dim[0],
                        .P = l->shape.dim[1],
                        .Q = l->shape.dim[2],
                        .R = size[0],
                        .S = size[1],
                        .groups = 1,
                        .stride_h = stride[0],
                        .stride_w = stride[1],
                        .dilation_h = dilation[0],
                        .dilation_w = dilation[1],
                        .top = l->pad[0],
                        .left = l->pad[2]};
}

/* Winograd's transforms pay from 16 channels on; for few pixels its kernels, four times as large, cost more to read. */
static bool winograd_fits(const mn__window *g) {
    return g->R == 3 && g->S == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1 &&
           g->C >= 16 && g->K >= 16 && g->P >= 3 && g->Q >= 3;
}

static const value unsupported = {-1, -1, false};

/* A convolution and its own activation. */
static value convolution(builder *b, const mn__layer *l, mn__infer_kind kind, const int size[2], const int stride[2],
                         const int dilation[2], mn_activation a) {
    value v = image_step(b, l, kind);
    set_window(b, l, v, size, stride, dilation);
    mn__planned *p = step_of(b, v);
    if (kind == MN__INFER_CONV && winograd_fits(&p->s.g)) p->s.kind = MN__INFER_WINOGRAD;
    p->cost = l->macs;
    v.exclusive = true;
    return activated(b, l, v, a, 0);
}

static value conv2d(builder *b, const mn__layer *l) {
    const mn_conv2d_layer *o = l->opt;
    if (o->groups != 1) return unsupported;
    return convolution(b, l, MN__INFER_CONV, o->kernel_size, o->strides, o->dilation_rate, o->activation);
}
static value depthwise(builder *b, const mn__layer *l) {
    const mn_depthwise_conv2d_layer *o = l->opt;
    if (o->depth_multiplier != 1) return unsupported;
    return convolution(b, l, MN__INFER_DEPTHWISE, o->kernel_size, o->strides, o->dilation_rate, o->activation);
}
static value separable(builder *b, const mn__layer *l) {
    const mn_separable_conv2d_layer *o = l->opt;
    if (o->depth_multiplier != 1) return unsupported;
    return convolution(b, l, MN__INFER_SEPARABLE, o->kernel_size, o->strides, o->dilation_rate, o->activation);
}

static value pooling(builder *b, const mn__layer *l, mn__infer_kind kind) {
    const mn_pooling2d_layer *o = l->opt;
    value v = image_step(b, l, kind);
    set_window(b, l, v, o->pool_size, o->strides, (const int[]){1, 1});
    step_of(b, v)->cost = mn_shape_count(l->shape) * o->pool_size[0] * o->pool_size[1];
    return v;
}

static value dense(builder *b, const mn__layer *l) {
    const mn_dense_layer *o = l->opt;
    value v = image_step(b, l, MN__INFER_DENSE);
    mn__planned *p = step_of(b, v);
    p->s.g = (mn__window){.C = mn__in_shape(l, 0).dim[0], .K = o->units};
    p->cost = l->macs;
    v.exclusive = true;
    return activated(b, l, v, o->activation, 0);
}

/* In images the order (C,H,W) must be made; one pixel has it already. */
static value flatten(builder *b, const mn__layer *l) {
    value x = b->of[l->in[0]];
    const mn__map *m = &b->p->slot[x.slot].map;
    return m->H * m->W == 1 ? x : image_step(b, l, MN__INFER_FLATTEN);
}

/* Into the step that made the later of the two, where only this addition reads it. */
static value sum_of_two(builder *b, const mn__layer *l, value x, value y) {
    value late = x.step > y.step ? x : y, early = x.step > y.step ? y : x;
    mn__planned *p = step_of(b, late);
    mn__infer_kind k = p->s.kind;
    bool joins = late.exclusive && late.step != early.step && p->plus < 0 && p->s.activation == MN_ACT_LINEAR &&
                 (k == MN__INFER_CONV || k == MN__INFER_WINOGRAD || k == MN__INFER_SEPARABLE || k == MN__INFER_MAX_POOL ||
                  k == MN__INFER_AVERAGE_POOL);
    if (joins) {
        p->plus = early.slot;
        return late;
    }
    mn__map m = b->p->slot[x.slot].map;
    value v = new_step(b, l, MN__INFER_ADD, x.slot, new_slot(b, m.H, m.W, m.C));
    step_of(b, v)->plus = y.slot;
    return v;
}

static value addition(builder *b, const mn__layer *l) {
    value sum = b->of[l->in[0]];
    for (int i = 1; i < l->n_in; i++) {
        sum = sum_of_two(b, l, sum, b->of[l->in[i]]);
        sum.exclusive = true;
    }
    return sum;
}

/* The step or steps of a layer. `exclusive` of what comes back is set by the caller. */
static value translate(builder *b, const mn__layer *l) {
    const mn__layer_class *k = l->class;
    value x = l->n_in ? b->of[l->in[0]] : unsupported;
    if (l->folded || k == &mn__class_dropout) return x;
    if (l->each_step || l->shape.ndim == 2 || l->shape.ndim > 3) return unsupported;
    if (k == &mn__class_conv2d) return conv2d(b, l);
    if (k == &mn__class_depthwise_conv2d) return depthwise(b, l);
    if (k == &mn__class_separable_conv2d) return separable(b, l);
    if (k == &mn__class_dense) return dense(b, l);
    if (k == &mn__class_max_pooling2d) return pooling(b, l, MN__INFER_MAX_POOL);
    if (k == &mn__class_average_pooling2d) return pooling(b, l, MN__INFER_AVERAGE_POOL);
    if (k == &mn__class_global_average_pooling2d) return image_step(b, l, MN__INFER_MEAN);
    if (k == &mn__class_flatten) return flatten(b, l);
    if (k == &mn__class_add) return addition(b, l);
    if (k == &mn__class_batch_normalization || k == &mn__class_rescaling) return affine(b, l, x, MN_ACT_LINEAR, 0);
    if (k == &mn__class_activation) {
        const mn_activation_layer *o = l->opt;
        return activated(b, l, x, o->activation, o->alpha);
    }
    return unsupported;
}

static bool has_softmax(mn__layer *l) {
    const mn_activation *a = mn__layer_activation(l);
    return a && *a == MN_ACT_SOFTMAX;
}

static value input(builder *b, const mn__layer *l, mn_sym i) {
    const int64_t *d = l->shape.dim;
    if (l->shape.ndim != 1 && l->shape.ndim != 3) return unsupported;
    int y = l->shape.ndim == 3 ? new_slot(b, d[1], d[2], d[0]) : new_slot(b, 1, 1, d[0]);
    return new_step(b, l, MN__INFER_LOAD, tensor_slot(b, i), y);
}

/* All steps; false where the model has a layer that has none. */
static bool build(builder *b) {
    mn_model *m = b->m;
    for (int i = 0; i < m->n_layers; i++) {
        mn__layer *l = m->layer[i];
        if (has_softmax(l)) return false;
        value v = l->class == &mn__class_input ? input(b, l, i) : translate(b, l);
        if (v.slot < 0) return false;
        bool handed_on = l->n_in && b->of[l->in[0]].slot == v.slot && !b->of[l->in[0]].exclusive;
        v.exclusive = mn__layer_readers(m, i) == 1 && !handed_on;
        b->of[i] = v;
    }
    for (int i = 0; i < m->n_outputs; i++) {
        mn__layer *l = m->layer[m->output[i]];
        if (l->class == &mn__class_input) return false;
        new_step(b, l, MN__INFER_STORE, b->of[m->output[i]].slot, tensor_slot(b, m->output[i]));
    }
    return true;
}

/* ---- borders ---- */

static void at_least(int64_t *a, int64_t b) {
    if (b > *a) *a = b;
}

/* The zeros around x that the windows of a convolution read. Winograd's tiles go on to a multiple of 4 pixels. */
static void ask_borders(const mn__planned *p, mn__map *x) {
    const mn__window *g = &p->s.g;
    mn__infer_kind k = p->s.kind;
    if (k != MN__INFER_CONV && k != MN__INFER_WINOGRAD && k != MN__INFER_DEPTHWISE && k != MN__INFER_SEPARABLE) return;
    int64_t P = k == MN__INFER_WINOGRAD ? round_up(g->P, 4) : g->P, Q = k == MN__INFER_WINOGRAD ? round_up(g->Q, 4) : g->Q;
    at_least(&x->top, g->top), at_least(&x->left, g->left);
    at_least(&x->bottom, (P - 1) * g->stride_h + (g->R - 1) * g->dilation_h + 1 - g->top - g->H);
    at_least(&x->right, (Q - 1) * g->stride_w + (g->S - 1) * g->dilation_w + 1 - g->left - g->W);
}

/* Sizes, and what the steps point to. Vectors may read on beyond the last pixel. */
static void settle(struct mn__plan *p) {
    for (int i = 0; i < p->n_steps; i++) ask_borders(&p->step[i], &p->slot[p->step[i].x].map);
    for (int i = 0; i < p->n_slots; i++) {
        mn__map *m = &p->slot[i].map;
        m->row = (m->W + m->left + m->right) * m->lanes;
        m->size = round_up((m->H + m->top + m->bottom) * m->row + 2 * p->kernels->lanes, 16);
        if (p->slot[i].tensor >= 0) m->lanes = m->row = m->size = m->C;
    }
    for (int i = 0; i < p->n_steps; i++) {
        mn__planned *s = &p->step[i];
        s->s.x = &p->slot[s->x].map, s->s.y = &p->slot[s->y].map;
        s->s.plus = s->plus >= 0 ? &p->slot[s->plus].map : NULL;
        if (!s->cost) s->cost = s->s.y->size * 4;
    }
}

/* ---- weights ---- */

/* A batch norm that could not be folded is y = scale*x + offset. */
static mn_status affine_factors(mn__planned *p) {
    const mn__layer *l = p->layer;
    mn_context *c = l->model->ctx;
    int64_t n = p->s.x->C;
    bool norm = l->class == &mn__class_batch_normalization;
    if (!norm && l->class != &mn__class_rescaling) return MN_OK;
    double *scale = p->s.scale ? (double *)p->s.scale : mn__host(c, MN_MODEL, (size_t)(4 * n) * sizeof *scale);
    if (!scale) return c->error.status;
    p->s.scale = scale, p->s.offset = scale + n;
    if (norm) return mn__norm_factors(l, n, scale, scale + n, scale + 2 * n);
    const mn_rescaling_layer *o = l->opt;
    for (int64_t i = 0; i < n; i++) scale[i] = o->scale, scale[n + i] = o->offset;
    return MN_OK;
}

static void find_weights(mn__planned *p) {
    const mn__weight *w = p->layer->weight;
    bool separable = p->s.kind == MN__INFER_SEPARABLE;
    if (p->s.kind != MN__INFER_CONV && p->s.kind != MN__INFER_WINOGRAD && p->s.kind != MN__INFER_DEPTHWISE &&
        p->s.kind != MN__INFER_DENSE && !separable)
        return;
    const mn_tensor *bias = w[separable ? 2 : 1].t;
    p->s.depthwise = separable ? w[0].t->data : NULL;
    p->s.w = w[separable ? 1 : 0].t->data, p->s.b = bias ? bias->data : NULL;
}

mn_status mn__plan_pack(mn_model *m) {
    struct mn__plan *p = m->plan;
    mn_context *c = m->ctx;
    for (int i = 0; i < p->n_steps; i++) {
        mn__planned *s = &p->step[i];
        const mn__infer_way *way = p->kernels->way[s->s.kind];
        int64_t count = way->packed ? way->packed(&s->s) : 0;
        find_weights(s);
        if (s->s.kind == MN__INFER_AFFINE && affine_factors(s)) return c->error.status;
        if (!count) continue;
        if (!s->s.packed) s->s.packed = mn__device_memory(c, MN_MODEL, (size_t)count * mn_dtype_size(c->dtype));
        if (!s->s.packed) return c->error.status;
        way->pack(&s->s, c->threads);
    }
    p->pass = c->pass;
    return MN_OK;
}

/* Weights of more than 400 KB that meet few pixels of an image are read once for all images; dense ones always. */
static void weigh(struct mn__plan *p, size_t width) {
    for (int i = 0; i < p->n_steps; i++) {
        mn__planned *s = &p->step[i];
        const mn__infer_way *way = p->kernels->way[s->s.kind];
        int64_t count = way->packed ? way->packed(&s->s) : 0;
        if (s->s.kind == MN__INFER_DENSE)
            s->heavy = s->s.g.C * s->s.g.K > 4096;
        else
            s->heavy = count * (int64_t)width > 400000 && s->s.g.P * s->s.g.Q < 1024;
    }
}

/* A layer becomes at most as many steps as it has inputs (additions) and one for its activation. */
static size_t most_steps(const mn_model *m) {
    size_t n = (size_t)m->n_outputs;
    for (int i = 0; i < m->n_layers; i++) n += (size_t)m->layer[i]->n_in + 2;
    return n;
}

static struct mn__plan *new_plan(const mn_model *m) {
    mn_context *c = m->ctx;
    size_t steps = most_steps(m);
    struct mn__plan *p = mn__host(c, MN_MODEL, sizeof *p);
    if (!p) return NULL;
    p->kernels = c->kernels->infer[c->dtype];
    p->slot = mn__host(c, MN_MODEL, 2 * steps * sizeof *p->slot); /* a tensor's beside each step's own */
    p->step = mn__host(c, MN_MODEL, steps * sizeof *p->step);
    return p->slot && p->step ? p : NULL;
}

int mn_model_compile(mn_model *m) {
    if (!m || mn_model_fold_batch_norm(m) < 0) return -1;
    mn_context *c = m->ctx;
    if (!m->plan) {
        if (!c->kernels->infer[c->dtype] || most_steps(m) > MOST_STEPS) return 0;
        builder b = {.m = m, .p = new_plan(m), .of = mn_alloc((size_t)m->n_layers * sizeof *b.of)};
        bool built = b.p && b.of && build(&b);
        mn_free(b.of);
        if (!b.p || !b.of) return MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for compiling \"%s\"", m->name), -1;
        if (!built) return 0;
        settle(b.p);
        weigh(b.p, mn_dtype_size(c->dtype));
        mn__plan_memory(b.p);
        m->plan = b.p;
    }
    return mn__plan_pack(m) ? -1 : 1;
}
