/* The ladder for the program (`mien bench --ladder`); its steps are in cuda/ladder/ladder.cuh. Only there when mien was built
 * with CUDA (MN_HAVE_CUDA). */
#ifndef MIEN_CUDA_LADDER_H
#define MIEN_CUDA_LADDER_H
#include "tensor/tensor.h"
#ifdef __cplusplus
extern "C" {
#endif

#define MN__LADDER_STEPS 8
/* The product (size,size) times (size,size), or the convolution 3x3 of `images` images (channels,size,size) to as many
 * channels. Tensors are f32 on the context's device: left and right are a and b, or x and w; scratch has at least
 * mn__ladder_scratch() elements. */
typedef struct mn__ladder {
    bool convolution;
    int size, images, channels;
    const mn_tensor *left, *right;
    mn_tensor *result, *scratch;
} mn__ladder;
int64_t mn__ladder_scratch(const mn__ladder *l);
double mn__ladder_flop(const mn__ladder *l);
double mn__ladder_bytes(const mn__ladder *l); /* of both factors and the result, each counted once */
/* What step 1..MN__LADDER_STEPS adds to the one before, in a few words. */
const char *mn__ladder_idea(bool convolution, int step);
/* Does the step round its factors to tf32? Then it needs compute capability 8.0. */
bool mn__ladder_rounds(int step);
/* Runs the step `times` times (1 or more) and leaves the mean of their times, measured on the GPU. */
mn_status mn__ladder_run(mn_context *c, const mn__ladder *l, int step, int times, double *seconds);
/* The same for cuBLAS's product, in f32 or with factors rounded to tf32; 0 seconds where cuBLAS is not found. */
mn_status mn__ladder_vendor(mn_context *c, const mn__ladder *l, bool tf32, int times, double *seconds);

#ifdef __cplusplus
}
#endif
#endif
