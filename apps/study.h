/* One training run among many, measured on its validation rows and kept in a log that later runs read. */
#ifndef MIEN_STUDY_H
#define MIEN_STUDY_H

#include "apps/train.h"

#if MN_HAVE_JSON
/* Of the epoch with the lowest validation loss. Scores are means over the heads. */
typedef struct study_result {
    double accuracy, accuracy_lo, accuracy_hi; /* Wilson's 95 % interval */
    double loss, epoch_seconds;                /* seconds: median over the epochs */
    int64_t parameters;
    bool from_log, diverged; /* diverged: the loss ran away; accuracy 0 */
} study_result;

/* Trains as `mien train word[0] ... word[n-1]` would, but writes no model, and appends the result to the log (a line of
 * JSON). A run whose command line is in the log already is not repeated. Needs validation rows; test rows are never
 * read. TRAIN_STOPPED when *stop became non-zero. */
train_end study_run(char *const *word, int n, const char *log, const volatile int *stop, study_result *out, mn_error *err);
#endif
#endif
