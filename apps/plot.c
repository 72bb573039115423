/* SVG written by hand: a page of white, panels and matrices on it. */
#include "apps/plot.h"
#include "apps/app.h"
#include "apps/progress.h"
#include "apps/svg.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- curves ---- */

typedef struct axes {
    double left, top, width, height; /* of the drawing area */
    double lo, hi, step;             /* of y and its grid */
    int n;                           /* epochs */
} axes;

static double px(const axes *a, double epoch) {
    return a->left + (a->n > 1 ? (epoch - 1) / (a->n - 1) * a->width : a->width / 2);
}
static double py(const axes *a, double y) { return a->top + (a->hi - y) / (a->hi - a->lo) * a->height; }

static void find_range(axes *a, const plot_panel *p) {
    double lo = INFINITY, hi = -INFINITY;
    for (int s = 0; s < p->n_series; s++)
        for (int i = 0; i < a->n; i++) {
            double y = p->series[s].y[i];
            if (isfinite(y)) lo = fmin(lo, y), hi = fmax(hi, y);
        }
    if (!(hi >= lo)) lo = 0, hi = 1;
    if (hi - lo < 1e-6 + 1e-3 * fabs(hi)) lo -= 0.05 * fabs(hi) + 0.01, hi += 0.05 * fabs(hi) + 0.01;
    double step = a->step = svg_step(hi - lo, 5);
    a->lo = floor(lo / step + 1e-9) * step;
    a->hi = ceil(hi / step - 1e-9) * step;
    if (p->percent) a->lo = fmax(a->lo, 0), a->hi = fmin(a->hi, 1);
}

static void draw_axes(FILE *f, const axes *a, const plot_panel *p) {
    double step = a->step;
    char label[64];
    for (int i = 0; a->lo + i * step <= a->hi + 1e-9 * step; i++) {
        double v = a->lo + i * step, y = py(a, v);
        svg_line(f, a->left, y, a->left + a->width, y, SVG_GRID, 1);
        if (p->percent)
            snprintf(label, sizeof label, "%.*f %%", step < 0.01 ? 1 : 0, 100 * v);
        else
            snprintf(label, sizeof label, "%.*f", step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3, v);
        svg_text(f, a->left - 8, y + 4.5, 13, SVG_END, SVG_QUIET, label);
    }
    double every = a->n > 1 ? fmax(1, svg_step(a->n - 1, 6)) : 1;
    svg_line(f, a->left, a->top + a->height, a->left + a->width, a->top + a->height, SVG_QUIET, 1);
    for (int e = 1; e <= a->n; e++) {
        bool shown = every == 1 || e % (int)every == 0 || (e == 1 && every < 3);
        if (!shown) continue;
        svg_line(f, px(a, e), a->top + a->height, px(a, e), a->top + a->height + 4, SVG_QUIET, 1);
        snprintf(label, sizeof label, "%d", e);
        svg_text(f, px(a, e), a->top + a->height + 19, 13, SVG_MIDDLE, SVG_QUIET, label);
    }
    svg_text(f, a->left + a->width / 2, a->top + a->height + 38, 13, SVG_MIDDLE, SVG_QUIET, "epoch");
    svg_text(f, a->left, a->top - 14, 15, SVG_START, SVG_INK, p->title);
}

static void draw_series(FILE *f, const axes *a, const plot_series *s) {
    const char *colour = svg_palette[s->colour % 7];
    fprintf(f, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\"%s d=\"", colour,
            s->dashed ? " stroke-dasharray=\"6 4\"" : "");
    bool pen = false;
    for (int i = 0; i < a->n; i++) {
        if (!isfinite(s->y[i])) {
            pen = false;
            continue;
        }
        fprintf(f, "%c%.1f %.1f", pen ? 'L' : 'M', px(a, i + 1), py(a, s->y[i]));
        pen = true;
    }
    fputs("\"/>\n", f);
    for (int i = 0; i < a->n; i++) /* a point without neighbours would not be seen */
        if (isfinite(s->y[i]) && (i == 0 || !isfinite(s->y[i - 1])) && (i == a->n - 1 || !isfinite(s->y[i + 1])))
            fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", px(a, i + 1), py(a, s->y[i]), colour);
}

/* Names at the ends of their lines, moved apart until they do not overlap. */
static void draw_names(FILE *f, const axes *a, const plot_panel *p) {
    double y[PLOT_MAX_SERIES];
    int order[PLOT_MAX_SERIES], n = 0;
    for (int s = 0; s < p->n_series; s++) {
        int last = a->n - 1;
        while (last >= 0 && !isfinite(p->series[s].y[last])) last--;
        if (last < 0) continue;
        y[s] = py(a, p->series[s].y[last]) + 4.5;
        int k = n++;
        for (; k > 0 && y[order[k - 1]] > y[s]; k--) order[k] = order[k - 1];
        order[k] = s;
    }
    for (int k = 1; k < n; k++) y[order[k]] = fmax(y[order[k]], y[order[k - 1]] + 16);
    double over = n ? y[order[n - 1]] - (a->top + a->height + 4) : 0;
    for (int k = n - 1; k >= 0 && over > 0; k--) { /* pushed out below: shift back up */
        double limit = k == n - 1 ? a->top + a->height + 4 : y[order[k + 1]] - 16;
        y[order[k]] = fmin(y[order[k]], limit);
    }
    for (int k = 0; k < n; k++)
        svg_text(f, a->left + a->width + 8, y[order[k]], 13, SVG_START, svg_palette[p->series[order[k]].colour % 7],
                 p->series[order[k]].name);
}

static void draw_best(FILE *f, const axes *a, int epoch) {
    char label[32];
    snprintf(label, sizeof label, "best: %d", epoch);
    double x = px(a, epoch);
    fprintf(f,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"1\" "
            "stroke-dasharray=\"2 3\"/>\n",
            x, a->top, x, a->top + a->height, SVG_QUIET);
    svg_text(f, x, a->top - 2, 12, epoch * 2 > a->n ? SVG_END : SVG_START, SVG_QUIET, label);
}

char *plot_curves(const char *title, const plot_panel *panel, int n_panels, int n, int best_epoch, size_t *size) {
    enum { LEFT = 62, RIGHT = 138, TOP = 84, WIDTH = 330, HEIGHT = 250, BOTTOM = 56 };
    char *text = NULL;
    int cell = LEFT + WIDTH + RIGHT;
    FILE *f = svg_open(&text, size, n_panels * cell, TOP + HEIGHT + BOTTOM, title);
    svg_text(f, LEFT, 32, 18, SVG_START, SVG_INK, title);
    for (int i = 0; i < n_panels; i++) {
        axes a = {.left = i * cell + LEFT, .top = TOP, .width = WIDTH, .height = HEIGHT, .n = n};
        find_range(&a, &panel[i]);
        draw_axes(f, &a, &panel[i]);
        if (best_epoch > 0) draw_best(f, &a, best_epoch);
        for (int s = 0; s < panel[i].n_series; s++) draw_series(f, &a, &panel[i].series[s]);
        draw_names(f, &a, &panel[i]);
    }
    return svg_close(f, &text);
}

/* ---- confusion matrices ---- */

typedef struct grid {
    double left, top, cell;
    int classes;
    double label_width;
} grid;

static int longest_name(const plot_matrix *m) {
    int longest = 0;
    for (int k = 0; k < m->m->classes; k++) {
        int n = (int)strlen(m->class_name[k]);
        if (n > longest) longest = n;
    }
    return longest > 24 ? 24 : longest;
}

static grid layout(const plot_matrix *m, double top) {
    int K = m->m->classes;
    grid g = {.classes = K, .label_width = 30 + 7.6 * longest_name(m)};
    g.cell = K <= 8 ? 62 : K <= 12 ? 50 : K <= 20 ? 36 : K <= 40 ? 22 : 880. / K;
    g.left = g.label_width + 26;
    g.top = top + 74 + (g.cell < 60 ? 5.6 * longest_name(m) : 16);
    return g;
}

/* White to dark blue, evenly in lightness. */
static void shade(char *out, size_t size, double share) {
    static const double stop[5][3] = {{255, 255, 255}, {206, 224, 242}, {126, 178, 218}, {44, 118, 182}, {8, 54, 110}};
    double at = fmin(fmax(share, 0), 1) * 4;
    int i = at >= 4 ? 3 : (int)at;
    double t = at - i;
    int rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = (int)(stop[i][c] + t * (stop[i + 1][c] - stop[i][c]) + .5);
    snprintf(out, size, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
}

static void draw_cell(FILE *f, const grid *g, const metrics *m, int row, int column) {
    int64_t count = m->confusion[row * g->classes + column];
    double x = g->left + column * g->cell, y = g->top + row * g->cell;
    double share = m->support[row] ? (double)count / (double)m->support[row] : 0;
    char colour[8], text[32];
    shade(colour, sizeof colour, share);
    fprintf(f,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" stroke=\"%s\" "
            "stroke-width=\"%s\"/>\n",
            x, y, g->cell, g->cell, colour, row == column ? SVG_INK : SVG_GRID, row == column ? "1.5" : "0.7");
    const char *ink = share > 0.5 ? "white" : SVG_INK;
    if (g->cell < 30 || !m->support[row] || (count == 0 && g->cell < 48)) return;
    snprintf(text, sizeof text, "%.0f", 100 * share);
    if (g->cell < 48) {
        svg_text(f, x + g->cell / 2, y + g->cell / 2 + 4, 12, SVG_MIDDLE, ink, text);
        return;
    }
    svg_text(f, x + g->cell / 2, y + g->cell / 2 + 1, 16, SVG_MIDDLE, count ? ink : "#999999", text);
    progress_number(text, sizeof text, count);
    svg_text(f, x + g->cell / 2, y + g->cell / 2 + 17, 11, SVG_MIDDLE, share > 0.5 ? "#e8eef5" : SVG_QUIET, text);
}

static void draw_labels(FILE *f, const grid *g, const plot_matrix *m) {
    double side = g->classes * g->cell;
    int size = g->cell < 14 ? 8 : g->cell < 22 ? 10 : 13;
    char text[64];
    for (int k = 0; k < g->classes; k++) {
        double middle = (k + 0.5) * g->cell, x = g->left + middle, y = g->top - 8;
        char name[64];
        snprintf(name, sizeof name, "%.*s", 24, m->class_name[k]);
        svg_text(f, g->left - 8, g->top + middle + 4.5, size, SVG_END, SVG_INK, name);
        if (g->cell >= 60 && strlen(name) <= 9)
            svg_text(f, x, y, size, SVG_MIDDLE, SVG_INK, name);
        else {
            fprintf(f, "<g transform=\"rotate(-45 %.1f %.1f)\">", x, y);
            svg_text(f, x, y, size, SVG_START, SVG_INK, name);
            fputs("</g>\n", f);
        }
        svg_text(f, g->left + side + 10, g->top + middle + 4.5, size, SVG_START, SVG_QUIET,
                 progress_number(text, sizeof text, m->m->support[k]));
        if (g->cell < 30) continue;
        if (isnan(m->m->precision[k]))
            strcpy(text, "-");
        else
            snprintf(text, sizeof text, "%.0f", 100 * m->m->precision[k]);
        svg_text(f, x, g->top + side + 20, size, SVG_MIDDLE, SVG_QUIET, text);
    }
    if (g->cell >= 30) svg_text(f, g->left - 8, g->top + side + 20, 12, SVG_END, SVG_QUIET, "precision %");
    svg_text(f, g->left + side + 10, g->top - 8, 12, SVG_START, SVG_QUIET, "pictures");
    double cx = 16, cy = g->top + side / 2;
    fprintf(f, "<g transform=\"rotate(-90 %.1f %.1f)\">", cx, cy);
    svg_text(f, cx, cy, 13, SVG_MIDDLE, SVG_QUIET, "labelled");
    fputs("</g>\n", f);
    svg_text(f, g->left + side / 2, g->top + side + 44, 13, SVG_MIDDLE, SVG_QUIET, "predicted (rows sum to 100 %)");
}

static void draw_matrix(FILE *f, const plot_matrix *m, const grid *g, double top) {
    char text[160], n[32];
    double left = 16;
    progress_number(n, sizeof n, m->m->n);
    if (m->m->n)
        snprintf(text, sizeof text, "%s: %.1f %% right (95 %%: %.1f to %.1f), macro F1 %.3f, %s pictures", m->name,
                 100 * m->m->accuracy, 100 * m->m->accuracy_lo, 100 * m->m->accuracy_hi, m->m->macro_f1, n);
    else
        snprintf(text, sizeof text, "%s: no pictures with a label", m->name);
    svg_text(f, left, top + 26, 15, SVG_START, SVG_INK, text);
    for (int row = 0; row < g->classes; row++)
        for (int column = 0; column < g->classes; column++)
            if (row != column) draw_cell(f, g, m->m, row, column);
    for (int k = 0; k < g->classes; k++) draw_cell(f, g, m->m, k, k); /* their frames on top */
    draw_labels(f, g, m);
}

char *plot_confusion(const char *title, const plot_matrix *matrix, int n, size_t *size) {
    double width = 620, height = 50;
    for (int i = 0; i < n; i++) {
        grid g = layout(&matrix[i], height);
        double right = g.left + g.classes * g.cell + 90;
        if (right > width) width = right;
        height = g.top + g.classes * g.cell + 70;
    }
    char *text = NULL;
    FILE *f = svg_open(&text, size, (int)width, (int)height, title);
    svg_text(f, 16, 32, 18, SVG_START, SVG_INK, title);
    double top = 50;
    for (int i = 0; i < n; i++) {
        grid g = layout(&matrix[i], top);
        draw_matrix(f, &matrix[i], &g, top);
        top = g.top + g.classes * g.cell + 70;
    }
    return svg_close(f, &text);
}
