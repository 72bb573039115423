/* The parameters of the elementwise operations, as the kernels see them. */
#ifndef MIEN_AUTOGRAD_UNARY_H
#define MIEN_AUTOGRAD_UNARY_H
#include "autograd/internal.h"
typedef struct mn__unary_opt {
    double a, b;
} mn__unary_opt;
#endif
