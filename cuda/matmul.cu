/* matmul: y = op(a) op(b). With dy = d loss / d y:
 *   plain:        da = dy b^T      db = a^T dy
 *   transpose_a:  da = b dy^T      transpose_b:  db = dy^T a       and so on: see docs/ops/matmul.md.
 * y (M,N), inner size K; overwritten, gradients added to or overwritten. The kernel is cuda/gemm.cuh's.
 * 2*M*N*K flop forward, twice that backward. */
#include "cuda/gemm.cuh"

template <class T> static mn_status forward(mn_node *n) {
    const mn_matmul_opt *o = options<mn_matmul_opt>(n);
    const int64_t M = n->out->shape.dim[0], N = n->out->shape.dim[1], K = n->in[0]->shape.dim[!o->transpose_a];
    return gemm<T>(n->ctx, {(bool)o->transpose_a, (bool)o->transpose_b, M, N, K, in<T>(n, 0), n->in[0]->shape.dim[1],
                            in<T>(n, 1), n->in[1]->shape.dim[1], nullptr, false, out<T>(n), N});
}

template <class T> static mn_status backward(mn_node *n) {
    const mn_matmul_opt *o = options<mn_matmul_opt>(n);
    const int64_t M = n->out->shape.dim[0], N = n->out->shape.dim[1], K = n->in[0]->shape.dim[!o->transpose_a];
    const int64_t lda = n->in[0]->shape.dim[1], ldb = n->in[1]->shape.dim[1];
    const T *a = in<T>(n, 0), *b = in<T>(n, 1), *dy = out_grad<T>(n);
    T *da = in_grad<T>(n, 0), *db = in_grad<T>(n, 1);
    const bool ta = o->transpose_a, tb = o->transpose_b;
    mn_status s = MN_OK;
    if (da && !ta) /* (M,K) = dy op(b)^T */
        s = gemm<T>(n->ctx, {false, !tb, M, K, N, dy, N, b, ldb, nullptr, mn__adds(n, 0), da, lda});
    if (da && ta) /* (K,M) = op(b) dy^T */
        s = gemm<T>(n->ctx, {tb, true, K, M, N, b, ldb, dy, N, nullptr, mn__adds(n, 0), da, lda});
    if (!s && db && !tb) /* (K,N) = op(a)^T dy */
        s = gemm<T>(n->ctx, {!ta, false, K, N, M, a, lda, dy, N, nullptr, mn__adds(n, 1), db, ldb});
    if (!s && db && tb) /* (N,K) = dy^T op(a) */
        s = gemm<T>(n->ctx, {true, ta, N, K, M, dy, N, a, lda, nullptr, mn__adds(n, 1), db, ldb});
    return s;
}
MN__EXPORT(matmul, forward, backward)
