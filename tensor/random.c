/* Random numbers on the host: see philox.h for the generator. */
#include "tensor/tensor.h"
#include "tensor/philox.h"
#include <math.h>

void mn_random_u32x4(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]) { mn__philox(seed, stream, index, out); }

mn_rng mn_rng_create(uint64_t seed, uint64_t stream) { return (mn_rng){.seed = seed, .stream = stream}; }

uint32_t mn_rng_u32(mn_rng *r) {
    if (r->left == 0) {
        mn__philox(r->seed, r->stream, r->index++, r->word);
        r->left = 4;
    }
    return r->word[4 - r->left--];
}

double mn_rng_uniform(mn_rng *r, double lo, double hi) { return lo + (hi - lo) * ((double)mn_rng_u32(r) * (1.0 / 4294967296.0)); }

/* Box and Muller: one of the pair is thrown away, so that the state stays one counter. */
double mn_rng_normal(mn_rng *r) {
    double u = 1.0 - mn_rng_uniform(r, 0, 1), v = mn_rng_uniform(r, 0, 1);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

/* Lemire 2019: multiply, and reject the few values that would make small results likelier. */
uint64_t mn_rng_below(mn_rng *r, uint64_t n) {
    if (n == 0) return 0;
    if (n > UINT32_MAX) return (((uint64_t)mn_rng_u32(r) << 32) | mn_rng_u32(r)) % n;
    uint32_t bound = (uint32_t)n, reject = (uint32_t)-bound % bound;
    for (;;) {
        uint64_t m = (uint64_t)mn_rng_u32(r) * bound;
        if ((uint32_t)m >= reject) return m >> 32;
    }
}
