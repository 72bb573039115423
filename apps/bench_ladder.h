#ifndef MIEN_APPS_BENCH_LADDER_H
#define MIEN_APPS_BENCH_LADDER_H
#include "tensor/tensor.h"
/* Prints time and error of every step of cuda/ladder; the product is size x size (0: a size that suits the device), and
 * `seconds` what all of it may take, roughly. Returns an exit status. */
int bench_ladder(int size, double seconds);
/* The GPU's measured ceilings: GFLOP/s in the precision of the context, GB/s of a copy. */
mn_status bench_gpu_peak(mn_context *c, double *gflops, double *gbytes);
#endif
