/* Sheets of maps, kernels and answers, drawn into RGB pictures. See look_draw.h. */
#include "apps/look_draw.h"
#include "apps/app.h"
#include "apps/draw.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 6, CAPTION = 26, LETTERS = 12, MOST_MAPS = 256, SIDE = 192 };

typedef struct colour {
    double r, g, b; /* 0..1 */
} colour;
static const colour orange = {0.835, 0.369, 0}, blue = {0, 0.447, 0.698}, white = {1, 1, 1};

static colour blend(colour a, colour b, double share) {
    return (colour){a.r + share * (b.r - a.r), a.g + share * (b.g - a.g), a.b + share * (b.b - a.b)};
}

static void put(mn_image *im, int x, int y, colour c) {
    uint8_t *p = im->pixels + ((size_t)y * (size_t)im->width + (size_t)x) * 3;
    p[0] = (uint8_t)lround(255 * c.r), p[1] = (uint8_t)lround(255 * c.g), p[2] = (uint8_t)lround(255 * c.b);
}

static colour at(const mn_image *im, int x, int y) {
    const uint8_t *p = im->pixels + ((size_t)y * (size_t)im->width + (size_t)x) * (size_t)im->channels;
    return (colour){p[0] / 255.0, p[im->channels > 1] / 255.0, p[im->channels > 1 ? 2 : 0] / 255.0};
}

static mn_status white_page(mn_image *im, int width, int height, mn_error *err) {
    mn_status s = mn_image_reserve(im, width, height, 3, err);
    if (!s) memset(im->pixels, 255, (size_t)width * (size_t)height * 3);
    return s;
}

static const draw_colour ink = {0x22, 0x22, 0x22};

void look_peak(const look_maps *m, double *x, double *y) {
    int best = 0;
    for (int i = 1; i < m->height * m->width; i++)
        if (m->v[i] > m->v[best]) best = i;
    *x = (best % m->width + 0.5) / m->width, *y = (best / m->width + 0.5) / m->height;
}

/* ---- grids ---- */

typedef struct grid {
    int columns, zoom, width, height; /* of a cell, without its gap */
} grid;

/* Cells of w x h numbers, n of them, enlarged so that small ones are seen. */
static grid make_grid(int n, int w, int h) {
    int columns = (int)ceil(sqrt(n)), zoom = 96 / (w > h ? w : h);
    zoom = zoom < 1 ? 1 : zoom > 16 ? 16 : zoom;
    if (columns * (w * zoom + GAP) < 300) columns = n < 8 ? n : 8;
    return (grid){.columns = columns, .zoom = zoom, .width = w * zoom, .height = h * zoom};
}

static mn_status open_sheet(mn_image *out, const grid *g, int n, const char *caption, mn_error *err) {
    int rows = (n + g->columns - 1) / g->columns, wide = GAP + g->columns * (g->width + GAP);
    int text = 2 * GAP + (int)draw_text_width(LETTERS, caption);
    mn_status s = white_page(out, wide > text ? wide : text, CAPTION + rows * (g->height + GAP), err);
    if (!s) draw_text(out, GAP, 7, LETTERS, ink, caption);
    return s;
}

static void corner(const grid *g, int i, int *x, int *y) {
    *x = GAP + i % g->columns * (g->width + GAP), *y = CAPTION + i / g->columns * (g->height + GAP);
}

mn_status look_draw_maps(const look_maps *m, const char *caption, mn_image *out, mn_error *err) {
    int channels = m->channels < MOST_MAPS ? m->channels : MOST_MAPS, pixels = m->height * m->width;
    grid g = make_grid(channels, m->width, m->height);
    double lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < channels * pixels; i++) lo = fmin(lo, m->v[i]), hi = fmax(hi, m->v[i]);
    mn_status s = open_sheet(out, &g, channels, caption, err);
    for (int c = 0; c < channels && !s; c++) {
        int x0, y0;
        corner(&g, c, &x0, &y0);
        for (int y = 0; y < g.height; y++)
            for (int x = 0; x < g.width; x++) {
                double v = m->v[c * pixels + y / g.zoom * m->width + x / g.zoom], share = hi > lo ? (v - lo) / (hi - lo) : 0;
                put(out, x0 + x, y0 + y, (colour){share, share, share});
            }
    }
    return s;
}

/* A number of -1..1 between two colours, white being 0. */
static colour signed_colour(double v) { return v < 0 ? blend(white, blue, -v) : blend(white, orange, v); }

mn_status look_draw_kernels(const mn_tensor *w, const char *caption, mn_image *out, mn_error *err) {
    int K = (int)(w->shape.dim[0] < MOST_MAPS ? w->shape.dim[0] : MOST_MAPS), C = (int)w->shape.dim[1];
    int R = (int)w->shape.dim[2], S = (int)w->shape.dim[3], n = R * S;
    double *v = app_alloc((size_t)w->count, sizeof *v);
    grid g = make_grid(K, S, R);
    mn_status s =
        mn_get_f64(w, v) ? mn_fail(err, MN_ERR_ARG, "%s", mn_context_error(w->ctx)->text) : open_sheet(out, &g, K, caption, err);
    for (int k = 0; k < K && !s; k++) {
        const double *own = v + (size_t)k * (size_t)C * (size_t)n;
        double most = 1e-30;
        int x0, y0;
        corner(&g, k, &x0, &y0);
        for (int i = 0; i < C * n; i++) most = fmax(most, fabs(own[i]));
        for (int y = 0; y < g.height; y++)
            for (int x = 0; x < g.width; x++) {
                int i = y / g.zoom * S + x / g.zoom;
                double mean = 0;
                for (int c = 0; c < C; c++) mean += own[c * n + i] / most / C;
                put(out, x0 + x, y0 + y,
                    C == 3 ? (colour){0.5 + own[i] / most / 2, 0.5 + own[n + i] / most / 2, 0.5 + own[2 * n + i] / most / 2}
                           : signed_colour(mean));
            }
    }
    free(v);
    return s;
}

/* ---- answers ---- */

/* Bilinear, pixel centres at +0.5; the border goes on. u, v: 0..1. */
static double sample(const look_maps *m, double u, double v) {
    double x = fmin(fmax(u * m->width - 0.5, 0), m->width - 1), y = fmin(fmax(v * m->height - 0.5, 0), m->height - 1);
    int x0 = (int)x, y0 = (int)y, x1 = x0 + (x0 + 1 < m->width), y1 = y0 + (y0 + 1 < m->height);
    double a = x - x0, b = y - y0;
    const double *p = m->v;
    return (1 - b) * ((1 - a) * p[y0 * m->width + x0] + a * p[y0 * m->width + x1]) +
           b * ((1 - a) * p[y1 * m->width + x0] + a * p[y1 * m->width + x1]);
}

static double largest(const look_maps *m) {
    double most = 1e-30;
    for (int i = 0; i < m->channels * m->height * m->width; i++) most = fmax(most, fabs(m->v[i]));
    return most;
}

/* What guided backpropagation left at a pixel, as a colour about grey. */
static colour guided_at(const look_maps *g, double most, int i) {
    int n = g->height * g->width;
    double v[3];
    for (int c = 0; c < 3; c++) v[c] = 0.5 + g->v[(g->channels == 3 ? c : 0) * n + i] / most / 2;
    return (colour){v[0], v[1], v[2]};
}

static void draw_row(mn_image *out, const mn_image *picture, const look_row *r, int top, int wide, int high) {
    double cam = largest(&r->cam), guided = largest(&r->guided);
    draw_text(out, GAP, top + 7, LETTERS, ink, r->caption);
    for (int y = 0; y < high; y++)
        for (int x = 0; x < wide; x++) {
            double u = (x + 0.5) / wide, v = (y + 0.5) / high;
            int px = (int)(u * picture->width), py = (int)(v * picture->height);
            colour c = at(picture, px, py);
            put(out, GAP + x, top + CAPTION + y, c);
            put(out, 2 * GAP + wide + x, top + CAPTION + y, blend(c, orange, 0.8 * sample(&r->cam, u, v) / cam));
            int i = (int)(v * r->guided.height) * r->guided.width + (int)(u * r->guided.width);
            put(out, 3 * GAP + 2 * wide + x, top + CAPTION + y, guided_at(&r->guided, guided, i));
        }
}

mn_status look_draw_answers(const mn_image *picture, const look_row *row, int n, mn_image *out, mn_error *err) {
    int wide = SIDE, high = (int)((int64_t)SIDE * picture->height / picture->width);
    mn_status s = white_page(out, 3 * wide + 4 * GAP, n * (CAPTION + high + GAP), err);
    for (int i = 0; i < n && !s; i++) draw_row(out, picture, &row[i], i * (CAPTION + high + GAP), wide, high);
    return s;
}
