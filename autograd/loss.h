/* The parameter of the losses of loss.def, as the kernels see it; 1 where there is none. */
#ifndef MIEN_AUTOGRAD_LOSS_H
#define MIEN_AUTOGRAD_LOSS_H
#include "autograd/dims.h"
typedef struct mn__loss_opt {
    double a;
} mn__loss_opt;
#endif
