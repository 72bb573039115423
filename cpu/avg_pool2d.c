/* avg_pool2d: y[n,c,p,q] = 1/m * sum over r, s of x[n, c, p*stride-top+r, q*stride-left+s] inside x, with m the
 * number of those elements, or R*S with count_padding.   dx[n,c,h,w] (+)= sum over its windows of dy / m.
 * x (N,C,H,W), y (N,C,P,Q), overwritten. One thread a plane (n,c), window by window. R*S additions an element of y. */
#include "cpu/kernel.h"
#include "autograd/window.h"

/* Window (p,q) cut to the image: rows h0 .. h1-1, columns w0 .. w1-1; scale is 1/m. */
typedef struct box {
    int64_t h0, h1, w0, w1;
    REAL scale;
} box;
static inline box box_of(const mn__window *g, bool count_padding, int64_t p, int64_t q) {
    int64_t h = p * g->stride_h - g->top, w = q * g->stride_w - g->left;
    box b = {h < 0 ? 0 : h, h + g->R < g->H ? h + g->R : g->H, w < 0 ? 0 : w, w + g->S < g->W ? w + g->S : g->W, 0};
    b.scale = 1 / (REAL)(count_padding ? g->R * g->S : (b.h1 - b.h0) * (b.w1 - b.w0));
    return b;
}

mn_status FWD(avg_pool2d)(mn_node *n);
mn_status FWD(avg_pool2d)(mn_node *n) {
    mn__window g = mn__pool2d_window(n);
    bool count_padding = ((const mn_pool2d_opt *)n->opt)->count_padding;
    const REAL *xs = in(n, 0);
    REAL *ys = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < g.N * g.C; i++) {
        const REAL *x = xs + i * g.H * g.W;
        REAL *y = ys + i * g.P * g.Q;
        for (int64_t p = 0; p < g.P; p++)
            for (int64_t q = 0; q < g.Q; q++) {
                box b = box_of(&g, count_padding, p, q);
                REAL sum = 0;
                for (int64_t h = b.h0; h < b.h1; h++)
                    for (int64_t w = b.w0; w < b.w1; w++) sum += x[h * g.W + w];
                *y++ = sum * b.scale;
            }
    }
    return MN_OK;
}

mn_status BWD(avg_pool2d)(mn_node *n);
mn_status BWD(avg_pool2d)(mn_node *n) {
    mn__window g = mn__pool2d_window(n);
    bool count_padding = ((const mn_pool2d_opt *)n->opt)->count_padding, add = mn__adds(n, 0);
    const REAL *dys = out_grad(n);
    REAL *dxs = in_grad(n, 0);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < g.N * g.C; i++) {
        REAL *dx = dxs + i * g.H * g.W;
        const REAL *dy = dys + i * g.P * g.Q;
        if (!add) memset(dx, 0, (size_t)(g.H * g.W) * sizeof *dx);
        for (int64_t p = 0; p < g.P; p++)
            for (int64_t q = 0; q < g.Q; q++) {
                box b = box_of(&g, count_padding, p, q);
                const REAL share = *dy++ * b.scale;
                for (int64_t h = b.h0; h < b.h1; h++)
                    for (int64_t w = b.w0; w < b.w1; w++) dx[h * g.W + w] += share;
            }
    }
    return MN_OK;
}
