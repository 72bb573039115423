/* The steps of the pipeline that change pixels in place, and its description as text. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the ellipse ---- */

/* Row y's pixels first..last-1 lie inside: ((x - W/2) / (0.46 W))^2 + ((y - H/2) / (0.56 H))^2 <= 1 at their centres. */
static void inside(const mn_image *im, int y, int *first, int *last) {
    double dy = (y + 0.5 - 0.5 * im->height) / (0.56 * im->height);
    double half = 0.46 * im->width * sqrt(fmax(1 - dy * dy, 0)), middle = 0.5 * im->width - 0.5;
    *first = (int)ceil(fmax(middle - half, 0)), *last = (int)floor(fmin(middle + half, im->width - 1)) + 1;
    if (*last < *first) *last = *first;
}

mn_status mn_image_ellipse(mn_image *im, mn_error *err) {
    mn_status s = mn__image_check(im, "ellipse", err);
    if (s) return s;
    uint64_t sum[3] = {0}, n = 0;
    size_t C = (size_t)im->channels, row = (size_t)im->width * C;
    int first, last;
    for (int y = 0; y < im->height; y++) {
        inside(im, y, &first, &last);
        const uint8_t *p = im->pixels + (size_t)y * row;
        for (int x = first; x < last; x++, n++)
            for (size_t c = 0; c < C; c++) sum[c] += p[(size_t)x * C + c];
    }
    for (int y = 0; y < im->height && n; y++) {
        inside(im, y, &first, &last);
        uint8_t *p = im->pixels + (size_t)y * row;
        for (int x = 0; x < im->width; x++)
            for (size_t c = 0; c < C && (x < first || x >= last); c++) p[(size_t)x * C + c] = (uint8_t)((sum[c] + n / 2) / n);
    }
    return MN_OK;
}

/* ---- equalisation ---- */

static int luma(const uint8_t *p, int channels) {
    return channels == 1 ? p[0] : (int)(0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] + 0.5);
}

static void histogram(const mn_image *im, bool ellipse, uint64_t count[256]) {
    for (int y = 0; y < im->height; y++) {
        int first = 0, last = im->width;
        if (ellipse) inside(im, y, &first, &last);
        const uint8_t *p = im->pixels + ((size_t)y * (size_t)im->width + (size_t)first) * (size_t)im->channels;
        for (int x = first; x < last; x++, p += im->channels) count[luma(p, im->channels)]++;
    }
}

mn_status mn_image_equalize(mn_image *im, bool ellipse, mn_error *err) {
    mn_status s = mn__image_check(im, "equalize", err);
    if (s) return s;
    uint64_t count[256] = {0}, n = 0, lowest = 0, below = 0;
    int level[256];
    histogram(im, ellipse, count);
    for (int v = 0; v < 256; v++) n += count[v], lowest = lowest ? lowest : count[v];
    if (n == lowest) return MN_OK;
    for (int v = 0; v < 256; v++) {
        below += count[v]; /* at or below v */
        level[v] = below <= lowest ? 0 : (int)(255.0 * (double)(below - lowest) / (double)(n - lowest) + 0.5);
    }
    size_t pixels = (size_t)im->width * (size_t)im->height;
    uint8_t *p = im->pixels;
    for (size_t i = 0; i < pixels; i++, p += im->channels) {
        int old = luma(p, im->channels), moved = level[old] - old;
        for (int c = 0; c < im->channels; c++) {
            int v = p[c] + moved;
            p[c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
    return MN_OK;
}

/* ---- as text ---- */

static mn_status parse_step(const char *step, size_t n, mn_preprocess *p, mn_error *err) {
    bool *flag = n == 6 && !strncmp(step, "detect", n)     ? &p->detect
                 : n == 5 && !strncmp(step, "align", n)    ? &p->align
                 : n == 8 && !strncmp(step, "equalize", n) ? &p->equalize
                 : n == 7 && !strncmp(step, "ellipse", n)  ? &p->ellipse
                                                           : NULL;
    char *end = NULL;
    if (flag) {
        *flag = true;
    } else if (n > 7 && !strncmp(step, "margin=", 7)) {
        p->margin = strtod(step + 7, &end);
        if (end != step + n || !(p->margin >= -0.3 && p->margin <= 1))
            return mn_fail(err, MN_ERR_ARG, "pipeline: \"%.*s\"; wanted margin=-0.3 to margin=1", n > 40 ? 40 : (int)n, step);
    } else {
        return mn_fail(err, MN_ERR_ARG,
                       "pipeline: \"%.*s\" is no step; wanted detect, margin=X, align, equalize, ellipse with "
                       "commas between, or none",
                       n > 40 ? 40 : (int)n, step);
    }
    p->detect = p->detect || p->align || end;
    return MN_OK;
}

mn_status mn_pipeline_parse(const char *text, mn_preprocess *p, mn_error *err) {
    mn_preprocess q = *p;
    q.detect = q.align = q.equalize = q.ellipse = false, q.margin = 0;
    size_t n = strcspn(text, "\n");
    if (!(n == 4 && !strncmp(text, "none", n)))
        for (const char *at = text, *end = text + n;; at++) {
            size_t length = strcspn(at, ",\n");
            mn_status s = parse_step(at, length, &q, err);
            if (s) return s;
            if ((at += length) >= end) break;
        }
    *p = q;
    return MN_OK;
}

const char *mn_pipeline_text(const mn_preprocess *p, char *out, size_t size) {
    char margin[32] = "";
    if (p->margin != 0) snprintf(margin, sizeof margin, ",margin=%g", p->margin);
    snprintf(out, size, "%s%s%s%s%s", p->detect ? ",detect" : "", margin, p->align ? ",align" : "",
             p->equalize ? ",equalize" : "", p->ellipse ? ",ellipse" : "");
    if (*out)
        memmove(out, out + 1, strlen(out)); /* the first comma */
    else
        snprintf(out, size, "none");
    return out;
}
