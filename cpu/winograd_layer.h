/* What the two ways of sharing out Winograd's work have in common (conv2d_winograd.c, conv2d_winograd_wide.c): the geometry of
 * a layer, its matrices, and tiles on their way to points and back. */
#ifndef MIEN_CPU_WINOGRAD_LAYER_H
#define MIEN_CPU_WINOGRAD_LAYER_H
#include "cpu/conv2d.h"
#include "cpu/winograd.h"

typedef struct layer {
    int64_t in, in_h, in_w, out, out_h, out_w; /* channels and sizes */
    int64_t top, left;                         /* padding; negative where the input is cropped */
    int64_t in_lanes, out_lanes;               /* channels rounded up to whole vectors, and to whole panels */
    int64_t tiles_w, tiles;                    /* of one image */
    int64_t block;                             /* tiles that are worked on at a time */
    int64_t step_in, step_out, step_kernel;    /* from one point's matrix to the next */
} layer;

static inline int64_t clamp(int64_t n, int64_t low, int64_t high) { return n < low ? low : n > high ? high : n; }

/* The matrices of the 36 points are written side by side. One cache line more than they need keeps them from lying a
 * multiple of 4096 bytes apart, where they would push each other out of the first cache. */
static inline void set_steps(layer *l, int64_t block) {
    l->block = block;
    l->step_in = block * l->in_lanes + 16;
    l->step_out = block * l->out_lanes + 16;
    l->step_kernel = l->in * l->out_lanes + 16;
}

static inline layer layer_of(int64_t in, int64_t in_h, int64_t in_w, int64_t out, int64_t out_h, int64_t out_w, int64_t top,
                      int64_t left) {
    layer l = {in, in_h, in_w, out, out_h, out_w, top, left, round_up(in, LANES), round_up(out, PANEL), (out_w + 3) / 4,
               (out_w + 3) / 4 * ((out_h + 3) / 4), 0, 0, 0, 0};
    /* Of the second cache, 1 MB or more, the points of a block may fill some 600 KB. */
    set_steps(&l, clamp(600000 / (int64_t)sizeof(REAL) / POINTS / (l.in_lanes + l.out_lanes) / 8 * 8, 24, 96));
    return l;
}
static inline layer forward_layer(const mn__window *g) {
    return layer_of(g->C, g->H, g->W, g->K, g->P, g->Q, g->top, g->left);
}
static inline layer backward_layer(const mn__window *g) {
    return layer_of(g->K, g->P, g->Q, g->C, g->H, g->W, 2 - g->top, 2 - g->left);
}

/* Of a thread: an image of either side as (pixels, channels), one pixel of zeros, and the points of a block. */
typedef struct space {
    REAL *image_in, *image_out, *zeros, *points_in, *points_out;
} space;
/* (channels, pixels) to (pixels, channels); channels beyond the last, up to whole vectors, become 0. */
static inline void channels_last(int64_t channels, int64_t lanes, int64_t pixels, const REAL *from, REAL *to) {
    if (lanes > channels) memset(to, 0, (size_t)(pixels * lanes) * sizeof *to);
    transpose(channels, pixels, from, pixels, to, lanes);
}

/* The points of input tile t into row `row` of the block: to[point][row][channel]. */
static inline void tile_in(const layer *l, const space *s, int64_t t, int64_t row) {
    int64_t h = t / l->tiles_w * 4 - l->top, w = t % l->tiles_w * 4 - l->left;
    const REAL *at[POINTS];
    for (int i = 0; i < POINTS; i++) {
        int64_t y = h + i / 6, x = w + i % 6;
        bool inside = y >= 0 && y < l->in_h && x >= 0 && x < l->in_w;
        at[i] = inside ? s->image_in + (y * l->in_w + x) * l->in_lanes : s->zeros;
    }
    for (int64_t c = 0; c < l->in_lanes; c += LANES) {
        vec d[POINTS], v[POINTS];
        UNROLL for (int i = 0; i < POINTS; i++) d[i] = load(at[i] + c);
        tile_to_points(d, v);
        UNROLL for (int i = 0; i < POINTS; i++) store(s->points_in + i * l->step_in + row * l->in_lanes + c, v[i]);
    }
}

/* The pixels of output tile t from row `row` of the block, with the bias or what is there already. */
static inline void tile_out(const layer *l, const space *s, int64_t t, int64_t row, const REAL *bias, bool add) {
    int64_t h = t / l->tiles_w * 4, w = t % l->tiles_w * 4;
    int64_t rows = l->out_h - h < 4 ? l->out_h - h : 4, columns = l->out_w - w < 4 ? l->out_w - w : 4;
    REAL *pixels = s->image_out + (h * l->out_w + w) * l->out_lanes;
    for (int64_t k = 0; k < l->out_lanes; k += LANES) {
        vec m[POINTS], y[16], b = load(bias + k);
        UNROLL for (int i = 0; i < POINTS; i++) m[i] = load(s->points_out + i * l->step_out + row * l->out_lanes + k);
        tile_from_points(m, y);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) {
                REAL *to = pixels + (i * l->out_w + j) * l->out_lanes + k;
                store(to, y[i * 4 + j] + (add ? load(to) : b));
            }
    }
}

/* The points of dy's tile t: to[point][panel][row][PANEL], `rows` rows a panel. */
static inline void gradient_tile(const layer *l, const REAL *image, int64_t t, int64_t row, int64_t rows, REAL *points) {
    int64_t h = t / l->tiles_w * 4, w = t % l->tiles_w * 4;
    for (int64_t k = 0; k < l->out_lanes; k += LANES) {
        vec y[16], m[POINTS], zero = {0};
        for (int i = 0; i < 16; i++) {
            bool inside = h + i / 4 < l->out_h && w + i % 4 < l->out_w;
            y[i] = inside ? load(image + ((h + i / 4) * l->out_w + w + i % 4) * l->out_lanes + k) : zero;
        }
        gradient_tile_to_points(y, m);
        REAL *to = points + (k / PANEL * rows + row) * PANEL + k % PANEL;
        UNROLL for (int i = 0; i < POINTS; i++) store(to + i * l->step_out, m[i]);
    }
}

/* dw (+)= G^T (the sums of all `chunks`, `stride` apart, in their order) G. One thread a channel of x. */
void LOCAL(winograd_kernel_gradient)(const conv2d_job *j, const layer *l, const REAL *sums, int chunks, int64_t stride);
#endif
