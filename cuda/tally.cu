/* A batch's loss and right answers, added to the sums of an epoch (layers/tally.h), which stay on the device until somebody
 * asks. Thread map: one block; a warp takes rows, thread 0 adds. N*K reads. Cross-entropy does the same in its own launch
 * (cross_entropy.cu). */
#include "cuda/tally.cuh"

template <class T>
__global__ void tally_kernel(int64_t N, int64_t K, const T *loss, const T *logits, const int32_t *label, double *sum) {
    double right = 0, of = 0; /* of this warp, in its first lane */
    for (int64_t n = threadIdx.x / 32; n < N; n += THREADS / 32) {
        const int64_t best = warp_largest(logits + n * K, K);
        if (label[n] < 0 || threadIdx.x % 32 > 0) continue;
        of++;
        right += best == label[n];
    }
    right = block_sum(right);
    of = block_sum(of);
    if (threadIdx.x == 0) tally_store(sum, (double)*loss, right, of);
}

template <class T> static mn_status tally(const mn__tally_batch *b) {
    return LAUNCH(b->ctx, tally_kernel<T>, 1, THREADS, 0, b->N, b->K, (const T *)b->loss, (const T *)b->logits, b->label, b->sum);
}
extern "C" {
mn_status mn__tally_cuda_f32(const mn__tally_batch *b) { return tally<float>(b); }
mn_status mn__tally_cuda_f64(const mn__tally_batch *b) { return tally<double>(b); }
}
