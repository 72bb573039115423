/* matmul: y = op(a) op(b). With dy = d loss / d y:
 *   plain:        da = dy b^T      db = a^T dy
 *   transpose_a:  da = b dy^T      transpose_b:  db = dy^T a       and so on: see docs/ops/matmul.md.
 * y (M,N), inner size K. 2*M*N*K flop forward, twice that backward. */
#include "cpu/kernel.h"

mn_status FWD(matmul)(mn_node *n);
mn_status FWD(matmul)(mn_node *n) {
    const mn_matmul_opt *o = n->opt;
    int64_t M = n->out->shape.dim[0], N = n->out->shape.dim[1], K = n->in[0]->shape.dim[!o->transpose_a];
    LOCAL(gemm_parallel)(n->ctx->threads, o->transpose_a, o->transpose_b, M, N, K, in(n, 0), n->in[0]->shape.dim[1],
                         in(n, 1), n->in[1]->shape.dim[1], 0, out(n), N);
    return MN_OK;
}

mn_status BWD(matmul)(mn_node *n);
mn_status BWD(matmul)(mn_node *n) {
    const mn_matmul_opt *o = n->opt;
    int64_t M = n->out->shape.dim[0], N = n->out->shape.dim[1], K = n->in[0]->shape.dim[!o->transpose_a];
    int64_t lda = n->in[0]->shape.dim[1], ldb = n->in[1]->shape.dim[1];
    const REAL *a = in(n, 0), *b = in(n, 1), *dy = out_grad(n);
    REAL *da = in_grad(n, 0), *db = in_grad(n, 1);
    int t = n->ctx->threads;
    if (da && !o->transpose_a) /* (M,K) = dy op(b)^T */
        LOCAL(gemm_parallel)(t, false, !o->transpose_b, M, K, N, dy, N, b, ldb, mn__adds(n, 0), da, lda);
    if (da && o->transpose_a) /* (K,M) = op(b) dy^T */
        LOCAL(gemm_parallel)(t, o->transpose_b, true, K, M, N, b, ldb, dy, N, mn__adds(n, 0), da, lda);
    if (db && !o->transpose_b) /* (K,N) = op(a)^T dy */
        LOCAL(gemm_parallel)(t, !o->transpose_a, false, K, N, M, a, lda, dy, N, mn__adds(n, 1), db, ldb);
    if (db && o->transpose_b) /* (N,K) = dy^T op(a) */
        LOCAL(gemm_parallel)(t, true, o->transpose_a, N, K, M, dy, N, a, lda, mn__adds(n, 1), db, ldb);
    return MN_OK;
}
