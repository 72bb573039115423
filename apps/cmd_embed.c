/* mien embed: what a layer of a model computes for every picture, as a table, and how much can be read off it. */
#include "apps/app.h"
#include "apps/evaluate.h"
#include "apps/probe.h"
#include "apps/progress.h"
#include "apps/report.h"
#include "apps/train.h"
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

typedef struct options {
    const char *word[3], *out;          /* model, layer, data */
    int n_words, batch, threads, probe; /* probe: -1 none */
} options;

enum { OPT_PROBE = 256, OPT_THREADS };
static const struct argp_option table[] = {
    {"out", 'o', "FILE.csv|.npy", 0,
     "csv: id, part, labels and numbers of each picture; npy: a float32 array (pictures, numbers), its rows named in "
     "FILE.npy.csv",
     1},
    {"probe", OPT_PROBE, "logreg|knn", 0, "Learns the labels from the training rows' numbers and scores the others", 1},
    {"batch", 'b', "N", 0, "Pictures at a time (default 64)", 2},
    {"threads", OPT_THREADS, "N", 0, "Processors (default: all)", 2},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'o':
        o->out = arg;
        return 0;
    case OPT_PROBE:
        o->probe = app_parse_word(s, "--probe", arg, probe_names, 2);
        return 0;
    case 'b':
        o->batch = (int)app_parse_int(s, "--batch", arg, 1, 65536);
        return 0;
    case OPT_THREADS:
        o->threads = (int)app_parse_int(s, "--threads", arg, 0, 1024);
        return 0;
    case ARGP_KEY_ARG:
        if (o->n_words == 3) argp_error(s, "\"%s\" is too much; wanted MODEL.h5 LAYER SPEC", arg);
        o->word[o->n_words++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->n_words < 3)
            argp_error(s, "wanted a model, one of its layers (mien info lists them) and data: MODEL.h5 LAYER SPEC");
        if (!o->out && o->probe < 0) argp_error(s, "nothing to do: --out FILE or --probe logreg");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Runs a model over data and writes what one of its layers computes: features for other programs. --probe says what a simple "
    "classifier reads off them."
    "\vData that the model was trained on is cut as it was then, other data as mien train would cut it.\n\n"
    "Examples:\n"
    "  mien embed faces.h5 flatten_1 fer2013:fer2013.csv --out features.npy\n"
    "  mien embed faces.h5 dense_1 folder:own --probe knn --out features.csv\n";
static const struct argp argp = {table, parse, "MODEL.h5 LAYER SPEC", doc, NULL, NULL, NULL};

typedef struct embed {
    const options *o;
    mn_context *c;
    mn_model *m;
    mn_model_info info;
    json_t *record;
    data_rows data;
    int8_t *part; /* of each row; -1: none */
    int width;    /* numbers a picture */
    float *x;     /* (rows, width) */
} embed;

static mn_status failed(const embed *e, mn_error *err) {
    const mn_error *why = mn_context_error(e->c);
    return mn_fail(err, why->status ? why->status : MN_ERR_ARG, "%s", why->text);
}

static mn_status open_all(embed *e, mn_error *err) {
    mn_context_opt opt = {.threads = e->o->threads};
    if (!(e->c = mn_context_create(&opt, err)) || !(e->m = mn_model_load(e->c, app_model_path(e->o->word[0]), &e->info, err)))
        return err->status;
    e->record = e->info.training ? json_loads(e->info.training, 0, NULL) : NULL;
    const char *classes = json_string_value(json_object_get(e->record, "classes"));
    mn_status s = data_open_classes(&e->data, &e->o->word[2], 1, classes, e->o->threads, err);
    if (s) return s;
    if (!train_recall(e->record, &e->data.part[0])) e->data.part[0].valid = e->data.part[0].test = 0.1;
    int head[MN_MAX_HEADS] = {0, 1, 2, 3};
    uint64_t seed = (uint64_t)json_integer_value(json_object_get(e->record, "seed"));
    if ((s = data_split(&e->data, head, e->data.all->n_heads, seed, err))) return s;
    if ((s = data_crop(&e->data, &e->info.preprocess, err))) return s;
    e->part = app_alloc((size_t)e->data.all->length, 1);
    memset(e->part, -1, (size_t)e->data.all->length);
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < e->data.count[k]; i++) e->part[e->data.index[k][i]] = (int8_t)k;
    return MN_OK;
}

/* The layer's numbers for one batch, to rows first, first + 1, ... */
static mn_status run_batch(embed *e, const mn_batch *b, int64_t first, mn_error *err) {
    const mn_preprocess *p = &e->info.preprocess;
    const char *layer = e->o->word[1];
    mn_step_begin(e->c);
    mn_tensor *in = mn_input(e->c, MN_SHAPE(b->n, p->channels, p->height, p->width), b->x);
    mn_no_grad_begin(e->c);
    mn_status s = mn_model_forward(e->m, &in, false);
    mn_no_grad_end(e->c);
    if (s) return failed(e, err);
    mn_tensor *out = mn_model_activation(e->m, layer);
    if (!out)
        return mn_fail(err, MN_ERR_ARG, "%s has no layer \"%s\"; hint: `mien info %s` lists them", e->o->word[0], layer,
                       e->o->word[0]);
    if (!e->x) {
        e->width = 1;
        for (int k = 1; k < out->shape.ndim; k++) e->width *= (int)out->shape.dim[k];
        e->x = app_alloc((size_t)e->data.all->length * (size_t)e->width, sizeof *e->x);
    }
    return mn_get(out, e->x + first * e->width) ? failed(e, err) : MN_OK;
}

static mn_status run(embed *e, mn_error *err) {
    mn_loader *l = mn_loader_create(e->data.all, &e->info.preprocess, (mn_loader_opt){.batch = e->o->batch, .workers = 1}, err);
    if (!l) return err->status;
    progress bar;
    progress_begin(&bar, "embedding", mn_loader_batches(l));
    mn_status s = mn_loader_begin(l, 0, 0);
    mn_batch b;
    int more = 0;
    int64_t done = 0;
    for (int64_t k = 1; !s && (more = mn_loader_next(l, &b, err)) > 0; k++) {
        s = run_batch(e, &b, done, err);
        done += b.n;
        progress_update(&bar, k, done, NAN);
    }
    progress_end(&bar);
    mn_loader_destroy(l);
    return s ? s : more < 0 ? err->status : MN_OK;
}

/* ---- files ---- */

/* A row a picture: id, part, labels, and its numbers where `numbers`. */
static mn_status write_csv(const embed *e, const char *path, bool numbers, mn_error *err) {
    static const char *const part[4] = {"none", "train", "valid", "test"};
    const mn_dataset *d = e->data.all;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", path);
    fputs("id,part", f);
    for (int h = 0; h < d->n_heads; h++) fprintf(f, ",%s", d->head[h].name);
    for (int k = 0; numbers && k < e->width; k++) fprintf(f, ",f%d", k);
    fputc('\n', f);
    mn_status s = MN_OK;
    for (int64_t i = 0; i < d->length && !s; i++) {
        mn_sample_info info;
        if ((s = d->info(d, i, &info, err))) break;
        report_csv_field(f, info.id);
        fprintf(f, ",%s", part[e->part[i] + 1]);
        for (int h = 0; h < d->n_heads; h++) {
            fputc(',', f);
            if (info.label[h] >= 0) report_csv_field(f, d->head[h].class_name[info.label[h]]);
        }
        for (int k = 0; numbers && k < e->width; k++) fprintf(f, ",%.9g", (double)e->x[i * e->width + k]);
        fputc('\n', f);
    }
    if (fclose(f) && !s) s = mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", path);
    if (!s) s = app_save(path, text, size, err);
    free(text);
    return s;
}

static mn_status write_npy(const embed *e, const char *path, mn_error *err) {
    return mn_npy_save(path, MN_F32, MN_SHAPE(e->data.all->length, e->width), e->x, err);
}

static mn_status write_out(const embed *e, mn_error *err) {
    const char *path = e->o->out;
    size_t length = strlen(path);
    bool npy = length > 4 && !strcmp(path + length - 4, ".npy");
    mn_status s = npy ? write_npy(e, path, err) : write_csv(e, path, true, err);
    if (!s && npy) {
        char *names = app_text("%s.csv", path);
        s = write_csv(e, names, false, err);
        free(names);
    }
    if (!s) printf("wrote     %s: %lld pictures, %d numbers each\n", path, (long long)e->data.all->length, e->width);
    return s;
}

/* ---- probes ---- */

static mn_status probe(const embed *e, int h, mn_error *err) {
    const mn_dataset *d = e->data.all;
    const mn_head *head = &d->head[h];
    int32_t *label = app_alloc((size_t)d->length, sizeof *label), *wanted = app_alloc((size_t)d->length, sizeof *wanted);
    float *p = app_alloc((size_t)d->length * (size_t)head->n_classes, sizeof *p);
    mn_status s = MN_OK;
    for (int64_t i = 0; i < d->length && !s; i++) {
        mn_sample_info info;
        if (!(s = d->info(d, i, &info, err))) label[i] = info.label[h];
    }
    probe_rows f = {.n = d->length, .width = e->width, .classes = head->n_classes, .x = e->x, .label = label};
    for (int k = MN_SPLIT_VALID; k <= MN_SPLIT_TEST && !s; k++) {
        int64_t n = e->data.count[k];
        const int64_t *row = e->data.index[k];
        if (!n || (s = probe_run(e->o->probe, &f, e->data.index[0], e->data.count[0], row, n, e->o->threads, 0, p, err)))
            continue;
        for (int64_t i = 0; i < n; i++) wanted[i] = label[row[i]];
        metrics m;
        char text[64];
        metrics_compute(&m, p, wanted, n, head->n_classes);
        printf("%-9s %.24s, %s rows: %s\n", probe_names[e->o->probe], head->name, k == MN_SPLIT_VALID ? "valid" : "test",
               report_accuracy(text, sizeof text, &m));
        metrics_free(&m);
    }
    free(label);
    free(wanted);
    free(p);
    return s;
}

int cmd_embed(int argc, char **argv) {
    options o = {.batch = 64, .probe = -1};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    embed e = {.o = &o};
    mn_error err = {0};
    mn_status s = o.out ? app_check_writable(o.out, &err) : MN_OK;
    if (!s) s = open_all(&e, &err);
    if (!s) s = run(&e, &err);
    if (!s && o.out) s = write_out(&e, &err);
    if (!s && o.probe >= 0)
        for (int h = 0; h < e.data.all->n_heads && !s; h++) s = probe(&e, h, &err);
    free(e.x);
    free(e.part);
    data_close(&e.data);
    json_decref(e.record);
    mn_model_info_free(&e.info);
    mn_context_destroy(e.c);
    return s ? app_fail(&err) : APP_OK;
}

#else
int cmd_embed(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
