/* Activations, Grad-CAM and guided backpropagation of a model on one picture. See look.h. */
#include "apps/look.h"
#include "apps/app.h"
#include "autograd/guided.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void look_free(look_maps *m) {
    free(m->v);
    *m = (look_maps){0};
}

static mn_status failed(mn_model *m, mn_error *err) {
    const mn_error *e = mn_context_error(mn_model_context(m));
    return mn_fail(err, e->status ? e->status : MN_ERR_ARG, "%s", e->text);
}

static bool is_maps(mn_shape s) { return s.ndim == 3 && s.dim[1] * s.dim[2] > 1; }

const char *look_last_maps(const mn_model *m) {
    const char *name = NULL;
    for (int i = 0; i < mn_model_layers(m); i++) {
        mn_layer_look l = mn_model_look(m, i);
        if (is_maps(l.shape) && l.n_in) name = l.name;
    }
    return name;
}

mn_tensor *look_first_kernels(mn_model *m) {
    int n;
    mn_tensor **w = mn_model_parameters(m, &n, NULL);
    for (int i = 0; i < n; i++)
        if (w[i]->shape.ndim == 4 && w[i]->shape.dim[2] * w[i]->shape.dim[3] > 1) return w[i];
    return NULL;
}

/* Forward, as in prediction, with a tape. The picture is what gradients are wanted for: weights are frozen. */
static mn_tensor *forward(mn_model *m, const float *x) {
    mn_context *c = mn_model_context(m);
    mn_shape s = mn_model_input_shape(m, 0);
    mn_model_freeze(m, "*", true);
    if (mn_step_begin(c)) return NULL;
    mn_tensor *in = mn_input(c, MN_SHAPE(1, s.dim[0], s.dim[1], s.dim[2]), x);
    if (!in) return NULL;
    in->requires_grad = true;
    return mn_model_forward(m, &in, false) ? NULL : in;
}

mn_status look_answer(mn_model *m, const float *x, int head, double temperature, double *p, mn_error *err) {
    if (!forward(m, x) || mn_get_f64(mn_model_result(m, head), p)) return failed(m, err);
    int K = (int)mn_shape_count(mn_model_output_shape(m, head));
    double most = -INFINITY, sum = 0;
    for (int k = 0; k < K; k++) most = fmax(most, p[k]);
    for (int k = 0; k < K; k++) sum += p[k] = exp((p[k] - most) / (temperature > 0 ? temperature : 1));
    for (int k = 0; k < K; k++) p[k] /= sum;
    return MN_OK;
}

static mn_status copy_out(mn_model *m, const mn_tensor *t, look_maps *out, mn_error *err) {
    bool maps = t->shape.ndim == 4;
    *out = (look_maps){.channels = maps ? (int)t->shape.dim[1] : 1,
                       .height = maps ? (int)t->shape.dim[2] : 1,
                       .width = (int)(maps ? t->shape.dim[3] : t->count),
                       .v = app_alloc((size_t)t->count, sizeof(double))};
    return mn_get_f64(t, out->v) ? failed(m, err) : MN_OK;
}

mn_status look_activation(mn_model *m, const char *layer, look_maps *out, mn_error *err) {
    mn_tensor *t = mn_model_activation(m, layer);
    *out = (look_maps){0};
    if (!t) return mn_fail(err, MN_ERR_ARG, "there is no layer \"%s\"; hint: `mien info MODEL` lists them", layer);
    return copy_out(m, t, out, err);
}

/* 1 for class k of the head, 0 for the others: d logit_k / d logits. */
static mn_tensor *one_class(mn_model *m, int head, int k) {
    int K = (int)mn_shape_count(mn_model_output_shape(m, head));
    float *v = app_alloc((size_t)K, sizeof *v);
    v[k] = 1;
    mn_tensor *dy = mn_input(mn_model_context(m), MN_SHAPE(1, K), v);
    free(v);
    return dy;
}

/* The gradients become weights of the maps, channel by channel. */
static void weigh(const look_maps *a, const look_maps *g, look_maps *out) {
    int n = a->height * a->width;
    *out = (look_maps){.channels = 1, .height = a->height, .width = a->width, .v = app_alloc((size_t)n, sizeof(double))};
    for (int c = 0; c < a->channels; c++) {
        double weight = 0;
        for (int i = 0; i < n; i++) weight += g->v[c * n + i] / n;
        for (int i = 0; i < n; i++) out->v[i] += weight * a->v[c * n + i];
    }
    for (int i = 0; i < n; i++) out->v[i] = fmax(out->v[i], 0);
}

mn_status look_gradcam(mn_model *m, const float *x, int head, int k, const char *layer, look_maps *out, mn_error *err) {
    look_maps a = {0}, g = {0};
    *out = (look_maps){0};
    if (!forward(m, x)) return failed(m, err);
    mn_tensor *t = mn_model_activation(m, layer);
    if (!t || t->shape.ndim != 4)
        return mn_fail(err, MN_ERR_ARG, "%s \"%s\"; wanted a layer whose output is maps; hint: `mien info MODEL` lists them",
                       t ? "there are no maps in the layer" : "there is no layer", layer);
    t->retain_grad = true;
    if (mn_backward_from(mn_model_context(m), mn_model_result(m, head), one_class(m, head, k))) return failed(m, err);
    if (!t->grad) return mn_fail(err, MN_ERR_ARG, "the answer does not depend on the layer \"%s\"", layer);
    mn_status s = copy_out(m, t, &a, err);
    if (!s) s = copy_out(m, t->grad, &g, err);
    if (!s) weigh(&a, &g, out);
    look_free(&a);
    look_free(&g);
    return s;
}

mn_status look_guided(mn_model *m, const float *x, int head, int k, look_maps *out, mn_error *err) {
    mn_tensor *in = forward(m, x);
    *out = (look_maps){0};
    if (!in || mn_backward_guided(mn_model_context(m), mn_model_result(m, head), one_class(m, head, k))) return failed(m, err);
    if (!in->grad) return mn_fail(err, MN_ERR_ARG, "the answer does not depend on the picture");
    return copy_out(m, in->grad, out, err);
}
