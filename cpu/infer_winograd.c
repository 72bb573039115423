/* Compiled 3x3 convolution by Winograd's F(4x4, 3x3): cpu/conv2d_winograd.c explains it. Here the kernel's points are
 * computed once, tiles are read from maps and written to maps, and bias, residual and ReLU happen on the way out.
 * Tiles of all images go through in blocks whose points fit the second cache. Parts share out the tiles; where there
 * are too few of them (one image of few pixels), the output channels, so that each part reads its own weights. */
#include "cpu/infer.h"
#include "cpu/winograd.h"

typedef struct plan {
    int64_t tiles_w, tiles;    /* of an image */
    int64_t in_lanes, out_lanes; /* of the products */
    int64_t block, step_in, step_out, step_kernel;
} plan;

static plan plan_of(const mn__infer_step *s) {
    plan p = {.tiles_w = (s->g.Q + 3) / 4, .tiles = (s->g.Q + 3) / 4 * ((s->g.P + 3) / 4), .in_lanes = round_up(s->g.C, LANES),
              .out_lanes = round_up(s->g.K, PANEL)};
    int64_t room = 600000 / (int64_t)sizeof(REAL) / POINTS / (p.in_lanes + p.out_lanes) / 8 * 8;
    p.block = room < 24 ? 24 : room > 96 ? 96 : room;
    /* A cache line more than they need: matrices a multiple of 4096 bytes apart would push each other out of the cache. */
    p.step_in = p.block * p.in_lanes + 16, p.step_out = p.block * p.out_lanes + 16;
    p.step_kernel = s->g.C * p.out_lanes + 16;
    return p;
}

/* packed: the points of the kernel, the bias. */
static int64_t packed(const mn__infer_step *s) {
    plan p = plan_of(s);
    return POINTS * p.step_kernel + p.out_lanes;
}
static void pack(const mn__infer_step *s, int threads) {
    plan p = plan_of(s);
    REAL *to = s->packed, *bias = to + POINTS * p.step_kernel;
    LOCAL(winograd_kernel)(s->g.C, s->g.K, p.out_lanes, p.step_kernel, s->w, false, to, threads);
    memset(bias, 0, (size_t)p.out_lanes * sizeof *bias);
    if (s->b) memcpy(bias, s->b, (size_t)s->g.K * sizeof *bias);
}
static int64_t scratch(const mn__infer_step *s, int64_t images) {
    (void)images;
    plan p = plan_of(s);
    return padded(POINTS * (p.step_in + p.step_out));
}

/* The points of tile t of an image: to[point][row][channel]. */
static void tile_in(const mn__infer_step *s, const plan *p, const REAL *x, int64_t t, int64_t row, REAL *to) {
    x += mn__map_at(s->x, t / p->tiles_w * 4 - s->g.top, t % p->tiles_w * 4 - s->g.left);
    for (int64_t c = 0; c < p->in_lanes; c += LANES) {
        vec d[POINTS], v[POINTS];
        UNROLL for (int i = 0; i < POINTS; i++) d[i] = load(x + i / 6 * s->x->row + i % 6 * s->x->lanes + c);
        tile_to_points(d, v);
        UNROLL for (int i = 0; i < POINTS; i++) store(to + i * p->step_in + row * p->in_lanes + c, v[i]);
    }
}

/* Tile t of image n from its points; channels [from, to). */
static void tile_out(const mn__infer_job *j, const plan *p, int64_t n, int64_t t, int64_t row, int64_t from, int64_t to,
                     const REAL *points) {
    const mn__infer_step *s = j->s;
    const REAL *bias = (const REAL *)s->packed + POINTS * p->step_kernel, *plus = job_plus(j, n);
    int64_t h = t / p->tiles_w * 4, w = t % p->tiles_w * 4;
    int64_t rows = s->g.P - h < 4 ? s->g.P - h : 4, columns = s->g.Q - w < 4 ? s->g.Q - w : 4;
    REAL *y = job_y(j, n) + mn__map_at(s->y, h, w);
    if (plus) plus += mn__map_at(s->plus, h, w);
    if (to > s->y->lanes) to = s->y->lanes;
    for (int64_t k = from; k < to; k += LANES) {
        vec m[POINTS], v[16], b = load(bias + k);
        UNROLL for (int i = 0; i < POINTS; i++) m[i] = load(points + i * p->step_out + row * p->out_lanes + k);
        tile_from_points(m, v);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < columns; c++) {
                vec r = v[i * 4 + c] + b;
                if (plus) r += load(plus + i * s->plus->row + c * s->plus->lanes + k);
                store(y + i * s->y->row + c * s->y->lanes + k, s->activation == MN_ACT_RELU ? relu_lanes(r) : r);
            }
    }
}

static void run(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const plan p = plan_of(s);
    const REAL *kernel = s->packed;
    REAL *in = j->scratch, *out = in + POINTS * p.step_in;
    int64_t from = 0, to = j->images * p.tiles, panel0 = 0, panel1 = p.out_lanes / PANEL;
    clear_borders(j);
    if (to >= 16 * j->parts) chunk_of(to, j->parts, j->part, &from, &to);
    else chunk_of(panel1, j->parts, j->part, &panel0, &panel1);
    if (panel0 == panel1) return;
    for (int64_t first = from; first < to; first += p.block) {
        int64_t count = to - first < p.block ? to - first : p.block;
        for (int64_t i = 0; i < count; i++)
            tile_in(s, &p, job_x(j, (first + i) / p.tiles), (first + i) % p.tiles, i, in);
        for (int i = 0; i < POINTS; i++)
            LOCAL(gemm_panels)(count, (panel1 - panel0) * PANEL, s->g.C, (gemm_factor){in + i * p.step_in, p.in_lanes, 1},
                               kernel + i * p.step_kernel + panel0 * PANEL * s->g.C, false,
                               out + i * p.step_out + panel0 * PANEL, p.out_lanes);
        for (int64_t i = 0; i < count; i++)
            tile_out(j, &p, (first + i) / p.tiles, (first + i) % p.tiles, i, panel0 * PANEL, panel1 * PANEL, out);
    }
}

const mn__infer_way LOCAL(infer_winograd) = {packed, pack, scratch, run};
