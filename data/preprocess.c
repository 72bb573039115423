/* From a picture to a network's numbers: the one place where it happens. */
#include "data/internal.h"
#include <math.h>
#include <string.h>

static mn_status check(const mn_preprocess *p, mn_error *err) {
    if (!p || (p->channels != 1 && p->channels != 3) || p->width < 1 || p->height < 1 || p->width > MN__MAX_SIDE ||
        p->height > MN__MAX_SIDE)
        return mn_fail(err, MN_ERR_ARG, "preprocess: size (%d,%d,%d); wanted (1 or 3 channels, height, width)",
                       p ? p->channels : 0, p ? p->height : 0, p ? p->width : 0);
    bool ok = isfinite(p->lo) && isfinite(p->hi) && p->standardize_eps >= 0 && isfinite(p->standardize_eps);
    for (int c = 0; c < 3; c++) ok = ok && isfinite(p->mean[c]) && isfinite(p->deviation[c]) && p->deviation[c] >= 0;
    ok = ok && p->margin >= -0.3 && p->margin <= 1;
    if (p->steps < 0 || (p->steps && p->height % p->steps))
        return mn_fail(err, MN_ERR_ARG, "preprocess: a strip %d high for %d frames; wanted a multiple", p->height, p->steps);
    if (!ok)
        return mn_fail(err, MN_ERR_ARG,
                       "preprocess: range, means and deviations must be finite, deviations >= 0, margin -0.3 to 1");
    return MN_OK;
}

/* How high the picture becomes: as high as the network's, or of a clip as many of its frames as there are. */
static mn_status height_of(const mn_preprocess *p, const mn_image *in, int *height, mn_error *err) {
    *height = p->height;
    if (!p->steps) return MN_OK;
    int frame = p->height / p->steps;
    int64_t high = (int64_t)in->height * p->width, one = (int64_t)in->width * frame;
    if (high % one || high / one > p->steps)
        return mn_fail(err, MN_ERR_SHAPE, "preprocess: the clip is a strip of %dx%d; wanted 1 to %d frames of the shape of %dx%d",
                       in->width, in->height, p->steps, p->width, frame);
    *height = (int)(high / one) * frame;
    return MN_OK;
}

static mn_status grey_and_size(const mn_preprocess *p, const mn_image *in, mn_image *out, mn_image *scratch, mn_error *err) {
    int height;
    mn_status s = height_of(p, in, &height, err);
    if (s) return s;
    if (in->width == p->width && in->height == height) return mn_image_convert(out, in, p->channels, p->grey, err);
    if (in->channels == p->channels) return mn_image_resize(out, in, p->width, height, err);
    if ((s = mn_image_convert(scratch, in, p->channels, p->grey, err))) return s;
    return mn_image_resize(out, scratch, p->width, height, err);
}

mn_status mn_preprocess_pixels(const mn_preprocess *p, const mn_image *in, mn_image *out, mn_image *scratch, mn_error *err) {
    mn_status s = check(p, err);
    if (s || (s = mn__image_check(in, "preprocess", err)) || (s = grey_and_size(p, in, out, scratch, err))) return s;
    if (p->equalize) s = mn_image_equalize(out, p->ellipse, err);
    return s || !p->ellipse ? s : mn_image_ellipse(out, err);
}

/* number[pixel] for one channel: v = lo + pixel/255 * (hi - lo), then (v - mean) / deviation. */
static void range_table(const mn_preprocess *p, int c, float number[256]) {
    bool unit = p->lo == 0 && p->hi == 0; /* both 0: the default, 0..1 */
    double lo = p->lo, span = unit ? 1 : p->hi - p->lo, deviation = p->deviation[c] > 0 ? p->deviation[c] : 1;
    for (int v = 0; v < 256; v++) number[v] = (float)((lo + v / 255.0 * span - p->mean[c]) / deviation);
}

/* The same table for all channels: (pixel - m) / (s + eps), m and s over all numbers of this image. */
static void standard_table(const mn_preprocess *p, const uint8_t *pixel, size_t n, float number[256]) {
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += pixel[i], squares += (uint64_t)pixel[i] * pixel[i];
    double m = (double)sum / (double)n, variance = (double)squares / (double)n - m * m;
    double d = sqrt(variance > 0 ? variance : 0) + p->standardize_eps;
    for (int v = 0; v < 256; v++) number[v] = d > 0 ? (float)((v - m) / d) : 0.0f;
}

bool mn__preprocess_fits(const mn_preprocess *p, const mn_image *im) {
    if (im->width != p->width || im->channels != p->channels) return false;
    return im->height == p->height || (p->steps && im->height < p->height && im->height % (p->height / p->steps) == 0);
}

mn_status mn_preprocess_floats(const mn_preprocess *p, const mn_image *in, float *out, mn_error *err) {
    mn_status s = check(p, err);
    if (s || (s = mn__image_check(in, "preprocess", err))) return s;
    if (!mn__preprocess_fits(p, in))
        return mn_fail(err, MN_ERR_SHAPE, "preprocess: the image is (%d,%d,%d), the model wants (%d,%d,%d)", in->channels,
                       in->height, in->width, p->channels, p->height, p->width);
    size_t n = (size_t)p->width * (size_t)in->height, all = (size_t)p->width * (size_t)p->height;
    float number[256];
    if (p->standardize) standard_table(p, in->pixels, n * (size_t)p->channels, number);
    for (int c = 0; c < p->channels; c++, out += all) {
        if (!p->standardize) range_table(p, c, number);
        const uint8_t *pixel = in->pixels + c;
        for (size_t i = 0; i < n; i++) out[i] = number[pixel[i * (size_t)p->channels]];
        for (size_t i = n; i < all; i++) out[i] = 0; /* frames that a clip does not have */
    }
    return MN_OK;
}

mn_status mn_preprocess_apply(const mn_preprocess *p, const mn_image *in, float *out, mn_error *err) {
    mn_image sized = {0}, scratch = {0};
    mn_status s = mn_preprocess_pixels(p, in, &sized, &scratch, err);
    if (!s) s = mn_preprocess_floats(p, &sized, out, err);
    mn_image_free(&sized);
    mn_image_free(&scratch);
    return s;
}
