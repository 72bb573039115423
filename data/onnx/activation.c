/* ONNX operators that act on every number by itself, softmax, and what does nothing. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <math.h>
#include <string.h>

typedef mn__onnx_value value;
typedef mn__onnx_reader reader;

static mn_status activate(reader *r, mn_activation a, double alpha) {
    value *in = mn__onnx_activation(r, 0);
    mn_sym x = in ? mn__onnx_stored(r, in) : -1;
    if (x < 0) return r->err->status;
    return mn__onnx_give_like(
        r,
        mn_layer_activation(r->m, x,
                            (mn_activation_layer){.name = mn__onnx_layer_name(r, NULL), .activation = a, .alpha = alpha}),
        in);
}

mn_status mn__onnx_relu(reader *r) { return activate(r, MN_ACT_RELU, 0); }
mn_status mn__onnx_sigmoid(reader *r) { return activate(r, MN_ACT_SIGMOID, 0); }
mn_status mn__onnx_tanh(reader *r) { return activate(r, MN_ACT_TANH, 0); }
mn_status mn__onnx_softplus(reader *r) { return activate(r, MN_ACT_SOFTPLUS, 0); }

/* An alpha of 0 would mean the default. */
static mn_status leaky(reader *r, double alpha) {
    return alpha != 0 ? activate(r, MN_ACT_LEAKY_RELU, alpha) : activate(r, MN_ACT_RELU, 0);
}

mn_status mn__onnx_leaky_relu(reader *r) { return leaky(r, mn__onnx_get_real(r, "alpha", 0.01)); }

mn_status mn__onnx_elu(reader *r) {
    double alpha = mn__onnx_get_real(r, "alpha", 1);
    return alpha != 0 ? activate(r, MN_ACT_ELU, alpha) : activate(r, MN_ACT_RELU, 0);
}

mn_status mn__onnx_prelu(reader *r) {
    value *slope = mn__onnx_constant(r, 1);
    const double *p = slope ? mn__onnx_numbers(r, slope) : NULL;
    if (!p) return r->err->status;
    for (int64_t i = 1; i < mn__onnx_count(slope); i++)
        if (p[i] != p[0]) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "slopes that differ are not supported");
    return mn__onnx_count(slope) < 1 ? mn__onnx_fail(r, MN_ERR_FORMAT, "has no slope") : leaky(r, p[0]);
}

mn_status mn__onnx_gelu(reader *r) {
    if (!mn__onnx_is_word(r, "approximate", "none", "none"))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the approximation by tanh is not supported");
    return activate(r, MN_ACT_GELU, 0);
}

/* ---- Gelu in parts: x/sqrt(2), Erf, + 1, times x, times 1/2, the last two in either order ---- */

enum { ERF = 1, ERF_AND_ONE, ERF_TIMES_X };

mn_status mn__onnx_erf(reader *r) {
    value *in = mn__onnx_activation(r, 0);
    if (!in) return r->err->status;
    mn__layer *l = r->m->layer[in->x];
    const mn_rescaling_layer *o = l->opt;
    bool fits = l->class == &mn__class_rescaling && fabs(o->scale - 0.70710678118654752) < 1e-6 && o->offset == 0;
    if (!fits || in->x != r->m->n_layers - 1 || in->readers != 1)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "is supported as a part of Gelu only");
    mn_sym x = l->in[0];
    r->m->n_layers--; /* the division becomes a part of the activation */
    in->kind = MN__ONNX_NOTHING;
    if (mn__onnx_give_like(r, x, &(value){.kind = MN__ONNX_LAYER, .view = in->view, .flat = in->flat})) return r->err->status;
    memcpy(mn__onnx_out(r, 0)->order, in->order, sizeof in->order);
    mn__onnx_out(r, 0)->erf = ERF;
    return MN_OK;
}

static double scalar(reader *r, value *v) {
    const double *p = v->kind == MN__ONNX_CONSTANT && mn__onnx_count(v) == 1 ? mn__onnx_numbers(r, v) : NULL;
    return p ? *p : (double)NAN;
}

mn_status mn__onnx_erf_part(reader *r, value *a, value *b, char op) {
    value *part = a->erf ? a : b, *other = a->erf ? b : a;
    double number = scalar(r, other);
    int next = 0;
    bool half = other->kind == MN__ONNX_LAYER && r->m->layer[other->x]->class == &mn__class_rescaling &&
                r->m->layer[other->x]->in[0] == part->x && ((mn_rescaling_layer *)r->m->layer[other->x]->opt)->scale == 0.5;
    if (part->erf == ERF && op == '+' && number == 1) next = ERF_AND_ONE;
    if (part->erf == ERF_AND_ONE && op == '*' && other->kind == MN__ONNX_LAYER && !other->erf && other->x == part->x)
        next = ERF_TIMES_X;
    bool done = (part->erf == ERF_TIMES_X && op == '*' && number == 0.5) || (part->erf == ERF_AND_ONE && op == '*' && half);
    if (next) {
        mn_status s = mn__onnx_give_like(r, part->x, part);
        if (s == MN_OK) mn__onnx_out(r, 0)->erf = next;
        return s;
    }
    if (!done) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "Erf is supported as a part of Gelu only");
    mn_activation_layer o = {.name = mn__onnx_layer_name(r, NULL), .activation = MN_ACT_GELU};
    return mn__onnx_give_like(r, mn_layer_activation(r->m, part->x, o), part);
}

/* ---- bounds ---- */

static mn_status bound(reader *r, const char *name, size_t i, double otherwise, double *out) {
    *out = mn__onnx_get_real(r, name, otherwise);
    if (mn__onnx_attribute(r, name) || !mn__onnx_in(r, i)) return MN_OK;
    value *v = mn__onnx_constant(r, i);
    if (v) *out = scalar(r, v);
    return v && isnan(*out) ? mn__onnx_fail(r, MN_ERR_FORMAT, "%s is no number", name) : r->err->status;
}

static mn_sym clip(reader *r, mn_sym x, const char *name, double lo, double hi) {
    const double zero = 1e-300; /* a bound of 0 that is meant */
    return mn_layer_clip(r->m, x, (mn_clip_layer){.name = name, .min_value = lo, .max_value = hi != 0 ? hi : zero});
}

mn_status mn__onnx_clip(reader *r) {
    double lo, hi;
    value *in = mn__onnx_activation(r, 0);
    if (!in || bound(r, "min", 1, -1e30, &lo) || bound(r, "max", 2, 1e30, &hi)) return r->err->status;
    if (lo == 0 && hi >= 1e30) return activate(r, MN_ACT_RELU, 0);
    lo = lo < -1e30 ? -1e30 : lo;
    hi = hi > 1e30 ? 1e30 : hi;
    mn_sym x = mn__onnx_stored(r, in);
    return x < 0 ? r->err->status : mn__onnx_give_like(r, clip(r, x, mn__onnx_layer_name(r, NULL), lo, hi), in);
}

/* max(0, min(1, alpha x + beta)); HardSwish is x times that with 1/6 and 1/2. */
mn_status mn__onnx_hard_sigmoid(reader *r) {
    bool swish = !strcmp(r->node->op_type, "HardSwish");
    double alpha = swish ? 1.0 / 6 : mn__onnx_get_real(r, "alpha", 0.2), beta = swish ? 0.5 : mn__onnx_get_real(r, "beta", 0.5);
    value *in = mn__onnx_activation(r, 0);
    mn_sym x = in ? mn__onnx_stored(r, in) : -1;
    if (x < 0) return r->err->status;
    mn_sym y = mn_layer_rescaling(r->m, x, (mn_rescaling_layer){.scale = alpha, .offset = beta});
    const char *name = mn__onnx_layer_name(r, NULL);
    y = clip(r, y, swish ? NULL : name, 0, 1);
    if (swish) y = mn_layer_multiply(r->m, (mn_sym[]){x, y}, 2, (mn_plain_layer){name});
    return mn__onnx_give_like(r, y, in);
}

/* ---- softmax ---- */

/* A head is logits here: a softmax, or its logarithm, that is an output is left out. */
mn_status mn__onnx_softmax(reader *r) {
    bool logarithm = *r->node->op_type == 'L';
    value *in = mn__onnx_activation(r, 0);
    if (!in) return r->err->status;
    int rank = mn__onnx_rank(in), axis = mn__onnx_axis(r, mn__onnx_get_int(r, "axis", r->opset < 13 ? 1 : -1), rank);
    if (axis < 0) return r->err->status;
    if (rank != 2 || axis != 1)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED,
                             "of a tensor of %d dimensions along axis %d; wanted (samples, features), axis 1", rank, axis);
    mn_sym x = mn__onnx_plain(r, in, 1);
    if (x < 0) return r->err->status;
    if (mn__onnx_is_final(r) && r->m->layer[x]->class != &mn__class_input) {
        r->m->layer[x]->softmax = true;
        return mn__onnx_give(r, x);
    }
    if (logarithm) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "is supported at the end of a network only");
    return activate(r, MN_ACT_SOFTMAX, 0);
}

/* ---- nothing ---- */

mn_status mn__onnx_pass(reader *r) {
    value *in = mn__onnx_in(r, 0);
    if (!in || in->kind != MN__ONNX_LAYER) return mn__onnx_activation(r, 0) ? MN_ERR_FORMAT : r->err->status;
    return mn__onnx_activation(r, 0) ? mn__onnx_give_like(r, in->x, in) : r->err->status;
}

mn_status mn__onnx_dropout(reader *r) {
    value *in = mn__onnx_activation(r, 0), *given = mn__onnx_in(r, 1);
    double rate = given ? scalar(r, given) : mn__onnx_get_real(r, "ratio", 0.5);
    if (!in) return r->err->status;
    if (!(rate > 0 && rate <= 0.9999)) return mn__onnx_pass(r);
    mn_sym x = mn__onnx_stored(r, in);
    if (x < 0) return r->err->status;
    return mn__onnx_give_like(
        r, mn_layer_dropout(r->m, x, (mn_dropout_layer){.name = mn__onnx_layer_name(r, NULL), .rate = rate}), in);
}
#endif
