/* The parameters of the elementwise operations, as the kernels see them. */
#ifndef MIEN_AUTOGRAD_UNARY_H
#define MIEN_AUTOGRAD_UNARY_H
#include "autograd/internal.h"
typedef struct mn__unary_opt {
    double a, b;
    bool over; /* y takes the place of x: mn__relu_over */
} mn__unary_opt;
#endif
