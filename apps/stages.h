/* Time spent in the stages of a pipeline: median and 99th percentile of the last few thousand laps, constant
 * memory. */
#ifndef MIEN_STAGES_H
#define MIEN_STAGES_H
#include <stdint.h>
#include <stdio.h>

#define STAGES_MAX 8
#define STAGES_LAPS 4096

typedef struct stages {
    const char *const *name; /* ended by NULL */
    double lap[STAGES_MAX][STAGES_LAPS];
    int64_t laps[STAGES_MAX];
    double since; /* when the running lap began */
} stages;

void stages_begin(stages *s, const char *const *name);
/* Books the time since the last call (or stages_start) on `stage`. */
void stages_lap(stages *s, int stage);
void stages_start(stages *s);
/* The share 0..1 of the laps of a stage, in milliseconds; 0 without any. */
double stages_quantile(const stages *s, int stage, double share);
void stages_print(const stages *s, FILE *out);

#endif
