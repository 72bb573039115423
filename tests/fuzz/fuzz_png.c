/* PNG files with valid checksums and any content. */
#include "tests/fuzz/fuzz.h"
#include <unistd.h>

static uint32_t crc32_of(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* Chunks: length, type, data, checksum of type and data. */
static void repair(uint8_t *p, size_t size) {
    for (size_t at = 8; at + 12 <= size;) {
        size_t n = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        if (n > size - at - 12) return;
        uint32_t crc = crc32_of(p + at + 4, n + 4);
        for (int k = 0; k < 4; k++) p[at + 8 + n + (size_t)k] = (uint8_t)(crc >> (24 - 8 * k));
        at += n + 12;
    }
}

static uint8_t *valid;
static size_t valid_size;

static void make_valid(void) {
    char path[] = "/tmp/mien-fuzz-XXXXXX";
    close(mkstemp(path));
    mn_image im = {0};
    if (!mn_image_reserve(&im, 9, 7, 3, NULL)) {
        for (int i = 0; i < 9 * 7 * 3; i++) im.pixels[i] = (uint8_t)(i * 29);
        mn_image_save_png(&im, path, NULL);
    }
    mn__read_file(path, 1 << 20, &valid, &valid_size, NULL);
    mn_image_free(&im);
    unlink(path);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    if (!valid) make_valid();
    size = fuzz_mutate(data, size, max, seed, valid, valid_size);
    if (seed % 8) repair(data, size);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mn_image im = {0}, small = {0};
    if (mn__png_decode(&im, data, size, NULL) == MN_OK) mn_image_resize(&small, &im, 48, 48, NULL);
    mn_image_free(&im), mn_image_free(&small);
    return 0;
}
