/* Losses: y = 1/count sum_i value(x[i], t[i]); dx[i] (+)= dy / count * derivative(x[i], t[i]).
 * x and t of one shape, read as a row; y (). Every line of loss.def becomes two kernels here. Sums as in
 * cpu/sum.c: blocks in double, then the blocks in order. 2 reads an element forward, 2 and a write backward. */
#include "autograd/loss.h"
#include "cpu/reduce.h"

typedef double block_fn(const REAL *xs, const REAL *ts, REAL a, int64_t n);

static mn_status mean_of(mn_node *n, block_fn *sum) {
    int64_t count = n->in[0]->count, number = (count + MN__SUM_BLOCK - 1) / MN__SUM_BLOCK;
    const REAL *x = in(n, 0), *t = in(n, 1), a = (REAL)((const mn__loss_opt *)n->opt)->a;
    double *blocks = n->workspace, total = 0;
#pragma omp parallel for num_threads(n->ctx->threads) if (count > MN__PARALLEL_MIN)
    for (int64_t b = 0; b < number; b++) {
        int64_t from = b * MN__SUM_BLOCK, left = count - from;
        blocks[b] = sum(x + from, t + from, a, left < MN__SUM_BLOCK ? left : MN__SUM_BLOCK);
    }
    for (int64_t b = 0; b < number; b++) total += blocks[b];
    out(n)[0] = (REAL)(total / (double)count);
    return MN_OK;
}

#define LOSS0(name, value, derivative, ...) DEFINE(name, value, derivative)
#define LOSS1(name, value, derivative, ...) DEFINE(name, value, derivative)
#define DEFINE(op, value, derivative)                                                                    \
    static double op##_block(const REAL *xs, const REAL *ts, REAL a, int64_t n) {                        \
        double sum = 0;                                                                                  \
        (void)a;                                                                                         \
        _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < n; i++) {                         \
            const REAL x = xs[i], t = ts[i];                                                             \
            sum += value;                                                                                \
        }                                                                                                \
        return sum;                                                                                      \
    }                                                                                                    \
    mn_status FWD(op)(mn_node * n);                                                                      \
    mn_status FWD(op)(mn_node * n) { return mean_of(n, op##_block); }                                    \
    mn_status BWD(op)(mn_node * n);                                                                      \
    mn_status BWD(op)(mn_node * n) {                                                                     \
        int64_t count = n->in[0]->count;                                                                 \
        const REAL *xs = in(n, 0), *ts = in(n, 1), a = (REAL)((const mn__loss_opt *)n->opt)->a;          \
        const REAL scale = (REAL)(out_grad(n)[0] / (double)count);                                       \
        const bool add = mn__adds(n, 0);                                                                 \
        REAL *dx = in_grad(n, 0);                                                                        \
        (void)a;                                                                                         \
        _Pragma("omp parallel for simd num_threads(n->ctx->threads) if (count > MN__PARALLEL_MIN)")      \
        for (int64_t i = 0; i < count; i++) {                                                            \
            const REAL x = xs[i], t = ts[i], g = scale * (derivative);                                   \
            dx[i] = add ? dx[i] + g : g;                                                                 \
        }                                                                                                \
        return MN_OK;                                                                                    \
    }
#include "autograd/loss.def"
