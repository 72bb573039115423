/* The teachers' part of the targets, computed once before the first step: from the pictures as they are, not from each
 * epoch's augmented ones. That costs one pass over the rows instead of one an epoch for each teacher, and a resumed run
 * finds the same targets. */
#include "apps/teach.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 };

/* ---- the rows with their targets: a data set around a data set ---- */

typedef struct taught {
    mn_dataset set;
    const mn_dataset *rows;
    float *target[MN_MAX_HEADS]; /* by the data's head: (rows, classes); NULL: no teacher has it */
} taught;

static mn_status taught_info(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err) {
    const taught *t = d->impl;
    mn_status s = t->rows->info(t->rows, i, info, err);
    for (int h = 0; h < d->n_heads && !s; h++)
        if (t->target[h] && (info->label[h] >= 0 || info->soft[h])) info->soft[h] = t->target[h] + i * d->head[h].n_classes;
    return s;
}

static mn_status taught_pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    const taught *t = d->impl;
    return t->rows->pixels(t->rows, i, im, err);
}

static void taught_destroy(mn_dataset *d) {
    taught *t = d->impl;
    for (int h = 0; h < MN_MAX_HEADS; h++) free(t->target[h]);
    free(t);
}

void teach_mix(float *p, int64_t n, int K, int teachers, double weight, const int32_t *label, const float *const *soft) {
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < K; k++) {
            float *at = &p[i * K + k];
            double own = soft[i] ? soft[i][k] : k == label[i];
            *at = soft[i] || label[i] >= 0 ? (float)((1 - weight) * own + weight * *at / teachers) : 0;
        }
}

static mn_status mix_head(taught *t, int h, int teachers, double weight, mn_error *err) {
    int64_t n = t->rows->length;
    int32_t *label = app_alloc((size_t)n, sizeof *label);
    const float **soft = app_alloc((size_t)n, sizeof *soft);
    mn_status s = MN_OK;
    for (int64_t i = 0; i < n && !s; i++) {
        mn_sample_info info;
        if (!(s = t->rows->info(t->rows, i, &info, err))) label[i] = info.label[h], soft[i] = info.soft[h];
    }
    if (!s) teach_mix(t->target[h], n, t->set.head[h].n_classes, teachers, weight, label, soft);
    free(label);
    free((void *)soft);
    return s;
}

/* ---- does the teacher fit? ---- */

typedef struct teacher {
    const char *path;
    mn_context *c;
    mn_model *m;
    mn_model_info info;
    int head[MN_MAX_HEADS];            /* of the run's head h, the teacher's; -1: it has none of that name */
    int32_t *class_of[MN_MAX_HEADS];   /* by the run's class, the teacher's */
    enum { APART, UNKNOWN, SEEN } saw; /* rows that are held out here */
    char why[160];                     /* for UNKNOWN */
    uint64_t hash;                     /* of its weights */
} teacher;

/* The same classes, in any order. */
static mn_status match_classes(teacher *t, int h, const mn_head *own, mn_error *err) {
    const mn_head *its = &t->info.head[t->head[h]];
    t->class_of[h] = app_alloc((size_t)own->n_classes, sizeof(int32_t));
    for (int k = 0; k < own->n_classes; k++)
        if ((t->class_of[h][k] = head_class(its, own->class_name[k])) < 0)
            return mn_fail(err, MN_ERR_SHAPE,
                           "--teacher %s: it does not know the %s class \"%s\"; wanted a model of the same classes; hint: "
                           "--classes",
                           t->path, own->name, own->class_name[k]);
    if (its->n_classes == own->n_classes) return MN_OK;
    return mn_fail(err, MN_ERR_SHAPE, "--teacher %s: it knows %d %s classes, the data has %d; wanted the same; hint: --classes",
                   t->path, its->n_classes, own->name, own->n_classes);
}

static mn_status match_heads(teacher *t, const train_run *r, mn_error *err) {
    int found = 0;
    mn_status s = MN_OK;
    for (int h = 0; h < r->n_heads && !s; h++) {
        t->head[h] = -1;
        for (int k = 0; k < t->info.n_heads; k++)
            if (!strcmp(t->info.head[k].name, r->info.head[h].name)) t->head[h] = k;
        if (t->head[h] < 0) continue;
        found++;
        s = match_classes(t, h, &r->info.head[h], err);
    }
    if (s || found) return s;
    return mn_fail(err, MN_ERR_SHAPE, "--teacher %s: it predicts \"%s\", which is not what this run learns (\"%s\")", t->path,
                   t->info.head[0].name, r->info.head[0].name);
}

/* Size, channels and numbers may be the teacher's own, which are applied to the same pictures; the pictures must be cut alike. */
static mn_status match_pictures(const teacher *t, const train_run *r, mn_error *err) {
    const mn_preprocess *a = &t->info.preprocess, *b = &r->info.preprocess;
    char its[80], own[80];
    if (a->detect == b->detect && a->margin == b->margin && a->align == b->align) return MN_OK;
    return mn_fail(err, MN_ERR_ARG,
                   "--teacher %s: its pictures are cut out by the pipeline \"%s\", this run's by \"%s\": it would answer about "
                   "pictures of another kind; hint: --pipeline",
                   t->path, mn_pipeline_text(a, its, sizeof its), mn_pipeline_text(b, own, sizeof own));
}

/* ---- has it seen what is held out? ---- */

static mn_status unknown(teacher *t, const char *why, const char *what) {
    t->saw = UNKNOWN;
    snprintf(t->why, sizeof t->why, why, what);
    return MN_OK;
}

/* Records come from files: what should be a word may be anything. */
static const char *text_of(const json_t *j, const char *key) {
    const char *t = json_string_value(json_object_get(j, key));
    return t ? t : "something";
}

/* Is this part of the teacher's data one of the run's? */
static bool is_ours(const train_run *r, const json_t *part) {
    const char *known = json_string_value(json_object_get(part, "fingerprint"));
    char hex[24];
    for (int k = 0; k < r->data.n_parts && known; k++) {
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)r->data.part[k].fingerprint);
        if (!strcmp(hex, known)) return true;
    }
    return false;
}

/* What cannot be known from a record alone: other data, other models behind this one. */
static void find_doubts(teacher *t, const train_run *r, const json_t *record) {
    size_t i;
    json_t *part;
    const char *command = json_string_value(json_object_get(record, "command"));
    json_array_foreach(json_object_get(record, "data"), i, part) if (!is_ours(r, part)) {
        unknown(t, "it was trained on %.80s, which is not data of this run", text_of(part, "spec"));
    }
    if (command && strstr(command, " --init")) unknown(t, "it began as another model%s", "");
    json_array_foreach(json_object_get(record, "teachers"), i,
                       part) if (!json_string_value(json_object_get(part, "held_out")) ||
                                 strcmp(json_string_value(json_object_get(part, "held_out")), "apart") != 0)
        unknown(t, "nor is it known of its own teacher %.80s", json_string_value(json_object_get(part, "file")));
}

/* Cuts the run's data as it was cut for the teacher: the row's part then, MN_SPLIT_NONE where it was not there. */
static mn_status cut_as_then(train_run *r, const json_t *record, mn_split *then, mn_error *err) {
    uint64_t seed = (uint64_t)json_integer_value(json_object_get(record, "seed"));
    mn_status s = MN_OK;
    for (int64_t i = 0; i < r->data.all->length; i++) then[i] = MN_SPLIT_NONE;
    for (int k = 0; k < r->data.n_parts && !s; k++) {
        data_part p = r->data.part[k];
        if (train_recall(record, &p)) s = data_split_part(&r->data, &p, seed, then, err);
    }
    return s;
}

static mn_status find_seen(teacher *t, train_run *r, const json_t *record, mn_error *err) {
    const data_rows *d = &r->data;
    mn_split *then = app_alloc((size_t)d->all->length, sizeof *then);
    mn_status s = cut_as_then(r, record, then, err);
    int64_t seen[3] = {0};
    for (int k = MN_SPLIT_VALID; k <= MN_SPLIT_TEST && !s; k++)
        for (int64_t i = 0; i < d->count[k]; i++) {
            mn_split was = then[d->index[k][i]];
            seen[k] += was == MN_SPLIT_TRAIN || (was == MN_SPLIT_VALID && k == MN_SPLIT_TEST);
        }
    free(then);
    if (s || !(seen[MN_SPLIT_VALID] + seen[MN_SPLIT_TEST])) return s;
    t->saw = SEEN;
    if (r->o.allow_leak) return MN_OK;
    return mn_fail(
        err, MN_ERR_ARG,
        "--teacher %s: %lld validation and %lld test rows of this run were training rows of it, so what it says of them "
        "would leak into the scores; hint: train both with the same --seed, --val and --test, or --allow-leak",
        t->path, (long long)seen[MN_SPLIT_VALID], (long long)seen[MN_SPLIT_TEST]);
}

static mn_status check_rows(teacher *t, train_run *r, mn_error *err) {
    json_t *record = t->info.training ? json_loads(t->info.training, 0, NULL) : NULL;
    if (!json_array_size(json_object_get(record, "data"))) {
        json_decref(record);
        return unknown(t, "%s", "it has no training record");
    }
    find_doubts(t, r, record);
    mn_status s = find_seen(t, r, record, err);
    json_decref(record);
    return s;
}

static void say_rows(const teacher *t) {
    if (t->saw == APART) printf("          no validation or test row of this run trained it\n");
    if (t->saw == UNKNOWN) printf("          whether it saw validation or test rows cannot be known: %s\n", t->why);
    if (t->saw == SEEN) printf("LEAK      allowed: it saw validation or test rows; the scores say more than is true\n");
}

/* ---- its answers ---- */

static bool same_pixels(const mn_preprocess *a, const mn_preprocess *b) {
    return a->channels == b->channels && a->height == b->height && a->width == b->width && a->grey == b->grey &&
           a->equalize == b->equalize && a->ellipse == b->ellipse && a->steps == b->steps;
}

/* Adds what teacher number `at` says to the targets. */
static mn_status ask(teacher *t, const train_run *r, taught *to, int at, mn_error *err) {
    const mn_preprocess *p = &t->info.preprocess;
    mn_dataset *own = NULL; /* the rows for its eyes */
    if (!same_pixels(p, &r->info.preprocess) &&
        !(own = mn_dataset_subset(r->data.all, r->data.index[MN_SPLIT_TRAIN], r->data.count[MN_SPLIT_TRAIN], err)))
        return err->status;
    mn_loader *l = mn_loader_create(own ? own : to->rows, p, (mn_loader_opt){.batch = BATCH, .workers = r->o.workers}, err);
    evaluation e;
    evaluation_create(&e, t->m, to->rows->length);
    head_map map = {.n_heads = e.n_heads};
    char what[48];
    for (int h = 0; h < e.n_heads; h++) map.at[h] = -1, e.temperature[h] = r->o.teacher_temperature; /* labels do not matter */
    e.flip = r->o.augment.flip > 0; /* where rows come mirrored, their targets must hold for both; digits do not */
    snprintf(what, sizeof what, "teacher %d/%d", at + 1, r->o.n_teachers);
    mn_status s = l ? evaluation_run(&e, t->m, l, &map, r->o.quiet ? NULL : what, NULL, err) : err->status;
    for (int h = 0; h < r->n_heads && !s; h++) {
        if (t->head[h] < 0) continue;
        int K = r->info.head[h].n_classes;
        const float *from = e.p[t->head[h]];
        float **sum = &to->target[r->head[h]];
        if (!*sum) *sum = app_alloc((size_t)e.n * (size_t)K, sizeof **sum);
        for (int64_t i = 0; i < e.n; i++)
            for (int k = 0; k < K; k++) (*sum)[i * K + k] += from[i * K + t->class_of[h][k]];
    }
    evaluation_free(&e);
    mn_loader_destroy(l);
    mn_dataset_destroy(own);
    return s;
}

/* ---- one after the other ---- */

/* Of the weights: the same for a file to which mien eval has added its scores. */
static uint64_t weights_hash(mn_model *m) {
    int n;
    mn_tensor **w = mn_model_parameters(m, NULL, &n);
    uint64_t h = APP_HASH;
    for (int i = 0; i < n; i++) {
        double *v = app_alloc((size_t)w[i]->count, sizeof *v);
        if (mn_get_f64(w[i], v) == MN_OK) h = app_hash(h, v, (size_t)w[i]->count * sizeof *v);
        free(v);
    }
    return h;
}

static json_t *remember(teacher *t, const train_run *r) {
    static const char *const word[] = {"apart", "unknown", "seen"};
    char hex[24];
    json_t *heads = json_array();
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)t->hash);
    for (int h = 0; h < r->n_heads; h++)
        if (t->head[h] >= 0) json_array_append_new(heads, json_string_nocheck(r->info.head[h].name));
    json_t *j = json_object();
    json_object_set_new(j, "file", json_string_nocheck(t->path));
    json_object_set_new(j, "network", json_string_nocheck(mn_model_name(t->m)));
    json_object_set_new(j, "weights", json_string(hex));
    json_object_set_new(j, "heads", heads);
    json_object_set_new(j, "held_out", json_string(word[t->saw]));
    return j;
}

static mn_status open_teacher(teacher *t, train_run *r, mn_error *err) {
    mn_context_opt opt = {.threads = r->o.threads, .memory_limit = r->o.memory_limit};
    if (!(t->c = device_open(r->o.device, &opt, err)) || !(t->m = mn_model_load(t->c, t->path, &t->info, err)))
        return err->status;
    mn_status s = evaluation_fits(t->m, &t->info, t->path, err);
    if (!s) s = match_heads(t, r, err);
    if (!s) s = match_pictures(t, r, err);
    if (!s) s = check_rows(t, r, err);
    t->hash = weights_hash(t->m); /* as they are in the file, which compiling changes */
    if (!s && mn_model_compile(t->m) < 0) s = mn_fail(err, mn_context_error(t->c)->status, "%s", mn_context_error(t->c)->text);
    return s;
}

static mn_status learn_from(train_run *r, taught *to, int at, mn_error *err) {
    teacher t = {.path = r->o.teacher[at]};
    mn_status s = open_teacher(&t, r, err);
    if (!s && !r->o.quiet) {
        printf("teacher   %s:", t.path);
        for (int h = 0, n = 0; h < r->n_heads; h++)
            if (t.head[h] >= 0) printf("%s %s", n++ ? "," : "", r->info.head[h].name);
        printf("; its answers weigh %g at temperature %g\n", r->o.teacher_weight, r->o.teacher_temperature);
        say_rows(&t);
    }
    if (!s) s = ask(&t, r, to, at, err);
    if (!s) json_array_append_new(r->teachers, remember(&t, r));
    for (int h = 0; h < MN_MAX_HEADS; h++) free(t.class_of[h]);
    mn_model_info_free(&t.info);
    mn_context_destroy(t.c);
    return s;
}

/* How many of the teachers have the run's head h? */
static int teachers_of(const train_run *r, int h) {
    size_t i, k;
    json_t *t, *name;
    int n = 0;
    json_array_foreach(r->teachers, i, t) json_array_foreach(json_object_get(t, "heads"), k, name) n +=
        !strcmp(json_string_value(name), r->info.head[h].name);
    return n;
}

mn_status teach_open(train_run *r, const mn_dataset *rows, mn_error *err) {
    taught *t = app_alloc(1, sizeof *t);
    mn_status s = MN_OK;
    t->set = *rows, t->rows = rows;
    t->set.info = taught_info, t->set.pixels = taught_pixels, t->set.destroy = taught_destroy, t->set.impl = t;
    r->taught = &t->set;
    r->teachers = json_array();
    for (int k = 0; k < r->o.n_teachers && !s; k++) s = learn_from(r, t, k, err);
    for (int h = 0; h < r->n_heads && !s; h++)
        if (t->target[r->head[h]]) s = mix_head(t, r->head[h], teachers_of(r, h), r->o.teacher_weight, err);
    return s;
}
#endif
