/* Backward of operations that end in ReLU: dy counts where y > 0. */
#ifndef MIEN_CUDA_ENDS_IN_RELU_CUH
#define MIEN_CUDA_ENDS_IN_RELU_CUH
#include "autograd/ends_in_relu.h"
#include "cuda/kernel.cuh"

template <class T> __global__ void through_relu(int64_t count, const T *y, const T *dy, T *to) {
    GRID_STRIDE(i, count) to[i] = y[i] > 0 ? dy[i] : T(0);
}

/* The gradient of what stood before the ReLU: written over that of y, which nobody needs any more, or, where it is to be kept
 * for reading, into a buffer. */
template <class T> struct relu_gradient {
    mn_context *c;
    T *dy;
    void *buffer;
    mn_status status;
    relu_gradient(mn_node *n, bool relu) : c(n->ctx), dy((T *)n->out->grad->data), buffer(nullptr), status(MN_OK) {
        if (!relu) return;
        T *const own = dy;
        if (n->out->retain_grad) dy = (T *)(buffer = mn__buffer_take(c, (size_t)n->out->count * sizeof(T)));
        status = !dy ? c->error.status
                     : LAUNCH(c, through_relu<T>, grid_for(n->out->count), THREADS, 0, n->out->count, out<T>(n), own, dy);
    }
    ~relu_gradient() {
        if (buffer) mn__buffer_give(c, buffer);
    }
};
#endif
