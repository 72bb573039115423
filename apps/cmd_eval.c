/* mien eval: a model's scores on a data set. */
#include "apps/app.h"
#include "apps/datasets.h"
#include "apps/evaluate.h"
#include "apps/plot.h"
#include "apps/progress.h"
#include "apps/report.h"
#include "apps/train.h"
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

typedef enum which_rows {
    ROWS_DEFAULT = -1,
    ROWS_TRAIN = MN_SPLIT_TRAIN,
    ROWS_VALID,
    ROWS_TEST,
    ROWS_ALL
} which_rows;
static const char *const rows_name[4] = {"train", "valid", "test", "all"};

typedef struct options {
    const char *model, *data[DATA_MAX_PARTS], *json, *predictions, *plot;
    int n_data, batch, threads, workers;
    which_rows rows;
} options;

enum { OPT_SPLIT = 256, OPT_JSON, OPT_PREDICTIONS, OPT_PLOT, OPT_THREADS, OPT_WORKERS };
static const struct argp_option table[] = {
    {"model", 'm', "MODEL.h5", 0, "The model", 1},
    {"data", 'd', "SPEC", 0, "Labelled pictures (see mien help train); may be given several times", 1},
    {"split", OPT_SPLIT, "train|valid|test|all", 0,
     "Which rows (default: test where there are any, else all)", 1},
    {"json", OPT_JSON, "FILE", 0, "All scores as JSON", 2},
    {"predictions", OPT_PREDICTIONS, "FILE.csv", 0, "A row a picture: id, label, prediction, probabilities",
     2},
    {"plot", OPT_PLOT, "CONFUSION.svg", 0, "The confusion matrices", 2},
    {"batch", 'b', "N", 0, "Pictures at a time (default 64)", 3},
    {"threads", OPT_THREADS, "N", 0, "Processors (default: all)", 3},
    {"workers", OPT_WORKERS, "N", 0, "Threads that prepare batches ahead (default 1)", 3},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'm':
        o->model = app_model_path(arg);
        return 0;
    case 'd':
        if (o->n_data == DATA_MAX_PARTS) argp_error(s, "--data is given more than %d times", DATA_MAX_PARTS);
        o->data[o->n_data++] = arg;
        return 0;
    case OPT_SPLIT:
        o->rows = (which_rows)app_parse_word(s, "--split", arg, rows_name, 4);
        return 0;
    case OPT_JSON:
        o->json = arg;
        return 0;
    case OPT_PREDICTIONS:
        o->predictions = arg;
        return 0;
    case OPT_PLOT:
        o->plot = arg;
        return 0;
    case 'b':
        o->batch = (int)app_parse_int(s, "--batch", arg, 1, 65536);
        return 0;
    case OPT_THREADS:
        o->threads = (int)app_parse_int(s, "--threads", arg, 0, 1024);
        return 0;
    case OPT_WORKERS:
        o->workers = (int)app_parse_int(s, "--workers", arg, 0, 64);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(s, "\"%s\" is not an option; data is given with --data SPEC", arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->model) argp_error(s, "the model is missing: --model MODEL.h5");
        if (!o->n_data) argp_error(s, "the data is missing: --data SPEC");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] = "Scores a model on labelled pictures: accuracy with its 95 % interval, F1, "
                          "calibration, each class, the confusion matrix."
                          "\vData that the model was trained on is cut as it was then, so that its "
                          "validation and test rows are the same rows. "
                          "Other data is cut only where its files say so.\n\n"
                          "Examples:\n"
                          "  mien eval --model faces.h5 --data rendered:2000\n"
                          "  mien eval --model emotion.h5 --data fer2013:fer2013.csv --split valid\n"
                          "  mien eval --model both.h5 --data utkface:UTKFace --json scores.json\n"
                          "            --predictions rows.csv --plot confusion.svg\n";
static const struct argp argp = {table, parse, NULL, doc, NULL, NULL, NULL};

typedef struct eval {
    const options *o;
    mn_context *c;
    mn_model *m;
    mn_model_info info;
    json_t *record; /* the training record, or NULL */
    data_rows data;
    head_map map;
    mn_dataset *rows;
    mn_loader *loader;
    evaluation scores;
    char *what; /* "test rows of fer2013:..." */
} eval;

static mn_status open_data(eval *e, mn_error *err) {
    const options *o = e->o;
    mn_status s = data_open(&e->data, o->data, o->n_data, o->threads, err);
    if (s || (s = head_map_create(&e->map, e->info.head, e->info.n_heads, e->data.all, err))) return s;
    bool trained_on = false;
    for (int k = 0; k < o->n_data; k++) trained_on |= train_recall(e->record, &e->data.part[k]);
    int head[MN_MAX_HEADS], n = 0;
    for (int h = 0; h < e->info.n_heads; h++)
        if (e->map.at[h] >= 0) head[n++] = e->map.at[h];
    uint64_t seed = (uint64_t)json_integer_value(json_object_get(e->record, "seed"));
    if ((s = data_split(&e->data, head, n, seed, err)) || (s = data_crop(&e->data, &e->info.preprocess, err))) return s;
    if (trained_on) printf("note      the model was trained on this data, which is cut as it was then\n");
    return MN_OK;
}

/* The rows asked for, in the order of the data. */
static mn_status choose_rows(eval *e, mn_error *err) {
    const data_rows *d = &e->data;
    which_rows rows = e->o->rows;
    if (rows == ROWS_DEFAULT) rows = d->count[MN_SPLIT_TEST] ? ROWS_TEST : ROWS_ALL;
    int64_t n = rows == ROWS_ALL ? d->count[0] + d->count[1] + d->count[2] : d->count[rows];
    if (!n)
        return mn_fail(
            err, MN_ERR_ARG,
            "%s has no %s rows with a label for this model; it has %lld train, %lld valid, %lld test rows",
            d->all->name, rows == ROWS_ALL ? "" : rows_name[rows], (long long)d->count[0],
            (long long)d->count[1], (long long)d->count[2]);
    int64_t *index = app_alloc((size_t)n, sizeof *index), used = 0;
    for (int k = 0; k < 3; k++)
        if (rows == ROWS_ALL || (int)rows == k) {
            memcpy(index + used, d->index[k], (size_t)d->count[k] * sizeof *index);
            used += d->count[k];
        }
    e->rows = mn_dataset_subset(d->all, index, n, err);
    free(index);
    e->what = app_text("%s rows of %s", rows_name[rows], d->all->name);
    return e->rows ? MN_OK : err->status;
}

static mn_status open_all(eval *e, mn_error *err) {
    mn_context_opt opt = {.threads = e->o->threads};
    if (!(e->c = mn_context_create(&opt, err)) || !(e->m = mn_model_load(e->c, e->o->model, &e->info, err)))
        return err->status;
    e->record = e->info.training ? json_loads(e->info.training, 0, NULL) : NULL;
    mn_status s = open_data(e, err);
    if (s || (s = choose_rows(e, err))) return s;
    mn_loader_opt lo = {.batch = e->o->batch, .workers = e->o->workers};
    if (!(e->loader = mn_loader_create(e->rows, &e->info.preprocess, lo, err))) return err->status;
    if (mn_model_fold_batch_norm(e->m) < 0)
        return mn_fail(err, mn_context_error(e->c)->status, "%s", mn_context_error(e->c)->text);
    evaluation_create(&e->scores, e->m, e->rows->length);
    return evaluation_run(&e->scores, e->m, e->loader, &e->map, "evaluating", NULL, err);
}

static void close_all(eval *e) {
    evaluation_free(&e->scores);
    mn_loader_destroy(e->loader);
    mn_dataset_destroy(e->rows);
    head_map_free(&e->map);
    data_close(&e->data);
    json_decref(e->record);
    mn_model_info_free(&e->info);
    mn_context_destroy(e->c);
    free(e->what);
}

/* ---- what comes out ---- */

static mn_status write_json(const eval *e, const metrics *m, mn_error *err) {
    json_t *j = json_object(), *heads = json_object(), *data = json_array();
    for (int k = 0; k < e->o->n_data; k++) json_array_append_new(data, json_string_nocheck(e->o->data[k]));
    json_object_set_new(j, "mien", json_string(APP_VERSION));
    json_object_set_new(j, "model", json_string_nocheck(e->o->model));
    json_object_set_new(j, "data", data);
    json_object_set_new(j, "rows", json_stringn(e->what, strcspn(e->what, " ")));
    json_object_set_new(j, "n", json_integer(e->rows->length));
    for (int h = 0; h < e->info.n_heads; h++)
        json_object_set_new_nocheck(heads, e->info.head[h].name, report_json(&e->info.head[h], &m[h]));
    json_object_set_new(j, "heads", heads);
    return report_save(j, e->o->json, err);
}

static void csv_header(FILE *f, const eval *e) {
    fputs("id", f);
    for (int h = 0; h < e->info.n_heads; h++) {
        const mn_head *head = &e->info.head[h];
        fprintf(f, ",%s,%s_predicted", head->name, head->name);
        for (int k = 0; k < head->n_classes; k++) {
            char *name = app_text("%s_p_%s", head->name, head->class_name[k]);
            fputc(',', f);
            report_csv_field(f, name);
            free(name);
        }
    }
    fputc('\n', f);
}

static void csv_row(FILE *f, const eval *e, int64_t i) {
    for (int h = 0; h < e->info.n_heads; h++) {
        const mn_head *head = &e->info.head[h];
        int32_t label = e->scores.label[h][i];
        const float *p = e->scores.p[h] + i * head->n_classes;
        fputc(',', f);
        if (label >= 0) report_csv_field(f, head->class_name[label]);
        fputc(',', f);
        report_csv_field(f, head->class_name[metrics_argmax(p, head->n_classes)]);
        for (int k = 0; k < head->n_classes; k++) fprintf(f, ",%.6f", p[k]);
    }
    fputc('\n', f);
}

static mn_status write_predictions(const eval *e, mn_error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", e->o->predictions);
    csv_header(f, e);
    mn_status s = MN_OK;
    for (int64_t i = 0; i < e->rows->length && !s; i++) {
        mn_sample_info info;
        if ((s = e->rows->info(e->rows, i, &info, err))) break;
        report_csv_field(f, info.id);
        csv_row(f, e, i);
    }
    fclose(f);
    if (!s) s = app_save(e->o->predictions, text, size, err);
    free(text);
    return s;
}

static mn_status write_plot(const eval *e, const metrics *m, mn_error *err) {
    plot_matrix matrix[MN_MAX_HEADS];
    int n = 0;
    for (int h = 0; h < e->info.n_heads; h++)
        if (m[h].n) matrix[n++] = (plot_matrix){e->info.head[h].name, &m[h], e->info.head[h].class_name};
    size_t size;
    char *title =
        app_text("%s, %s", strrchr(e->o->model, '/') ? strrchr(e->o->model, '/') + 1 : e->o->model, e->what);
    char *svg = plot_confusion(title, matrix, n, &size);
    mn_status s = app_save(e->o->plot, svg, size, err);
    free(title);
    free(svg);
    return s;
}

static mn_status report(const eval *e, mn_error *err) {
    metrics m[MN_MAX_HEADS];
    char n[24];
    printf("%s: %s pictures\n", e->what, progress_number(n, sizeof n, e->rows->length));
    for (int h = 0; h < e->info.n_heads; h++) {
        evaluation_metrics(&e->scores, h, &m[h]);
        putchar('\n');
        report_print(stdout, &e->info.head[h], &m[h]);
    }
    fflush(stdout);
    mn_status s = e->o->json ? write_json(e, m, err) : MN_OK;
    if (!s && e->o->predictions) s = write_predictions(e, err);
    if (!s && e->o->plot) s = write_plot(e, m, err);
    for (int h = 0; h < e->info.n_heads; h++) metrics_free(&m[h]);
    return s;
}

int cmd_eval(int argc, char **argv) {
    options o = {.rows = ROWS_DEFAULT, .batch = 64, .workers = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    eval e = {.o = &o};
    mn_error err = {0};
    mn_status s = MN_OK;
    const char *const files[3] = {o.json, o.predictions, o.plot};
    for (int k = 0; k < 3 && !s; k++)
        if (files[k]) s = app_check_writable(files[k], &err);
    if (!s) s = open_all(&e, &err);
    if (!s) s = report(&e, &err);
    close_all(&e);
    return s ? app_fail(&err) : APP_OK;
}

#else
int cmd_eval(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
