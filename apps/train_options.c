/* The options of a run from a command line, or from a checkpoint's and this one's. */
#include "apps/app.h"
#include "apps/train_options.h"
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

static void set_defaults(train_parser *p) {
    *p = (train_parser){0};
    p->o = (train_options){.valid = 0.1,
                           .test = 0.1,
                           .unsure = 0.1,
                           .labels = "auto",
                           .epochs = 50,
                           .batch = 32,
                           .patience = -1,
                           .grey = -1,
                           .dropout = -1,
                           .teacher_temperature = 2,
                           .teacher_weight = 0.5,
                           .workers = 1,
                           .schedule_text = "constant",
                           .augment_text = "none",
                           .optim = {.momentum = -1}};
}

/* Fills in what depends on other options, and refuses what is missing or does not go together. */
static bool complete(train_parser *p) {
    train_options *o = &p->o;
    const char *wrong = NULL;
    if (o->optim.momentum < 0) o->optim.momentum = o->optim.kind == MN_SGD ? 0.9 : 0;
    if (o->optim.lr == 0) o->optim.lr = o->optim.kind == MN_RMSPROP ? 0.01 : 0.001;
    if (!o->n_data)
        wrong = "what to learn from is missing: --data SPEC (as in --data rendered:2000)";
    else if (!o->out)
        wrong = "the model to write is missing: --out MODEL.h5";
    else if (o->n_freeze && !o->init)
        wrong = "--freeze without --init would keep random weights";
    else if (o->unfreeze_every && !o->init)
        wrong = "--unfreeze-every without --init would keep random weights";
    else if (o->balanced && o->sample > 0)
        wrong = "--class-weights balanced and --sample balanced do the same thing: together they would do it twice";
    else if (o->optim.nesterov && o->optim.kind != MN_SGD)
        wrong = "--nesterov goes with --optimizer sgd";
    if (wrong) fprintf(stderr, "mien train: %s\nTry `mien help train'.\n", wrong);
    return !wrong;
}

bool train_parse(train_options *o, int argc, char **argv) {
    train_parser p;
    set_defaults(&p);
    argp_parse(&train_argp, argc, argv, 0, NULL, &p);
    p.o.word = (const char *const *)argv + 1;
    p.o.n_words = argc - 1;
    bool whole = complete(&p);
    *o = p.o;
    return whole;
}

void train_options_free(train_options *o) {
    for (int k = 0; k < o->n_head_weights; k++) free((char *)o->weighted_head[k]);
    for (int k = 0; k < o->n_scaled; k++) free((char *)o->scaled[k]);
    o->n_head_weights = o->n_scaled = 0;
}

/* The command line of the checkpoint, and after it what this one says beside --resume: that is what the next
 * checkpoint will hold. *words owns the strings. */
static int join_words(char ***words, int n, int argc, char **argv) {
    char **joined = app_alloc((size_t)(n + argc) + 1, sizeof *joined);
    memcpy(joined, *words, (size_t)n * sizeof *joined);
    for (int i = 1; i < argc; i++) {
        bool resume = !strncmp(argv[i], "--res", 5);
        if (resume && !strchr(argv[i], '=')) i++;
        if (!resume) joined[n++] = app_text("%s", argv[i]);
    }
    free(*words);
    *words = joined;
    return n;
}

/* Parses the checkpoint's own command line, with the number of threads that it ran with, then this one. */
static bool parse_resumed(train_parser *p, int argc, char **argv, char ***words, mn_error *err) {
    const char *path = p->o.resume;
    int n, threads;
    if (!(*words = train_checkpoint_words(path, &n, &threads, err))) return false;
    char **line = app_alloc((size_t)n + 2, sizeof *line);
    line[0] = argv[0];
    memcpy(line + 1, *words, (size_t)n * sizeof *line);
    set_defaults(p);
    argp_parse(&train_argp, n + 1, line, 0, NULL, p);
    free(line);
    p->o.threads = threads;
    p->changes = true;
    argp_parse(&train_argp, argc, argv, 0, NULL, p);
    p->o.n_words = join_words(words, n, argc, argv);
    p->o.word = (const char *const *)*words;
    p->o.resume = path;
    return true;
}

int train_command_line(train_options *o, char ***words, int argc, char **argv) {
    train_parser p;
    mn_error err = {0};
    *words = NULL;
    set_defaults(&p);
    argp_parse(&train_argp, argc, argv, 0, NULL, &p);
    p.o.word = (const char *const *)argv + 1;
    p.o.n_words = argc - 1;
    int status = APP_OK;
    if (p.o.resume && !parse_resumed(&p, argc, argv, words, &err))
        status = app_fail(&err);
    else if (!complete(&p))
        status = APP_USAGE;
    *o = p.o;
    return status;
}
#endif
