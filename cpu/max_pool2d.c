/* max_pool2d: y[n,c,p,q] = max over r, s of x[n, c, p*stride-top+r, q*stride-left+s], where that lies inside x.
 *   dx[n,c,h,w] (+)= the sum of dy over the windows whose maximum it is (of equal ones the first in row order)
 * x (N,C,H,W), y (N,C,P,Q), overwritten; NaN counts as the largest. Saved: index (N,C,P,Q), r*S+s in the window.
 * One thread a plane (n,c); row by row. R*S comparisons and 1 write an element of y, 4 bytes read and 5 written
 * for each window of 2x2 that does not overlap. max_pool2d_vector.c does the usual windows faster. */
#include "cpu/max_pool2d.h"

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
    REAL *y = out(n), *scratch = NULL;
    uint8_t *index = n->saved[0] ? n->saved[0]->data : NULL;
    bool pairs = LOCAL(max_pool2d_is_2x2)(&g), rows = !pairs && g.stride_w <= 2 && g.R * g.S <= 256;
    if (!rows && mn__settle(n->in[0])) return n->ctx->error.status;
    const REAL *x = in(n, 0);
    const mn_node *norm = mn__pending(n->in[0]);
    int threads = n->in[0]->count > MN__PARALLEL_MIN ? n->ctx->threads : 1;
    /* Of a thread: a frame, and positions that nobody wants when there is no backward pass. */
    int64_t frame = LOCAL(max_pool2d_frame)(&g), space = frame + (g.P * g.Q + 63) / 64 * 16;
    if ((pairs || rows) && !(scratch = mn__workspace(n->ctx, (size_t)(threads * space) * sizeof(REAL))))
        return n->ctx->error.status;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int t = 0; t < threads; t++)
        for (int64_t i = g.N * g.C * t / threads; i < g.N * g.C * (t + 1) / threads; i++) {
            const REAL *plane = x + i * g.H * g.W;
            REAL *to = y + i * g.P * g.Q;
            uint8_t *where = index ? index + i * g.P * g.Q : NULL, *spare = (uint8_t *)(scratch + t * space + frame);
            line room;
            if (pairs) LOCAL(max_pool2d_forward_2x2)(&g, plane, to, where ? where : spare);
            else if (rows)
                LOCAL(max_pool2d_forward_rows)(&g, plane, line_or_none(norm, i % g.C, &room), to, where ? where : spare,
                                               scratch + t * space);
            else forward_plane(&g, plane, to, where);
        }
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
    bool add = mn__adds(n, 0), pairs = index && LOCAL(max_pool2d_is_2x2)(&g);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < g.N * g.C; i++) {
        int64_t image = i * g.H * g.W, result = i * g.P * g.Q;
        if (pairs) {
            LOCAL(max_pool2d_backward_2x2)(&g, index + result, dy + result, add, dx + image);
            continue;
        }
        if (!add) memset(dx + image, 0, (size_t)(g.H * g.W) * sizeof *dx);
        backward_plane(&g, x + image, index ? index + result : NULL, dy + result, dx + image);
    }
    return MN_OK;
}
