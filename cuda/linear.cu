/* linear: y[n,k] = b[k] + sum_c x[n,c] w[k,c], as a matrix product: y = x w^T + b.
 *   dx (+)= dy w        dw (+)= dy^T x        db[k] (+)= sum_n dy[n,k]
 * x (N,C), w (K,C), b (K) or NULL, y (N,K). y overwritten. The kernel is cuda/gemm.cuh's, which adds the bias as it
 * stores; db is a sum of cuda/reduce.cuh. A few outputs are linear_few.cu's. 2*N*K*C flop forward, twice that backward. */
#include "cuda/ends_in_relu.cuh"
#include "cuda/gemm.cuh"
#include "cuda/linear.cuh"
#include "cuda/reduce.cuh"

static bool few(int64_t N, int64_t K) { return K <= LINEAR_FEW && N <= LINEAR_BATCH; }

template <class T> static mn_status forward(mn_node *n) {
    const int64_t N = n->out->shape.dim[0], K = n->out->shape.dim[1], C = n->in[0]->shape.dim[1];
    if (few(N, K))
        return linear_few<T>({n->ctx, N, C, K, in<T>(n, 0), in<T>(n, 1), in<T>(n, 2), options<mn__linear_opt>(n)->relu, out<T>(n)});
    return gemm<T>(n->ctx, {false, true, N, K, C, in<T>(n, 0), C, in<T>(n, 1), C, in<T>(n, 2), false, out<T>(n), K, options<mn__linear_opt>(n)->relu});
}

template <class T> static mn_status backward(mn_node *n) {
    const int64_t N = n->out->shape.dim[0], K = n->out->shape.dim[1], C = n->in[0]->shape.dim[1];
    const T *x = in<T>(n, 0), *w = in<T>(n, 1);
    const relu_gradient<T> g(n, options<mn__linear_opt>(n)->relu);
    const T *dy = g.dy;
    if (g.status) return g.status;
    T *dx = in_grad<T>(n, 0), *dw = in_grad<T>(n, 1), *db = in_grad<T>(n, 2);
    if (few(N, K) && dx != dw)
        return linear_few_gradients<T>({n->ctx, N, C, K, x, w, nullptr, false, nullptr, dy, mn__adds(n, 0), mn__adds(n, 1),
                                        mn__adds(n, 2), dx, dw, db});
    auto weights = [&] {
        mn_status s = MN_OK;
        if (dw) s = gemm<T>(n->ctx, {true, false, K, C, N, dy, K, x, C, nullptr, mn__adds(n, 1), dw, C});
        return s || !db ? s : sum_axis(n->ctx, 1, N, K, dy, 1, mn__adds(n, 2), db);
    };
    auto data = [&] { return gemm<T>(n->ctx, {false, false, N, C, K, dy, K, w, C, nullptr, mn__adds(n, 0), dx, C}); };
    if (dx && dx != dw) return side_by_side(n, 1, data, weights);
    const mn_status s = dx ? data() : MN_OK; /* one tensor in both places: one after the other */
    return s ? s : weights();
}
MN__EXPORT(linear, forward, backward)
