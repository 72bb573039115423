/* cross_entropy: with t[n,k] the target (1 at the label, or probabilities), e the label smoothing, w the
 * class weights (1 without them) and q[n,k] = w[k] * ((1-e) t[n,k] + e/K):
 *   y = 1/W sum_n sum_k q[n,k] * -log softmax(x)[n,k]         W = sum_n sum_k w[k] t[n,k]
 *   dx[n,k] (+)= dy/W * (softmax(x)[n,k] * sum_j q[n,j] - q[n,k])
 * Rows without a label (label -1, or all zero) count nowhere; y is 0 when W is.
 * x (N,K), labels int32 (N) or probabilities (N,K), w (K), y (). Saved: softmax(x), W. All overwritten but dx.
 * Thread map: a warp a row (cuda/softmax.cuh) leaves the row's loss and weight in the workspace; then one block adds
 * them up, in double and in an order of its own. 4 reads and 1 write an element forward, 2 to 4 and 1 backward. */
#include "cuda/softmax.cuh"

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

/* The row's softmax into p (which may be NULL), its loss and its weight. */
template <class T>
__global__ void cross_entropy_rows(int64_t N, cross_entropy_targets<T> t, const T *x, T *p, double *loss, double *total) {
    const int lane = threadIdx.x % 32;
    WARP_ROWS(r, N) {
        const T *row = x + r * t.K;
        T max;
        const double sum = exp_sum(row, t.K, &max), log_sum = log(sum);
        const T scale = (T)(1 / sum);
        const bool labelled = t.has_label(r);
        double own_loss = 0, own_weight = 0;
        for (int64_t k = lane; k < t.K; k += 32) {
            if (p) p[r * t.K + k] = exp(row[k] - max) * scale;
            if (!labelled) continue;
            const double q = t.smoothed(r, k);
            if (q != 0) own_loss += q * (log_sum - ((double)row[k] - (double)max)); /* logit -inf, target 0: no NaN */
            own_weight += t.weight(k) * t.target(r, k);
        }
        own_loss = warp_sum(own_loss), own_weight = warp_sum(own_weight);
        if (lane == 0) loss[r] = own_loss, total[r] = own_weight;
    }
}

/* One block adds up the rows. Thread t takes rows t, t + THREADS, ...; *first_bad is the first row whose label is no
 * class, or N. A bad label makes the loss NaN, so that it cannot pass unseen where nobody reads first_bad. */
template <class T>
__global__ void cross_entropy_total(int64_t N, int64_t K, const int32_t *label, const double *loss, const double *total,
                                    T *y, T *W, int64_t *first_bad) {
    __shared__ int64_t bad[THREADS];
    double sum = 0, weight = 0;
    int64_t own_bad = N;
    for (int64_t r = threadIdx.x; r < N; r += THREADS) {
        sum += loss[r], weight += total[r];
        if (label && (label[r] < -1 || label[r] >= K) && r < own_bad) own_bad = r;
    }
    sum = block_sum(sum), weight = block_sum(weight);
    bad[threadIdx.x] = own_bad;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int k = 1; k < THREADS; k++) own_bad = bad[k] < own_bad ? bad[k] : own_bad;
    *first_bad = own_bad;
    *y = own_bad < N ? (T)NAN : (T)(weight != 0 ? sum / weight : 0);
    if (W) *W = (T)weight;
}

/* The sentence for a label that is no class. It is the one thing that the host waits for; in a graph it is left out. */
static mn_status check_labels(mn_node *n, const int64_t *first_bad) {
    mn_context *c = n->ctx;
    const int64_t N = n->in[0]->shape.dim[0];
    int64_t bad = N;
    int32_t label = 0;
    if (n->in[1]->dtype != MN_I32 || mn__cuda_capturing(c)) return MN_OK;
    mn_status s = c->device->download(c->device_state, &bad, first_bad, sizeof bad, &c->error);
    if (s || bad == N) return s;
    s = c->device->download(c->device_state, &label, in<int32_t>(n, 1) + bad, sizeof label, &c->error);
    return s ? s : mn__op_fail(n, MN_ERR_ARG, "the label of sample %lld is %d; wanted 0..%lld, or -1 for no label",
                               (long long)bad, (int)label, (long long)n->in[0]->shape.dim[1] - 1);
}

template <class T> static mn_status forward(mn_node *n) {
    mn_context *c = n->ctx;
    const cross_entropy_targets<T> t = targets_of<T>(n);
    const int64_t N = n->in[0]->shape.dim[0];
    double *loss = (double *)mn__workspace(c, (size_t)(2 * N + 1) * sizeof *loss);
    if (!loss) return c->error.status;
    double *total = loss + N;
    int64_t *first_bad = (int64_t *)(total + N);
    mn_status s = LAUNCH(c, cross_entropy_rows<T>, rows_grid(N), 32 * WARPS, 0, N, t, in<T>(n, 0), saved<T>(n, 0), loss,
                         total);
    if (s) return s;
    s = LAUNCH(c, cross_entropy_total<T>, 1, THREADS, 0, N, t.K, t.label, loss, total, out<T>(n), saved<T>(n, 1),
               first_bad);
    return s ? s : check_labels(n, first_bad);
}

template <class T>
__global__ void cross_entropy_backward(int64_t N, cross_entropy_targets<T> t, const T *p, const T *W, const T *dy, bool add, T *dx) {
    const int lane = threadIdx.x % 32;
    const double scale = W[0] != 0 ? (double)dy[0] / (double)W[0] : 0;
    WARP_ROWS(r, N) {
        const double own = t.has_label(r) ? scale : 0;
        double sum = 0;
        for (int64_t k = lane; k < t.K; k += 32) sum += t.smoothed(r, k);
        sum = warp_sum(sum);
        for (int64_t k = lane; k < t.K; k += 32) {
            const double g = own != 0 ? own * ((double)p[r * t.K + k] * sum - t.smoothed(r, k)) : 0;
            T *const d = dx + r * t.K + k;
            *d = (T)((add ? (double)*d : 0) + g);
        }
    }
}

template <class T> static mn_status backward(mn_node *n) {
    const cross_entropy_targets<T> t = targets_of<T>(n);
    const int64_t N = n->in[0]->shape.dim[0];
    return LAUNCH(n->ctx, cross_entropy_backward<T>, rows_grid(N), 32 * WARPS, 0, N, t, saved<T>(n, 0), saved<T>(n, 1),
                  out_grad<T>(n), mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(cross_entropy, forward, backward)
