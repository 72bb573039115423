/* dropout: y[i] = x[i] / (1-p) where the mask keeps i, else 0; dx[i] (+)= dy[i] / (1-p) there.
 * The mask is drawn again backward, from the same numbers (autograd/dropout.h): nothing is stored.
 * Any shape, read as a row, four elements a block of random numbers. y overwritten. */
#include "autograd/dropout.h"
#include "cpu/kernel.h"
#include "tensor/philox.h"

/* to[i] = kept ? scale * from[i] : 0, added to what is there where `add` */
static void mask(const mn_node *n, const REAL *from, bool add, REAL *to) {
    const double p = ((const mn_dropout_opt *)n->opt)->p;
    const REAL scale = (REAL)(1 / (1 - p));
    const uint32_t threshold = mn__dropout_threshold(p);
    const uint64_t seed = n->ctx->seed, stream = mn__dropout_stream(n);
    int64_t count = n->out->count, blocks = count / 4;
#pragma omp parallel for num_threads(n->ctx->threads) if (count > MN__PARALLEL_MIN / 4)
    for (int64_t b = 0; b < blocks; b++) {
        uint32_t word[4];
        mn__philox(seed, stream, (uint64_t)b, word);
        for (int64_t j = 0; j < 4; j++) {
            const REAL v = word[j] >= threshold ? scale * from[4 * b + j] : 0;
            to[4 * b + j] = add ? to[4 * b + j] + v : v;
        }
    }
    uint32_t word[4];
    mn__philox(seed, stream, (uint64_t)blocks, word);
    for (int64_t i = 4 * blocks; i < count; i++) {
        const REAL v = word[i % 4] >= threshold ? scale * from[i] : 0;
        to[i] = add ? to[i] + v : v;
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
