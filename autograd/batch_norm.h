/* The options of batch_norm as its kernels see them. */
#ifndef MIEN_AUTOGRAD_BATCH_NORM_H
#define MIEN_AUTOGRAD_BATCH_NORM_H
#include "autograd/internal.h"
typedef struct mn__batch_norm_opt {
    mn_batch_norm_opt of; /* first */
    bool relu;
} mn__batch_norm_opt;

/* The end of a residual block in one operation: batch_norm(...) + more, and relu of that. `more` has x's shape and may be x.
 * More NULL: without the sum. Each that is taken in passes over memory once less, forward and backward. */
mn_tensor *mn__batch_norm_add(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean, mn_tensor *running_var,
                              mn_tensor *more, bool relu, mn_batch_norm_opt opt);
/* relu(batch_norm(...)) */
mn_tensor *mn__batch_norm_relu(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean,
                               mn_tensor *running_var, mn_batch_norm_opt opt);
#endif
