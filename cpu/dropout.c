/* dropout: y[i] = x[i] / (1-p) where the mask keeps i, else 0; dx[i] (+)= dy[i] / (1-p) there.
 * The mask is drawn again backward, from the same numbers (autograd/dropout.h): nothing is stored.
 * Any shape, read as a row, 64 elements at a time. y overwritten. About 40 integer operations an element. */
#include "autograd/dropout.h"
#include "cpu/kernel.h"

enum { GROUP = 16 }; /* blocks of four random numbers, a vector lane each */

/* mn__philox of the blocks first .. first+GROUP-1, as tensor/philox.h has it, in vectors. */
static void random_words(uint64_t seed, uint64_t stream, uint64_t first, uint32_t word[4 * GROUP]) {
    uint32_t c0[GROUP], c1[GROUP], c2[GROUP], c3[GROUP], k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int b = 0; b < GROUP; b++) {
        uint64_t block = first + (uint64_t)b;
        c0[b] = (uint32_t)block, c1[b] = (uint32_t)(block >> 32);
        c2[b] = (uint32_t)stream, c3[b] = (uint32_t)(stream >> 32);
    }
    for (int round = 0; round < 10; round++) {
#pragma omp simd
        for (int b = 0; b < GROUP; b++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c0[b], p1 = (uint64_t)0xCD9E8D57u * c2[b];
            c0[b] = (uint32_t)(p1 >> 32) ^ c1[b] ^ k0, c1[b] = (uint32_t)p1;
            c2[b] = (uint32_t)(p0 >> 32) ^ c3[b] ^ k1, c3[b] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    for (int b = 0; b < GROUP; b++)
        word[4 * b] = c0[b], word[4 * b + 1] = c1[b], word[4 * b + 2] = c2[b], word[4 * b + 3] = c3[b];
}

/* to[i] = kept ? scale * from[i] : 0, added to what is there where `add` */
static void mask(const mn_node *n, const REAL *from, bool add, REAL *to) {
    const double p = ((const mn_dropout_opt *)n->opt)->p;
    const REAL scale = (REAL)(1 / (1 - p));
    const uint32_t threshold = mn__dropout_threshold(p);
    const uint64_t seed = n->ctx->seed, stream = mn__dropout_stream(n->ctx->step, mn__dropout_which(n));
    int64_t count = n->out->count, groups = (count + 4 * GROUP - 1) / (4 * GROUP);
#pragma omp parallel for num_threads(n->ctx->threads) if (count > MN__PARALLEL_MIN / 4)
    for (int64_t g = 0; g < groups; g++) {
        uint32_t word[4 * GROUP];
        random_words(seed, stream, (uint64_t)g * GROUP, word);
        int64_t first = g * 4 * GROUP, len = count - first < 4 * GROUP ? count - first : 4 * GROUP;
        const REAL *x = from + first;
        REAL *y = to + first;
        for (int64_t i = 0; i < len; i++) {
            const REAL v = scale * x[i], kept = word[i] >= threshold ? v : 0;
            y[i] = add ? y[i] + kept : kept;
        }
    }
}

mn_status FWD(dropout)(mn_node *n);
mn_status FWD(dropout)(mn_node *n) {
    mask(n, in(n, 0), false, out(n));
    return MN_OK;
}

mn_status BWD(dropout)(mn_node *n);
mn_status BWD(dropout)(mn_node *n) {
    mask(n, out_grad(n), mn__adds(n, 0), in_grad(n, 0));
    return MN_OK;
}
