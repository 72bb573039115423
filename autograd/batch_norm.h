/* The options of batch_norm as its kernels see them. */
#ifndef MIEN_AUTOGRAD_BATCH_NORM_H
#define MIEN_AUTOGRAD_BATCH_NORM_H
#include "autograd/internal.h"
typedef struct mn__batch_norm_opt {
    mn_batch_norm_opt of; /* first */
    bool relu;
} mn__batch_norm_opt;

/* relu(batch_norm(...)) in one operation, which passes over memory once less forward and backward. */
mn_tensor *mn__batch_norm_relu(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean,
                               mn_tensor *running_var, mn_batch_norm_opt opt);
#endif
