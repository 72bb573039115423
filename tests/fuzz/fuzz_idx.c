/* idx files, packed with gzip or not. */
#include "tests/fuzz/fuzz.h"
#include <zlib.h>

static uint8_t valid[2][200];
static size_t valid_size[2];

static void make_valid(void) {
    static const uint8_t head[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 4};
    memcpy(valid[0], head, sizeof head);
    for (size_t i = 0; i < 40; i++) valid[0][sizeof head + i] = (uint8_t)(i * 7);
    valid_size[0] = sizeof head + 40;
    z_stream z = {.next_in = valid[0], .avail_in = (uInt)valid_size[0], .next_out = valid[1], .avail_out = sizeof valid[1]};
    deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    valid_size[1] = z.total_out;
    deflateEnd(&z);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    if (!valid_size[0]) make_valid();
    int way = seed >> 8 & 1;
    return fuzz_mutate(data, size, max, seed, valid[way], valid_size[way]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int rank = 1; rank <= 3; rank += 2) {
        uint32_t dim[3];
        uint8_t *out;
        mn_error err = {0};
        mn_status s = mn__idx_decode(data, size, rank, dim, &out, &err);
        if (s ? !err.text[0] || out : !out) abort();
        mn_free(out);
    }
    return 0;
}
