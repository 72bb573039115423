/* Reliability diagrams and risk-coverage curves. */
#include "apps/app.h"
#include "apps/plot.h"
#include "apps/progress.h"
#include "apps/svg.h"
#include <math.h>
#include <stdlib.h>

enum { SIDE = 300, LEFT = 66, TOP = 64, GAP = 96, CELL = SIDE + TOP + 74 };

/* A square panel with both axes from 0 to x_most and y_most. */
typedef struct panel {
    double left, top, y_most;
} panel;

static double px(const panel *a, double x) { return a->left + x * SIDE; }
static double py(const panel *a, double y) { return a->top + SIDE * (1 - y / a->y_most); }

static void draw_frame(FILE *f, const panel *a, const char *title, const char *x_name, const char *y_name) {
    double step = svg_step(a->y_most, 5);
    char label[32];
    for (int i = 0; i * step <= a->y_most * 1.0001; i++) {
        svg_line(f, a->left, py(a, i * step), a->left + SIDE, py(a, i * step), SVG_GRID, 1);
        snprintf(label, sizeof label, "%.*f %%", step < 0.01 ? 1 : 0, 100 * i * step);
        svg_text(f, a->left - 8, py(a, i * step) + 4.5, 13, SVG_END, SVG_QUIET, label);
    }
    for (int i = 0; i <= 5; i++) {
        snprintf(label, sizeof label, "%d", 20 * i);
        svg_text(f, px(a, i / 5.), a->top + SIDE + 19, 13, SVG_MIDDLE, SVG_QUIET, label);
    }
    svg_line(f, a->left, a->top + SIDE, a->left + SIDE, a->top + SIDE, SVG_QUIET, 1);
    svg_text(f, a->left, a->top - 14, 15, SVG_START, SVG_INK, title);
    svg_text(f, a->left + SIDE / 2., a->top + SIDE + 40, 13, SVG_MIDDLE, SVG_QUIET, x_name);
    fprintf(f, "<g transform=\"rotate(-90 %.1f %.1f)\">", a->left - 50, a->top + SIDE / 2.);
    svg_text(f, a->left - 50, a->top + SIDE / 2., 13, SVG_MIDDLE, SVG_QUIET, y_name);
    fputs("</g>\n", f);
}

/* A bar for each bin, as wide as its share of the pictures allows to see; the diagonal is where they should
 * end. */
static void draw_reliability(FILE *f, const panel *a, const plot_calibration_head *h) {
    char title[80];
    int64_t most = 1;
    snprintf(title, sizeof title, "%.40s: calibration error %.3f", h->name, h->m->ece);
    draw_frame(f, a, title, "how sure (%)", "right");
    for (int b = 0; b < METRICS_BINS; b++)
        if (h->bin[b].n > most) most = h->bin[b].n;
    for (int b = 0; b < METRICS_BINS; b++) {
        if (!h->bin[b].n) continue;
        double width = (double)SIDE / METRICS_BINS, height = SIDE * h->bin[b].accuracy;
        double shade = 0.25 + 0.75 * sqrt((double)h->bin[b].n / (double)most);
        fprintf(f,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                "fill-opacity=\"%.2f\"/>\n",
                px(a, (double)b / METRICS_BINS) + 1, a->top + SIDE - height, width - 2, height, svg_palette[0], shade);
        double lo, hi, x = px(a, h->bin[b].confidence);
        metrics_wilson((int64_t)llround(h->bin[b].accuracy * (double)h->bin[b].n), h->bin[b].n, &lo, &hi);
        svg_line(f, x, py(a, lo), x, py(a, hi), SVG_INK, 1);
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", x, py(a, h->bin[b].accuracy), SVG_INK);
    }
    svg_line(f, px(a, 0), py(a, 0), px(a, 1), py(a, 1), svg_palette[1], 1.5);
}

static void draw_risk(FILE *f, const panel *a, const plot_calibration_head *h) {
    char title[80];
    snprintf(title, sizeof title, "error among the surest (mean %.1f %%)", 100 * h->risk_area);
    draw_frame(f, a, title, "pictures answered (%)", "wrong");
    int64_t dots = h->points < 600 ? h->points : 600;
    fprintf(f, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\" d=\"", svg_palette[0]);
    for (int64_t d = 1; d <= dots; d++) {
        int64_t i = d * h->points / dots - 1;
        fprintf(f, "%c%.1f %.1f", d > 1 ? 'L' : 'M', px(a, (double)(i + 1) / (double)h->points),
                py(a, fmin(h->risk[i], a->y_most)));
    }
    fputs("\"/>\n", f);
    if (!(h->answered < 1)) return;
    double x = px(a, h->answered), y = py(a, h->answered_error);
    fprintf(f,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"1\" "
            "stroke-dasharray=\"2 3\"/>\n",
            x, a->top, x, a->top + SIDE, SVG_QUIET);
    fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x, y, svg_palette[1]);
    svg_text(f, x - 6, a->top + 14, 12, SVG_END, SVG_QUIET, "unsure beyond");
}

/* The largest error of the curve beyond its first, jumpy tenth, rounded up to a grid line. */
static double highest_risk(const plot_calibration_head *h) {
    double most = 0.01;
    for (int64_t i = h->points / 10; i < h->points; i++) most = fmax(most, h->risk[i]);
    double step = svg_step(most, 5);
    return fmin(1, ceil(most / step - 1e-9) * step);
}

char *plot_calibration(const char *title, const plot_calibration_head *head, int n, size_t *size) {
    char *text = NULL;
    FILE *f = svg_open(&text, size, 2 * (LEFT + SIDE) + GAP, 40 + n * CELL, title);
    svg_text(f, 16, 30, 18, SVG_START, SVG_INK, title);
    for (int i = 0; i < n; i++) {
        panel a = {.left = LEFT, .top = 20 + TOP + i * CELL, .y_most = 1}, b = {.left = LEFT + SIDE + GAP, .top = a.top};
        draw_reliability(f, &a, &head[i]);
        b.y_most = highest_risk(&head[i]);
        if (head[i].points) draw_risk(f, &b, &head[i]);
    }
    return svg_close(f, &text);
}
