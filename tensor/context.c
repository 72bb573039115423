/* Contexts: one device, one floating-point type, three arenas, the first error. */
#include "tensor/internal.h"
#include "autograd/internal.h"
#include <sched.h>

/* Processors this process may run on. */
static int processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

#define NO_CUDA                                                                                                                  \
    "this mien was built without CUDA; hint: use the CPU, or build with make CUDA=1 (CUDA=emulate runs the kernels on the CPU)"

int mn_device_list(mn_device_info *out, int most) {
    int n = mn__device_cpu.list(out, most);
#ifdef MN_HAVE_CUDA
    return n + mn__device_cuda.list(out + n, most - n);
#else
    if (n >= most) return n;
    out[n] = (mn_device_info){.device = MN_CUDA, .name = "no GPU", .why = NO_CUDA};
    return n + 1;
#endif
}

mn_context *mn_context_create(const mn_context_opt *opt, mn_error *err) {
    mn_context_opt o = opt ? *opt : (mn_context_opt){0};
    if (o.dtype != MN_F32 && o.dtype != MN_F64)
        return mn_fail(err, MN_ERR_ARG, "a context computes in f32 or f64, not in %s", mn_dtype_name(o.dtype)), NULL;
    if (o.threads < 0 || o.threads > 1024)
        return mn_fail(err, MN_ERR_ARG, "threads is %d; wanted 1..1024, or 0 for all", o.threads), NULL;
    if ((int)o.precision < 0 || o.precision >= MN_PRECISION_COUNT)
        return mn_fail(err, MN_ERR_ARG, "there is no precision %d; wanted MN_PRECISE, MN_TF32X3, MN_TF32 or MN_BF16",
                       (int)o.precision),
               NULL;
    const mn__device *device = o.device == MN_CPU ? &mn__device_cpu : NULL;
#ifdef MN_HAVE_CUDA
    if (o.device == MN_CUDA) device = &mn__device_cuda;
#endif
    if (!device) return mn_fail(err, MN_ERR_DEVICE, NO_CUDA), NULL;
    mn_context *c = mn_alloc_zero(1, sizeof *c);
    if (!c) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for a context"), NULL;
    *c = (mn_context){.device_kind = o.device,
                      .dtype = o.dtype,
                      .seed = o.seed,
                      .memory_limit = o.memory_limit,
                      .precision = o.precision,
                      .threads = o.threads ? o.threads : processors(),
                      .place = 1,
                      .device = device};
    if (device->open(&c->device_state, err) != MN_OK) {
        mn_free(c);
        return NULL;
    }
    size_t small = (size_t)64 << 10;
    c->model = (mn__arena){.device = device, .state = c->device_state, .block_bytes = small};
    c->step_data = (mn__arena){.device = device, .state = c->device_state, .block_bytes = small};
    c->model_host = (mn__arena){.block_bytes = small};
    c->step_host = (mn__arena){.block_bytes = small};
    c->kernels = mn__kernels_for(o.device);
    return c;
}

void mn_context_destroy(mn_context *c) {
    if (!c) return;
    mn__steps_close(c);
    mn__feeds_close(c);
    mn__arena_destroy(&c->model);
    mn__arena_destroy(&c->model_host);
    mn__arena_destroy(&c->step_data);
    mn__arena_destroy(&c->step_host);
    if (c->workspace) c->device->release(c->device_state, c->workspace);
    if (c->side_workspace) c->device->release(c->device_state, c->side_workspace);
    c->device->close(c->device_state);
    mn_free(c);
}

mn_error *mn_context_error(mn_context *c) { return &c->error; }
mn_device mn_context_device(const mn_context *c) { return c->device_kind; }
mn_dtype mn_context_dtype(const mn_context *c) { return c->dtype; }
int mn_context_threads(const mn_context *c) { return c->threads; }
uint64_t mn_context_seed(const mn_context *c) { return c->seed; }
mn_precision mn_context_precision(const mn_context *c) { return c->precision; }
uint64_t mn_context_step(const mn_context *c) { return c->step; }
void mn_context_set_step(mn_context *c, uint64_t step) { c->step = step; }

mn_memory_stats mn_context_memory(const mn_context *c) {
    return (mn_memory_stats){.model_bytes = c->model.reserved,
                             .step_bytes = c->step_data.reserved,
                             .workspace_bytes = c->workspace_bytes + c->side_bytes,
                             .step_used = c->step_data.used,
                             .step_peak = c->step_data.peak};
}
