/* ONNX operators with windows: convolutions and poolings, padding, resizing. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <math.h>
#include <string.h>

typedef mn__onnx_value value;
typedef mn__onnx_reader reader;

/* ---- padding ---- */

typedef struct window {
    int size[2], stride[2], dilation[2];
    int pad[4]; /* top, bottom, left, right */
} window;

/* The sides in numbers, whatever way the node says them. */
static mn_status read_pads(reader *r, mn_shape in, window *w) {
    int p[4];
    bool upper = mn__onnx_is_word(r, "auto_pad", "SAME_UPPER", "NOTSET"),
         lower = mn__onnx_is_word(r, "auto_pad", "SAME_LOWER", "NOTSET");
    if (mn__onnx_get_ints(r, "pads", 4, 0, p)) return r->err->status;
    if (mn__onnx_is_word(r, "auto_pad", "VALID", "NOTSET"))
        memset(p, 0, sizeof p);
    else if (!upper && !lower && !mn__onnx_is_word(r, "auto_pad", "NOTSET", "NOTSET"))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "auto_pad is not NOTSET, VALID, SAME_UPPER or SAME_LOWER");
    for (int i = 0; i < 2; i++) {
        int before = p[i], after = p[2 + i];
        if (upper || lower) mn_same_padding(in.dim[1 + i], w->size[i], w->stride[i], w->dilation[i], &before, &after);
        w->pad[2 * i] = lower ? after : before, w->pad[2 * i + 1] = lower ? before : after;
    }
    return MN_OK;
}

static mn_status read_window(reader *r, mn_shape in, const int *size, window *w) {
    memcpy(w->size, size, sizeof w->size);
    if (mn__onnx_get_ints(r, "strides", 2, 1, w->stride) || mn__onnx_get_ints(r, "dilations", 2, 1, w->dilation))
        return r->err->status;
    for (int i = 0; i < 2; i++)
        if (w->size[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 || w->size[i] > 1024 || w->stride[i] > 1024 ||
            w->dilation[i] > 1024)
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a window of %dx%d, stride %d, dilation %d", w->size[0], w->size[1],
                                 w->stride[i], w->dilation[i]);
    return read_pads(r, in, w);
}

/* Is it the padding that layers call "same"? */
static bool is_same(mn_shape in, const window *w) {
    for (int i = 0; i < 2; i++) {
        int before, after;
        mn_same_padding(in.dim[1 + i], w->size[i], w->stride[i], w->dilation[i], &before, &after);
        if (w->pad[2 * i] != before || w->pad[2 * i + 1] != after) return false;
    }
    return true;
}

static mn_sym pad(reader *r, mn_sym x, const int *p, double fill) {
    if (fill != 0) return mn_layer_padding2d(r->m, x, (mn_padding2d_layer){.padding = {p[0], p[1], p[2], p[3]}, .value = fill});
    return mn_layer_zero_padding2d(r->m, x, (mn_zero_padding2d_layer){.padding = {p[0], p[1], p[2], p[3]}});
}

/* What no layer's own padding can say becomes a layer before it. */
static mn_padding settle(reader *r, mn_sym *x, window *w, double fill) {
    mn_shape in = r->m->layer[*x]->shape;
    if (!w->pad[0] && !w->pad[1] && !w->pad[2] && !w->pad[3]) return MN_VALID;
    if (is_same(in, w)) return MN_SAME;
    *x = pad(r, *x, w->pad, fill);
    return MN_VALID;
}

/* ---- convolution ---- */

static mn_sym conv_layer(reader *r, mn_sym x, const window *w, mn_padding padding, const value *kernel, int64_t group,
                         bool bias) {
    int64_t filters = kernel->dim[0], channels = r->m->layer[x]->shape.dim[0];
    const char *name = mn__onnx_layer_name(r, kernel);
    if (group > 1 && group == channels && kernel->dim[1] == 1 && filters % channels == 0)
        return mn_layer_depthwise_conv2d(r->m, x,
                                         (mn_depthwise_conv2d_layer){.name = name,
                                                                     .kernel_size = {w->size[0], w->size[1]},
                                                                     .strides = {w->stride[0], w->stride[1]},
                                                                     .dilation_rate = {w->dilation[0], w->dilation[1]},
                                                                     .depth_multiplier = (int)(filters / channels),
                                                                     .padding = padding,
                                                                     .no_bias = !bias});
    return mn_layer_conv2d(r->m, x,
                           (mn_conv2d_layer){.name = name,
                                             .filters = (int)filters,
                                             .kernel_size = {w->size[0], w->size[1]},
                                             .strides = {w->stride[0], w->stride[1]},
                                             .dilation_rate = {w->dilation[0], w->dilation[1]},
                                             .groups = (int)group,
                                             .padding = padding,
                                             .no_bias = !bias});
}

mn_status mn__onnx_conv(reader *r) {
    value *in = mn__onnx_activation(r, 0), *kernel = in ? mn__onnx_constant(r, 1) : NULL, *bias = NULL;
    if (!kernel || (mn__onnx_in(r, 2) && !(bias = mn__onnx_constant(r, 2)))) return r->err->status;
    mn_sym x = mn__onnx_plain(r, in, 3);
    int64_t group = mn__onnx_get_int(r, "group", 1);
    int size[2], given[2];
    window w;
    if (x < 0) return r->err->status;
    mn_shape s = r->m->layer[x]->shape;
    if (kernel->rank != 4 || mn__onnx_count(kernel) < 1 || kernel->dim[0] > MN__MAX_UNITS || kernel->dim[2] > 1024 ||
        kernel->dim[3] > 1024)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the kernel has %d dimensions; wanted 4, of at most 1024x1024", kernel->rank);
    for (int i = 0; i < 2; i++) size[i] = (int)kernel->dim[2 + i];
    if (mn__onnx_get_ints(r, "kernel_shape", 2, 0, given)) return r->err->status;
    if (group < 1 || group > s.dim[0] || (given[0] && (given[0] != size[0] || given[1] != size[1])) ||
        kernel->dim[1] != s.dim[0] / group)
        return mn__onnx_fail(
            r, MN_ERR_SHAPE, "the kernel (%lld,%lld,%d,%d) in %lld groups does not fit the input's %lld channels",
            (long long)kernel->dim[0], (long long)kernel->dim[1], size[0], size[1], (long long)group, (long long)s.dim[0]);
    if (read_window(r, s, size, &w)) return r->err->status;
    mn_padding padding = settle(r, &x, &w, 0);
    if (x >= 0) x = conv_layer(r, x, &w, padding, kernel, group, bias != NULL);
    if (mn__onnx_give(r, x)) return r->err->status;
    mn_status status = mn__onnx_set_weight(r, x, 0, mn__onnx_numbers_copy(r, kernel), mn__onnx_count(kernel));
    return status || !bias ? status : mn__onnx_set_weight(r, x, 1, mn__onnx_numbers_copy(r, bias), mn__onnx_count(bias));
}

/* ---- pooling ---- */

/* With ceil_mode an incomplete last window counts, unless it would begin in the padding. */
static void round_up(mn_shape in, window *w) {
    for (int i = 0; i < 2; i++) {
        int64_t reach = w->dilation[i] * (w->size[i] - 1) + 1, padded = in.dim[1 + i] + w->pad[2 * i] + w->pad[2 * i + 1];
        if (padded < reach) continue;
        int64_t n = (padded - reach + w->stride[i] - 1) / w->stride[i] + 1;
        if ((n - 1) * w->stride[i] >= in.dim[1 + i] + w->pad[2 * i]) n--;
        int64_t need = (n - 1) * w->stride[i] + reach - padded;
        if (need > 0) w->pad[2 * i + 1] += (int)need;
    }
}

/* Numbers that are never below 0: there zeros around do not change a maximum. */
static bool never_negative(const mn__layer *l) {
    const mn_activation *a = mn__layer_activation(l);
    return a && (*a == MN_ACT_RELU || *a == MN_ACT_SIGMOID || *a == MN_ACT_SOFTPLUS || *a == MN_ACT_SOFTMAX);
}

mn_status mn__onnx_pool(reader *r) {
    bool max = !strcmp(r->node->op_type, "MaxPool");
    value *in = mn__onnx_activation(r, 0);
    mn_sym x = in ? mn__onnx_plain(r, in, 3) : -1;
    int size[2];
    window w;
    if (x < 0 || mn__onnx_get_ints(r, "kernel_shape", 2, 0, size) || read_window(r, r->m->layer[x]->shape, size, &w))
        return r->err->status;
    if (w.dilation[0] != 1 || w.dilation[1] != 1) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "dilations are not supported");
    if (mn__onnx_out(r, 1)) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the places of the maxima (output 1) are not supported");
    mn_shape s = r->m->layer[x]->shape;
    int before[4];
    memcpy(before, w.pad, sizeof before);
    if (mn__onnx_get_int(r, "ceil_mode", 0)) round_up(s, &w);
    bool grown = memcmp(before, w.pad, sizeof before) != 0, any = w.pad[0] || w.pad[1] || w.pad[2] || w.pad[3];
    bool counts = !max && mn__onnx_get_int(r, "count_include_pad", 0) != 0;
    if (!max && any && !(counts ? !grown : is_same(s, &w)))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a mean over windows that are cut off by the border in this way");
    mn_padding padding = MN_VALID;
    if (counts && any)
        x = pad(r, x, w.pad, 0);
    else
        padding = settle(r, &x, &w, never_negative(r->m->layer[x]) ? 0 : -3e38);
    mn_pooling2d_layer o = {.name = mn__onnx_layer_name(r, NULL),
                            .pool_size = {w.size[0], w.size[1]},
                            .strides = {w.stride[0], w.stride[1]},
                            .padding = padding};
    return mn__onnx_give(r, max ? mn_layer_max_pooling2d(r->m, x, o) : mn_layer_average_pooling2d(r->m, x, o));
}

/* (C) here, (C,1,1) in the file. */
static mn_status give_pooled(reader *r, mn_sym x, bool keep) {
    mn__onnx_value v = {.kind = MN__ONNX_LAYER};
    if (x < 0) return mn__onnx_give(r, x);
    int64_t n = mn_shape_count(r->m->layer[x]->shape);
    v.view = keep ? MN_SHAPE(n, 1, 1) : MN_SHAPE(n);
    for (int i = 0; i <= MN_MAX_DIMS; i++) v.order[i] = i;
    return mn__onnx_give_like(r, x, &v);
}

mn_status mn__onnx_global_pool(reader *r) {
    value *in = mn__onnx_activation(r, 0);
    mn_sym x = in ? mn__onnx_plain(r, in, 3) : -1;
    if (x < 0) return r->err->status;
    mn_shape s = r->m->layer[x]->shape;
    const char *name = mn__onnx_layer_name(r, NULL);
    if (!strcmp(r->node->op_type, "GlobalAveragePool"))
        return give_pooled(r, mn_layer_global_average_pooling2d(r->m, x, (mn_plain_layer){.name = name}), true);
    int size[2] = {(int)s.dim[1], (int)s.dim[2]};
    return give_pooled(r, mn_layer_max_pooling2d(r->m, x, (mn_pooling2d_layer){.name = name, .pool_size = {size[0], size[1]}}),
                       true);
}

mn_status mn__onnx_reduce_mean(reader *r) {
    value *in = mn__onnx_activation(r, 0);
    int64_t axis[MN__ONNX_MAX_RANK];
    int n;
    unsigned seen = 0;
    if (!in || mn__onnx_list(r, "axes", 1, axis, &n)) return r->err->status;
    bool keep = mn__onnx_get_int(r, "keepdims", 1) != 0, moved = false;
    for (int i = 0; i < n && !in->flat; i++) {
        int a = mn__onnx_axis(r, axis[i], mn__onnx_rank(in));
        if (a < 0) return r->err->status;
        seen |= 1u << in->order[a];
    }
    for (int d = 0; d <= in->view.ndim; d++) moved |= in->order[d] != d;
    if (in->view.ndim != 3 || seen != (1u << 2 | 1u << 3) || (keep && moved))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a mean over other dimensions than height and width");
    mn_sym x = mn__onnx_stored(r, in);
    if (x < 0) return r->err->status;
    return give_pooled(r, mn_layer_global_average_pooling2d(r->m, x, (mn_plain_layer){.name = mn__onnx_layer_name(r, NULL)}),
                       keep);
}

/* ---- padding and resizing ---- */

mn_status mn__onnx_pad(reader *r) {
    value *in = mn__onnx_activation(r, 0), *fill;
    int64_t p[MN__ONNX_MAX_RANK];
    int n, sides[4] = {0};
    double v = mn__onnx_get_real(r, "value", 0);
    if (!in || mn__onnx_list(r, "pads", 1, p, &n)) return r->err->status;
    if (mn__onnx_in(r, 2)) {
        const double *number = (fill = mn__onnx_constant(r, 2)) && mn__onnx_count(fill) == 1 ? mn__onnx_numbers(r, fill) : NULL;
        if (!number) return mn__onnx_fail(r, MN_ERR_FORMAT, "the value is no number");
        v = *number;
    }
    if (!mn__onnx_is_word(r, "mode", "constant", "constant"))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the mode is not \"constant\"");
    if (mn__onnx_in(r, 3)) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "axes are not supported");
    int rank = mn__onnx_rank(in);
    if (in->flat || rank != 4 || n != 8)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "pads a tensor of %d dimensions; wanted images", rank);
    for (int d = 0; d < 4; d++)
        for (int k = 0; k < 2; k++) {
            int64_t by = p[d + 4 * k];
            int s = in->order[d];
            if (by < 0 || by > 65536 || (by && s < 2))
                return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "pads dimension %d by %lld", d, (long long)by);
            if (s >= 2) sides[2 * (s - 2) + k] = (int)by;
        }
    mn_sym x = mn__onnx_stored(r, in);
    if (x < 0) return r->err->status;
    if (!(fabs(v) <= 3e38)) v = v < 0 ? -3e38 : 3e38;
    x = pad(r, x, sides, v);
    value like = *in;
    if (x >= 0) like.view = r->m->layer[x]->shape;
    return mn__onnx_give_like(r, x, &like);
}

/* The factor of each stored dimension of (N,C,H,W), from the scales or the sizes. */
static mn_status read_factors(reader *r, const value *in, double *factor) {
    bool old = !strcmp(r->node->op_type, "Upsample");
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, "scales");
    value *scales = mn__onnx_in(r, old || r->opset < 11 ? 1 : 2), *sizes = mn__onnx_in(r, 3);
    if (scales && scales->kind == MN__ONNX_CONSTANT && mn__onnx_count(scales) == 0) scales = NULL;
    if (scales || a) sizes = NULL;
    value *v = sizes ? sizes : scales;
    if (v && v->kind != MN__ONNX_CONSTANT) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the factors are not constant");
    const double *p = !a && v ? mn__onnx_numbers(r, v) : NULL;
    if (a ? a->n_floats != 4 : !p || mn__onnx_count(v) != 4)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "wanted four factors or sizes, for images");
    for (int d = 0; d < 4; d++) {
        int s = in->order[d];
        double f = a ? a->floats[d] : p[d];
        if (sizes) f = s == 0 ? (f == MN__ONNX_BATCH || f == (double)r->batch ? 1 : 0) : f / (double)in->view.dim[s - 1];
        factor[s] = f;
    }
    return MN_OK;
}

/* Do these words mean that every number is repeated? For whole factors that is so with most of them. */
static bool repeats(reader *r, const double *factor) {
    bool round = mn__onnx_is_word(r, "nearest_mode", "round_prefer_floor", "round_prefer_floor"),
         floored = mn__onnx_is_word(r, "nearest_mode", "floor", "round_prefer_floor");
    bool twice = factor[2] <= 2 && factor[3] <= 2;
    if (!strcmp(r->node->op_type, "Upsample") || r->opset < 11) return true;
    if (mn__onnx_is_word(r, "coordinate_transformation_mode", "asymmetric", "half_pixel")) return floored || (round && twice);
    return round && (mn__onnx_is_word(r, "coordinate_transformation_mode", "half_pixel", "half_pixel") ||
                     mn__onnx_is_word(r, "coordinate_transformation_mode", "pytorch_half_pixel", "half_pixel"));
}

mn_status mn__onnx_resize(reader *r) {
    value *in = mn__onnx_activation(r, 0);
    double f[4];
    if (!in) return r->err->status;
    if (in->flat || in->view.ndim != 3)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "resizes a tensor of %d dimensions; wanted images", mn__onnx_rank(in));
    if (read_factors(r, in, f)) return r->err->status;
    if (!mn__onnx_is_word(r, "mode", "nearest", "nearest"))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the mode is not \"nearest\"");
    for (int i = 0; i < 4; i++)
        if (i < 2 ? f[i] != 1 : !(f[i] >= 1 && f[i] <= 256 && f[i] == floor(f[i])))
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED,
                                 "the factor is %g; wanted whole numbers for height and width, 1 for the others", f[i]);
    if (!repeats(r, f))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "this rounding of coordinates is not supported; wanted repeated numbers");
    mn_sym x = mn__onnx_stored(r, in);
    if (x < 0) return r->err->status;
    x = mn_layer_up_sampling2d(r->m, x,
                               (mn_up_sampling2d_layer){.name = mn__onnx_layer_name(r, NULL), .size = {(int)f[2], (int)f[3]}});
    value like = *in;
    if (x >= 0) like.view = r->m->layer[x]->shape;
    return mn__onnx_give_like(r, x, &like);
}
#endif
