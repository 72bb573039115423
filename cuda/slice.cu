/* slice: y[o,m,i] = x[o,start+m,i]; dx[o,start+m,i] (+)= dy[o,m,i], and the rest of dx is 0 (or left alone).
 * x (O,M,I): O and I stand for all dimensions before and after the one that is cut. y (O,length,I), overwritten.
 * For each o one run of length*I elements (cuda/rows.cuh). 1 read and 1 write an element; backward zeros first. */
#include "autograd/dims.h"
#include "cuda/rows.cuh"

template <class T> static mn_status forward(mn_node *n) {
    const mn__slice_opt *o = options<mn__slice_opt>(n);
    const mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    const int64_t row = p.middle * p.inner, part = o->length * p.inner;
    return copy_rows(n->ctx, p.outer, part, in<T>(n, 0) + o->start * p.inner, row, false, out<T>(n), part);
}

template <class T> static mn_status backward(mn_node *n) {
    const mn__slice_opt *o = options<mn__slice_opt>(n);
    const mn__split p = mn__split_at(n->in[0]->shape, o->dim);
    const int64_t row = p.middle * p.inner, part = o->length * p.inner;
    const bool add = mn__adds(n, 0);
    T *dx = in_grad<T>(n, 0);
    mn_status s = add ? MN_OK : zero_fill(n->ctx, dx, (size_t)n->in[0]->count * sizeof *dx);
    return s ? s : copy_rows(n->ctx, p.outer, part, out_grad<T>(n), part, add, dx + o->start * p.inner, row);
}
MN__EXPORT(slice, forward, backward)
