/* A training run: its options, its parts, its loop. train_options.c fills the options. */
#ifndef MIEN_TRAIN_H
#define MIEN_TRAIN_H

#include "apps/datasets.h"
#include "apps/device.h"
#include "apps/evaluate.h"
#include "data/data.h"
#if MN_HAVE_JSON
#include <jansson.h>

#define TRAIN_MAX_WORDS 16
#define TRAIN_MAX_TEACHERS 8

typedef enum train_normalize {
    NORMALIZE_KEEP = 0,
    NORMALIZE_UNIT,
    NORMALIZE_SIGNED,
    NORMALIZE_IMAGE,
    NORMALIZE_DATASET
} train_normalize;

/* What the command line says. Strings are the command line's. */
typedef struct train_options {
    const char *data[DATA_MAX_PARTS];
    int n_data;
    const char *val; /* SPEC of a validation set; NULL: `valid` of the data is carved */
    double valid, test;
    const char *net, *labels, *out, *log, *plot, *init, *resume, *card; /* card NULL: beside out */
    const char *classes;                                                /* NULL: as the data has them */
    const char *pipeline; /* NULL: the prepared data's, the initial model's, or none */
    const char *freeze[TRAIN_MAX_WORDS];
    int n_freeze;
    const char *scaled[TRAIN_MAX_WORDS]; /* layers by pattern, and the factor on their learning rate */
    double scale[TRAIN_MAX_WORDS];
    int n_scaled, unfreeze_every; /* epochs; 0: nothing is thawed */
    double dropout;               /* of all Dropout layers; below 0: the network's own */
    const char *weighted_head[MN_MAX_HEADS];
    double head_weight[MN_MAX_HEADS];
    int n_head_weights;
    int epochs, batch, patience; /* patience -1: see train_patience */
    mn_optim_opt optim;
    const char *schedule_text, *augment_text;
    mn_schedule schedule;
    mn_augment augment;
    const char *teacher[TRAIN_MAX_TEACHERS]; /* models whose answers are a part of the targets (teach.h) */
    int n_teachers;
    double teacher_temperature, teacher_weight;
    double sample; /* 0: every row once an epoch; else mn_loader_opt's balance */
    bool allow_leak, no_baseline;
    bool near;                             /* near copies stay on one side of the cut */
    double unsure;                         /* the share of the validation rows that may go without an answer */
    bool balanced, keep_checkpoint, quiet; /* quiet: only errors and the bar */
    double smoothing, ema;
    uint64_t seed;
    int threads, workers;
    device_choice device;
    size_t memory_limit; /* bytes; 0: none */
    mn_precision precision;
    int width, height, channels; /* 0: the network's own */
    train_normalize normalize;
    int grey;    /* -1: as the initial model, or BT.601 */
    int n_words; /* the command line, for the record and the checkpoint */
    const char *const *word;
} train_options;

/* Early stopping's patience: as given, else 10 epochs; but none under a schedule that only pays at its end.
 */
int train_patience(const train_options *o);

typedef struct epoch_record {
    double lr, train_loss, valid_loss, seconds, images_per_second;
    double train_accuracy[MN_MAX_HEADS], valid_accuracy[MN_MAX_HEADS], valid_f1[MN_MAX_HEADS];
} epoch_record;

/* Sums over the batches of an epoch; part of a checkpoint. */
typedef struct train_tally {
    double loss[MN_MAX_HEADS];
    mn_accuracy hits[MN_MAX_HEADS];
    int64_t images;
} train_tally;

/* What the split has on both sides (train_check.c). */
typedef struct train_leaks {
    int64_t valid;         /* validation rows with a copy or their subject among the training rows */
    int64_t dropped;       /* training rows left out for it */
    int64_t test_copies;   /* test rows identical to training rows, as the files have it */
    int64_t test_subjects; /* test rows whose subject trains or validates */
    bool allowed;          /* it leaks, and --allow-leak was said */
} train_leaks;

typedef struct train_run {
    train_options o;
    mn_context *c;
    mn_model *m;
    mn_optim *optim;
    mn_ema *ema;       /* NULL without --ema */
    mn_snapshot *best; /* the weights of the best epoch */
    mn_early_stop stop;
    mn_schedule schedule;

    data_rows data;
    mn_dataset *train_rows, *valid_rows;     /* views of data */
    mn_dataset *train_pixels, *valid_pixels; /* the same, decoded */
    mn_dataset *train_kept;                  /* train_pixels without copies of validation rows; NULL: all of them */
    mn_dataset *taught;                      /* those with teachers' answers as soft labels; NULL: no --teacher */
    json_t *teachers;                        /* who they were, for the record; NULL likewise */
    train_leaks leaks;
    json_t *validation;              /* by train_finish: the scores of each head on the validation rows */
    mn_loader *train, *valid;        /* valid: NULL when there are no validation rows */
    mn_model_info info;              /* preprocessing, heads, record */
    int n_heads, head[MN_MAX_HEADS]; /* the model's head h is the data's head[h] */
    double head_weight[MN_MAX_HEADS];
    mn_tensor *class_weight[MN_MAX_HEADS];
    head_map map; /* for validation */
    evaluation scores;

    int64_t per_epoch;      /* batches */
    int64_t epoch, batch;   /* where it stands: batches done in this epoch, both from 0 */
    train_tally tally;      /* as read last from `sums` */
    mn_tally *sums;         /* the same on the device, up to the last batch */
    mn_feed *feed;          /* the batch: pictures, then each head's labels, then the probabilities of heads that have them */
    int soft[MN_MAX_HEADS]; /* the feed's part with head h's probabilities; 0: labels alone */
    epoch_record *history;  /* of the epochs done */
    double seconds;         /* of this epoch, before the last interruption */
    bool ended;             /* early stopping said so */
    char *checkpoint;       /* path */
} train_run;

/* train_options.c: fills *o from a command line, argv[0] being the program. A wrong word ends the program with a sentence
 * and status 2; false: something is missing, which has been said. Strings stay the caller's. */
bool train_parse(train_options *o, int argc, char **argv);
/* The same for mien train itself, which also knows --resume: then the checkpoint's command line comes first, and *words
 * owns the strings (train_words_free). APP_OK, or the exit status after a sentence. */
int train_command_line(train_options *o, char ***words, int argc, char **argv);
/* What either allocated. */
void train_options_free(train_options *o);

/* Gradual unfreezing (Howard and Ruder 2018): at first the heads learn alone, and every --unfreeze-every epochs the next
 * layer with weights from the end joins, batch norm with the layer before it. A function of the epoch; call at its start. */
void train_unfreeze(train_run *r);
/* train_net.c: opens r->m, after the data's heads are known; what its pictures are goes into r->info. */
mn_status train_open_net(train_run *r, mn_error *err);
/* Does the name of the layer that a weight belongs to match the pattern? "conv2d_1/kernel" is one of "conv*". */
bool train_layer_matches(const mn_tensor *w, const char *pattern);
/* Builds everything; prints what it found. Free with train_close, whatever came out. */
mn_status train_open(train_run *r, const train_options *o, mn_error *err);
void train_close(train_run *r);

typedef enum train_end { TRAIN_DONE, TRAIN_STOPPED, TRAIN_FAILED } train_end;
/* Runs to the last epoch, or until early stopping (both TRAIN_DONE, the best weights in place) or *stop
 * (TRAIN_STOPPED). A checkpoint is written after each epoch and when stopped. */
train_end train_loop(train_run *r, const volatile int *stop, mn_error *err);
/* One batch: forward, backward, update. Waits for nothing; allocates nothing from the third call on. */
mn_status train_step(train_run *r, const mn_batch *b, mn_error *err);
/* train_check.c: finds copies and people on both sides of the split; leaves a few out, or fails. Before the loaders. */
mn_status train_check_split(train_run *r, mn_error *err);
/* Fails when a network that reads clips meets pictures that are no strips of as many frames. */
mn_status train_check_clips(const train_run *r, mn_error *err);
/* train_finish.c: fits temperatures and thresholds to the validation rows, scores them beside a logistic regression. */
mn_status train_finish(train_run *r, mn_error *err);
/* Saves the card that train_save has put into the model. */
mn_status train_write_card(train_run *r, mn_error *err);
/* Writes the model, and says where it is; somewhere else when `out` cannot be written. */
mn_status train_save(train_run *r, mn_error *err);

/* train_state.c: the run in a checkpoint. */
mn_status train_checkpoint_save(train_run *r, mn_error *err);
mn_status train_checkpoint_load(train_run *r, mn_error *err);
/* The command line stored in a checkpoint, as a new array of strings ended by NULL, and how many threads it
 * ran with. Free with train_words_free. */
char **train_checkpoint_words(const char *path, int *n, int *threads, mn_error *err);
void train_words_free(char **word);
/* train_record.c: the training record for the model file: JSON text, from mn_strdup. */
char *train_record(const train_run *r);
/* Sets the shares that this data was cut by when a model with this record was trained; false: it was not trained on it. */
bool train_recall(const json_t *record, data_part *p);
/* Log and curves, if asked for; a failure is reported and does not end the run. */
void train_log(const train_run *r);
void train_plot(const train_run *r);
/* The command line as one would type it; free with free. */
char *train_command(const char *const *word, int n);
#endif
#endif
