/* Guided backpropagation (Springenberg et al. 2015): what in the input speaks for an output, not what speaks against it. */
#ifndef MIEN_AUTOGRAD_GUIDED_H
#define MIEN_AUTOGRAD_GUIDED_H
#include "autograd/autograd.h"
#ifdef __cplusplus
extern "C" {
#endif

/* As mn_backward_from, but negative numbers of a gradient stop at every rectifier (relu, leaky_relu, elu, gelu, silu, clamp). The
 * results are no derivatives: they are for looking, not for learning. */
mn_status mn_backward_guided(mn_context *c, mn_tensor *y, const mn_tensor *dy);

#ifdef __cplusplus
}
#endif
#endif
