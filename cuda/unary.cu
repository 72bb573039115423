/* Elementwise operations of one tensor: y[i] = value(x[i]); dx[i] (+)= dy[i] * derivative(x[i], y[i]).
 * Any shape, read as one row of `count` elements. Every line of unary.def becomes two kernels here.
 * Thread map: a thread an element, then the element one grid further on. y overwritten, dx overwritten or added
 * to. 1 read and 1 write forward, 3 reads and 1 write backward: memory is all it costs. */
#include "autograd/unary.h"
#include "cuda/kernel.cuh"

/* F holds the two expressions of a line, see below. */
template <class F, class T> __global__ void unary_forward(int64_t count, const T *x, T a, T b, T *y) {
    GRID_STRIDE(i, count) y[i] = F::value_at(x[i], a, b);
}
template <class F, class T>
__global__ void unary_backward(int64_t count, const T *x, const T *y, const T *dy, T a, T b, bool add, T *dx) {
    GRID_STRIDE(i, count) {
        const T g = dy[i] * F::slope_at(x[i], y[i], a, b);
        dx[i] = add ? dx[i] + g : g;
    }
}

template <class F, class T> static mn_status forward(mn_node *n, const char *name) {
    const mn__unary_opt *o = options<mn__unary_opt>(n);
    const int64_t count = n->out->count;
    return mn__cuda_launch(n->ctx, name, unary_forward<F, T>, grid_for(count), THREADS, 0, count, in<T>(n, 0), (T)o->a,
                           (T)o->b, out<T>(n));
}
template <class F, class T> static mn_status backward(mn_node *n, const char *name) {
    const mn__unary_opt *o = options<mn__unary_opt>(n);
    const int64_t count = n->out->count;
    return mn__cuda_launch(n->ctx, name, unary_backward<F, T>, grid_for(count), THREADS, 0, count, in<T>(n, 0), out<T>(n),
                           out_grad<T>(n), (T)o->a, (T)o->b, mn__adds(n, 0), in_grad<T>(n, 0));
}

#define UNARY0(name, value, derivative, lo, hi) DEFINE(name, value, derivative)
#define UNARY1(name, value, derivative, lo, hi) DEFINE(name, value, derivative)
#define UNARY2(name, value, derivative, lo, hi) DEFINE(name, value, derivative)
#define DEFINE(op, value, derivative)                                                                      \
    template <class T> struct unary_##op {                                                                 \
        static __device__ __forceinline__ T value_at(T x, T a, T b) {                                      \
            (void)a, (void)b;                                                                              \
            return value;                                                                                  \
        }                                                                                                  \
        static __device__ __forceinline__ T slope_at(T x, T y, T a, T b) {                                 \
            (void)x, (void)y, (void)a, (void)b;                                                            \
            return derivative;                                                                             \
        }                                                                                                  \
    };                                                                                                     \
    template <class T> static mn_status op##_fwd(mn_node *n) { return forward<unary_##op<T>, T>(n, #op "_forward"); } \
    template <class T> static mn_status op##_bwd(mn_node *n) { return backward<unary_##op<T>, T>(n, #op "_backward"); } \
    MN__EXPORT(op, op##_fwd, op##_bwd)
#include "autograd/unary.def"
