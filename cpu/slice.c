/* slice: y[o,m,i] = x[o,start+m,i]; dx[o,start+m,i] (+)= dy[o,m,i], and the rest of dx is 0 (or left alone).
 * x (O,M,I): O and I stand for all dimensions before and after the one that is cut. y (O,length,I).
 * For each o one run of length*I elements. 1 read and 1 write an element. */
#include "autograd/dims.h"
#include "cpu/kernel.h"

mn_status FWD(slice)(mn_node *n);
mn_status FWD(slice)(mn_node *n) {
    const mn__slice_opt *o = n->opt;
    const mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    int64_t row = p.middle * p.inner, part = o->length * p.inner;
    const REAL *x = in(n, 0) + o->start * p.inner;
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t k = 0; k < p.outer; k++) memcpy(y + k * part, x + k * row, (size_t)part * sizeof *y);
    return MN_OK;
}

mn_status BWD(slice)(mn_node *n);
mn_status BWD(slice)(mn_node *n) {
    const mn__slice_opt *o = n->opt;
    const mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    int64_t row = p.middle * p.inner, part = o->length * p.inner, from = o->start * p.inner;
    const REAL *dy = out_grad(n);
    REAL *dx = in_grad(n, 0);
    const bool add = mn__adds(n, 0);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[0]->count > MN__PARALLEL_MIN)
    for (int64_t k = 0; k < p.outer; k++) {
        REAL *d = dx + k * row;
        if (!add) memset(d, 0, (size_t)row * sizeof *d);
        for (int64_t i = 0; i < part; i++) d[from + i] += dy[k * part + i];
    }
    return MN_OK;
}
