/* Which way up a photograph is. Cameras store what the sensor saw and note in the EXIF data how it was held
 * (EXIF 2.32, tag 0x0112): 1 upright, 2 mirrored, 3 upside down, 4 = 3 mirrored, 5 = 6 mirrored,
 * 6 to be turned clockwise, 7 = 8 mirrored, 8 to be turned anticlockwise. */
#include "data/internal.h"
#include <string.h>

/* Numbers of a TIFF block, whose first two bytes say in which order theirs stand. */
typedef struct tiff {
    const uint8_t *p;
    size_t size;
    bool big_endian;
} tiff;

/* `n` (2 or 4) bytes at `at` as a number; 0 beyond the end. */
static uint32_t number(const tiff *t, size_t at, int n) {
    if (at > t->size || t->size - at < (size_t)n) return 0;
    uint32_t v = 0;
    for (int k = 0; k < n; k++) v = v << 8 | t->p[at + (size_t)(t->big_endian ? k : n - 1 - k)];
    return v;
}

int mn__exif_orientation(const uint8_t *app1, size_t size) {
    if (size < 14 || memcmp(app1, "Exif\0\0", 6)) return 1;
    tiff t = {app1 + 6, size - 6, app1[6] == 'M'};
    if (number(&t, 2, 2) != 42) return 1;
    size_t directory = number(&t, 4, 4);
    uint32_t entries = number(&t, directory, 2);
    for (uint32_t k = 0; k < entries; k++) {
        size_t at = directory + 2 + 12 * (size_t)k; /* tag, type, count, value */
        if (at > t.size) break;
        if (number(&t, at, 2) != 0x0112) continue;
        uint32_t v = number(&t, at + 8, 2);
        return v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

mn_status mn__image_orient(mn_image *im, int orientation, mn_error *err) {
    if (orientation == 1) return MN_OK;
    bool turned = orientation >= 5, from_right = orientation == 2 || orientation == 3 || orientation >= 7;
    bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int w = im->width, h = im->height, c = im->channels;
    mn_image out = {0};
    mn_status s = mn_image_reserve(&out, turned ? h : w, turned ? w : h, c, err);
    if (s) return s;
    uint8_t *to = out.pixels;
    for (int y = 0; y < out.height; y++)
        for (int x = 0; x < out.width; x++, to += c) {
            int u = turned ? y : x, v = turned ? x : y; /* in the stored picture, before mirroring */
            if (from_right) u = w - 1 - u;
            if (from_below) v = h - 1 - v;
            memcpy(to, im->pixels + ((size_t)v * (size_t)w + (size_t)u) * (size_t)c, (size_t)c);
        }
    mn_image_free(im);
    *im = out;
    return MN_OK;
}
