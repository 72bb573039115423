/* Model files run on batches of faces. */
#include "apps/predictor.h"
#include "apps/app.h"
#include "apps/evaluate.h"
#include <stdlib.h>
#include <string.h>

static size_t plane_of(const predictor_model *m) {
    const mn_preprocess *q = &m->info.preprocess;
    return (size_t)q->channels * (size_t)q->height * (size_t)q->width;
}

static void add_heads(predictor *p, int index) {
    predictor_model *m = &p->model[index];
    for (int i = 0; i < m->info.n_heads; i++) {
        mn_head *h = &m->info.head[i];
        p->head[p->heads++] = (predictor_head){h->name, h->class_name, h->n_classes, p->values, index, m->info.calibration[i]};
        p->values += h->n_classes;
    }
}

static mn_status open_model(predictor *p, const char *path, mn_error *err) {
    predictor_model *m = &p->model[p->models];
    m->path = path;
    m->model = mn_model_load(p->ctx, path, &m->info, err);
    if (!m->model) return err->status;
    p->models++;
    if (evaluation_fits(m->model, &m->info, path, err)) return err->status;
    if (mn_model_compile(m->model) < 0) {
        const mn_error *e = mn_context_error(p->ctx);
        return mn_fail(err, e->status, "%s: %s", path, e->text);
    }
    add_heads(p, p->models - 1);
    m->planes = app_alloc((size_t)p->capacity * (p->flip ? 2 : 1) * plane_of(m), sizeof *m->planes);
    return MN_OK;
}

mn_status predictor_open(predictor *p, const char *const *path, int n, int capacity, device_choice device, int threads, bool flip,
                         mn_error *err) {
    *p = (predictor){.capacity = capacity, .flip = flip};
    p->ctx = device_open(device, &(mn_context_opt){.threads = threads}, err);
    mn_status s = p->ctx ? MN_OK : err->status;
    for (int i = 0; i < n && s == MN_OK; i++) s = open_model(p, path[i], err);
    if (s) predictor_close(p);
    return s;
}

void predictor_close(predictor *p) {
    for (int i = 0; i < p->models; i++) {
        mn_model_info_free(&p->model[i].info);
        free(p->model[i].planes);
    }
    mn_image_free(&p->mirror);
    mn_context_destroy(p->ctx);
    *p = (predictor){0};
}

/* dst = src, left and right exchanged. */
static mn_status mirror(mn_image *dst, const mn_image *src, mn_error *err) {
    mn_status s = mn_image_reserve(dst, src->width, src->height, src->channels, err);
    if (s) return s;
    size_t c = (size_t)src->channels, w = (size_t)src->width;
    for (size_t y = 0; y < (size_t)src->height; y++)
        for (size_t x = 0; x < w; x++) memcpy(dst->pixels + (y * w + x) * c, src->pixels + (y * w + w - 1 - x) * c, c);
    return MN_OK;
}

mn_status predictor_add(predictor *p, const mn_image *crop, mn_error *err) {
    int views = p->flip ? 2 : 1;
    mn_status s = p->flip ? mirror(&p->mirror, crop, err) : MN_OK;
    for (int i = 0; i < p->models && s == MN_OK; i++) {
        predictor_model *m = &p->model[i];
        float *to = m->planes + (size_t)p->waiting * (size_t)views * plane_of(m);
        s = mn_preprocess_apply(&m->info.preprocess, crop, to, err);
        if (s == MN_OK && p->flip) s = mn_preprocess_apply(&m->info.preprocess, &p->mirror, to + plane_of(m), err);
    }
    if (s == MN_OK) p->waiting++;
    return s;
}

/* out[face] = mean over the views of softmax(logits / temperature): logits (faces*views, classes), which become probabilities. */
static void write_head(const predictor *p, const predictor_head *h, float *logits, int views, float *out) {
    metrics_softmax(logits, (int64_t)p->waiting * views, h->classes, h->calibration.temperature);
    for (int f = 0; f < p->waiting; f++) {
        float *to = out + (size_t)f * (size_t)p->values + h->offset;
        for (int k = 0; k < h->classes; k++) to[k] = 0;
        for (int v = 0; v < views; v++)
            for (int k = 0; k < h->classes; k++) to[k] += logits[(f * views + v) * h->classes + k] / (float)views;
    }
}

static mn_status run_model(predictor *p, int index, float *out) {
    predictor_model *m = &p->model[index];
    const mn_preprocess *q = &m->info.preprocess;
    int views = p->flip ? 2 : 1;
    mn_step_begin(p->ctx);
    mn_tensor *x = mn_input(p->ctx, MN_SHAPE(p->waiting * views, q->channels, q->height, q->width), m->planes);
    if (!x || mn_model_forward(m->model, &x, false)) return mn_context_error(p->ctx)->status;
    for (int i = 0; i < p->heads; i++) {
        const predictor_head *h = &p->head[i];
        if (h->model != index) continue;
        int first = i;
        while (first > 0 && p->head[first - 1].model == index) first--;
        mn_tensor *y = mn_model_result(m->model, i - first);
        float *logits = app_alloc((size_t)p->waiting * (size_t)views * (size_t)h->classes, sizeof *logits);
        mn_status s = y ? mn_get(y, logits) : MN_ERR_ARG;
        if (s == MN_OK) write_head(p, h, logits, views, out);
        free(logits);
        if (s) return s;
    }
    return MN_OK;
}

mn_status predictor_run(predictor *p, float *out, mn_error *err) {
    mn_no_grad_begin(p->ctx);
    for (int i = 0; i < p->models && p->waiting > 0; i++)
        if (run_model(p, i, out)) {
            const mn_error *e = mn_context_error(p->ctx);
            mn_no_grad_end(p->ctx);
            return mn_fail(err, e->status ? e->status : MN_ERR_ARG, "%s: %s", p->model[i].path, e->text);
        }
    mn_no_grad_end(p->ctx);
    p->waiting = 0;
    return MN_OK;
}

int predictor_best(const predictor_head *h, const float *values) {
    int best = 0;
    for (int k = 1; k < h->classes; k++)
        if (values[h->offset + k] > values[h->offset + best]) best = k;
    return best;
}

bool predictor_unsure(const predictor_head *h, const float *values) {
    return (double)values[h->offset + predictor_best(h, values)] < h->calibration.unsure;
}
