/* One model on chosen rows. See eval.h. */
#include "apps/eval.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/baseline.h"
#include "apps/doctor.h"
#include "apps/near.h"
#include "apps/train.h"
#include <stdlib.h>
#include <string.h>

const char *const eval_part_names[4] = {"train", "valid", "test", "all"};

/* ---- rows ---- */

static mn_status open_data(eval *e, const eval *like, mn_error *err) {
    const eval_options *o = e->o;
    const char *classes = o->classes ? o->classes : json_string_value(json_object_get(e->record, "classes"));
    mn_status s = data_open_classes(&e->data, o->data, o->n_data, classes, o->threads, err);
    if (s || (s = head_map_create(&e->map, e->info.head, e->info.n_heads, e->data.all, err))) return s;
    for (int k = 0; k < o->n_data; k++) e->trained_on |= train_recall(e->record, &e->data.part[k]);
    int head[MN_MAX_HEADS], n = 0;
    for (int h = 0; h < e->info.n_heads; h++)
        if (e->map.at[h] >= 0) head[n++] = e->map.at[h];
    uint64_t seed = (uint64_t)json_integer_value(json_object_get(e->record, "seed"));
    if ((s = data_split(&e->data, head, n, seed, err)) || (s = data_crop(&e->data, &e->info.preprocess, err))) return s;
    if (e->trained_on && !like) printf("note      the model was trained on this data, which is cut as it was then\n");
    return MN_OK;
}

static mn_status no_rows(const eval *e, mn_error *err) {
    const data_rows *d = &e->data;
    return mn_fail(err, MN_ERR_ARG,
                   "%s has no %s rows with a label for this model; it has %lld train, %lld valid, %lld test rows", d->all->name,
                   e->part == EVAL_ALL ? "" : eval_part_names[e->part], (long long)d->count[0], (long long)d->count[1],
                   (long long)d->count[2]);
}

/* The rows asked for, in the order of the data. */
static mn_status choose_rows(eval *e, mn_error *err) {
    const data_rows *d = &e->data;
    e->part = e->o->part;
    if (e->part == EVAL_DEFAULT) e->part = d->count[MN_SPLIT_TEST] ? EVAL_TEST : EVAL_ALL;
    e->index = app_alloc((size_t)d->all->length, sizeof *e->index);
    for (int k = 0; k < 3; k++)
        if (e->part == EVAL_ALL || (int)e->part == k) {
            memcpy(e->index + e->n, d->index[k], (size_t)d->count[k] * sizeof *e->index);
            e->n += d->count[k];
        }
    return e->n ? MN_OK : no_rows(e, err);
}

static mn_status take_rows(eval *e, const eval *like) {
    e->part = like->part, e->n = like->n;
    e->index = app_alloc((size_t)e->n, sizeof *e->index);
    memcpy(e->index, like->index, (size_t)e->n * sizeof *e->index);
    return MN_OK;
}

/* ---- copies of training pictures ---- */

static int by_number(const void *pa, const void *pb) {
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
    return (a > b) - (a < b);
}

/* Rows whose content has the hash of a training picture. */
static mn_status find_identical(eval *e, mn_error *err) {
    const data_rows *d = &e->data;
    uint64_t *hash = app_alloc((size_t)d->count[MN_SPLIT_TRAIN], sizeof *hash);
    size_t n = 0;
    mn_sample_info info;
    mn_status s = MN_OK;
    for (int64_t i = 0; i < d->count[MN_SPLIT_TRAIN] && !s; i++)
        if (!(s = d->all->info(d->all, d->index[MN_SPLIT_TRAIN][i], &info, err)) && !info.subject) hash[n++] = info.group;
    qsort(hash, n, sizeof *hash, by_number);
    for (int64_t i = 0; i < e->n && !s; i++)
        if (!(s = e->rows->info(e->rows, i, &info, err)) && !info.subject &&
            bsearch(&info.group, hash, n, sizeof *hash, by_number))
            e->about.copy[i] = COPY_IDENTICAL;
    free(hash);
    return s;
}

/* The split doctor on training rows and those scored, as if the latter were the test part. */
static mn_status find_near(eval *e, mn_error *err) {
    data_rows pair = e->data;
    pair.count[MN_SPLIT_VALID] = 0;
    pair.index[MN_SPLIT_TEST] = e->index, pair.count[MN_SPLIT_TEST] = e->n;
    doctor d;
    mn_status s = doctor_examine(
        &d, &pair, &(doctor_opt){.distance = NEAR_DISTANCE, .likeness = NEAR_LIKENESS, .threads = e->o->threads}, err);
    for (int64_t i = 0; i < e->n && !s; i++) {
        const uint8_t train = 1 << MN_SPLIT_TRAIN;
        int64_t row = e->index[i];
        if (d.seen[DOCTOR_IDENTICAL][row] & train)
            e->about.copy[i] = COPY_IDENTICAL;
        else if (!e->about.copy[i] && (d.seen[DOCTOR_NEAR][row] | d.seen[DOCTOR_MIRRORED][row]) & train)
            e->about.copy[i] = COPY_NEAR;
    }
    doctor_free(&d);
    return s;
}

static mn_status find_copies(eval *e, const eval *like, mn_error *err) {
    if (e->part == EVAL_TRAIN || e->part == EVAL_ALL || !e->data.count[MN_SPLIT_TRAIN]) return MN_OK;
    e->about.copy = app_alloc((size_t)e->n, 1);
    if (like) {
        if (like->about.copy) memcpy(e->about.copy, like->about.copy, (size_t)e->n);
        return MN_OK;
    }
    mn_status s = find_identical(e, err);
    return s || !e->o->near_copies ? s : find_near(e, err);
}

/* ---- the baseline ---- */

static mn_status add_baseline(eval *e, int h, const mn_dataset *train, mn_error *err) {
    int K = e->info.head[h].n_classes;
    float *p = app_alloc((size_t)e->n * (size_t)K, sizeof *p);
    mn_status s = baseline_run(train, e->rows, e->map.at[h], e->map.class_of[h], K, e->o->threads, p, err);
    if (!s) score_set_baseline(&e->score[h], p, e->answers.label[h], e->n);
    free(p);
    return s;
}

/* Labels that a head lacks in the training rows teach nothing: such heads get no baseline. */
static mn_status baselines(eval *e, mn_error *err) {
    const data_rows *d = &e->data;
    if (e->o->no_baseline || e->part == EVAL_TRAIN || e->part == EVAL_ALL) return MN_OK;
    mn_dataset *train = mn_dataset_subset(d->all, d->index[MN_SPLIT_TRAIN], d->count[MN_SPLIT_TRAIN], err);
    mn_status s = train ? MN_OK : err->status;
    for (int h = 0; h < e->info.n_heads && !s && baseline_is_cheap(train); h++) {
        if (e->map.at[h] < 0 || !e->score[h].m.n) continue;
        const mn_head *head = &d->all->head[e->map.at[h]];
        int64_t *count = app_alloc((size_t)head->n_classes, sizeof *count), n = 0;
        s = data_count(d->all, d->index[MN_SPLIT_TRAIN], d->count[MN_SPLIT_TRAIN], e->map.at[h], count, err);
        for (int k = 0; k < head->n_classes; k++) n += count[k];
        if (!s && n) s = add_baseline(e, h, train, err);
        free(count);
    }
    mn_dataset_destroy(train);
    return s;
}

/* ---- all of it ---- */

static mn_status open_model(eval *e, mn_error *err) {
    mn_context_opt opt = {.threads = e->o->threads, .memory_limit = e->o->memory_limit};
    if (!(e->c = device_open(e->o->device, &opt, err)) || !(e->m = mn_model_load(e->c, e->path, &e->info, err)))
        return err->status;
    if (foreign_apply(&e->o->foreign, &e->info, err) || evaluation_fits(e->m, &e->info, e->path, err)) return err->status;
    e->record = e->info.training ? json_loads(e->info.training, 0, NULL) : NULL;
    e->stats = mn_model_count(e->m);
    if (mn_model_compile(e->m) < 0) return mn_fail(err, mn_context_error(e->c)->status, "%s", mn_context_error(e->c)->text);
    return MN_OK;
}

static mn_calibration applied(const eval *e, int h) { return e->o->uncalibrated ? (mn_calibration){0} : e->info.calibration[h]; }

static mn_status answer(eval *e, mn_error *err) {
    mn_loader_opt lo = {.batch = e->o->batch, .workers = e->o->workers};
    if (!(e->loader = mn_loader_create(e->rows, &e->info.preprocess, lo, err))) return err->status;
    evaluation_create(&e->answers, e->m, e->n);
    e->answers.flip = e->o->flip;
    for (int h = 0; h < e->info.n_heads; h++) e->answers.temperature[h] = applied(e, h).temperature;
    return evaluation_run(&e->answers, e->m, e->loader, &e->map, "evaluating", NULL, err);
}

mn_status eval_run(eval *e, const eval_options *o, const char *path, const eval *like, mn_error *err) {
    *e = (eval){.o = o, .path = path};
    mn_status s = open_model(e, err);
    if (!s) s = open_data(e, like, err);
    if (!s) s = like ? take_rows(e, like) : choose_rows(e, err);
    if (s) return s;
    if (!(e->rows = mn_dataset_subset(e->data.all, e->index, e->n, err))) return err->status;
    e->what = app_text("%s rows of %s", eval_part_names[e->part], e->data.all->name);
    if ((s = answer(e, err)) || (s = score_rows_create(&e->about, e->rows, err)) || (s = find_copies(e, like, err))) return s;
    for (int h = 0; h < e->info.n_heads; h++)
        score_compute(&e->score[h], &e->about, e->info.head[h].name, e->answers.p[h], e->answers.label[h], e->answers.classes[h],
                      applied(e, h));
    if (!like) s = baselines(e, err);
    return s ? s : latency_measure(e->m, &e->speed, err);
}

void eval_close(eval *e) {
    for (int h = 0; h < MN_MAX_HEADS; h++) score_free(&e->score[h]);
    score_rows_free(&e->about);
    evaluation_free(&e->answers);
    mn_loader_destroy(e->loader);
    mn_dataset_destroy(e->rows);
    head_map_free(&e->map);
    data_close(&e->data);
    json_decref(e->record);
    mn_model_info_free(&e->info);
    mn_context_destroy(e->c);
    free(e->index);
    free(e->what);
    *e = (eval){0};
}
#endif
