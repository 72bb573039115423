/* Losses: y = 1/count sum_i value(x[i], t[i]); dx[i] (+)= dy / count * derivative(x[i], t[i]).
 * x and t of one shape, read as a row; y (). Every line of loss.def becomes its kernels here.
 * Thread map: slices of 8192 elements a block, then the slices (cuda/reduce.cuh); backward a thread an element.
 * y overwritten. 2 reads an element forward, 2 and a write backward. */
#include "autograd/loss.h"
#include "cuda/reduce.cuh"

/* F holds the two expressions of a line, see below. */
template <class F, class T> struct loss_term {
    const T *x, *t;
    T a;
    __device__ __forceinline__ double operator()(int64_t, int64_t s) const { return (double)F::value_at(x[s], t[s], a); }
};
template <class F, class T>
__global__ void loss_backward(int64_t count, const T *x, const T *t, T a, const T *dy, bool add, T *dx) {
    const T scale = (T)((double)dy[0] / (double)count);
    GRID_STRIDE(i, count) {
        const T g = scale * F::slope_at(x[i], t[i], a);
        dx[i] = add ? dx[i] + g : g;
    }
}

template <class F, class T> static mn_status forward(mn_node *n) {
    const int64_t count = n->in[0]->count;
    const loss_term<F, T> term = {in<T>(n, 0), in<T>(n, 1), (T)options<mn__loss_opt>(n)->a};
    return reduce(n->ctx, ACROSS, term, 1, count, 1.0 / (double)count, false, out<T>(n));
}
template <class F, class T> static mn_status backward(mn_node *n, const char *name) {
    const int64_t count = n->in[0]->count;
    return mn__cuda_launch(n->ctx, name, loss_backward<F, T>, grid_for(count), THREADS, 0, count, in<T>(n, 0),
                           in<T>(n, 1), (T)options<mn__loss_opt>(n)->a, out_grad<T>(n), mn__adds(n, 0), in_grad<T>(n, 0));
}

#define LOSS0(name, value, derivative, ...) DEFINE(name, value, derivative)
#define LOSS1(name, value, derivative, ...) DEFINE(name, value, derivative)
#define DEFINE(op, value, derivative)                                                                      \
    template <class T> struct loss_##op {                                                                  \
        static __device__ __forceinline__ T value_at(T x, T t, T a) {                                      \
            (void)a;                                                                                       \
            return value;                                                                                  \
        }                                                                                                  \
        static __device__ __forceinline__ T slope_at(T x, T t, T a) {                                      \
            (void)a;                                                                                       \
            return derivative;                                                                             \
        }                                                                                                  \
    };                                                                                                     \
    template <class T> static mn_status op##_fwd(mn_node *n) { return forward<loss_##op<T>, T>(n); }       \
    template <class T> static mn_status op##_bwd(mn_node *n) { return backward<loss_##op<T>, T>(n, #op "_backward"); } \
    MN__EXPORT(op, op##_fwd, op##_bwd)
#include "autograd/loss.def"
