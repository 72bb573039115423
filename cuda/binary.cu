/* Elementwise operations of two tensors: y = value(a, b), and with dy = d loss / d y
 *   da (+)= sum of dy * (dy/da) over what a was stretched along; db likewise.
 * Every line of binary.def becomes its kernels here. y overwritten.
 * Thread map: a thread an element of y; from its number follow, dimension by dimension, the places in a and b
 * (autograd/broadcast.h: dimensions are merged first, so same shapes and scalars have one, and nothing is divided).
 * A gradient of a stretched input is a sum for each of its elements: cuda/reduce.cuh.
 * 2 reads and 1 write an element forward, 4 reads and 1 write backward. */
#include "autograd/broadcast.h"
#include "cuda/reduce.cuh"

/* Where element i of y stands in a (0) and b (1). The last dimension needs no division. */
template <class Index> struct binary_place {
    int64_t a, b;
    __device__ __forceinline__ binary_place(const mn__walk &w, int64_t i) : a(0), b(0) {
        Index rest = (Index)i;
        for (int d = 0; d < w.ndim; d++) {
            const Index size = (Index)w.size[d], j = d + 1 < w.ndim ? rest % size : rest;
            if (d + 1 < w.ndim) rest /= size;
            a += j * w.step[0][d];
            b += j * w.step[1][d];
        }
    }
};

/* F::at(a, b, y) is one of the three expressions of a line, see below. */
template <class F, class T, class Index>
__global__ void binary_forward(int64_t count, mn__walk w, const T *a, const T *b, T *y) {
    GRID_STRIDE(i, count) {
        const binary_place<Index> p(w, i);
        y[i] = F::at(a[p.a], b[p.b], T(0));
    }
}
/* The gradient of an input with y's shape: no sum. */
template <class F, class T, class Index>
__global__ void binary_backward(int64_t count, mn__walk w, const T *a, const T *b, const T *y, const T *dy, bool add,
                                T *dx) {
    GRID_STRIDE(i, count) {
        const binary_place<Index> p(w, i);
        const T g = dy[i] * F::at(a[p.a], b[p.b], y[i]);
        dx[i] = add ? dx[i] + g : g;
    }
}

/* The gradient of a stretched input: element j of it is the sum, over what it was stretched along, of dy * slope.
 * dim[0..kept-1] are the walk's dimensions that input k has, dim[kept..ndim-1] those it was stretched along. */
template <class F, class T> struct binary_term {
    mn__walk w;
    int kept, dim[MN_MAX_DIMS];
    const T *a, *b, *y, *dy;
    /* Adds to at[] where number r stands, counted over dim[from..to-1] with the first one fastest. */
    __device__ __forceinline__ void locate(int from, int to, int64_t r, int64_t at[3]) const {
        for (int k = from; k < to; k++) {
            const int d = dim[k];
            const int64_t j = k + 1 < to ? r % w.size[d] : r;
            if (k + 1 < to) r /= w.size[d];
            for (int t = 0; t < 3; t++) at[t] += j * w.step[t][d];
        }
    }
    __device__ __forceinline__ double operator()(int64_t j, int64_t s) const {
        int64_t at[3] = {0, 0, 0};
        locate(0, kept, j, at);
        locate(kept, w.ndim, s, at);
        return (double)(dy[at[2]] * F::at(a[at[0]], b[at[1]], y[at[2]]));
    }
};

template <class F, class T> static mn_status forward(mn_node *n, const char *name) {
    const int64_t count = n->out->count;
    const mn__walk w = mn__walk_of(n);
    return mn__cuda_launch(n->ctx, name,
                           fits_32(count) ? binary_forward<F, T, uint32_t> : binary_forward<F, T, int64_t>,
                           grid_for(count), THREADS, 0, count, w, in<T>(n, 0), in<T>(n, 1), out<T>(n));
}

template <class F, class T> static mn_status gradient_summed(mn_node *n, int k) {
    binary_term<F, T> term = {mn__walk_of(n), 0, {0}, in<T>(n, 0), in<T>(n, 1), out<T>(n), out_grad<T>(n)};
    const mn__walk &w = term.w;
    int64_t terms = 1;
    for (int d = 0; d < w.ndim; d++)
        if (w.step[k][d]) term.dim[term.kept++] = d;
    for (int d = 0, at = term.kept; d < w.ndim; d++)
        if (!w.step[k][d]) term.dim[at++] = d, terms *= w.size[d];
    return reduce(n->ctx, w.step[k][0] ? DOWN : ACROSS, term, n->in[k]->count, terms, 1, mn__adds(n, k), in_grad<T>(n, k));
}

/* The gradient of input k, F the derivative by it. */
template <class F, class T> static mn_status backward(mn_node *n, int k, const char *name) {
    if (!mn__wants(n, k)) return MN_OK;
    const int64_t count = n->out->count;
    T *dx = in_grad<T>(n, k);
    if (count == 0) return mn__adds(n, k) ? MN_OK : zero_fill(n->ctx, dx, (size_t)n->in[k]->count * sizeof *dx);
    if (n->in[k]->count != count) return gradient_summed<F, T>(n, k);
    return mn__cuda_launch(n->ctx, name,
                           fits_32(count) ? binary_backward<F, T, uint32_t> : binary_backward<F, T, int64_t>,
                           grid_for(count), THREADS, 0, count, mn__walk_of(n), in<T>(n, 0), in<T>(n, 1), out<T>(n),
                           out_grad<T>(n), mn__adds(n, k), dx);
}

#define EXPRESSION(name, expression)                                                                       \
    template <class T> struct name {                                                                       \
        static __device__ __forceinline__ T at(T a, T b, T y) {                                            \
            (void)a, (void)b, (void)y;                                                                     \
            return expression;                                                                             \
        }                                                                                                  \
    };
#define BINARY(op, value, da, db, lo, hi)                                                                  \
    EXPRESSION(binary_##op, value)                                                                         \
    EXPRESSION(binary_##op##_da, da)                                                                       \
    EXPRESSION(binary_##op##_db, db)                                                                       \
    template <class T> static mn_status op##_fwd(mn_node *n) { return forward<binary_##op<T>, T>(n, #op "_forward"); } \
    template <class T> static mn_status op##_bwd(mn_node *n) {                                             \
        mn_status s = backward<binary_##op##_da<T>, T>(n, 0, #op "_backward of a");                        \
        return s ? s : backward<binary_##op##_db<T>, T>(n, 1, #op "_backward of b");                       \
    }                                                                                                      \
    MN__EXPORT(op, op##_fwd, op##_bwd)
#include "autograd/binary.def"
