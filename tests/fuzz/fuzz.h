/* What the fuzzers share. A fuzzer is one file with LLVMFuzzerTestOneInput; `make fuzz` builds and runs all.
 * Random bytes rarely get past a signature or a checksum, so each begins from a valid file of its own making.
 */
#ifndef MIEN_TESTS_FUZZ_H
#define MIEN_TESTS_FUZZ_H
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* Now and then the valid file instead of what the corpus holds; then libFuzzer's mutation. */
static inline size_t fuzz_mutate(uint8_t *data, size_t size, size_t max, unsigned seed, const void *valid, size_t n) {
    if ((size < 8 || seed % 64 == 0) && n <= max) {
        memcpy(data, valid, n);
        size = n;
    }
    return LLVMFuzzerMutate(data, size, max);
}

/* One sample of zeros, unless the network is large. */
static inline void fuzz_run(mn_model *m) {
    mn_context *c = mn_model_context(m);
    if (mn_model_build(m)) return;
    mn_model_stats s = mn_model_count(m);
    if (s.macs > 3000000 || s.activation_bytes > 3000000) return;
    mn_tensor *in[8] = {NULL};
    mn_step_begin(c);
    for (int i = 0; i < mn_model_inputs(m) && i < 8; i++) {
        mn_shape one = mn_model_input_shape(m, i), x = {.ndim = one.ndim + 1, .dim = {1}};
        for (int d = 0; d < one.ndim; d++) x.dim[d + 1] = one.dim[d];
        in[i] = mn_input(c, x, NULL);
        if (!in[i] || mn_fill(in[i], 0)) return;
    }
    if (mn_model_inputs(m) <= 8) mn_model_forward(m, in, false);
}
#endif
