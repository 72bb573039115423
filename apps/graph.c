/* A network as SVG. Rows are the greatest distance from an input. In a row the layer with the longest way still to go stays
 * in the column of the layer it reads; others take a column to the right. A line that passes rows goes down in a column
 * whose cells are free there, which may be one without boxes: a lane. */
#include "apps/graph.h"
#include "apps/app.h"
#include "apps/svg.h"
#include <stdlib.h>
#include <string.h>

enum { BOX = 50, GAP = 34, ROW = BOX + GAP, BETWEEN = 20, LANE = 14, MARGIN = 24, NAME_SIZE = 12, SMALL_SIZE = 10 };
enum { FREE = -1 };

typedef struct node {
    mn_layer_look look;
    int row, column, below; /* below: layers on the longest way to an end */
    double width;
} node;

typedef struct graph {
    node *node;
    int n, rows, columns;
    int *cell;        /* (columns, rows): the layer whose box or line is there, or FREE */
    double *x, *wide; /* of each column: its middle, its width */
} graph;

static int *cell(graph *g, int column, int row) { return &g->cell[(size_t)column * (size_t)g->rows + (size_t)row]; }

/* Are rows from..to of the column free, or taken by lines of the same layer? */
static bool is_free(graph *g, int column, int from, int to, int owner) {
    for (int r = from; r <= to; r++)
        if (*cell(g, column, r) != FREE && *cell(g, column, r) != owner) return false;
    return true;
}

static void new_column(graph *g) {
    size_t cells = (size_t)(g->columns + 1) * (size_t)g->rows;
    int *grown = realloc(g->cell, cells * sizeof *grown);
    if (!grown) app_alloc(SIZE_MAX, 1); /* says that memory is out, and ends */
    g->cell = grown;
    g->columns++;
    for (int r = 0; r < g->rows; r++) *cell(g, g->columns - 1, r) = FREE;
}

/* The first such column from `first` on. */
static int take(graph *g, int first, int from, int to, int owner) {
    int c = first;
    while (c < g->columns && !is_free(g, c, from, to, owner)) c++;
    if (c == g->columns) new_column(g);
    for (int r = from; r <= to; r++) *cell(g, c, r) = owner;
    return c;
}

/* ---- rows and columns ---- */

static void find_rows(graph *g) {
    for (int i = 0; i < g->n; i++) {
        node *a = &g->node[i];
        for (int k = 0; k < a->look.n_in; k++)
            if (g->node[a->look.in[k]].row >= a->row) a->row = g->node[a->look.in[k]].row + 1;
        if (a->row >= g->rows) g->rows = a->row + 1;
    }
    for (int i = g->n; i-- > 0;)
        for (int k = 0; k < g->node[i].look.n_in; k++) {
            node *from = &g->node[g->node[i].look.in[k]];
            if (g->node[i].below >= from->below) from->below = g->node[i].below + 1;
        }
}

/* The input one row above, of several the one furthest left: -1 for an input. */
static int above(const graph *g, int i) {
    const node *a = &g->node[i];
    int best = -1;
    for (int k = 0; k < a->look.n_in; k++) {
        int from = a->look.in[k];
        if (g->node[from].row == a->row - 1 && (best < 0 || g->node[from].column < g->node[best].column)) best = from;
    }
    return best;
}

/* Does a layer of the same row have more right to stand under `from`? */
static bool has_rival(const graph *g, int i, int from) {
    for (int j = 0; j < g->n; j++) {
        const node *b = &g->node[j];
        if (j == i || b->row != g->node[i].row) continue;
        bool reads = false;
        for (int k = 0; k < b->look.n_in; k++) reads |= b->look.in[k] == from;
        if (reads && (b->below > g->node[i].below || (b->below == g->node[i].below && j < i))) return true;
    }
    return false;
}

static void place(graph *g) {
    for (int row = 0; row < g->rows; row++)
        for (int i = 0; i < g->n; i++) {
            node *a = &g->node[i];
            if (a->row != row) continue;
            int from = above(g, i), first = from < 0 ? 0 : g->node[from].column + has_rival(g, i, from);
            a->column = take(g, first, row, row, i);
        }
}

static void measure(graph *g) {
    g->x = app_alloc((size_t)g->columns, sizeof *g->x);
    g->wide = app_alloc((size_t)g->columns, sizeof *g->wide);
    for (int c = 0; c < g->columns; c++) g->wide[c] = LANE;
    for (int i = 0; i < g->n; i++)
        if (g->node[i].width > g->wide[g->node[i].column]) g->wide[g->node[i].column] = g->node[i].width;
    double at = MARGIN;
    for (int c = 0; c < g->columns; c++) {
        g->x[c] = at + g->wide[c] / 2;
        at += g->wide[c] + BETWEEN;
    }
}

/* ---- drawing ---- */

static const char *details(const node *a, char *buf, size_t size) {
    char shape[64];
    mn_shape_text(a->look.shape, shape, sizeof shape);
    if (!a->look.parameters)
        snprintf(buf, size, "%s", shape);
    else
        snprintf(buf, size, "%s   %lld parameters", shape, (long long)a->look.parameters);
    return buf;
}

static double width_of(const node *a) {
    char text[128];
    double w = (double)strlen(a->look.name) * 7.2, kind = (double)strlen(a->look.kind) * 6,
           more = (double)strlen(details(a, text, sizeof text)) * 6;
    if (kind > w) w = kind;
    if (more > w) w = more;
    return w < 110 ? 130 : w + 20;
}

static double top(const node *a) { return MARGIN + 24 + a->row * ROW; }

static void draw_box(FILE *f, const graph *g, const node *a) {
    char text[128];
    double x = g->x[a->column], y = top(a);
    const char *fill = a->look.is_output ? "#f7e8d8" : a->look.n_in == 0 ? "#e3f2e1" : "#e8eef7";
    fprintf(f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"6\" fill=\"%s\" stroke=\"%s\"/>\n",
            x - a->width / 2, y, a->width, BOX, fill, SVG_QUIET);
    svg_text(f, x, y + 16, NAME_SIZE, SVG_MIDDLE, SVG_INK, a->look.name);
    svg_text(f, x, y + 30, SMALL_SIZE, SVG_MIDDLE, SVG_INK, a->look.kind);
    svg_text(f, x, y + 43, SMALL_SIZE, SVG_MIDDLE, SVG_QUIET, details(a, text, sizeof text));
}

/* From layer `from` to input k of layer `to`: out below, down in a free column, in from above. */
static void draw_edge(FILE *f, const graph *g, int from, int lane, int to) {
    const node *a = &g->node[from], *b = &g->node[to];
    double x0 = g->x[a->column], x1 = g->x[lane], x2 = g->x[b->column];
    double out = top(a) + BOX, turn_out = out + 10, in = top(b), turn_in = in - 14;
    int side = lane > b->column ? 1 : lane < b->column ? -1 : 0;
    double end = x2 + side * b->width / 4;
    fprintf(f, "<path d=\"M%.1f %.1fV%.1fH%.1fV%.1fH%.1fV%.1f\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.4\"/>\n", x0, out,
            turn_out, x1, turn_in, end, in - 5, SVG_QUIET);
    fprintf(f, "<path d=\"M%.1f %.1fl-4 -7h8z\" fill=\"%s\"/>\n", end, in, SVG_QUIET);
}

/* The column of each line; lanes may make the picture wider. In the order in which draw_edges asks for them. */
static int *find_lanes(graph *g, int n_edges) {
    int *lane = app_alloc((size_t)n_edges + 1, sizeof *lane), e = 0;
    for (int i = 0; i < g->n; i++)
        for (int k = 0; k < g->node[i].look.n_in; k++) {
            int from = g->node[i].look.in[k];
            const node *a = &g->node[from], *b = &g->node[i];
            bool straight = b->row - a->row < 2;
            int own = is_free(g, a->column, a->row + 1, b->row - 1, from) ? a->column : b->column;
            if (!straight && !is_free(g, own, a->row + 1, b->row - 1, from))
                own = (a->column > b->column ? a->column : b->column) + 1;
            lane[e++] = straight ? a->column : take(g, own, a->row + 1, b->row - 1, from);
        }
    return lane;
}

static char *draw(graph *g, const mn_model *m, const int *lane, size_t *size) {
    char *text, title[400];
    double wide = 2 * MARGIN - BETWEEN;
    for (int c = 0; c < g->columns; c++) wide += g->wide[c] + BETWEEN;
    mn_model_stats s = mn_model_count(m);
    snprintf(title, sizeof title, "%.200s: %lld parameters, %lld multiply-adds a sample", mn_model_name(m),
             (long long)s.parameters, (long long)s.macs);
    double words = (double)strlen(title) * 7.2 + 2 * MARGIN;
    FILE *f = svg_open(&text, size, (int)(wide > words ? wide : words), 2 * MARGIN + 24 + g->rows * ROW - GAP, title);
    svg_text(f, MARGIN, MARGIN + 6, NAME_SIZE, SVG_START, SVG_INK, title);
    for (int i = 0, e = 0; i < g->n; i++)
        for (int k = 0; k < g->node[i].look.n_in; k++, e++) draw_edge(f, g, g->node[i].look.in[k], lane[e], i);
    for (int i = 0; i < g->n; i++) draw_box(f, g, &g->node[i]);
    return svg_close(f, &text);
}

char *graph_svg(const mn_model *m, size_t *size) {
    graph g = {.n = mn_model_layers(m)};
    int edges = 0;
    g.node = app_alloc((size_t)g.n + 1, sizeof *g.node);
    for (int i = 0; i < g.n; i++) {
        g.node[i] = (node){.look = mn_model_look(m, i)};
        g.node[i].width = width_of(&g.node[i]);
        edges += g.node[i].look.n_in;
    }
    find_rows(&g);
    place(&g);
    int *lane = find_lanes(&g, edges);
    measure(&g);
    char *svg = draw(&g, m, lane, size);
    free(lane);
    free(g.x);
    free(g.wide);
    free(g.cell);
    free(g.node);
    return svg;
}
