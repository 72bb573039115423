/* cross_entropy: with t[n,k] the target (1 at the label, or probabilities), e the label smoothing, w the
 * class weights (1 without them) and q[n,k] = w[k] * ((1-e) t[n,k] + e/K):
 *   y = 1/W sum_n sum_k q[n,k] * -log softmax(x)[n,k]         W = sum_n sum_k w[k] t[n,k]
 *   dx[n,k] (+)= dy/W * (softmax(x)[n,k] * sum_j q[n,j] - q[n,k])
 * Rows without a label (label -1, or all zero) count nowhere; y is 0 when W is.
 * x (N,K), labels int32 (N) or probabilities (N,K), w (K), y (). Saved: softmax(x), W.
 * Rows in parallel, then the rows' losses are added in order, in double. */
#include "cpu/softmax.h"

typedef struct targets {
    int64_t K;
    const int32_t *label; /* or */
    const REAL *soft;
    const REAL *weight; /* may be NULL */
    double keep, spread; /* 1-e, e/K */
} targets;

static targets targets_of(const mn_node *n) {
    const mn_cross_entropy_opt *o = n->opt;
    bool labels = n->in[1]->dtype == MN_I32;
    int64_t K = n->in[0]->shape.dim[1];
    return (targets){.K = K, .label = labels ? n->in[1]->data : NULL, .soft = labels ? NULL : n->in[1]->data,
                     .weight = in(n, 2), .keep = 1 - o->label_smoothing, .spread = o->label_smoothing / (double)K};
}

static double weight(const targets *t, int64_t k) { return t->weight ? t->weight[k] : 1; }
/* t[n,k], before smoothing */
static double target(const targets *t, int64_t n, int64_t k) {
    return t->label ? t->label[n] == k : t->soft[n * t->K + k];
}
/* q[n,k] */
static double smoothed(const targets *t, int64_t n, int64_t k) {
    return weight(t, k) * (t->keep * target(t, n, k) + t->spread);
}
static bool has_label(const targets *t, int64_t n) {
    if (t->label) return t->label[n] >= 0;
    for (int64_t k = 0; k < t->K; k++)
        if (t->soft[n * t->K + k] != 0) return true;
    return false;
}

static mn_status check_labels(mn_node *n, const targets *t) {
    for (int64_t i = 0; t->label && i < n->in[0]->shape.dim[0]; i++)
        if (t->label[i] < -1 || t->label[i] >= t->K)
            return mn__op_fail(n, MN_ERR_ARG, "the label of sample %lld is %d; wanted 0..%lld, or -1 for no label", (long long)i,
                               (int)t->label[i], (long long)t->K - 1);
    return MN_OK;
}

/* Row r: its loss and its weight, and its softmax into p. */
static void row_loss(const targets *t, int64_t r, const REAL *x, REAL *p, double *loss, double *total) {
    REAL max;
    const double sum = exp_row(p, x, t->K, &max), log_sum = log(sum);
    const REAL scale = (REAL)(1 / sum);
    *loss = *total = 0;
    for (int64_t k = 0; k < t->K; k++) p[k] *= scale;
    if (!has_label(t, r)) return;
    for (int64_t k = 0; k < t->K; k++) {
        const double q = smoothed(t, r, k);
        if (q != 0) *loss += q * (log_sum - ((double)x[k] - max)); /* a class of logit -inf and target 0 is no NaN */
        *total += weight(t, k) * target(t, r, k);
    }
}

mn_status FWD(cross_entropy)(mn_node *n);
mn_status FWD(cross_entropy)(mn_node *n) {
    const targets t = targets_of(n);
    int64_t N = n->in[0]->shape.dim[0], K = t.K;
    mn_status s = check_labels(n, &t);
    if (s) return s;
    const REAL *x = in(n, 0);
    double *loss = n->workspace, *total = loss + N, y = 0, W = 0;
    REAL *p = n->saved[0] ? n->saved[0]->data : (REAL *)(total + N);
#pragma omp parallel for num_threads(n->ctx->threads) if (N * K > MN__PARALLEL_MIN)
    for (int64_t r = 0; r < N; r++) row_loss(&t, r, x + r * K, p + r * K, &loss[r], &total[r]);
    for (int64_t r = 0; r < N; r++) y += loss[r], W += total[r];
    out(n)[0] = (REAL)(W != 0 ? y / W : 0);
    if (n->saved[1]) *(REAL *)n->saved[1]->data = (REAL)W;
    return MN_OK;
}

mn_status BWD(cross_entropy)(mn_node *n);
mn_status BWD(cross_entropy)(mn_node *n) {
    const targets t = targets_of(n);
    int64_t N = n->in[0]->shape.dim[0], K = t.K;
    const REAL *p = n->saved[0]->data;
    const double W = *(const REAL *)n->saved[1]->data, scale = W != 0 ? out_grad(n)[0] / W : 0;
    REAL *dx = in_grad(n, 0);
    const bool add = mn__adds(n, 0);
#pragma omp parallel for num_threads(n->ctx->threads) if (N * K > MN__PARALLEL_MIN)
    for (int64_t r = 0; r < N; r++) {
        const double own = has_label(&t, r) ? scale : 0;
        double sum = 0;
        for (int64_t k = 0; own != 0 && k < K; k++) sum += smoothed(&t, r, k);
        for (int64_t k = 0; k < K; k++) {
            const double g = own != 0 ? own * (p[r * K + k] * sum - smoothed(&t, r, k)) : 0;
            dx[r * K + k] = (REAL)((add ? dx[r * K + k] : 0) + g);
        }
    }
    return MN_OK;
}
