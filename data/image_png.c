/* PNG through libpng. */
#include "data/internal.h"

#if MN_HAVE_PNG
#include <png.h>
#include <string.h>

/* libpng reports a failure by calling `fail`, which must not return. */
typedef struct reader {
    const uint8_t *at;
    size_t left;
    mn_error *err;
} reader;

static void fail(png_structp png, png_const_charp text) {
    mn_fail(png_get_error_ptr(png), MN_ERR_FORMAT, "broken PNG: %s", text);
    png_longjmp(png, 1);
}
static void warn(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void take(png_structp png, png_bytep out, size_t n) {
    reader *r = png_get_io_ptr(png);
    if (n > r->left) png_error(png, "the file ends too early");
    memcpy(out, r->at, n);
    r->at += n, r->left -= n;
}

/* Deflate packs at most 1032 bytes into one: a file shorter than that is not worth the memory it asks for. */
static bool plausible(png_structp png, png_infop info, const reader *r) {
    uint64_t raw = (uint64_t)png_get_rowbytes(png, info) * png_get_image_height(png, info);
    return raw / 1032 <= r->left;
}

/* Everything between setjmp and a longjmp: no local is changed that is read afterwards. */
static mn_status read_rows(png_structp png, png_infop info, mn_image *im, const reader *r, mn_error *err) {
    png_read_info(png, info);
    mn_status s = mn__picture_size(png_get_image_width(png, info), png_get_image_height(png, info), err);
    if (s) return s;
    if (!plausible(png, info, r))
        return mn_fail(err, MN_ERR_FORMAT, "broken PNG: %ux%u pixels cannot stand in the %zu bytes that follow",
                       png_get_image_width(png, info), png_get_image_height(png, info), r->left);
    png_set_expand(png);   /* palettes, 1/2/4 bits, transparent colours -> 8 bits, alpha */
    png_set_scale_16(png); /* 16 bits -> 8, rounded */
    png_set_strip_alpha(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int channels = png_get_channels(png, info);
    s = mn_image_reserve(im, (int)png_get_image_width(png, info), (int)png_get_image_height(png, info), channels, err);
    if (s) return s;
    size_t row = (size_t)im->width * (size_t)channels;
    if (png_get_rowbytes(png, info) != row) png_error(png, "rows of an unexpected length");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < im->height; y++) png_read_row(png, im->pixels + (size_t)y * row, NULL);
    png_read_end(png, NULL);
    return MN_OK;
}

mn_status mn__png_decode(mn_image *im, const uint8_t *bytes, size_t size, mn_error *err) {
    mn_error local = {0};
    reader r = {bytes, size, &local};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &local, fail, warn);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return mn_fail(err, MN_ERR_MEMORY, "no memory to read a PNG");
    }
    if (!setjmp(png_jmpbuf(png))) {
        png_set_read_fn(png, &r, take);
        png_set_user_limits(png, MN__MAX_SIDE, MN__MAX_SIDE);
        png_set_chunk_malloc_max(png, 8 << 20);
        png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
        read_rows(png, info, im, &r, &local);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return local.status ? mn_fail(err, local.status, "%s", local.text) : MN_OK;
}

static void put(png_structp png, png_bytep bytes, size_t n) {
    if (fwrite(bytes, 1, n, png_get_io_ptr(png)) != n) png_error(png, "cannot write");
}
static void flush(png_structp png) { (void)png; }

mn_status mn_image_save_png(const mn_image *im, const char *path, mn_error *err) {
    mn_status s = mn__image_check(im, "save", err);
    mn__replace out = {0};
    if (s || (s = mn__replace_begin(&out, path, err))) return s;
    mn_error local = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &local, fail, warn);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        mn__replace_abort(&out);
        return mn_fail(err, MN_ERR_MEMORY, "%s: no memory to write a PNG", path);
    }
    if (!setjmp(png_jmpbuf(png))) {
        png_set_write_fn(png, out.f, put, flush);
        png_set_user_limits(png, MN__MAX_SIDE, MN__MAX_SIDE);
        png_set_IHDR(png, info, (png_uint_32)im->width, (png_uint_32)im->height, 8,
                     im->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        for (int y = 0; y < im->height; y++)
            png_write_row(png, im->pixels + (size_t)y * (size_t)im->width * (size_t)im->channels);
        png_write_end(png, NULL);
    }
    png_destroy_write_struct(&png, &info);
    if (local.status) {
        mn__replace_abort(&out);
        return mn_fail(err, MN_ERR_IO, "%s: cannot be written; hint: is the disk full?", path);
    }
    return mn__replace_commit(&out, err);
}

#else
#define NO_PNG "this build of mien has no PNG; hint: install libpng-dev and build again"
mn_status mn__png_decode(mn_image *im, const uint8_t *bytes, size_t size, mn_error *err) {
    (void)im, (void)bytes, (void)size;
    return mn_fail(err, MN_ERR_UNSUPPORTED, NO_PNG);
}
mn_status mn_image_save_png(const mn_image *im, const char *path, mn_error *err) {
    (void)im;
    return mn_fail(err, MN_ERR_UNSUPPORTED, "%s: " NO_PNG, path);
}
#endif
