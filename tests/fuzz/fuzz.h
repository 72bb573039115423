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
#endif
