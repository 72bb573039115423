/* A rectangle cut out of a picture and turned: how a face is brought upright. */
#include "data/internal.h"
#include <math.h>

/* Bilinear at (x, y), pixel centres at whole numbers; the border goes on. */
static void sample(const mn_image *im, double x, double y, uint8_t *to) {
    x = fmin(fmax(x, 0), im->width - 1), y = fmin(fmax(y, 0), im->height - 1);
    int x0 = (int)x, y0 = (int)y, x1 = x0 + 1 < im->width ? x0 + 1 : x0, y1 = y0 + 1 < im->height ? y0 + 1 : y0;
    double fx = x - x0, fy = y - y0;
    size_t C = (size_t)im->channels, W = (size_t)im->width;
    for (size_t c = 0; c < C; c++) {
        double top =
            (1 - fx) * im->pixels[((size_t)y0 * W + (size_t)x0) * C + c] + fx * im->pixels[((size_t)y0 * W + (size_t)x1) * C + c];
        double low =
            (1 - fx) * im->pixels[((size_t)y1 * W + (size_t)x0) * C + c] + fx * im->pixels[((size_t)y1 * W + (size_t)x1) * C + c];
        to[c] = (uint8_t)((1 - fy) * top + fy * low + 0.5);
    }
}

mn_status mn_image_cut(mn_image *dst, const mn_image *src, double x, double y, double w, double h, double degrees,
                       mn_error *err) {
    bool sane =
        fabs(x) <= MN__MAX_SIDE && fabs(y) <= MN__MAX_SIDE && w <= MN__MAX_SIDE && h <= MN__MAX_SIDE && fabs(degrees) <= 360;
    if (!sane) return mn_fail(err, MN_ERR_ARG, "cut: %g x %g at (%g, %g), %g degrees", w, h, x, y, degrees);
    int W = (int)fmax(1, round(w)), H = (int)fmax(1, round(h));
    if (degrees == 0) return mn_image_crop(dst, src, (int)round(x), (int)round(y), W, H, err);
    mn_status s = mn__image_check(src, "cut", err);
    if (s) return s;
    if (dst == src) return mn_fail(err, MN_ERR_ARG, "cut: source and result must be two images");
    if ((s = mn_image_reserve(dst, W, H, src->channels, err))) return s;
    double turn = degrees * 3.14159265358979323846 / 180, co = cos(turn), si = sin(turn), cx = x + w / 2, cy = y + h / 2;
    for (int j = 0; j < H; j++)
        for (int i = 0; i < W; i++) {
            double u = (i + 0.5) * w / W - w / 2, v = (j + 0.5) * h / H - h / 2;
            sample(src, cx + co * u - si * v - 0.5, cy + si * u + co * v - 0.5,
                   dst->pixels + ((size_t)j * (size_t)W + (size_t)i) * (size_t)src->channels);
        }
    return MN_OK;
}
