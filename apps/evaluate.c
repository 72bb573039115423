/* Forward passes without gradients, probabilities collected on the host. */
#include "apps/evaluate.h"
#include "apps/app.h"
#include "apps/progress.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

mn_status evaluation_fits(const mn_model *m, const mn_model_info *info, const char *path, mn_error *err) {
    const mn_preprocess *p = &info->preprocess;
    int outputs = mn_model_outputs(m);
    if (mn_model_inputs(m) != 1 || outputs < 1 || outputs > MN_MAX_HEADS || info->n_heads != outputs)
        return mn_fail(
            err, MN_ERR_UNSUPPORTED,
            "%s: has %d inputs and %d outputs with %d named heads; wanted a network with one input, a picture, and 1 to "
            "%d named answers",
            path, mn_model_inputs(m), outputs, info->n_heads, MN_MAX_HEADS);
    if (!mn_shape_equal(mn_model_input_shape(m, 0), MN_SHAPE(p->channels, p->height, p->width)))
        return mn_fail(err, MN_ERR_UNSUPPORTED, "%s: takes no pictures of %dx%d with %d channels, which its preprocessing makes",
                       path, p->width, p->height, p->channels);
    for (int i = 0; i < outputs; i++) {
        const mn_head *h = &info->head[i];
        if (h->n_classes < 1 || !mn_shape_equal(mn_model_output_shape(m, i), MN_SHAPE(h->n_classes)))
            return mn_fail(err, MN_ERR_UNSUPPORTED, "%s: head \"%s\" has %d names for another number of outputs", path, h->name,
                           h->n_classes);
    }
    return MN_OK;
}

int head_class(const mn_head *h, const char *name) {
    for (int k = 0; k < h->n_classes; k++)
        if (!strcmp(h->class_name[k], name)) return k;
    return -1;
}

static mn_status map_classes(head_map *m, int h, const mn_head *model, const mn_head *data, const char *data_name,
                             mn_error *err) {
    m->class_of[h] = app_alloc((size_t)data->n_classes, sizeof(int32_t));
    for (int k = 0; k < data->n_classes; k++) {
        m->class_of[h][k] = head_class(model, data->class_name[k]);
        if (m->class_of[h][k] < 0)
            return mn_fail(err, MN_ERR_SHAPE,
                           "%s has the %s class \"%s\", which the model does not know; its %d classes are \"%s\"%s%s", data_name,
                           data->name, data->class_name[k], model->n_classes, model->class_name[0],
                           model->n_classes > 1 ? ", ..." : "",
                           strcmp(model->class_name[0], "0") ? "" : "; hint: --class-names says what they are called");
    }
    return MN_OK;
}

mn_status head_map_create(head_map *m, const mn_head *head, int n_heads, const mn_dataset *d, mn_error *err) {
    *m = (head_map){.n_heads = n_heads};
    int found = 0;
    for (int h = 0; h < n_heads; h++) {
        m->at[h] = -1;
        for (int k = 0; k < d->n_heads; k++)
            if (!strcmp(d->head[k].name, head[h].name)) m->at[h] = k;
        if (m->at[h] < 0 && n_heads == 1 && d->n_heads == 1) m->at[h] = 0;
        if (m->at[h] < 0) continue;
        found++;
        mn_status s = map_classes(m, h, &head[h], &d->head[m->at[h]], d->name, err);
        if (s) return head_map_free(m), s;
    }
    if (found) return MN_OK;
    return mn_fail(err, MN_ERR_SHAPE, "%s is labelled with \"%s\", the model predicts \"%s\"", d->name, d->head[0].name,
                   head[0].name);
}

void head_map_free(head_map *m) {
    for (int h = 0; h < m->n_heads; h++) free(m->class_of[h]);
    *m = (head_map){0};
}

void evaluation_create(evaluation *e, const mn_model *m, int64_t n) {
    *e = (evaluation){.n = n, .n_heads = mn_model_outputs(m)};
    for (int h = 0; h < e->n_heads; h++) {
        mn_shape s = mn_model_output_shape(m, h);
        e->classes[h] = (int)mn_shape_count(s);
        e->p[h] = app_alloc((size_t)n * (size_t)e->classes[h], sizeof(float));
        e->label[h] = app_alloc((size_t)n, sizeof(int32_t));
    }
}

void evaluation_free(evaluation *e) {
    for (int h = 0; h < e->n_heads; h++) free(e->p[h]), free(e->label[h]);
    *e = (evaluation){0};
}

static mn_status context_failed(mn_model *m, mn_status s, mn_error *err) {
    const mn_error *e = mn_context_error(mn_model_context(m));
    return mn_fail(err, e->status ? e->status : s, "%s", e->text);
}

/* The logits of n pictures. */
static mn_status forward(mn_model *m, const float *x, int64_t n, mn_error *err) {
    mn_context *c = mn_model_context(m);
    mn_shape in = mn_model_input_shape(m, 0);
    if (mn_step_begin(c)) return context_failed(m, MN_ERR_ARG, err);
    mn_tensor *input = mn_input(c, MN_SHAPE(n, in.dim[0], in.dim[1], in.dim[2]), x);
    mn_no_grad_begin(c);
    mn_status s = mn_model_forward(m, &input, false);
    mn_no_grad_end(c);
    return s ? context_failed(m, s, err) : MN_OK;
}

/* n rows of logits become probabilities. */
static mn_status to_probabilities(float *x, int64_t n, int classes, double temperature, int64_t first, mn_error *err) {
    for (int64_t i = 0; i < n * classes; i++)
        if (!isfinite(x[i]))
            return mn_fail(err, MN_ERR_NUMERIC, "the model gives numbers that are not finite (sample %lld)",
                           (long long)(first + i / classes));
    metrics_softmax(x, n, classes, temperature);
    return MN_OK;
}

/* Adds the view's probabilities, times `weight`, to those of samples first .. first+n-1. */
static mn_status add_view(evaluation *e, mn_model *m, const float *x, int64_t n, int64_t first, float weight, mn_error *err) {
    mn_status s = forward(m, x, n, err);
    for (int h = 0; h < e->n_heads && !s; h++) {
        float *p = e->p[h] + first * e->classes[h];
        size_t count = (size_t)n * (size_t)e->classes[h];
        float *view = app_alloc(count, sizeof *view);
        s = mn_get(mn_model_result(m, h), view);
        if (s) context_failed(m, s, err);
        if (!s) s = to_probabilities(view, n, e->classes[h], e->temperature[h], first, err);
        for (size_t i = 0; i < count && !s; i++) p[i] += weight * view[i];
        free(view);
    }
    return s;
}

/* A new array: each of the rows of x from right to left. */
static float *mirrored(const float *x, int64_t rows, int64_t width) {
    float *out = app_alloc((size_t)(rows * width), sizeof *out);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < width; k++) out[r * width + k] = x[r * width + width - 1 - k];
    return out;
}

/* One batch: probabilities of its sample i go to row first + i. */
static mn_status run_batch(evaluation *e, mn_model *m, const mn_batch *b, const head_map *map, int64_t first, mn_error *err) {
    mn_shape in = mn_model_input_shape(m, 0);
    for (int h = 0; h < e->n_heads; h++) {
        memset(e->p[h] + first * e->classes[h], 0, (size_t)b->n * (size_t)e->classes[h] * sizeof(float));
        for (int64_t i = 0; i < b->n; i++) {
            int32_t label = map->at[h] < 0 ? -1 : b->label[map->at[h]][i];
            e->label[h][first + i] = label < 0 ? -1 : map->class_of[h][label];
        }
    }
    mn_status s = add_view(e, m, b->x, b->n, first, e->flip ? 0.5f : 1, err);
    if (s || !e->flip) return s;
    int64_t width = in.dim[in.ndim - 1];
    float *mirror = mirrored(b->x, b->n * mn_shape_count(in) / width, width);
    s = add_view(e, m, mirror, b->n, first, 0.5f, err);
    free(mirror);
    return s;
}

mn_status evaluation_run(evaluation *e, mn_model *m, mn_loader *l, const head_map *map, const char *what,
                         const volatile int *stop, mn_error *err) {
    progress bar;
    progress_begin(&bar, what ? what : "", mn_loader_batches(l));
    mn_status s = mn_loader_begin(l, 0, 0);
    mn_batch b;
    int64_t done = 0;
    int more = 0;
    for (int64_t k = 1; !s && (more = mn_loader_next(l, &b, err)) > 0; k++) {
        if (stop && *stop)
            s = mn_fail(err, MN_ERR_ARG, "stopped");
        else
            s = run_batch(e, m, &b, map, done, err);
        done += b.n;
        if (what) progress_update(&bar, k, done, NAN);
    }
    progress_end(&bar);
    return !s && more < 0 ? err->status : s;
}

void evaluation_metrics(const evaluation *e, int head, metrics *m) {
    metrics_compute(m, e->p[head], e->label[head], e->n, e->classes[head]);
}
