/* log_softmax: y[n,k] = (x[n,k] - max_n) - log sum_j exp(x[n,j] - max_n)
 *   dx[n,k] (+)= dy[n,k] - exp(y[n,k]) * sum_j dy[n,j]
 * x, y (N,K), n standing for all dimensions but the last. y overwritten.
 * Thread map: a warp a row (cuda/softmax.cuh). Three passes over a row forward, two backward. */
#include "cuda/softmax.cuh"

template <class T> __global__ void log_softmax_forward(int64_t N, int64_t K, const T *x, T *y) {
    WARP_ROWS(r, N) {
        const T *row = x + r * K;
        T max;
        const T log_sum = (T)log(exp_sum(row, K, &max));
        for (int64_t k = threadIdx.x % 32; k < K; k += 32) y[r * K + k] = (row[k] - max) - log_sum;
    }
}

template <class T>
__global__ void log_softmax_backward(int64_t N, int64_t K, const T *y, const T *dy, bool add, T *dx) {
    const int lane = threadIdx.x % 32;
    WARP_ROWS(r, N) {
        const T *l = y + r * K, *g = dy + r * K;
        T *d = dx + r * K;
        double total = 0;
        for (int64_t k = lane; k < K; k += 32) total += (double)g[k];
        const T sum = (T)warp_sum(total);
        for (int64_t k = lane; k < K; k += 32) d[k] = (add ? d[k] : 0) + (g[k] - exp(l[k]) * sum);
    }
}

template <class T> static mn_status forward(mn_node *n) {
    const int64_t K = n->out->shape.dim[n->out->shape.ndim - 1], N = n->out->count / K;
    return LAUNCH(n->ctx, log_softmax_forward<T>, rows_grid(N), 32 * WARPS, 0, N, K, in<T>(n, 0), out<T>(n));
}
template <class T> static mn_status backward(mn_node *n) {
    if (n->out->count == 0) return MN_OK;
    const int64_t K = n->out->shape.dim[n->out->shape.ndim - 1], N = n->out->count / K;
    return LAUNCH(n->ctx, log_softmax_backward<T>, rows_grid(N), 32 * WARPS, 0, N, K, out<T>(n), out_grad<T>(n),
                  mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(log_softmax, forward, backward)
