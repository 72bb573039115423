/* concat: y[o,at_k+m,i] = x_k[o,m,i], at_k the sizes of the inputs before k added up; dx_k (+)= its part of dy.
 * x_k (O,M_k,I): O and I stand for all dimensions before and after the one that grows. y (O,sum M_k,I), overwritten.
 * A launch an input; for each o one run of M_k*I elements (cuda/rows.cuh). 1 read and 1 write an element. */
#include "autograd/dims.h"
#include "cuda/rows.cuh"

template <class T> static mn_status forward(mn_node *n) {
    const mn__split all = mn__split_at(n->out->shape, *options<int>(n));
    const int64_t row = all.middle * all.inner;
    mn_status s = MN_OK;
    for (int64_t k = 0, at = 0; k < n->n_in && s == MN_OK; k++) {
        const int64_t part = n->in[k]->count / all.outer;
        s = copy_rows(n->ctx, all.outer, part, in<T>(n, (int)k), part, false, out<T>(n) + at, row);
        at += part;
    }
    return s;
}

template <class T> static mn_status backward(mn_node *n) {
    if (n->out->count == 0) return MN_OK;
    const mn__split all = mn__split_at(n->out->shape, *options<int>(n));
    const int64_t row = all.middle * all.inner;
    mn_status s = MN_OK;
    for (int64_t k = 0, at = 0; k < n->n_in && s == MN_OK; k++) {
        const int64_t part = n->in[k]->count / all.outer;
        if (mn__wants(n, (int)k))
            s = copy_rows(n->ctx, all.outer, part, out_grad<T>(n) + at, row, mn__adds(n, (int)k), in_grad<T>(n, (int)k), part);
        at += part;
    }
    return s;
}
MN__EXPORT(concat, forward, backward)
