/* Simple classifiers on features: softmax regression and nearest neighbours. */
#include "apps/probe.h"
#include "apps/app.h"
#include "apps/metrics.h"
#include "apps/progress.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const probe_names[2] = {"logreg", "knn"};

enum { BATCH = 128, LEAST_STEPS = 1500, LEAST_EPOCHS = 20, NEIGHBOURS = 5 };

typedef struct probe {
    const probe_rows *f;
    const int64_t *train; /* those with a label */
    int64_t n_train;
    float *mean, *scale; /* of each feature over the training rows */
} probe;

static void measure(probe *p) {
    int width = p->f->width;
    double *sum = app_alloc((size_t)width, sizeof *sum), *squares = app_alloc((size_t)width, sizeof *squares);
    for (int64_t i = 0; i < p->n_train; i++) {
        const float *x = p->f->x + p->train[i] * width;
        for (int k = 0; k < width; k++) sum[k] += x[k], squares[k] += (double)x[k] * x[k];
    }
    for (int k = 0; k < width; k++) {
        double mean = sum[k] / (double)p->n_train, variance = squares[k] / (double)p->n_train - mean * mean;
        p->mean[k] = (float)mean;
        p->scale[k] = variance > 1e-10 ? (float)(1 / sqrt(variance)) : 0; /* a feature that never changes says nothing */
    }
    free(sum);
    free(squares);
}

static void standardise(const probe *p, int64_t row, float *out) {
    const float *x = p->f->x + row * p->f->width;
    for (int k = 0; k < p->f->width; k++) out[k] = (x[k] - p->mean[k]) * p->scale[k];
}

/* ---- softmax regression ---- */

typedef struct regression {
    mn_context *c;
    mn_model *m;
    mn_optim *adam;
    float *x; /* a batch */
    int32_t label[BATCH];
} regression;

static mn_status failed(const regression *r, mn_error *err) {
    const mn_error *e = mn_context_error(r->c);
    return mn_fail(err, e->status ? e->status : MN_ERR_ARG, "%s", e->text);
}

static mn_status open_regression(regression *r, const probe *p, int threads, uint64_t seed, mn_error *err) {
    mn_context_opt opt = {.threads = threads, .seed = seed};
    if (!(r->c = mn_context_create(&opt, err))) return err->status;
    r->m = mn_model_create(r->c, "probe");
    mn_sym x = mn_model_input(r->m, "features", MN_SHAPE(p->f->width));
    x = mn_layer_dense(r->m, x, (mn_dense_layer){.name = "label", .units = p->f->classes, .kernel_initializer = MN_INIT_ZEROS});
    if (mn_model_output(r->m, x) || mn_model_build(r->m)) return failed(r, err);
    int n;
    mn_tensor **w = mn_model_parameters(r->m, &n, NULL);
    /* A step of Adam moves every weight by about lr, so a sum over many features moves by its root of their number. */
    double lr = fmin(0.01, 0.05 / sqrt(p->f->width));
    r->adam = mn_optim_create(r->c, w, n, (mn_optim_opt){.kind = MN_ADAMW, .lr = lr, .weight_decay = 0.01});
    return r->adam ? MN_OK : failed(r, err);
}

static mn_status step(regression *r, int64_t n, double lr, mn_error *err) {
    mn_step_begin(r->c);
    mn_optim_set_lr(r->adam, lr);
    mn_tensor *in = mn_input(r->c, MN_SHAPE(n, mn_model_input_shape(r->m, 0).dim[0]), r->x),
              *label = mn_labels(r->c, n, r->label);
    if (mn_model_forward(r->m, &in, true)) return failed(r, err);
    mn_tensor *loss = mn_cross_entropy(mn_model_result(r->m, 0), label, NULL, (mn_cross_entropy_opt){0});
    return !loss || mn_backward(r->c, loss) || mn_optim_step(r->adam) ? failed(r, err) : MN_OK;
}

/* Passes over the rows in new orders, the learning rate falling to 0 along a cosine. */
static mn_status learn(regression *r, const probe *p, uint64_t seed, mn_error *err) {
    int64_t per_epoch = (p->n_train + BATCH - 1) / BATCH, epochs = (LEAST_STEPS + per_epoch - 1) / per_epoch;
    if (epochs < LEAST_EPOCHS) epochs = LEAST_EPOCHS;
    int64_t *order = app_alloc((size_t)p->n_train, sizeof *order), done = 0, total = epochs * per_epoch;
    memcpy(order, p->train, (size_t)p->n_train * sizeof *order);
    mn_rng rng = mn_rng_create(seed, 1);
    double first = mn_optim_lr(r->adam);
    mn_status s = MN_OK;
    progress bar;
    progress_begin(&bar, "logistic regression", total);
    for (int64_t e = 0; e < epochs && !s; e++) {
        for (int64_t i = p->n_train - 1; i > 0; i--) {
            int64_t j = (int64_t)mn_rng_below(&rng, (uint64_t)i + 1), t = order[i];
            order[i] = order[j], order[j] = t;
        }
        for (int64_t at = 0; at < p->n_train && !s; at += BATCH) {
            int64_t n = p->n_train - at < BATCH ? p->n_train - at : BATCH;
            for (int64_t i = 0; i < n; i++) {
                standardise(p, order[at + i], r->x + i * p->f->width);
                r->label[i] = p->f->label[order[at + i]];
            }
            s = step(r, n, first * 0.5 * (1 + cos(3.14159265358979 * (double)done / (double)total)), err);
            progress_update(&bar, ++done, 0, NAN);
        }
    }
    progress_end(&bar);
    free(order);
    return s;
}

static mn_status predict(regression *r, const probe *p, const int64_t *rows, int64_t n_rows, float *out, mn_error *err) {
    mn_status s = MN_OK;
    for (int64_t at = 0; at < n_rows && !s; at += BATCH) {
        int64_t n = n_rows - at < BATCH ? n_rows - at : BATCH;
        for (int64_t i = 0; i < n; i++) standardise(p, rows[at + i], r->x + i * p->f->width);
        mn_step_begin(r->c);
        mn_tensor *in = mn_input(r->c, MN_SHAPE(n, p->f->width), r->x);
        mn_no_grad_begin(r->c);
        s = mn_model_forward(r->m, &in, false);
        mn_no_grad_end(r->c);
        if (s || mn_get(mn_model_result(r->m, 0), out + at * p->f->classes)) s = failed(r, err);
    }
    if (!s) metrics_softmax(out, n_rows, p->f->classes, 1);
    return s;
}

static mn_status logreg(const probe *p, const int64_t *rows, int64_t n_rows, int threads, uint64_t seed, float *out,
                        mn_error *err) {
    regression r = {.x = app_alloc((size_t)BATCH * (size_t)p->f->width, sizeof(float))};
    mn_status s = open_regression(&r, p, threads, seed, err);
    if (!s) s = learn(&r, p, seed, err);
    if (!s) s = predict(&r, p, rows, n_rows, out, err);
    mn_context_destroy(r.c);
    free(r.x);
    return s;
}

/* ---- nearest neighbours ---- */

/* Standardised and of length 1, so that a product of two is the cosine of their angle. */
static float *unit_rows(const probe *p, const int64_t *rows, int64_t n) {
    int width = p->f->width;
    float *out = app_alloc((size_t)n * (size_t)width, sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        float *x = out + i * width;
        double squares = 0;
        standardise(p, rows[i], x);
        for (int k = 0; k < width; k++) squares += (double)x[k] * x[k];
        float scale = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
        for (int k = 0; k < width; k++) x[k] *= scale;
    }
    return out;
}

static float product(const float *a, const float *b, int n) {
    float lane[8] = {0}, sum = 0; /* eight sums that the compiler can keep in one register */
    int k = 0;
    for (; k + 8 <= n; k += 8)
        for (int v = 0; v < 8; v++) lane[v] += a[k + v] * b[k + v];
    for (; k < n; k++) sum += a[k] * b[k];
    for (int v = 0; v < 8; v++) sum += lane[v];
    return sum;
}

/* The votes of the nearest training rows; of equally near ones the earlier counts. */
static void vote(const probe *p, const float *train, const float *x, float *out) {
    int64_t near[NEIGHBOURS];
    float cosine[NEIGHBOURS];
    int n = 0;
    for (int64_t t = 0; t < p->n_train; t++) {
        float c = product(train + t * p->f->width, x, p->f->width);
        if (n == NEIGHBOURS && c <= cosine[n - 1]) continue;
        int k = n < NEIGHBOURS ? n++ : n - 1;
        for (; k > 0 && cosine[k - 1] < c; k--) cosine[k] = cosine[k - 1], near[k] = near[k - 1];
        cosine[k] = c, near[k] = t;
    }
    for (int k = 0; k < n; k++) out[p->f->label[p->train[near[k]]]] += 1.0f / (float)n;
}

static void knn(const probe *p, const int64_t *rows, int64_t n_rows, float *out) {
    float *train = unit_rows(p, p->train, p->n_train), *x = unit_rows(p, rows, n_rows);
    memset(out, 0, (size_t)n_rows * (size_t)p->f->classes * sizeof *out);
#pragma omp parallel for schedule(dynamic, 16)
    for (int64_t i = 0; i < n_rows; i++) vote(p, train, x + i * p->f->width, out + i * p->f->classes);
    free(train);
    free(x);
}

mn_status probe_run(probe_kind kind, const probe_rows *f, const int64_t *train, int64_t n_train, const int64_t *rows,
                    int64_t n_rows, int threads, uint64_t seed, float *out, mn_error *err) {
    int64_t *labelled = app_alloc((size_t)n_train, sizeof *labelled);
    probe p = {.f = f,
               .train = labelled,
               .mean = app_alloc((size_t)f->width, sizeof(float)),
               .scale = app_alloc((size_t)f->width, sizeof(float))};
    for (int64_t i = 0; i < n_train; i++)
        if (f->label[train[i]] >= 0) labelled[p.n_train++] = train[i];
    mn_status s = p.n_train ? MN_OK : mn_fail(err, MN_ERR_ARG, "a probe has no labelled training rows to learn from");
    if (!s) measure(&p);
    if (!s && kind == PROBE_KNN) knn(&p, rows, n_rows, out);
    if (!s && kind == PROBE_LOGREG) s = logreg(&p, rows, n_rows, threads, seed, out, err);
    free(labelled);
    free(p.mean);
    free(p.scale);
    return s;
}
