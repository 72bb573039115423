/* Compiled convolutions of any kernel, taken directly from the definition, and separable ones.
 *
 * A tile of the result, some pixels of a row (or of two rows, where they are short) by one or two vectors of output
 * channels, stays in registers while c, s and r run: a number of x is broadcast and multiplied with a vector of weights,
 * which lie in the order in which they are read: packed[panel][r][s][c][channel of the panel]. Bias, the addition of a
 * residual and ReLU happen before a tile is stored. 2*P*Q*K*C*R*S flop an image.
 *
 * A separable convolution makes a row or two of its depthwise part in scratch and feeds them to the same tiles as a
 * 1x1 convolution: what lies between never leaves the first cache. */
#include "cpu/infer.h"

/* Pixels of a tile: of two vectors of channels, and of one. The registers are 32 or 16. */
#if defined(__AVX512F__)
enum { PAIRS = 14, SINGLES = 14 };
#else
enum { PAIRS = 6, SINGLES = 12 };
#endif

/* Where the 8 channels of a first layer would leave half of a vector empty, a vector of half the size. */
#if VEC_BYTES == 64
enum { HALF = VEC_BYTES / sizeof(REAL) / 2 };
typedef REAL half __attribute__((vector_size(VEC_BYTES / 2)));
typedef REAL half_in_memory __attribute__((vector_size(VEC_BYTES / 2), aligned(sizeof(REAL)), may_alias));
#endif

/* A tile: upper pixels of one row, lower of the next; x, y, plus: at its first pixel and channel. */
typedef struct tile_place {
    int64_t C, R, S;
    const REAL *x, *w, *bias, *plus; /* plus: NULL for none */
    REAL *y;
    int64_t x_down, x_right;  /* from one element of the kernel to the next below and beside it */
    int64_t x_step, x_next;   /* from one window to the next beside and below it */
    int64_t y_step, y_next, plus_step, plus_next;
    int64_t keep;             /* channels that are stored, where a pixel is less than a vector; else 0 */
    bool relu;
} tile_place;

/* Pixel i of a tile, when `upper` of them stand in the first row. */
INLINE int64_t place(int i, int upper, int64_t step, int64_t next) { return i < upper ? i * step : next + (i - upper) * step; }

#define DEFINE_TILE(name, type, memory, vectors, most)                                                                   \
    INLINE void name(int upper, int lower, const tile_place *a) {                                                        \
        enum { WIDTH = sizeof(type) / sizeof(REAL), GROUP = 3 };                                                         \
        const int count = upper + lower;                                                                                 \
        type sum[most][vectors] = {0}, zero = {0};                                                                       \
        const REAL *w = a->w;                                                                                            \
        for (int64_t r = 0; r < a->R; r++)                                                                               \
            for (int64_t s = 0; s < a->S; s++) {                                                                         \
                const REAL *x = a->x + r * a->x_down + s * a->x_right, *group[(most + GROUP - 1) / GROUP];               \
                UNROLL for (int i = 0; i < count; i += GROUP) group[i / GROUP] = x + place(i, upper, a->x_step, a->x_next); \
                for (int64_t c = 0; c < a->C; c++, w += vectors * WIDTH) {                                               \
                    type f[vectors];                                                                                     \
                    UNROLL for (int v = 0; v < vectors; v++) f[v] = *(const memory *)(w + v * WIDTH);                    \
                    UNROLL for (int i = 0; i < count; i++) {                                                             \
                        bool split = i >= upper && i / GROUP * GROUP < upper; /* the group began in the upper row */     \
                        const REAL *from = split ? x + place(i, upper, a->x_step, a->x_next)                             \
                                                 : group[i / GROUP] + i % GROUP * a->x_step;                             \
                        type b = from[c] - zero;                                                                         \
                        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += b * f[v];                                  \
                    }                                                                                                    \
                }                                                                                                        \
            }                                                                                                            \
        UNROLL for (int i = 0; i < count; i++) UNROLL for (int v = 0; v < vectors; v++) {                                \
            type t = sum[i][v] + *(const memory *)(a->bias + v * WIDTH);                                                 \
            REAL *y = a->y + place(i, upper, a->y_step, a->y_next) + v * WIDTH;                                          \
            if (a->plus) t += *(const memory *)(a->plus + place(i, upper, a->plus_step, a->plus_next) + v * WIDTH);      \
            if (a->relu) t = (type)((t > zero) & (__typeof__(t > zero))t);                                               \
            if (a->keep) memcpy(y, &t, (size_t)a->keep * sizeof *y);                                                     \
            else *(memory *)y = t;                                                                                       \
        }                                                                                                                \
    }
/* The same with a number of pixels that is not a constant. */
#define ONE_ROW(n, tile, most) case n: if (n <= (most)) tile(n <= (most) ? n : 1, 0, a); break;
#define TWO_ROWS(n, tile, most) case n: if (2 * n <= (most)) tile(2 * n <= (most) ? n : 1, 2 * n <= (most) ? n : 0, a); break;
#define DEFINE_CHOICE(name, tile, most)                                                                                  \
    static void name(int upper, bool two, const tile_place *a) {                                                         \
        if (two) switch (upper) {                                                                                        \
            TWO_ROWS(1, tile, most) TWO_ROWS(2, tile, most) TWO_ROWS(3, tile, most) TWO_ROWS(4, tile, most)              \
            TWO_ROWS(5, tile, most) TWO_ROWS(6, tile, most) TWO_ROWS(7, tile, most)                                      \
            default: break;                                                                                              \
            }                                                                                                            \
        else switch (upper) {                                                                                            \
            ONE_ROW(1, tile, most) ONE_ROW(2, tile, most) ONE_ROW(3, tile, most) ONE_ROW(4, tile, most)                  \
            ONE_ROW(5, tile, most) ONE_ROW(6, tile, most) ONE_ROW(7, tile, most) ONE_ROW(8, tile, most)                  \
            ONE_ROW(9, tile, most) ONE_ROW(10, tile, most) ONE_ROW(11, tile, most) ONE_ROW(12, tile, most)               \
            ONE_ROW(13, tile, most) ONE_ROW(14, tile, most)                                                              \
            default: break;                                                                                              \
            }                                                                                                            \
    }
DEFINE_TILE(pair_tile, vec, vec_in_memory, 2, PAIRS)
DEFINE_TILE(single_tile, vec, vec_in_memory, 1, SINGLES)
DEFINE_CHOICE(pairs, pair_tile, PAIRS)
DEFINE_CHOICE(singles, single_tile, SINGLES)
#if VEC_BYTES == 64
DEFINE_TILE(half_tile, half, half_in_memory, 1, SINGLES)
DEFINE_CHOICE(halves, half_tile, SINGLES)
#endif

/* ---- panels: the output channels of one tile ---- */

typedef struct panel {
    int64_t from, width; /* channels, with those that only fill it up */
    int most;            /* pixels of its tiles */
    void (*tiles)(int upper, bool two, const tile_place *a);
} panel;

static panel panel_at(const mn__map *y, int64_t from) {
    if (y->lanes - from >= 2 * LANES) return (panel){from, 2 * LANES, PAIRS, pairs};
#if VEC_BYTES == 64
    if (y->lanes <= HALF) return (panel){from, HALF, SINGLES, halves};
#endif
    return (panel){from, LANES, SINGLES, singles};
}
static int64_t panels_of(const mn__map *y) { return y->lanes < 2 * LANES ? 1 : (y->lanes + 2 * LANES - 1) / (2 * LANES); }
static int64_t wide(const mn__map *y) { return (y->lanes + LANES - 1) / LANES * LANES; }

/* packed: the panels, then the bias. */
static int64_t depth_of(const mn__infer_step *s) {
    return s->kind == MN__INFER_SEPARABLE ? s->g.C : s->g.C * s->g.R * s->g.S;
}
static int64_t packed(const mn__infer_step *s) { return (depth_of(s) + 1) * wide(s->y); }

static void pack(const mn__infer_step *s, int threads) {
    (void)threads;
    const REAL *w = s->w, *b = s->b;
    REAL *to = s->packed;
    int64_t window = s->kind == MN__INFER_SEPARABLE ? 1 : s->g.R * s->g.S, depth = depth_of(s), K = s->g.K;
    memset(to, 0, (size_t)packed(s) * sizeof *to);
    for (int64_t from = 0; from < s->y->lanes;) {
        panel p = panel_at(s->y, from);
        for (int64_t k = 0; k < p.width && from + k < K; k++)
            for (int64_t c = 0; c < s->g.C; c++)
                for (int64_t i = 0; i < window; i++)
                    to[(i * s->g.C + c) * p.width + k] = w[((from + k) * s->g.C + c) * window + i];
        to += depth * p.width, from += p.width;
    }
    to = (REAL *)s->packed + depth * wide(s->y);
    for (int64_t k = 0; k < K && b; k++) to[k] = b[k];
}

/* ---- rows ---- */

/* Rows of a tile: two, where two of them fit. */
static int64_t rows_of(const mn__infer_step *s, const panel *p) { return 2 * s->g.Q <= p->most ? 2 : 1; }

/* The panel's channels of `rows` rows of y from row p on. `a` knows the input. */
static void compute_rows(const mn__infer_job *j, tile_place a, const panel *k, int64_t n, int64_t p, int64_t rows) {
    const mn__infer_step *s = j->s;
    const REAL *plus = job_plus(j, n), *packed_weights = s->packed, *first = a.x;
    int64_t blocks = (s->g.Q + k->most - 1) / k->most, width = (s->g.Q + blocks - 1) / blocks;
    a.w = packed_weights + depth_of(s) * k->from;
    a.bias = packed_weights + depth_of(s) * wide(s->y) + k->from;
    a.y_step = s->y->lanes, a.y_next = s->y->row;
    if (plus) a.plus_step = s->plus->lanes, a.plus_next = s->plus->row;
    a.keep = s->y->lanes < k->width ? s->y->lanes : 0;
    a.relu = s->activation == MN_ACT_RELU;
    for (int64_t q = 0; q < s->g.Q; q += width) {
        a.x = first + q * a.x_step;
        a.y = job_y(j, n) + mn__map_at(s->y, p, q) + k->from;
        a.plus = plus ? plus + mn__map_at(s->plus, p, q) + k->from : NULL;
        k->tiles((int)(s->g.Q - q < width ? s->g.Q - q : width), rows == 2, &a);
    }
}

static void run(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const mn__window *g = &s->g;
    panel first = panel_at(s->y, 0);
    int64_t rows = rows_of(s, &first), groups = (g->P + rows - 1) / rows, from, to;
    tile_place a = {.C = g->C, .R = g->R, .S = g->S, .x_down = g->dilation_h * s->x->row, .x_right = g->dilation_w * s->x->lanes,
                    .x_step = g->stride_w * s->x->lanes, .x_next = g->stride_h * s->x->row};
    clear_borders(j);
    chunk_of(panels_of(s->y) * j->images * groups, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++) { /* a panel's weights stay in the cache for all rows */
        panel k = panel_at(s->y, i / (j->images * groups) * 2 * LANES);
        int64_t n = i / groups % j->images, p = i % groups * rows;
        a.x = job_x(j, n) + mn__map_at(s->x, p * g->stride_h - g->top, -g->left);
        for (int64_t row = p; row < p + rows && row < g->P;) {
            bool two = rows_of(s, &k) == 2 && row + 1 < p + rows && row + 1 < g->P;
            compute_rows(j, a, &k, n, row, two ? 2 : 1);
            row += two ? 2 : 1, a.x += a.x_next;
        }
    }
}

const mn__infer_way LOCAL(infer_conv) = {packed, pack, NULL, run};

/* ---- separable ---- */

static int64_t separable_packed(const mn__infer_step *s) { return packed(s) + LOCAL(depthwise_packed)(s); }

static void separable_pack(const mn__infer_step *s, int threads) {
    pack(s, threads);
    LOCAL(depthwise_pack)(s, s->depthwise, NULL, (REAL *)s->packed + packed(s));
}

/* Two rows of the depthwise part. */
static int64_t middle_row(const mn__infer_step *s) { return padded(s->g.Q * s->x->lanes + LANES); }
static int64_t separable_scratch(const mn__infer_step *s, int64_t images) {
    (void)images;
    return 2 * middle_row(s);
}

static void separable_run(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const mn__window *g = &s->g;
    const REAL *depthwise = (const REAL *)s->packed + packed(s);
    REAL *middle = j->scratch;
    panel first = panel_at(s->y, 0);
    int64_t rows = rows_of(s, &first), groups = (g->P + rows - 1) / rows, from, to;
    const tile_place a = {.C = g->C, .R = 1, .S = 1, .x = middle, .x_step = s->x->lanes, .x_next = middle_row(s)};
    clear_borders(j);
    chunk_of(j->images * groups, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t n = i / groups, p = i % groups * rows, count = g->P - p < rows ? g->P - p : rows;
        for (int64_t row = 0; row < count; row++)
            LOCAL(depthwise_row)(s, depthwise,
                                 job_x(j, n) + mn__map_at(s->x, (p + row) * g->stride_h - g->top, -g->left), false,
                                 middle + row * middle_row(s));
        for (int64_t channel = 0; channel < s->y->lanes;) {
            panel k = panel_at(s->y, channel);
            if (count == 2 && rows_of(s, &k) == 2) compute_rows(j, a, &k, n, p, 2);
            else
                for (int64_t row = 0; row < count; row++) {
                    tile_place b = a;
                    b.x = middle + row * middle_row(s);
                    compute_rows(j, b, &k, n, p + row, 1);
                }
            channel += k.width;
        }
    }
}

const mn__infer_way LOCAL(infer_separable) = {separable_packed, separable_pack, separable_scratch, separable_run};
