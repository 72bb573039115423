/* concat: y[o,at_k+m,i] = x_k[o,m,i], at_k the sizes of the inputs before k added up; dx_k (+)= its part of dy.
 * x_k (O,M_k,I): O and I stand for all dimensions before and after the one that grows. y (O,sum M_k,I).
 * For each o and k one run of M_k*I elements. 1 read and 1 write an element. */
#include "autograd/dims.h"
#include "cpu/kernel.h"

mn_status FWD(concat)(mn_node *n);
mn_status FWD(concat)(mn_node *n) {
    const mn__split all = mn__split_at(n->out->shape, *(const int *)n->opt);
    int64_t row = all.middle * all.inner;
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t o = 0; o < all.outer; o++)
        for (int64_t k = 0, at = 0; k < n->n_in; k++) {
            int64_t part = n->in[k]->count / all.outer;
            memcpy(y + o * row + at, (const REAL *)n->in[k]->data + o * part, (size_t)part * sizeof *y);
            at += part;
        }
    return MN_OK;
}

mn_status BWD(concat)(mn_node *n);
mn_status BWD(concat)(mn_node *n) {
    if (n->out->count == 0) return MN_OK;
    const mn__split all = mn__split_at(n->out->shape, *(const int *)n->opt);
    int64_t row = all.middle * all.inner, at = 0;
    for (int k = 0; k < n->n_in; k++) {
        int64_t part = n->in[k]->count / all.outer;
        const REAL *dy = out_grad(n) + at;
        REAL *dx = in_grad(n, k);
        const bool add = mn__adds(n, k);
        at += part;
        if (!dx) continue;
#pragma omp parallel for num_threads(n->ctx->threads) if (n->in[k]->count > MN__PARALLEL_MIN)
        for (int64_t o = 0; o < all.outer; o++)
            for (int64_t i = 0; i < part; i++) dx[o * part + i] = (add ? dx[o * part + i] : 0) + dy[o * row + i];
    }
    return MN_OK;
}
