/* Shared inside the library: devices, arenas, the inside of a context. */
#ifndef MIEN_TENSOR_INTERNAL_H
#define MIEN_TENSOR_INTERNAL_H
#include "tensor/tensor.h"
/* Functions that the host and kernels of CUDA call. */
#ifdef __CUDACC__
#define MN_HOST_DEVICE __host__ __device__
#else
#define MN_HOST_DEVICE
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* What a device must be able to do with raw memory. One static object a device. `state` is its own. */
typedef struct mn__device {
    const char *name;
    mn_status (*open)(void **state, mn_error *err);
    void (*close)(void *state);
    void *(*alloc)(void *state, size_t bytes); /* 64-byte aligned, or NULL */
    void (*release)(void *state, void *p);
    mn_status (*upload)(void *state, void *device, const void *host, size_t bytes, mn_error *err);
    mn_status (*download)(void *state, void *host, const void *device, size_t bytes, mn_error *err);
    mn_status (*copy)(void *state, void *to, const void *from, size_t bytes, mn_error *err);
    mn_status (*zero)(void *state, void *p, size_t bytes, mn_error *err);
    mn_status (*synchronize)(void *state, mn_error *err);
    int (*list)(mn_device_info *out, int most); /* see mn_device_list */
    /* Begins to measure what follows by the device's own clock and returns 0; `end` waits for it and returns the seconds.
     * NULL: the device has done its work when a call returns. */
    double (*timer)(void *state, bool end);
} mn__device;
extern const mn__device mn__device_cpu;
extern const mn__device mn__device_cuda; /* where cuda/ is built */

/* A bump allocator over blocks. Rewinding keeps the memory: when a step needed several blocks they are
 * replaced by one of their total size, so the step after the next one gets the same addresses again. */
typedef struct mn__block {
    struct mn__block *next;
    char *base;
    size_t size, used;
} mn__block;
typedef struct mn__arena {
    const mn__device *device; /* NULL: host memory */
    void *state;
    mn__block *head; /* the newest block, the one that is filled */
    size_t reserved, used, peak;
    size_t block_bytes; /* smallest block that is asked for */
} mn__arena;
void *mn__arena_alloc(mn__arena *a, size_t bytes); /* 64-byte aligned; NULL when out of memory */
bool mn__arena_rewind(mn__arena *a);               /* false: out of memory while merging the blocks */
void mn__arena_destroy(mn__arena *a);

/* Buffers of the backward pass: a gradient is given back as soon as it has been used, and its memory
 * serves the next one (best fit, first in order: the same addresses every step). */
typedef struct mn__buffer {
    struct mn__buffer *next;
    void *p;
    size_t size;
    bool busy;
} mn__buffer;

struct mn_context {
    mn_error error;
    mn_device device_kind;
    mn_dtype dtype;
    int threads;
    mn_precision precision;
    uint64_t seed, step;
    size_t memory_limit;
    const mn__device *device;
    void *device_state;
    mn__arena model, model_host; /* tensor data; structs and names */
    mn__arena step_data, step_host;
    mn__buffer *buffers; /* of this step, newest first */
    void *workspace;
    size_t workspace_bytes;
    /* autograd */
    const struct mn__kernels *kernels; /* the table of this device: autograd/ops.c */
    struct mn_node *tape_first, *tape_last;
    int tape_length;
    uint64_t next_node;       /* numbers the operations of a step: the key of their random numbers */
    uint64_t pass, base_pass; /* backward passes; leaves written since base_pass are added to */
    int no_grad;              /* depth of mn_no_grad_begin */
    const char *scope;        /* the layer that is running, for messages and names; or NULL */
};

/* Records a failure in the context and returns NULL / the status. */
#define MN__FAIL(ctx, status, ...) mn_fail(&(ctx)->error, status, __VA_ARGS__)

void *mn__host(mn_context *c, mn_lifetime life, size_t bytes); /* zeroed struct memory of that lifetime */
void *mn__device_memory(mn_context *c, mn_lifetime life, size_t bytes);
void *mn__buffer_take(mn_context *c, size_t bytes);
void mn__buffer_give(mn_context *c, void *p);
/* At least `bytes` of scratch memory for one operation; grows, contents undefined. */
void *mn__workspace(mn_context *c, size_t bytes);
/* A tensor struct without data. */
mn_tensor *mn__tensor_shell(mn_context *c, mn_lifetime life, mn_dtype dtype, mn_shape shape);

#ifdef __cplusplus
}
#endif
#endif
