/* Elementwise operations of one tensor: y[i] = value(x[i]); dx[i] (+)= dy[i] * derivative(x[i], y[i]).
 * Any shape, read as one row of `count` elements. Every line of unary.def becomes two kernels here.
 * 1 read and 1 write forward, 3 reads and 1 write backward. */
#include "cpu/kernel.h"
#include "autograd/unary.h"

#define UNARY0(name, value, derivative, lo, hi) DEFINE(name, value, derivative)
#define UNARY1(name, value, derivative, lo, hi) DEFINE(name, value, derivative)
#define UNARY2(name, value, derivative, lo, hi) DEFINE(name, value, derivative)

/* One loop for each rule, so that neither has a branch inside. */
#define GRADIENT(derivative, result)                                                                     \
    {                                                                                                    \
        _Pragma("omp parallel for simd num_threads(n->ctx->threads) if (count > MN__PARALLEL_MIN)")      \
        for (int64_t i = 0; i < count; i++) {                                                            \
            const REAL x = xs[i], y = ys[i], g = dy[i] * (derivative);                                   \
            (void)x, (void)y;                                                                            \
            dx[i] = result;                                                                              \
        }                                                                                                \
    }

#define DEFINE(op, value, derivative)                                                                    \
    mn_status FWD(op)(mn_node * n);                                                                      \
    mn_status FWD(op)(mn_node * n) {                                                                     \
        const mn__unary_opt *o = n->opt;                                                                 \
        const REAL a = (REAL)o->a, b = (REAL)o->b, *xs = in(n, 0);                                       \
        REAL *ys = out(n);                                                                               \
        int64_t count = n->out->count;                                                                   \
        (void)a, (void)b;                                                                                \
        _Pragma("omp parallel for simd num_threads(n->ctx->threads) if (count > MN__PARALLEL_MIN)")      \
        for (int64_t i = 0; i < count; i++) {                                                            \
            const REAL x = xs[i];                                                                        \
            ys[i] = value;                                                                               \
        }                                                                                                \
        return MN_OK;                                                                                    \
    }                                                                                                    \
    mn_status BWD(op)(mn_node * n);                                                                      \
    mn_status BWD(op)(mn_node * n) {                                                                     \
        const mn__unary_opt *o = n->opt;                                                                 \
        const REAL a = (REAL)o->a, b = (REAL)o->b, *xs = in(n, 0), *ys = out(n), *dy = out_grad(n);      \
        REAL *dx = in_grad(n, 0);                                                                        \
        const bool add = mn__adds(n, 0);                                                                 \
        int64_t count = n->out->count;                                                                   \
        (void)a, (void)b;                                                                                \
        if (add) GRADIENT(derivative, dx[i] + g)                                                         \
        else GRADIENT(derivative, g)                                                                     \
        return MN_OK;                                                                                    \
    }
#include "autograd/unary.def"
