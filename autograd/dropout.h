/* Which elements dropout keeps: shared by the kernels of all devices, so that they draw the same mask.
 * Element i takes word i%4 of Philox's block i/4 in the stream below, and stays when word >= threshold. */
#ifndef MIEN_AUTOGRAD_DROPOUT_H
#define MIEN_AUTOGRAD_DROPOUT_H
#include "autograd/internal.h"

static inline uint32_t mn__dropout_threshold(double p) { return (uint32_t)(p * 4294967296.0); }

/* The step and the number of the operation (or the stream that was asked for) in one number: Steele, Lea,
 * Flood 2014 (splitmix64), which spreads neighbours over all 64 bits. */
static inline uint64_t mn__dropout_stream(const mn_node *n) {
    const mn_dropout_opt *o = (const mn_dropout_opt *)n->opt;
    uint64_t which = o->stream ? o->stream : n->number | (uint64_t)1 << 63;
    uint64_t z = n->ctx->step + which * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
#endif
