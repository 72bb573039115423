/* Boxes, labels and bars. Text is as high as the face allows and stands on a filled rectangle. */
#include "apps/annotate.h"
#include "apps/draw.h"
#include <math.h>
#include <string.h>

static const draw_colour neutral = {235, 235, 235};
static const draw_colour colours[][2] = {
    /* by palette: man, woman */
    [PALETTE_PAPER] = {{214, 39, 40}, {31, 90, 220}},
    [PALETTE_SAFE] = {{230, 159, 0}, {0, 114, 178}},
    [PALETTE_PLAIN] = {{235, 235, 235}, {235, 235, 235}},
};

/* 0 man, 1 woman, -1 another word. */
static int gender_of(const char *word) {
    if (!strcmp(word, "man") || !strcmp(word, "male")) return 0;
    return !strcmp(word, "woman") || !strcmp(word, "female") ? 1 : -1;
}

static draw_colour colour_of(const predictor *p, const findings_face *f, annotate_palette palette) {
    for (int i = 0; i < p->heads; i++) {
        const predictor_head *h = &p->head[i];
        int g = strcmp(h->name, "gender") || predictor_unsure(h, f->value)
                    ? -1
                    : gender_of(h->class_name[predictor_best(h, f->value)]);
        if (g >= 0) return colours[palette][g];
    }
    return neutral;
}

/* Everything of one face in one scale. */
typedef struct style {
    double text, pad, line; /* height of capitals, space around it, from one line to the next */
    draw_colour colour;
} style;

static void label(mn_image *im, double x, double y, const style *s, const char *text) {
    draw_fill(im, x, y, draw_text_width(s->text, text) + 2 * s->pad, s->line, s->colour, 1);
    draw_text(im, x + s->pad, y + s->pad, s->text, draw_readable_on(s->colour), text);
}

static void head_text(const predictor_head *h, const float *value, char *buf, size_t size) {
    int best = predictor_best(h, value);
    snprintf(buf, size, "%s%.40s %.0f %%", predictor_unsure(h, value) ? "unsure, " : "", h->class_name[best],
             100 * (double)value[h->offset + best]);
}

/* A line a head above the box, or inside it where the picture ends. */
static void labels(mn_image *im, const predictor *p, const findings_face *f, const style *s) {
    double y = f->box.y - p->heads * s->line, width = 0;
    char text[64];
    if (y < 0) y = fmax(0, f->box.y);
    for (int i = 0; i < p->heads; i++) {
        head_text(&p->head[i], f->value, text, sizeof text);
        width = fmax(width, draw_text_width(s->text, text) + 2 * s->pad);
    }
    double x = fmax(0, fmin(f->box.x, im->width - width));
    for (int i = 0; i < p->heads; i++) {
        head_text(&p->head[i], f->value, text, sizeof text);
        label(im, x, y + i * s->line, s, text);
    }
}

/* The head whose classes are drawn as bars: the first with more than two, but not too many. */
static const predictor_head *bars_head(const predictor *p) {
    for (int i = 0; i < p->heads; i++)
        if (p->head[i].classes > 2 && p->head[i].classes <= 12) return &p->head[i];
    return NULL;
}

/* Below the box, else to its right or left, else inside its lower edge. */
static void place_bars(const mn_image *im, const face_box *b, double w, double h, double *x, double *y) {
    *x = fmax(0, fmin(b->x, im->width - w)), *y = b->y + b->h;
    if (*y + h <= im->height) return;
    double right = b->x + b->w, left = b->x - w;
    *y = fmax(0, fmin(right + w <= im->width || left >= 0 ? b->y : b->y + b->h - h, im->height - h));
    if (right + w <= im->width)
        *x = right;
    else if (left >= 0)
        *x = left;
}

/* Would the rectangle hide another face? */
static bool covers(const findings_face *face, int n, const findings_face *own, double x, double y, double w, double h) {
    for (int i = 0; i < n; i++) {
        const face_box *b = &face[i].box;
        if (&face[i] != own && x < b->x + b->w && b->x < x + w && y < b->y + b->h && b->y < y + h) return true;
    }
    return false;
}

/* Name and probability of every class; left out where they would hide another face. */
static void bars(mn_image *im, const predictor *p, const findings_face *face, int n, const findings_face *f, const style *s) {
    const predictor_head *h = bars_head(p);
    if (!h) return;
    double row = fmax(3, s->text * 1.1), small = row * 0.6, names = s->pad, x, y;
    bool named = small >= 6;
    for (int k = 0; k < h->classes && named; k++) names = fmax(names, draw_text_width(small, h->class_name[k]) + 2 * s->pad);
    double width = fmax(fmin(f->box.w, 2.5 * names), 1.6 * names), room = width - names - s->pad;
    if (!named) { /* too small to read: bars alone */
        row = s->text / 2;
        width = fmin(f->box.w, 6 * s->text), room = width - 2 * s->pad;
    }
    place_bars(im, &f->box, width, row * h->classes, &x, &y);
    if (covers(face, n, f, x, y, width, row * h->classes)) return;
    const draw_colour black = {0, 0, 0}, grey = {170, 170, 170}, white = {255, 255, 255};
    draw_fill(im, x, y, width, row * h->classes, black, 0.6);
    int best = predictor_unsure(h, f->value) ? -1 : predictor_best(h, f->value);
    for (int k = 0; k < h->classes; k++, y += row) {
        draw_colour c = k == best ? white : grey;
        if (named) draw_text(im, x + s->pad, y + row * 0.18, small, c, h->class_name[k]);
        double length = room * (double)f->value[h->offset + k];
        draw_fill(im, x + names, y + row * 0.3, fmax(1, length), fmax(1, row * 0.4), c, 1);
    }
}

void annotate(mn_image *im, const predictor *p, const findings_face *face, int n, annotate_palette palette) {
    double side = fmin(im->width, im->height);
    for (int i = 0; i < n; i++) {
        const findings_face *f = &face[i];
        double text = fmax(8, fmin(f->box.w / 9, side / 32));
        style s = {.text = text, .pad = round(text * 0.4), .colour = colour_of(p, f, palette)};
        s.line = round(text + 2 * s.pad + text / 6);
        draw_frame(im, f->box.x, f->box.y, f->box.w, f->box.h, fmax(1, fmin(f->box.w / 40, side / 200)), s.colour);
        bars(im, p, face, n, f, &s);
        labels(im, p, f, &s);
    }
}
