/* The graph: adding layers by name and shape, inputs and outputs, the first error. */
#include "layers/internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const mn__layer_class *const mn__layer_classes[] = {
#define LAYER(NAME, stem) &mn__class_##stem,
#include "layers/layers.def"
#undef LAYER
    NULL};

const mn__layer_class *mn__layer_class_find(const char *name) {
    for (int i = 0; mn__layer_classes[i]; i++)
        if (!strcmp(mn__layer_classes[i]->name, name)) return mn__layer_classes[i];
    return NULL;
}

/* ---- failures ---- */

static mn_status fail_with(mn_model *m, mn_status status, const char *text) {
    MN__FAIL(m->ctx, status, "%s", text);
    return m->status = m->ctx->error.status;
}

mn_status mn__model_fail(mn_model *m, mn_status status, const char *format, ...) {
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail_with(m, status, text);
}

mn_status mn__layer_fail(const mn__layer *l, mn_status status, const char *format, ...) {
    char text[900];
    int n = snprintf(text, sizeof text, "%s \"%s\": ", l->class->name, l->name);
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    return fail_with(l->model, status, text);
}

/* ---- names ---- */

mn__layer *mn__layer_named(const mn_model *m, const char *name) {
    for (int i = 0; i < m->n_layers; i++)
        if (!strcmp(m->layer[i]->name, name)) return m->layer[i];
    return NULL;
}

static char *copy_text(mn_context *c, const char *s) {
    char *copy = mn__host(c, MN_MODEL, strlen(s) + 1);
    return copy ? strcpy(copy, s) : NULL;
}

/* Keras's way: conv2d, conv2d_1, conv2d_2, ... */
static const char *generated_name(mn_model *m, const mn__layer_class *k) {
    char text[MN__MAX_NAME];
    int number = 0;
    for (int i = 0; i < m->n_layers; i++) number += m->layer[i]->class == k;
    do {
        if (number)
            snprintf(text, sizeof text, "%s_%d", k->stem, number);
        else
            snprintf(text, sizeof text, "%s", k->stem);
        number++;
    } while (mn__layer_named(m, text));
    return copy_text(m->ctx, text);
}

static mn_status check_name(mn_model *m, const mn__layer_class *k, const char *name) {
    size_t n = strlen(name);
    if (n == 0 || n > MN__MAX_NAME)
        return mn__model_fail(m, MN_ERR_ARG, "a %s layer's name has %zu characters; wanted 1 to %d", k->name, n, MN__MAX_NAME);
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == '"' || *p == '\\' || *p == 127)
            return mn__model_fail(m, MN_ERR_ARG, "a %s layer's name holds a quote, a backslash or a control character", k->name);
    if (name[0] == '/' || name[n - 1] == '/' || strstr(name, "//") || !strcmp(name, ".") || !strncmp(name, "./", 2) ||
        strstr(name, "/./"))
        return mn__model_fail(m, MN_ERR_ARG, "%s \"%s\": a slash may only stand between two words", k->name, name);
    mn__layer *other = mn__layer_named(m, name);
    if (!other) return MN_OK;
    return mn__model_fail(m, MN_ERR_ARG, "%s \"%s\": there is already a %s of this name; hint: another name, or none", k->name,
                          name, other->class->name);
}

/* ---- shapes, for build functions ---- */

mn_shape mn__in_shape(const mn__layer *l, int i) {
    mn_shape s = l->model->layer[l->in[i]]->shape, step = {.ndim = s.ndim - 1};
    if (!l->each_step) return s;
    for (int d = 0; d < step.ndim; d++) step.dim[d] = s.dim[d + 1];
    return step;
}

mn_status mn__want_image(const mn__layer *l) {
    mn_shape s = mn__in_shape(l, 0);
    char text[64];
    if (s.ndim == 3) return MN_OK;
    return mn__layer_fail(l, MN_ERR_SHAPE, "the input \"%s\" is %s; wanted an image (channels,height,width)%s",
                          l->model->layer[l->in[0]]->name, mn_shape_text(s, text, sizeof text),
                          s.ndim == 1   ? "; hint: place it before Flatten or pooling to features"
                          : s.ndim == 4 ? "; hint: \"time_distributed\" applies it to each step of a sequence"
                                        : "");
}

mn_status mn__want_features(const mn__layer *l) {
    mn_shape s = mn__in_shape(l, 0);
    char text[64];
    if (s.ndim == 1) return MN_OK;
    return mn__layer_fail(l, MN_ERR_SHAPE,
                          "the input \"%s\" is %s; wanted (features); hint: a Flatten or "
                          "GlobalAveragePooling2D layer before it",
                          l->model->layer[l->in[0]]->name, mn_shape_text(s, text, sizeof text));
}

mn_status mn__window_size(mn__layer *l, const int size[2], const int stride[2], const int dilation[2], mn_padding padding,
                          int64_t *p, int64_t *q) {
    mn_shape s = mn__in_shape(l, 0);
    int64_t *out[2] = {p, q};
    for (int i = 0; i < 2; i++) {
        int64_t in = s.dim[s.ndim - 2 + i], reach = (int64_t)dilation[i] * (size[i] - 1) + 1;
        if (padding == MN_SAME) {
            mn_same_padding(in, size[i], stride[i], dilation[i], &l->pad[2 * i], &l->pad[2 * i + 1]);
            *out[i] = (in + stride[i] - 1) / stride[i];
        } else if (reach > in) {
            char text[64];
            return mn__layer_fail(l, MN_ERR_SHAPE,
                                  "a window of %dx%d%s does not fit into the input %s; hint: padding "
                                  "\"same\", a smaller window, or fewer layers that shrink the image",
                                  size[0], size[1], dilation[0] * dilation[1] > 1 ? " (dilated)" : "",
                                  mn_shape_text(s, text, sizeof text));
        } else {
            *out[i] = (in - reach) / stride[i] + 1;
        }
    }
    return MN_OK;
}

mn_status mn__weight_add(mn__layer *l, mn__weight w) {
    if (l->model->status) return l->model->status;
    if (l->n_weights == MN__MAX_WEIGHTS)
        return mn__layer_fail(l, MN_ERR_UNSUPPORTED, "has more than %d weights", MN__MAX_WEIGHTS);
    int64_t count = mn_shape_count(w.shape);
    char text[64];
    if (count < 0 || count > MN__MAX_PARAMETERS)
        return mn__layer_fail(l, MN_ERR_MEMORY,
                              "%s would be %s, more than %lld numbers; hint: fewer units, or pooling "
                              "before them",
                              w.name, mn_shape_text(w.shape, text, sizeof text), (long long)MN__MAX_PARAMETERS);
    l->weight[l->n_weights++] = w;
    return MN_OK;
}

/* ---- adding ---- */

static mn_status check_inputs(mn_model *m, const mn__layer *l, const mn_sym *in, int n_in) {
    const mn__layer_class *k = l->class;
    if (n_in < k->min_inputs || n_in > k->max_inputs)
        return mn__layer_fail(l, MN_ERR_ARG, "has %d input%s; wanted %d%s", n_in, n_in == 1 ? "" : "s", k->min_inputs,
                              k->max_inputs > k->min_inputs ? " or more" : "");
    for (int i = 0; i < n_in; i++)
        if (in[i] < 0 || in[i] >= m->n_layers) return mn__layer_fail(l, MN_ERR_ARG, "input %d is no symbol of this model", i);
    return MN_OK;
}

static mn_status check_output(mn__layer *l) {
    int64_t count = mn_shape_count(l->shape);
    char text[64];
    for (int i = 0; i < l->shape.ndim && count > 0; i++)
        if (l->shape.dim[i] < 1) count = -1;
    if (count < 1 || count > MN__MAX_SAMPLE)
        return mn__layer_fail(l, MN_ERR_SHAPE, "the output would be %s; wanted 1 to %lld numbers",
                              mn_shape_text(l->shape, text, sizeof text), (long long)MN__MAX_SAMPLE);
    const mn_activation *a = mn__layer_activation(l);
    if (a && *a == MN_ACT_SOFTMAX && l->shape.ndim != 1)
        return mn__layer_fail(l, MN_ERR_SHAPE, "softmax of %s; wanted (features)", mn_shape_text(l->shape, text, sizeof text));
    return MN_OK;
}

static mn_status append(mn_model *m, mn__layer *l) {
    if (m->n_layers == m->capacity) {
        int capacity = m->capacity ? 2 * m->capacity : 32;
        mn__layer **list = mn__host(m->ctx, MN_MODEL, (size_t)capacity * sizeof *list);
        if (!list) return m->status = m->ctx->error.status;
        if (m->n_layers) memcpy(list, m->layer, (size_t)m->n_layers * sizeof *list);
        m->layer = list, m->capacity = capacity;
    }
    m->layer[m->n_layers++] = l;
    return MN_OK;
}

/* For a layer that runs on each step: sequences of the same number of steps. */
static mn_status check_steps(const mn__layer *l) {
    mn_shape first = l->model->layer[l->in[0]]->shape;
    char a[64], b[64];
    for (int k = 0; k < l->n_in; k++) {
        mn_shape s = l->model->layer[l->in[k]]->shape;
        if (s.ndim < 2)
            return mn__layer_fail(l, MN_ERR_SHAPE, "runs on each step of a sequence, and its input is %s; wanted (T,...)",
                                  mn_shape_text(s, a, sizeof a));
        if (s.dim[0] != first.dim[0])
            return mn__layer_fail(l, MN_ERR_SHAPE, "input 0 is %s and input %d is %s; wanted the same number of steps",
                                  mn_shape_text(first, a, sizeof a), k, mn_shape_text(s, b, sizeof b));
    }
    return MN_OK;
}

/* From one step to all of them. */
static mn_status add_steps(mn__layer *l) {
    int64_t steps = l->model->layer[l->in[0]]->shape.dim[0];
    mn_shape s = {.ndim = l->shape.ndim + 1, .dim = {steps}};
    if (s.ndim >= MN_MAX_DIMS)
        return mn__layer_fail(l, MN_ERR_SHAPE, "gives %d dimensions a step; wanted at most %d", l->shape.ndim, MN_MAX_DIMS - 2);
    for (int d = 0; d < l->shape.ndim; d++) s.dim[d + 1] = l->shape.dim[d];
    l->shape = s;
    l->macs *= steps;
    return check_output(l);
}

void mn_model_time_distributed(mn_model *m, bool on) {
    if (m) m->each_step = on;
}

static mn__layer *new_layer(mn_model *m, const mn__layer_class *k, int n_in, const void *opt) {
    mn_context *c = m->ctx;
    const char *name = *(const char *const *)opt; /* every option struct begins with it */
    if (name && check_name(m, k, name)) return NULL;
    mn__layer *l = mn__host(c, MN_MODEL, sizeof *l);
    void *copy = mn__host(c, MN_MODEL, k->opt_bytes);
    mn_sym *in = mn__host(c, MN_MODEL, (size_t)(n_in > 0 ? n_in : 1) * sizeof *in);
    name = name ? copy_text(c, name) : generated_name(m, k);
    if (!l || !copy || !in || !name) {
        m->status = c->error.status;
        return NULL;
    }
    memcpy(copy, opt, k->opt_bytes);
    memcpy(copy, &name, sizeof name);
    *l = (mn__layer){
        .class = k, .model = m, .name = name, .opt = copy, .in = in, .n_in = n_in, .each_step = m->each_step && n_in > 0};
    return l;
}

mn_sym mn__layer_add(mn_model *m, const mn__layer_class *k, const mn_sym *in, int n_in, const void *opt) {
    if (!m || m->status) return -1;
    if (m->built) return mn__model_fail(m, MN_ERR_ARG, "the model \"%s\" is built; layers cannot be added", m->name), -1;
    if (m->n_layers == MN__MAX_LAYERS) return mn__model_fail(m, MN_ERR_ARG, "a model has at most %d layers", MN__MAX_LAYERS), -1;
    mn__layer *l = new_layer(m, k, n_in, opt);
    if (!l || check_inputs(m, l, in, n_in)) return -1;
    if (n_in) memcpy(l->in, in, (size_t)n_in * sizeof *in);
    if (mn__fields_check(l) || (l->each_step && check_steps(l))) return -1;
    mn_status s = k->build(l);
    if (s == MN_OK) s = check_output(l);
    if (s == MN_OK && l->each_step) s = add_steps(l);
    if (s != MN_OK) {
        if (m->status == MN_OK) m->status = s;
        return -1;
    }
    return append(m, l) == MN_OK ? m->n_layers - 1 : -1;
}

mn_model *mn_model_create(mn_context *c, const char *name) {
    if (!c || c->error.status) return NULL;
    mn_model *m = mn__host(c, MN_MODEL, sizeof *m);
    char *copy = m ? copy_text(c, name && *name ? name : "model") : NULL;
    if (!copy) return NULL;
    for (char *p = copy; *p; p++) /* it stands in drawings and files */
        if ((unsigned char)*p < ' ' || *p == '"' || *p == '\\' || *p == 127) *p = '_';
    m->ctx = c, m->name = copy;
    return m;
}

mn_status mn_model_output(mn_model *m, mn_sym x) {
    if (!m) return MN_ERR_ARG;
    if (m->status) return m->status;
    if (x < 0 || x >= m->n_layers) return mn__model_fail(m, MN_ERR_ARG, "an output of \"%s\" is no symbol of it", m->name);
    for (int i = 0; i < m->n_outputs; i++)
        if (m->output[i] == x) return mn__layer_fail(m->layer[x], MN_ERR_ARG, "is marked as an output twice");
    mn_activation *a = mn__layer_activation(m->layer[x]);
    if (a && *a == MN_ACT_SOFTMAX) { /* heads are logits: the loss and predict apply it */
        *a = MN_ACT_LINEAR;
        m->layer[x]->softmax = true;
    }
    mn_sym *list = mn__host(m->ctx, MN_MODEL, ((size_t)m->n_outputs + 1) * sizeof *list);
    if (!list) return m->status = m->ctx->error.status;
    for (int i = 0; i < m->n_outputs; i++) list[i] = m->output[i];
    list[m->n_outputs++] = x;
    m->output = list;
    return MN_OK;
}

int mn__layer_readers(const mn_model *m, mn_sym x) {
    int readers = 0;
    for (int i = 0; i < m->n_layers; i++)
        for (int k = 0; k < m->layer[i]->n_in; k++) readers += m->layer[i]->in[k] == x;
    for (int i = 0; i < m->n_outputs; i++) readers += m->output[i] == x;
    return readers;
}

/* ---- looking ---- */

mn_context *mn_model_context(const mn_model *m) { return m->ctx; }
const char *mn_model_name(const mn_model *m) { return m->name; }
int mn_model_inputs(const mn_model *m) { return m->n_inputs; }
int mn_model_outputs(const mn_model *m) { return m->n_outputs; }
int mn_model_layers(const mn_model *m) { return m->n_layers; }

static const mn__layer *at(const mn_model *m, const mn_sym *list, int n, int i) {
    return i >= 0 && i < n ? m->layer[list[i]] : NULL;
}
mn_shape mn_model_input_shape(const mn_model *m, int i) {
    const mn__layer *l = at(m, m->input, m->n_inputs, i);
    return l ? l->shape : (mn_shape){0};
}
const char *mn_model_input_name(const mn_model *m, int i) {
    const mn__layer *l = at(m, m->input, m->n_inputs, i);
    return l ? l->name : NULL;
}
mn_shape mn_model_output_shape(const mn_model *m, int i) {
    const mn__layer *l = at(m, m->output, m->n_outputs, i);
    return l ? l->shape : (mn_shape){0};
}
const char *mn_model_output_name(const mn_model *m, int i) {
    const mn__layer *l = at(m, m->output, m->n_outputs, i);
    return l ? l->name : NULL;
}
