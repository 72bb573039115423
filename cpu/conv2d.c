/* conv2d: the choice between the ways of computing it, and the bias gradient that all of them share.
 *
 *   y[n,k,p,q]  = b[k] + sum_{c,r,s} x[n, c, p*stride-top+r*dilation, q*stride-left+s*dilation] w[k,c,r,s]
 *   dx[n,c,h,w] (+)= sum over the (k,p,q,r,s) that read x[n,c,h,w] of dy[n,k,p,q] w[k,c,r,s]
 *   dw[k,c,r,s] (+)= sum_{n,p,q} dy[n,k,p,q] x[n, c, p*stride-top+r*dilation, q*stride-left+s*dilation]
 *   db[k]       (+)= sum_{n,p,q} dy[n,k,p,q]
 * x (N,C,H,W), w (K,C/groups,R,S), b (K), y (N,K,P,Q); what is read outside of x is 0. y is overwritten,
 * gradients are added to or overwritten. 2*N*K*P*Q*(C/groups)*R*S flop forward, twice that backward.
 *
 * conv2d_im2col.c is the one to read first: it takes every shape, and the others are tested against it. */
#include "cpu/conv2d.h"

static const conv2d_path *const paths[] = {
    &LOCAL(conv2d_depthwise_flat),
    &LOCAL(conv2d_depthwise),
    &LOCAL(conv2d_pointwise),
    &LOCAL(conv2d_winograd_wide),
    &LOCAL(conv2d_winograd),
    &LOCAL(conv2d_direct),
    &LOCAL(conv2d_im2col), /* any shape */
};

static const conv2d_path *choose(const mn__window *g) {
    int i = 0;
    while (!paths[i]->fits(g)) i++;
    return paths[i];
}

/* x as it is, or pending where the path takes it so. */
static mn_status take_x(mn_node *n, conv2d_job *j, const conv2d_path *path) {
    bool through = path->through && path->through(&j->g);
    mn_status s = through ? MN_OK : mn__settle(n->in[0]);
    j->x = in(n, 0), j->norm = mn__pending(n->in[0]);
    return s;
}

static mn_status take_scratch(mn_node *n, conv2d_job *j, const conv2d_path *path) {
    int64_t count = path->scratch(j);
    if (count && !(j->scratch = mn__workspace(n->ctx, (size_t)count * sizeof(REAL)))) return n->ctx->error.status;
    return MN_OK;
}

mn_status FWD(conv2d)(mn_node *n);
mn_status FWD(conv2d)(mn_node *n) {
    conv2d_job j = {.g = mn__conv2d_window(n), .threads = n->ctx->threads, .w = in(n, 1), .b = in(n, 2), .y = out(n)};
    const conv2d_path *path = choose(&j.g);
    mn_status s = take_x(n, &j, path);
    if (!s) s = take_scratch(n, &j, path);
    if (!s) path->forward(&j);
    return s;
}

/* db[k] (+)= sum over images and pixels of dy[n,k,.]. One thread a channel. N*K*P*Q additions. */
static void bias_gradient(const conv2d_job *j) {
    int64_t N = j->g.N, K = j->g.K, pixels = j->g.P * j->g.Q;
#pragma omp parallel for num_threads(j->threads) if (N * K * pixels > MN__PARALLEL_MIN)
    for (int64_t k = 0; k < K; k++) {
        REAL total = j->add_db ? j->db[k] : 0;
        for (int64_t n = 0; n < N; n++) {
            const REAL *dy = j->dy + (n * K + k) * pixels;
            REAL sum = 0; /* of one image: shorter sums round less */
#pragma omp simd reduction(+ : sum)
            for (int64_t i = 0; i < pixels; i++) sum += dy[i];
            total += sum;
        }
        j->db[k] = total;
    }
}

mn_status BWD(conv2d)(mn_node *n);
mn_status BWD(conv2d)(mn_node *n) {
    conv2d_job j = {.g = mn__conv2d_window(n), .threads = n->ctx->threads, .w = in(n, 1),
                    .dy = out_grad(n), .dx = in_grad(n, 0), .dw = in_grad(n, 1), .db = in_grad(n, 2),
                    .add_dx = mn__adds(n, 0), .add_dw = mn__adds(n, 1), .add_db = mn__adds(n, 2)};
    const conv2d_path *path = choose(&j.g);
    mn_status s = take_x(n, &j, path);
    if (!s) s = take_scratch(n, &j, path);
    if (s) return s;
    if (j.dx || j.dw) path->backward(&j);
    if (j.db) bias_gradient(&j);
    return MN_OK;
}
