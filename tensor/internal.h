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

/* Where a device can record what is launched between begin and end, and launch it again as a whole (autograd/step.c).
 * `step` is the context's, for kernels that draw random numbers. */
typedef struct mn__recorder {
    bool (*wanted)(void *state); /* false: the user wants every operation by itself */
    mn_status (*begin)(void *state, mn_error *err);
    void *(*end)(void *state, mn_error *err); /* what was recorded; NULL when it failed */
    mn_status (*launch)(void *state, void *recorded, uint64_t step, mn_error *err);
    void (*forget)(void *state, void *recorded);
    /* What is launched from now on waits for this branch and those before it (mn__branches_wait). */
    mn_status (*wait)(void *state, int branch, mn_error *err);
} mn__recorder;

/* Where a device can copy while it computes: a lane has host memory for two batches, 0 and 1 (tensor/feed.c). */
typedef struct mn__feeder {
    void *(*open)(void *state, size_t bytes, mn_error *err); /* the lane; NULL: failed */
    void (*close)(void *state, void *lane);
    /* Host memory of batch `turn`, after waiting until the copy that was last sent from there has been made; NULL: failed. */
    void *(*host)(void *state, void *lane, int turn, mn_error *err);
    /* Starts its copy to the device, behind all work so far that the device does with `turn`; what is launched from now
     * on finds it there. */
    mn_status (*send)(void *state, void *lane, int turn, void *device, size_t bytes, mn_error *err);
} mn__feeder;

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
    /* `count` elements of `size` bytes (1, 4 or 8), all of them like the one at `value`. */
    mn_status (*fill)(void *state, void *p, const void *value, size_t size, int64_t count, mn_error *err);
    mn_status (*synchronize)(void *state, mn_error *err);
    int (*list)(mn_device_info *out, int most); /* see mn_device_list */
    /* Begins to measure what follows by the device's own clock and returns 0; `end` waits for it and returns the seconds.
     * NULL: the device has done its work when a call returns. */
    double (*timer)(void *state, bool end);
    const mn__recorder *recorder;               /* NULL: there is none */
    const mn__feeder *feeder;
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
 * serves the next one (best fit, first in order: the same addresses every step). A branch may still read what was given
 * back: who takes it then waits for the branch, and takes nothing that one of the newest MN__LAG branches reads. */
enum { MN__LAG = 2 };
typedef struct mn__buffer {
    struct mn__buffer *next;
    void *p;
    size_t size;
    bool busy;
    int reader; /* the number of the branch that reads it; 0: none */
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
    mn__buffer *buffers;              /* of this step, newest first */
    void *workspace, *side_workspace; /* side: of work that runs beside other work (cuda/graph.cu) */
    size_t workspace_bytes, side_bytes;
    /* autograd */
    const struct mn__kernels *kernels; /* the table of this device: autograd/ops.c */
    struct mn_node *tape_first, *tape_last;
    int tape_length;
    uint64_t next_node;       /* numbers the operations of a step: the key of their random numbers */
    uint64_t pass, base_pass; /* backward passes; leaves written since base_pass are added to */
    /* branches of a step that is recorded (cuda/graph.cu), numbered from 1; the others pass through the same numbers */
    int branches, waited_for; /* the newest, and the newest that the rest of the step has waited for */
    bool branched;            /* the operation that runs has begun one, which goes on when it returns */
    int no_grad;              /* depth of mn_no_grad_begin */
    const char *scope;        /* the layer that is running, for messages and names; or NULL */
    /* steps as one launch: autograd/step.c */
    struct mn__recorded *recorded;  /* the steps that were run, newest first */
    struct mn__recorded *recording; /* the one that is being recorded, or NULL */
    uint64_t place;                 /* changes when memory of a step has moved, or a step would do other work than before */
    int unread;                     /* things on the device that the host has to read in the next step */
    int64_t replays;                /* steps launched as a whole */
    struct mn_feed *feeds;          /* tensor/feed.c */
};

/* Records a failure in the context and returns NULL / the status. */
#define MN__FAIL(ctx, status, ...) mn_fail(&(ctx)->error, status, __VA_ARGS__)

void *mn__host(mn_context *c, mn_lifetime life, size_t bytes); /* zeroed struct memory of that lifetime */
void *mn__device_memory(mn_context *c, mn_lifetime life, size_t bytes);
void *mn__buffer_take(mn_context *c, size_t bytes);
void mn__buffer_give(mn_context *c, void *p);
/* From here on the work of this step waits for its branches up to number `branch`. */
mn_status mn__branches_wait(mn_context *c, int branch);
/* At least `bytes` of scratch memory for one operation; grows, contents undefined. */
void *mn__workspace(mn_context *c, size_t bytes);
/* What was recorded so far must not be launched again. */
static inline void mn__place_changed(mn_context *c) { c->place++; }
/* Of mn_context_destroy: ends what steps and feeds hold on the device. */
void mn__steps_close(mn_context *c);
void mn__feeds_close(mn_context *c);
/* Of the batch that was put last: how many samples, and in which of the two places it stands. */
int64_t mn__feed_count(const mn_feed *f);
int mn__feed_turn(const mn_feed *f);
/* A tensor struct without data. */
mn_tensor *mn__tensor_shell(mn_context *c, mn_lifetime life, mn_dtype dtype, mn_shape shape);

#ifdef __cplusplus
}
#endif
#endif
