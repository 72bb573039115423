/* Loss and right answers of an epoch, added up on the device: reading them after each batch would make the host wait for
 * the batch, and the device for the host. The additions are in cpu/tally.c and cuda/tally.cu. */
#include "layers/tally.h"
#include "autograd/cross_entropy.h"
#include "layers/layers.h"
#include <math.h>

struct mn_tally {
    mn_context *ctx;
    int n;
    mn_tensor *sums; /* f64 (n, MN__TALLY_SUMS) */
    double *host;    /* as many numbers */
};

mn_tally *mn_tally_create(mn_context *c, int n) {
    if (c->error.status) return NULL;
    if (n < 1) return MN__FAIL(c, MN_ERR_ARG, "tally: %d entries; wanted at least one", n), NULL;
    mn_tally *t = mn__host(c, MN_MODEL, sizeof *t);
    if (!t) return NULL;
    *t = (mn_tally){.ctx = c, .n = n, .sums = mn_tensor_create(c, MN_MODEL, MN_F64, MN_SHAPE(n, MN__TALLY_SUMS))};
    t->host = mn__host(c, MN_MODEL, (size_t)n * MN__TALLY_SUMS * sizeof *t->host);
    return t->sums && t->host && mn_fill(t->sums, 0) == MN_OK ? t : NULL;
}

static mn_status check(const mn_tally *t, int i, const mn_tensor *logits, const mn_tensor *labels) {
    mn_context *c = t->ctx;
    if (c->error.status) return c->error.status;
    if (i < 0 || i >= t->n) return MN__FAIL(c, MN_ERR_ARG, "tally: there is no entry %d; wanted 0..%d", i, t->n - 1);
    bool fits = logits && labels && logits->shape.ndim == 2 && logits->dtype == c->dtype && labels->dtype == MN_I32 &&
                labels->count == logits->shape.dim[0];
    return fits ? MN_OK
                : MN__FAIL(c, MN_ERR_SHAPE, "tally: wanted a loss of one number, logits (N,K) and integer labels (N)");
}
static double *sum_of(const mn_tally *t, int i) { return (double *)t->sums->data + i * MN__TALLY_SUMS; }

mn_status mn_tally_add(mn_tally *t, int i, const mn_tensor *loss, const mn_tensor *logits, const mn_tensor *labels) {
    if (!t) return MN_ERR_ARG;
    mn_context *c = t->ctx;
    mn_status s = check(t, i, loss && loss->count == 1 && loss->dtype == c->dtype ? logits : NULL, labels);
    if (s) return s;
    mn__tally_batch b = {.ctx = c,
                         .N = logits->shape.dim[0],
                         .K = logits->shape.dim[1],
                         .loss = loss->data,
                         .logits = logits->data,
                         .label = labels->data,
                         .sum = sum_of(t, i)};
    mn_status (*add)(const mn__tally_batch *) = c->kernels->tally[c->dtype];
    return add ? add(&b) : MN__FAIL(c, MN_ERR_UNSUPPORTED, "tally: has no kernel for %s", c->device->name);
}

mn_tensor *mn_tally_cross_entropy(mn_tally *t, int i, mn_tensor *logits, mn_tensor *target, const mn_tensor *labels,
                                  mn_tensor *class_weight, mn_cross_entropy_opt opt) {
    if (!labels) labels = target;
    if (!t || check(t, i, logits, labels)) return NULL;
    mn__cross_entropy_opt with = {.of = opt};
    if (mn_context_device(t->ctx) == MN_CUDA) with.tally_label = labels->data, with.tally_sum = sum_of(t, i);
    mn_tensor *loss = mn__cross_entropy(logits, target, class_weight, with);
    if (loss && !with.tally_sum && mn_tally_add(t, i, loss, logits, labels)) return NULL;
    return loss;
}

mn_status mn_tally_read(mn_tally *t, mn_tally_sum *out) {
    if (!t) return MN_ERR_ARG;
    mn_status s = mn_get(t->sums, t->host);
    for (int i = 0; i < t->n && !s; i++) {
        const double *k = t->host + i * MN__TALLY_SUMS;
        out[i] = (mn_tally_sum){.loss = k[MN__TALLY_LOSS],
                                .hits = {(int64_t)k[MN__TALLY_RIGHT], (int64_t)k[MN__TALLY_OF]},
                                .batches = (int64_t)k[MN__TALLY_BATCHES],
                                .not_finite = (int64_t)k[MN__TALLY_NOT_FINITE]};
    }
    return s;
}

mn_status mn_tally_set(mn_tally *t, const mn_tally_sum *sum) {
    if (!t) return MN_ERR_ARG;
    if (!sum) return mn_fill(t->sums, 0);
    for (int i = 0; i < t->n; i++) {
        double *k = t->host + i * MN__TALLY_SUMS;
        k[MN__TALLY_LOSS] = sum[i].loss;
        k[MN__TALLY_RIGHT] = (double)sum[i].hits.right, k[MN__TALLY_OF] = (double)sum[i].hits.of;
        k[MN__TALLY_BATCHES] = (double)sum[i].batches, k[MN__TALLY_NOT_FINITE] = (double)sum[i].not_finite;
    }
    return mn_set(t->sums, t->host);
}
