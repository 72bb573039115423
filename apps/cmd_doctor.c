/* mien doctor: would a score on this data mean what it says? */
#include "apps/app.h"
#include "apps/doctor.h"
#include "apps/metrics.h"
#include "apps/near.h"
#include "apps/progress.h"
#include "apps/report.h"
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

typedef struct options {
    const char *data[DATA_MAX_PARTS], *json, *list;
    int n_data;
    bool inflation, near;
    double valid, test;
    uint64_t seed;
    doctor_opt doctor;
} options;

enum {
    OPT_JSON = 256,
    OPT_LIST,
    OPT_GROUP,
    OPT_DISTANCE,
    OPT_LIKENESS,
    OPT_INFLATION,
    OPT_VAL,
    OPT_TEST,
    OPT_SEED,
    OPT_THREADS,
    OPT_NEAR
};
static const struct argp_option table[] = {
    {"data", 'd', "SPEC", 0, "The data (see mien help train); may be given several times", 1},
    {"val", OPT_VAL, "SHARE", 0, "As for mien train, whose cut is examined (default 0.1)", 1},
    {"test", OPT_TEST, "SHARE", 0, "As for mien train (default 0.1)", 1},
    {"seed", OPT_SEED, "N", 0, "As for mien train (default 0)", 1},
    {"near-together", OPT_NEAR, 0, 0, "As for mien train: the cut keeps near copies on one side", 1},
    {"group-from-name", OPT_GROUP, "REGEX|prefix", 0,
     "Whose picture it is, by its file's name: what the first (...) of the extended regular "
     "expression finds, or all of it. prefix: up to the first _ or -",
     2},
    {"distance", OPT_DISTANCE, "BITS", 0, "Near copies differ in at most this many of 64 bits (default 8)", 2},
    {"likeness", OPT_LIKENESS, "X", 0, "... and correlate at least so much (default 0.98)", 2},
    {"show-inflation", OPT_INFLATION, 0, 0, "Also trains logistic regressions, folds cut by picture and by subject", 2},
    {"json", OPT_JSON, "FILE", 0, "All counts as JSON", 3},
    {"list", OPT_LIST, "FILE.csv", 0, "A row a pair", 3},
    {"threads", OPT_THREADS, "N", 0, "Processors (default: all)", 3},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'd':
        if (o->n_data == DATA_MAX_PARTS) argp_error(s, "--data is given more than %d times", DATA_MAX_PARTS);
        o->data[o->n_data++] = arg;
        return 0;
    case OPT_VAL:
        o->valid = app_parse_real(s, "--val", arg, 0, 0.9);
        return 0;
    case OPT_TEST:
        o->test = app_parse_real(s, "--test", arg, 0, 0.9);
        return 0;
    case OPT_SEED:
        o->seed = (uint64_t)app_parse_int(s, "--seed", arg, 0, INT64_MAX);
        return 0;
    case OPT_NEAR:
        o->near = true;
        return 0;
    case OPT_GROUP:
        o->doctor.subject = arg;
        return 0;
    case OPT_DISTANCE:
        o->doctor.distance = (int)app_parse_int(s, "--distance", arg, 0, 15);
        return 0;
    case OPT_LIKENESS:
        o->doctor.likeness = app_parse_real(s, "--likeness", arg, 0.5, 1);
        return 0;
    case OPT_INFLATION:
        o->inflation = true;
        return 0;
    case OPT_JSON:
        o->json = arg;
        return 0;
    case OPT_LIST:
        o->list = arg;
        return 0;
    case OPT_THREADS:
        o->doctor.threads = (int)app_parse_int(s, "--threads", arg, 0, 1024);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(s, "\"%s\" is not an option; data is given with --data SPEC", arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->n_data) argp_error(s, "the data is missing: --data SPEC");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Examines the cut that mien train would make of this data: pictures of one part that are identical, mirrored or nearly the "
    "same "
    "in another, the same subject on both sides, blank pictures, labels that contradict each other, class balance."
    "\vThe exit status is 1 when a validation or test picture has a partner in another part (or when the data cannot be read), "
    "else 0. docs/doctor.md says how copies are found.\n\n"
    "Examples:\n"
    "  mien doctor --data fer2013:fer2013.csv --list copies.csv\n"
    "  mien doctor --data ckplus:CK+48 --show-inflation\n"
    "  mien doctor --data folder:CK+48 --group-from-name '^(S[0-9]+)_'\n";
static const struct argp argp = {table, parse, NULL, doc, NULL, NULL, NULL};

static const char *const part_name[3] = {"train", "valid", "test"};

static const char *id_of(const doctor *d, int64_t row) {
    mn_sample_info info;
    return d->data->all->info(d->data->all, row, &info, NULL) ? "?" : info.id;
}

/* ---- the report ---- */

static const doctor_pair *example(const doctor *d, doctor_kind kind) {
    for (int64_t i = 0; i < d->n_pairs; i++)
        if (d->pair[i].kind == kind && d->pair[i].across) return &d->pair[i];
    return NULL;
}

/* The end of a long name says more than its beginning. */
static const char *tail(const char *text, size_t most) {
    size_t n = strlen(text);
    return n > most ? text + n - most : text;
}

static void print_kinds(const doctor *d) {
    static const char *const words[DOCTOR_KINDS] = {"identical pictures", "mirror images", "near copies", "same subject"};
    char n[2][24];
    printf("\n%-26s %11s %14s\n", "partners of a picture", "inside part", "in other parts");
    for (int k = 0; k < DOCTOR_KINDS; k++) {
        bool unknown = k == DOCTOR_SUBJECT && !d->has_subjects;
        printf("  %-24s %11s %14s\n", words[k], unknown ? "-" : progress_number(n[0], sizeof n[0], d->inside[k]),
               unknown ? "-" : progress_number(n[1], sizeof n[1], d->across[k]));
    }
    for (int k = 0; k < DOCTOR_KINDS; k++) {
        const doctor_pair *p = example(d, k);
        if (p)
            printf("  %s: %s %.24s\n  %*s= %s %.24s\n", doctor_kind_names[k], part_name[d->part[p->a]], tail(id_of(d, p->a), 24),
                   (int)strlen(doctor_kind_names[k]), "", part_name[d->part[p->b]], tail(id_of(d, p->b), 24));
    }
}

static void print_rest(const doctor *d) {
    char n[3][24];
    puts("");
    if (d->has_subjects)
        printf("subjects  %s, %s of them in more than one part\n", progress_number(n[0], sizeof n[0], d->subjects),
               progress_number(n[1], sizeof n[1], d->subjects_across));
    else
        puts("subjects  not known: no two different pictures share a group;\n          hint: --group-from-name, if names tell "
             "whose a picture is");
    if (d->blank)
        printf("blank     %s pictures of one grey, the first %.30s\n", progress_number(n[0], sizeof n[0], d->blank),
               tail(id_of(d, d->first_blank), 30));
    if (d->conflict_pictures)
        printf("labels    %s identical pictures contradict each other's label\n",
               progress_number(n[0], sizeof n[0], d->conflict_pictures));
    int64_t near = d->conflict_pairs[DOCTOR_NEAR] + d->conflict_pairs[DOCTOR_MIRRORED];
    if (near)
        printf("labels    %s pairs of near or mirrored copies contradict each other\n", progress_number(n[0], sizeof n[0], near));
}

/* Rarest and commonest class of the training rows, and what saying always the commonest scores on the others. */
static mn_status print_balance(const doctor *d, int h, mn_error *err) {
    const data_rows *r = d->data;
    const mn_head *head = &r->all->head[h];
    int64_t *count = app_alloc((size_t)head->n_classes, sizeof *count), all = 0;
    int most = 0, least = -1;
    mn_status s = data_count(r->all, r->index[0], r->count[0], h, count, err);
    for (int k = 0; k < head->n_classes && !s; k++) {
        all += count[k];
        if (count[k] > count[most]) most = k;
        if (count[k] && (least < 0 || count[k] < count[least])) least = k;
    }
    if (!s && least >= 0)
        printf("balance   %.16s: %.16s %.1f %% of train, %.16s %.1f %%%s\n", head->name, head->class_name[most],
               100.0 * (double)count[most] / (double)all, head->class_name[least], 100.0 * (double)count[least] / (double)all,
               count[most] > 5 * count[least] ? "; see macro F1, not accuracy" : "");
    free(count);
    return s;
}

static void print_verdict(const doctor *d) {
    char n[2][24];
    puts("");
    for (int k = MN_SPLIT_VALID; k <= MN_SPLIT_TEST; k++)
        if (d->leaked[k])
            printf("LEAK      %s of %s %s pictures (%.1f %%) have a partner in %s\n",
                   progress_number(n[0], sizeof n[0], d->leaked[k]), progress_number(n[1], sizeof n[1], d->data->count[k]),
                   part_name[k], 100.0 * (double)d->leaked[k] / (double)d->data->count[k],
                   k == MN_SPLIT_TEST ? "train or valid" : "train");
    if (!doctor_leaks(d))
        puts("verdict   no leak found: no validation or test picture has a partner elsewhere");
    else
        puts("verdict   scores on these rows say more than is true: they are partly remembered");
}

static void print_inflation(const mn_head *head, const doctor_inflation *f) {
    double a = (double)f->by_picture / (double)f->n, b = (double)f->by_subject / (double)f->n, lo[2], hi[2];
    metrics_wilson(f->by_picture, f->n, &lo[0], &hi[0]);
    metrics_wilson(f->by_subject, f->n, &lo[1], &hi[1]);
    printf("\ninflation logistic regression on 48x48 pixels, %s, five folds\n", head->name);
    printf("          cut by picture  %5.1f %% right (95 %%: %.1f to %.1f)\n", 100 * a, 100 * lo[0], 100 * hi[0]);
    printf("          cut by subject  %5.1f %% right (95 %%: %.1f to %.1f)\n", 100 * b, 100 * lo[1], 100 * hi[1]);
    printf("          %.1f points of the first are people it had seen\n", 100 * (a - b));
}

/* ---- files ---- */

static json_t *kinds_json(const doctor *d) {
    json_t *kinds = json_object();
    for (int k = 0; k < DOCTOR_KINDS; k++)
        json_object_set_new(kinds, doctor_kind_names[k],
                            json_pack("{s:I,s:I,s:I}", "inside", (json_int_t)d->inside[k], "across", (json_int_t)d->across[k],
                                      "conflicting_pairs", (json_int_t)d->conflict_pairs[k]));
    return kinds;
}

static mn_status write_json(const options *o, const doctor *d, const doctor_inflation *f, mn_error *err) {
    json_t *j = json_object(), *parts = json_object(), *data = json_array();
    for (int k = 0; k < o->n_data; k++) json_array_append_new(data, json_string_nocheck(o->data[k]));
    for (int k = 0; k < 3; k++)
        json_object_set_new(
            parts, part_name[k],
            json_pack("{s:I,s:I}", "pictures", (json_int_t)d->data->count[k], "leaked", (json_int_t)d->leaked[k]));
    json_object_set_new(j, "mien", json_string(APP_VERSION));
    json_object_set_new(j, "data", data);
    json_object_set_new(j, "leak", json_boolean(doctor_leaks(d)));
    json_object_set_new(j, "parts", parts);
    json_object_set_new(j, "partners", kinds_json(d));
    json_object_set_new(j, "subjects", d->has_subjects ? json_integer(d->subjects) : json_null());
    json_object_set_new(j, "subjects_across", d->has_subjects ? json_integer(d->subjects_across) : json_null());
    json_object_set_new(j, "blank", json_integer(d->blank));
    json_object_set_new(j, "conflicting_identical", json_integer(d->conflict_pictures));
    if (f)
        json_object_set_new(j, "inflation",
                            json_pack("{s:I,s:I,s:I}", "n", (json_int_t)f->n, "right_by_picture", (json_int_t)f->by_picture,
                                      "right_by_subject", (json_int_t)f->by_subject));
    return report_save(j, o->json, err);
}

static mn_status write_list(const char *path, const doctor *d, mn_error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", path);
    fputs("kind,part_a,part_b,likeness,labels_differ,id_a,id_b\n", f);
    for (int64_t i = 0; i < d->n_pairs; i++) {
        const doctor_pair *p = &d->pair[i];
        fprintf(f, "%s,%s,%s,%.4f,%d,", doctor_kind_names[p->kind], part_name[d->part[p->a]], part_name[d->part[p->b]],
                p->likeness, p->conflict);
        report_csv_field(f, id_of(d, p->a));
        fputc(',', f);
        report_csv_field(f, id_of(d, p->b));
        fputc('\n', f);
    }
    fclose(f);
    mn_status s = app_save(path, text, size, err);
    free(text);
    return s;
}

/* ---- running ---- */

static mn_status open_data(const options *o, data_rows *data, mn_error *err) {
    mn_status s = data_open(data, o->data, o->n_data, o->doctor.threads, err);
    int head[MN_MAX_HEADS];
    for (int h = 0; h < MN_MAX_HEADS; h++) head[h] = h;
    for (int k = 0; k < o->n_data && !s; k++) {
        data->part[k].valid = o->valid, data->part[k].test = o->test;
        data->part[k].near = o->near;
    }
    if (!s) s = data_split(data, head, data->all->n_heads, o->seed, err);
    return s ? s : data_print(data, head, data->all->n_heads, stdout, err);
}

static mn_status report(const options *o, const doctor *d, mn_error *err) {
    doctor_inflation f = {0};
    mn_status s = MN_OK;
    print_kinds(d);
    print_rest(d);
    for (int h = 0; h < d->data->all->n_heads && !s; h++) s = print_balance(d, h, err);
    print_verdict(d);
    fflush(stdout);
    if (!s && o->inflation && !d->has_subjects)
        s = mn_fail(err, MN_ERR_ARG, "--show-inflation: no two pictures are known to be of one subject; hint: --group-from-name");
    if (!s && o->inflation && !(s = doctor_inflate(d, 0, o->doctor.threads, &f, err)))
        print_inflation(&d->data->all->head[0], &f);
    if (!s && o->json) s = write_json(o, d, o->inflation ? &f : NULL, err);
    if (!s && o->list) s = write_list(o->list, d, err);
    return s;
}

int cmd_doctor(int argc, char **argv) {
    options o = {.valid = 0.1, .test = 0.1, .doctor = {.distance = NEAR_DISTANCE, .likeness = NEAR_LIKENESS}};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    data_rows data = {0};
    doctor d = {0};
    mn_error err = {0};
    mn_status s = o.json ? app_check_writable(o.json, &err) : MN_OK;
    if (!s && o.list) s = app_check_writable(o.list, &err);
    if (!s) s = open_data(&o, &data, &err);
    if (!s) s = doctor_examine(&d, &data, &o.doctor, &err);
    if (!s) s = report(&o, &d, &err);
    int status = s ? app_fail(&err) : doctor_leaks(&d) ? APP_FAILED : APP_OK;
    doctor_free(&d);
    data_close(&data);
    return status;
}

#else
int cmd_doctor(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
