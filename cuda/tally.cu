/* A batch's loss and right answers, added to the sums of an epoch (layers/tally.h), which stay on the device until somebody
 * asks. Thread map: one block; thread t takes rows t, t + THREADS, ...; thread 0 adds. N*K reads. */
#include "cuda/reduce.cuh"
#include "layers/tally.h"

template <class T>
__global__ void tally_kernel(int64_t N, int64_t K, const T *loss, const T *logits, const int32_t *label, double *sum) {
    double right = 0, of = 0;
    for (int64_t n = threadIdx.x; n < N; n += THREADS) {
        const T *x = logits + n * K;
        int64_t best = 0;
        for (int64_t k = 1; k < K; k++)
            if (x[k] > x[best]) best = k; /* of equal ones the first */
        if (label[n] < 0) continue;
        of++;
        right += best == label[n];
    }
    right = block_sum(right);
    of = block_sum(of);
    if (threadIdx.x > 0) return;
    sum[MN__TALLY_LOSS] += (double)*loss * of;
    sum[MN__TALLY_RIGHT] += right;
    sum[MN__TALLY_OF] += of;
    sum[MN__TALLY_BATCHES]++;
    if (!isfinite(*loss) && sum[MN__TALLY_NOT_FINITE] == 0) sum[MN__TALLY_NOT_FINITE] = sum[MN__TALLY_BATCHES];
}

template <class T> static mn_status tally(const mn__tally_batch *b) {
    return LAUNCH(b->ctx, tally_kernel<T>, 1, THREADS, 0, b->N, b->K, (const T *)b->loss, (const T *)b->logits, b->label, b->sum);
}
extern "C" {
mn_status mn__tally_cuda_f32(const mn__tally_batch *b) { return tally<float>(b); }
mn_status mn__tally_cuda_f64(const mn__tally_batch *b) { return tally<double>(b); }
}
