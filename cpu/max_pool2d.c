/* max_pool2d: y[n,c,p,q] = max over r, s of x[n, c, p*stride-top+r, q*stride-left+s], where that lies inside x.
 *   dx[n,c,h,w] (+)= the sum of dy over the windows whose maximum it is (of equal ones the first in row order)
 * x (N,C,H,W), y (N,C,P,Q), overwritten; NaN counts as the largest. Saved: index (N,C,P,Q), r*S+s in the window.
 * One thread a plane (n,c); row by row. R*S comparisons and 1 write an element of y, 4 bytes read and 5 written
 * for each window of 2x2 that does not overlap. */
#include "cpu/vector.h"
#include "autograd/window.h"

static inline bool larger(REAL v, REAL best) { return v > best || v != v; }

/* The part of window (p,q) that lies inside the image: rows r0 .. r1-1 and columns s0 .. s1-1 of the window. */
typedef struct part {
    int64_t h, w, r0, r1, s0, s1; /* h, w: of the window's first element, perhaps outside */
} part;
static inline part part_of(const mn__window *g, int64_t p, int64_t q) {
    int64_t h = p * g->stride_h - g->top, w = q * g->stride_w - g->left;
    return (part){h, w, h < 0 ? -h : 0, g->H - h < g->R ? g->H - h : g->R, w < 0 ? -w : 0,
                  g->W - w < g->S ? g->W - w : g->S};
}

/* Where the maximum of window (p,q) is: r*S+s. */
static int64_t find_maximum(const mn__window *g, const REAL *x, int64_t p, int64_t q) {
    part a = part_of(g, p, q);
    int64_t where = a.r0 * g->S + a.s0;
    REAL best = x[(a.h + a.r0) * g->W + a.w + a.s0];
    for (int64_t r = a.r0; r < a.r1; r++)
        for (int64_t s = a.s0; s < a.s1; s++) {
            REAL v = x[(a.h + r) * g->W + a.w + s];
            if (larger(v, best) && !(best != best)) best = v, where = r * g->S + s;
        }
    return where;
}

static inline int64_t element(const mn__window *g, int64_t p, int64_t q, int64_t where) {
    return (p * g->stride_h - g->top + where / g->S) * g->W + q * g->stride_w - g->left + where % g->S;
}

/* ---- windows of 2x2 that neither overlap nor are padded, as nearly every network has them: LANES at a time ---- */

static bool is_2x2(const mn__window *g) {
    return g->R == 2 && g->S == 2 && g->stride_h == 2 && g->stride_w == 2 && !g->top && !g->left && 2 * g->P <= g->H &&
           2 * g->Q <= g->W;
}

/* In which lanes does v take the place of best, which came before it? */
INLINE lane_index replaces(vec v, vec best) { return ~(v <= best) & (best == best); }

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

static void forward_2x2(const mn__window *g, const REAL *x, REAL *y, uint8_t *index) {
    for (int64_t p = 0; p < g->P; p++, x += 2 * g->W, y += g->Q, index += g->Q)
        forward_row_2x2(g->Q, x, x + g->W, y, index);
}

/* Every element of dx belongs to one window, or to none in the last row or column of an odd size. */
static void backward_2x2(const mn__window *g, const uint8_t *index, const REAL *dy, bool add, REAL *dx) {
    if (!add && (g->H != 2 * g->P || g->W != 2 * g->Q)) memset(dx, 0, (size_t)(g->H * g->W) * sizeof *dx);
    for (int64_t p = 0; p < g->P; p++, index += g->Q, dy += g->Q, dx += 2 * g->W)
        backward_row_2x2(g->Q, index, dy, add, dx, dx + g->W);
}

/* ---- any window ---- */

static void forward_plane(const mn__window *g, const REAL *x, REAL *y, uint8_t *index) {
    for (int64_t p = 0, i = 0; p < g->P; p++)
        for (int64_t q = 0; q < g->Q; q++, i++) {
            int64_t where = find_maximum(g, x, p, q);
            y[i] = x[element(g, p, q, where)];
            if (index) index[i] = (uint8_t)where;
        }
}

mn_status FWD(max_pool2d)(mn_node *n);
mn_status FWD(max_pool2d)(mn_node *n) {
    mn__window g = mn__pool2d_window(n);
    const REAL *x = in(n, 0);
    REAL *y = out(n);
    uint8_t *index = n->saved[0] ? n->saved[0]->data : NULL;
    bool fast = is_2x2(&g);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < g.N * g.C; i++)
        (index && fast ? forward_2x2 : forward_plane)(&g, x + i * g.H * g.W, y + i * g.P * g.Q,
                                                      index ? index + i * g.P * g.Q : NULL);
    return MN_OK;
}

static void backward_plane(const mn__window *g, const REAL *x, const uint8_t *index, const REAL *dy, REAL *dx) {
    for (int64_t p = 0, i = 0; p < g->P; p++)
        for (int64_t q = 0; q < g->Q; q++, i++)
            dx[element(g, p, q, index ? index[i] : find_maximum(g, x, p, q))] += dy[i];
}

mn_status BWD(max_pool2d)(mn_node *n);
mn_status BWD(max_pool2d)(mn_node *n) {
    mn__window g = mn__pool2d_window(n);
    const REAL *x = in(n, 0), *dy = out_grad(n);
    REAL *dx = in_grad(n, 0);
    const uint8_t *index = n->saved[0] ? n->saved[0]->data : NULL;
    bool add = mn__adds(n, 0), fast = is_2x2(&g);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < g.N * g.C; i++) {
        int64_t image = i * g.H * g.W, result = i * g.P * g.Q;
        if (index && fast) {
            backward_2x2(&g, index + result, dy + result, add, dx + image);
            continue;
        }
        if (!add) memset(dx + image, 0, (size_t)(g.H * g.W) * sizeof *dx);
        backward_plane(&g, x + image, index ? index + result : NULL, dy + result, dx + image);
    }
    return MN_OK;
}
