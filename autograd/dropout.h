/* Which elements dropout keeps: shared by the kernels of all devices, so that they draw the same mask.
 * Element i takes word i%4 of Philox's block i/4 in the stream below, and stays when word >= threshold. */
#ifndef MIEN_AUTOGRAD_DROPOUT_H
#define MIEN_AUTOGRAD_DROPOUT_H
#include "autograd/internal.h"

static inline uint32_t mn__dropout_threshold(double p) { return (uint32_t)(p * 4294967296.0); }

/* The number of the operation, or the stream that was asked for. */
static inline uint64_t mn__dropout_which(const mn_node *n) {
    const mn_dropout_opt *o = (const mn_dropout_opt *)n->opt;
    return o->stream ? o->stream : n->number | (uint64_t)1 << 63;
}

/* That and the step in one number: Steele, Lea,
 * Flood 2014 (splitmix64), which spreads neighbours over all 64 bits. */
MN_HOST_DEVICE static inline uint64_t mn__dropout_stream(uint64_t step, uint64_t which) {
    uint64_t z = step + which * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
#endif
