/* dropout: y[i] = x[i] / (1-p) where the mask keeps i, else 0; dx[i] (+)= dy[i] / (1-p) there.
 * The mask is drawn again backward, from the same numbers, which are the CPU's too (autograd/dropout.h): nothing is
 * stored. Any shape, read as a row. Thread map: a thread a block of Philox, which is four elements side by side.
 * y overwritten. 1 read and 1 write an element, and about 40 integer operations. */
#include "autograd/dropout.h"
#include "cuda/kernel.cuh"
#include "tensor/philox.h"

template <class T>
__global__ void dropout_kernel(int64_t count, uint64_t seed, step_number step, uint64_t which, uint32_t threshold, T scale,
                               const T *from, bool add, T *to) {
    const uint64_t stream = mn__dropout_stream(step.get(), which);
    GRID_STRIDE(block, (count + 3) / 4) {
        uint32_t word[4];
        mn__philox(seed, stream, (uint64_t)block, word);
        for (int k = 0; k < 4; k++) {
            const int64_t i = 4 * block + k;
            if (i >= count) break;
            const T kept = word[k] >= threshold ? scale * from[i] : T(0);
            to[i] = add ? to[i] + kept : kept;
        }
    }
}

template <class T> static mn_status mask(mn_node *n, const T *from, bool add, T *to) {
    const double p = options<mn_dropout_opt>(n)->p;
    const int64_t count = n->out->count;
    return LAUNCH(n->ctx, dropout_kernel<T>, grid_for((count + 3) / 4), THREADS, 0, count, n->ctx->seed,
                  mn__cuda_step(n->ctx), mn__dropout_which(n), mn__dropout_threshold(p), (T)(1 / (1 - p)), from, add, to);
}

template <class T> static mn_status forward(mn_node *n) { return mask(n, in<T>(n, 0), false, out<T>(n)); }
template <class T> static mn_status backward(mn_node *n) {
    return mask(n, out_grad<T>(n), mn__adds(n, 0), in_grad<T>(n, 0));
}
MN__EXPORT(dropout, forward, backward)
