/* The options of batch_norm as its kernels see them. */
#ifndef MIEN_AUTOGRAD_BATCH_NORM_H
#define MIEN_AUTOGRAD_BATCH_NORM_H
#include "autograd/internal.h"
typedef struct mn__batch_norm_opt {
    mn_batch_norm_opt of; /* first */
    bool relu;
    bool pending; /* the result may be left to who reads it: mn__batch_norm_pending */
} mn__batch_norm_opt;

/* The end of a residual block in one operation: batch_norm(...) + more, and relu of that. `more` has x's shape and may be x.
 * More NULL: without the sum. Each that is taken in passes over memory once less, forward and backward. */
mn_tensor *mn__batch_norm_add(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean, mn_tensor *running_var,
                              mn_tensor *more, bool relu, mn_batch_norm_opt opt);

/* Batch norm is two operations a number; writing its result to memory and reading it again costs more. So in training it may
 * be left pending: only the statistics are computed, the result's data are those of x, and kernels that know of it compute
 * the result as they read x (cpu/line.h), in the backward pass again. For all others the tape settles it (mn__settle).
 * Otherwise as mn__batch_norm_add without a sum. */
mn_tensor *mn__batch_norm_pending(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean,
                                  mn_tensor *running_var, bool relu, mn_batch_norm_opt opt);
#endif
