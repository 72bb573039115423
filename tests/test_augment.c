/* Augmentation: each part does what its name says, and nothing when it is off. */
#include "tests/data_help.h"

static void apply(const char *text, const mn_image *src, mn_image *dst, uint64_t stream) {
    mn_augment a;
    mn_error e = {0};
    mn_rng r = mn_rng_create(11, stream);
    ASSERT_OK(mn_augment_parse(text, &a, &e), &e);
    ASSERT_OK(mn_augment_apply(&a, src, dst, &r, &e), &e);
    ck_assert(dst->width == src->width && dst->height == src->height && dst->channels == src->channels);
}
static size_t bytes(const mn_image *im) { return (size_t)(im->width * im->height * im->channels); }
static double mean(const mn_image *im) {
    double s = 0;
    for (size_t i = 0; i < bytes(im); i++) s += im->pixels[i];
    return s / (double)bytes(im);
}
/* Value at (x,y) by bilinear interpolation in double, the border going on. */
static double at(const mn_image *im, double x, double y, int c) {
    x = fmin(fmax(x, 0), im->width - 1), y = fmin(fmax(y, 0), im->height - 1);
    int i = (int)fmin(floor(x), im->width - 2), j = (int)fmin(floor(y), im->height - 2), C = im->channels;
    if (im->width == 1) i = 0;
    if (im->height == 1) j = 0;
    int i1 = im->width == 1 ? 0 : i + 1, j1 = im->height == 1 ? 0 : j + 1;
    double fx = x - i, fy = y - j;
    const uint8_t *p = im->pixels;
    int W = im->width;
    return (1 - fy) * ((1 - fx) * p[(j * W + i) * C + c] + fx * p[(j * W + i1) * C + c]) +
           fy * ((1 - fx) * p[(j1 * W + i) * C + c] + fx * p[(j1 * W + i1) * C + c]);
}

START_TEST(test_parse) {
    mn_augment a;
    mn_error e = {0};
    ASSERT_OK(mn_augment_parse("flip,rotate=15,shift=0.1,zoom=0.2,crop=0.7:0.9,erase,noise=0.5", &a, &e), &e);
    ck_assert(a.flip == 0.5 && a.rotate == 15 && a.shift == 0.1 && a.zoom == 0.2 && a.crop_lo == 0.7 && a.crop_hi == 0.9 &&
              a.erase == 0.25 && a.noise == 0.5 && a.gamma == 0);
    ASSERT_OK(mn_augment_parse("default,erase=0,crop=0.6", &a, &e), &e);
    ck_assert(a.flip == 0.5 && a.rotate > 0 && a.erase == 0 && a.crop_lo == 0.6 && a.crop_hi == 1);
    const mn_augment zero = {0};
    ASSERT_OK(mn_augment_parse("none", &a, &e), &e);
    ck_assert(!memcmp(&a, &zero, sizeof a));
    ASSERT_OK(mn_augment_parse("", &a, &e), &e);
    ck_assert(!memcmp(&a, &zero, sizeof a));
    ASSERT_OK(mn_augment_parse("crop,crop=0,erase_size=0.1:0.2", &a, &e), &e);
    ck_assert(a.crop_hi == 0 && a.erase_lo == 0.1 && a.erase_hi == 0.2);
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"flop", "unknown part \"flop\"; there are flip, rotate"},
        {"rotate=x", "wanted a number from 0 to 180"},
        {"rotate=", "wanted a number"},
        {"rotate=-5", "wanted a number"},
        {"rotate=181", "wanted a number"},
        {"flip=0.5x", "wanted a number"},
        {"flip,,zoom", "unknown part \"\""},
        {"crop=0.9:0.5", "the smaller first"},
        {"flip=0.1:0.2", "wanted a number"},
        {"zoom=nan", "wanted a number"},
        {"crop=0.5:", "wanted a number"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error_clear(&e);
        ck_assert_msg(mn_augment_parse(bad[k].text, &a, &e) == MN_ERR_ARG, "%s", bad[k].text);
        ASSERT_FAILS(e, MN_ERR_ARG, bad[k].words);
    }
}
END_TEST

START_TEST(test_identity_and_flip) {
    mn_image a = {0}, b = {0};
    const int sizes[][3] = {{48, 48, 1}, {31, 20, 3}, {1, 1, 1}, {1, 9, 3}, {8, 1, 1}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int w = sizes[k][0], h = sizes[k][1], C = sizes[k][2], mirrored = 0;
        help_picture(&a, w, h, C, (int)k);
        apply("none", &a, &b, 0);
        ck_assert(!memcmp(a.pixels, b.pixels, bytes(&a)));
        apply("flip=1", &a, &b, 0); /* always; exactly the mirror image */
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                ck_assert(!memcmp(b.pixels + (y * w + x) * C, a.pixels + (y * w + w - 1 - x) * C, (size_t)C));
        if (w < 8) continue;
        for (uint64_t i = 0; i < 400; i++) {
            apply("flip=0.25", &a, &b, i);
            mirrored += memcmp(a.pixels, b.pixels, bytes(&a)) != 0;
        }
        ck_assert(mirrored > 65 && mirrored < 135);
    }
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

/* The warp against plain double arithmetic: some (angle, shift, scale) within the range explains every pixel.
 * The three numbers are recovered by redrawing them in the documented order from the same stream. */
START_TEST(test_geometry) {
    mn_image a = {0}, b = {0};
    for (int k = 0; k < 12; k++) {
        int w = k % 2 ? 48 : 37, h = k % 3 ? 48 : 29, C = k % 4 ? 1 : 3;
        help_picture(&a, w, h, C, k);
        apply("rotate=30,shift=0.2,zoom=0.3,aspect=0.2", &a, &b, (uint64_t)k);
        mn_rng r = mn_rng_create(11, (uint64_t)k);
        double angle = mn_rng_uniform(&r, -30, 30) * M_PI / 180, dx = mn_rng_uniform(&r, -0.2, 0.2) * w,
               dy = mn_rng_uniform(&r, -0.2, 0.2) * h, zoom = exp(mn_rng_uniform(&r, -0.3, 0.3)),
               aspect = exp(mn_rng_uniform(&r, -0.2, 0.2));
        double worst = 0;
        for (int v = 0; v < h; v++)
            for (int u = 0; u < w; u++) {
                double x = (u - (w - 1) / 2.0) / zoom / sqrt(aspect), y = (v - (h - 1) / 2.0) / zoom * sqrt(aspect);
                double sx = cos(angle) * x - sin(angle) * y + (w - 1) / 2.0 + dx,
                       sy = sin(angle) * x + cos(angle) * y + (h - 1) / 2.0 + dy;
                for (int c = 0; c < C; c++) worst = fmax(worst, fabs(b.pixels[(v * w + u) * C + c] - at(&a, sx, sy, c)));
            }
        ASSERT_CLOSE(worst, 0, 1.6); /* 8 bits of fraction and rounding */
    }
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

/* A random crop shows a part of the picture only: of a linear ramp, a narrower ramp inside its range. */
START_TEST(test_crop) {
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    ASSERT_OK(mn_image_reserve(&a, 100, 100, 1, &e), &e);
    for (int i = 0; i < 10000; i++) a.pixels[i] = (uint8_t)(i % 100 * 2);
    double least = 200, most = 0;
    for (uint64_t k = 0; k < 200; k++) {
        apply("crop=0.25:0.64", &a, &b, k);
        double span = (b.pixels[5099] - b.pixels[5000]) / 198.0; /* side of the crop as a share */
        ck_assert(span > 0.48 && span < 0.82 && b.pixels[5000] <= 200 * (1 - span) + 4);
        least = fmin(least, b.pixels[5000]), most = fmax(most, b.pixels[5000]);
    }
    ck_assert(least < 15 && most > 70); /* placed everywhere */
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

START_TEST(test_light) {
    mn_image a = {0}, b = {0};
    help_picture(&a, 48, 48, 1, 1);
    double lo = 0, hi = 0;
    for (uint64_t k = 0; k < 100; k++) {
        apply("brightness=0.1", &a, &b, k);
        int shift = b.pixels[0] - a.pixels[0];
        for (size_t i = 0; i < bytes(&a); i++)
            ck_assert(abs(b.pixels[i] - a.pixels[i] - shift) <= 1 || b.pixels[i] == 0 || b.pixels[i] == 255);
        lo = fmin(lo, shift), hi = fmax(hi, shift);
        apply("contrast=0.3", &a, &b, k);
        ASSERT_CLOSE(mean(&b), mean(&a), 1.5);
        apply("gamma=0.3", &a, &b, k); /* monotonous, ends fixed */
        int darker = 0, lighter = 0;
        for (size_t i = 0; i < bytes(&a); i++) darker += b.pixels[i]<a.pixels[i], lighter += b.pixels[i]> a.pixels[i];
        ck_assert(darker == 0 || lighter == 0);
    }
    ck_assert(lo < -20 && lo >= -26 && hi > 20 && hi <= 26);
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

START_TEST(test_noise) {
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    ASSERT_OK(mn_image_reserve(&a, 100, 100, 3, &e), &e);
    memset(a.pixels, 128, 30000);
    apply("noise=0.05", &a, &b, 1);
    double square = 0, neighbours = 0;
    for (int i = 0; i < 30000; i++) {
        square += pow(b.pixels[i] - 128, 2) / 30000;
        if (i) neighbours += (b.pixels[i] - 128.0) * (b.pixels[i - 1] - 128.0) / 30000;
    }
    ASSERT_CLOSE(mean(&b), 128, 0.3);
    ASSERT_CLOSE(sqrt(square), 0.05 * 255, 0.4);
    ASSERT_CLOSE(neighbours / square, 0, 0.03);
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

START_TEST(test_erase) {
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    ASSERT_OK(mn_image_reserve(&a, 60, 48, 1, &e), &e);
    for (int i = 0; i < 60 * 48; i++) a.pixels[i] = i & 1 ? 255 : 0;
    int erased = 0;
    for (uint64_t k = 0; k < 300; k++) {
        apply("erase=0.5", &a, &b, k);
        int x0 = 60, x1 = -1, y0 = 48, y1 = -1, n = 0;
        for (int y = 0; y < 48; y++)
            for (int x = 0; x < 60; x++)
                if (b.pixels[y * 60 + x] != a.pixels[y * 60 + x])
                    x0 = x < x0 ? x : x0, x1 = x > x1 ? x : x1, y0 = y < y0 ? y : y0, y1 = y > y1 ? y : y1, n++;
        if (!n) continue;
        erased++;
        int w = x1 - x0 + 1, h = y1 - y0 + 1;
        ck_assert(w >= 10 && w <= 20 && h >= 8 && h <= 16); /* a sixth to a third of the sides */
        ck_assert_int_eq(n, w * h);
        for (int i = 0; i < w * h; i++) ck_assert_int_eq(b.pixels[(y0 + i / w) * 60 + x0 + i % w], b.pixels[y0 * 60 + x0]);
    }
    ck_assert(erased > 110 && erased < 190);
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

/* The same stream gives the same picture; another one another. */
START_TEST(test_deterministic) {
    mn_image a = {0}, b = {0}, c = {0};
    mn_error e = {0};
    const char *all = "default,gamma,noise,crop,erase=1";
    help_picture(&a, 48, 48, 3, 1);
    apply(all, &a, &b, 5);
    apply(all, &a, &c, 5);
    ck_assert(!memcmp(b.pixels, c.pixels, bytes(&a)));
    apply(all, &a, &c, 6);
    ck_assert(memcmp(b.pixels, c.pixels, bytes(&a)));
    mn_augment none = {0};
    mn_rng r = mn_rng_create(1, 1);
    ck_assert_int_eq(mn_augment_apply(&none, &a, &a, &r, &e), MN_ERR_ARG);
    mn_error_clear(&e);
    ck_assert_int_eq(mn_augment_apply(&none, &(mn_image){0}, &b, &r, &e), MN_ERR_ARG);
    mn_image_free(&a), mn_image_free(&b), mn_image_free(&c);
}
END_TEST

TEST_SUITE(augment, test_parse, test_identity_and_flip, test_geometry, test_crop, test_light, test_noise, test_erase,
           test_deterministic)
