/* The device: switches from the environment, properties, errors, launches. */
#include "cuda/emu/internal.h"
#include <algorithm>
#include <chrono>
#include <map>
#include <string>

namespace emu {

Options options;

ApiMutex &api_lock() {
    static ApiMutex &m = *new ApiMutex; /* never destroyed */
    return m;
}
void ApiMutex::lock() {
    mutex.lock();
    if (depth++ == 0 && options.hide) memory_show(true);
}
void ApiMutex::unlock() {
    if (--depth == 0 && options.hide) memory_show(false);
    mutex.unlock();
}

/* ---- switches
 * ----------------------------------------------------------------------------------------------- */
static void refuse(const char *name, const char *value, const char *wanted) {
    fprintf(stderr, "emu: %s=%s is not understood; wanted: %s\n", name, value, wanted);
    exit(2);
}
static long number(const char *name, long lo, long hi, long otherwise) {
    const char *v = getenv(name);
    char *end;
    if (!v || !*v) return otherwise;
    long n = strtol(v, &end, 10);
    if (*end || n < lo || n > hi) {
        char range[80];
        snprintf(range, sizeof range, "a number from %ld to %ld", lo, hi);
        refuse(name, v, range);
    }
    return n;
}
static bool is_set(const char *name) { return number(name, 0, 1, 0) != 0; }

static void read_switches() {
    const char *order = getenv("EMU_ORDER"), *streams = getenv("EMU_STREAMS"),
               *devices = getenv("EMU_DEVICES");
    if (order && *order) {
        char *end = nullptr;
        if (!strcmp(order, "up"))
            options.order = Order::up;
        else if (!strcmp(order, "down"))
            options.order = Order::down;
        else if (!strncmp(order, "random:", 7)) {
            options.order = Order::random;
            options.seed = (unsigned)strtoul(order + 7, &end, 10);
            if (!order[7] || *end) refuse("EMU_ORDER", order, "random:<number>");
        } else
            refuse("EMU_ORDER", order, "up, down or random:<seed>");
    }
    if (streams && *streams) {
        if (!strcmp(streams, "lazy"))
            options.lazy_streams = true;
        else if (strcmp(streams, "eager"))
            refuse("EMU_STREAMS", streams, "eager or lazy");
    }
    if (devices && !strcmp(devices, "nodriver"))
        options.driver = false, options.devices = 0;
    else
        options.devices = (int)number("EMU_DEVICES", 0, 1, 1);
    options.count = is_set("EMU_COUNT");
    options.launches = is_set("EMU_LAUNCHES");
    options.leaks = is_set("EMU_LEAKS");
    options.hide = is_set("EMU_HIDE");
    options.sm = (int)number("EMU_SM", 50, 200, 90);
    options.multiprocessors = (int)number("EMU_MULTIPROCESSORS", 1, 1024, 4);
    options.memory = (size_t)number("EMU_MEMORY_MIB", 1, 32768, 4096) << 20;
    options.lose_at = number("EMU_LOSE_AT", 0, 1000000000, 0);
}

void init() {
    static bool once = (read_switches(), catch_signals(), true);
    (void)once;
}

/* ---- errors
 * ---------------------------------------------------------------------------------------------------- */
static cudaError_t last_error, sticky_error;

cudaError_t fail(cudaError_t e) {
    if (e != cudaSuccess) last_error = e;
    return e;
}
void stick(cudaError_t e) {
    if (sticky_error == cudaSuccess) sticky_error = e;
    last_error = sticky_error;
}
cudaError_t stuck() {
    init();
    if (!options.driver) return fail(cudaErrorInsufficientDriver);
    if (options.devices == 0) return fail(cudaErrorNoDevice);
    return sticky_error;
}

static const struct {
    cudaError_t code;
    const char *name, *text;
} error_table[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not initiated in this stream"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

/* ---- launches
 * ------------------------------------------------------------------------------------------------- */
static std::map<const void *, int> opted_in; /* cudaFuncAttributeMaxDynamicSharedMemorySize by kernel */

static size_t
shared_limit() { /* bytes a block may opt in to (CUDA programming guide, compute capabilities) */
    switch (options.sm) {
    case 70:
        return 96 << 10;
    case 75:
        return 64 << 10;
    case 80:
    case 87:
        return 163 << 10;
    case 86:
    case 89:
    case 120:
        return 99 << 10;
    default:
        return options.sm >= 90 ? 227 << 10 : 48 << 10;
    }
}

static cudaError_t check_configuration(const char *name, const void *func, dim3 g, dim3 b, size_t smem) {
    uint64_t threads = (uint64_t)b.x * b.y * b.z;
    if (!g.x || !g.y || !g.z || !threads)
        note("launch of %s refused: a dimension of grid or block is 0", name);
    else if (g.x > 2147483647u || g.y > 65535 || g.z > 65535)
        note("launch of %s refused: grid (%u,%u,%u); y and z reach to 65535", name, g.x, g.y, g.z);
    else if (threads > max_threads || b.x > 1024 || b.y > 1024 || b.z > 64)
        note("launch of %s refused: block (%u,%u,%u); 1024 threads are the most, 64 in z", name, b.x, b.y,
             b.z);
    else if ((uint64_t)g.x * g.y * g.z > UINT32_MAX)
        note("launch of %s refused: more than 2^32 blocks are beyond the emulator", name);
    else if (smem > shared_limit())
        note("launch of %s refused: %zu bytes of shared memory; sm_%d has %zu", name, smem, options.sm,
             shared_limit());
    else {
        auto o = opted_in.find(func);
        if (smem <= (48 << 10) || (o != opted_in.end() && (size_t)o->second >= smem)) return cudaSuccess;
        note("launch of %s refused: %zu bytes of shared memory; more than 49152 want cudaFuncSetAttribute",
             name, smem);
        return cudaErrorInvalidValue;
    }
    return smem > shared_limit() ? cudaErrorInvalidValue : cudaErrorInvalidConfiguration;
}

/* EMU_LAUNCHES=1: how often each kernel was launched, or recorded. Never destroyed, as in count.cpp. */
static auto &launched = *new std::map<std::string, long>;
static void report_launches() {
    long all = 0;
    for (auto &k : launched) {
        fprintf(stderr, "launches: %6ld %s\n", k.second, k.first.c_str());
        all += k.second;
    }
    fprintf(stderr, "launches: %6ld\n", all);
}
static void count_launch(const char *name) {
    if (launched.empty()) atexit(report_launches);
    launched[name]++;
}

} // namespace emu

using namespace emu;

cudaError_t emu_launch(const char *name, const void *func, void (*invoke)(const void *, const void *),
                       const void *args, size_t bytes, dim3 grid, dim3 block, size_t smem,
                       cudaStream_t stream) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (cudaError_t e = check_configuration(name, func, grid, block, smem)) return fail(e);
    static long launches;
    if (options.lose_at && ++launches >= options.lose_at) {
        stick(cudaErrorDevicesUnavailable);
        return cudaErrorDevicesUnavailable;
    }
    if (options.launches) count_launch(name);
    std::shared_ptr<char> copy((char *)aligned_alloc(64, (bytes + 63) / 64 * 64), free);
    memcpy(copy.get(), args, bytes);
    return enqueue_launch({name, func, invoke, copy, bytes, grid, block, smem}, stream);
}

const char *cudaGetErrorName(cudaError_t e) {
    for (auto &r : error_table)
        if (r.code == e) return r.name;
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t e) {
    for (auto &r : error_table)
        if (r.code == e) return r.text;
    return "unrecognized error code";
}
cudaError_t cudaGetLastError() {
    Lock lock(api_lock());
    cudaError_t e = last_error;
    last_error = sticky_error; /* a broken context stays broken */
    return e;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetDeviceCount(int *n) {
    init();
    *n = options.devices;
    return options.devices ? cudaSuccess : stuck();
}
cudaError_t cudaSetDevice(int d) {
    if (cudaError_t e = stuck()) return fail(e);
    return fail(d == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int *d) {
    *d = 0;
    return stuck();
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int d) {
    if (cudaError_t e = stuck()) return fail(e);
    if (d != 0) return fail(cudaErrorInvalidDevice);
    *p = {};
    snprintf(p->name, sizeof p->name, "CPU emulation of sm_%d", options.sm);
    p->major = options.sm / 10, p->minor = options.sm % 10;
    p->multiProcessorCount = options.multiprocessors;
    p->warpSize = warp_lanes, p->maxThreadsPerBlock = max_threads, p->maxThreadsPerMultiProcessor = 2048;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->l2CacheSize = 4 << 20, p->memoryBusWidth = 64, p->asyncEngineCount = 1, p->concurrentKernels = 1;
    p->canMapHostMemory = p->unifiedAddressing = 1;
    p->totalGlobalMem = options.memory, p->totalConstMem = 64 << 10;
    p->sharedMemPerBlock = 48 << 10, p->sharedMemPerBlockOptin = shared_limit();
    p->sharedMemPerMultiprocessor = shared_limit() + 1024;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int d) {
    cudaDeviceProp p;
    if (cudaError_t e = cudaGetDeviceProperties(&p, d)) return e;
    switch (a) {
    case cudaDevAttrMaxThreadsPerBlock:
        *v = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
        *v = 1000000;
        break; /* kHz; of no meaning here */
    case cudaDevAttrMultiProcessorCount:
        *v = p.multiProcessorCount;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *v = p.memoryBusWidth;
        break;
    case cudaDevAttrL2CacheSize:
        *v = p.l2CacheSize;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *v = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *v = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *v = (int)p.sharedMemPerBlockOptin;
        break;
    default:
        return fail(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *v) {
    init();
    *v = options.driver ? 13000 : 0;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *v) {
    *v = 13000;
    return cudaSuccess;
}

cudaError_t emu_func_set_attribute(const void *func, cudaFuncAttribute a, int value) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (a != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || (size_t)value > shared_limit()) return fail(cudaErrorInvalidValue);
    opted_in[func] = value;
    return cudaSuccess;
}
cudaError_t emu_func_get_attributes(cudaFuncAttributes *a, const void *func) {
    if (cudaError_t e = stuck()) return fail(e);
    *a = {};
    a->maxThreadsPerBlock = max_threads;
    a->ptxVersion = a->binaryVersion = options.sm;
    a->maxDynamicSharedSizeBytes = opted_in.count(func) ? opted_in[func] : 48 << 10;
    return cudaSuccess;
}
cudaError_t emu_occupancy(int *blocks, int threads, size_t smem) {
    if (cudaError_t e = stuck()) return fail(e);
    if (threads < 1 || threads > max_threads) return fail(cudaErrorInvalidValue);
    size_t by_threads = 2048 / (size_t)((threads + 31) / 32 * 32),
           by_smem = (shared_limit() + 1024) / (smem + 1024);
    *blocks = (int)std::min({by_threads, by_smem, (size_t)32});
    return cudaSuccess;
}
long long clock64() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}
