/* Augmentation: a picture as the camera might have seen it another time. Training data only.
 * Order: geometry (one bilinear warp), contrast, brightness, gamma (one table), noise, one rectangle. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked for ---- */

static const struct {
    const char *name;
    size_t field, second;     /* second: the upper end of a range lo:hi; 0 if there is none */
    double max, usual, until; /* the amount when only the name is given; until: its upper end if it differs */
} parts[] = {
    {"flip", offsetof(mn_augment, flip), 0, 1, 0.5, 0},
    {"rotate", offsetof(mn_augment, rotate), 0, 180, 10, 0},
    {"shift", offsetof(mn_augment, shift), 0, 1, 0.1, 0},
    {"zoom", offsetof(mn_augment, zoom), 0, 2, 0.1, 0},
    {"aspect", offsetof(mn_augment, aspect), 0, 1, 0.1, 0},
    {"crop", offsetof(mn_augment, crop_lo), offsetof(mn_augment, crop_hi), 1, 0.8, 1},
    {"brightness", offsetof(mn_augment, brightness), 0, 1, 0.2, 0},
    {"contrast", offsetof(mn_augment, contrast), 0, 1, 0.2, 0},
    {"gamma", offsetof(mn_augment, gamma), 0, 2, 0.2, 0},
    {"noise", offsetof(mn_augment, noise), 0, 1, 0.02, 0},
    {"erase", offsetof(mn_augment, erase), 0, 1, 0.25, 0},
    {"erase_size", offsetof(mn_augment, erase_lo), offsetof(mn_augment, erase_hi), 1, 1.0 / 6, 1.0 / 3},
};
#define N_PARTS (sizeof parts / sizeof *parts)

/* "default": what served small face networks best; docs/data.md says where it comes from. */
static const mn_augment usual = {
    .flip = 0.5, .rotate = 12, .shift = 0.08, .zoom = 0.16, .aspect = 0.12, .brightness = 0.2, .contrast = 0.2, .erase = 0.25};

static bool is_word(const char *p, size_t n, const char *word) { return strlen(word) == n && !memcmp(p, word, n); }

/* The amount behind "name=": a number, or two with a colon. False when it is not that. */
static bool parse_amount(const char *p, const char *q, bool range, double until, double *lo, double *hi) {
    char *end;
    *lo = *hi = strtod(p, &end);
    if (end == p || end > q) return false;
    if (end < q && *end == ':' && range) {
        p = end + 1;
        *hi = strtod(p, &end);
        if (end == p) return false;
    } else if (until > 0 && *lo > 0) {
        *hi = until;
    }
    return end == q;
}

/* One item: "flip", "rotate=10" or "crop=0.8:1", from p up to q. */
static mn_status parse_part(const char *p, const char *q, mn_augment *out, mn_error *err) {
    const char *equal = memchr(p, '=', (size_t)(q - p));
    size_t k = 0, n = (size_t)((equal ? equal : q) - p);
    int shown = q - p > 60 ? 60 : (int)(q - p);
    while (k < N_PARTS && !is_word(p, n, parts[k].name)) k++;
    if (k == N_PARTS)
        return mn_fail(err, MN_ERR_ARG,
                       "augment: unknown part \"%.*s\"; there are flip, rotate, shift, zoom, aspect, crop, "
                       "brightness, contrast, gamma, noise, erase, erase_size, default, none",
                       shown, p);
    double lo = parts[k].usual, hi = parts[k].until;
    bool range = parts[k].second != 0;
    bool ok = !equal || parse_amount(equal + 1, q, range, parts[k].until, &lo, &hi);
    if (!range) hi = lo;
    if (!ok || !(lo >= 0 && lo <= hi && hi <= parts[k].max))
        return mn_fail(err, MN_ERR_ARG, "augment: \"%.*s\": wanted a number from 0 to %g%s", shown, p, parts[k].max,
                       range ? ", or two with a colon, the smaller first" : "");
    *(double *)((char *)out + parts[k].field) = lo;
    if (range) *(double *)((char *)out + parts[k].second) = hi;
    return MN_OK;
}

mn_status mn_augment_parse(const char *text, mn_augment *out, mn_error *err) {
    *out = (mn_augment){0};
    for (const char *p = text, *q; *p; p = *q ? q + 1 : q) {
        q = strchr(p, ',');
        if (!q) q = p + strlen(p);
        mn_status s = MN_OK;
        if (is_word(p, (size_t)(q - p), "default"))
            *out = usual;
        else if (is_word(p, (size_t)(q - p), "none"))
            *out = (mn_augment){0};
        else
            s = parse_part(p, q, out, err);
        if (s) return s;
    }
    return MN_OK;
}

/* ---- geometry ---- */

/* Where output pixel (u,v) comes from: x = a*u + b*v + c, y = d*u + e*v + f. */
typedef struct warp {
    double a, b, c, d, e, f;
} warp;

static double within(mn_rng *r, double range) { return range > 0 ? mn_rng_uniform(r, -range, range) : 0; }

/* From the output's centre outwards: mirrored, scaled, rotated, moved. */
static warp choose_warp(const mn_augment *a, int width, int height, mn_rng *r) {
    double mirror = a->flip > 0 && mn_rng_uniform(r, 0, 1) < a->flip ? -1 : 1;
    double angle = within(r, a->rotate) * (3.14159265358979323846 / 180);
    double dx = within(r, a->shift) * width, dy = within(r, a->shift) * height;
    double scale = exp(-within(r, a->zoom)), aspect = exp(within(r, a->aspect) / 2);
    if (a->crop_hi > 0) {
        double side = sqrt(mn_rng_uniform(r, a->crop_lo, a->crop_hi));
        scale *= side;
        dx += within(r, (1 - side) / 2) * width;
        dy += within(r, (1 - side) / 2) * height;
    }
    double sx = scale / aspect * mirror, sy = scale * aspect, cs = cos(angle), sn = sin(angle);
    double cx = (width - 1) / 2.0, cy = (height - 1) / 2.0;
    warp w = {.a = cs * sx, .b = -sn * sy, .d = sn * sx, .e = cs * sy};
    w.c = cx + dx - w.a * cx - w.b * cy;
    w.f = cy + dy - w.d * cx - w.e * cy;
    return w;
}

static int64_t fixed(double v) { return llrint(v * 4294967296.0); } /* 32 bits behind the point */
static int64_t limit(int64_t v, int64_t hi) { return v < 0 ? 0 : v > hi ? hi : v; }

/* Bilinear, 8 bits of fraction; outside the picture its border goes on. C, 1 or 3, is a constant to the
 * compiler. */
static inline void warp_rows(const warp *w, const mn_image *src, mn_image *dst, const int C) {
    int width = src->width, height = src->height;
    int64_t step_x = fixed(w->a), step_y = fixed(w->d), max_x = (int64_t)(width - 1) << 32, max_y = (int64_t)(height - 1) << 32;
    uint8_t *out = dst->pixels;
    for (int v = 0; v < height; v++) {
        int64_t x = fixed(w->b * v + w->c), y = fixed(w->e * v + w->f);
        for (int u = 0; u < width; u++, x += step_x, y += step_y, out += C) {
            int64_t px = limit(x, max_x), py = limit(y, max_y);
            int ix = (int)(px >> 32), iy = (int)(py >> 32);
            unsigned fx = (unsigned)(px >> 24) & 255, fy = (unsigned)(py >> 24) & 255;
            const uint8_t *p = src->pixels + ((size_t)iy * (size_t)width + (size_t)ix) * (size_t)C;
            size_t right = ix < width - 1 ? (size_t)C : 0, below = iy < height - 1 ? (size_t)width * (size_t)C : 0;
            for (int c = 0; c < C; c++) {
                unsigned top = p[c] * (256 - fx) + p[right + (size_t)c] * fx;
                unsigned low = p[below + (size_t)c] * (256 - fx) + p[below + right + (size_t)c] * fx;
                out[c] = (uint8_t)((top * (256 - fy) + low * fy + 32768) >> 16);
            }
        }
    }
}

/* ---- light ---- */

static double mean_of(const mn_image *im) {
    size_t n = (size_t)im->width * (size_t)im->height * (size_t)im->channels;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += im->pixels[i];
    return (double)sum / (double)n;
}

static void change_light(const mn_augment *a, mn_image *im, mn_rng *r) {
    double factor = 1 + within(r, a->contrast), added = 255 * within(r, a->brightness), power = exp(within(r, a->gamma));
    double mean = mean_of(im);
    uint8_t table[256];
    for (int v = 0; v < 256; v++) {
        double x = mean + (v - mean) * factor + added;
        x = x < 0 ? 0 : x > 255 ? 255 : x;
        if (a->gamma > 0) x = 255 * pow(x / 255, power);
        table[v] = (uint8_t)(x + 0.5);
    }
    size_t n = (size_t)im->width * (size_t)im->height * (size_t)im->channels;
    for (size_t i = 0; i < n; i++) im->pixels[i] = table[im->pixels[i]];
}

/* The sum of four random bytes is close to a normal number (mean 510, deviation 147.80; none beyond 3.45
 * deviations) and a tenth of the price. */
static void add_noise(double deviation, mn_image *im, mn_rng *r) {
    size_t n = (size_t)im->width * (size_t)im->height * (size_t)im->channels;
    int factor = (int)lrint(deviation * 255 / 147.80 * 65536);
    for (size_t i = 0; i < n; i++) {
        uint32_t u = mn_rng_u32(r);
        int sum = (int)((u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24)) - 510;
        int v = im->pixels[i] + (int)(((int64_t)sum * factor + 32768) >> 16);
        im->pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* ---- a rectangle ---- */

/* Zhong et al. 2020, "Random erasing data augmentation"; filled with one grey near the picture's mean. */
static void erase_rectangle(const mn_augment *a, mn_image *im, mn_rng *r) {
    double lo = a->erase_lo > 0 ? a->erase_lo : 1.0 / 6, hi = a->erase_hi > 0 ? a->erase_hi : 1.0 / 3;
    int w = (int)lrint(mn_rng_uniform(r, lo, hi) * im->width), h = (int)lrint(mn_rng_uniform(r, lo, hi) * im->height);
    w = w < 1 ? 1 : w > im->width ? im->width : w;
    h = h < 1 ? 1 : h > im->height ? im->height : h;
    int x = (int)mn_rng_below(r, (uint64_t)(im->width - w) + 1), y = (int)mn_rng_below(r, (uint64_t)(im->height - h) + 1);
    long grey = lrint(mean_of(im) + 32 * mn_rng_normal(r));
    grey = grey < 0 ? 0 : grey > 255 ? 255 : grey;
    size_t c = (size_t)im->channels, row = (size_t)im->width * c;
    for (int j = 0; j < h; j++) memset(im->pixels + (size_t)(y + j) * row + (size_t)x * c, (int)grey, (size_t)w * c);
}

mn_status mn_augment_apply(const mn_augment *a, const mn_image *src, mn_image *dst, mn_rng *r, mn_error *err) {
    mn_status s = mn__image_check(src, "augment", err);
    if (s) return s;
    if (dst == src) return mn_fail(err, MN_ERR_ARG, "augment: source and result must be two images");
    if ((s = mn_image_reserve(dst, src->width, src->height, src->channels, err))) return s;
    if (a->flip > 0 || a->rotate > 0 || a->shift > 0 || a->zoom > 0 || a->aspect > 0 || a->crop_hi > 0) {
        warp w = choose_warp(a, src->width, src->height, r);
        if (src->channels == 1)
            warp_rows(&w, src, dst, 1);
        else
            warp_rows(&w, src, dst, 3);
    } else {
        memcpy(dst->pixels, src->pixels, (size_t)src->width * (size_t)src->height * (size_t)src->channels);
    }
    if (a->contrast > 0 || a->brightness > 0 || a->gamma > 0) change_light(a, dst, r);
    if (a->noise > 0) add_noise(a->noise, dst, r);
    if (a->erase > 0 && mn_rng_uniform(r, 0, 1) < a->erase) erase_rectangle(a, dst, r);
    return MN_OK;
}
