/* mien export: a model as one C file. */
#include "apps/app.h"
#include "apps/datasets.h"
#include "apps/evaluate.h"
#include "apps/foreign.h"
#include "apps/train.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

typedef struct options {
    const char *model, *c, *name, *data[DATA_MAX_PARTS];
    int n_data, threads;
    bool int8, constants;
    foreign foreign;
} options;

enum { OPT_C = 256, OPT_INT8, OPT_CONSTANTS, OPT_NAME, OPT_THREADS };
static const struct argp_option table[] = {
    {"c", OPT_C, "FILE.c", 0, "The C file to write; its name becomes that of the functions", 1},
    {"int8", OPT_INT8, 0, 0, "Kernels as 8-bit numbers with one scale a filter: a quarter of the size", 1},
    {"constants", OPT_CONSTANTS, 0, 0,
     "Floats as constants, which need no memory but flash, instead of text that the first call decodes: the file "
     "becomes twice as long",
     1},
    {"name", OPT_NAME, "WORD", 0, "What the functions are called: WORD_predict", 1},
    {"data", 'd', "SPEC", 0, "Pictures to measure what --int8 costs on (see mien help train), their validation rows; else noise",
     2},
    {"threads", OPT_THREADS, "N", 0, "Processors for that (default: all)", 2},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case ARGP_KEY_INIT:
        s->child_inputs[0] = &o->foreign;
        return 0;
    case OPT_C:
        o->c = arg;
        return 0;
    case OPT_INT8:
        o->int8 = true;
        return 0;
    case OPT_CONSTANTS:
        o->constants = true;
        return 0;
    case OPT_NAME:
        o->name = arg;
        return 0;
    case 'd':
        if (o->n_data == DATA_MAX_PARTS) argp_error(s, "--data is given more than %d times", DATA_MAX_PARTS);
        o->data[o->n_data++] = arg;
        return 0;
    case OPT_THREADS:
        o->threads = (int)app_parse_int(s, "--threads", arg, 1, 256);
        return 0;
    case ARGP_KEY_ARG:
        if (o->model) argp_error(s, "one model at a time: \"%s\" is too many", arg);
        o->model = app_model_path(arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->model) argp_error(s, "a model file is missing");
        if (!o->c) argp_error(s, "--c FILE.c is missing: where the C file goes");
        if (o->n_data && !o->int8) argp_error(s, "--data only measures what --int8 changes");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Writes a model as one C file that needs nothing but a C99 compiler: weights, kernels, and the functions "
    "NAME_predict and NAME_prepare. The head of the file says how to use it."
    "\vExamples:\n"
    "  mien export faces.h5 --c face.c && cc -std=c99 -O3 -c face.c\n"
    "  mien export faces.h5 --c face.c --int8 --data fer2013:fer2013.csv\n";
static const struct argp_child children[] = {{&foreign_argp, 0, NULL, 8}, {0}};
static const struct argp argp = {table, parse, "MODEL.h5", doc, children, NULL, NULL};

/* ---- what int8 changes ---- */

/* The same model twice: as it is, and with rounded kernels. */
typedef struct pair {
    mn_context *c[2];
    mn_model *m[2];
    mn_model_info info;
} pair;

static mn_status open_pair(pair *p, const options *o, mn_error *err) {
    for (int i = 0; i < 2; i++) {
        mn_context_opt opt = {.threads = o->threads};
        mn_model_info unused;
        if (!(p->c[i] = mn_context_create(&opt, err))) return err->status;
        if (!(p->m[i] = mn_model_load(p->c[i], o->model, i ? &unused : &p->info, err))) return err->status;
        if (i)
            mn_model_info_free(&unused);
        else if (foreign_apply(&o->foreign, &p->info, err))
            return err->status;
        mn_status s = i ? mn_model_round_int8(p->m[i]) : mn_model_fold_batch_norm(p->m[i]) < 0 ? MN_ERR_ARG : MN_OK;
        if (s) return mn_fail(err, s, "%s", mn_context_error(p->c[i])->text);
    }
    return MN_OK;
}

static void close_pair(pair *p) {
    mn_model_info_free(&p->info);
    for (int i = 0; i < 2; i++) mn_context_destroy(p->c[i]);
}

/* Whether to take int8 is a choice, and test rows choose nothing: the rows for validation where there are any, else all. */
static mn_dataset *rows_of(const data_rows *d, const char **what, mn_error *err) {
    *what = d->count[MN_SPLIT_VALID] ? "validation rows" : "rows";
    if (d->count[MN_SPLIT_VALID]) return mn_dataset_subset(d->all, d->index[MN_SPLIT_VALID], d->count[MN_SPLIT_VALID], err);
    int64_t n = 0, *index = app_alloc((size_t)(d->count[0] + d->count[2]) + 1, sizeof *index);
    for (int k = 0; k < 3; k += 2)
        for (int64_t i = 0; i < d->count[k]; i++) index[n++] = d->index[k][i];
    mn_dataset *rows = mn_dataset_subset(d->all, index, n, err);
    free(index);
    return rows;
}

static void print_scores(const pair *p, const evaluation *e, const char *what, const mn_dataset *rows) {
    for (int h = 0; h < p->info.n_heads; h++) {
        metrics m[2];
        double largest = 0;
        for (int i = 0; i < 2; i++) evaluation_metrics(&e[i], h, &m[i]);
        for (int64_t i = 0; i < e[0].n * e[0].classes[h]; i++) largest = fmax(largest, fabs((double)e[0].p[h][i] - e[1].p[h][i]));
        if (m[0].n)
            printf("int8      %s: accuracy %.2f %% instead of %.2f %% on %lld %s of %s\n", p->info.head[h].name,
                   100 * m[1].accuracy, 100 * m[0].accuracy, (long long)m[0].n, what, rows->name);
        printf("          %s: the largest change of a probability is %.4f\n", p->info.head[h].name, largest);
        for (int i = 0; i < 2; i++) metrics_free(&m[i]);
    }
}

static mn_status score_pair(pair *p, const data_rows *d, const head_map *map, mn_error *err) {
    const char *what;
    mn_dataset *rows = rows_of(d, &what, err);
    evaluation e[2] = {{0}, {0}};
    mn_status s = rows ? MN_OK : err->status;
    for (int i = 0; i < 2 && !s; i++) {
        mn_loader *l = mn_loader_create(rows, &p->info.preprocess, (mn_loader_opt){.batch = 64, .workers = 1}, err);
        evaluation_create(&e[i], p->m[i], rows->length);
        s = l ? evaluation_run(&e[i], p->m[i], l, map, i ? "int8" : "float", NULL, err) : err->status;
        mn_loader_destroy(l);
    }
    if (!s) print_scores(p, e, what, rows);
    for (int i = 0; i < 2; i++) evaluation_free(&e[i]);
    mn_dataset_destroy(rows);
    return s;
}

/* The rows are cut as they were when the model was trained on them. */
static mn_status cut_rows(const pair *p, data_rows *d, const int *head, int n, mn_error *err) {
    json_t *record = p->info.training ? json_loads(p->info.training, 0, NULL) : NULL;
    for (int k = 0; k < d->n_parts; k++) train_recall(record, &d->part[k]);
    mn_status s = data_split(d, head, n, (uint64_t)json_integer_value(json_object_get(record, "seed")), err);
    json_decref(record);
    return s;
}

static mn_status compare_on_data(pair *p, const options *o, mn_error *err) {
    data_rows d = {0};
    head_map map = {0};
    int head[MN_MAX_HEADS], n = 0;
    mn_status s = evaluation_fits(p->m[0], &p->info, o->model, err);
    if (!s) s = data_open(&d, o->data, o->n_data, o->threads, err);
    if (!s) s = head_map_create(&map, p->info.head, p->info.n_heads, d.all, err);
    for (int h = 0; h < p->info.n_heads && !s; h++)
        if (map.at[h] >= 0) head[n++] = map.at[h];
    if (!s) s = cut_rows(p, &d, head, n, err);
    if (!s) s = score_pair(p, &d, &map, err);
    head_map_free(&map);
    data_close(&d);
    return s;
}

static mn_status random_outputs(mn_model *m, int head, int n, float *out) {
    mn_context *c = mn_model_context(m);
    mn_shape s = mn_model_input_shape(m, 0), batch = {.ndim = s.ndim + 1, .dim = {n}};
    for (int i = 0; i < s.ndim; i++) batch.dim[i + 1] = s.dim[i];
    mn_step_begin(c);
    mn_tensor *x = mn_input(c, batch, NULL);
    mn_rng r = mn_rng_create(1, 2);
    double *v = x ? app_alloc((size_t)x->count, sizeof *v) : NULL;
    for (int64_t i = 0; x && i < x->count; i++) v[i] = mn_rng_uniform(&r, 0, 1);
    if (x) mn_set_f64(x, v);
    free(v);
    mn_no_grad_begin(c);
    mn_status status = mn_model_forward(m, &x, false);
    mn_no_grad_end(c);
    return status ? status : mn_get(mn_model_result(m, head), out);
}

static mn_status compare_on_noise(pair *p, mn_error *err) {
    enum { PICTURES = 64 };
    for (int h = 0; h < p->info.n_heads; h++) {
        int64_t k = p->info.head[h].n_classes, count = PICTURES * k;
        float *out = app_alloc((size_t)(2 * count), sizeof *out);
        double largest = 0;
        for (int i = 0; i < 2; i++)
            if (random_outputs(p->m[i], h, PICTURES, out + i * count))
                return free(out), mn_fail(err, MN_ERR_ARG, "%s", mn_context_error(p->c[i])->text);
        if (k > 1) metrics_softmax(out, 2 * PICTURES, (int)k, 1);
        for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(out[i] - out[count + i]));
        printf("int8      %s: the largest change of %s is %.4f on %d pictures of noise; --data measures it on faces\n",
               p->info.head[h].name, k > 1 ? "a probability" : "the output", largest, PICTURES);
        free(out);
    }
    return MN_OK;
}

/* ---- the command ---- */

static mn_status run(const options *o, mn_error *err) {
    mn_export_c_report r;
    mn_model_info info = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, err);
    mn_model *m = c ? mn_model_load(c, o->model, &info, err) : NULL;
    mn_export_c_opt opt = {.name = o->name, .int8 = o->int8, .constants = o->constants};
    mn_status s = m ? foreign_apply(&o->foreign, &info, err) : err->status;
    if (!s) s = mn_model_export_c(m, &info, &opt, o->c, &r, err);
    if (!s)
        printf(
            "%s: %.0f kB of source, %lld weights in %.0f kB; memory: %.0f kB for what lies between layers, %.0f kB for weights "
            "made ready\n",
            o->c, (double)r.source_bytes / 1e3, (long long)r.weights, (double)r.weight_bytes / 1e3, (double)r.arena_bytes / 1e3,
            (double)r.prepared_bytes / 1e3);
    mn_model_info_free(&info);
    mn_context_destroy(c);
    if (s || !o->int8) return s;
    pair p = {0};
    s = open_pair(&p, o, err);
    if (!s) s = o->n_data ? compare_on_data(&p, o, err) : compare_on_noise(&p, err);
    close_pair(&p);
    return s;
}

int cmd_export(int argc, char **argv) {
    options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    mn_error err = {0};
    return app_check_writable(o.c, &err) || run(&o, &err) ? app_fail(&err) : APP_OK;
}

#else
int cmd_export(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
