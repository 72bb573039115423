/* Batches on a stream of their own. Only page-locked ("pinned") memory of the host can be copied while the host does
 * something else, and only another stream's copy runs beside the kernels. With two places for batches, in turn:
 *
 *   host          put 1        put 0 ...
 *   copies          [  1  ]      [  0  ]
 *   kernels      [ step on 0 ][ step on 1 ][ step on 0 ]
 *
 * Two events a place keep them apart: `copied`, which the kernels wait for, and the host, before it writes the pinned
 * memory again; and `used`, which the next copy to that place waits for. The device waits for events, the host
 * seldom: only when it is two batches ahead. */
#include "cuda/gpu.cuh"

typedef struct lane {
    cudaStream_t stream;
    void *host[2];
    cudaEvent_t copied[2], used[2];
} lane;

static void close(void *, void *opened) {
    lane *l = (lane *)opened;
    if (l->stream) cudaStreamSynchronize(l->stream);
    for (int k = 0; k < 2; k++) {
        if (l->copied[k]) cudaEventDestroy(l->copied[k]);
        if (l->used[k]) cudaEventDestroy(l->used[k]);
        if (l->host[k]) cudaFreeHost(l->host[k]);
    }
    if (l->stream) cudaStreamDestroy(l->stream);
    cudaGetLastError();
    mn_free(l);
}

static void *open(void *state, size_t bytes, mn_error *err) {
    lane *l = (lane *)mn_alloc_zero(1, sizeof *l);
    if (!l) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for a feed"), nullptr;
    cudaError_t e = cudaStreamCreateWithFlags(&l->stream, cudaStreamNonBlocking);
    for (int k = 0; k < 2 && e == cudaSuccess; k++) {
        e = cudaMallocHost(&l->host[k], bytes ? bytes : 1);
        if (e == cudaSuccess) e = cudaEventCreateWithFlags(&l->copied[k], cudaEventDisableTiming);
        if (e == cudaSuccess) e = cudaEventCreateWithFlags(&l->used[k], cudaEventDisableTiming);
    }
    if (e == cudaSuccess) return l;
    mn__cuda_failed(err, e, "reserving pinned host memory", "; hint: a smaller batch");
    close(state, l);
    return nullptr;
}

/* An event that was never recorded is one that has happened. */
static void *host_memory(void *, void *opened, int turn, mn_error *err) {
    lane *l = (lane *)opened;
    cudaError_t e = cudaEventSynchronize(l->copied[turn]);
    if (e != cudaSuccess) mn__cuda_failed(err, e, "waiting for a batch", "");
    return e == cudaSuccess ? l->host[turn] : nullptr;
}

/* All work on the other place has been launched by now, and none on this one since. */
static mn_status send(void *state, void *opened, int turn, void *device, size_t bytes, mn_error *err) {
    const gpu *g = (const gpu *)state;
    lane *l = (lane *)opened;
    cudaError_t e = cudaEventRecord(l->used[turn ^ 1], g->stream);
    if (e == cudaSuccess) e = cudaStreamWaitEvent(l->stream, l->used[turn], 0);
    if (e == cudaSuccess && bytes) e = cudaMemcpyAsync(device, l->host[turn], bytes, cudaMemcpyHostToDevice, l->stream);
    if (e == cudaSuccess) e = cudaEventRecord(l->copied[turn], l->stream);
    if (e == cudaSuccess) e = cudaStreamWaitEvent(g->stream, l->copied[turn], 0);
    return e == cudaSuccess ? MN_OK : mn__cuda_failed(err, e, "copying a batch to the GPU", "");
}

extern "C" const mn__feeder mn__feeder_cuda = {open, close, host_memory, send};
