/* A batch's loss and right answers, added to the sums of an epoch (layers/tally.h). On the calling thread: N*K reads. */
#include "cpu/kernel.h"
#include "layers/tally.h"

mn_status LOCAL(tally)(const mn__tally_batch *b);
mn_status LOCAL(tally)(const mn__tally_batch *b) {
    const REAL *x = b->logits, loss = *(const REAL *)b->loss;
    int64_t right = 0, of = 0;
    for (int64_t n = 0; n < b->N; n++, x += b->K) {
        int64_t best = 0;
        for (int64_t k = 1; k < b->K; k++)
            if (x[k] > x[best]) best = k; /* of equal ones the first */
        if (b->label[n] < 0) continue;
        of++;
        right += best == b->label[n];
    }
    double *sum = b->sum;
    sum[MN__TALLY_LOSS] += (double)loss * (double)of;
    sum[MN__TALLY_RIGHT] += (double)right;
    sum[MN__TALLY_OF] += (double)of;
    sum[MN__TALLY_BATCHES]++;
    if (!isfinite(loss) && sum[MN__TALLY_NOT_FINITE] == 0) sum[MN__TALLY_NOT_FINITE] = sum[MN__TALLY_BATCHES];
    return MN_OK;
}
