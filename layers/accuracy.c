/* Counting right answers. */
#include "layers/layers.h"
#include "tensor/internal.h"

mn_status mn_count_correct(const mn_tensor *logits, const int32_t *label, mn_accuracy *add_to) {
    if (!logits) return MN_ERR_ARG;
    if (logits->shape.ndim != 2)
        return MN__FAIL(logits->ctx, MN_ERR_SHAPE, "count_correct: the logits have %d dimensions, wanted (N,K)",
                        logits->shape.ndim);
    int64_t n = logits->shape.dim[0], k = logits->shape.dim[1];
    double *v = mn_alloc((size_t)logits->count * sizeof *v);
    if (!v) return MN__FAIL(logits->ctx, MN_ERR_MEMORY, "count_correct: out of host memory");
    mn_status s = mn_get_f64(logits, v);
    for (int64_t i = 0; i < n && !s; i++) {
        int64_t best = 0;
        for (int64_t j = 1; j < k; j++)
            if (v[i * k + j] > v[i * k + best]) best = j;
        if (label[i] >= 0) add_to->of++, add_to->right += best == label[i];
    }
    mn_free(v);
    return s;
}
