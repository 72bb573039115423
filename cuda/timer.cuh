/* Seconds of what work() puts into a stream, by the GPU's own clock. */
#ifndef MIEN_CUDA_TIMER_CUH
#define MIEN_CUDA_TIMER_CUH
#include "cuda/mn_cuda.h"

template <class Work> static cudaError_t gpu_timed(cudaStream_t s, Work work, double *seconds) {
    cudaEvent_t begin = nullptr, end = nullptr;
    float milliseconds = 0;
    cudaError_t e = cudaEventCreate(&begin);
    if (e == cudaSuccess) e = cudaEventCreate(&end);
    if (e == cudaSuccess) e = cudaEventRecord(begin, s);
    if (e == cudaSuccess) e = work();
    if (e == cudaSuccess) e = cudaEventRecord(end, s);
    if (e == cudaSuccess) e = cudaEventSynchronize(end);
    if (e == cudaSuccess) e = cudaEventElapsedTime(&milliseconds, begin, end);
    if (begin) cudaEventDestroy(begin);
    if (end) cudaEventDestroy(end);
    *seconds = milliseconds / 1e3;
    return e;
}
#endif
