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

/* What a vector of a row becomes: way is a constant where this is inlined. */
typedef enum way { AS_IS, LINE, LINE_RELU } way;
INLINE vec on_way(way how, const line *l, vec x) {
    if (how == AS_IS) return x;
    vec z = (x - broadcast(l->mean)) * broadcast(l->factor) + broadcast(l->beta);
    return how == LINE ? z : choose(z > 0, z, (vec){0});
}

/* A row of n numbers. `room` of them can be read from `from` on; as many can be written. The last vector overlaps the one before
 * it, or goes beyond the end of a short row. */
INLINE void copy_on_way(way how, const line *l, int64_t n, int64_t room, const REAL *from, REAL *to) {
    if (room < LANES) {
        REAL last[VEC_BYTES / sizeof(REAL)] = {0};
        memcpy(last, from, (size_t)n * sizeof *from);
        vec v = on_way(how, l, load(last));
        memcpy(to, &v, (size_t)n * sizeof *to);
        return;
    }
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(to + i, on_way(how, l, load(from + i)));
    if (i == n) return;
    if (n > LANES) i = n - LANES;
    store(to + i, on_way(how, l, load(from + i)));
}

/* The padded plane where nothing is cropped: zeros are written between the rows alone, each after the row before it. */
INLINE void copy_whole(way how, const frame *f, const REAL *from, const line *l, REAL *to) {
    int64_t gap = f->columns - f->width, end = frame_size(f), at = f->top * f->columns + f->left;
    memset(to, 0, (size_t)at * sizeof *to);
    for (int64_t h = 0; h < f->height; h++, from += f->width) {
        copy_on_way(how, l, f->width, (f->height - h) * f->width, from, to + at);
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
        if (!through) copy_whole(AS_IS, f, from, NULL, to);
        else if (through->relu) copy_whole(LINE_RELU, f, from, through, to);
        else copy_whole(LINE, f, from, through, to);
        return;
    }
    memset(to, 0, (size_t)frame_size(f) * sizeof *to);
    int64_t w0 = f->left < 0 ? -f->left : 0, w1 = f->columns - f->left < f->width ? f->columns - f->left : f->width;
    for (int64_t h = 0; h < f->height; h++)
        if (h + f->top >= 0 && h + f->top < f->rows && w1 > w0) {
            REAL *row = to + (h + f->top) * f->columns + f->left + w0;
            if (through) follow_line(w1 - w0, *through, from + h * f->width + w0, row);
            else memcpy(row, from + h * f->width + w0, (size_t)(w1 - w0) * sizeof *row);
        }
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
