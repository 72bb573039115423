/* An ONNX graph as a model: values by name, nodes in their order, inputs and outputs. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- values by name ---- */

static size_t slot_of(const mn__onnx_reader *r, const char *name) {
    size_t i = (size_t)mn__hash64(name, strlen(name)) & (r->slots - 1);
    while (r->slot[i] && strcmp(r->value[r->slot[i] - 1].name, name)) i = (i + 1) & (r->slots - 1);
    return i;
}

mn__onnx_value *mn__onnx_find(mn__onnx_reader *r, const char *name) {
    size_t i = slot_of(r, name);
    return r->slot[i] ? &r->value[r->slot[i] - 1] : NULL;
}

/* Every name stands for one value, from the beginning: pointers to values stay. */
static mn__onnx_value *declare(mn__onnx_reader *r, const char *name, const char *what) {
    size_t i = slot_of(r, name);
    if (r->slot[i]) return mn_fail(r->err, MN_ERR_FORMAT, "the %s \"%.100s\" has a name that is already taken", what, name), NULL;
    r->value[r->n_values] = (mn__onnx_value){.name = name, .x = -1};
    r->slot[i] = (uint32_t)++r->n_values;
    return &r->value[r->n_values - 1];
}

static mn_status make_table(mn__onnx_reader *r) {
    const Onnx__GraphProto *g = r->graph;
    size_t n = g->n_initializer + g->n_input;
    for (size_t i = 0; i < g->n_node; i++) n += g->node[i]->n_output;
    for (r->slots = 64; r->slots < 2 * n + 2; r->slots *= 2) {}
    r->room = n + 1;
    r->value = mn_alloc_zero(r->room, sizeof *r->value);
    r->slot = mn_alloc_zero(r->slots, sizeof *r->slot);
    return r->value && r->slot ? MN_OK : mn_fail(r->err, MN_ERR_MEMORY, "out of host memory for the names of the graph");
}

void mn__onnx_reader_end(mn__onnx_reader *r) {
    for (size_t i = 0; i < r->n_owned; i++) mn_free(r->owned[i]);
    for (size_t i = 0; i < r->n_pending; i++) mn_free(r->pending[i].number);
    mn_free(r->owned);
    mn_free(r->pending);
    mn_free(r->value);
    mn_free(r->slot);
}

/* ---- sentences ---- */

static const char *text_of(const char *s) { return s ? s : ""; }

static const char *node_name(const Onnx__NodeProto *n) {
    if (n->name && *n->name) return n->name;
    return n->n_output && n->output[0] ? n->output[0] : "";
}

mn_status mn__onnx_fail(mn__onnx_reader *r, mn_status status, const char *format, ...) {
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return mn_fail(r->err, status, "%.60s \"%.100s\": %s", text_of(r->node->op_type), node_name(r->node), text);
}

/* ---- a node's inputs and outputs ---- */

mn__onnx_value *mn__onnx_in(mn__onnx_reader *r, size_t i) {
    if (i >= r->node->n_input || !*r->node->input[i]) return NULL;
    return mn__onnx_find(r, r->node->input[i]); /* check_inputs has seen that it is there */
}

mn__onnx_value *mn__onnx_out(mn__onnx_reader *r, size_t i) {
    return i < r->node->n_output && *r->node->output[i] ? mn__onnx_find(r, r->node->output[i]) : NULL;
}

mn__onnx_value *mn__onnx_constant(mn__onnx_reader *r, size_t i) {
    mn__onnx_value *v = mn__onnx_in(r, i);
    if (v && v->kind == MN__ONNX_CONSTANT) return v;
    mn__onnx_fail(r, v ? MN_ERR_UNSUPPORTED : MN_ERR_FORMAT,
                  v ? "input %zu (\"%.60s\") is not a constant" : "input %zu%.0s is missing", i, v ? v->name : "");
    return NULL;
}

mn__onnx_value *mn__onnx_activation(mn__onnx_reader *r, size_t i) {
    mn__onnx_value *v = mn__onnx_in(r, i);
    if (v && v->kind == MN__ONNX_LAYER && !v->erf) return v;
    mn__onnx_fail(r, v ? MN_ERR_UNSUPPORTED : MN_ERR_FORMAT,
                  v ? "input %zu (\"%.60s\") is not computed from the network's input" : "input %zu%.0s is missing", i,
                  v ? v->name : "");
    return NULL;
}

static bool is_graph_output(const mn__onnx_reader *r, const char *name) {
    for (size_t i = 0; i < r->graph->n_output; i++)
        if (r->graph->output[i]->name && !strcmp(r->graph->output[i]->name, name)) return true;
    return false;
}

bool mn__onnx_is_final(mn__onnx_reader *r) {
    const mn__onnx_value *v = mn__onnx_out(r, 0);
    return v && !v->readers && is_graph_output(r, v->name);
}

/* ---- names of layers ---- */

static bool cut(char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    if (n <= m || strcmp(text + n - m, ending)) return false;
    text[n - m] = 0;
    return true;
}

/* What a layer may be called: no quotes, and a slash only between two words. */
static void clean(char *text) {
    char *to = text;
    for (char *p = text; *p; p++) {
        char c = (unsigned char)*p < ' ' || *p == '"' || *p == '\\' || *p == 127 ? '_' : *p;
        bool dot = c == '.' && (p[1] == '/' || !p[1]) && (to == text || to[-1] == '/');
        if ((c == '/' && (to == text || to[-1] == '/')) || dot) continue;
        *to++ = c;
    }
    while (to > text && to[-1] == '/') to--;
    *to = 0;
}

static const char *make_unique(mn_model *m, const char *base) {
    char text[MN__MAX_NAME];
    snprintf(text, sizeof text, "%.150s", *base ? base : "node");
    for (int k = 2; mn__layer_named(m, text); k = k < 9 ? k + 1 : k + m->n_layers) /* soon a number that no other has */
        snprintf(text, sizeof text, "%.150s_%d", *base ? base : "node", k);
    char *copy = mn__host(m->ctx, MN_MODEL, strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

const char *mn__onnx_layer_name(mn__onnx_reader *r, const mn__onnx_value *weight) {
    static const char *const endings[] = {".weight", "/kernel", "/depthwise_kernel", "/gamma", ".gamma", "_weight", NULL};
    char text[300], op[100];
    const char *output = r->node->output[0], *from = is_graph_output(r, output) ? output : NULL;
    bool found = false;
    if (!from && weight) {
        snprintf(text, sizeof text, "%s", weight->name);
        for (int i = 0; endings[i] && !found; i++) found = cut(text, endings[i]);
    }
    if (!found) {
        if (!from) from = r->node->name && *r->node->name ? r->node->name : output;
        snprintf(text, sizeof text, "%s", from);
        snprintf(op, sizeof op, "/%s", r->node->op_type);
        cut(text, op);
    }
    clean(text);
    return make_unique(r->m, text);
}

mn_status mn__onnx_give_like(mn__onnx_reader *r, mn_sym x, const mn__onnx_value *v) {
    mn__onnx_value *y = mn__onnx_out(r, 0);
    if (x < 0 || !y) return mn__onnx_fail(r, MN_ERR_FORMAT, "%s", x < 0 ? r->c->error.text : "has no output");
    mn__onnx_value own = *y;
    *y = *v;
    y->name = own.name, y->readers = own.readers, y->x = x, y->erf = 0;
    return MN_OK;
}

mn_status mn__onnx_give(mn__onnx_reader *r, mn_sym x) {
    mn__onnx_value v = {.kind = MN__ONNX_LAYER};
    for (int i = 0; i <= MN_MAX_DIMS; i++) v.order[i] = i;
    if (x >= 0) v.view = r->m->layer[x]->shape;
    return mn__onnx_give_like(r, x, &v);
}

/* ---- operators ---- */

static const struct operator{
    const char *name;
    mn__onnx_op *read;
}
operators[] = {
#define OP(name, function) {name, function},
#include "data/onnx/ops.def"
#undef OP
};

/* Anything that a node reads stands before it. */
static mn_status check_inputs(mn__onnx_reader *r) {
    const Onnx__NodeProto *n = r->node;
    for (size_t i = 0; i < n->n_input; i++) {
        if (!*n->input[i]) continue;
        const mn__onnx_value *v = mn__onnx_find(r, n->input[i]);
        if (!v || v->kind == MN__ONNX_NOTHING)
            return mn__onnx_fail(r, MN_ERR_FORMAT, "reads \"%.100s\", which %s", n->input[i],
                                 v ? "is no result of a node before it that is supported" : "is nowhere made");
    }
    bool used = n->n_output && (*n->output[0] || !strcmp(text_of(n->op_type), "LSTM")); /* an LSTM's last state may be all */
    if (!used) return mn__onnx_fail(r, MN_ERR_FORMAT, "has no output");
    return MN_OK;
}

static mn_status constant_node(mn__onnx_reader *r) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, "value");
    mn__onnx_value *y = mn__onnx_out(r, 0);
    if (a && a->t) return mn__onnx_constant_set(r, y, a->t);
    bool whole = !mn__onnx_attribute(r, "value_float") && !mn__onnx_attribute(r, "value_floats");
    a = r->node->n_attribute ? r->node->attribute[0] : NULL;
    if (!a || !a->name || strncmp(a->name, "value_", 6))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a constant of this kind is not supported");
    bool list = strchr(a->name, 's') != NULL;
    size_t n = !list ? 1 : whole ? a->n_ints : a->n_floats;
    double *p = mn__onnx_new_numbers(r, (int64_t)n);
    for (size_t i = 0; p && i < n; i++) p[i] = list ? (whole ? (double)a->ints[i] : a->floats[i]) : whole ? (double)a->i : a->f;
    return p ? mn__onnx_constant_own(r, y, whole, list ? 1 : 0, (int64_t)n, p) : r->err->status;
}

static mn_status shape_node(mn__onnx_reader *r) {
    mn__onnx_value *v = mn__onnx_in(r, 0), *y = mn__onnx_out(r, 0);
    double dim[MN__ONNX_MAX_RANK];
    int n = 0;
    if (!v || v->kind == MN__ONNX_ZEROS || v->erf)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "of a tensor without a known shape");
    if (v->kind == MN__ONNX_LAYER)
        n = mn__onnx_dims(v, dim);
    else
        for (n = 0; n < v->rank; n++) dim[n] = (double)v->dim[n];
    double *p = mn__onnx_new_numbers(r, n);
    if (!p) return r->err->status;
    memcpy(p, dim, (size_t)n * sizeof *p);
    return mn__onnx_constant_own(r, y, true, 1, n, p);
}

static mn_status unknown(mn__onnx_reader *r) {
    return mn_fail(r->err, MN_ERR_UNSUPPORTED,
                   "the operator %.60s%s%.60s of the node \"%.100s\" is not supported; hint: docs/onnx.md "
                   "lists those that are",
                   text_of(r->node->domain), *text_of(r->node->domain) ? "." : "", text_of(r->node->op_type), node_name(r->node));
}

static mn_status read_node(mn__onnx_reader *r) {
    const char *op = text_of(r->node->op_type), *domain = text_of(r->node->domain);
    if (*domain && strcmp(domain, "ai.onnx")) return unknown(r);
    if (check_inputs(r)) return r->err->status;
    if (!strcmp(op, "Constant")) return constant_node(r);
    if (!strcmp(op, "Shape")) return shape_node(r);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (!strcmp(op, operators[i].name)) {
            if (mn__onnx_is_constant_node(r)) return mn__onnx_fold(r);
            mn_status s = operators[i].read(r);
            if (s == MN_OK && r->m->status) s = mn__onnx_fail(r, r->m->status, "%s", r->c->error.text);
            return s;
        }
    return mn__onnx_is_constant_node(r) ? mn__onnx_fold(r) : unknown(r);
}

/* ---- inputs ---- */

/* Is everything that reads the input the move of the channels from the end to the front? */
static bool channels_move(const mn__onnx_reader *r, const char *name) {
    static const int64_t move[4] = {0, 3, 1, 2};
    int readers = 0;
    for (size_t i = 0; i < r->graph->n_node; i++) {
        const Onnx__NodeProto *n = r->graph->node[i];
        for (size_t k = 0; k < n->n_input; k++) {
            if (strcmp(n->input[k], name)) continue;
            const Onnx__AttributeProto *a = n->n_attribute == 1 ? n->attribute[0] : NULL;
            if (strcmp(text_of(n->op_type), "Transpose") || !a || a->n_ints != 4 || memcmp(a->ints, move, sizeof move))
                return false;
            readers++;
        }
    }
    return readers > 0;
}

static mn_status read_shape(mn__onnx_reader *r, const Onnx__ValueInfoProto *in, mn_shape *s) {
    const Onnx__TypeProto__Tensor *t = in->type ? in->type->tensor_type : NULL;
    const Onnx__TensorShapeProto *shape = t ? t->shape : NULL;
    if (!shape || shape->n_dim < 2 || shape->n_dim > MN_MAX_DIMS)
        return mn_fail(r->err, MN_ERR_UNSUPPORTED,
                       "the input \"%.100s\" has %zu dimensions; wanted 2 to %d, the first for the samples", in->name,
                       shape ? shape->n_dim : 0, MN_MAX_DIMS);
    if (t->elem_type != MN__ONNX_FLOAT && t->elem_type != MN__ONNX_DOUBLE && t->elem_type != MN__ONNX_FLOAT16)
        return mn_fail(r->err, MN_ERR_UNSUPPORTED, "the input \"%.100s\" has data type %d; wanted float", in->name, t->elem_type);
    *s = (mn_shape){.ndim = (int)shape->n_dim - 1};
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
        int64_t n = d->has_dim_value ? d->dim_value : 0;
        if (i == 0)
            r->batch = n > 0 && n < INT32_MAX ? n : 0;
        else if (n < 1 || n > MN__MAX_SAMPLE)
            return mn_fail(r->err, MN_ERR_UNSUPPORTED,
                           "dimension %zu of the input \"%.100s\" is not fixed; hint: export the network for "
                           "one size of picture, only the batch may be free",
                           i, in->name);
        else
            s->dim[i - 1] = n;
    }
    return MN_OK;
}

static mn_status read_input(mn__onnx_reader *r, const Onnx__ValueInfoProto *in) {
    mn_shape s;
    char name[300];
    if (r->m->n_inputs == MN__MAX_LAYER_INPUTS)
        return mn_fail(r->err, MN_ERR_UNSUPPORTED, "the graph has more than %d inputs", MN__MAX_LAYER_INPUTS);
    mn__onnx_value *v = declare(r, in->name, "input");
    if (!v || read_shape(r, in, &s)) return r->err->status;
    v->kind = MN__ONNX_LAYER;
    for (int i = 0; i <= MN_MAX_DIMS; i++) v->order[i] = i;
    if (s.ndim == 3 && channels_move(r, in->name)) { /* pictures (H,W,C): the network's input is (C,H,W) all the same */
        s = MN_SHAPE(s.dim[2], s.dim[0], s.dim[1]);
        v->order[1] = 2, v->order[2] = 3, v->order[3] = 1;
    }
    snprintf(name, sizeof name, "%s", in->name);
    clean(name);
    v->x = mn_model_input(r->m, make_unique(r->m, name), s);
    v->view = s;
    return v->x >= 0 ? MN_OK : mn_fail(r->err, r->m->status, "%s", r->c->error.text);
}

static mn_status declare_all(mn__onnx_reader *r) {
    const Onnx__GraphProto *g = r->graph;
    for (size_t i = 0; i < g->n_initializer; i++) {
        mn__onnx_value *v = g->initializer[i]->name ? declare(r, g->initializer[i]->name, "tensor") : NULL;
        if (!v) return mn_fail(r->err, MN_ERR_FORMAT, "a tensor without a name");
        if (mn__onnx_constant_set(r, v, g->initializer[i])) return r->err->status;
    }
    for (size_t i = 0; i < g->n_input; i++) {
        if (!g->input[i]->name || !*g->input[i]->name) return mn_fail(r->err, MN_ERR_FORMAT, "an input without a name");
        const mn__onnx_value *v = mn__onnx_find(r, g->input[i]->name); /* old files list the weights as inputs, too */
        if (!v && read_input(r, g->input[i])) return r->err->status;
    }
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (*g->node[i]->output[k] && !declare(r, g->node[i]->output[k], "result")) return r->err->status;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_input; k++) {
            mn__onnx_value *v = mn__onnx_find(r, g->node[i]->input[k]);
            if (v) v->readers++;
        }
    if (!r->m->n_inputs) return mn_fail(r->err, MN_ERR_FORMAT, "the graph has no input");
    return MN_OK;
}

/* ---- outputs ---- */

static bool marked(const mn_model *m, mn_sym x) {
    for (int i = 0; i < m->n_outputs; i++)
        if (m->output[i] == x) return true;
    return false;
}

static mn_status set_name(mn__onnx_reader *r, mn__layer *l, const char *name) {
    const char *copy = make_unique(r->m, name);
    if (!copy) return mn_fail(r->err, MN_ERR_MEMORY, "out of host memory for a name");
    l->name = copy;
    memcpy(l->opt, &copy, sizeof copy); /* every option struct begins with it */
    return MN_OK;
}

/* The layer that becomes an output is called like it; another one of that name gives way. */
static mn_status rename_layer(mn__onnx_reader *r, mn_sym x, const char *name) {
    char text[300];
    snprintf(text, sizeof text, "%.150s", name);
    clean(text);
    mn__layer *l = r->m->layer[x], *other = mn__layer_named(r->m, text);
    if (other == l) return MN_OK;
    if (other && set_name(r, other, text)) return r->err->status;
    return set_name(r, l, text);
}

static mn_status mark_outputs(mn__onnx_reader *r) {
    static const Onnx__NodeProto nowhere = ONNX__NODE_PROTO__INIT;
    Onnx__NodeProto output = nowhere;
    for (size_t i = 0; i < r->graph->n_output; i++) {
        char *name = r->graph->output[i]->name;
        mn__onnx_value *v = name ? mn__onnx_find(r, name) : NULL;
        if (!v || v->kind != MN__ONNX_LAYER || v->erf)
            return mn_fail(r->err, MN_ERR_FORMAT, "the output \"%.100s\" is not computed from the input", name ? name : "");
        output.op_type = (char *)"output", output.name = name;
        r->node = &output;
        mn_sym x = mn__onnx_plain(r, v, 0);
        if (x >= 0 && (marked(r->m, x) || r->m->layer[x]->class == &mn__class_input))
            x = mn_layer_activation(r->m, x, (mn_activation_layer){.name = make_unique(r->m, "output")});
        if (x < 0 || rename_layer(r, x, name) || mn_model_output(r->m, x))
            return mn_fail(r->err, r->c->error.status ? r->c->error.status : MN_ERR_FORMAT, "output \"%.100s\": %s", name,
                           r->c->error.text);
    }
    return MN_OK;
}

mn_model *mn__onnx_import(mn__onnx_reader *r) {
    const Onnx__GraphProto *g = r->graph;
    if (g->n_node > MN__ONNX_MAX_NODES || g->n_initializer > MN__ONNX_MAX_NODES || g->n_output < 1 ||
        g->n_output > MN__MAX_LAYER_INPUTS)
        return mn_fail(r->err, MN_ERR_UNSUPPORTED,
                       "the graph has %zu nodes, %zu weights and %zu outputs; wanted at most %d, %d and 1 to %d", g->n_node,
                       g->n_initializer, g->n_output, MN__ONNX_MAX_NODES, MN__ONNX_MAX_NODES, MN__MAX_LAYER_INPUTS),
               NULL;
    char name[300];
    snprintf(name, sizeof name, "%.150s", g->name && *g->name ? g->name : "model");
    r->m = mn_model_create(r->c, name);
    if (!r->m) return mn_fail(r->err, r->c->error.status, "%s", r->c->error.text), NULL;
    mn_status s = make_table(r);
    if (s == MN_OK) s = declare_all(r);
    for (size_t i = 0; i < g->n_node && s == MN_OK; i++) {
        r->node = g->node[i];
        s = read_node(r);
    }
    if (s == MN_OK) s = mark_outputs(r);
    return s ? NULL : r->m;
}

mn_status mn__onnx_fill(mn__onnx_reader *r) {
    for (size_t i = 0; i < r->n_pending; i++) {
        const mn__onnx_pending *p = &r->pending[i];
        mn_tensor *t = r->m->layer[p->x]->weight[p->weight].t;
        mn_status s = t ? mn_set_f64(t, p->number) : MN_ERR_FORMAT;
        if (s) return mn_fail(r->err, s, "%s", r->c->error.text);
    }
    return MN_OK;
}
#endif
