/* CUDA C++ on the CPU: what a .cu file sees when no nvcc compiles it (docs/emulator.md tells how it works).
 *
 * Included by cuda/mn_cuda.h only. The names are CUDA's, so that kernels and host code need no change; what
 * is missing here is missing on purpose (textures, cooperative groups, managed memory, several devices). The
 * threads of a block are fibers of one OS thread and blocks run one after another, so the built-in variables
 * are plain globals: a debugger shows them. */
#ifndef MN_EMU_H
#define MN_EMU_H
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

/* ---- words -------------------------------------------------------------------------------------- */
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
/* In a function thread_local implies static: one object, and in an address range the checker can ask for. */
#define __shared__ thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
/* The emulator's own templates are compiled into .cu files; the checker shall not look at them. */
#define EMU_UNCHECKED __attribute__((no_sanitize("thread"), noinline))

/* ---- vector types, built-in variables ----------------------------------------------------------- */
#define EMU_VECTORS(T, NAME)                                                                                 \
    struct NAME##1 {                                                                                         \
        T x;                                                                                                 \
    };                                                                                                       \
    struct __align__(2 * sizeof(T)) NAME##2 {                                                                \
        T x, y;                                                                                              \
    };                                                                                                       \
    struct NAME##3 {                                                                                         \
        T x, y, z;                                                                                           \
    };                                                                                                       \
    struct __align__(4 * sizeof(T)) NAME##4 {                                                                \
        T x, y, z, w;                                                                                        \
    };                                                                                                       \
    static inline NAME##1 make_##NAME##1(T x) { return {x}; }                                                \
    static inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }                                        \
    static inline NAME##3 make_##NAME##3(T x, T y, T z) { return {x, y, z}; }                                \
    static inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMU_VECTORS(signed char, char)
EMU_VECTORS(unsigned char, uchar)
EMU_VECTORS(short, short)
EMU_VECTORS(unsigned short, ushort)
EMU_VECTORS(int, int)
EMU_VECTORS(unsigned, uint)
EMU_VECTORS(float, float)
struct __align__(16) double2 {
    double x, y;
};
struct __align__(16) longlong2 {
    long long x, y;
};
static inline double2 make_double2(double x, double y) { return {x, y}; }
static inline longlong2 make_longlong2(long long x, long long y) { return {x, y}; }

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};
extern uint3 threadIdx, blockIdx; /* of the thread that runs now; changed at every switch of fibers */
extern dim3 blockDim, gridDim;
static constexpr int warpSize = 32;

/* ---- barriers and warp operations --------------------------------------------------------------- */
/* The place of a call. As a default argument it is the caller's line, so __syncthreads can be a function. */
struct emu_site {
    const char *file;
    int line;
};
#define EMU_SITE emu_site at = {__builtin_FILE(), __builtin_LINE()}

enum emu_barrier_kind { EMU_BARRIER, EMU_BARRIER_COUNT, EMU_BARRIER_AND, EMU_BARRIER_OR };
int emu_barrier(int predicate, emu_barrier_kind kind, emu_site at);
static inline void __syncthreads(EMU_SITE) { emu_barrier(0, EMU_BARRIER, at); }
static inline int __syncthreads_count(int p, EMU_SITE) { return emu_barrier(p != 0, EMU_BARRIER_COUNT, at); }
static inline int __syncthreads_and(int p, EMU_SITE) { return emu_barrier(p != 0, EMU_BARRIER_AND, at); }
static inline int __syncthreads_or(int p, EMU_SITE) { return emu_barrier(p != 0, EMU_BARRIER_OR, at); }

/* One operation of a warp. Every lane of `mask` leaves a pointer to its input, one for its output and a
 * number, and waits; the last to come calls `work` for all of them. */
typedef void (*emu_warp_work)(void **in, void **out, const int *arg, unsigned mask);
void emu_warp(unsigned mask, const char *name, emu_warp_work work, void *in, void *out, int arg, emu_site at);
int emu_lane();

/* out[l] = in[arg[l]]. What comes from a lane outside the mask is undefined: it becomes 0xff bytes (NaN). */
void emu_work_shuffle4(void **in, void **out, const int *arg, unsigned mask);
void emu_work_shuffle8(void **in, void **out, const int *arg, unsigned mask);
void emu_work_ballot(void **in, void **out, const int *, unsigned mask);
void emu_work_reduce_add(void **in, void **out, const int *, unsigned mask);
void emu_work_syncwarp(void **, void **, const int *, unsigned);

template <class T> EMU_UNCHECKED T emu_shuffle(unsigned mask, T v, int from, const char *name, emu_site at) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
    T r = v;
    emu_warp(mask, name, sizeof(T) == 4 ? emu_work_shuffle4 : emu_work_shuffle8, &v, &r, from, at);
    return r;
}
/* The lane to read from, in segments of `width` lanes; outside its segment a lane reads itself. */
static inline int emu_clamp_lane(int from, int width) {
    int own = emu_lane(), first = own & ~(width - 1);
    return from < first || from >= first + width ? own : from;
}
template <class T> T __shfl_sync(unsigned mask, T v, int src, int width = 32, EMU_SITE) {
    return emu_shuffle(mask, v, (emu_lane() & ~(width - 1)) + (src & (width - 1)), "__shfl_sync", at);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, EMU_SITE) {
    return emu_shuffle(mask, v, emu_clamp_lane(emu_lane() - (int)delta, width), "__shfl_up_sync", at);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, EMU_SITE) {
    return emu_shuffle(mask, v, emu_clamp_lane(emu_lane() + (int)delta, width), "__shfl_down_sync", at);
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32, EMU_SITE) {
    return emu_shuffle(mask, v, emu_clamp_lane(emu_lane() ^ lanes, width), "__shfl_xor_sync", at);
}
static inline unsigned emu_ballot(unsigned mask, int p, const char *name, emu_site at) {
    unsigned r = 0;
    emu_warp(mask, name, emu_work_ballot, &p, &r, 0, at);
    return r;
}
static inline unsigned __ballot_sync(unsigned m, int p, EMU_SITE) {
    return emu_ballot(m, p != 0, "__ballot_sync", at);
}
static inline int __any_sync(unsigned m, int p, EMU_SITE) {
    return emu_ballot(m, p != 0, "__any_sync", at) != 0;
}
static inline int __all_sync(unsigned m, int p, EMU_SITE) {
    return emu_ballot(m, p == 0, "__all_sync", at) == 0;
}
static inline unsigned __reduce_add_sync(unsigned m, unsigned v, EMU_SITE) {
    unsigned r = 0;
    emu_warp(m, "__reduce_add_sync", emu_work_reduce_add, &v, &r, 0, at);
    return r;
}
static inline void __syncwarp(unsigned m = ~0u, EMU_SITE) {
    emu_warp(m, "__syncwarp", emu_work_syncwarp, nullptr, nullptr, 0, at);
}
/* Which lanes are together is not defined on a GPU; here the answer is always "only this one". */
static inline unsigned __activemask() { return 1u << emu_lane(); }

/* ---- fences, atomics, loads and stores ---------------------------------------------------------- */
void emu_fence();
void emu_trap(emu_site at);
static inline void __threadfence() { emu_fence(); }
static inline void __threadfence_block() {}
static inline void __trap(EMU_SITE) { emu_trap(at); }

void emu_atomic(void *p, size_t bytes, const void *pc); /* tells the checker of an atomic access */
template <class T> struct emu_same { typedef T type; }; /* keeps the value from taking part in deduction */
#define EMU_ATOMIC(NAME, NEW_VALUE)                                                                          \
    template <class T> EMU_UNCHECKED T NAME(T *p, typename emu_same<T>::type v) {                            \
        emu_atomic(p, sizeof(T), __builtin_return_address(0));                                               \
        T old = *p;                                                                                          \
        *p = (T)(NEW_VALUE);                                                                                 \
        return old;                                                                                          \
    }
EMU_ATOMIC(atomicAdd, old + v)
EMU_ATOMIC(atomicSub, old - v)
EMU_ATOMIC(atomicMax, old > v ? old : v)
EMU_ATOMIC(atomicMin, old < v ? old : v)
EMU_ATOMIC(atomicAnd, old &v)
EMU_ATOMIC(atomicOr, old | v)
EMU_ATOMIC(atomicXor, old ^ v)
EMU_ATOMIC(atomicExch, v)
EMU_ATOMIC(atomicInc, old >= v ? 0 : old + 1)
template <class T>
EMU_UNCHECKED T atomicCAS(T *p, typename emu_same<T>::type expected, typename emu_same<T>::type v) {
    emu_atomic(p, sizeof(T), __builtin_return_address(0));
    T old = *p;
    if (old == expected) *p = v;
    return old;
}
template <class T> static __forceinline__ T __ldg(const T *p) { return *p; }
template <class T> static __forceinline__ T __ldcs(const T *p) { return *p; }
template <class T> static __forceinline__ T __ldcg(const T *p) { return *p; }
template <class T> static __forceinline__ void __stcs(T *p, T v) { *p = v; }
template <class T> static __forceinline__ void __stcg(T *p, T v) { *p = v; }

/* ---- arithmetic --------------------------------------------------------------------------------- */
#define EMU_MIN_MAX(T)                                                                                       \
    static inline T min(T a, T b) { return a < b ? a : b; }                                                  \
    static inline T max(T a, T b) { return a > b ? a : b; }
EMU_MIN_MAX(int)
EMU_MIN_MAX(unsigned)
EMU_MIN_MAX(long)
EMU_MIN_MAX(unsigned long)
EMU_MIN_MAX(long long)
EMU_MIN_MAX(unsigned long long)
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
static inline double rsqrt(double x) { return 1. / sqrt(x); }
static inline float rsqrt(float x) { return 1.f / sqrtf(x); }
/* <cmath> of glibc declares functions of some of these names, so they are macros, after the include. */
#define __expf(x) expf(x)
#define __exp2f(x) exp2f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1.f : 0.f; } /* NaN becomes 0 */
static inline int __float2int_rn(float x) { return (int)lrintf(x); }
static inline int __float2int_rd(float x) { return (int)floorf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
template <class TO, class FROM> static inline TO emu_bits(FROM v) {
    static_assert(sizeof(TO) == sizeof(FROM), "the same bits under another type");
    TO r;
    memcpy(&r, &v, sizeof r);
    return r;
}
static inline int __float_as_int(float x) { return emu_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
static inline float __int_as_float(int x) { return emu_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
static inline long long __double_as_longlong(double x) { return emu_bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return emu_bits<double>(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __brev(unsigned x) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
    return r;
}
long long clock64();

/* ---- tensor cores, asynchronous copies: the CPU half of the functions in mn_cuda.h -------------- */
struct emu_mma_operands {
    uint32_t a[4], b[2];
    float c[4];
};
void emu_work_mma_tf32(void **in, void **out, const int *,
                       unsigned); /* in: emu_mma_operands, out: float[4] */
void emu_work_mma_bf16(void **in, void **out, const int *, unsigned);
void emu_work_ldmatrix(void **in, void **out, const int *arg, unsigned); /* arg: matrices, + 8 for .trans */
void emu_read_row(const void *row, emu_site at); /* checks the 16 bytes that a lane names for ldmatrix */
void emu_needs_sm(int sm, const char *what, emu_site at);
void emu_cp_async(void *dst, const void *src, int bytes, int valid, emu_site at);
void emu_cp_async_commit();
void emu_cp_async_wait(int groups_left);
void *emu_dynamic_shared();

/* ---- the runtime's interface -------------------------------------------------------------------- */
enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInitializationError = 3,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInvalidMemcpyDirection = 21,
    cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorInvalidDeviceFunction = 98,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorIllegalState = 401,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchTimeout = 702,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorStreamCaptureUnmatched = 903,
    cudaErrorStreamCaptureUnjoined = 904,
    cudaErrorStreamCaptureIsolation = 905,
    cudaErrorStreamCaptureImplicit = 906,
    cudaErrorCapturedEvent = 907,
    cudaErrorUnknown = 999
};
const char *cudaGetErrorName(cudaError_t);
const char *cudaGetErrorString(cudaError_t);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount, warpSize, maxThreadsPerBlock, maxThreadsPerMultiProcessor;
    int maxThreadsDim[3], maxGridSize[3], regsPerBlock, regsPerMultiprocessor, l2CacheSize, memoryBusWidth;
    int asyncEngineCount, concurrentKernels, integrated, canMapHostMemory, unifiedAddressing, ECCEnabled;
    int persistingL2CacheMaxSize;
    size_t totalGlobalMem, totalConstMem, sharedMemPerBlock, sharedMemPerBlockOptin,
        sharedMemPerMultiprocessor;
};
enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1,
    cudaDevAttrClockRate = 13,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrMemoryClockRate = 36,
    cudaDevAttrGlobalMemoryBusWidth = 37,
    cudaDevAttrL2CacheSize = 38,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
cudaError_t cudaGetDeviceCount(int *);
cudaError_t cudaSetDevice(int);
cudaError_t cudaGetDevice(int *);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *, int);
cudaError_t cudaDeviceGetAttribute(int *, cudaDeviceAttr, int);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaDeviceReset();
cudaError_t cudaDriverGetVersion(int *);
cudaError_t cudaRuntimeGetVersion(int *);

enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
enum cudaMemoryType {
    cudaMemoryTypeUnregistered,
    cudaMemoryTypeHost,
    cudaMemoryTypeDevice,
    cudaMemoryTypeManaged
};
struct cudaPointerAttributes {
    cudaMemoryType type;
    int device;
    void *devicePointer, *hostPointer;
};
enum {
    cudaHostAllocDefault = 0,
    cudaHostAllocPortable = 1,
    cudaHostAllocMapped = 2,
    cudaHostAllocWriteCombined = 4
};
cudaError_t emu_malloc(void **, size_t);
cudaError_t emu_malloc_host(void **, size_t);
template <class T> cudaError_t cudaMalloc(T **p, size_t bytes) { return emu_malloc((void **)p, bytes); }
template <class T> cudaError_t cudaMallocHost(T **p, size_t bytes) {
    return emu_malloc_host((void **)p, bytes);
}
template <class T> cudaError_t cudaHostAlloc(T **p, size_t bytes, unsigned) {
    return emu_malloc_host((void **)p, bytes);
}
cudaError_t cudaFree(void *);
cudaError_t cudaFreeHost(void *);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *, const void *);

typedef struct emu_stream *cudaStream_t;
typedef struct emu_event *cudaEvent_t;
typedef struct emu_graph *cudaGraph_t;
typedef struct emu_graph_exec *cudaGraphExec_t;
typedef struct emu_graph_node *cudaGraphNode_t;
typedef void (*cudaHostFn_t)(void *);
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal,
    cudaStreamCaptureModeThreadLocal,
    cudaStreamCaptureModeRelaxed
};
enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone,
    cudaStreamCaptureStatusActive,
    cudaStreamCaptureStatusInvalidated
};
cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, cudaMemcpyKind, EMU_SITE);
cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind, cudaStream_t = nullptr,
                            EMU_SITE);
cudaError_t cudaMemset(void *, int value, size_t bytes, EMU_SITE);
cudaError_t cudaMemsetAsync(void *, int value, size_t bytes, cudaStream_t = nullptr, EMU_SITE);
template <class T>
cudaError_t cudaMemcpyToSymbol(T &symbol, const void *src, size_t bytes, size_t offset = 0,
                               cudaMemcpyKind = cudaMemcpyHostToDevice) {
    if (offset + bytes > sizeof symbol) return cudaErrorInvalidValue;
    cudaError_t e = cudaDeviceSynchronize();
    if (e == cudaSuccess) memcpy((char *)&symbol + offset, src, bytes);
    return e;
}
cudaError_t cudaStreamCreate(cudaStream_t *);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *, unsigned flags);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *, unsigned flags, int priority);
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest);
cudaError_t cudaStreamDestroy(cudaStream_t);
cudaError_t cudaStreamSynchronize(cudaStream_t);
cudaError_t cudaStreamQuery(cudaStream_t);
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned flags = 0);
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t, void *user);
cudaError_t cudaEventCreate(cudaEvent_t *);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t = nullptr);
cudaError_t cudaEventSynchronize(cudaEvent_t);
cudaError_t cudaEventQuery(cudaEvent_t);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t stop);
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *);
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus *);
cudaError_t cudaGraphGetNodes(cudaGraph_t, cudaGraphNode_t *nodes, size_t *count);
cudaError_t cudaGraphDebugDotPrint(cudaGraph_t, const char *path, unsigned flags);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *, cudaGraph_t, unsigned long long flags = 0);
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphDestroy(cudaGraph_t);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t);

enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
    cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
struct cudaFuncAttributes {
    size_t sharedSizeBytes, constSizeBytes, localSizeBytes;
    int maxThreadsPerBlock, numRegs, ptxVersion, binaryVersion, maxDynamicSharedSizeBytes;
};
cudaError_t emu_func_set_attribute(const void *func, cudaFuncAttribute, int value);
cudaError_t emu_func_get_attributes(cudaFuncAttributes *, const void *func);
cudaError_t emu_occupancy(int *blocks, int threads, size_t smem);
template <class F> cudaError_t cudaFuncSetAttribute(F *f, cudaFuncAttribute a, int value) {
    return emu_func_set_attribute((const void *)f, a, value);
}
template <class F> cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *a, F *f) {
    return emu_func_get_attributes(a, (const void *)f);
}
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, F *, int threads, size_t smem) {
    return emu_occupancy(blocks, threads, smem);
}

/* ---- launching ---------------------------------------------------------------------------------- */
/* `invoke` calls the kernel with the `bytes` of arguments that lie at `args`; they are copied by this call.
 */
cudaError_t emu_launch(const char *name, const void *func, void (*invoke)(const void *func, const void *args),
                       const void *args, size_t bytes, dim3 grid, dim3 block, size_t smem, cudaStream_t);
template <class... P> EMU_UNCHECKED void emu_invoke(const void *func, const void *args) {
    std::apply((void (*)(P...))func, *(const std::tuple<P...> *)args);
}
template <class... P, class... A>
cudaError_t mn_launch(const char *name, void (*k)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t s,
                      A &&...a) {
    static_assert((std::is_trivially_copyable<P>::value && ...),
                  "a kernel's parameters are copied byte by byte");
    std::tuple<P...> args((P)std::forward<A>(a)...);
    return emu_launch(name, (const void *)k, emu_invoke<P...>, &args, sizeof args, grid, block, smem, s);
}

/* ---- the emulator's own ------------------------------------------------------------------------- */
/* Faults found so far in this process; a process with faults ends with exit status 97 whatever it returns.
 * emu_forget_faults is for tests that want a fault. */
int emu_faults();
void emu_forget_faults();
/* Where each thread of the block that runs now is: for `call emu_where()` in gdb. */
void emu_where();
/* Device bytes that no kernel may touch (gaps in an arena), and their release as fresh, unwritten memory. */
void emu_forbid(void *p, size_t bytes);
void emu_allow(void *p, size_t bytes);
#endif
