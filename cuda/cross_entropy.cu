/* cross_entropy: with t[n,k] the target (1 at the label, or probabilities), e the label smoothing, w the
 * class weights (1 without them) and q[n,k] = w[k] * ((1-e) t[n,k] + e/K):
 *   y = 1/W sum_n sum_k q[n,k] * -log softmax(x)[n,k]         W = sum_n sum_k w[k] t[n,k]
 *   dx[n,k] (+)= dy/W * (softmax(x)[n,k] * sum_j q[n,j] - q[n,k])
 * Rows without a label (label -1, or all zero) count nowhere; y is 0 when W is.
 * x (N,K), labels int32 (N) or probabilities (N,K), w (K), y (). All overwritten but dx.
 *
 * One launch gives the loss, its gradient and what a tally wants to know (layers/tally.h):
 *   - a warp takes a row (cuda/softmax.cuh): it leaves the row's loss, weight and right answer in the workspace, and
 *     g = softmax(x) * sum q - q, which is dx but for a factor that is known when all rows are done
 *   - the block that finishes last (the counter says which) adds the rows up, in double and in the order of their numbers,
 *     whichever block it is; and if there are few numbers it multiplies g by 1/W
 * Backward is one multiplication: saved[0] = g, saved[1] = what it still lacks, 1/W or 1. Where the pass begins with this loss,
 * and so dy = 1, g is dx as it lies (mn_node.ready). 4 reads and 1 write an element forward, 1 and 1 backward. */
#include "autograd/cross_entropy.h"
#include "cuda/softmax.cuh"
#include "cuda/tally.cuh"

template <class T> struct cross_entropy_targets {
    int64_t K;
    const int32_t *label; /* or */
    const T *soft;
    const T *class_weight; /* may be NULL */
    double keep, spread;   /* 1-e, e/K */

    __device__ double weight(int64_t k) const { return class_weight ? (double)class_weight[k] : 1.0; }
    /* t[n,k], before smoothing */
    __device__ double target(int64_t n, int64_t k) const {
        return label ? (double)(label[n] == k) : (double)soft[n * K + k];
    }
    /* q[n,k] */
    __device__ double smoothed(int64_t n, int64_t k) const { return weight(k) * (keep * target(n, k) + spread); }
    /* The same answer in every lane of the warp. */
    __device__ bool has_label(int64_t n) const {
        if (label) return label[n] >= 0;
        bool any = false;
        for (int64_t k = threadIdx.x % 32; k < K; k += 32) any |= soft[n * K + k] != 0;
        return __any_sync(~0u, any) != 0;
    }
};

template <class T> static cross_entropy_targets<T> targets_of(const mn_node *n) {
    const double e = options<mn_cross_entropy_opt>(n)->label_smoothing;
    const bool labels = n->in[1]->dtype == MN_I32;
    const int64_t K = n->in[0]->shape.dim[1];
    return {K, labels ? in<int32_t>(n, 1) : nullptr, labels ? nullptr : in<T>(n, 1), in<T>(n, 2), 1 - e, e / (double)K};
}

/* What the rows leave for the last block; right: NULL without a tally. */
struct cross_entropy_rows {
    double *loss, *weight, *right;
    unsigned *finished; /* blocks; 0 between launches */
};
/* Where the epoch's sums stand; sum NULL: nowhere. */
struct cross_entropy_tally {
    const int32_t *label;
    double *sum;
};
constexpr int64_t CROSS_ENTROPY_FEW = 16384; /* numbers that one block multiplies in no time */

template <class T>
__device__ __forceinline__ void cross_entropy_row(int64_t r, const cross_entropy_targets<T> &t, const T *x, T *g,
                                                  const cross_entropy_rows &rows, const cross_entropy_tally &tally) {
    const int lane = threadIdx.x % 32;
    const T *row = x + r * t.K;
    T max;
    const double sum = exp_sum(row, t.K, &max), log_sum = log(sum);
    const T scale = (T)(1 / sum);
    const bool labelled = t.has_label(r);
    double loss = 0, weight = 0, all = 0;
    for (int64_t k = lane; k < t.K && labelled; k += 32) {
        const double q = t.smoothed(r, k);
        if (q != 0) loss += q * (log_sum - ((double)row[k] - (double)max)); /* logit -inf, target 0: no NaN */
        weight += t.weight(k) * t.target(r, k);
        all += q;
    }
    loss = warp_sum(loss), weight = warp_sum(weight), all = warp_sum(all);
    for (int64_t k = lane; k < t.K && g; k += 32)
        g[r * t.K + k] = labelled ? (T)((double)(exp(row[k] - max) * scale) * all - t.smoothed(r, k)) : T(0);
    const double right = tally.sum && warp_largest(row, t.K) == tally.label[r];
    if (lane > 0) return;
    rows.loss[r] = loss, rows.weight[r] = weight;
    if (tally.sum) rows.right[r] = right;
}

/* Is this the last block to come here? Then it sees what all of them wrote before. */
__device__ __forceinline__ bool last_block(unsigned *finished) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(finished, 1u) == gridDim.x - 1;
    __syncthreads();
    if (!last) return false;
    __threadfence();
    if (threadIdx.x == 0) *finished = 0;
    return true;
}

/* Block: WARPS rows. g, factor: NULL where no gradient will be asked for. *bad: labels that are no class; they make the loss
 * NaN, so that they cannot pass unseen where nobody reads *bad. */
template <class T>
__global__ void cross_entropy_forward(int64_t N, cross_entropy_targets<T> t, const T *x, T *g, cross_entropy_rows rows, T *y,
                                      T *factor, double *bad, cross_entropy_tally tally) {
    WARP_ROWS(r, N) cross_entropy_row(r, t, x, g, rows, tally);
    if (!last_block(rows.finished)) return;
    double loss = 0, weight = 0, wrong = 0, right = 0, of = 0;
    for (int64_t r = threadIdx.x; r < N; r += 32 * WARPS) {
        loss += rows.loss[r], weight += rows.weight[r];
        wrong += t.label && (t.label[r] < -1 || t.label[r] >= t.K);
        if (tally.sum && tally.label[r] >= 0) of++, right += rows.right[r];
    }
    loss = block_sum(loss), weight = block_sum(weight), wrong = block_sum(wrong);
    if (tally.sum) right = block_sum(right), of = block_sum(of);
    const double lacks = weight != 0 ? 1 / weight : 0;
    const bool few = N * t.K <= CROSS_ENTROPY_FEW;
    for (int64_t i = threadIdx.x; i < N * t.K && g && few; i += 32 * WARPS) g[i] = (T)((double)g[i] * lacks);
    if (threadIdx.x > 0) return;
    *bad = wrong;
    const T mean = wrong > 0 ? (T)NAN : (T)(loss * lacks);
    *y = mean;
    if (factor) *factor = few ? T(1) : (T)lacks;
    if (tally.sum) tally_store(tally.sum, (double)mean, right, of);
}

/* The sentence for a label that is no class. It is the one thing that the host waits for; in a graph it is left out. */
static mn_status check_labels(mn_node *n, const double *bad) {
    mn_context *c = n->ctx;
    double any = 0;
    if (n->in[1]->dtype != MN_I32 || mn__cuda_capturing(c)) return MN_OK;
    mn_status s = c->device->download(c->device_state, &any, bad, sizeof any, &c->error);
    const int64_t K = n->in[0]->shape.dim[1];
    for (int64_t r = 0; any > 0 && r < n->in[1]->count && !s; r++) {
        int32_t label = 0;
        s = c->device->download(c->device_state, &label, in<int32_t>(n, 1) + r, sizeof label, &c->error);
        if (!s && (label < -1 || label >= K))
            return mn__op_fail(n, MN_ERR_ARG, "the label of sample %lld is %d; wanted 0..%lld, or -1 for no label", (long long)r,
                               (int)label, (long long)K - 1);
    }
    return s;
}

template <class T> static mn_status forward(mn_node *n) {
    mn_context *c = n->ctx;
    const mn__cross_entropy_opt *o = options<mn__cross_entropy_opt>(n);
    const cross_entropy_targets<T> t = targets_of<T>(n);
    const int64_t N = n->in[0]->shape.dim[0];
    double *work = (double *)mn__workspace(c, (size_t)(3 * N + 1) * sizeof *work), *bad = work + 3 * N;
    if (!work) return c->error.status;
    const cross_entropy_rows rows = {work, work + N, work + 2 * N, mn__cuda_counter(c)};
    const cross_entropy_tally tally = {o->tally_label, o->tally_sum};
    mn_status s = LAUNCH(c, cross_entropy_forward<T>, N ? rows_grid(N) : 1, 32 * WARPS, 0, N, t, in<T>(n, 0), saved<T>(n, 0),
                         rows, out<T>(n), saved<T>(n, 1), bad, tally);
    n->ready = n->saved[0] && N * t.K <= CROSS_ENTROPY_FEW;
    return s ? s : check_labels(n, bad);
}

template <class T>
__global__ void cross_entropy_backward(int64_t count, const T *g, const T *factor, const T *dy, bool add, T *dx) {
    const T scale = dy[0] * factor[0];
    GRID_STRIDE(i, count) dx[i] = (add ? dx[i] : T(0)) + scale * g[i];
}

template <class T> static mn_status backward(mn_node *n) {
    const int64_t count = n->in[0]->count;
    return LAUNCH(n->ctx, cross_entropy_backward<T>, grid_for(count), THREADS, 0, count, saved<T>(n, 0), saved<T>(n, 1),
                  out_grad<T>(n), mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(cross_entropy, forward, backward)
