/* Planes with their padding around them, copied row after row into one long row. With W' its padded width, every element
 * of a kernel is then a fixed distance along that row, r*dilation*W' + s*dilation, and loops over it need no borders:
 * whole vectors from the first result to the last. The W'-Q results at the end of each row mean nothing. Stride 1. */
#ifndef MIEN_CPU_CONV2D_FRAME_H
#define MIEN_CPU_CONV2D_FRAME_H
#include "cpu/conv2d.h"
#include "cpu/line.h"

/* A plane of `height` rows of `width` with the padding that makes `height_out` x `width_out` results. */
typedef struct frame {
    int64_t height, width, top, left, rows, columns; /* rows, columns: with padding */
    int64_t height_out, width_out;
} frame;

/* Forward: of x, for y. Backward: of dy, for dx, with the kernel rotated by half a turn. */
static inline frame frame_of(const mn__window *g, bool backward) {
    int64_t reach_h = g->dilation_h * (g->R - 1), reach_w = g->dilation_w * (g->S - 1);
    if (!backward) return (frame){g->H, g->W, g->top, g->left, g->P + reach_h, g->Q + reach_w, g->P, g->Q};
    return (frame){g->P, g->Q, reach_h - g->top, reach_w - g->left, g->H + reach_h, g->W + reach_w, g->H, g->W};
}

/* Numbers that a padded plane takes; the last windows read on beyond its end, by less than a row and a vector. */
static inline int64_t frame_size(const frame *f) { return padded((f->rows + 1) * f->columns + 2 * LANES); }

/* to[i] = from[i] + bias for a short row; the last vector may overlap the one before it. */
INLINE void copy_row(int64_t n, const REAL *from, REAL bias, REAL *to) {
    if (n < LANES) {
        for (int64_t i = 0; i < n; i++) to[i] = from[i] + bias;
        return;
    }
    vec b = broadcast(bias);
    for (int64_t i = 0; i + LANES <= n; i += LANES) store(to + i, load(from + i) + b);
    store(to + n - LANES, load(from + n - LANES) + b);
}

/* to[i] = the line at from[i], or from[i] where there is none, for a row. */
INLINE void copy_through(int64_t n, const REAL *from, const line *through, REAL *to) {
    if (through) follow_line(n, *through, from, to);
    else copy_row(n, from, 0, to);
}

/* The padded plane where nothing is cropped: zeros are written between the rows alone. */
static inline void copy_whole(const frame *f, const REAL *from, const line *through, REAL *to) {
    int64_t gap = f->columns - f->width, end = frame_size(f), at = f->top * f->columns + f->left;
    memset(to, 0, (size_t)at * sizeof *to);
    for (int64_t h = 0; h < f->height; h++, from += f->width) {
        copy_through(f->width, from, through, to + at);
        at += f->width;
        for (int64_t i = 0; i < gap; i++) to[at + i] = 0;
        at += gap;
    }
    memset(to + at, 0, (size_t)(end - at) * sizeof *to);
}

/* The padded plane, of what `through` makes of it if that is not NULL; where padding is negative, what lies outside of the frame
 * is cropped. */
static inline void copy_in(const frame *f, const REAL *from, const line *through, REAL *to) {
    if (f->top >= 0 && f->left >= 0 && f->top + f->height <= f->rows && f->left + f->width <= f->columns) {
        copy_whole(f, from, through, to);
        return;
    }
    memset(to, 0, (size_t)frame_size(f) * sizeof *to);
    int64_t w0 = f->left < 0 ? -f->left : 0, w1 = f->columns - f->left < f->width ? f->columns - f->left : f->width;
    for (int64_t h = 0; h < f->height; h++)
        if (h + f->top >= 0 && h + f->top < f->rows && w1 > w0)
            copy_through(w1 - w0, from + h * f->width + w0, through, to + (h + f->top) * f->columns + f->left + w0);
}

/* y (+)= bias + the results of a frame, without what means nothing. */
static inline void copy_out(const frame *f, const REAL *result, REAL bias, bool add, REAL *y) {
    for (int64_t p = 0; p < f->height_out; p++, y += f->width_out, result += f->columns)
        if (add)
            for (int64_t q = 0; q < f->width_out; q++) y[q] += result[q];
        else
            copy_row(f->width_out, result, bias, y);
}
#endif
