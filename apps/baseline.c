/* The logistic regression beside a network's score. See baseline.h. */
#include "apps/baseline.h"
#include "apps/app.h"
#include "apps/probe.h"
#include "apps/progress.h"
#include <stdlib.h>

enum { PIXELS = BASELINE_SIDE * BASELINE_SIDE, MOST_ROWS = 60000 };

bool baseline_is_cheap(const mn_dataset *train) { return train->length > 0 && train->length <= MOST_ROWS; }

static mn_status read_rows(const mn_dataset *d, int head, const int32_t *class_of, int threads, float *x, int32_t *label,
                           mn_error *err) {
    mn_preprocess p = {.channels = 1, .height = BASELINE_SIDE, .width = BASELINE_SIDE, .standardize = true, .standardize_eps = 8};
    progress bar = {0};
    mn_open_opt opt = {.threads = threads, .progress = progress_data, .user = &bar};
    mn_dataset *small = mn_dataset_cache(d, &p, &opt, err);
    progress_end(&bar);
    mn_image im = {0};
    mn_status s = small ? MN_OK : err->status;
    for (int64_t i = 0; i < d->length && !s; i++) {
        mn_sample_info info;
        if ((s = d->info(d, i, &info, err)) || (s = small->pixels(small, i, &im, err)) ||
            (s = mn_preprocess_floats(&p, &im, x + i * PIXELS, err)))
            break;
        label[i] = info.label[head] < 0 ? -1 : class_of[info.label[head]];
    }
    mn_image_free(&im);
    mn_dataset_destroy(small);
    return s;
}

mn_status baseline_run(const mn_dataset *train, const mn_dataset *rows, int head, const int32_t *class_of, int classes,
                       int threads, float *p, mn_error *err) {
    int64_t n = train->length + rows->length;
    float *x = app_alloc((size_t)n * PIXELS, sizeof *x);
    int32_t *label = app_alloc((size_t)n, sizeof *label);
    int64_t *index = app_alloc((size_t)n, sizeof *index);
    for (int64_t i = 0; i < n; i++) index[i] = i;
    mn_status s = read_rows(train, head, class_of, threads, x, label, err);
    if (!s) s = read_rows(rows, head, class_of, threads, x + train->length * PIXELS, label + train->length, err);
    probe_rows f = {.n = n, .width = PIXELS, .classes = classes, .x = x, .label = label};
    if (!s) s = probe_run(PROBE_LOGREG, &f, index, train->length, index + train->length, rows->length, threads, 0, p, err);
    free(x);
    free(label);
    free(index);
    return s;
}
