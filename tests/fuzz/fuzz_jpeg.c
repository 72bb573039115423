/* JPEG files: baseline and progressive, with EXIF data. */
#include "tests/fuzz/fuzz.h"
#include <jpeglib.h>

static uint8_t *valid[2];
static unsigned long valid_size[2];

static void make_valid(int progressive) {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr err;
    uint8_t row[24 * 3], *line = row;
    c.err = jpeg_std_error(&err);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &valid[progressive], &valid_size[progressive]);
    c.image_width = 24, c.image_height = 17, c.input_components = 3, c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    if (progressive) jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    static const uint8_t exif[] = {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
                                   0x12, 1,   3,   0,   1, 0, 0,   0,   6,  0, 0, 0, 0, 0, 0, 0};
    jpeg_write_marker(&c, JPEG_APP0 + 1, exif, sizeof exif);
    for (int y = 0; y < 17; y++) {
        for (int i = 0; i < 24 * 3; i++) row[i] = (uint8_t)(i * y * 7);
        jpeg_write_scanlines(&c, &line, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    int way = seed >> 8 & 1;
    if (!valid[way]) make_valid(way);
    return fuzz_mutate(data, size, max, seed, valid[way], valid_size[way]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mn_image im = {0};
    mn__jpeg_decode(&im, data, size, NULL);
    mn_image_free(&im);
    return 0;
}
