/* Exported convolutions, matrix products and recurrent layers: the calls that have weights. */
#include "data/export_c/export_c.h"
#include <string.h>

typedef struct conv {
    int64_t in[3], out[3]; /* channels, height, width */
    int kernel[2], stride[2], dilation[2], pad[4], groups;
} conv;

static conv conv_of(const mn__layer *l, mn_shape in, mn_shape out, const int *kernel, const int *stride, const int *dilation) {
    conv c = {.groups = 1};
    memcpy(c.in, in.dim, sizeof c.in), memcpy(c.out, out.dim, sizeof c.out);
    memcpy(c.kernel, kernel, sizeof c.kernel), memcpy(c.stride, stride, sizeof c.stride);
    memcpy(c.dilation, dilation, sizeof c.dilation), memcpy(c.pad, l->pad, sizeof c.pad);
    return c;
}

/* Puts zeros around the image; afterwards c->in is its new size. Returns where it is. */
static mn__pointer say_pad(mn__export *x, conv *c, mn__pointer from) {
    const int *p = c->pad;
    if (!(p[0] | p[1] | p[2] | p[3])) return from;
    int64_t channels = c->in[0], row = c->in[2] * channels, height = c->in[1];
    c->in[1] += p[0] + p[1], c->in[2] += p[2] + p[3];
    mn__pointer to = mn__pointer_to(mn__export_buffer(x, c->in[1] * c->in[2] * channels), 0);
    MN__SAY("    KERNEL(pad)(%s, %lld, %lld, %d, %d, %lld, %lld, %s);\n", from.text, (long long)height, (long long)row, p[0],
            p[1], (long long)(p[2] * channels), (long long)(p[3] * channels), to.text);
    return to;
}

static void say_window(mn__export *x, const conv *c, int64_t filters, bool depthwise) {
    int64_t channels = c->in[0], row = c->in[2] * channels;
    bool rows = !depthwise && c->dilation[1] == 1 && c->groups == 1; /* a row of the window lies in one piece */
    MN__SAY("&(const window){.down = %lld, .right = %lld, .runs_y = %d, .runs_x = %d,\n        .step_y = %lld, .step_x = %lld, "
            ".run = %lld, .height = %lld, .width = %lld, .filters = %lld, .channels = %lld}",
            (long long)(c->stride[0] * row), (long long)(c->stride[1] * channels), c->kernel[0], rows ? 1 : c->kernel[1],
            (long long)(c->dilation[0] * row), (long long)(rows ? 0 : c->dilation[1] * channels),
            (long long)(rows ? c->kernel[1] * channels : channels / c->groups), (long long)c->out[1], (long long)c->out[2],
            (long long)filters, (long long)c->out[0]);
}

static void say_conv(mn__export *x, const conv *c, mn__pointer from, mn__packed w, const char *low, mn__pointer to) {
    int64_t filters = c->out[0] / c->groups, padded = (filters + 7) / 8 * 8;
    int64_t weights = padded * c->kernel[0] * c->kernel[1] * c->in[0] / c->groups;
    for (int g = 0; g < c->groups; g++) {
        MN__SAY("    KERNEL(conv)(%s + %lld, ", from.text, (long long)(g * c->in[0] / c->groups));
        say_window(x, c, filters, false);
        MN__SAY(",\n        weights + %lld, numbers + %lld, %s, %s + %lld);\n", (long long)(w.weights + g * weights),
                (long long)(w.numbers + g * padded * (x->opt->int8 ? 2 : 1)), low, to.text, (long long)(g * filters));
    }
}

static void say_depthwise(mn__export *x, const conv *c, mn__pointer from, mn__packed w, const char *low, mn__pointer to) {
    int64_t times = c->out[0] / c->in[0];
    MN__SAY("    KERNEL(depthwise%s)(%s, ", times > 1 ? "_more" : "", from.text);
    say_window(x, c, c->out[0], true);
    if (times > 1) MN__SAY(", %lld", (long long)times);
    MN__SAY(",\n        weights + %lld, numbers + %lld, %s, %s);\n", (long long)w.weights, (long long)w.numbers, low, to.text);
}

/* Does Winograd's algorithm pay? Its weights are four times as many, in memory; so not where that is short (constants),
 * where the image is small, or where weights are whole numbers. */
static bool worth_winograd(const mn__export *x, const conv *c) {
    for (int i = 0; i < 2; i++)
        if (c->kernel[i] != 3 || c->stride[i] != 1 || c->dilation[i] != 1) return false;
    return c->groups == 1 && !x->opt->int8 && !x->opt->constants && c->in[0] % 8 == 0 && c->out[0] % 8 == 0 && c->in[0] >= 16 &&
           c->out[0] >= 16 && c->out[1] * c->out[2] >= 64;
}

static mn_status plan_winograd(mn__export *x, const mn__call *call, conv *c) {
    mn__packed w = {0};
    mn_status s = mn__export_pack_layer(x, call->l, 0, 1, 1, true, &w);
    int64_t in = c->in[0], out = c->out[0], block = 3072 / (in + out) / 6 * 6; /* what lies between stays in the cache */
    for (int64_t k = 0; k < out && s == MN_OK; k++) s = mn__export_number(x, 0);
    block = block < 12 ? 12 : block;
    for (int i = 0; i < 2; i++) c->pad[2 * i + 1] += (int)(3 - (c->out[1 + i] + 3) % 4);
    mn__pointer from = say_pad(x, c, call->from);
    int work = mn__export_buffer(x, 36 * ((in + out) * block + 32));
    MN__SAY("    KERNEL(winograd)(%s, %lld, %lld, %lld, %lld,\n        at_points + %lld, numbers + %lld, %s, %lld, @%d, %s);\n",
            from.text, (long long)c->out[1], (long long)c->out[2], (long long)in, (long long)out, (long long)x->points,
            (long long)w.numbers, call->after.low, (long long)block, work, call->to.text);
    mn__grow(&x->first_call, "            prepare_points(weights + %lld, %lld, %lld, at_points + %lld);\n", (long long)w.weights,
             (long long)in, (long long)out, (long long)x->points);
    x->points += 36 * in * out;
    return s;
}

mn_status mn__plan_conv2d(mn__export *x, const mn__call *call) {
    const mn_conv2d_layer *o = call->l->opt;
    conv c = conv_of(call->l, call->in, call->out, o->kernel_size, o->strides, o->dilation_rate);
    mn__packed w = {0};
    c.groups = o->groups;
    if (worth_winograd(x, &c)) return plan_winograd(x, call, &c);
    mn_status s = mn__export_pack_layer(x, call->l, 0, 1, c.groups, true, &w);
    mn__pointer from = say_pad(x, &c, call->from);
    say_conv(x, &c, from, w, call->after.low, call->to);
    return s;
}

mn_status mn__plan_depthwise(mn__export *x, const mn__call *call) {
    const mn_depthwise_conv2d_layer *o = call->l->opt;
    conv c = conv_of(call->l, call->in, call->out, o->kernel_size, o->strides, o->dilation_rate);
    mn__packed w = {0};
    mn_status s = mn__export_pack_layer(x, call->l, 0, 1, 1, false, &w);
    mn__pointer from = say_pad(x, &c, call->from);
    say_depthwise(x, &c, from, w, call->after.low, call->to);
    return s;
}

static conv pointwise(mn_shape in, mn_shape out) {
    conv c = {.groups = 1, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    memcpy(c.in, in.dim, sizeof c.in), memcpy(c.out, out.dim, sizeof c.out);
    return c;
}

mn_status mn__plan_separable(mn__export *x, const mn__call *call) {
    const mn_separable_conv2d_layer *o = call->l->opt;
    mn_shape middle = call->out;
    middle.dim[0] = call->in.dim[0] * o->depth_multiplier;
    conv c = conv_of(call->l, call->in, middle, o->kernel_size, o->strides, o->dilation_rate);
    mn__packed w = {0};
    mn_status s = mn__export_pack_layer(x, call->l, 0, -1, 1, false, &w);
    mn__pointer from = say_pad(x, &c, call->from);
    mn__pointer between = mn__pointer_to(mn__export_buffer(x, mn_shape_count(middle)), 0);
    say_depthwise(x, &c, from, w, "-FLT_MAX", between);
    if (s == MN_OK) s = mn__export_pack_layer(x, call->l, 1, 2, 1, true, &w);
    c = pointwise(middle, call->out);
    say_conv(x, &c, between, w, call->after.low, call->to);
    return s;
}

/* ---- matrix products ---- */

static void say_dense(mn__export *x, const char *indent, const char *from, int64_t in, mn__packed w, const char *low,
                      const char *to, int64_t units) {
    MN__SAY("%sKERNEL(dense)(%s, %lld, weights + %lld, numbers + %lld, %s, %s, %lld);\n", indent, from, (long long)in,
            (long long)w.weights, (long long)w.numbers, low, to, (long long)units);
}

mn_status mn__plan_dense(mn__export *x, const mn__call *call) {
    mn__packed w = {0};
    mn_status s = mn__export_pack_layer(x, call->l, 0, 1, 1, true, &w);
    say_dense(x, "    ", call->from.text, call->in.dim[0], w, call->after.low, call->to.text, call->out.dim[0]);
    return s;
}

/* ---- recurrent layers ---- */

/* Buffers of the walk along the steps: what comes from the input, what from the state, and the cells. The state
 * itself is where the result is, in sequences that of the step before. */
typedef struct walk {
    int z, more, cell;
    int64_t each; /* numbers of one step's result that the next one's lies behind: 0 where only the last is kept */
    int64_t units, places;
} walk;

static walk begin_walk(mn__export *x, const mn__call *call, int64_t units, int64_t places, bool sequences) {
    int64_t n = units * places;
    walk w = {.units = units, .places = places, .each = sequences ? n : 0};
    w.z = mn__export_buffer(x, 4 * n), w.more = mn__export_buffer(x, 4 * n), w.cell = mn__export_buffer(x, n);
    MN__SAY("    for (t = 0; t < %lld; t++) {\n", (long long)mn__in_shape(call->l, 0).dim[0]);
    return w;
}

static void end_walk(mn__export *x, const mn__call *call, const walk *w, bool hard, bool relu) {
    MN__SAY("    KERNEL(lstm_cell)(@%d, t ? @%d : NULL, %lld, %lld, %d, %d, @%d, %s + t * %lld);\n    }\n", w->z, w->more,
            (long long)w->places, (long long)w->units, hard, relu, w->cell, call->to.text, (long long)w->each);
}

mn_status mn__plan_lstm(mn__export *x, const mn__call *call) {
    const mn_lstm_layer *o = call->l->opt;
    int64_t in = call->in.dim[1], units = o->units;
    mn__packed input = {0}, state = {0};
    char text[160];
    mn_status s = mn__export_pack_layer(x, call->l, 0, 2, 1, true, &input);
    if (s == MN_OK) s = mn__export_pack_layer(x, call->l, 1, -1, 1, true, &state);
    walk w = begin_walk(x, call, units, 1, o->return_sequences);
    snprintf(text, sizeof text, "%s + t * %lld", call->from.text, (long long)in);
    say_dense(x, "    ", text, in, input, "-FLT_MAX", mn__pointer_to(w.z, 0).text, 4 * units);
    snprintf(text, sizeof text, "%s + (t - 1) * %lld", call->to.text, (long long)w.each);
    MN__SAY("    if (t)");
    say_dense(x, " ", text, units, state, "-FLT_MAX", mn__pointer_to(w.more, 0).text, 4 * units);
    end_walk(x, call, &w, o->recurrent_activation == MN_GATE_HARD_SIGMOID, o->activation == MN_CELL_RELU);
    return s;
}

mn_status mn__plan_conv_lstm(mn__export *x, const mn__call *call) {
    const mn_conv_lstm2d_layer *o = call->l->opt;
    mn_shape frame = MN_SHAPE(call->in.dim[1], call->in.dim[2], call->in.dim[3]), gates = call->out, h;
    if (o->return_sequences) gates = MN_SHAPE(call->out.dim[1], call->out.dim[2], call->out.dim[3]);
    h = gates;
    gates.dim[0] *= 4;
    conv c = conv_of(call->l, frame, gates, o->kernel_size, o->strides, o->dilation_rate);
    conv r = conv_of(call->l, h, gates, o->kernel_size, (const int[]){1, 1}, (const int[]){1, 1});
    for (int i = 0; i < 2; i++) mn_same_padding(h.dim[1 + i], o->kernel_size[i], 1, 1, &r.pad[2 * i], &r.pad[2 * i + 1]);
    mn__packed input = {0}, state = {0};
    mn__pointer from;
    mn_status s = mn__export_pack_layer(x, call->l, 0, 2, 1, true, &input);
    if (s == MN_OK) s = mn__export_pack_layer(x, call->l, 1, -1, 1, true, &state);
    walk w = begin_walk(x, call, o->filters, h.dim[1] * h.dim[2], o->return_sequences);
    snprintf(from.text, sizeof from.text, "%.30s + t * %lld", call->from.text, (long long)mn_shape_count(frame));
    from = say_pad(x, &c, from);
    say_conv(x, &c, from, input, "-FLT_MAX", mn__pointer_to(w.z, 0));
    MN__SAY("    if (t) {\n");
    snprintf(from.text, sizeof from.text, "%.30s + (t - 1) * %lld", call->to.text, (long long)w.each);
    from = say_pad(x, &r, from);
    say_conv(x, &r, from, state, "-FLT_MAX", mn__pointer_to(w.more, 0));
    MN__SAY("    }\n");
    end_walk(x, call, &w, o->recurrent_activation == MN_GATE_HARD_SIGMOID, o->activation == MN_CELL_RELU);
    return s;
}
