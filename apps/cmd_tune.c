/* mien tune: many short trainings, compared on the validation rows. */
#include "apps/app.h"
#include "apps/study.h"
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

enum { MOST_VALUES = 32, MOST_TRIALS = 4096, MOST_PARAMETERS = 8 };

/* An option of mien train, and what it may be: words of a list, or a range. */
typedef struct parameter {
    const char *option;
    char *value[MOST_VALUES];
    int n;
    bool range, logarithmic;
    double lo, hi;
} parameter;

typedef struct options {
    const char *data[DATA_MAX_PARTS], *log;
    int n_data, trials, epochs, halving;
    bool grid;
    uint64_t seed;
    parameter p[MOST_PARAMETERS];
    int n_parameters;
    char **rest; /* after --: for every training */
    int n_rest;
} options;

enum {
    OPT_MOMENTUM = 256,
    OPT_DECAY,
    OPT_OPTIMIZER,
    OPT_AUGMENT,
    OPT_SMOOTHING,
    OPT_DROPOUT,
    OPT_SEARCH,
    OPT_TRIALS,
    OPT_HALVING,
    OPT_SEED,
    OPT_LOG,
    OPT_SPLIT
};
static const struct argp_option table[] = {
    {"data", 'd', "SPEC", 0, "As for mien train; may be given several times", 1},
    {0, 0, 0, 0, "What to try: a LIST with commas (colons between lists of --augment), or a range LO..HI for numbers", 2},
    {"net", 'n', "LIST", 0, "Networks by name or .json file", 2},
    {"lr", 'l', "LIST|RANGE", 0, "Learning rates; a range is drawn from evenly in its logarithm", 2},
    {"momentum", OPT_MOMENTUM, "LIST|RANGE", 0, "", 2},
    {"weight-decay", OPT_DECAY, "LIST|RANGE", 0, "A range as for --lr", 2},
    {"batch", 'b', "LIST", 0, "", 2},
    {"optimizer", OPT_OPTIMIZER, "LIST", 0, "", 2},
    {"augment", OPT_AUGMENT, "A:B", 0, "", 2},
    {"dropout", OPT_DROPOUT, "LIST|RANGE", 0, "The rate of all Dropout layers", 2},
    {"label-smoothing", OPT_SMOOTHING, "LIST|RANGE", 0, "", 2},
    {0, 0, 0, 0, "How to search:", 3},
    {"search", OPT_SEARCH, "random|grid", 0, "random draws each value (default); grid tries all combinations of lists", 3},
    {"trials", OPT_TRIALS, "N", 0, "Of a random search (default 16)", 3},
    {"epochs", 'e', "N", 0, "Of a whole training (default 10)", 3},
    {"halving", OPT_HALVING, "ETA", 0, "Begin with fewer epochs, keep the best 1/ETA, give those ETA times as many, and so on",
     3},
    {"seed", OPT_SEED, "N", 0, "Of what is drawn (default 0)", 3},
    {"log", OPT_LOG, "FILE.jsonl", 0, "A line a training (default tune.jsonl); what is in it is not trained again", 3},
    {"split", OPT_SPLIT, "valid", 0, "The rows that choose: there is no other choice", 3},
    {0},
};

static void add_list(const struct argp_state *s, options *o, const char *option, char *arg, char separator, bool logarithmic) {
    if (o->n_parameters == MOST_PARAMETERS) argp_error(s, "%s: too many things to try", option);
    parameter *p = &o->p[o->n_parameters++];
    *p = (parameter){.option = option, .logarithmic = logarithmic};
    char *dots = strstr(arg, ".."), *end, cut[2] = {separator, 0};
    p->lo = strtod(arg, &end);
    if (dots && end == dots) { /* "../net.json" has two dots as well */
        p->range = true;
        p->hi = strtod(dots + 2, NULL);
        if (!(p->lo < p->hi) || (logarithmic && p->lo <= 0))
            argp_error(s, "%s %s: wanted LO..HI with LO below HI%s", option, arg, logarithmic ? " and above 0" : "");
        return;
    }
    for (char *at = strtok_r(arg, cut, &end); at; at = strtok_r(NULL, cut, &end)) {
        if (p->n == MOST_VALUES) argp_error(s, "%s: more than %d values", option, MOST_VALUES);
        p->value[p->n++] = at;
    }
    if (!p->n) argp_error(s, "%s: nothing to try", option);
}

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'd':
        if (o->n_data == DATA_MAX_PARTS - 1) argp_error(s, "--data is given more than %d times", DATA_MAX_PARTS - 1);
        o->data[o->n_data++] = arg;
        return 0;
    case 'n':
        add_list(s, o, "--net", arg, ',', false);
        return 0;
    case 'l':
        add_list(s, o, "--lr", arg, ',', true);
        return 0;
    case OPT_MOMENTUM:
        add_list(s, o, "--momentum", arg, ',', false);
        return 0;
    case OPT_DECAY:
        add_list(s, o, "--weight-decay", arg, ',', true);
        return 0;
    case 'b':
        add_list(s, o, "--batch", arg, ',', false);
        return 0;
    case OPT_OPTIMIZER:
        add_list(s, o, "--optimizer", arg, ',', false);
        return 0;
    case OPT_AUGMENT:
        add_list(s, o, "--augment", arg, ':', false);
        return 0;
    case OPT_DROPOUT:
        add_list(s, o, "--dropout", arg, ',', false);
        return 0;
    case OPT_SMOOTHING:
        add_list(s, o, "--label-smoothing", arg, ',', false);
        return 0;
    case OPT_SEARCH:
        o->grid = app_parse_word(s, "--search", arg, (const char *[]){"random", "grid"}, 2);
        return 0;
    case OPT_TRIALS:
        o->trials = (int)app_parse_int(s, "--trials", arg, 1, MOST_TRIALS);
        return 0;
    case 'e':
        o->epochs = (int)app_parse_int(s, "--epochs", arg, 1, 100000);
        return 0;
    case OPT_HALVING:
        o->halving = (int)app_parse_int(s, "--halving", arg, 2, 16);
        return 0;
    case OPT_SEED:
        o->seed = (uint64_t)app_parse_int(s, "--seed", arg, 0, INT64_MAX);
        return 0;
    case OPT_LOG:
        o->log = arg;
        return 0;
    case OPT_SPLIT:
        if (strcmp(arg, "valid") != 0)
            argp_error(s, "--split %s: only validation rows may choose; a test that chose is no test", arg);
        return 0;
    case ARGP_KEY_ARGS:
        o->rest = s->argv + s->next, o->n_rest = s->argc - s->next;
        return 0;
    case ARGP_KEY_END:
        if (!o->n_data) argp_error(s, "the data is missing: --data SPEC");
        if (!o->n_parameters) argp_error(s, "nothing to try: --lr 0.1,0.01, say, or --net tiny,seed2");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Trains with many settings and compares them on the validation rows, at each run's epoch of lowest validation loss. Test "
    "rows are "
    "never read: score the winner on them once, with mien eval."
    "\vWhat follows -- goes to every training. Ctrl-C ends the search; the same command goes on from its log.\n\n"
    "Examples:\n"
    "  mien tune --data rendered:2000 --net tiny,seed2 --lr 1e-3..1e-1 --trials 12\n"
    "  mien tune --data fer2013:fer2013.csv --search grid --lr 0.1,0.01 --batch 32,128\n"
    "            --halving 3 --epochs 27 -- --augment default --schedule cosine\n";
static const struct argp argp = {table, parse, "[-- TRAIN-OPTION...]", doc, NULL, NULL, NULL};

/* ---- trials ---- */

typedef struct trial {
    char *value[MOST_PARAMETERS];
    study_result result;
    int epochs;
} trial;

static int combinations(const options *o) {
    int64_t n = 1;
    for (int k = 0; k < o->n_parameters; k++) n = o->p[k].range || n > MOST_TRIALS ? MOST_TRIALS + 1 : n * o->p[k].n;
    return n > MOST_TRIALS ? -1 : (int)n;
}

static char *draw(const parameter *p, mn_rng *r) {
    if (!p->range) return app_text("%s", p->value[mn_rng_below(r, (uint64_t)p->n)]);
    return app_text("%.4g", p->logarithmic ? exp(mn_rng_uniform(r, log(p->lo), log(p->hi))) : mn_rng_uniform(r, p->lo, p->hi));
}

static void fill(const options *o, trial *t, int n) {
    mn_rng r = mn_rng_create(o->seed, 0);
    for (int i = 0; i < n; i++)
        for (int k = 0, at = i; k < o->n_parameters; k++) {
            t[i].value[k] = o->grid ? app_text("%s", o->p[k].value[at % o->p[k].n]) : draw(&o->p[k], &r);
            if (o->grid) at /= o->p[k].n;
        }
}

/* The words of a training; free the array and its last word. */
static char **words(const options *o, const trial *t, int epochs, int *n) {
    char **w = app_alloc(2 * (size_t)(o->n_data + o->n_parameters) + (size_t)o->n_rest + 2, sizeof *w);
    *n = 0;
    for (int k = 0; k < o->n_data; k++) w[(*n)++] = (char *)"--data", w[(*n)++] = (char *)o->data[k];
    for (int k = 0; k < o->n_parameters; k++) w[(*n)++] = (char *)o->p[k].option, w[(*n)++] = t->value[k];
    for (int k = 0; k < o->n_rest; k++) w[(*n)++] = o->rest[k];
    w[(*n)++] = (char *)"--epochs", w[(*n)++] = app_text("%d", epochs);
    return w;
}

static int by_score(const void *pa, const void *pb) {
    const trial *a = pa, *b = pb;
    if (a->epochs != b->epochs) return a->epochs < b->epochs ? 1 : -1;
    if (a->result.accuracy != b->result.accuracy) return a->result.accuracy < b->result.accuracy ? 1 : -1;
    return (a->result.loss > b->result.loss) - (a->result.loss < b->result.loss);
}

/* Networks in files are known by the file's name, wherever it lies. */
static const char *short_value(const char *value) {
    const char *slash = strrchr(value, '/');
    size_t n = strlen(value);
    return slash && n > 5 && !strcmp(value + n - 5, ".json") ? slash + 1 : value;
}

static void print_trial(const options *o, const trial *t, int number) {
    char line[400];
    const study_result *r = &t->result;
    int used = r->diverged ? snprintf(line, sizeof line, "%5d      ran away         %5d          ", number, t->epochs)
                           : snprintf(line, sizeof line, "%5d  %5.1f (%4.1f-%5.1f) %7d %8.1fs ", number, 100 * r->accuracy,
                                      100 * r->accuracy_lo, 100 * r->accuracy_hi, t->epochs, r->epoch_seconds);
    for (int k = 0; k < o->n_parameters; k++)
        used += snprintf(line + used, sizeof line - (size_t)used, " %.12s %.20s", o->p[k].option + 2, short_value(t->value[k]));
    printf("%.79s\n", line);
    fflush(stdout);
}

static volatile int stop;
static void on_signal(int number) { (void)number, stop = 1; }

/* Trains t[0..n-1] for so many epochs each, the best first afterwards. */
static train_end rung(const options *o, trial *t, int n, int epochs, mn_error *err) {
    train_end end = TRAIN_DONE;
    for (int i = 0; i < n && end == TRAIN_DONE; i++) {
        int n_words;
        char **w = words(o, &t[i], epochs, &n_words);
        t[i].epochs = epochs;
        end = study_run(w, n_words, o->log, &stop, &t[i].result, err);
        if (end == TRAIN_DONE) print_trial(o, &t[i], i + 1);
        free(w[n_words - 1]);
        free(w);
    }
    if (end == TRAIN_DONE) qsort(t, (size_t)n, sizeof *t, by_score);
    return end;
}

/* Successive halving (Jamieson and Talwalkar 2016); without it, one rung. Each training of a later rung begins anew, so
 * that schedules span it whole. */
static train_end search(const options *o, trial *t, int n, mn_error *err) {
    int epochs = o->epochs, left = n;
    for (int k = n; o->halving && k > 1 && epochs / o->halving >= 1; k = (k + o->halving - 1) / o->halving) epochs /= o->halving;
    for (;; epochs = epochs * o->halving < o->epochs ? epochs * o->halving : o->epochs) {
        train_end end = rung(o, t, left, epochs, err);
        if (end != TRAIN_DONE || !o->halving || epochs >= o->epochs) return end;
        left = (left + o->halving - 1) / o->halving;
    }
}

static void print_end(const options *o, const trial *t, int n) {
    int n_words;
    char **w = words(o, &t[0], t[0].epochs, &n_words), *line = train_command((const char *const *)w, n_words);
    printf("\nbest first; the interval is Wilson's for one run, and the best of %d is lucky, too\n", n);
    for (int i = 0; i < n && i < 10; i++) print_trial(o, &t[i], i + 1);
    printf("\nwinner    %s --out best.h5\n", line);
    free(line);
    free(w[n_words - 1]);
    free(w);
}

int cmd_tune(int argc, char **argv) {
    options o = {.trials = 16, .epochs = 10, .log = "tune.jsonl"};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int n = o.grid ? combinations(&o) : o.trials;
    if (n < 0)
        return fprintf(stderr, "mien tune: a grid wants lists (no ranges) of at most %d combinations\n", MOST_TRIALS), APP_USAGE;
    mn_error err = {0};
    if (app_check_writable(o.log, &err)) return app_fail(&err);
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &a, NULL);
    trial *t = app_alloc((size_t)n, sizeof *t);
    fill(&o, t, n);
    printf("%5s  %-18s %7s %9s  settings\n", "trial", "valid % right (95 %)", "epochs", "an epoch");
    train_end end = search(&o, t, n, &err);
    if (end == TRAIN_DONE) print_end(&o, t, n);
    if (end == TRAIN_STOPPED) printf("stopped   the same command goes on from %s\n", o.log);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < o.n_parameters; k++) free(t[i].value[k]);
    free(t);
    return end == TRAIN_DONE ? APP_OK : end == TRAIN_FAILED ? app_fail(&err) : APP_FAILED;
}

#else
int cmd_tune(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
