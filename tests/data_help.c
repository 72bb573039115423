#include "tests/data_help.h"
#include <errno.h>
#include <sys/stat.h>
#if MN_HAVE_JPEG
#include <jpeglib.h>
#endif

void help_picture(mn_image *im, int width, int height, int channels, int seed) {
    mn_error e = {0};
    ASSERT_OK(mn_image_reserve(im, width, height, channels, &e), &e);
    mn_rng r = mn_rng_create(99, (uint64_t)seed);
    double fx = mn_rng_uniform(&r, 0.05, 0.3), fy = mn_rng_uniform(&r, 0.05, 0.3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                double v = 128 + 80 * sin(fx * x + c) * cos(fy * y + seed) + mn_rng_uniform(&r, -12, 12);
                im->pixels[(y * width + x) * channels + c] = (uint8_t)v;
            }
}

void help_write_jpeg(const char *path, const mn_image *im, int quality, bool progressive, bool cmyk) {
#if MN_HAVE_JPEG
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr err;
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    c.err = jpeg_std_error(&err);
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, f);
    c.image_width = (JDIMENSION)im->width, c.image_height = (JDIMENSION)im->height;
    c.input_components = cmyk ? 4 : im->channels;
    c.in_color_space = cmyk ? JCS_CMYK : im->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    if (progressive) jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    size_t row = (size_t)im->width * (size_t)c.input_components;
    uint8_t *line = calloc(row, 1);
    while (c.next_scanline < c.image_height) {
        if (!cmyk) memcpy(line, im->pixels + c.next_scanline * row, row);
        jpeg_write_scanlines(&c, &line, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(line);
    fclose(f);
#else
    (void)path, (void)im, (void)quality, (void)progressive, (void)cmyk;
#endif
}

void help_write_png(const char *path, int width, int height, int channels, int seed) {
    mn_image im = {0};
    mn_error e = {0};
    help_picture(&im, width, height, channels, seed);
    ASSERT_OK(mn_image_save_png(&im, path, &e), &e);
    mn_image_free(&im);
}

const char *help_folder(const char *name) {
    char part[256];
    for (size_t i = 0; name[i]; i++)
        if (name[i] == '/') {
            snprintf(part, sizeof part, "%.*s", (int)i, name);
            mkdir(test_path(part), 0777);
        }
    const char *path = test_path(name);
    ck_assert(mkdir(path, 0777) == 0 || errno == EEXIST);
    return path;
}

void help_write_text(const char *path, const char *text) { test_write_file(path, text, strlen(text)); }
