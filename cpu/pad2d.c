/* pad2d: y[n,top+h,left+w] = x[n,h,w], the rest is `value`; dx[n,h,w] (+)= dy[n,top+h,left+w].
 * x (N,H,W), n standing for all dimensions but the last two; y (N,top+H+bottom,left+W+right), overwritten.
 * Planes in parallel, row by row. 1 read and 1 write an element. */
#include "cpu/kernel.h"

typedef struct planes {
    int64_t N, H, W, P, Q, first; /* first: where x's first element stands in a plane of y */
} planes;

static planes planes_of(const mn_node *n) {
    const mn_pad2d_opt *o = n->opt;
    mn_shape x = n->in[0]->shape, y = n->out->shape;
    planes p = {1, x.dim[x.ndim - 2], x.dim[x.ndim - 1], y.dim[y.ndim - 2], y.dim[y.ndim - 1], 0};
    for (int i = 0; i < x.ndim - 2; i++) p.N *= x.dim[i];
    p.first = o->padding[0] * p.Q + o->padding[2];
    return p;
}

mn_status FWD(pad2d)(mn_node *n);
mn_status FWD(pad2d)(mn_node *n) {
    const planes p = planes_of(n);
    const REAL value = (REAL)((const mn_pad2d_opt *)n->opt)->value, *x = in(n, 0);
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t k = 0; k < p.N; k++) {
        REAL *plane = y + k * p.P * p.Q;
        for (int64_t i = 0; i < p.P * p.Q; i++) plane[i] = value;
        for (int64_t h = 0; h < p.H; h++)
            memcpy(plane + p.first + h * p.Q, x + (k * p.H + h) * p.W, (size_t)p.W * sizeof *y);
    }
    return MN_OK;
}

mn_status BWD(pad2d)(mn_node *n);
mn_status BWD(pad2d)(mn_node *n) {
    const planes p = planes_of(n);
    const REAL *dy = out_grad(n);
    REAL *dx = in_grad(n, 0);
    const bool add = mn__adds(n, 0);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t k = 0; k < p.N; k++)
        for (int64_t h = 0; h < p.H; h++) {
            const REAL *from = dy + k * p.P * p.Q + p.first + h * p.Q;
            REAL *to = dx + (k * p.H + h) * p.W;
            for (int64_t w = 0; w < p.W; w++) to[w] = (add ? to[w] : 0) + from[w];
        }
    return MN_OK;
}
