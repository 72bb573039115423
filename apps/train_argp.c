/* The words of mien train: the table of its options, and what each puts into train_options. */
#include "apps/app.h"
#include "apps/train_options.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

enum {
    OPT_VAL = 256,
    OPT_TEST,
    OPT_LABELS,
    OPT_CLASSES,
    OPT_SIZE,
    OPT_CHANNELS,
    OPT_NORMALIZE,
    OPT_GREY,
    OPT_PIPELINE,
    OPT_OPTIMIZER,
    OPT_MOMENTUM,
    OPT_NESTEROV,
    OPT_DECAY,
    OPT_CLIP,
    OPT_SCHEDULE,
    OPT_AUGMENT,
    OPT_PATIENCE,
    OPT_WEIGHTS,
    OPT_SAMPLE,
    OPT_TEACHER,
    OPT_TEACHER_T,
    OPT_TEACHER_WEIGHT,
    OPT_HEAD_WEIGHT,
    OPT_SMOOTHING,
    OPT_EMA,
    OPT_SEED,
    OPT_THREADS,
    OPT_WORKERS,
    OPT_DEVICE,
    OPT_LIMIT,
    OPT_PRECISION,
    OPT_INIT,
    OPT_FREEZE,
    OPT_LR_SCALE,
    OPT_UNFREEZE,
    OPT_DROPOUT,
    OPT_RESUME,
    OPT_LOG,
    OPT_PLOT,
    OPT_KEEP,
    OPT_ALLOW_LEAK,
    OPT_NO_BASELINE,
    OPT_NEAR,
    OPT_UNSURE,
    OPT_CARD
};

static const struct argp_option table[] = {
    {0, 0, 0, 0, "Data:", 1},
    {"data", 'd', "SPEC", 0,
     "What to learn from; may be given several times: each picture trains the heads that it has a label for. "
     "fer2013:FILE.csv, utkface:DIR, ckplus:DIR, affectnet:DIR, adience:DIR, jaffe:DIR, kdef:DIR, imdbwiki:FILE.csv, "
     "folder:DIR, list:FILE.csv, idx:DIR or rendered:COUNT[,size=..,seed=..]",
     1},
    {"val", OPT_VAL, "SPEC|SHARE", 0,
     "Validation rows: a data set of their own, or the share that is carved out of the training rows where "
     "the files name none (default 0.1; 0: none)",
     1},
    {"test", OPT_TEST, "SHARE", 0,
     "Test rows, carved where the files say nothing at all (default 0.1). Training never reads test rows", 1},
    {"near-together", OPT_NEAR, 0, 0,
     "Near copies (see mien doctor) stay on one side where rows are carved out; looks at all pictures that the files do not call "
     "test, again in mien eval",
     1},
    {"allow-leak", OPT_ALLOW_LEAK, 0, 0,
     "Train even where copies or people are on both sides of the split (see mien doctor); the model file says so", 1},
    {"labels", OPT_LABELS, "WHICH", 0, "emotion, gender, both, other heads by name with commas, or auto: all there are (default)",
     1},
    {"classes", OPT_CLASSES, "LIST", 0,
     "See all data through one list of expressions: 6, 6n, 7, 7c, 8 (docs/data.md) or words, with + joining two: "
     "angry+disgust,happy,sad. Rows of other classes are left out",
     1},
    {0, 0, 0, 0, "Network:", 2},
    {"net", 'n', "NAME|FILE", 0, "A network by name (seed2 is the default; `mien info` lists them) or a .json file", 2},
    {"size", OPT_SIZE, "N|HxW", 0, "Input size (default: that of --init, else the network's, mostly 48)", 2},
    {"channels", OPT_CHANNELS, "1|3", 0, "Grey or RGB (default: the network's, grey)", 2},
    {"normalize", OPT_NORMALIZE, "HOW", 0,
     "unit: 0..1 (default); signed: -1..1; image: by each picture's mean and deviation; dataset: by "
     "those of the training rows. Kept in the model file",
     2},
    {"grey", OPT_GREY, "HOW", 0, "Grey from RGB: bt601 (default) or mean", 2},
    {"pipeline", OPT_PIPELINE, "LIST", 0,
     "What happens to pictures before they are numbers: detect,margin=0.1,align,equalize,ellipse or none (default: what `mien "
     "prepare` wrote beside the data, else none). Kept in the model file",
     2},
    {"init", OPT_INIT, "MODEL.h5", 0, "Begin with the weights of this model", 2},
    {"freeze", OPT_FREEZE, "PATTERN", 0, "Layers that are not trained, like \"conv*\"; may be given several times", 2},
    {"lr-scale", OPT_LR_SCALE, "PATTERN=X", 0,
     "Layers whose learning rate is X times the others', like \"conv*=0.1\"; may be given several times, the last that matches "
     "counts",
     2},
    {"unfreeze-every", OPT_UNFREEZE, "N", 0,
     "With --init: train the heads alone at first, and every N epochs one layer more, from the end to the beginning", 2},
    {"dropout", OPT_DROPOUT, "X", 0, "The rate of all Dropout layers (default: the network's own)", 2},
    {0, 0, 0, 0, "Recipe (the defaults are S1's: SGD, lr 0.001, momentum 0.9, batch 32, 50 epochs, early stopping):", 3},
    {"epochs", 'e', "N", 0, "Passes over the training rows (default 50)", 3},
    {"batch", 'b', "N", 0, "Pictures a step (default 32)", 3},
    {"optimizer", OPT_OPTIMIZER, "NAME", 0, "sgd, adam, adamw or rmsprop", 3},
    {"lr", 'l', "X", 0, "Learning rate (default 0.001; rmsprop 0.01)", 3},
    {"momentum", OPT_MOMENTUM, "X", 0, "Of sgd (default 0.9) and rmsprop (default 0)", 3},
    {"nesterov", OPT_NESTEROV, 0, 0, "Nesterov's momentum", 3},
    {"weight-decay", OPT_DECAY, "X", 0, "On weights; biases and batch norm do not decay", 3},
    {"clip-norm", OPT_CLIP, "X", 0, "Scales gradients whose joint norm is larger", 3},
    {"schedule", OPT_SCHEDULE, "S", 0,
     "constant (default); step,every=10,factor=0.5; cosine,warmup=0.05; onecycle; "
     "plateau,patience=5,factor=0.1",
     3},
    {"augment", OPT_AUGMENT, "LIST", 0,
     "Changes to training pictures: none (default), default, or like "
     "flip,rotate=10,shift=0.1,zoom=0.1,erase=0.25",
     3},
    {"patience", OPT_PATIENCE, "N", 0,
     "Stop after N epochs without a better validation loss; 0: never (default 10; 0 with cosine and "
     "onecycle, "
     "which pay at their end)",
     3},
    {"class-weights", OPT_WEIGHTS, "balanced", 0, "Weigh rare classes up", 3},
    {"sample", OPT_SAMPLE, "balanced[=P]", 0,
     "Draw rare classes more often: a class of n rows in proportion to n^(1-P), P above 0 to 1 (default 1: all alike)", 3},
    {"teacher", OPT_TEACHER, "MODEL.h5", 0,
     "Learn from this model's answers, too, in the heads that it has; given several times: from their mean", 3},
    {"teacher-temperature", OPT_TEACHER_T, "X", 0, "Teachers' logits are divided by this first (default 2)", 3},
    {"teacher-weight", OPT_TEACHER_WEIGHT, "X", 0, "The teachers' share of a target; the rest is the label's (default 0.5)", 3},
    {"head-weight", OPT_HEAD_WEIGHT, "HEAD=X", 0, "Weight of a head's loss (default 1); may be given for each head", 3},
    {"label-smoothing", OPT_SMOOTHING, "X", 0, "Share of each label that goes to all classes", 3},
    {"ema", OPT_EMA, "X", 0, "Validate and keep an exponential average of the weights, like 0.999", 3},
    {0, 0, 0, 0, "Run:", 4},
    {"seed", OPT_SEED, "N", 0, "Of weights, order, augmentation, dropout and split (default 0)", 4},
    {"threads", OPT_THREADS, "N", 0, "Processors (default: all)", 4},
    {"workers", OPT_WORKERS, "N", 0, "Threads that prepare batches ahead (default 1; 0: in turn with computing)", 4},
    {"device", OPT_DEVICE, "cpu|cuda|auto", 0, DEVICE_DOC, 4},
    {"precision", OPT_PRECISION, "HOW", 0, DEVICE_PRECISION_DOC, 4},
    {"memory-limit", OPT_LIMIT, "MIB", 0, DEVICE_LIMIT_DOC, 4},
    {"resume", OPT_RESUME, "CKPT", 0,
     "Go on from a checkpoint; it knows its command line. Only --epochs, --patience, --threads, --workers, "
     "--out, --log, --plot, --card, --unsure, --no-baseline and --keep-checkpoint may be given with it",
     4},
    {"out", 'o', "MODEL.h5", 0, "The model to write; MODEL.h5.ckpt beside it is the checkpoint of each epoch", 4},
    {"log", OPT_LOG, "RUN.jsonl", 0, "A line of JSON an epoch", 4},
    {"plot", OPT_PLOT, "CURVES.svg", 0, "Loss and accuracy, drawn after each epoch", 4},
    {"card", OPT_CARD, "FILE.md", 0, "The model card (default MODEL.card.md beside MODEL.h5)", 4},
    {"unsure", OPT_UNSURE, "SHARE", 0,
     "Answer \"unsure\" below the probability that this share of the validation rows does not reach (default 0.1; 0: never)", 4},
    {"no-baseline", OPT_NO_BASELINE, 0, 0, "Do not train a logistic regression to stand beside the score", 4},
    {"keep-checkpoint", OPT_KEEP, 0, 0, "Leave the checkpoint when the run is done, so that a longer one can go on from it", 4},
    {0},
};

static const char doc[] = "Trains a network and writes a model file. After each epoch the validation rows "
                          "are scored; the weights of the epoch with the "
                          "lowest validation loss are kept."
                          "\vCtrl-C ends a run after the current batch with a checkpoint that goes on to the "
                          "same end, bit for bit.\n\n"
                          "Examples:\n"
                          "  mien train --data rendered:2000 --net tiny --epochs 5 --out faces.h5\n"
                          "  mien train --data fer2013:fer2013.csv --net seed2 --lr 0.01 --out emotion.h5\n"
                          "  mien train --data fer2013:fer2013.csv --data utkface:UTKFace --net tiny\n"
                          "             --augment default --schedule cosine --out both.h5\n"
                          "  mien train --data fer2013:fer2013.csv --net tiny --teacher both.h5\n"
                          "             --out small.h5\n"
                          "  mien train --data folder:own --init both.h5 --freeze \"conv*\" --out own.h5\n"
                          "  mien train --resume both.h5.ckpt\n";

/* ---- parsing ---- */

static void check_net(const struct argp_state *s, const char *name) {
    size_t length = strlen(name);
    if (length > 5 && !strcmp(name + length - 5, ".json")) return;
    int n = 0;
    while (mn_net_names[n]) n++;
    app_parse_word(s, "--net (a name or a .json file)", name, mn_net_names, n);
}

static void parse_val(train_options *o, char *arg, const struct argp_state *s) {
    if (!strcmp(arg, "test"))
        argp_error(
            s,
            "--val test: what chooses an epoch is not a test any more; hint: leave it out, and validation rows are carved out of "
            "the training rows");
    o->val = strchr(arg, ':') ? arg : NULL;
    if (!o->val) o->valid = app_parse_real(s, "--val (a share, or a data SPEC with a colon)", arg, 0, 0.9);
}

static void parse_size(train_options *o, const char *arg, const struct argp_state *s) {
    int used = 0;
    if (sscanf(arg, "%dx%d%n", &o->height, &o->width, &used) != 2 || arg[used])
        o->height = o->width = (int)app_parse_int(s, "--size", arg, 8, 1024);
    if (o->height < 8 || o->width < 8 || o->height > 1024 || o->width > 1024)
        argp_error(s, "--size wants sides of 8 to 1024, not \"%s\"", arg);
}

static void parse_head_weight(train_options *o, char *arg, const struct argp_state *s) {
    char *equals = strchr(arg, '=');
    if (!equals || equals == arg) argp_error(s, "--head-weight wants HEAD=X, not \"%s\"", arg);
    if (o->n_head_weights == MN_MAX_HEADS) argp_error(s, "--head-weight is given more than %d times", MN_MAX_HEADS);
    o->head_weight[o->n_head_weights] = app_parse_real(s, "--head-weight", equals + 1, 0, 1e6);
    o->weighted_head[o->n_head_weights++] = strndup(arg, (size_t)(equals - arg));
}

static void add_word(const char **list, int *n, int most, const char *word, const char *option, const struct argp_state *s) {
    if (*n == most) argp_error(s, "%s is given more than %d times", option, most);
    list[(*n)++] = word;
}

static void parse_lr_scale(train_options *o, char *arg, const struct argp_state *s) {
    char *equals = strrchr(arg, '=');
    if (!equals || equals == arg) argp_error(s, "--lr-scale wants PATTERN=X, not \"%s\"", arg);
    if (o->n_scaled == TRAIN_MAX_WORDS) argp_error(s, "--lr-scale is given more than %d times", TRAIN_MAX_WORDS);
    o->scale[o->n_scaled] = app_parse_real(s, "--lr-scale", equals + 1, 0, 1e6);
    o->scaled[o->n_scaled++] = strndup(arg, (size_t)(equals - arg));
}

static error_t parse_data(int key, char *arg, struct argp_state *s, train_options *o) {
    switch (key) {
    case 'd':
        add_word(o->data, &o->n_data, DATA_MAX_PARTS - 1, arg, "--data", s);
        return 0;
    case OPT_VAL:
        parse_val(o, arg, s);
        return 0;
    case OPT_ALLOW_LEAK:
        o->allow_leak = true;
        return 0;
    case OPT_NEAR:
        o->near = true;
        return 0;
    case OPT_TEST:
        o->test = app_parse_real(s, "--test", arg, 0, 0.9);
        return 0;
    case OPT_LABELS:
        o->labels = arg;
        return 0;
    case OPT_CLASSES:
        o->classes = arg;
        return 0;
    case 'n':
        check_net(s, o->net = arg);
        return 0;
    case OPT_SIZE:
        parse_size(o, arg, s);
        return 0;
    case OPT_CHANNELS:
        o->channels = app_parse_word(s, "--channels", arg, (const char *[]){"1", "3"}, 2) ? 3 : 1;
        return 0;
    case OPT_NORMALIZE:
        o->normalize =
            NORMALIZE_UNIT + app_parse_word(s, "--normalize", arg, (const char *[]){"unit", "signed", "image", "dataset"}, 4);
        return 0;
    case OPT_GREY:
        o->grey = app_parse_word(s, "--grey", arg, (const char *[]){"bt601", "mean"}, 2);
        return 0;
    case OPT_PIPELINE: {
        mn_preprocess p = {0};
        mn_error err = {0};
        if (mn_pipeline_parse(o->pipeline = arg, &p, &err)) argp_error(s, "--%s", err.text);
        return 0;
    }
    case OPT_INIT:
        o->init = app_model_path(arg);
        return 0;
    case OPT_FREEZE:
        add_word(o->freeze, &o->n_freeze, TRAIN_MAX_WORDS, arg, "--freeze", s);
        return 0;
    case OPT_LR_SCALE:
        parse_lr_scale(o, arg, s);
        return 0;
    case OPT_UNFREEZE:
        o->unfreeze_every = (int)app_parse_int(s, "--unfreeze-every", arg, 1, 100000);
        return 0;
    case OPT_DROPOUT:
        o->dropout = app_parse_real(s, "--dropout", arg, 0, 0.999);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* "balanced" or "balanced=P" */
static void parse_sample(train_options *o, const char *arg, const struct argp_state *s) {
    if (strncmp(arg, "balanced", 8) != 0 || (arg[8] && arg[8] != '='))
        argp_error(s, "--sample wants balanced or balanced=P, not \"%s\"", arg);
    o->sample = arg[8] ? app_parse_real(s, "--sample balanced=P", arg + 9, 0, 1) : 1;
}

static error_t parse_recipe(int key, char *arg, struct argp_state *s, train_options *o) {
    mn_error err = {0};
    switch (key) {
    case 'e':
        o->epochs = (int)app_parse_int(s, "--epochs", arg, 1, 100000);
        return 0;
    case 'b':
        o->batch = (int)app_parse_int(s, "--batch", arg, 1, 65536);
        return 0;
    case OPT_OPTIMIZER:
        o->optim.kind =
            (mn_optim_kind)app_parse_word(s, "--optimizer", arg, (const char *[]){"sgd", "adam", "adamw", "rmsprop"}, 4);
        return 0;
    case 'l':
        o->optim.lr = app_parse_real(s, "--lr", arg, 1e-12, 1e12);
        return 0;
    case OPT_MOMENTUM:
        o->optim.momentum = app_parse_real(s, "--momentum", arg, 0, 1);
        return 0;
    case OPT_NESTEROV:
        o->optim.nesterov = true;
        return 0;
    case OPT_DECAY:
        o->optim.weight_decay = app_parse_real(s, "--weight-decay", arg, 0, 1e3);
        return 0;
    case OPT_CLIP:
        o->optim.clip_norm = app_parse_real(s, "--clip-norm", arg, 0, 1e12);
        return 0;
    case OPT_SCHEDULE:
        if (mn_schedule_parse(o->schedule_text = arg, &o->schedule, &err)) argp_error(s, "--schedule: %s", err.text);
        return 0;
    case OPT_AUGMENT:
        if (mn_augment_parse(o->augment_text = arg, &o->augment, &err)) argp_error(s, "--augment: %s", err.text);
        return 0;
    case OPT_PATIENCE:
        o->patience = (int)app_parse_int(s, "--patience", arg, 0, 100000);
        return 0;
    case OPT_WEIGHTS:
        o->balanced = app_parse_word(s, "--class-weights", arg, (const char *[]){"none", "balanced"}, 2);
        return 0;
    case OPT_SAMPLE:
        parse_sample(o, arg, s);
        return 0;
    case OPT_TEACHER:
        add_word(o->teacher, &o->n_teachers, TRAIN_MAX_TEACHERS, app_model_path(arg), "--teacher", s);
        return 0;
    case OPT_TEACHER_T:
        o->teacher_temperature = app_parse_real(s, "--teacher-temperature", arg, 0.05, 100);
        return 0;
    case OPT_TEACHER_WEIGHT:
        o->teacher_weight = app_parse_real(s, "--teacher-weight", arg, 0, 1);
        return 0;
    case OPT_HEAD_WEIGHT:
        parse_head_weight(o, arg, s);
        return 0;
    case OPT_SMOOTHING:
        o->smoothing = app_parse_real(s, "--label-smoothing", arg, 0, 0.999);
        return 0;
    case OPT_EMA:
        o->ema = app_parse_real(s, "--ema", arg, 0, 0.999999);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_run(int key, char *arg, struct argp_state *s, train_options *o) {
    switch (key) {
    case OPT_SEED:
        o->seed = (uint64_t)app_parse_int(s, "--seed", arg, 0, INT64_MAX);
        return 0;
    case OPT_THREADS:
        o->threads = (int)app_parse_int(s, "--threads", arg, 0, 1024);
        return 0;
    case OPT_WORKERS:
        o->workers = (int)app_parse_int(s, "--workers", arg, 0, 64);
        return 0;
    case OPT_DEVICE:
        o->device = device_parse(s, arg);
        return 0;
    case OPT_PRECISION:
        o->precision = device_parse_precision(s, arg);
        return 0;
    case OPT_LIMIT:
        o->memory_limit = device_parse_limit(s, arg);
        return 0;
    case OPT_RESUME:
        o->resume = arg;
        return 0;
    case 'o':
        o->out = arg;
        return 0;
    case OPT_LOG:
        o->log = arg;
        return 0;
    case OPT_PLOT:
        o->plot = arg;
        return 0;
    case OPT_KEEP:
        o->keep_checkpoint = true;
        return 0;
    case OPT_CARD:
        o->card = arg;
        return 0;
    case OPT_UNSURE:
        o->unsure = app_parse_real(s, "--unsure", arg, 0, 0.9);
        return 0;
    case OPT_NO_BASELINE:
        o->no_baseline = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Beside --resume only what does not change what has been computed so far. */
static void refuse_change(int key, const struct argp_state *s) {
    static const int allowed[] = {'e',      OPT_PATIENCE, OPT_THREADS, OPT_WORKERS, 'o',        OPT_LOG,
                                  OPT_PLOT, OPT_KEEP,     OPT_RESUME,  OPT_CARD,    OPT_UNSURE, OPT_NO_BASELINE};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (key == allowed[i]) return;
    for (const struct argp_option *t = table; t->name || t->doc; t++)
        if (t->key == key && t->name)
            argp_error(s, "--%s cannot change in a run that goes on; hint: start a new one with --init", t->name);
}

static error_t parse(int key, char *arg, struct argp_state *s) {
    train_parser *p = s->input;
    if (key == ARGP_KEY_ARG) argp_error(s, "\"%s\" is not an option; data is given with --data SPEC", arg);
    if (p->changes) refuse_change(key, s);
    error_t e = parse_data(key, arg, s, &p->o);
    if (e == ARGP_ERR_UNKNOWN) e = parse_recipe(key, arg, s, &p->o);
    if (e == ARGP_ERR_UNKNOWN) e = parse_run(key, arg, s, &p->o);
    return e;
}
const struct argp train_argp = {table, parse, NULL, doc, NULL, NULL, NULL};
#endif
