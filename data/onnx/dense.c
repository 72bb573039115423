/* ONNX operators with a number for each feature or channel: dense layers, normalisation, sums and products with constants. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <math.h>
#include <string.h>

typedef mn__onnx_value value;
typedef mn__onnx_reader reader;

/* ---- dense ---- */

/* kernel[unit][place] = scale * B[feature][unit], or B[unit][feature] when it is transposed. */
static double *dense_kernel(reader *r, const value *in, value *b, bool transposed, double scale) {
    int64_t units = b->dim[transposed ? 0 : 1], features = b->dim[transposed ? 1 : 0], *place;
    const double *from = mn__onnx_numbers(r, b);
    double *to = from && mn__onnx_feature_places(r, in, &place) == MN_OK ? mn__onnx_new_numbers(r, units * features) : NULL;
    if (!from) return NULL;
    for (int64_t u = 0; to && u < units; u++)
        for (int64_t f = 0; f < features; f++)
            to[u * features + (place ? place[f] : f)] = scale * from[transposed ? u * features + f : f * units + u];
    if (!r->err->status || to) mn_free(place);
    return to;
}

/* y = scale * x B; a row of features, or one for each step of a sequence. */
static mn_sym dense(reader *r, value *in, value *b, bool transposed, double scale, bool bias) {
    int64_t units = b->rank == 2 ? b->dim[transposed ? 0 : 1] : 0, features = units ? b->dim[transposed ? 1 : 0] : 0;
    int rank = mn__onnx_rank(in);
    bool steps = rank == 3 && !in->flat;
    double dim[MN__ONNX_MAX_RANK];
    if (rank != 2 && rank != 3)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "reads a tensor of %d dimensions; wanted (samples, features)", rank), -1;
    if (steps && mn__onnx_plain(r, in, 2) < 0) return -1;
    mn__onnx_dims(in, dim);
    if (units < 1 || units > MN__MAX_UNITS || dim[0] != MN__ONNX_BATCH || dim[rank - 1] != (double)features)
        return mn__onnx_fail(r, MN_ERR_SHAPE, "the input has %g features; the weight \"%.60s\" wants %lld", dim[rank - 1],
                             b->name, (long long)features),
               -1;
    mn_sym x = mn__onnx_stored(r, in);
    if (in->flat && x >= 0 && r->m->layer[x]->shape.ndim > 1) x = mn_layer_flatten(r->m, x, (mn_plain_layer){0});
    mn_model_time_distributed(r->m, steps);
    if (x >= 0)
        x = mn_layer_dense(r->m, x, (mn_dense_layer){.name = mn__onnx_layer_name(r, b), .units = (int)units, .no_bias = !bias});
    mn_model_time_distributed(r->m, false);
    if (mn__onnx_give(r, x)) return -1;
    double *kernel = dense_kernel(r, in, b, transposed, scale);
    return mn__onnx_set_weight(r, x, 0, kernel, units * features) ? -1 : x;
}

static mn_status scaled_bias(reader *r, mn_sym x, value *c, double scale) {
    int64_t units = r->m->layer[x]->weight[1].shape.dim[0], n = mn__onnx_count(c);
    const double *from = mn__onnx_numbers(r, c);
    double *to = from && (n == units || n == 1) ? mn__onnx_new_numbers(r, units) : NULL;
    if (!from || (to == NULL && r->err->status)) return r->err->status;
    if (!to) return mn__onnx_fail(r, MN_ERR_SHAPE, "the bias has %lld numbers; wanted %lld", (long long)n, (long long)units);
    for (int64_t i = 0; i < units; i++) to[i] = scale * from[n == 1 ? 0 : i];
    return mn__onnx_set_weight(r, x, 1, to, units);
}

mn_status mn__onnx_gemm(reader *r) {
    value *in = mn__onnx_activation(r, 0), *b = in ? mn__onnx_constant(r, 1) : NULL, *c = NULL;
    if (!b || (mn__onnx_in(r, 2) && !(c = mn__onnx_constant(r, 2)))) return r->err->status;
    if (mn__onnx_get_int(r, "transA", 0)) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "transA is not supported");
    if (mn__onnx_rank(in) != 2)
        return mn__onnx_fail(r, MN_ERR_FORMAT, "reads a tensor of %d dimensions; wanted 2", mn__onnx_rank(in));
    mn_sym x = dense(r, in, b, mn__onnx_get_int(r, "transB", 0) != 0, mn__onnx_get_real(r, "alpha", 1), c != NULL);
    if (x < 0 || !c) return r->err->status;
    return scaled_bias(r, x, c, mn__onnx_get_real(r, "beta", 1));
}

mn_status mn__onnx_matmul(reader *r) {
    value *in = mn__onnx_activation(r, 0), *b = in ? mn__onnx_constant(r, 1) : NULL;
    if (b) dense(r, in, b, false, 1, false);
    return r->err->status;
}

/* ---- batch normalisation ---- */

mn_status mn__onnx_batch_normalization(reader *r) {
    value *in = mn__onnx_activation(r, 0), *weight[4];
    for (size_t k = 0; k < 4; k++)
        if (!in || !(weight[k] = mn__onnx_constant(r, k + 1))) return r->err->status;
    if (mn__onnx_get_int(r, "training_mode", 0) || mn__onnx_out(r, 1))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED,
                             "is in training mode; hint: export the network for inference (PyTorch: model.eval())");
    mn_sym x = mn__onnx_plain(r, in, mn__onnx_rank(in) == 2 ? 1 : 3);
    if (x < 0) return r->err->status;
    x = mn_layer_batch_normalization(r->m, x,
                                     (mn_batch_normalization_layer){.name = mn__onnx_layer_name(r, weight[0]),
                                                                    .momentum = mn__onnx_get_real(r, "momentum", 0.9),
                                                                    .epsilon = mn__onnx_get_real(r, "epsilon", 1e-5)});
    mn_status s = mn__onnx_give(r, x);
    for (int k = 0; k < 4 && s == MN_OK; k++)
        s = mn__onnx_set_weight(r, x, k, mn__onnx_numbers_copy(r, weight[k]), mn__onnx_count(weight[k]));
    return s;
}

/* ---- sums and products with constants ---- */

/* x*scale + offset with one number for all; nothing at all where that is x. */
static mn_status rescale(reader *r, value *in, double scale, double offset) {
    if (scale == 1 && offset == 0) return mn__onnx_give_like(r, in->x, in);
    mn_sym x = mn__onnx_stored(r, in);
    if (x < 0) return r->err->status;
    const double zero = 1e-300; /* a factor of 0 that is meant */
    return mn__onnx_give_like(
        r,
        mn_layer_rescaling(
            r->m, x,
            (mn_rescaling_layer){.name = mn__onnx_layer_name(r, NULL), .scale = scale != 0 ? scale : zero, .offset = offset}),
        in);
}

/* The stored dimension along which c has a number each: 0 when c does not fit. */
static int constant_dim(const value *in, const value *c) {
    int rank = mn__onnx_rank(in), found = 0;
    if (c->rank > rank) return 0;
    for (int d = 0; d < c->rank; d++) {
        int at = rank - c->rank + d;
        if (c->dim[d] == 1) continue;
        if (found || in->flat || !in->order[at] || in->view.dim[in->order[at] - 1] != c->dim[d]) return 0;
        found = in->order[at];
    }
    return found;
}

/* A sum right after a layer that has a place for it: its bias. */
static bool as_bias(reader *r, value *in, value *c, int dim, double sign) {
    mn__layer *l = r->m->layer[in->x];
    bool dense = l->class == &mn__class_dense, conv = l->class == &mn__class_conv2d || l->class == &mn__class_depthwise_conv2d;
    if ((!dense && !conv) || in->readers != 1 || !l->weight[1].absent || !mn_shape_equal(l->shape, in->view)) return false;
    if (dim != (dense ? l->shape.ndim : 1)) return false;
    if (dense)
        ((mn_dense_layer *)l->opt)->no_bias = false;
    else if (l->class == &mn__class_conv2d)
        ((mn_conv2d_layer *)l->opt)->no_bias = false;
    else
        ((mn_depthwise_conv2d_layer *)l->opt)->no_bias = false;
    l->weight[1].absent = false;
    return scaled_bias(r, in->x, c, sign) == MN_OK && mn__onnx_give_like(r, in->x, in) == MN_OK;
}

/* x*gamma + beta, of which one is c (to the power -1 for `inverse`). */
static mn_status per_channel(reader *r, value *in, value *c, bool product, double sign, bool inverse) {
    mn_sym x = mn__onnx_plain(r, in, mn__onnx_rank(in) == 2 ? 1 : 3);
    int64_t n = mn__onnx_count(c);
    double *number = x >= 0 ? mn__onnx_numbers_copy(r, c) : NULL;
    for (int64_t i = 0; number && i < n; i++) number[i] = inverse ? 1 / number[i] : sign * number[i];
    if (!number) return r->err->status;
    x = mn_layer_scale(r->m, x,
                       (mn_scale_layer){.name = mn__onnx_layer_name(r, NULL), .no_center = product, .no_scale = !product});
    if (mn__onnx_give(r, x)) {
        mn_free(number);
        return r->err->status;
    }
    return mn__onnx_set_weight(r, x, product ? 0 : 1, number, n);
}

/* op: + - * /, and \ for the constant minus x. */
static mn_status with_constant(reader *r, value *in, value *c, char op) {
    int64_t n = mn__onnx_count(c);
    if (n == 1 && c->rank <= mn__onnx_rank(in)) {
        const double *p = mn__onnx_numbers(r, c);
        if (!p) return r->err->status;
        if (!isfinite(*p) || fabs(*p) > 1e30 || (op == '/' && !(fabs(*p) >= 1e-30)))
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the constant is %g", *p);
        return op == '+'   ? rescale(r, in, 1, *p)
               : op == '-' ? rescale(r, in, 1, -*p)
               : op == '*' ? rescale(r, in, *p, 0)
               : op == '/' ? rescale(r, in, 1 / *p, 0)
                           : rescale(r, in, -1, *p);
    }
    int dim = constant_dim(in, c);
    if (!dim || op == '\\')
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED,
                             "the constant \"%.60s\" of %lld numbers; wanted one number, or one for each channel", c->name,
                             (long long)n);
    if ((op == '+' || op == '-') && as_bias(r, in, c, dim, op == '+' ? 1 : -1)) return MN_OK;
    if (r->err->status) return r->err->status;
    if (dim != 1) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the constant \"%.60s\" does not lie along the channels", c->name);
    return per_channel(r, in, c, op == '*' || op == '/', op == '-' ? -1 : 1, op == '/');
}

/* The result of mn__onnx_erf goes through three more nodes before it is Gelu. */
static mn_status both(reader *r, char op) {
    value *v[2] = {mn__onnx_in(r, 0), mn__onnx_in(r, 1)};
    if (r->node->n_input != 2 || !v[0] || !v[1])
        return mn__onnx_fail(r, MN_ERR_FORMAT, "has %zu inputs; wanted 2", r->node->n_input);
    if (v[0]->erf || v[1]->erf) return mn__onnx_erf_part(r, v[0], v[1], op);
    if (v[1]->kind == MN__ONNX_CONSTANT) return with_constant(r, v[0], v[1], op);
    if (v[0]->kind == MN__ONNX_CONSTANT && op != '/') return with_constant(r, v[1], v[0], op == '-' ? '\\' : op);
    return mn__onnx_join(r, op);
}

mn_status mn__onnx_mul(reader *r) { return both(r, '*'); }
mn_status mn__onnx_div(reader *r) { return both(r, '/'); }
mn_status mn__onnx_sub(reader *r) { return both(r, '-'); }
mn_status mn__onnx_add(reader *r) { return r->node->n_input == 2 ? both(r, '+') : mn__onnx_join(r, '+'); }

mn_status mn__onnx_neg(reader *r) {
    value *in = mn__onnx_activation(r, 0);
    return in ? rescale(r, in, -1, 0) : r->err->status;
}
#endif
