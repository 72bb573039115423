/* mien bench --layers: the table of a profile. */
#ifndef MIEN_BENCH_LAYERS_H
#define MIEN_BENCH_LAYERS_H
#include "autograd/profile.h"
#include <stdio.h>

/* Of `steps` steps that took `seconds` together; shares are of peak (GFLOP/s) and bandwidth (GB/s). 0 seconds: the rows
 * were measured by a GPU's clock, and are shares of their sum. */
void bench_layers(FILE *out, const mn_profile *p, int steps, double seconds, double peak, double bandwidth);
#endif
