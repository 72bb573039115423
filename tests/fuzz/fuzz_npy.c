/* NumPy's .npy files. */
#include "tests/fuzz/fuzz.h"

static const char valid[] =
    "\x93NUMPY\x01\x00\x47\x00{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }            \n0123456789abcdefghijklmn";

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    return fuzz_mutate(data, size, max, seed, valid, sizeof valid - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mn_array a;
    mn_error err = {0};
    mn_status s = mn__npy_decode(data, size, &a, &err);
    if (s ? !err.text[0] || a.data : !a.data) abort();
    mn_array_free(&a);
    return 0;
}
