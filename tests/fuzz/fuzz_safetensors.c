/* safetensors files. */
#include "tests/fuzz/fuzz.h"

static const char valid[] =
    "\x80\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[16,22]}}               0123456789abcdefghijkl";

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    return fuzz_mutate(data, size, max, seed, valid, sizeof valid - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mn_array *a;
    int n;
    mn_error err = {0};
    mn_status s = mn__safetensors_decode(data, size, &a, &n, &err);
    if (s ? !err.text[0] || a || n : !a) abort();
    mn_arrays_free(a, n);
    return 0;
}
