/* Images in memory: size, crop, resize, colour; loading by content. */
#include "data/internal.h"
#include <math.h>
#include <string.h>

mn_status mn_image_reserve(mn_image *im, int width, int height, int channels, mn_error *err) {
    if (width < 1 || height < 1 || width > MN__MAX_SIDE || height > MN__MAX_SIDE)
        return mn_fail(err, MN_ERR_ARG, "image: a size of %dx%d; sides go from 1 to %d", width, height, MN__MAX_SIDE);
    if (channels != 1 && channels != 3)
        return mn_fail(err, MN_ERR_ARG, "image: %d channels; there are 1 (grey) or 3 (RGB)", channels);
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    if (bytes > im->capacity) {
        uint8_t *p = mn_alloc(bytes);
        if (!p) return mn_fail(err, MN_ERR_MEMORY, "image: no memory for %dx%d pixels (%zu bytes)", width, height, bytes);
        mn_free(im->pixels);
        im->pixels = p;
        im->capacity = bytes;
    }
    im->width = width, im->height = height, im->channels = channels;
    return MN_OK;
}

void mn_image_free(mn_image *im) {
    if (!im) return;
    mn_free(im->pixels);
    *im = (mn_image){0};
}

mn_status mn__image_check(const mn_image *im, const char *who, mn_error *err) {
    if (!im || !im->pixels || im->width < 1 || im->height < 1 || (im->channels != 1 && im->channels != 3))
        return mn_fail(err, MN_ERR_ARG, "%s: the image is empty; hint: load or draw one first", who);
    return MN_OK;
}

/* ---- reading ---- */

mn_status mn__picture_size(int64_t width, int64_t height, mn_error *err) {
    if (width < 1 || height < 1 || width > MN__MAX_SIDE || height > MN__MAX_SIDE)
        return mn_fail(err, MN_ERR_FORMAT, "the picture says it is %lldx%lld pixels; sides from 1 to %d are read",
                       (long long)width, (long long)height, MN__MAX_SIDE);
    if (width * height > MN__MAX_PIXELS)
        return mn_fail(err, MN_ERR_FORMAT,
                       "the picture says it is %lldx%lld pixels, more than the %d megapixels that are read; "
                       "hint: make it smaller first",
                       (long long)width, (long long)height, MN__MAX_PIXELS / 1000000);
    return MN_OK;
}

mn_status mn_image_decode(mn_image *im, const void *bytes, size_t size, mn_error *err) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, jpeg[3] = {0xff, 0xd8, 0xff};
    if (size >= sizeof png && !memcmp(bytes, png, sizeof png)) return mn__png_decode(im, bytes, size, err);
    if (size >= sizeof jpeg && !memcmp(bytes, jpeg, sizeof jpeg)) return mn__jpeg_decode(im, bytes, size, err);
    if (size == 0) return mn_fail(err, MN_ERR_FORMAT, "the file is empty; wanted a PNG or JPEG picture");
    return mn_fail(err, MN_ERR_FORMAT,
                   "neither PNG nor JPEG (told by the first bytes, not by the name); hint: convert it to PNG");
}

mn_status mn_image_load(mn_image *im, const char *path, mn_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    mn_status s = mn__read_file(path, (size_t)1 << 30, &bytes, &size, err);
    if (s) return s;
    s = mn_image_decode(im, bytes, size, err);
    mn_free(bytes);
    if (s) mn_error_prefix(err, "%s", path);
    return s;
}

/* ---- crop ---- */

static int clamp(int v, int lo, int hi) { return v < lo ? lo : v > hi ? hi : v; }

mn_status mn_image_crop(mn_image *dst, const mn_image *src, int x, int y, int w, int h, mn_error *err) {
    mn_status s = mn__image_check(src, "crop", err);
    if (s) return s;
    if (dst == src) return mn_fail(err, MN_ERR_ARG, "crop: source and result must be two images");
    if (x < -MN__MAX_SIDE || y < -MN__MAX_SIDE || x > MN__MAX_SIDE || y > MN__MAX_SIDE)
        return mn_fail(err, MN_ERR_ARG, "crop: the corner (%d,%d) is farther out than %d", x, y, MN__MAX_SIDE);
    if ((s = mn_image_reserve(dst, w, h, src->channels, err))) return s;
    int c = src->channels;
    for (int j = 0; j < h; j++) {
        const uint8_t *from = src->pixels + (size_t)clamp(y + j, 0, src->height - 1) * (size_t)src->width * (size_t)c;
        uint8_t *to = dst->pixels + (size_t)j * (size_t)w * (size_t)c;
        for (int i = 0; i < w; i++, to += c) memcpy(to, from + (size_t)clamp(x + i, 0, src->width - 1) * (size_t)c, (size_t)c);
    }
    return MN_OK;
}

/* ---- resize: rows, then columns, each a weighted sum over a few neighbours ---- */

/* Output position o of `n_out` is sum_k weight[k] * input[first + k], k < count; the weights add up to 1. */
typedef struct tap {
    int first, count;
} tap;

/* How many weights a position needs at most. */
static int taps_per_position(int n_in, int n_out) { return n_out >= n_in ? 2 : n_in / n_out + 2; }

/* Shrinking: the share of [o, o+1) * n_in/n_out that each input pixel covers (area average).
 * Enlarging: linear between the two pixel centres around (o + 0.5) * n_in/n_out. */
static void make_taps(int n_in, int n_out, tap *t, float *weight) {
    int per = taps_per_position(n_in, n_out);
    double step = (double)n_in / n_out;
    for (int o = 0; o < n_out; o++, weight += per) {
        if (n_out >= n_in) {
            double x = (o + 0.5) * step - 0.5;
            if (x < 0) x = 0;
            int i = (int)x;
            if (i > n_in - 1) i = n_in - 1;
            int two = i + 1 < n_in;
            t[o] = (tap){i, 1 + two};
            weight[0] = two ? (float)(1 - (x - i)) : 1.0f;
            weight[1] = (float)(x - i);
        } else {
            double lo = o * step, hi = (o + 1) * step;
            int i = (int)lo, end = (int)ceil(hi - 1e-9);
            if (end > n_in) end = n_in;
            t[o] = (tap){i, end - i};
            for (int k = 0; k < end - i; k++) {
                double a = fmax(lo, i + k), b = fmin(hi, i + k + 1);
                weight[k] = (float)((b - a) / step);
            }
        }
    }
}

/* One source row, narrowed or widened to w pixels. */
static void resize_row(const uint8_t *in, int channels, const tap *t, const float *weight, int per, int w, float *out) {
    for (int o = 0; o < w; o++, weight += per, out += channels) {
        const uint8_t *p = in + (size_t)t[o].first * (size_t)channels;
        for (int c = 0; c < channels; c++) {
            float sum = 0;
            for (int k = 0; k < t[o].count; k++) sum += weight[k] * (float)p[k * channels + c];
            out[c] = sum;
        }
    }
}

static uint8_t to_byte(float v) { return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5f); }

/* Workspace of a resize, in one allocation: taps and weights of both axes, two resized rows at most in
 * use while enlarging, one accumulator row. */
mn_status mn_image_resize(mn_image *dst, const mn_image *src, int width, int height, mn_error *err) {
    mn_status s = mn__image_check(src, "resize", err);
    if (s) return s;
    if (dst == src) return mn_fail(err, MN_ERR_ARG, "resize: source and result must be two images");
    int channels = src->channels;
    if ((s = mn_image_reserve(dst, width, height, channels, err))) return s;
    size_t row = (size_t)width * (size_t)channels;
    if (width == src->width && height == src->height) {
        memcpy(dst->pixels, src->pixels, row * (size_t)height);
        return MN_OK;
    }
    int per_x = taps_per_position(src->width, width), per_y = taps_per_position(src->height, height);
    size_t n_wx = (size_t)width * (size_t)per_x, n_wy = (size_t)height * (size_t)per_y;
    float *wx = mn_alloc(((size_t)width + (size_t)height) * sizeof(tap) + (n_wx + n_wy + 3 * row) * sizeof(float));
    if (!wx) return mn_fail(err, MN_ERR_MEMORY, "resize: no memory to make %dx%d pixels", width, height);
    float *wy = wx + n_wx, *resized[2] = {wy + n_wy, wy + n_wy + row}, *sum = wy + n_wy + 2 * row;
    tap *tx = (tap *)(sum + row), *ty = tx + width;
    make_taps(src->width, width, tx, wx);
    make_taps(src->height, height, ty, wy);
    int held[2] = {-1, -1}; /* the source rows that stand in resized[] */
    for (int o = 0; o < height; o++) {
        for (int k = 0; k < ty[o].count; k++) {
            int y = ty[o].first + k;
            float weight = wy[(size_t)o * (size_t)per_y + (size_t)k], *r = resized[y & 1];
            if (held[y & 1] != y)
                resize_row(src->pixels + (size_t)y * (size_t)src->width * (size_t)channels, channels, tx, wx, per_x, width, r);
            held[y & 1] = y;
            if (k == 0)
                for (size_t i = 0; i < row; i++) sum[i] = weight * r[i];
            else
                for (size_t i = 0; i < row; i++) sum[i] += weight * r[i];
        }
        uint8_t *out = dst->pixels + (size_t)o * row;
        for (size_t i = 0; i < row; i++) out[i] = to_byte(sum[i]);
    }
    mn_free(wx);
    return MN_OK;
}

/* ---- colour ---- */

/* ITU-R BT.601 in sixteenths of a thousandth: the integer weights add up to 2^16, so white stays white. */
static uint8_t grey_of(const uint8_t *p, mn_grey grey) {
    unsigned r = p[0], g = p[1], b = p[2];
    if (grey == MN_GREY_MEAN) return (uint8_t)((2 * (r + g + b) + 3) / 6);
    return (uint8_t)((19595u * r + 38470u * g + 7471u * b + 32768u) >> 16);
}

mn_status mn_image_convert(mn_image *dst, const mn_image *src, int channels, mn_grey grey, mn_error *err) {
    mn_status s = mn__image_check(src, "convert", err);
    if (s) return s;
    if (dst == src) return mn_fail(err, MN_ERR_ARG, "convert: source and result must be two images");
    if (grey != MN_GREY_BT601 && grey != MN_GREY_MEAN)
        return mn_fail(err, MN_ERR_ARG, "convert: grey formula %d; there are 0 (BT.601) and 1 (mean)", (int)grey);
    if ((s = mn_image_reserve(dst, src->width, src->height, channels, err))) return s;
    size_t n = (size_t)src->width * (size_t)src->height;
    const uint8_t *p = src->pixels;
    if (channels == src->channels)
        memcpy(dst->pixels, p, n * (size_t)channels);
    else if (channels == 1)
        for (size_t i = 0; i < n; i++) dst->pixels[i] = grey_of(p + 3 * i, grey);
    else
        for (size_t i = 0; i < n; i++) memset(dst->pixels + 3 * i, p[i], 3);
    return MN_OK;
}
