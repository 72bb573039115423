/* Shared inside the library: what a device's kernel adds to a tally (layers/tally.c). */
#ifndef MIEN_LAYERS_TALLY_H
#define MIEN_LAYERS_TALLY_H
#include "autograd/internal.h"

/* The sums of one entry, side by side in device memory. Counts are doubles too: exact up to 2^53. */
enum {
    MN__TALLY_LOSS,       /* of mean loss times labelled rows */
    MN__TALLY_RIGHT,      /* labelled rows whose largest logit is the label's */
    MN__TALLY_OF,         /* labelled rows */
    MN__TALLY_BATCHES,    /* batches */
    MN__TALLY_NOT_FINITE, /* the number of the first batch whose loss was NaN or infinite, from 1; 0: none */
    MN__TALLY_SUMS
};

/* One batch. All pointers are device memory. */
typedef struct mn__tally_batch {
    mn_context *ctx;
    int64_t N, K;
    const void *loss, *logits; /* of the context's type: one number, (N,K) */
    const int32_t *label;      /* (N); -1: none */
    double *sum;               /* MN__TALLY_SUMS */
} mn__tally_batch;
#endif
