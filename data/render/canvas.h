/* A small canvas for data/render/: filled outlines with exact edge coverage, tapered strokes, soft spots.
 *
 * Pixels are floats, 0 black .. 1 white, one plane a channel. Everything painted is "move this far towards
 * that colour" or "multiply by this number", so a grey canvas painted with the luma of the colours is the
 * luma of the RGB canvas: grey and colour pictures of a face agree. */
#ifndef MIEN_DATA_CANVAS_H
#define MIEN_DATA_CANVAS_H

#include "data/data.h"

typedef struct mn__rgb {
    float r, g, b;
} mn__rgb;
typedef struct mn__point {
    float x, y;
} mn__point; /* in pixels; the centre of the first one is (0.5, 0.5) */

enum { MN__PATH_MAX = 512 };
typedef struct mn__path {
    int n;
    mn__point p[MN__PATH_MAX];
} mn__path;

typedef struct mn__box {
    int x0, y0, x1, y1;
} mn__box; /* x0 <= x < x1 */

typedef struct mn__canvas {
    int size, channels;
    int detail; /* line segments between two control points of a curve */
    float *plane[3];
    float *edge; /* size rows of size+2: coverage differences; all zero between calls */
    float *mask; /* coverage of the clip outline inside `clip` */
    mn__box clip;
    bool clipped;
    void *memory;
} mn__canvas;

mn_status mn__canvas_create(mn__canvas *c, int size, int channels, mn_error *err);
void mn__canvas_destroy(mn__canvas *c);

/* Curves: Catmull-Rom splines through control points, appended to the path as short lines. */
void mn__path_curve(mn__path *p, const mn__canvas *c, const mn__point *control, int n, bool closed);
void mn__path_ellipse(mn__path *p, mn__point centre, float rx, float ry, float turn);

/* Later painting stays inside the outline until unclip. */
void mn__clip(mn__canvas *c, const mn__path *outline);
void mn__unclip(mn__canvas *c);

/* All of the canvas, from the colour on top to the one at the bottom. */
void mn__gradient(mn__canvas *c, mn__rgb top, mn__rgb bottom);
/* The inside of the closed outline moves by `alpha` towards the colour. */
void mn__fill(mn__canvas *c, const mn__path *outline, mn__rgb colour, float alpha);
/* A line through the control points, `w0` wide at its start, `w1` in the middle, `w2` at the end (pixels);
 * soft > 0 spreads its edges over that many of its widths. */
typedef struct mn__pen {
    float w0, w1, w2, soft;
} mn__pen;
void mn__stroke(mn__canvas *c, const mn__point *control, int n, mn__pen pen, mn__rgb colour, float alpha);
/* A spot whose strength falls as (1 - d^2)^2 from `alpha` at the centre to 0 at the rim of the ellipse. */
void mn__spot(mn__canvas *c, mn__point centre, float rx, float ry, float turn, mn__rgb colour, float alpha);

/* Lambert's law on the half ellipsoid over that ellipse: pixels are multiplied by ambient + diffuse *
 * n.light. */
typedef struct mn__light {
    float x, y, z; /* towards the light; length 1 */
    float ambient, diffuse;
} mn__light;
void mn__shade(mn__canvas *c, mn__point centre, float rx, float ry, float turn, const mn__light *light);

/* Blurs everything with two boxes of that radius in pixels. */
void mn__blur(mn__canvas *c, float radius);
/* out = round(255 * (gain * pixel + offset + noise)); noise has that deviation and comes from (seed, pixel).
 */
void mn__develop(const mn__canvas *c, float gain, float offset, float noise, uint64_t seed, uint8_t *out);

static inline mn__rgb mn__mix(mn__rgb a, mn__rgb b, float t) {
    return (mn__rgb){a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}
static inline mn__rgb mn__dim(mn__rgb a, float k) { return (mn__rgb){k * a.r, k * a.g, k * a.b}; }

#endif
