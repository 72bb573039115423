/* A context's GPU, for the files that drive it: device.cu, graph.cu, feed.cu. Kernel files use cuda/kernel.cuh. */
#ifndef MIEN_CUDA_GPU_CUH
#define MIEN_CUDA_GPU_CUH
#include "cuda/kernel.cuh"

enum { GPU_BRANCHES = 16 };
typedef struct gpu {
    cudaStream_t stream; /* everything of the context runs here */
    cudaStream_t side;   /* but for branches of a graph: NULL before the first graph */
    cudaEvent_t forked, finished[GPU_BRANCHES]; /* the beginning of the newest branch; the ends of the newest ones */
    int branches;        /* so many of the step that is being recorded */
    int processors, capability;
    bool wait;           /* MIEN_SYNC=1: wait after every launch */
    bool graphs;         /* MIEN_GRAPH=0: none */
    uint64_t *step;      /* device memory: the step's number for recorded kernels; NULL before the first graph */
    unsigned *counter;   /* device memory: mn__cuda_counter */
    bool step_read;      /* by a kernel of the graph that is being recorded */
    cudaEvent_t from, to; /* of the timer; made when it is first used */
} gpu;
static inline gpu *gpu_of(const mn_context *c) { return (gpu *)c->device_state; }

static inline bool gpu_capturing(const gpu *g) {
    cudaStreamCaptureStatus status;
    return cudaStreamIsCapturing(g->stream, &status) == cudaSuccess && status != cudaStreamCaptureStatusNone;
}

/* The failure `e` of `what`, as a sentence. */
mn_status mn__cuda_failed(mn_error *err, cudaError_t e, const char *what, const char *hint);

extern "C" {
extern const mn__recorder mn__recorder_cuda; /* graph.cu */
extern const mn__feeder mn__feeder_cuda;     /* feed.cu */
}
#endif
