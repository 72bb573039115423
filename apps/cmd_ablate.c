/* mien ablate: the same training again and again, each time with one part of the network or recipe left out. */
#include "apps/app.h"
#include "apps/study.h"
#include <fnmatch.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#if MN_HAVE_JSON

enum { MOST_PARTS = 32, MOST_SEEDS = 30 };

typedef struct options {
    const char *data[DATA_MAX_PARTS], *net, *folder;
    const char *drop[MOST_PARTS], *without[MOST_PARTS], *swap[MOST_PARTS];
    int n_data, n_drop, n_without, n_swap, seeds;
    char **rest; /* after --: for every training */
    int n_rest;
} options;

enum { OPT_DROP = 256, OPT_WITHOUT, OPT_SWAP, OPT_SEEDS };
static const struct argp_option table[] = {
    {"data", 'd', "SPEC", 0, "As for mien train; may be given several times", 1},
    {"net", 'n', "NAME|FILE", 0, "The network (default seed2)", 1},
    {"drop", OPT_DROP, "PATTERN", 0,
     "Leave out the layers whose class or name matches, like BatchNormalization or \"conv2d_3\"; may be given several "
     "times (default: BatchNormalization, Dropout, Dense, and the last Conv2D)",
     2},
    {"without", OPT_WITHOUT, "OPTION", 0,
     "Leave out this option of the recipe, like augment; may be given several times (default: augment)", 2},
    {"swap", OPT_SWAP, "A=B", 0,
     "Layers of class A become class B, which takes the same options, like MaxPooling2D=AveragePooling2D; may be given "
     "several times (with --swap alone nothing is left out)",
     2},
    {"seeds", OPT_SEEDS, "N", 0, "Trainings of each (default 3)", 2},
    {"out", 'o', "FOLDER", 0, "Networks (JSON) and log.jsonl; what is in the log is not trained again (default ablate)", 2},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'd':
        if (o->n_data == DATA_MAX_PARTS - 1) argp_error(s, "--data is given more than %d times", DATA_MAX_PARTS - 1);
        o->data[o->n_data++] = arg;
        return 0;
    case 'n':
        o->net = arg;
        return 0;
    case 'o':
        o->folder = arg;
        return 0;
    case OPT_DROP:
        if (o->n_drop == MOST_PARTS) argp_error(s, "--drop is given more than %d times", MOST_PARTS);
        o->drop[o->n_drop++] = arg;
        return 0;
    case OPT_WITHOUT:
        if (o->n_without == MOST_PARTS) argp_error(s, "--without is given more than %d times", MOST_PARTS);
        o->without[o->n_without++] = arg + 2 * !strncmp(arg, "--", 2);
        return 0;
    case OPT_SWAP:
        if (o->n_swap == MOST_PARTS) argp_error(s, "--swap is given more than %d times", MOST_PARTS);
        if (!strchr(arg, '=')) argp_error(s, "--swap wants A=B, not \"%s\"", arg);
        o->swap[o->n_swap++] = arg;
        return 0;
    case OPT_SEEDS:
        o->seeds = (int)app_parse_int(s, "--seeds", arg, 2, MOST_SEEDS);
        return 0;
    case ARGP_KEY_ARGS:
        o->rest = s->argv + s->next, o->n_rest = s->argc - s->next;
        return 0;
    case ARGP_KEY_END:
        if (!o->n_data) argp_error(s, "the data is missing: --data SPEC");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] = "Trains a network whole and with one part left out at a time, each with several seeds, and compares "
                          "validation accuracy, parameters "
                          "and time. Test rows are never read."
                          "\vWhat follows -- goes to every training. A seed decides the weights, the order and the split; "
                          "differences are taken seed by "
                          "seed.\n\n"
                          "Examples:\n"
                          "  mien ablate --data rendered:2000 --net tiny --seeds 5 -- --epochs 10\n"
                          "  mien ablate --data fer2013:fer2013.csv --net seed1 --drop 'batch*' --drop Dense\n"
                          "              -- --epochs 20 --augment default\n";
static const struct argp argp = {table, parse, "[-- TRAIN-OPTION...]", doc, NULL, NULL, NULL};

/* ---- networks without a part ---- */

static const char *text_of(const json_t *layer, const char *key) { return json_string_value(json_object_get(layer, key)); }

static bool is_output(const json_t *net, const char *name) {
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(net, "outputs"), i, v) if (!strcmp(json_string_value(v), name)) return true;
    return false;
}

/* Layers that read `from` read `to` instead. */
static void redirect(json_t *layers, const char *from, const char *to) {
    size_t i, k;
    json_t *layer, *in;
    json_array_foreach(layers, i, layer)
        json_array_foreach(json_object_get(layer, "inputs"), k, in) if (!strcmp(json_string_value(in), from))
            json_array_set_new(json_object_get(layer, "inputs"), k, json_string(to));
}

/* Every layer but the inputs says what it reads, so that layers can go. */
static void name_inputs(json_t *layers) {
    for (size_t i = 1; i < json_array_size(layers); i++) {
        json_t *layer = json_array_get(layers, i);
        if (!json_object_get(layer, "inputs") && strcmp(text_of(layer, "class"), "InputLayer") != 0)
            json_object_set_new(layer, "inputs", json_pack("[s]", text_of(json_array_get(layers, i - 1), "name")));
    }
}

/* Takes out the layers that match, with one input each and no output of the network; "last:CLASS" only the last such.
 * Returns how many. */
static int take_out(json_t *net, const char *pattern) {
    json_t *layers = json_object_get(net, "layers");
    bool last = !strncmp(pattern, "last:", 5);
    int n = 0;
    name_inputs(layers);
    for (size_t i = json_array_size(layers); i-- > 1 && !(last && n);) {
        json_t *layer = json_array_get(layers, i), *in = json_object_get(layer, "inputs");
        const char *name = text_of(layer, "name"), *want = pattern + 5 * last;
        if (fnmatch(want, name, 0) && fnmatch(want, text_of(layer, "class"), 0)) continue;
        if (json_array_size(in) != 1 || is_output(net, name)) continue;
        char *from = app_text("%s", name), *to = app_text("%s", json_string_value(json_array_get(in, 0)));
        json_array_remove(layers, i);
        redirect(layers, from, to);
        free(from);
        free(to);
        n++;
    }
    return n;
}

/* "A=B": every layer of class A becomes one of class B. Returns how many. */
static int swap(json_t *net, const char *text) {
    size_t i, length = strcspn(text, "=");
    json_t *layer;
    int n = 0;
    json_array_foreach(json_object_get(net, "layers"), i, layer) {
        const char *class = text_of(layer, "class");
        if (strlen(class) != length || strncmp(class, text, length) != 0) continue;
        json_object_set_new(layer, "class", json_string(text + length + 1));
        n++;
    }
    return n;
}

/* ---- variants ---- */

typedef struct variant {
    char *name, *net; /* net: its file */
    const char *without;
    study_result result[MOST_SEEDS];
    char *why; /* it cannot be trained; NULL: it can */
} variant;

/* The words of a training; the last one is the caller's to free. */
static char **words(const options *o, const variant *v, int seed, int *n) {
    char **w = app_alloc(2 * (size_t)o->n_data + (size_t)o->n_rest + 5, sizeof *w);
    *n = 0;
    for (int k = 0; k < o->n_data; k++) w[(*n)++] = (char *)"--data", w[(*n)++] = (char *)o->data[k];
    w[(*n)++] = (char *)"--net", w[(*n)++] = v->net;
    for (int k = 0; k < o->n_rest; k++) {
        const char *word = o->rest[k];
        size_t length = v->without ? strlen(v->without) : 0;
        if (length && !strncmp(word, "--", 2) && !strncmp(word + 2, v->without, length) &&
            (!word[2 + length] || word[2 + length] == '=')) {
            k += !word[2 + length] && k + 1 < o->n_rest && o->rest[k + 1][0] != '-'; /* its value */
            continue;
        }
        w[(*n)++] = o->rest[k];
    }
    w[(*n)++] = (char *)"--seed", w[(*n)++] = app_text("%d", seed);
    return w;
}

/* The network as JSON, built for the data's heads and the recipe's input size. */
static json_t *describe(const options *o, mn_error *err) {
    variant v = {.net = (char *)(o->net ? o->net : "seed2")};
    int n;
    char **w = words(o, &v, 0, &n), **line = app_alloc((size_t)n + 4, sizeof *line), *model = app_text("%s/model", o->folder),
         *text = NULL;
    line[0] = (char *)"mien train", line[n + 1] = (char *)"--out", line[n + 2] = model;
    memcpy(line + 1, w, (size_t)n * sizeof *line);
    train_options t;
    train_run r = {0};
    if (!train_parse(&t, n + 3, line))
        mn_fail(err, MN_ERR_ARG, "mien train cannot run with these options");
    else if (t.quiet = true, !train_open(&r, &t, err))
        text = mn_model_to_json(r.m, err);
    json_t *net = text ? json_loads(text, 0, NULL) : NULL;
    mn_free(text);
    train_close(&r);
    train_options_free(&t);
    free(w[n - 1]);
    free(w);
    free(line);
    free(model);
    return net;
}

static mn_status add(const options *o, variant *v, const json_t *whole, const char *drop, const char *without, bool *found,
                     mn_error *err) {
    json_t *net = json_deep_copy(whole);
    bool swaps = drop && strchr(drop, '=');
    *found = !drop || (swaps ? swap(net, drop) : take_out(net, drop)) > 0;
    if (!*found) return json_decref(net), MN_OK;
    char *file = app_text("%s", drop ? drop : "whole");
    for (char *p = file; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *p)) *p = '-';
    *v = (variant){.name = drop || without ? app_text("%s%s", swaps ? "" : "no ", drop ? drop : without) : app_text("whole"),
                   .without = without};
    v->net = app_text("%s/%s.json", o->folder, file);
    free(file);
    char *text = json_dumps(net, JSON_INDENT(1));
    mn_status s = app_save(v->net, text, strlen(text), err);
    free(text);
    json_decref(net);
    return s;
}

static bool in_recipe(const options *o, const char *option) {
    for (int k = 0; k < o->n_rest; k++)
        if (!strncmp(o->rest[k], "--", 2) && !strncmp(o->rest[k] + 2, option, strlen(option))) return true;
    return false;
}

/* The whole, then each part's absence. Parts asked for must exist; of the default ones, those there are. */
static mn_status make_variants(const options *o, variant *v, int *n, mn_error *err) {
    static const char *const usual[] = {"BatchNormalization", "Dropout", "Dense", "last:Conv2D"};
    json_t *whole = describe(o, err);
    if (!whole) return err->status ? err->status : MN_ERR_ARG;
    bool found;
    mn_status s = add(o, &v[(*n)++], whole, NULL, NULL, &found, err);
    for (int k = 0; k < o->n_swap && !s; k++) {
        s = add(o, &v[*n], whole, o->swap[k], NULL, &found, err);
        *n += found;
        if (!s && !found) s = mn_fail(err, MN_ERR_ARG, "--swap %s: the network has no layer of that class", o->swap[k]);
    }
    for (int k = 0; k < (o->n_drop ? o->n_drop : o->n_swap ? 0 : 4) && !s; k++) {
        const char *pattern = o->n_drop ? o->drop[k] : usual[k];
        s = add(o, &v[*n], whole, pattern, NULL, &found, err);
        *n += found;
        if (!s && !found && o->n_drop)
            s = mn_fail(err, MN_ERR_ARG, "--drop \"%s\" matches no layer that can go; hint: mien info lists them", pattern);
    }
    for (int k = 0; k < (o->n_without ? o->n_without : 1) && !s; k++) {
        const char *option = o->n_without ? o->without[k] : "augment";
        if (in_recipe(o, option))
            s = add(o, &v[(*n)++], whole, NULL, option, &found, err);
        else if (o->n_without)
            s = mn_fail(err, MN_ERR_ARG, "--without %s: the options after -- have no --%s", option, option);
    }
    json_decref(whole);
    return s;
}

/* ---- the table ---- */

/* Mean and half the width of its 95 % interval, by Student's t: 97.5 % quantiles for 1 to 29 degrees of freedom. */
static void t_interval(const double *x, int n, double *mean, double *half) {
    static const double t[29] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                 2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                 2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045};
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) sum += x[i];
    *mean = sum / n;
    for (int i = 0; i < n; i++) squares += (x[i] - *mean) * (x[i] - *mean);
    *half = t[n - 2] * sqrt(squares / (n - 1) / n);
}

static void print_row(const options *o, const variant *v, const variant *whole) {
    double x[MOST_SEEDS], d[MOST_SEEDS], seconds = 0, mean, half, d_mean, d_half;
    for (int i = 0; i < o->seeds; i++) {
        x[i] = 100 * v->result[i].accuracy;
        d[i] = x[i] - 100 * whole->result[i].accuracy;
        seconds += v->result[i].epoch_seconds / o->seeds;
    }
    if (v->why) {
        printf("%-22.22s %.56s\n", v->name, v->why);
        return;
    }
    t_interval(x, o->seeds, &mean, &half);
    printf("%-22.22s %5.1f +- %4.1f", v->name, mean, half);
    t_interval(d, o->seeds, &d_mean, &d_half);
    if (v == whole)
        printf(" %15s", "");
    else
        printf("  %+5.1f +- %4.1f", d_mean, d_half);
    printf(" %11lld %8.2f s\n", (long long)v->result[0].parameters, seconds);
    fflush(stdout);
}

static volatile int stop;
static void on_signal(int number) { (void)number, stop = 1; }

/* A network that lost a part may not fit together any more: a row that says so. */
static train_end run_variant(const options *o, variant *v, bool first, const char *log, mn_error *err) {
    train_end end = TRAIN_DONE;
    for (int i = 0; i < o->seeds && end == TRAIN_DONE && !v->why; i++) {
        int n;
        char **w = words(o, v, i, &n);
        end = study_run(w, n, log, &stop, &v->result[i], err);
        free(w[n - 1]);
        free(w);
        if (end != TRAIN_FAILED || first || (err->status != MN_ERR_SHAPE && err->status != MN_ERR_FORMAT)) continue;
        v->why = app_text("%s", err->text);
        mn_error_clear(err);
        end = TRAIN_DONE;
    }
    return end;
}

int cmd_ablate(int argc, char **argv) {
    options o = {.folder = "ablate", .seeds = 3};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    mn_error err = {0};
    variant *v = app_alloc(3 * MOST_PARTS + 8, sizeof *v);
    int n = 0;
    mkdir(o.folder, 0777); /* if it cannot be made, writing into it says why */
    char *log = app_text("%s/log.jsonl", o.folder);
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &a, NULL);
    train_end end = make_variants(&o, v, &n, &err) ? TRAIN_FAILED : TRAIN_DONE;
    if (end == TRAIN_DONE)
        printf("validation accuracy, mean and 95 %% interval (Student's t) over %d seeds\n%-22s %13s %15s %12s %9s\n", o.seeds,
               "", "% right", "less the whole", "parameters", "an epoch");
    for (int i = 0; i < n && end == TRAIN_DONE; i++) {
        end = run_variant(&o, &v[i], i == 0, log, &err);
        if (end == TRAIN_DONE) print_row(&o, &v[i], &v[0]);
    }
    if (end == TRAIN_STOPPED) printf("stopped   the same command goes on from %s\n", log);
    for (int i = 0; i < n; i++) free(v[i].name), free(v[i].net), free(v[i].why);
    free(v);
    free(log);
    return end == TRAIN_DONE ? APP_OK : end == TRAIN_FAILED ? app_fail(&err) : APP_FAILED;
}

#else
int cmd_ablate(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
