/* The GPU as a device: memory, copies, waiting, and a sentence for everything that can go wrong. */
#include "cuda/gpu.cuh"

cudaStream_t mn__cuda_stream(const mn_context *c) { return gpu_of(c)->stream; }
int mn__cuda_processors(const mn_context *c) { return gpu_of(c)->processors; }
int mn__cuda_capability(const mn_context *c) { return gpu_of(c)->capability; }
unsigned *mn__cuda_counter(const mn_context *c) { return gpu_of(c)->counter; }
bool mn__cuda_capturing(const mn_context *c) { return c->recording != nullptr; }

/* ---- errors ---- */

/* An error of memory is the caller's to handle, all others are the device's. CUDA keeps a failed launch for the next
 * one who asks, so it is taken away here. */
mn_status mn__cuda_failed(mn_error *err, cudaError_t e, const char *what, const char *hint) {
    cudaGetLastError();
    return mn_fail(err, e == cudaErrorMemoryAllocation ? MN_ERR_MEMORY : MN_ERR_DEVICE, "CUDA: %s failed: %s (%s)%s", what,
                   cudaGetErrorString(e), cudaGetErrorName(e), hint);
}

mn_status mn__cuda_launched(mn_context *c, const char *what, cudaError_t e) {
    const gpu *g = gpu_of(c);
    if (e == cudaSuccess && g->wait && !mn__cuda_capturing(c)) e = cudaStreamSynchronize(g->stream);
    if (e == cudaSuccess) return MN_OK;
    char name[200];
    snprintf(name, sizeof name, "kernel %s in %s", what, mn_dtype_name(c->dtype));
    return mn__cuda_failed(&c->error, e, name, g->wait ? "" : "; hint: MIEN_SYNC=1 finds the kernel that is to blame");
}

/* ---- opening ---- */

__global__ void probe() {}

/* No driver, no device, a device that this binary has no code for: told apart here. */
static mn_status find_device(cudaDeviceProp *p, mn_error *err) {
    int count = 0;
    cudaError_t e = cudaGetDeviceCount(&count);
    if (e == cudaErrorInsufficientDriver)
        return mn__cuda_failed(err, e, "looking for a GPU", "; hint: install or update the NVIDIA driver, or use the CPU");
    if (e == cudaErrorNoDevice || (e == cudaSuccess && count == 0))
        return mn__cuda_failed(err, cudaErrorNoDevice, "looking for a GPU",
                               "; hint: nvidia-smi lists the GPUs, CUDA_VISIBLE_DEVICES may hide them; or use the CPU");
    if (e == cudaSuccess) e = cudaSetDevice(0);
    if (e == cudaSuccess) e = cudaGetDeviceProperties(p, 0);
    if (e != cudaSuccess) return mn__cuda_failed(err, e, "looking for a GPU", "; hint: use the CPU");
    cudaFuncAttributes attributes;
    e = cudaFuncGetAttributes(&attributes, probe);
    if (e == cudaSuccess) return MN_OK;
    cudaGetLastError();
    return mn_fail(err, MN_ERR_DEVICE, "CUDA: this mien has no kernels for the %s (compute capability %d.%d): %s; hint: "
                   "7.5 and newer are possible, build with CUDA_ARCH=all or CUDA_ARCH=native; or use the CPU", p->name,
                   p->major, p->minor, cudaGetErrorString(e));
}

static int cuda_list(mn_device_info *out, int most) {
    cudaDeviceProp p;
    mn_error err = {};
    int count = 0;
    if (most < 1) return 0;
    mn_status first = find_device(&p, &err);
    if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
    cudaGetLastError();
    for (int i = 0; i < (count ? count : 1) && i < most; i++) {
        mn_device_info *d = out + i;
        *d = {};
        d->device = MN_CUDA;
        d->usable = i == 0 && first == MN_OK;
        snprintf(d->why, sizeof d->why, "%s", i == 0 ? err.text : "not used: mien computes on the first GPU; hint: "
                 "CUDA_VISIBLE_DEVICES=<number> makes this one the first");
        snprintf(d->name, sizeof d->name, "no GPU");
        if (i >= count || cudaGetDeviceProperties(&p, i) != cudaSuccess) continue;
        snprintf(d->name, sizeof d->name, "%.95s", p.name);
        snprintf(d->detail, sizeof d->detail, "compute capability %d.%d, %d multiprocessors", p.major, p.minor,
                 p.multiProcessorCount);
        d->memory = p.totalGlobalMem;
        if (!d->usable || cudaMemGetInfo(&d->memory_free, &d->memory) != cudaSuccess) cudaGetLastError();
    }
    return count < 1 ? 1 : count < most ? count : most;
}

static void cuda_close(void *state) {
    gpu *g = (gpu *)state;
    if (g->from) cudaEventDestroy(g->from);
    if (g->to) cudaEventDestroy(g->to);
    if (g->stream) cudaStreamDestroy(g->stream);
    if (g->side) cudaStreamDestroy(g->side);
    if (g->forked) cudaEventDestroy(g->forked);
    for (cudaEvent_t e : g->finished)
        if (e) cudaEventDestroy(e);
    if (g->step) cudaFree(g->step);
    if (g->counter) cudaFree(g->counter);
    mn_free(g);
}

static mn_status cuda_open(void **state, mn_error *err) {
    cudaDeviceProp p;
    mn_status s = find_device(&p, err);
    if (s) return s;
    gpu *g = (gpu *)mn_alloc_zero(1, sizeof *g);
    if (!g) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for a GPU's context");
    const char *wait = getenv("MIEN_SYNC"), *graphs = getenv("MIEN_GRAPH");
    g->processors = p.multiProcessorCount, g->capability = 10 * p.major + p.minor;
    g->wait = wait && strcmp(wait, "0") != 0;
    g->graphs = !graphs || strcmp(graphs, "0") != 0;
    cudaError_t e = cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking);
    if (e == cudaSuccess) e = cudaMalloc(&g->counter, sizeof *g->counter);
    if (e == cudaSuccess) e = cudaMemsetAsync(g->counter, 0, sizeof *g->counter, g->stream);
    if (e != cudaSuccess) {
        s = mn__cuda_failed(err, e, "making a stream", "; hint: is the GPU used by others? nvidia-smi shows it");
        cuda_close(g);
        return s;
    }
    *state = g;
    return MN_OK;
}

/* ---- memory ---- */

static void *cuda_alloc(void *state, size_t bytes) {
    (void)state;
    void *p = nullptr;
    if (cudaMalloc(&p, bytes ? bytes : 1) == cudaSuccess) return p;
    cudaGetLastError();
    return nullptr;
}
/* cudaFree waits for what still uses the memory. */
static void cuda_release(void *state, void *p) {
    (void)state;
    if (cudaFree(p) != cudaSuccess) cudaGetLastError();
}

/* A step that is recorded is not running: there is nothing to read yet, and nothing to wait for. */
static mn_status refuse_wait(const gpu *g, mn_error *err) {
    if (!gpu_capturing(g)) return MN_OK;
    return mn_fail(err, MN_ERR_ARG, "CUDA: a step that is recorded (mn_step_run) can neither read numbers from the GPU nor "
                   "write them there; hint: mn_feed_tensor for its batch, mn_tally_add for its loss; MIEN_GRAPH=0 records none");
}

static mn_status cuda_synchronize(void *state, mn_error *err) {
    mn_status s = refuse_wait((gpu *)state, err);
    if (s) return s;
    cudaError_t e = cudaStreamSynchronize(((gpu *)state)->stream);
    if (e == cudaSuccess) return MN_OK;
    return mn__cuda_failed(err, e, "waiting for the GPU", "; hint: MIEN_SYNC=1 finds the kernel that is to blame");
}

/* Copies between host and device are finished when they return: the host's memory is free again. */
static mn_status cuda_upload(void *state, void *device, const void *host, size_t bytes, mn_error *err) {
    if (bytes == 0) return MN_OK;
    mn_status s = refuse_wait((gpu *)state, err);
    if (s) return s;
    cudaError_t e = cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, ((gpu *)state)->stream);
    if (e != cudaSuccess) return mn__cuda_failed(err, e, "copying to the GPU", "");
    return cuda_synchronize(state, err);
}
static mn_status cuda_download(void *state, void *host, const void *device, size_t bytes, mn_error *err) {
    if (bytes == 0) return MN_OK;
    mn_status s = refuse_wait((gpu *)state, err);
    if (s) return s;
    cudaError_t e = cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, ((gpu *)state)->stream);
    if (e != cudaSuccess) return mn__cuda_failed(err, e, "copying from the GPU", "");
    return cuda_synchronize(state, err);
}
/* On the device both only take their place in the stream. */
static mn_status cuda_copy(void *state, void *to, const void *from, size_t bytes, mn_error *err) {
    if (bytes == 0) return MN_OK;
    cudaError_t e = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, ((gpu *)state)->stream);
    return e == cudaSuccess ? MN_OK : mn__cuda_failed(err, e, "copying on the GPU", "");
}
static mn_status cuda_zero(void *state, void *p, size_t bytes, mn_error *err) {
    if (bytes == 0) return MN_OK;
    cudaError_t e = cudaMemsetAsync(p, 0, bytes, ((gpu *)state)->stream);
    return e == cudaSuccess ? MN_OK : mn__cuda_failed(err, e, "zeroing memory of the GPU", "");
}


template <class V> __global__ void fill_kernel(int64_t count, V value, V *to) {
    GRID_STRIDE(i, count) to[i] = value;
}
template <class V> static cudaError_t fill_with(const gpu *g, void *p, const void *value, int64_t count) {
    V v;
    memcpy(&v, value, sizeof v);
    return MN_LAUNCH(fill_kernel<V>, dim3(grid_for(count)), dim3(THREADS), 0, g->stream, count, v, (V *)p);
}
static mn_status cuda_fill(void *state, void *p, const void *value, size_t size, int64_t count, mn_error *err) {
    if (count == 0) return MN_OK;
    const gpu *g = (const gpu *)state;
    cudaError_t e = size == 8   ? fill_with<uint64_t>(g, p, value, count)
                    : size == 4 ? fill_with<uint32_t>(g, p, value, count)
                                : fill_with<uint8_t>(g, p, value, count);
    return e == cudaSuccess ? MN_OK : mn__cuda_failed(err, e, "filling memory of the GPU", "");
}

/* ---- the timer of mien bench --layers ---- */

/* Keeps the GPU busy while the host issues what is to be measured: else the events would measure the host. */
__global__ void hold(long long cycles) {
    for (const long long begun = clock64(); clock64() - begun < cycles;) {}
}

static double cuda_timer(void *state, bool end) {
    gpu *g = (gpu *)state;
    float milliseconds = 0;
    cudaError_t e = cudaSuccess;
    if (!g->from) e = cudaEventCreate(&g->from);
    if (!g->to && e == cudaSuccess) e = cudaEventCreate(&g->to);
    if (!end) {
        if (e == cudaSuccess) e = MN_LAUNCH(hold, 1, 1, 0, g->stream, 60000); /* some 30 us */
        if (e == cudaSuccess) e = cudaEventRecord(g->from, g->stream);
    } else {
        if (e == cudaSuccess) e = cudaEventRecord(g->to, g->stream);
        if (e == cudaSuccess) e = cudaEventSynchronize(g->to);
        if (e == cudaSuccess) e = cudaEventElapsedTime(&milliseconds, g->from, g->to);
    }
    if (e != cudaSuccess) cudaGetLastError(); /* what failed is told by the call that failed */
    return milliseconds / 1e3;
}

extern "C" const mn__device mn__device_cuda = {
    "CUDA",       cuda_open, cuda_close,       cuda_alloc, cuda_release, cuda_upload,        cuda_download, cuda_copy,
    cuda_zero,    cuda_fill, cuda_synchronize, cuda_list,  cuda_timer,   &mn__recorder_cuda, &mn__feeder_cuda,
};
