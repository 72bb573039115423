/* Each layer class as nodes of an ONNX graph. Shapes are the same, (N,C,H,W); padding "same" is written as numbers. */
#include "data/onnx/write.h"
#if MN_HAVE_PROTOBUF
#include "layers/recurrent.h"

typedef mn__onnx_writer writer;
#define IN(...) ((char *[]){__VA_ARGS__, NULL})

/* ---- pieces ---- */

/* A node of layer l, called "<layer>:<part>" like its output. */
static char *node(writer *w, const mn__layer *l, const char *op, const char *part, char *const *in) {
    char *name = mn__onnx_text(&w->b, "%s:%s", l->name, part);
    return name ? mn__onnx_node(&w->b, op, name, name, in) : NULL;
}

static char *weight(writer *w, const mn__layer *l, int k) {
    return l->weight[k].absent ? NULL : mn__onnx_text(&w->b, "%s/%s", l->name, l->weight[k].name);
}

static char *number(writer *w, const mn__layer *l, const char *part, double value) {
    return mn__onnx_float(&w->b, mn__onnx_text(&w->b, "%s:%s", l->name, part), value);
}

static char *numbers(writer *w, const mn__layer *l, const char *part, const int64_t *value, int n) {
    return mn__onnx_shape(&w->b, mn__onnx_text(&w->b, "%s:%s", l->name, part), value, n);
}

/* first, then the dimensions of s from `from` on. */
static char *reshape(writer *w, const mn__layer *l, const char *part, char *x, int64_t first, mn_shape s, int from) {
    int64_t dim[MN_MAX_DIMS + 1] = {first};
    int n = 1;
    for (int i = from; i < s.ndim; i++) dim[n++] = s.dim[i];
    char name[64];
    snprintf(name, sizeof name, "%s.shape", part);
    return node(w, l, "Reshape", part, IN(x, numbers(w, l, name, dim, n)));
}

char *mn__onnx_tensor(writer *w, mn_sym x) {
    const mn__layer *l = w->m->layer[x];
    if (w->out[x]) return w->out[x];
    if (!reshape(w, l, "unfold", w->folded[x], -1, l->shape, 0)) return NULL;
    return w->out[x] = w->b.last->output[0] = mn__onnx_text(&w->b, "%s", l->name);
}

char *mn__onnx_folded(writer *w, mn_sym x) {
    if (!w->folded[x]) w->folded[x] = reshape(w, w->m->layer[x], "fold", w->out[x], -1, w->m->layer[x]->shape, 1);
    return w->folded[x];
}

/* Top, bottom, left, right: ONNX wants the beginnings first. */
static void pads(writer *w, const int *p) { mn__onnx_ints(&w->b, "pads", (const int64_t[]){p[0], p[2], p[1], p[3]}, 4); }

static void pair(writer *w, const char *name, const int *v) { mn__onnx_ints(&w->b, name, (const int64_t[]){v[0], v[1]}, 2); }

/* x * 0.5 (1 + erf(x / sqrt 2)): Gelu is an operator of its own only since opset 20. */
static char *gelu(writer *w, const mn__layer *l, char *x) {
    char *y = node(w, l, "Div", "gelu.div", IN(x, number(w, l, "gelu.root2", 1.4142135623730951)));
    y = node(w, l, "Erf", "gelu.erf", IN(y));
    y = node(w, l, "Add", "gelu.add", IN(y, number(w, l, "gelu.one", 1)));
    y = node(w, l, "Mul", "gelu.mul", IN(x, y));
    return node(w, l, "Mul", "gelu", IN(y, number(w, l, "gelu.half", 0.5)));
}

static char *activate(writer *w, const mn__layer *l, char *x, mn_activation a, double alpha) {
    switch (a) {
    case MN_ACT_RELU:
        return node(w, l, "Relu", "relu", IN(x));
    case MN_ACT_LEAKY_RELU:
        x = node(w, l, "LeakyRelu", "leaky_relu", IN(x));
        mn__onnx_real(&w->b, "alpha", alpha != 0 ? alpha : 0.01);
        return x;
    case MN_ACT_ELU:
        x = node(w, l, "Elu", "elu", IN(x));
        mn__onnx_real(&w->b, "alpha", alpha != 0 ? alpha : 1);
        return x;
    case MN_ACT_SIGMOID:
        return node(w, l, "Sigmoid", "sigmoid", IN(x));
    case MN_ACT_TANH:
        return node(w, l, "Tanh", "tanh", IN(x));
    case MN_ACT_GELU:
        return gelu(w, l, x);
    case MN_ACT_SILU:
        return node(w, l, "Mul", "silu", IN(x, node(w, l, "Sigmoid", "silu.sigmoid", IN(x))));
    case MN_ACT_SOFTPLUS:
        return node(w, l, "Softplus", "softplus", IN(x));
    case MN_ACT_SOFTMAX:
        x = node(w, l, "Softmax", "softmax", IN(x));
        mn__onnx_int(&w->b, "axis", -1);
        return x;
    default:
        return x;
    }
}

static char *conv(writer *w, const mn__layer *l, const char *part, char *x, char *kernel, char *bias, const int *stride,
                  const int *dilation, const int *padding, int64_t groups) {
    x = node(w, l, "Conv", part, IN(x, kernel, bias));
    if (!x) return NULL;
    pair(w, "strides", stride);
    pair(w, "dilations", dilation);
    pads(w, padding);
    mn__onnx_int(&w->b, "group", groups);
    return x;
}

/* ---- layers ---- */

static void conv2d(writer *w, const mn__layer *l, char **in) {
    const mn_conv2d_layer *o = l->opt;
    char *y = conv(w, l, "conv", in[0], weight(w, l, 0), weight(w, l, 1), o->strides, o->dilation_rate, l->pad, o->groups);
    activate(w, l, y, o->activation, 0);
}

static void depthwise_conv2d(writer *w, const mn__layer *l, char **in) {
    const mn_depthwise_conv2d_layer *o = l->opt;
    int64_t channels = mn__in_shape(l, 0).dim[0];
    char *y = conv(w, l, "conv", in[0], weight(w, l, 0), weight(w, l, 1), o->strides, o->dilation_rate, l->pad, channels);
    activate(w, l, y, o->activation, 0);
}

static void separable_conv2d(writer *w, const mn__layer *l, char **in) {
    static const int one[2] = {1, 1}, none[4] = {0};
    const mn_separable_conv2d_layer *o = l->opt;
    int64_t channels = mn__in_shape(l, 0).dim[0];
    char *y = conv(w, l, "depthwise", in[0], weight(w, l, 0), NULL, o->strides, o->dilation_rate, l->pad, channels);
    y = conv(w, l, "pointwise", y, weight(w, l, 1), weight(w, l, 2), one, one, none, 1);
    activate(w, l, y, o->activation, 0);
}

static void dense(writer *w, const mn__layer *l, char **in) {
    const mn_dense_layer *o = l->opt;
    char *y = node(w, l, "Gemm", "gemm", IN(in[0], weight(w, l, 0), weight(w, l, 1)));
    if (!y) return;
    mn__onnx_int(&w->b, "transB", 1);
    activate(w, l, y, o->activation, 0);
}

static void batch_normalization(writer *w, const mn__layer *l, char **in) {
    const mn_batch_normalization_layer *o = l->opt;
    char *gamma = weight(w, l, 0), *beta = weight(w, l, 1), *missing = mn__onnx_text(&w->b, "%s:constant", l->name);
    float *v;
    for (int k = 0; k < 2; k++) { /* the operator wants both */
        if (!l->weight[k].absent) continue;
        char *name = mn__onnx_floats(&w->b, mn__onnx_text(&w->b, "%s.%s", missing, l->weight[k].name), l->weight[k].shape, &v);
        if (!name) return;
        for (int64_t i = 0; i < l->weight[k].shape.dim[0]; i++) v[i] = k == 0;
        mn__little_endian(v, (size_t)l->weight[k].shape.dim[0], sizeof *v);
        *(k ? &beta : &gamma) = name;
    }
    if (!node(w, l, "BatchNormalization", "norm", IN(in[0], gamma, beta, weight(w, l, 2), weight(w, l, 3)))) return;
    mn__onnx_real(&w->b, "epsilon", o->epsilon);
    mn__onnx_real(&w->b, "momentum", o->momentum);
}

static void pooling(writer *w, const mn__layer *l, char **in) {
    const mn_pooling2d_layer *o = l->opt;
    if (!node(w, l, l->class == &mn__class_max_pooling2d ? "MaxPool" : "AveragePool", "pool", IN(in[0]))) return;
    pair(w, "kernel_shape", o->pool_size);
    pair(w, "strides", o->strides);
    pads(w, l->pad);
}

static void global_average_pooling2d(writer *w, const mn__layer *l, char **in) {
    node(w, l, "Flatten", "flatten", IN(node(w, l, "GlobalAveragePool", "pool", IN(in[0]))));
}

static void flatten(writer *w, const mn__layer *l, char **in) { node(w, l, "Flatten", "flatten", IN(in[0])); }

static void reshape_layer(writer *w, const mn__layer *l, char **in) {
    reshape(w, l, "reshape", in[0], 0, l->shape, l->each_step);
}

static void add(writer *w, const mn__layer *l, char **in) {
    in[l->n_in] = NULL;
    node(w, l, l->n_in == 2 ? "Add" : "Sum", "sum", in);
}

static void concatenate(writer *w, const mn__layer *l, char **in) {
    in[l->n_in] = NULL;
    if (node(w, l, "Concat", "concat", in)) mn__onnx_int(&w->b, "axis", ((const mn_concatenate_layer *)l->opt)->axis);
}

static void activation(writer *w, const mn__layer *l, char **in) {
    const mn_activation_layer *o = l->opt;
    if (activate(w, l, in[0], o->activation, o->alpha) == in[0]) node(w, l, "Identity", "identity", IN(in[0]));
}

/* The same numbers in use; kept, so that training can go on where the graph is read. */
static void dropout(writer *w, const mn__layer *l, char **in) {
    node(w, l, "Dropout", "dropout", IN(in[0], number(w, l, "ratio", ((const mn_dropout_layer *)l->opt)->rate)));
}

static void pad(writer *w, const mn__layer *l, char *x, const int *p, double value) {
    int64_t sides[8] = {0, 0, p[0], p[2], 0, 0, p[1], p[3]};
    node(w, l, "Pad", "pad", IN(x, numbers(w, l, "pads", sides, 8), number(w, l, "value", value)));
}

static void zero_padding2d(writer *w, const mn__layer *l, char **in) {
    pad(w, l, in[0], ((const mn_zero_padding2d_layer *)l->opt)->padding, 0);
}

static void padding2d(writer *w, const mn__layer *l, char **in) {
    const mn_padding2d_layer *o = l->opt;
    pad(w, l, in[0], o->padding, o->value);
}

static void up_sampling2d(writer *w, const mn__layer *l, char **in) {
    const mn_up_sampling2d_layer *o = l->opt;
    float *v;
    char *scales = mn__onnx_floats(&w->b, mn__onnx_text(&w->b, "%s:scales", l->name), MN_SHAPE(4), &v);
    if (!scales) return;
    v[0] = v[1] = 1, v[2] = (float)o->size[0], v[3] = (float)o->size[1];
    mn__little_endian(v, 4, sizeof *v);
    if (!node(w, l, "Resize", "resize", IN(in[0], (char *)"", scales))) return;
    mn__onnx_word(&w->b, "mode", "nearest");
    mn__onnx_word(&w->b, "coordinate_transformation_mode", "asymmetric");
    mn__onnx_word(&w->b, "nearest_mode", "floor");
}

static void slice(writer *w, const mn__layer *l, char **in) {
    const mn_slice_layer *o = l->opt;
    char *start = numbers(w, l, "start", (int64_t[]){o->start}, 1),
         *end = numbers(w, l, "end", (int64_t[]){(int64_t)o->start + o->length}, 1);
    node(w, l, "Slice", "slice", IN(in[0], start, end, numbers(w, l, "axis", (int64_t[]){o->axis}, 1)));
}

static void clip(writer *w, const mn__layer *l, char **in) {
    const mn_clip_layer *o = l->opt;
    node(w, l, "Clip", "clip", IN(in[0], number(w, l, "min", o->min_value), number(w, l, "max", o->max_value)));
}

/* One number a channel is broadcast as (C,1,1). */
static char *channels(writer *w, const mn__layer *l, const char *part, char *x) {
    int64_t n = mn__in_shape(l, 0).dim[0];
    return mn__in_shape(l, 0).ndim == 1
               ? x
               : node(w, l, "Reshape", part,
                      IN(x, numbers(w, l, mn__onnx_text(&w->b, "%s.shape", part), (int64_t[]){n, 1, 1}, 3)));
}

static void scale(writer *w, const mn__layer *l, char **in) {
    char *y = in[0];
    if (!l->weight[0].absent) y = node(w, l, "Mul", "mul", IN(y, channels(w, l, "factor", weight(w, l, 0))));
    if (!l->weight[1].absent) y = node(w, l, "Add", "add", IN(y, channels(w, l, "term", weight(w, l, 1))));
    if (y == in[0]) node(w, l, "Identity", "identity", IN(y));
}

static void multiply(writer *w, const mn__layer *l, char **in) {
    char *y = in[0];
    for (int i = 1; i < l->n_in; i++) y = node(w, l, "Mul", mn__onnx_text(&w->b, "mul%d", i), IN(y, in[i]));
}

static void rescaling(writer *w, const mn__layer *l, char **in) {
    const mn_rescaling_layer *o = l->opt;
    char *y = node(w, l, "Mul", "mul", IN(in[0], number(w, l, "scale", o->scale)));
    node(w, l, "Add", "add", IN(y, number(w, l, "offset", o->offset)));
}

/* ---- sequences ---- */

static void lstm(writer *w, const mn__layer *l, char **in) {
    const mn_lstm_layer *o = l->opt;
    static const int64_t swap[3] = {1, 0, 2};
    const char *squash = o->activation == MN_CELL_RELU ? "Relu" : "Tanh";
    char *x = node(w, l, "Transpose", "steps", IN(in[0]));
    if (!x) return;
    mn__onnx_ints(&w->b, "perm", swap, 3);
    if (!node(w, l, "LSTM", "lstm", IN(x, weight(w, l, 0), weight(w, l, 1), weight(w, l, 2)))) return;
    mn__onnx_int(&w->b, "hidden_size", o->units);
    mn__onnx_words(&w->b, "activations", (const char *[]){o->recurrent_activation ? "HardSigmoid" : "Sigmoid", squash, squash},
                   3);
    char *all = w->b.last->output[0], *last = mn__onnx_text(&w->b, "%s:last", l->name);
    mn__onnx_more_outputs(&w->b, &last, 1); /* (T,1,N,U) and (1,N,U) */
    if (!o->return_sequences) {
        node(w, l, "Squeeze", "squeeze", IN(last, numbers(w, l, "axis", (int64_t[]){0}, 1)));
        return;
    }
    x = node(w, l, "Squeeze", "squeeze", IN(all, numbers(w, l, "axis", (int64_t[]){1}, 1)));
    if (node(w, l, "Transpose", "samples", IN(x))) mn__onnx_ints(&w->b, "perm", swap, 3);
}

static char *gate(writer *w, const mn__layer *l, const char *part, char *x, mn_gate_activation a) {
    if (a == MN_GATE_SIGMOID) return node(w, l, "Sigmoid", part, IN(x));
    x = node(w, l, "HardSigmoid", part, IN(x));
    mn__onnx_real(&w->b, "alpha", 0.2);
    mn__onnx_real(&w->b, "beta", 0.5);
    return x;
}

/* h and c of one step; z: what goes into the gates, *c: the cell before, NULL in the first. Returns h. */
static char *cell(writer *w, const mn__layer *l, int t, char *z, char **c) {
    const mn_conv_lstm2d_layer *o = l->opt;
    const char *squash = o->activation == MN_CELL_RELU ? "Relu" : "Tanh";
    char part[8][32], *more[3];
    static const char *const names[8] = {"i", "f", "g", "o", "ig", "fc", "c", "h"};
    for (int k = 0; k < 8; k++) snprintf(part[k], sizeof part[k], "%d.%s", t, names[k]);
    for (int k = 0; k < 3; k++) more[k] = mn__onnx_text(&w->b, "%s:%s.in", l->name, part[k + 1]);
    char into[40];
    snprintf(into, sizeof into, "%s.in", part[0]);
    char *first = node(w, l, "Split", into, IN(z));
    if (!first) return NULL;
    mn__onnx_int(&w->b, "axis", 1);
    mn__onnx_more_outputs(&w->b, more, 3);
    char *i = gate(w, l, part[0], first, o->recurrent_activation), *f = gate(w, l, part[1], more[0], o->recurrent_activation);
    char *g = node(w, l, squash, part[2], IN(more[1])), *out = gate(w, l, part[3], more[2], o->recurrent_activation);
    char *ig = node(w, l, "Mul", part[4], IN(i, g));
    *c = *c ? node(w, l, "Add", part[6], IN(node(w, l, "Mul", part[5], IN(f, *c)), ig)) : ig;
    char *y = node(w, l, squash, mn__onnx_text(&w->b, "%s.out", part[6]), IN(*c));
    return node(w, l, "Mul", part[7], IN(out, y));
}

/* The images of all steps go through one convolution; (N,T,4K,P,Q) is then taken apart. */
static bool split_steps(writer *w, const mn__layer *l, char *x, char **z, int steps, mn_shape gates) {
    const mn_conv_lstm2d_layer *o = l->opt;
    char *more[MN__MAX_STEPS], *axis = numbers(w, l, "axis", (int64_t[]){1}, 1);
    x = conv(w, l, "input", x, weight(w, l, 0), weight(w, l, 2), o->strides, o->dilation_rate, l->pad, 1);
    x = reshape(w, l, "unfold", x, -1, gates, 0);
    for (int t = 1; t < steps; t++) more[t - 1] = mn__onnx_text(&w->b, "%s:z%d", l->name, t);
    char *first = node(w, l, "Split", "z0", IN(x));
    if (!first) return false;
    mn__onnx_int(&w->b, "axis", 1);
    mn__onnx_more_outputs(&w->b, more, steps - 1);
    for (int t = 0; t < steps; t++)
        z[t] = node(w, l, "Squeeze", mn__onnx_text(&w->b, "%d.z", t), IN(t ? more[t - 1] : first, axis));
    return !w->b.err->status;
}

static void conv_lstm2d(writer *w, const mn__layer *l, char **in) {
    static const int one[2] = {1, 1};
    const mn_conv_lstm2d_layer *o = l->opt;
    int steps = (int)mn__in_shape(l, 0).dim[0], same[4];
    mn_shape s = l->shape;
    if (o->return_sequences) s = MN_SHAPE(s.dim[1], s.dim[2], s.dim[3]);
    for (int i = 0; i < 2; i++) mn_same_padding(s.dim[1 + i], o->kernel_size[i], 1, 1, &same[2 * i], &same[2 * i + 1]);
    char **z = mn__onnx_room(&w->b, (size_t)steps + 1, sizeof *z), **all = mn__onnx_room(&w->b, (size_t)steps + 1, sizeof *all);
    char *h = NULL, *c = NULL;
    if (!all || !split_steps(w, l, in[0], z, steps, MN_SHAPE(steps, 4 * s.dim[0], s.dim[1], s.dim[2]))) return;
    char *axis = o->return_sequences ? numbers(w, l, "join", (int64_t[]){1}, 1) : NULL;
    for (int t = 0; t < steps && !w->b.err->status; t++) {
        if (h) {
            h = conv(w, l, mn__onnx_text(&w->b, "%d.state", t), h, weight(w, l, 1), NULL, one, one, same, 1);
            z[t] = node(w, l, "Add", mn__onnx_text(&w->b, "%d.gates", t), IN(z[t], h));
        }
        h = cell(w, l, t, z[t], &c);
        if (o->return_sequences) all[t] = node(w, l, "Unsqueeze", mn__onnx_text(&w->b, "%d.step", t), IN(h, axis));
    }
    if (o->return_sequences && node(w, l, "Concat", "all", all)) mn__onnx_int(&w->b, "axis", 1);
}

/* ---- the list ---- */

static const struct {
    const mn__layer_class *class;
    void (*write)(writer *w, const mn__layer *l, char **in);
} classes[] = {{&mn__class_conv2d, conv2d},
               {&mn__class_depthwise_conv2d, depthwise_conv2d},
               {&mn__class_separable_conv2d, separable_conv2d},
               {&mn__class_dense, dense},
               {&mn__class_batch_normalization, batch_normalization},
               {&mn__class_max_pooling2d, pooling},
               {&mn__class_average_pooling2d, pooling},
               {&mn__class_global_average_pooling2d, global_average_pooling2d},
               {&mn__class_flatten, flatten},
               {&mn__class_reshape, reshape_layer},
               {&mn__class_add, add},
               {&mn__class_concatenate, concatenate},
               {&mn__class_activation, activation},
               {&mn__class_dropout, dropout},
               {&mn__class_multiply, multiply},
               {&mn__class_scale, scale},
               {&mn__class_clip, clip},
               {&mn__class_padding2d, padding2d},
               {&mn__class_up_sampling2d, up_sampling2d},
               {&mn__class_slice, slice},
               {&mn__class_zero_padding2d, zero_padding2d},
               {&mn__class_rescaling, rescaling},
               {&mn__class_lstm, lstm},
               {&mn__class_conv_lstm2d, conv_lstm2d}};

mn_status mn__onnx_layer(writer *w, const mn__layer *l, char **in) {
    bool masked = (l->class == &mn__class_lstm || l->class == &mn__class_conv_lstm2d) && l->n_in > 1;
    for (size_t i = 0; i < sizeof classes / sizeof *classes && !masked; i++)
        if (classes[i].class == l->class) return classes[i].write(w, l, in), w->b.err->status;
    return mn_fail(w->b.err, MN_ERR_UNSUPPORTED, "%s \"%s\": %s", l->class->name, l->name,
                   masked ? "has a mask, for which ONNX has no word" : "is a layer that ONNX files of mien do not know");
}
#endif
