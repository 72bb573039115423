/* How long one picture takes. */
#ifndef MIEN_LATENCY_H
#define MIEN_LATENCY_H

#include "data/data.h"

typedef struct latency {
    double p50, p99; /* milliseconds */
    int threads;
    char device[96]; /* the processor's name */
} latency;

/* The network alone, a picture at a time, 60 times after a few that do not count. */
mn_status latency_measure(mn_model *m, latency *out, mn_error *err);

#endif
