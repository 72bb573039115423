/* What the GPU can do at most (cuda/peak.h). Nothing in these kernels waits for memory:
 *   - multiply-adds: 8 independent sums a thread, 2048 threads a multiprocessor;
 *   - tensor cores: 4 independent products a warp, 2 blocks of 8 warps a multiprocessor;
 *   - memory: a copy that is larger than every cache, by CUDA's own copy;
 *   - an empty kernel, a thousand times: launched one by one, and as a chain of a graph. */
#include "cuda/peak.h"
#include "cuda/kernel.cuh"
#include "cuda/timer.cuh"

constexpr int PEAK_SUMS = 8, PEAK_PRODUCTS = 4;

/* Never true, but the compiler does not know: without a use the loop would be left out. */
static __device__ __forceinline__ bool peak_used(float v) { return v == 12345.678f; }

__global__ void __launch_bounds__(256) peak_multiply_add(int rounds, float a, float b, float *out) {
    float v[PEAK_SUMS], sum = 0;
#pragma unroll
    for (int i = 0; i < PEAK_SUMS; i++) v[i] = (float)(threadIdx.x + i);
#pragma unroll 16
    for (int r = 0; r < rounds; r++)
#pragma unroll
        for (int i = 0; i < PEAK_SUMS; i++) v[i] = fmaf(v[i], a, b);
#pragma unroll
    for (int i = 0; i < PEAK_SUMS; i++) sum += v[i];
    if (peak_used(sum)) *out = sum;
}

template <bool BF16> __global__ void __launch_bounds__(256) peak_tensor_core(int rounds, float *out) {
    const uint32_t one = BF16 ? 0x3c003c00u : 0x3c000000u; /* a small number in either format */
    const uint32_t a[4] = {one, one + threadIdx.x, one, one}, b[2] = {one, one};
    float d[PEAK_PRODUCTS][4] = {}, sum = 0;
    for (int r = 0; r < rounds; r++)
#pragma unroll
        for (int i = 0; i < PEAK_PRODUCTS; i++) {
            if (BF16) mn_mma_bf16(d[i], a, b, d[i]);
            else mn_mma_tf32(d[i], a, b, d[i]);
        }
#pragma unroll
    for (int i = 0; i < PEAK_PRODUCTS; i++) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
    if (peak_used(sum)) *out = sum;
}

__global__ void peak_empty() {}

/* ---- clocks ---- */

/* The best of three; the first one finds the GPU asleep. */
template <class Work> static cudaError_t best_of(cudaStream_t s, Work work, double *seconds) {
    cudaError_t e = cudaSuccess;
    *seconds = INFINITY;
    for (int k = 0; k < 4 && e == cudaSuccess; k++) {
        double t = 0;
        e = gpu_timed(s, work, &t);
        if (k > 0 && t < *seconds) *seconds = t;
    }
    return e;
}

static cudaError_t measure_graph(cudaStream_t s, int nodes, double *seconds) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    cudaError_t e = cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
    if (e != cudaSuccess) return e;
    for (int i = 0; i < nodes && e == cudaSuccess; i++) e = MN_LAUNCH(peak_empty, 1, 32, 0, s);
    const cudaError_t ended = cudaStreamEndCapture(s, &graph); /* in any case, or the stream goes on recording */
    if (e == cudaSuccess) e = ended;
    if (e == cudaSuccess) e = cudaGraphInstantiate(&exec, graph, 0);
    if (e == cudaSuccess) e = best_of(s, [&] { return cudaGraphLaunch(exec, s); }, seconds);
    if (exec) cudaGraphExecDestroy(exec);
    if (graph) cudaGraphDestroy(graph);
    *seconds /= nodes;
    return e;
}

static cudaError_t measure_copy(cudaStream_t s, size_t bytes, double *rate) {
    char *p = nullptr;
    double seconds = 0;
    cudaError_t e = cudaMalloc(&p, 2 * bytes);
    if (e == cudaSuccess) e = cudaMemsetAsync(p, 0, 2 * bytes, s);
    if (e == cudaSuccess)
        e = best_of(s, [&] { return cudaMemcpyAsync(p + bytes, p, bytes, cudaMemcpyDeviceToDevice, s); }, &seconds);
    if (p) cudaFree(p);
    *rate = seconds > 0 ? 2 * (double)bytes / seconds : 0;
    return e;
}

/* ---- all of it ---- */

const char *mn__gpu_name(char *text, size_t size) {
    cudaDeviceProp p;
    snprintf(text, size, "%s", cudaGetDeviceProperties(&p, 0) == cudaSuccess ? p.name : "no GPU");
    return text;
}

mn_status mn__gpu_peak_measure(mn_context *c, mn__gpu_peak *p) {
    const cudaStream_t s = mn__cuda_stream(c);
    char name[256];
    *p = {};
    p->emulated = strncmp(mn__gpu_name(name, sizeof name), "CPU emulation", 13) == 0;
    const int rounds = p->emulated ? 4 : 20000, nodes = p->emulated ? 10 : 1000, blocks = mn__cuda_processors(c);
    size_t room = 0, all = 0, bytes = p->emulated ? 1 << 20 : (size_t)512 << 20;
    double seconds = 0;
    cudaError_t e = cudaMemGetInfo(&room, &all);
    if (room / 4 < bytes) bytes = room / 4;
    if (e == cudaSuccess)
        e = best_of(s, [&] { return MN_LAUNCH(peak_multiply_add, 8 * blocks, 256, 0, s, rounds, 0.999f, 1e-3f, nullptr); }, &seconds);
    p->f32 = 2.0 * PEAK_SUMS * rounds * 256 * 8 * blocks / seconds;
    if (mn__cuda_capability(c) >= 80) {
        const double products = (double)PEAK_PRODUCTS * rounds * 8 * 2 * blocks;
        if (e == cudaSuccess)
            e = best_of(s, [&] { return MN_LAUNCH(peak_tensor_core<false>, 2 * blocks, 256, 0, s, rounds, nullptr); }, &seconds);
        p->tf32 = products * 2 * 16 * 8 * 8 / seconds;
        if (e == cudaSuccess)
            e = best_of(s, [&] { return MN_LAUNCH(peak_tensor_core<true>, 2 * blocks, 256, 0, s, rounds, nullptr); }, &seconds);
        p->bf16 = products * 2 * 16 * 8 * 16 / seconds;
    }
    if (e == cudaSuccess) e = measure_copy(s, bytes, &p->copy);
    const auto chain = [&] {
        cudaError_t step = cudaSuccess;
        for (int i = 0; i < nodes && step == cudaSuccess; i++) step = MN_LAUNCH(peak_empty, 1, 32, 0, s);
        return step;
    };
    if (e == cudaSuccess) e = best_of(s, chain, &p->launch);
    p->launch /= nodes;
    if (e == cudaSuccess) e = measure_graph(s, nodes, &p->node);
    return mn__cuda_launched(c, "measuring peaks", e);
}
