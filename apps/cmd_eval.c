/* mien eval: a model's scores on a data set. */
#include "apps/app.h"
#include "apps/card.h"
#include "apps/eval.h"
#include "apps/progress.h"
#include "apps/report.h"
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

enum {
    OPT_SPLIT = 256,
    OPT_FLIP,
    OPT_RAW,
    OPT_AGAINST,
    OPT_NEAR,
    OPT_NO_BASELINE,
    OPT_JSON,
    OPT_PREDICTIONS,
    OPT_PLOT,
    OPT_CALIBRATION,
    OPT_CARD,
    OPT_THREADS,
    OPT_WORKERS,
    OPT_DEVICE,
    OPT_LIMIT,
    OPT_CLASSES
};
static const struct argp_option table[] = {
    {"model", 'm', "MODEL.h5", 0, "The model", 1},
    {"data", 'd', "SPEC", 0, "Labelled pictures (see mien help train); may be given several times", 1},
    {"split", OPT_SPLIT, "train|valid|test|all", 0, "Which rows (default: test where there are any, else all)", 1},
    {"flip", OPT_FLIP, 0, 0, "Average over each picture and its mirror image", 1},
    {"uncalibrated", OPT_RAW, 0, 0, "Probabilities as the network gives them: no temperature, never unsure", 1},
    {"against", OPT_AGAINST, "OTHER.h5", 0, "Compare with another model on the same pictures (McNemar's test)", 1},
    {"near-copies", OPT_NEAR, 0, 0,
     "Look for near and mirrored copies of training pictures as well, as mien doctor does; identical ones are always found", 1},
    {"no-baseline", OPT_NO_BASELINE, 0, 0, "Do not train a logistic regression to stand beside the scores", 1},
    {"classes", OPT_CLASSES, "LIST", 0, "See the data through this list of expressions (default: as the model was trained)", 1},
    {"json", OPT_JSON, "FILE", 0, "All scores as JSON", 2},
    {"predictions", OPT_PREDICTIONS, "FILE.csv", 0, "A row a picture: id, label, prediction, probabilities, groups", 2},
    {"plot", OPT_PLOT, "CONFUSION.svg", 0, "The confusion matrices", 2},
    {"calibration", OPT_CALIBRATION, "FILE.svg", 0, "Reliability diagrams and risk-coverage curves", 2},
    {"card", OPT_CARD, "FILE.md", 0, "Where the model card goes beside the model file (default MODEL.card.md)", 2},
    {"batch", 'b', "N", 0, "Pictures at a time (default 64)", 3},
    {"threads", OPT_THREADS, "N", 0, "Processors (default: all)", 3},
    {"workers", OPT_WORKERS, "N", 0, "Threads that prepare batches ahead (default 1)", 3},
    {"device", OPT_DEVICE, "cpu|cuda|auto", 0, DEVICE_DOC, 3},
    {"memory-limit", OPT_LIMIT, "MIB", 0, DEVICE_LIMIT_DOC, 3},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    eval_options *o = s->input;
    switch (key) {
    case ARGP_KEY_INIT:
        s->child_inputs[0] = &o->foreign;
        return 0;
    case 'm':
        o->model = app_model_path(arg);
        return 0;
    case 'd':
        if (o->n_data == DATA_MAX_PARTS) argp_error(s, "--data is given more than %d times", DATA_MAX_PARTS);
        o->data[o->n_data++] = arg;
        return 0;
    case OPT_SPLIT:
        o->part = (eval_part)app_parse_word(s, "--split", arg, eval_part_names, 4);
        return 0;
    case OPT_FLIP:
        o->flip = true;
        return 0;
    case OPT_RAW:
        o->uncalibrated = true;
        return 0;
    case OPT_AGAINST:
        o->against = app_model_path(arg);
        return 0;
    case OPT_NEAR:
        o->near_copies = true;
        return 0;
    case OPT_NO_BASELINE:
        o->no_baseline = true;
        return 0;
    case OPT_CALIBRATION:
        o->calibration = arg;
        return 0;
    case OPT_CARD:
        o->card = arg;
        return 0;
    case OPT_CLASSES:
        o->classes = arg;
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
    case OPT_DEVICE:
        o->device = device_parse(s, arg);
        return 0;
    case OPT_LIMIT:
        o->memory_limit = device_parse_limit(s, arg);
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
                          "calibration, each class, groups, the confusion matrix."
                          "\vData that the model was trained on is cut as it was then, so that its "
                          "validation and test rows are the same rows. "
                          "Other data is cut only where its files say so. Scores of rows that are not for training or validation "
                          "are written into the model file with their date, and into its card.\n\n"
                          "Examples:\n"
                          "  mien eval --model faces.h5 --data rendered:2000\n"
                          "  mien eval --model emotion.h5 --data fer2013:fer2013.csv --split valid\n"
                          "  mien eval --model both.h5 --data utkface:UTKFace --json scores.json\n"
                          "            --predictions rows.csv --plot confusion.svg\n"
                          "  mien eval --model a.h5 --against b.h5 --data fer2013:fer2013.csv --flip\n";
static const struct argp_child children[] = {{&foreign_argp, 0, NULL, 8}, {0}};
static const struct argp argp = {table, parse, NULL, doc, children, NULL, NULL};

/* ---- two models ---- */

/* The other model's head of this name with the same classes; -1: none. */
static int same_head(const eval *b, const mn_head *head) {
    for (int h = 0; h < b->info.n_heads; h++) {
        const mn_head *own = &b->info.head[h];
        bool same = !strcmp(own->name, head->name) && own->n_classes == head->n_classes;
        for (int k = 0; k < head->n_classes && same; k++) same = !strcmp(own->class_name[k], head->class_name[k]);
        if (same) return h;
    }
    return -1;
}

static int32_t *said(const eval *e, int h) {
    int32_t *out = app_alloc((size_t)e->n, sizeof *out);
    for (int64_t i = 0; i < e->n; i++)
        out[i] = metrics_argmax(e->answers.p[h] + i * e->answers.classes[h], e->answers.classes[h]);
    return out;
}

/* McNemar's test on some of the labels (-1: left out), printed; as JSON. */
static json_t *compare_labels(const eval *a, const int32_t *label, const int32_t *by_a, const int32_t *by_b, int classes,
                              const char *which) {
    answers rows = {a->n, classes, label, by_a, a->about.cluster, a->about.clusters};
    mcnemar m = intervals_mcnemar(&rows, by_b);
    interval d = intervals_difference(&rows, by_b);
    double gain = (double)(m.only_b - m.only_a) / (double)m.n;
    char n[5][24];
    printf("  %s%s pictures: both right %s, only the first %s, only the second %s, neither %s\n", which,
           progress_number(n[0], sizeof n[0], m.n), progress_number(n[1], sizeof n[1], m.both),
           progress_number(n[2], sizeof n[2], m.only_a), progress_number(n[3], sizeof n[3], m.only_b),
           progress_number(n[4], sizeof n[4], m.n - m.both - m.only_a - m.only_b));
    printf("    the second less the first: %+.2f points (95 %%: %+.2f to %+.2f), McNemar's p = %.3g\n", 100 * gain, 100 * d.lo,
           100 * d.hi, m.p);
    json_t *pair = json_array();
    json_array_append_new(pair, report_number(d.lo));
    json_array_append_new(pair, report_number(d.hi));
    return json_pack("{s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "n", (json_int_t)m.n, "both", (json_int_t)m.both, "only_first",
                     (json_int_t)m.only_a, "only_second", (json_int_t)m.only_b, "difference", report_number(gain),
                     "difference_95", pair, "p", report_number(m.p));
}

static json_t *compare_heads(const eval *a, int ha, const eval *b, int hb) {
    int32_t *by_a = said(a, ha), *by_b = said(b, hb), *label = a->answers.label[ha];
    int classes = a->answers.classes[ha];
    printf("\n%s against %s\n", a->info.head[ha].name, b->path);
    json_t *j = compare_labels(a, label, by_a, by_b, classes, "");
    if (a->score[ha].identical + a->score[ha].near) {
        int32_t *kept = app_alloc((size_t)a->n, sizeof *kept);
        for (int64_t i = 0; i < a->n; i++) kept[i] = a->about.copy[i] ? -1 : label[i];
        json_object_set_new(j, "without_copies",
                            compare_labels(a, kept, by_a, by_b, classes, "without copies of training pictures, "));
        free(kept);
    }
    free(by_a);
    free(by_b);
    return j;
}

static mn_status compare(const eval *a, const eval *b, json_t **out, mn_error *err) {
    json_t *heads = json_object();
    for (int h = 0; h < a->info.n_heads; h++) {
        int other = same_head(b, &a->info.head[h]);
        if (other >= 0 && a->score[h].m.n)
            json_object_set_new_nocheck(heads, a->info.head[h].name, compare_heads(a, h, b, other));
    }
    *out = json_pack("{s:s,s:o}", "model", b->path, "heads", heads);
    return json_object_size(heads)
               ? MN_OK
               : mn_fail(err, MN_ERR_SHAPE, "--against %s: it has no labelled head with the classes of %s", b->path, a->path);
}

/* ---- the model file ---- */

/* How often these rows were scored before, by the list that ends with this time. */
static size_t times_before(const json_t *list) {
    size_t n = json_array_size(list), times = 0;
    const json_t *last = json_array_get(list, n - 1);
    for (size_t i = 0; i + 1 < n; i++)
        times += json_equal(json_object_get(json_array_get(list, i), "rows"), json_object_get(last, "rows")) &&
                 json_equal(json_object_get(json_array_get(list, i), "data"), json_object_get(last, "data"));
    return times;
}

/* Rows that are neither for training nor for validation have been opened: that is written down, whatever the score. */
static mn_status log_test(eval *e, mn_error *err) {
    if (e->part == EVAL_TRAIN || e->part == EVAL_VALID) return MN_OK;
    json_t *entry = eval_log_entry(e);
    char *line = json_dumps(entry, JSON_COMPACT | JSON_REAL_PRECISION(9)), *list = NULL;
    json_decref(entry);
    mn_status s = line ? mn_model_log_test(e->path, line, &list, err) : mn_fail(err, MN_ERR_MEMORY, "out of memory");
    free(line);
    if (s) return s;
    json_t *all = json_loads(list, 0, NULL);
    size_t before = times_before(all);
    json_decref(all);
    mn_free(e->info.tests);
    e->info.tests = list;
    if (before)
        printf("\nnote      these rows were scored %zu time%s before with this model: the best of\n"
               "          several scores is partly luck on these rows\n",
               before, before == 1 ? "" : "s");
    return MN_OK;
}

/* A model that mien did not train is its owner's and stays as it is; an ONNX file has no place for a list. */
static bool keeps_tests(const eval *e) {
    size_t n = strlen(e->path);
    return e->record && !(n > 5 && !strcmp(e->path + n - 5, ".onnx"));
}

static mn_status write_card(const eval *e, const char *path, mn_error *err) {
    char *own = path ? NULL : card_path(e->path), *card = card_write(mn_model_name(e->m), &e->stats, &e->info);
    if (!path) path = own;
    mn_status s = keeps_tests(e) ? mn_model_set_card(e->path, card, err) : MN_OK;
    if (!s) s = app_save(path, card, strlen(card), err);
    if (!s) printf("%scard      %s\n", e->part == EVAL_TRAIN || e->part == EVAL_VALID ? "\n" : "", path);
    free(own);
    free(card);
    return s;
}

/* A model file that cannot be written has its scores printed all the same. */
static void note_in_model(eval *e, const char *card) {
    mn_error err = {0};
    if (e->part == EVAL_TRAIN || e->part == EVAL_VALID) return;
    bool keeps = keeps_tests(e);
    if (!keeps) printf("note      %s stays as it is: HDF5 files that mien trained keep a list of their tests\n", e->path);
    if (!keeps && !card) return;
    if ((keeps && log_test(e, &err)) || write_card(e, card, &err))
        fprintf(stderr, "mien: warning: this test is not written down: %s\n", err.text);
}

/* ---- all of it ---- */

static void print_scores(const eval *e) {
    char n[24];
    printf("%s: %s pictures%s\n", e->what, progress_number(n, sizeof n, e->n), e->o->flip ? ", each also mirrored" : "");
    for (int h = 0; h < e->info.n_heads; h++) {
        putchar('\n');
        score_print(stdout, &e->info.head[h], &e->score[h]);
    }
    printf("\nlatency   %.3g ms a picture alone (99 %%: %.3g), %d thread%s\n", e->speed.p50, e->speed.p99, e->speed.threads,
           e->speed.threads == 1 ? "" : "s");
}

static mn_status run(const eval_options *o, eval *a, eval *b, mn_error *err) {
    const char *const files[] = {o->json, o->predictions, o->plot, o->calibration, o->card};
    json_t *against = NULL;
    mn_status s = MN_OK;
    for (size_t k = 0; k < sizeof files / sizeof *files && !s; k++)
        if (files[k]) s = app_check_writable(files[k], err);
    if (!s) s = eval_run(a, o, o->model, NULL, err);
    if (!s) print_scores(a);
    if (!s && o->against && !(s = eval_run(b, o, o->against, a, err))) s = compare(a, b, &against, err);
    fflush(stdout);
    if (s) return s;
    note_in_model(a, o->card);
    if (o->against) note_in_model(b, NULL);
    return eval_write(a, against, err);
}

int cmd_eval(int argc, char **argv) {
    eval_options o = {.part = EVAL_DEFAULT, .batch = 64, .workers = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    eval a = {0}, b = {0};
    mn_error err = {0};
    mn_status s = run(&o, &a, &b, &err);
    eval_close(&a);
    eval_close(&b);
    return s ? app_fail(&err) : APP_OK;
}

#else
int cmd_eval(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
