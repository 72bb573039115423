/* What the GPU can do at most, measured: the ceilings that kernels are held against. Only there when mien was built with
 * CUDA (MN_HAVE_CUDA). */
#ifndef MIEN_CUDA_PEAK_H
#define MIEN_CUDA_PEAK_H
#include "tensor/tensor.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn__gpu_peak {
    double f32, tf32, bf16; /* flop/s: multiply-adds from registers; products on tensor cores, 0 where there are none */
    double copy;            /* bytes/s: what a copy inside the GPU's memory reads and writes, together */
    double launch, node;    /* seconds for an empty kernel: launched one after another; as nodes of a CUDA graph */
    bool emulated;          /* then none of these says anything about a GPU */
} mn__gpu_peak;
/* Takes some 20 ms and up to 1 GiB of the GPU's memory, which is given back. */
mn_status mn__gpu_peak_measure(mn_context *c, mn__gpu_peak *p);
/* The GPU's name; `text` is returned. */
const char *mn__gpu_name(char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
