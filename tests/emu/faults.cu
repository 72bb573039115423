/* Planted faults: each must be reported, in every thread order, and the clean version of the same code must
 * be silent. A fault is a template parameter, `if (F == 3)`; F = 0 is the clean kernel.
 *
 *   faults 7           runs fault 7 alone (EMU_ORDER, EMU_STREAMS as usual)
 *   faults 0           runs all clean versions
 *   faults PLAIN CHECKED   runs everything with the two programs, one process for each fault, and prints a
 * table */
#include "cuda/mn_cuda.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

/* ---- kernels with faults ------------------------------------------------------------------------ */
/* y[t] = x[127 - t] + x[255 - t], 128 threads, through shared memory in two rounds. */
template <int F> __global__ void mirror(const float *x, float *y) {
    __shared__ float s[128];
    int t = threadIdx.x;
    float a = 0;
    if (F == 4 && t >= 100) return;
    for (int r = 0; r < 2; r++) {
        if (F != 5 || t != 127) s[t + (F == 9)] = x[r * 128 + t + (F == 6)];
        if (F == 3) {
            if (t < 64) __syncthreads();
        } else if (F == 10) {
            if (t < 64)
                __syncthreads();
            else
                __syncthreads_count(0); /* on its own line */
        } else if (F != 1)
            __syncthreads();
        a += s[127 - t];
        if (F != 2) __syncthreads();
    }
    if (F != 8 || t != 5) y[t + (F == 7)] = a;
}
/* y[t] = x[t] + x[t ^ 1], a warp. */
template <int F> __global__ void neighbours(const float *x, float *y) {
    __shared__ float s[32];
    int t = threadIdx.x;
    float v = x[t];
    if (F == 11) {
        if (t < 16) v += __shfl_xor_sync(0xffffffffu, v, 1);
    } else if (F == 13)
        v += __shfl_xor_sync(0x0000ffffu, v, 1);
    else {
        s[t] = v;
        if (F != 12) __syncwarp();
        v += s[t ^ 1];
    }
    y[t] = v;
}
/* y[0] += x[0] + ... by atomics, y[1 + t] = x[t] */
template <int F> __global__ void gather(const float *x, float *y) {
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (F == 14)
        y[0] += x[t];
    else
        atomicAdd(&y[0], x[t]);
    y[1 + (F == 15 ? threadIdx.x : t)] = x[t];
}
/* y[4t..4t+3] = x[4t..4t+3] */
template <int F> __global__ void copy_vectors(const float *x, float *y) {
    int t = threadIdx.x;
    float4 v = *(const float4 *)(x + 4 * t + (F == 16));
    *(float4 *)(y + 4 * t) = v;
}
/* y[i] = x[127 - i] by cp.async, 32 threads. */
template <int F> __global__ void mirror_async(const float *x, float *y) {
    __shared__ __align__(16) float s[128];
    int t = threadIdx.x;
    mn_cp_async<16>(&s[4 * t], &x[4 * t]);
    mn_cp_async_commit();
    if (F == 17)
        mn_cp_async_wait<1>();
    else if (F != 19)
        mn_cp_async_wait<0>();
    if (F != 18) __syncwarp();
    for (int i = 4 * t; i < 4 * t + 4; i++) y[i] = F == 19 ? x[127 - i] : s[127 - i];
    if (F == 17) mn_cp_async_wait<0>();
}
/* y[t] = 127 - t through dynamic shared memory of 128 floats. */
__global__ void mirror_dynamic(float *y) {
    float *s = mn_dynamic_shared<float>();
    s[threadIdx.x] = (float)threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = s[127 - threadIdx.x];
}
/* y[t] = x[33 t + 32], rows of 33 in shared memory. */
template <int F> __global__ void last_column(const float *x, float *y, int one) {
    __shared__ float s[32][33];
    int t = threadIdx.x;
    for (int i = 0; i < 33; i++) s[t][i] = x[33 * t + i];
    __syncthreads();
    y[t] = s[F == 21 ? t - (t > 0) : t][F == 21 && t > 0 ? 32 + one : 32];
}
/* part[b] = x[b], then the last block adds them all: y = sum. */
template <int F> __global__ void add_by_ticket(const float *x, float *part, unsigned *ticket, float *y) {
    part[blockIdx.x] = x[blockIdx.x];
    if (F != 28) __threadfence();
    if (atomicAdd(ticket, 1u) != gridDim.x - 1) return;
    if (F != 29) __threadfence();
    float s = 0;
    for (int i = 0; i < (int)gridDim.x; i++) s += part[i];
    *y = s;
}
__global__ void add(int n, const float *x, float *y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += x[i];
}
__global__ void fill(int n, float v, float *y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = v;
}
__global__ void one_mma(float *y) {
    uint32_t a[4] = {0, 0, 0, 0}, b[2] = {0, 0};
    float d[4] = {1, 1, 1, 1};
    mn_mma_tf32(d, a, b, d);
    y[threadIdx.x] = d[0];
}

/* ---- what the host does with them --------------------------------------------------------------- */
static int errors, wrong;
static void ok(cudaError_t e) {
    if (e != cudaSuccess && ++errors < 4) printf("error: %s\n", cudaGetErrorName(e));
}
/* Device memory with 0, 1, 2, ... or unwritten; freed at the end. */
struct Buffer {
    float *d = nullptr;
    Buffer(int n, bool fill_it) {
        std::vector<float> h(n);
        for (int i = 0; i < n; i++) h[i] = (float)i;
        ok(cudaMalloc(&d, n * sizeof(float)));
        if (fill_it) ok(cudaMemcpy(d, h.data(), n * sizeof(float), cudaMemcpyHostToDevice));
    }
    Buffer(const Buffer &) = delete;
    ~Buffer() { ok(cudaFree(d)); }
};
template <class WANT> static void expect(const float *d, int n, WANT want) {
    std::vector<float> h(n);
    ok(cudaMemcpy(h.data(), d, n * sizeof(float), cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++)
        if (!(h[i] == (float)want(i)) && ++wrong < 4)
            printf("wrong result: element %d is %g, want %g\n", i, h[i], (double)want(i));
}

template <int F> static void run_mirror() {
    Buffer x(256, true), y(128, false);
    ok(MN_LAUNCH(mirror<F>, dim3(1), dim3(128), 0, 0, x.d, y.d));
    expect(y.d, 128, [](int i) { return 127 - i + 255 - i; });
}
template <int F> static void run_neighbours() {
    Buffer x(32, true), y(32, false);
    ok(MN_LAUNCH(neighbours<F>, dim3(1), dim3(32), 0, 0, x.d, y.d));
    expect(y.d, 32, [](int i) { return i + (i ^ 1); });
}
template <int F> static void run_gather() {
    Buffer x(64, true), y(65, false);
    ok(cudaMemset(y.d, 0, 65 * 4));
    ok(MN_LAUNCH(gather<F>, dim3(2), dim3(32), 0, 0, x.d, y.d));
    expect(y.d, 65, [](int i) { return i ? i - 1 : 2016; });
}
template <int F> static void run_vectors() {
    Buffer x(132, true), y(128, false);
    ok(MN_LAUNCH(copy_vectors<F>, dim3(1), dim3(32), 0, 0, x.d, y.d));
    expect(y.d, 128, [](int i) { return i; });
}
template <int F> static void run_async() {
    Buffer x(128, true), y(128, false);
    ok(MN_LAUNCH(mirror_async<F>, dim3(1), dim3(32), 0, 0, x.d, y.d));
    expect(y.d, 128, [](int i) { return 127 - i; });
}
template <int F> static void run_dynamic() {
    Buffer y(128, false);
    if (F == 0) ok(cudaFuncSetAttribute(mirror_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 50000));
    size_t bytes = F == 20 ? 508 : F == 32 || F == 0 ? 50000 : 512;
    ok(MN_LAUNCH(mirror_dynamic, dim3(F == 23 ? 0 : 1), dim3(F == 22 ? 2000 : 128), bytes, 0, y.d));
    if (F != 22 && F != 23 && F != 32) expect(y.d, 128, [](int i) { return 127 - i; });
}
template <int F> static void run_last_column() {
    Buffer x(32 * 33, true), y(32, false);
    ok(MN_LAUNCH(last_column<F>, dim3(1), dim3(32), 0, 0, x.d, y.d, 1));
    expect(y.d, 32, [](int i) { return 33 * i + 32; });
}
template <int F> static void run_ticket() {
    Buffer x(8, true), part(8, false), y(1, false);
    unsigned *ticket;
    ok(cudaMalloc(&ticket, 4));
    ok(cudaMemset(ticket, 0, 4));
    ok(MN_LAUNCH(add_by_ticket<F>, dim3(8), dim3(1), 0, 0, x.d, part.d, ticket, y.d));
    expect(y.d, 1, [](int) { return 28; });
    ok(cudaFree(ticket));
}
/* Two streams: a writes, b reads; an event keeps them in order. */
template <int F> static void run_streams() {
    Buffer x(64, true), y(64, true);
    cudaStream_t a, b;
    cudaEvent_t ready, taken;
    float *pinned;
    ok(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    ok(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    ok(cudaEventCreate(&ready));
    ok(cudaEventCreate(&taken));
    ok(cudaMallocHost(&pinned, 256));
    for (int r = 0; r < 20; r++) {
        for (int i = 0; i < 64; i++) pinned[i] = (float)(r + i);
        ok(cudaMemcpyAsync(x.d, pinned, 256, cudaMemcpyHostToDevice, a));
        ok(cudaEventRecord(ready, a));
        if (F != 25) ok(cudaStreamWaitEvent(b, ready, 0));
        ok(cudaMemcpyAsync(y.d, x.d, 256, cudaMemcpyDeviceToDevice, b));
        ok(cudaEventRecord(taken, b));
        ok(cudaStreamWaitEvent(a, taken, 0));
        if (F != 26) ok(cudaEventSynchronize(ready)); /* now the host may write pinned again */
    }
    ok(cudaDeviceSynchronize());
    expect(y.d, 64, [](int i) { return i + 19; });
    ok(cudaFreeHost(pinned));
    ok(cudaEventDestroy(ready));
    ok(cudaEventDestroy(taken));
    ok(cudaStreamDestroy(a));
    ok(cudaStreamDestroy(b));
}
/* Memory of the host and of the device. */
template <int F> static void run_memory() {
    Buffer x(64, true), y(64, F != 27);
    float host[64] = {}, *gone, *lost;
    ok(cudaMalloc(&gone, 256));
    ok(cudaMalloc(&lost, 256));
    ok(cudaMemset(gone, 0, 256));
    if (F == 24) ok(cudaFree(gone));
    ok(MN_LAUNCH(add, dim3(1), dim3(64), 0, 0, 64, F == 24 ? gone : F == 31 ? host : x.d, y.d));
    if (F == 30 && x.d[1] != 1) wrong++;
    if (F == 33) ok(cudaMemcpy(host, x.d, 256, cudaMemcpyHostToDevice));
    if (F == 34) ok(cudaMemcpy(x.d, host, 260, cudaMemcpyHostToDevice));
    if (F != 27) expect(y.d, 64, [](int i) { return F == 31 ? i : 2 * i; });
    if (F != 24) ok(cudaFree(gone));
    if (F != 37) ok(cudaFree(lost));
}
/* Fork and join in a graph: y = x + x, z = x + x, then z += y. */
template <int F> static void run_graph() {
    Buffer x(64, true), y(64, true), z(64, true);
    cudaStream_t a, b;
    cudaEvent_t fork, join;
    cudaGraph_t g = nullptr;
    cudaGraphExec_t x_graph = nullptr;
    ok(cudaStreamCreate(&a));
    ok(cudaStreamCreate(&b));
    ok(cudaEventCreate(&fork));
    ok(cudaEventCreate(&join));
    ok(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    ok(cudaEventRecord(fork, a));
    ok(cudaStreamWaitEvent(b, fork, 0));
    ok(MN_LAUNCH(add, dim3(1), dim3(64), 0, a, 64, x.d, y.d));
    ok(MN_LAUNCH(add, dim3(1), dim3(64), 0, b, 64, x.d, z.d));
    if (F == 38) ok(cudaStreamSynchronize(a));
    ok(cudaEventRecord(join, b));
    if (F != 35) ok(cudaStreamWaitEvent(a, join, 0));
    ok(MN_LAUNCH(add, dim3(1), dim3(64), 0, a, 64, y.d, z.d));
    ok(cudaStreamEndCapture(a, &g));
    if (g) {
        ok(cudaGraphInstantiate(&x_graph, g, 0));
        ok(cudaGraphLaunch(x_graph, a));
        ok(cudaStreamSynchronize(a));
        expect(z.d, 64, [](int i) { return 4 * i; });
        ok(cudaGraphExecDestroy(x_graph));
        ok(cudaGraphDestroy(g));
    }
    ok(cudaEventDestroy(fork));
    ok(cudaEventDestroy(join));
    ok(cudaStreamDestroy(a));
    ok(cudaStreamDestroy(b));
}
template <int F> static void run_mma() {
    Buffer y(32, false);
    ok(MN_LAUNCH(one_mma, dim3(1), dim3(32), 0, 0, y.d));
    expect(y.d, 32, [](int) { return 1; });
}
/* Two tensors of 60 floats in one buffer of 128, with a forbidden gap behind each. */
template <int F> static void run_arena() {
    Buffer arena(128, false);
    emu_forbid(arena.d, 512);
    emu_allow(arena.d, 240);
    emu_allow(arena.d + 64, 240);
    ok(MN_LAUNCH(fill, dim3(1), dim3(64), 0, 0, F == 39 ? 61 : 60, 1.f, arena.d));
    ok(MN_LAUNCH(fill, dim3(1), dim3(64), 0, 0, 60, 2.f, arena.d + 64));
    expect(arena.d, 60, [](int) { return 1; });
}

/* ---- the table
 * ----------------------------------------------------------------------------------------------- */
struct Fault {
    const char *what, *expected; /* a part of the report; "wrong result": only the result shows it */
    void (*planted)(), (*clean)();
};
#define PLANT(N, RUN, WHAT, EXPECTED)                                                                        \
    { WHAT, EXPECTED, RUN<N>, RUN<0> }
static const Fault faults[] = {
    {"", "", nullptr, nullptr},
    PLANT(1, run_mirror, "no barrier after a store", "race: "),
    PLANT(2, run_mirror, "no barrier before the next store", "race: "),
    PLANT(3, run_mirror, "barrier in a branch", "barrier"),
    PLANT(4, run_mirror, "early return before a barrier", "a barrier that not all threads reach"),
    PLANT(5, run_mirror, "shared element never written", "read of memory nobody wrote: shared"),
    PLANT(6, run_mirror, "read one past the end", "read out of bounds: global"),
    PLANT(7, run_mirror, "write one past the end", "write out of bounds: global"),
    PLANT(8, run_mirror, "output element not written", "copy to the host of memory nobody wrote"),
    PLANT(9, run_mirror, "static shared array overrun", "array index out of bounds"),
    PLANT(10, run_mirror, "two different barriers", "threads meet at different barriers"),
    PLANT(11, run_neighbours, "half a warp under a full mask", "waits for lanes that never come"),
    PLANT(12, run_neighbours, "warp-synchronous without __syncwarp", "race: "),
    PLANT(13, run_neighbours, "lane missing in its shuffle mask", "a lane is missing in its own mask"),
    PLANT(14, run_gather, "sum without an atomic", "race: "),
    PLANT(15, run_gather, "two blocks write one address", "another block"),
    PLANT(16, run_vectors, "misaligned float4", "misaligned address"),
    PLANT(17, run_async, "cp.async read before its wait", "cp.async before its wait"),
    PLANT(18, run_async, "cp.async waited for, not synchronised", "race: "),
    PLANT(19, run_async, "cp.async never waited for", "never waited for"),
    PLANT(20, run_dynamic, "dynamic shared memory 4 bytes short", "past the dynamic memory"),
    PLANT(21, run_last_column, "inner index one too large", "array index out of bounds"),
    PLANT(22, run_dynamic, "2000 threads in a block", "cudaErrorInvalidConfiguration"),
    PLANT(23, run_dynamic, "empty grid", "cudaErrorInvalidConfiguration"),
    PLANT(24, run_memory, "use after free", "of a freed buffer"),
    PLANT(25, run_streams, "missing event between streams", "wrong result"),
    PLANT(26, run_streams, "host buffer reused too early", "host buffer changed"),
    PLANT(27, run_memory, "reading a result nobody wrote", "read of memory nobody wrote: global"),
    PLANT(28, run_ticket, "no __threadfence before the ticket", "no __threadfence before its atomic"),
    PLANT(29, run_ticket, "no __threadfence after the ticket", "another block"),
    PLANT(30, run_memory, "host reads device memory", "the host touches device memory"),
    PLANT(31, run_memory, "kernel gets a host pointer", "memory of the host"),
    PLANT(32, run_dynamic, "more than 48 KiB without opting in", "cudaErrorInvalidValue"),
    PLANT(33, run_memory, "copy in the wrong direction", "kind does not fit"),
    PLANT(34, run_memory, "copy past the end of a buffer", "copy to memory out of bounds"),
    PLANT(35, run_graph, "fork in a graph that never joins", "cudaErrorStreamCaptureUnjoined"),
    PLANT(36, run_mma, "tensor cores on a device without", "that the device does not have"),
    PLANT(37, run_memory, "buffer never freed", "device memory never freed"),
    PLANT(38, run_graph, "waiting inside a capture", "cudaErrorStreamCaptureUnsupported"),
    PLANT(39, run_arena, "write into the gap between two tensors", "between two tensors"),
};
constexpr int count = (int)(sizeof faults / sizeof *faults);

static int verdict() {
    ok(cudaDeviceSynchronize());
    return wrong ? 1 : errors ? 2 : 0; /* 97 when only the emulator has found something */
}

/* Runs one fault in a process of its own; 0: nothing was noticed. */
static int run_one(const char *program, int fault, const char *order, std::string *output) {
    std::string command = std::string("EMU_STREAMS=lazy EMU_LEAKS=1 EMU_ORDER=") + order +
                          (fault == 36 ? " EMU_SM=75" : "") + " timeout 20 '" + program + "' " +
                          std::to_string(fault) + " 2>&1";
    char text[400];
    output->clear();
    fflush(stdout);
    FILE *p = popen(command.c_str(), "r");
    if (!p) return -1;
    while (fgets(text, sizeof text, p)) *output += text;
    return pclose(p);
}

static int run_table(const char *plain, const char *checked) {
    static const char *const orders[] = {"up", "down", "random:1"};
    int bad = 0, caught = 0, by_plain = 0;
    std::string out;
    for (const char *program : {plain, checked})
        for (const char *order : orders) {
            bool silent = run_one(program, 0, order, &out) == 0 && out.empty();
            printf("  clean versions, %s, order %-9s %s\n", program == plain ? "plain  " : "checked", order,
                   silent ? "silent" : "REPORTED");
            if (!silent) bad++, printf("%s", out.c_str());
        }
    printf("  %-42s %-6s %s\n", "planted fault", "plain", "the checked build says");
    for (int f = 1; f < count; f++) {
        std::string marks, line;
        bool good = true;
        for (const char *order : orders) marks += run_one(plain, f, order, &out) != 0 ? order[0] : '-';
        for (const char *order : orders) {
            bool noticed = run_one(checked, f, order, &out) != 0;
            size_t at = out.find(faults[f].expected);
            if (noticed && at != std::string::npos) {
                size_t start = out.rfind('\n', at) + 1;
                line = out.substr(start, out.find('\n', at) - start);
            } else
                good = false, bad++, printf("%d in order %s gave:\n%s", f, order, out.c_str());
        }
        caught += good, by_plain += marks != "---";
        printf("  %2d %-39s %-6s %s%s\n", f, faults[f].what, marks.c_str(), good ? "" : "NOT CAUGHT ",
               line.substr(0, 110).c_str());
    }
    printf("%d of %d planted faults caught in every order, %d of them also by the plain build in some order "
           "(u d r)\n",
           caught, count - 1, by_plain);
    return bad != 0;
}

int main(int argc, char **argv) {
    if (argc == 3) return run_table(argv[1], argv[2]);
    if (argc != 2) return fprintf(stderr, "usage: faults NUMBER | faults PLAIN_PROGRAM CHECKED_PROGRAM\n"), 2;
    int f = atoi(argv[1]);
    if (f < 0 || f >= count) return fprintf(stderr, "faults are numbered 1 to %d\n", count - 1), 2;
    if (f > 0)
        faults[f].planted();
    else
        for (int i = 1; i < count; i++) faults[i].clean();
    return verdict();
}
