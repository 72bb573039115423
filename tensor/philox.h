/* Philox4x32-10, shared by CPU and CUDA: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011. Ten rounds of multiply and exchange turn (counter, key) into four 32-bit numbers
 * that pass every known statistical test; equal inputs give equal outputs on every machine. */
#ifndef MIEN_PHILOX_H
#define MIEN_PHILOX_H
#include "tensor/internal.h"

/* counter = (index, stream), key = seed */
MN_HOST_DEVICE static inline void mn__philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)p1, c2 = n2, c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* A 32-bit number as a float in [0,1): the upper 24 bits, so that 1 is never reached by rounding. */
MN_HOST_DEVICE static inline float mn__unit(uint32_t u) { return (float)(u >> 8) * (1.0f / 16777216.0f); }
#endif
