/* What products do on the way, where they store their result, which saves a pass over memory.
 * ReLU: max(0, y) in one operation. On CUDA; elsewhere it is written over y (mn__relu_over).
 * Statistics: what a batch norm after a convolution needs of y. On CUDA, where it is not too small for that: the result's
 * node then has them in saved[0], (K,strips,3): of each strip of channel k how many numbers it has, their mean, and the sum
 * of their squared distances from it.
 * Max pooling: of each 2x2 window of the result, side by side, the largest alone. On CUDA; elsewhere it is an operation of its
 * own. The node then has the places of the largest in saved[1]. */
#ifndef MIEN_AUTOGRAD_ENDS_IN_RELU_H
#define MIEN_AUTOGRAD_ENDS_IN_RELU_H
#include "autograd/internal.h"

/* Options as the kernels see them. */
typedef struct mn__conv2d_opt {
    mn_conv2d_opt of; /* first: kernels without this look at nothing else */
    bool relu, measured, pooled;
} mn__conv2d_opt;
typedef struct mn__linear_opt {
    bool relu;
} mn__linear_opt;

mn_tensor *mn__conv2d_relu(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt);
mn_tensor *mn__conv2d_measured(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt);
/* `relu`: of that of the convolution. */
mn_tensor *mn__conv2d_pooled(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt, bool relu);
mn_tensor *mn__linear_relu(mn_tensor *x, mn_tensor *w, mn_tensor *b);
/* Does x's device do so? Then the ReLU that is not an operation of its own is counted here: the numbers of operations are
 * the keys of random numbers (mn_dropout), which are the same on every device. */
static inline bool mn__fuses_relu(const mn_tensor *x) {
    bool fuses = x && mn_context_device(x->ctx) == MN_CUDA;
    if (fuses) x->ctx->next_node++;
    return fuses;
}
#endif
