/* max_pool2d a vector of windows at a time: 2x2 windows side by side, as nearly every network has them, and rows of
 * any window whose columns are 1 or 2 apart. The same results as cpu/max_pool2d.c, ties and NaN included: an element
 * takes the place of the best before it when it is larger or NaN, and nothing takes the place of NaN. */
#include "cpu/max_pool2d.h"

/* In which lanes does v take the place of best, which came before it? */
INLINE lane_index replaces(vec v, vec best) { return ~(v <= best) & (best == best); }

/* ---- 2x2, stride 2 ---- */

bool LOCAL(max_pool2d_is_2x2)(const mn__window *g) {
    return g->R == 2 && g->S == 2 && g->stride_h == 2 && g->stride_w == 2 && !g->top && !g->left && 2 * g->P <= g->H &&
           2 * g->Q <= g->W;
}

INLINE void forward_lanes(const REAL *upper, const REAL *lower, REAL *y, uint8_t *index) {
    vec u0 = load(upper), u1 = load(upper + LANES), l0 = load(lower), l1 = load(lower + LANES);
    vec a = even_lanes(u0, u1), b = odd_lanes(u0, u1), c = even_lanes(l0, l1), d = odd_lanes(l0, l1);
    lane_index zero = {0}, right = replaces(b, a), lower_right = replaces(d, c);
    vec ab = choose(right, b, a), cd = choose(lower_right, d, c);
    lane_index below = replaces(cd, ab);
    store(y, choose(below, cd, ab));
    lane_index where = choose_index(below, zero + 2 - lower_right, zero - right); /* true is -1 */
    byte_lanes bytes = __builtin_convertvector(where, byte_lanes);
    memcpy(index, &bytes, sizeof bytes);
}

INLINE void backward_lanes(const uint8_t *index, const REAL *dy, bool add, REAL *upper, REAL *lower) {
    byte_lanes bytes;
    memcpy(&bytes, index, sizeof bytes);
    lane_index where = __builtin_convertvector(bytes, lane_index);
    vec g = load(dy), zero = {0}, share[4];
    UNROLL for (int i = 0; i < 4; i++) share[i] = choose(where == i, g, zero);
    for (int i = 0; i < 2; i++) {
        REAL *to = i ? lower : upper;
        vec low = zip_low(share[2 * i], share[2 * i + 1]), high = zip_high(share[2 * i], share[2 * i + 1]);
        store(to, add ? load(to) + low : low);
        store(to + LANES, add ? load(to + LANES) + high : high);
    }
}

/* A row of `count` windows; what is left over at its end goes through a vector that is filled up. */
static void forward_row_2x2(int64_t count, const REAL *upper, const REAL *lower, REAL *y, uint8_t *index) {
    int64_t q = 0;
    for (; q + LANES <= count; q += LANES) forward_lanes(upper + 2 * q, lower + 2 * q, y + q, index + q);
    if (q == count) return;
    REAL u[2 * VEC_BYTES / sizeof(REAL)] = {0}, l[2 * VEC_BYTES / sizeof(REAL)] = {0}, best[VEC_BYTES / sizeof(REAL)];
    uint8_t where[VEC_BYTES / sizeof(REAL)];
    size_t rest = (size_t)(count - q);
    memcpy(u, upper + 2 * q, 2 * rest * sizeof *u), memcpy(l, lower + 2 * q, 2 * rest * sizeof *l);
    forward_lanes(u, l, best, where);
    memcpy(y + q, best, rest * sizeof *y), memcpy(index + q, where, rest);
}

static void backward_row_2x2(int64_t count, const uint8_t *index, const REAL *dy, bool add, REAL *upper, REAL *lower) {
    int64_t q = 0;
    for (; q + LANES <= count; q += LANES) backward_lanes(index + q, dy + q, add, upper + 2 * q, lower + 2 * q);
    if (q == count) return;
    REAL u[2 * VEC_BYTES / sizeof(REAL)] = {0}, l[2 * VEC_BYTES / sizeof(REAL)] = {0};
    REAL d[VEC_BYTES / sizeof(REAL)] = {0};
    uint8_t where[VEC_BYTES / sizeof(REAL)] = {0};
    size_t rest = (size_t)(count - q), bytes = 2 * rest * sizeof *u;
    memcpy(d, dy + q, rest * sizeof *d), memcpy(where, index + q, rest);
    if (add) memcpy(u, upper + 2 * q, bytes), memcpy(l, lower + 2 * q, bytes);
    backward_lanes(where, d, add, u, l);
    memcpy(upper + 2 * q, u, bytes), memcpy(lower + 2 * q, l, bytes);
}

void LOCAL(max_pool2d_forward_2x2)(const mn__window *g, const REAL *x, REAL *y, uint8_t *index) {
    for (int64_t p = 0; p < g->P; p++, x += 2 * g->W, y += g->Q, index += g->Q)
        forward_row_2x2(g->Q, x, x + g->W, y, index);
}

/* Every element of dx belongs to one window, or to none in the last row or column of an odd size. */
void LOCAL(max_pool2d_backward_2x2)(const mn__window *g, const uint8_t *index, const REAL *dy, bool add, REAL *dx) {
    if (!add && (g->H != 2 * g->P || g->W != 2 * g->Q)) memset(dx, 0, (size_t)(g->H * g->W) * sizeof *dx);
    for (int64_t p = 0; p < g->P; p++, index += g->Q, dy += g->Q, dx += 2 * g->W)
        backward_row_2x2(g->Q, index, dy, add, dx, dx + g->W);
}

/* ---- rows of any window ---- */

/* The plane with its padding, which is -infinity: it never is the maximum, and no window needs to be cut. */
static int64_t frame_width(const mn__window *g) { return (g->Q - 1) * g->stride_w + g->S; }
static int64_t frame_height(const mn__window *g) { return (g->P - 1) * g->stride_h + g->R; }
int64_t LOCAL(max_pool2d_frame)(const mn__window *g) {
    return (frame_height(g) * frame_width(g) + 4 * LANES + 15) / 16 * 16; /* vectors read on beyond the end */
}

static void fill_frame(const mn__window *g, const REAL *x, const line *through, REAL *frame) {
    int64_t width = frame_width(g), height = frame_height(g), size = LOCAL(max_pool2d_frame)(g);
    int64_t columns = width - g->left < g->W ? width - g->left : g->W;
    for (int64_t i = 0; i < size; i++) frame[i] = -INFINITY;
    for (int64_t h = 0; h < g->H && h + g->top < height; h++) {
        REAL *to = frame + (h + g->top) * width + g->left;
        if (through) follow_line(columns, *through, x + h * g->W, to);
        else memcpy(to, x + h * g->W, (size_t)columns * sizeof *frame);
    }
}

/* LANES windows of R x S, the first one's upper left element at `from`. where: on entry the first element inside the image. */
INLINE vec best_of(int R, int S, int64_t width, const REAL *from, bool every_second, lane_index *where) {
    vec best = broadcast(-INFINITY);
    for (int r = 0; r < R; r++)
        for (int s = 0; s < S; s++) {
            const REAL *p = from + r * width + s;
            vec v = every_second ? even_lanes(load(p), load(p + LANES)) : load(p);
            lane_index better = replaces(v, best), here = (lane_index){0} + (r * S + s);
            best = choose(better, v, best);
            *where = choose_index(better, here, *where);
        }
    return best;
}

/* The first element of the windows of row p, from column q, that lies inside the image. */
INLINE lane_index first_inside(const mn__window *g, int64_t p, int64_t q) {
    int64_t above = g->top - p * g->stride_h, r = above > 0 ? above : 0;
    lane_index where = (lane_index){0} + (int)(r * g->S);
    for (int i = 0; i < LANES && (q + i) * g->stride_w < g->left; i++) where[i] += g->left - (q + i) * g->stride_w;
    return where;
}

/* What is stored of LANES windows, of which `count` are there. */
INLINE void store_windows(int64_t count, vec best, lane_index where, REAL *y, uint8_t *index) {
    byte_lanes bytes = __builtin_convertvector(where, byte_lanes);
    size_t n = (size_t)(count < LANES ? count : LANES);
    if (n == LANES) {
        store(y, best);
        memcpy(index, &bytes, sizeof bytes);
    } else {
        memcpy(y, &best, n * sizeof *y);
        memcpy(index, &bytes, n);
    }
}

/* Of LANES windows of three columns, two apart, the best of one row and its column. */
INLINE vec row_best(const REAL *from, lane_index *column) {
    vec a = load(from), b = load(from + LANES), first = even_lanes(a, b), second = odd_lanes(a, b);
    vec third = even_lanes(load(from + 2), load(from + LANES + 2));
    lane_index zero = {0}, better = replaces(second, first);
    vec best = choose(better, second, first);
    *column = zero - better; /* true is -1 */
    better = replaces(third, best);
    *column = choose_index(better, zero + 2, *column);
    return choose(better, third, best);
}

/* 3x3 windows with stride 2, column after column of vectors: the best of a window's last row serves the window below. */
static void forward_3x3(const mn__window *g, const REAL *frame, REAL *y, uint8_t *index) {
    int64_t width = frame_width(g);
    for (int64_t q = 0; q < g->Q; q += LANES) {
        lane_index column[3];
        vec row[3];
        row[2] = row_best(frame + 2 * q, &column[2]);
        for (int64_t p = 0; p < g->P; p++) {
            const REAL *from = frame + 2 * p * width + 2 * q;
            lane_index where = first_inside(g, p, q);
            vec best = broadcast(-INFINITY);
            row[0] = row[2], column[0] = column[2];
            UNROLL for (int r = 0; r < 3; r++) {
                if (r > 0) row[r] = row_best(from + r * width, &column[r]);
                lane_index better = replaces(row[r], best);
                best = choose(better, row[r], best);
                where = choose_index(better, column[r] + 3 * r, where);
            }
            store_windows(g->Q - q, best, where, y + p * g->Q + q, index + p * g->Q + q);
        }
    }
}

void LOCAL(max_pool2d_forward_rows)(const mn__window *g, const REAL *x, const line *through, REAL *y, uint8_t *index,
                                    REAL *frame) {
    int64_t width = frame_width(g);
    fill_frame(g, x, through, frame);
    if (g->R == 3 && g->S == 3 && g->stride_h == 2 && g->stride_w == 2) {
        forward_3x3(g, frame, y, index);
        return;
    }
    for (int64_t p = 0; p < g->P; p++, y += g->Q, index += g->Q)
        for (int64_t q = 0; q < g->Q; q += LANES) {
            lane_index where = first_inside(g, p, q);
            vec best = best_of((int)g->R, (int)g->S, width, frame + p * g->stride_h * width + q * g->stride_w, g->stride_w == 2,
                               &where);
            store_windows(g->Q - q, best, where, y + q, index + q);
        }
}
