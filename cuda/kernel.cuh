/* What every file of cuda/ begins with: the twin of cpu/kernel.h. A file holds, for each operation,
 *
 *   template <class T> __global__ void scale_forward(...)          the kernel
 *   template <class T> mn_status forward(mn_node *n)               reads the node, launches
 *   MN__EXPORT(scale, forward, backward)                           f32 and f64 under the names of autograd/ops.c:
 *                                                                  mn__scale_fwd_cuda_f32, mn__scale_bwd_cuda_f64, ...
 *
 * Names of kernels and of types they are made with differ between files (they are templates, which the linker
 * merges by name). Everything of a context runs on its one stream, in the order of launching. */
#ifndef MIEN_CUDA_KERNEL_CUH
#define MIEN_CUDA_KERNEL_CUH
#include "autograd/internal.h"
#include "cuda/mn_cuda.h"
#include <math.h> /* exp, log, ... of float and of double */

#define R(c) ((T)(c)) /* a constant of the kernel's type */

/* ---- a context's GPU (cuda/device.cu) ---- */

cudaStream_t mn__cuda_stream(const mn_context *c);
int mn__cuda_processors(const mn_context *c); /* multiprocessors */
int mn__cuda_capability(const mn_context *c); /* 75 for compute capability 7.5; tensor cores as used here from 80 on */
/* Is a graph being recorded? Then nothing may be waited for. */
bool mn__cuda_capturing(const mn_context *c);
/* The number of the step as a kernel's argument: the number itself, or, when the kernel is recorded and its arguments stay,
 * where it will stand (cuda/graph.cu). */
struct step_number {
    uint64_t now;
    const uint64_t *later;
    __device__ __forceinline__ uint64_t get() const { return later ? *later : now; }
};
step_number mn__cuda_step(mn_context *c);
/* A number in device memory, 0 between launches: for blocks that count which of them finishes last. One kernel at a time. */
unsigned *mn__cuda_counter(const mn_context *c);
/* MN_OK, or the failure of what CUDA did in the context's error: `what` names it ("kernel relu_forward"). With
 * MIEN_SYNC=1 the stream is waited for first, so that a kernel's failure is found under its own name. */
mn_status mn__cuda_launched(mn_context *c, const char *what, cudaError_t e);

/* ---- launching ---- */

/* Starts a kernel on the context's stream: LAUNCH(c, (sum<T, 8>), grid, block, shared bytes, arguments...).
 * An empty grid is no work, not an error. */
#define LAUNCH(c, kernel, ...) mn__cuda_launch(c, #kernel, kernel, __VA_ARGS__)
template <class... P, class... A>
mn_status mn__cuda_launch(mn_context *c, const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                          A &&...a) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return MN_OK;
    return mn__cuda_launched(c, name, mn_launch(name, kernel, grid, block, shared, mn__cuda_stream(c), a...));
}

/* Elementwise kernels: THREADS threads a block, and no more blocks than keep a GPU busy; a thread takes
 * elements at a distance of the whole grid, so that neighbours read neighbours. */
constexpr int THREADS = 256;
static inline unsigned grid_for(int64_t count) {
    int64_t blocks = (count + THREADS - 1) / THREADS;
    return (unsigned)(blocks < 4096 ? blocks : 4096);
}
#define GRID_STRIDE(i, count)                                                                              \
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (count); i += (int64_t)gridDim.x * blockDim.x)

/* Divisions are the dearest part of index arithmetic, and 64-bit ones several times dearer than 32-bit ones:
 * kernels that divide are made for both, and take the short one where every index fits, with a step of the grid (at
 * most 2^20) more: loops end by stepping over their end. */
static inline bool fits_32(int64_t count) { return count < ((int64_t)1 << 31) - ((int64_t)1 << 21); }

/* Runs main(), and beside() at the same time where a step is recorded (cuda/graph.cu). Neither needs what the other
 * writes; each has a workspace of its own, so pointers into it are not carried from one to the other. beside() writes the
 * gradients of n's inputs from number `first` on. If these are parameters, nobody needs them before the pass is over: the
 * branch goes on beside the operations that follow. */
mn_status mn__cuda_fork(mn_context *c);                  /* what is launched now goes beside */
mn_status mn__cuda_return(mn_context *c);                /* what is launched now does not wait for that */
mn_status mn__cuda_go_on(const mn_node *n, int first);   /* what is launched now waits for both, if it must */
template <class Main, class Beside> mn_status side_by_side(const mn_node *n, int first, Main main, Beside beside) {
    const mn_status forked = mn__cuda_fork(n->ctx), s = forked ? forked : beside();
    const mn_status back = mn__cuda_return(n->ctx), t = s ? s : back ? back : main();
    const mn_status on = mn__cuda_go_on(n, first);
    return t ? t : on;
}

/* ---- the data of a node, typed. x and y of forward; dy and the gradients of backward ---- */

template <class T> const T *in(const mn_node *n, int i) { return n->in[i] ? (const T *)n->in[i]->data : nullptr; }
template <class T> T *out(const mn_node *n) { return (T *)n->out->data; }
template <class T> const T *out_grad(const mn_node *n) { return (const T *)n->out->grad->data; }
template <class T> T *in_grad(const mn_node *n, int i) {
    return mn__wants(n, i) ? (T *)n->in[i]->grad->data : nullptr;
}
template <class T> T *saved(const mn_node *n, int k) { return n->saved[k] ? (T *)n->saved[k]->data : nullptr; }
template <class O> const O *options(const mn_node *n) { return (const O *)n->opt; }

/* Fills with zeros, on the stream. */
static inline mn_status zero_fill(mn_context *c, void *p, size_t bytes) {
    return c->device->zero(c->device_state, p, bytes, &c->error);
}

/* dx[i] (+)= dy[i]: a gradient that goes through unchanged. A thread an element. */
template <class T> __global__ void pass_on_kernel(int64_t count, const T *dy, bool add, T *dx) {
    GRID_STRIDE(i, count) dx[i] = add ? dx[i] + dy[i] : dy[i];
}
template <class T> mn_status pass_on(mn_context *c, int64_t count, const T *dy, bool add, T *dx) {
    return LAUNCH(c, pass_on_kernel<T>, grid_for(count), THREADS, 0, count, dy, add, dx);
}

/* ---- names ---- */

#define MN__EXPORT(op, forward, backward)                                                                  \
    extern "C" mn_status mn__##op##_fwd_cuda_f32(mn_node *n) { return forward<float>(n); }                 \
    extern "C" mn_status mn__##op##_fwd_cuda_f64(mn_node *n) { return forward<double>(n); }                \
    extern "C" mn_status mn__##op##_bwd_cuda_f32(mn_node *n) { return backward<float>(n); }                \
    extern "C" mn_status mn__##op##_bwd_cuda_f64(mn_node *n) { return backward<double>(n); }
#endif
