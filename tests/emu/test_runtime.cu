/* The runtime's functions: memory, errors, streams, events, graphs. Compiles with nvcc too; the last part,
 * what a broken or missing device does, is the emulator's. */
#include "tests/emu/emu_test.h"
#include "tests/emu/kernels.cuh"
#include <cstring>
#ifndef __CUDACC__
#include <sys/wait.h>
#include <unistd.h>
#endif

#define FAILS(call, error)                                                                                   \
    do {                                                                                                     \
        cudaError_t e_ = (call);                                                                             \
        if (e_ != (error))                                                                                   \
            failures++,                                                                                      \
                printf("%s:%d: %s instead of %s\n", __FILE__, __LINE__, cudaGetErrorName(e_), #error);       \
        (void)cudaGetLastError();                                                                            \
    } while (0)

static void test_memory() {
    Array<float> x(1000), y(1000, false);
    std::vector<double> want(x.h.begin(), x.h.end());
    OK(cudaMemcpy(y.d, x.d, 4000, cudaMemcpyDeviceToDevice));
    compare("copy on the device", y, want, 0);
    OK(cudaMemset(y.d + 10, 0, 40));
    for (int i = 10; i < 20; i++) want[i] = 0;
    compare("memset", y, want, 0);
    size_t free_before, free_after, total;
    void *p = nullptr;
    OK(cudaMemGetInfo(&free_before, &total));
    OK(cudaMalloc(&p, 100000));
    OK(cudaMemGetInfo(&free_after, &total));
    CHECK(free_after + 100000 <= free_before && free_before <= total);
    CHECK((uintptr_t)p % 16 == 0);
    OK(cudaFree(p));
    OK(cudaFree(nullptr));
    float *pinned;
    cudaPointerAttributes a;
    OK(cudaMallocHost(&pinned, 64));
    OK(cudaPointerGetAttributes(&a, pinned));
    CHECK(a.type == cudaMemoryTypeHost);
    OK(cudaPointerGetAttributes(&a, x.d));
    CHECK(a.type == cudaMemoryTypeDevice);
    OK(cudaFreeHost(pinned));
}

__constant__ float table[4];
__global__ void from_table(float *y) { y[threadIdx.x] = table[threadIdx.x]; }
static void test_constant() {
    float h[4] = {1, 2, 3, 5};
    Array<float> y(4, false);
    OK(cudaMemcpyToSymbol(table, h, sizeof h));
    OK(MN_LAUNCH(from_table, dim3(1), dim3(4), 0, 0, y.d));
    compare("constant memory", y, {1, 2, 3, 5}, 0);
}

static void test_errors() {
    int n = 0, device = -1;
    cudaDeviceProp p;
    OK(cudaGetDeviceCount(&n));
    OK(cudaSetDevice(0));
    OK(cudaGetDevice(&device));
    OK(cudaGetDeviceProperties(&p, 0));
    CHECK(n >= 1 && device == 0 && p.warpSize == 32 && p.major >= 7 && p.maxThreadsPerBlock == 1024);
    FAILS(cudaSetDevice(77), cudaErrorInvalidDevice);
    void *m;
    FAILS(cudaMalloc(&m, (size_t)1 << 60), cudaErrorMemoryAllocation);
    Array<float> x(8);
    FAILS(MN_LAUNCH(axpy, dim3(1), dim3(2000), 0, 0, 8, 1.f, x.d, x.d), cudaErrorInvalidConfiguration);
    FAILS(MN_LAUNCH(axpy, dim3(0), dim3(32), 0, 0, 8, 1.f, x.d, x.d), cudaErrorInvalidConfiguration);
    FAILS(MN_LAUNCH(axpy, dim3(1), dim3(32), 60000, 0, 8, 1.f, x.d, x.d), cudaErrorInvalidValue);
    CHECK(cudaPeekAtLastError() == cudaSuccess);
    FAILS(cudaSetDevice(77), cudaErrorInvalidDevice);
    CHECK(!strcmp(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory"));
    OK(cudaFuncSetAttribute(axpy, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000));
    OK(MN_LAUNCH(axpy, dim3(1), dim3(32), 60000, 0, 0, 1.f, x.d, x.d));
    OK(cudaDeviceSynchronize());
}

static void count_call(void *user) { ++*(int *)user; }
static void test_streams() {
    cudaStream_t a, b;
    cudaEvent_t start, stop;
    float *in, *out, ms = -1;
    int called = 0;
    OK(cudaStreamCreate(&a));
    OK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    OK(cudaEventCreate(&start));
    OK(cudaEventCreate(&stop));
    OK(cudaMallocHost(&in, 400));
    OK(cudaMallocHost(&out, 400));
    Array<float> x(100), y(100);
    OK(cudaEventRecord(start, a));
    for (int r = 0; r < 10; r++) { /* upload and compute on a, read back on b */
        for (int i = 0; i < 100; i++) in[i] = (float)(i + r);
        OK(cudaMemcpyAsync(x.d, in, 400, cudaMemcpyHostToDevice, a));
        OK(cudaMemsetAsync(y.d, 0, 400, a));
        OK(MN_LAUNCH(axpy, dim3(1), dim3(128), 0, a, 100, 2.f, x.d, y.d));
        OK(cudaLaunchHostFunc(a, count_call, &called));
        OK(cudaEventRecord(stop, a));
        OK(cudaStreamWaitEvent(b, stop, 0));
        OK(cudaMemcpyAsync(out, y.d, 400, cudaMemcpyDeviceToHost, b));
        OK(cudaStreamSynchronize(b));
        bool right = true;
        for (int i = 0; i < 100; i++) right &= out[i] == 2.f * (float)(i + r);
        CHECK(right);
    }
    while (cudaStreamQuery(a) == cudaErrorNotReady) {}
    (void)cudaGetLastError();
    OK(cudaEventSynchronize(stop));
    OK(cudaEventElapsedTime(&ms, start, stop));
    CHECK(ms >= 0 && called == 10);
    OK(cudaEventDestroy(start));
    OK(cudaEventDestroy(stop));
    OK(cudaFreeHost(in));
    OK(cudaFreeHost(out));
    OK(cudaStreamDestroy(a));
    OK(cudaStreamDestroy(b));
}

static void test_graphs() {
    cudaStream_t a, b;
    cudaEvent_t fork, join, other;
    cudaGraph_t g;
    cudaGraphExec_t exec;
    cudaStreamCaptureStatus status;
    size_t nodes = 0;
    OK(cudaStreamCreate(&a));
    OK(cudaStreamCreate(&b));
    OK(cudaEventCreate(&fork));
    OK(cudaEventCreate(&join));
    OK(cudaEventCreateWithFlags(&other, cudaEventDisableTiming));
    Array<float> x(1000), y(1000), z(1000);
    std::vector<double> wy(y.h.begin(), y.h.end()), wz(z.h.begin(), z.h.end());

    /* y += x; then side by side z += x and y += x; joined: z += y */
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    OK(MN_LAUNCH(axpy, dim3(4), dim3(256), 0, a, 1000, 1.f, x.d, y.d));
    OK(cudaEventRecord(fork, a));
    OK(cudaStreamWaitEvent(b, fork, 0));
    OK(cudaStreamIsCapturing(b, &status));
    CHECK(status == cudaStreamCaptureStatusActive);
    OK(MN_LAUNCH(axpy, dim3(4), dim3(256), 0, b, 1000, 1.f, x.d, z.d));
    OK(MN_LAUNCH(axpy, dim3(4), dim3(256), 0, a, 1000, 1.f, x.d, y.d));
    OK(cudaEventRecord(join, b));
    OK(cudaStreamWaitEvent(a, join, 0));
    OK(MN_LAUNCH(axpy, dim3(4), dim3(256), 0, a, 1000, 1.f, y.d, z.d));
    OK(cudaStreamEndCapture(a, &g));
    OK(cudaGraphGetNodes(g, nullptr, &nodes));
    CHECK(nodes == 4);
    OK(cudaGraphInstantiate(&exec, g, 0));
    OK(cudaGraphDestroy(g));
    for (int r = 0; r < 3; r++) {
        OK(cudaGraphLaunch(exec, a));
        for (int i = 0; i < 1000; i++) wy[i] += 2.0 * x.h[i], wz[i] += x.h[i] + wy[i];
    }
    OK(cudaStreamSynchronize(a));
    compare("graph with fork and join, 3 times: y", y, wy, 1e-5);
    compare("graph with fork and join, 3 times: z", z, wz, 1e-5);
    OK(cudaGraphExecDestroy(exec));

    /* what a capture refuses */
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    FAILS(cudaStreamSynchronize(a), cudaErrorStreamCaptureUnsupported);
    FAILS(cudaStreamEndCapture(a, &g), cudaErrorStreamCaptureInvalidated);
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    FAILS(cudaMemset(x.d, 0, 4), cudaErrorStreamCaptureImplicit);
    FAILS(cudaStreamEndCapture(a, &g), cudaErrorStreamCaptureInvalidated);
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    OK(cudaEventRecord(fork, a));
    OK(cudaStreamWaitEvent(b, fork, 0));
    OK(MN_LAUNCH(axpy, dim3(4), dim3(256), 0, b, 1000, 1.f, x.d, z.d));
    FAILS(cudaStreamEndCapture(a, &g), cudaErrorStreamCaptureUnjoined);
    OK(cudaEventRecord(other, b)); /* outside: b is not captured any more */
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    FAILS(cudaStreamWaitEvent(a, other, 0), cudaErrorStreamCaptureIsolation);
    FAILS(cudaStreamEndCapture(a, &g), cudaErrorStreamCaptureInvalidated);
    OK(cudaEventDestroy(fork));
    OK(cudaEventDestroy(join));
    OK(cudaEventDestroy(other));
    OK(cudaStreamDestroy(a));
    OK(cudaStreamDestroy(b));
}

#ifndef __CUDACC__
/* Runs f in a process with one more switch; its result is the process's status. */
static int in_process(const char *name, const char *value, int (*f)()) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setenv(name, value, 1);
        if (!freopen("/dev/null", "w", stderr)) _exit(99);
        exit(f());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}
static int no_device() {
    int n = 7;
    void *p;
    return cudaGetDeviceCount(&n) == cudaErrorNoDevice && n == 0 && cudaMalloc(&p, 4) == cudaErrorNoDevice
               ? 50
               : 1;
}
static int no_driver() {
    int n = 7, v = 7;
    return cudaGetDeviceCount(&n) == cudaErrorInsufficientDriver && cudaDriverGetVersion(&v) == cudaSuccess &&
                   v == 0
               ? 50
               : 1;
}
static int little_memory() {
    void *p, *q;
    if (cudaMalloc(&p, 900 << 10) != cudaSuccess || cudaMalloc(&q, 900 << 10) != cudaErrorMemoryAllocation)
        return 1;
    return cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess &&
                   cudaFree(p) == cudaSuccess && cudaMalloc(&q, 900 << 10) == cudaSuccess
               ? 50
               : 1;
}
static int old_device() {
    cudaDeviceProp p;
    return cudaGetDeviceProperties(&p, 0) == cudaSuccess && p.major == 7 && p.minor == 5 &&
                   p.sharedMemPerBlockOptin == 64 << 10 && p.multiProcessorCount == 4
               ? 50
               : 1;
}
/* The third launch loses the device; nothing works any more, and nothing crashes. */
static int lost_device() {
    float *x;
    if (cudaMalloc(&x, 32) || cudaMemset(x, 0, 32)) return 1;
    for (int i = 0; i < 2; i++)
        if (MN_LAUNCH(axpy, dim3(1), dim3(8), 0, 0, 8, 1.f, x, x) != cudaSuccess) return 2;
    if (MN_LAUNCH(axpy, dim3(1), dim3(8), 0, 0, 8, 1.f, x, x) != cudaErrorDevicesUnavailable) return 3;
    return cudaDeviceSynchronize() == cudaErrorDevicesUnavailable &&
                   cudaFree(x) == cudaErrorDevicesUnavailable
               ? 50
               : 4;
}
__global__ void far_away(float *x) { x[1 << 20] = 1; }
__global__ void half_a_barrier() {
    if (threadIdx.x < 7) __syncthreads();
}
__global__ void deep(int n, volatile float *y) {
    volatile char big[100000];
    big[n] = 1;
    y[0] = big[n / 2];
}
/* An illegal address ends the kernel and breaks the context, as on a GPU; the process goes on. */
static int illegal_address() {
    float *x;
    if (cudaMalloc(&x, 32)) return 1;
    cudaError_t launched = MN_LAUNCH(far_away, dim3(3), dim3(64), 0, 0, x);
    return launched == cudaSuccess && cudaDeviceSynchronize() == cudaErrorIllegalAddress &&
                   MN_LAUNCH(axpy, dim3(1), dim3(8), 0, 0, 8, 1.f, x, x) == cudaErrorIllegalAddress &&
                   cudaGetLastError() == cudaErrorIllegalAddress &&
                   cudaGetLastError() == cudaErrorIllegalAddress
               ? 50
               : 2;
}
static int hanging_barrier() {
    MN_LAUNCH(half_a_barrier, dim3(2), dim3(64), 0, 0);
    return cudaDeviceSynchronize() == cudaErrorLaunchTimeout ? 50 : 1;
}
static int full_stack() {
    float *x;
    if (cudaMalloc(&x, 32)) return 1;
    MN_LAUNCH(deep, dim3(1), dim3(2), 0, 0, 5, x);
    return cudaDeviceSynchronize() == cudaErrorIllegalAddress ? 50 : 2;
}
static int status_of_faults() { /* main would return 0, the process ends with 97 */
    hanging_barrier();
    return 0;
}
static int forgotten_faults() {
    hanging_barrier();
    int n = emu_faults();
    emu_forget_faults();
    return n > 0 && emu_faults() == 0 ? 0 : 1;
}
static void test_broken_devices() {
    CHECK(in_process("EMU_DEVICES", "0", no_device) == 50);
    CHECK(in_process("EMU_DEVICES", "nodriver", no_driver) == 50);
    CHECK(in_process("EMU_MEMORY_MIB", "1", little_memory) == 50);
    CHECK(in_process("EMU_SM", "75", old_device) == 50);
    CHECK(in_process("EMU_LOSE_AT", "3", lost_device) == 50);
    CHECK(in_process("EMU_LEAKS", "0", illegal_address) == 50);
    CHECK(in_process("EMU_LEAKS", "0", hanging_barrier) == 50);
    CHECK(in_process("EMU_LEAKS", "0", full_stack) == 50);
    CHECK(in_process("EMU_LEAKS", "0", status_of_faults) == 97);
    CHECK(in_process("EMU_LEAKS", "0", forgotten_faults) == 0);
    CHECK(in_process("EMU_ORDER", "sideways", no_device) == 2);
}
#else
static void test_broken_devices() {}
#endif

int main() {
    test_broken_devices(); /* first: its processes must find an emulator that has not read its switches */
    test_memory();
    test_constant();
    test_errors();
    test_streams();
    test_graphs();
    OK(cudaDeviceSynchronize());
    printf(failures ? "%d FAILED\n" : "the runtime does what it should\n", failures);
    return failures != 0;
}
