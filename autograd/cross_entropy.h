/* The options of cross_entropy as its kernels see them. */
#ifndef MIEN_AUTOGRAD_CROSS_ENTROPY_H
#define MIEN_AUTOGRAD_CROSS_ENTROPY_H
#include "autograd/internal.h"

/* Where the loss and the right answers are added up on the way (layers/tally.h); sum NULL: nowhere. Kernels that do not do so
 * are not given one. */
typedef struct mn__cross_entropy_opt {
    mn_cross_entropy_opt of; /* first: kernels without a tally look at nothing else */
    const int32_t *tally_label; /* (N) */
    double *tally_sum;
} mn__cross_entropy_opt;

mn_tensor *mn__cross_entropy(mn_tensor *x, mn_tensor *target, mn_tensor *class_weight, mn__cross_entropy_opt opt);
#endif
