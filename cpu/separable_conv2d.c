/* separable_conv2d: a depthwise 3x3 convolution and a 1x1 one over its channels, an image at a time, so that what is between
 * them stays in the second cache:
 *   z[n,c,p,q]  = sum_{r,s} x[n, c, p-top+r, q-left+s] depth[c,r,s]
 *   y[n,k,p,q]  = sum_c point[k,c] z[n,c,p,q]
 * Backward, z computed again (that costs less than writing it and reading it from memory):
 *   dpoint[k,c] (+)= sum_{n,p,q} dy[n,k,p,q] z[n,c,p,q]          dz[n,c,p,q] = sum_k point[k,c] dy[n,k,p,q]
 *   ddepth[c,r,s] (+)= sum_{n,p,q} dz[n,c,p,q] x[n, c, p-top+r, q-left+s]
 *   dx[n,c,h,w] (+)= sum_{r,s} dz[n, c, h+top-r, w+left-s] depth[c,r,s]
 * x (N,C,H,W), depth (C,1,3,3), point (K,C,1,1), y (N,K,P,Q). Images are shared out among the threads; the sums of each are
 * added in order. 2*N*P*Q*C*(9+K) flop forward, 2*N*P*Q*C*(27+2K) + 2*N*H*W*C*9 backward. */
#include "autograd/separable_conv2d.h"
#include "cpu/depthwise_3x3.h"
#include "cpu/pointwise.h"

/* One pass over a batch, and where each thread's scratch begins. */
typedef struct job {
    mn__window g;
    frame f, back; /* padded planes of x, and of dz; rows of both are as long */
    int threads;
    const REAL *x, *depth, *dy;
    const mn_node *norm; /* of a pending x, or NULL */
    REAL *y, *dx, *ddepth, *dpoint;
    bool add_dx;
    pointwise p; /* forward point, backward its transpose */
    REAL *own;   /* of thread t: own + t*thread_size */
} job;

/* Rows that begin at a cache line where that does not make them much longer. */
static int64_t columns_of(const frame *f, const frame *back) {
    int64_t longest = f->columns > back->columns ? f->columns : back->columns, whole = round_up(longest, LANES);
    return whole * 8 <= longest * 9 ? whole : longest;
}

static job job_of(const mn_node *n) {
    job j = {.g = mn__separable_conv2d_window(n), .threads = n->ctx->threads, .x = in(n, 0), .depth = in(n, 1),
             .norm = mn__pending(n->in[0])};
    j.f = frame_of(&j.g, false), j.back = frame_of(&j.g, true);
    j.f.columns = j.back.columns = columns_of(&j.f, &j.back);
    return j;
}

/* Of a thread: planes of x with padding, z or dz, one padded plane of dz, a plane of dx; edges; sums of both gradients. */
static int64_t planes_size(const job *j) { return j->g.C * frame_size(&j->f); }
static int64_t between_size(const job *j) { return padded(j->g.C * j->g.P * j->g.Q); }
static int64_t edge_size(const job *j) {
    int64_t in = LOCAL(pointwise_edge)(j->g.C), out = LOCAL(pointwise_edge)(j->g.K), tail = LOCAL(pointwise_tail)(j->g.K, j->g.C);
    int64_t most = in > out ? in : out;
    return padded(most > tail ? most : tail);
}
static int64_t depth_sums(const job *j) { return j->g.C * 9 * LANES; }
static int64_t point_sums(const job *j) { return padded(LOCAL(pointwise_sums)(j->g.K, j->g.C)); }
static int64_t thread_size(const job *j) {
    int64_t both = planes_size(j) + between_size(j) + edge_size(j);
    if (j->y) return both;
    return both + frame_size(&j->back) + padded(j->g.H * j->g.W) + depth_sums(j) + point_sums(j);
}

/* Memory for `packed` numbers and the threads' scratch. */
static REAL *take_scratch(const mn_node *n, job *j, int64_t packed) {
    REAL *scratch = mn__workspace(n->ctx, (size_t)(packed + j->threads * thread_size(j)) * sizeof *scratch);
    if (scratch) j->own = scratch + packed;
    return scratch;
}

/* z (C,PQ) of image n, and the padded planes of its x. */
static void depthwise(const job *j, int64_t n, REAL *planes, REAL *z) {
    const mn__window *g = &j->g;
    for (int64_t c = 0; c < g->C; c++, planes += frame_size(&j->f)) {
        line room;
        copy_in(&j->f, j->x + (n * g->C + c) * g->H * g->W, line_or_none(j->norm, c, &room), planes);
        slide_rows(&j->f, planes, j->depth + c * 9, z + c * g->P * g->Q);
    }
}

static void forward_images(const job *j, int64_t from, int64_t to, REAL *scratch) {
    const int64_t pixels = j->g.P * j->g.Q;
    REAL *planes = scratch, *z = planes + planes_size(j), *edge = z + between_size(j);
    for (int64_t n = from; n < to; n++) {
        depthwise(j, n, planes, z);
        LOCAL(pointwise_multiply)(&j->p, 0, pixels, z, pixels, false, j->y + n * j->g.K * pixels, edge);
    }
}

mn_status FWD(separable_conv2d)(mn_node *n);
mn_status FWD(separable_conv2d)(mn_node *n) {
    job j = job_of(n);
    const int64_t C = j.g.C, K = j.g.K;
    j.y = out(n);
    REAL *packed = take_scratch(n, &j, LOCAL(pointwise_packed)(C, K));
    if (!packed) return n->ctx->error.status;
    j.p = LOCAL(pointwise_pack)(C, K, in(n, 2), C, 1, NULL, packed);
#pragma omp parallel for num_threads(j.threads) schedule(static, 1) if (j.threads > 1)
    for (int t = 0; t < j.threads; t++) {
        int64_t from, to;
        chunk_of(j.g.N, j.threads, t, &from, &to);
        forward_images(&j, from, to, j.own + t * thread_size(&j));
    }
    return MN_OK;
}

/* What of a plane of dz reaches ddepth and dx. */
static void backward_plane(const job *j, int64_t n, int64_t c, const REAL *plane, const REAL *dz, REAL *padded_dz, REAL *sums) {
    const mn__window *g = &j->g;
    REAL rotated[9], *dx = j->dx ? j->dx + (n * g->C + c) * g->H * g->W : NULL, *fresh = padded_dz + frame_size(&j->back);
    copy_in(&j->back, dz, NULL, padded_dz);
    if (j->ddepth)
        correlate_windows(g->P * j->f.columns, j->f.columns, plane, padded_dz + j->back.top * j->back.columns + j->back.left,
                          sums + c * 9 * LANES);
    if (!dx) return;
    for (int i = 0; i < 9; i++) rotated[i] = j->depth[c * 9 + 8 - i];
    slide_rows(&j->back, padded_dz, rotated, j->add_dx ? fresh : dx);
    for (int64_t i = 0; j->add_dx && i < g->H * g->W; i++) dx[i] += fresh[i];
}

static void backward_images(const job *j, int64_t from, int64_t to, REAL *scratch) {
    const mn__window *g = &j->g;
    const int64_t pixels = g->P * g->Q;
    REAL *planes = scratch, *z = planes + planes_size(j), *edge = z + between_size(j), *padded_dz = edge + edge_size(j);
    REAL *sums = padded_dz + frame_size(&j->back) + padded(g->H * g->W), *point = sums + depth_sums(j);
    memset(sums, 0, (size_t)(depth_sums(j) + point_sums(j)) * sizeof *sums);
    for (int64_t n = from; n < to; n++) {
        const REAL *dy = j->dy + n * g->K * pixels;
        depthwise(j, n, planes, z);
        if (j->dpoint) LOCAL(pointwise_correlate)(g->K, g->C, 0, pixels, dy, z, pixels, point, edge);
        LOCAL(pointwise_multiply)(&j->p, 0, pixels, dy, pixels, false, z, edge);
        for (int64_t c = 0; c < g->C; c++)
            backward_plane(j, n, c, planes + c * frame_size(&j->f), z + c * pixels, padded_dz, sums);
    }
}

/* ddepth (+)= the threads' sums, in order. */
static void collect(const job *j, const REAL *sums, bool add) {
    for (int64_t i = 0; i < j->g.C * 9; i++) {
        REAL total = add ? j->ddepth[i] : 0;
        for (int t = 0; t < j->threads; t++) total += sum_lanes(load(sums + t * thread_size(j) + i * LANES));
        j->ddepth[i] = total;
    }
}

mn_status BWD(separable_conv2d)(mn_node *n);
mn_status BWD(separable_conv2d)(mn_node *n) {
    job j = job_of(n);
    const int64_t C = j.g.C, K = j.g.K;
    j.dy = out_grad(n), j.dx = in_grad(n, 0), j.ddepth = in_grad(n, 1), j.dpoint = in_grad(n, 2), j.add_dx = mn__adds(n, 0);
    REAL *packed = take_scratch(n, &j, LOCAL(pointwise_packed)(K, C));
    if (!packed) return n->ctx->error.status;
    j.p = LOCAL(pointwise_pack)(K, C, in(n, 2), 1, C, NULL, packed);
#pragma omp parallel for num_threads(j.threads) schedule(static, 1) if (j.threads > 1)
    for (int t = 0; t < j.threads; t++) {
        int64_t from, to;
        chunk_of(j.g.N, j.threads, t, &from, &to);
        backward_images(&j, from, to, j.own + t * thread_size(&j));
    }
    const REAL *sums = j.own + thread_size(&j) - point_sums(&j);
    if (j.dpoint) LOCAL(pointwise_collect)(K, C, sums, thread_size(&j), j.threads, mn__adds(n, 2), j.dpoint);
    if (j.ddepth) collect(&j, sums - depth_sums(&j), mn__adds(n, 1));
    return MN_OK;
}
