/* Shared inside the library: what an operation is, what a node of the tape is, how kernels are found. */
#ifndef MIEN_AUTOGRAD_INTERNAL_H
#define MIEN_AUTOGRAD_INTERNAL_H
#include "autograd/autograd.h"
#include "tensor/internal.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum mn_op_id {
#define OP(name) MN_OP_##name,
#include "autograd/all.def"
#undef OP
    MN_OP_COUNT
} mn_op_id;

#define MN__MAX_SAVED 4
#define MN__MAX_INPUTS 32

/* One recorded operation. Lives until the next mn_step_begin. */
typedef struct mn_node {
    struct mn_node *previous, *next;
    mn_op_id id;
    mn_context *ctx;
    mn_tensor **in; /* n_in of them; optional ones may be NULL */
    int n_in;
    mn_tensor *out;
    mn_tensor *saved[MN__MAX_SAVED]; /* what the forward pass leaves for the backward pass */
    const void *opt;                 /* a copy of the caller's options */
    size_t opt_bytes;
    size_t workspace_bytes;          /* the shape rule's demand, for forward and backward */
    void *workspace;                 /* during a kernel: that many bytes of undefined contents */
    bool recording;                  /* goes on the tape: save what backward needs */
    bool over;                       /* the output lies where the input lay (set by the shape rule) */
    bool pending;                    /* batch norm whose readers compute it: autograd/batch_norm.h */
    bool settling;                   /* batch norm whose statistics are there, and whose result is wanted after all */
    bool ready;                      /* saved[0] is in[0]'s gradient where that of the output is 1 (set by the kernel) */
    unsigned accumulate;             /* during backward: bit i: add to in[i]'s gradient, else overwrite it */
    uint64_t number;                 /* in this step, from 0: the stream of its random numbers */
    const char *scope;               /* the layer it ran in, or NULL */
} mn_node;

/* An operation, defined once in autograd/op_<name>.c. Bits are input numbers. */
typedef struct mn_op {
    const char *name;
    int inputs;        /* how many; -1: any number up to MN__MAX_INPUTS */
    unsigned optional; /* may be NULL */
    unsigned integers; /* may be MN_I32 */
    unsigned constant; /* never receive a gradient (labels, running statistics) */
    unsigned through;  /* may be pending: the kernel computes them as it reads, or settles them (autograd/batch_norm.h) */
    bool view;         /* the output shares the input's data: nothing is computed */
    /* Checks inputs and options; calls mn__out and mn__save; sets workspace_bytes. */
    mn_status (*shape)(mn_node *n);
    /* The k-th small case for the gradient check: makes MN_MODEL inputs (mn__example_input) and applies the
     * operation; NULL after the last. Values stay off kinks and ties. */
    mn_tensor *(*example)(mn_context *c, int k);
} mn_op;

/* A kernel computes n->out from n->in, or the gradients of n->in from n->out->grad.
 * Backward writes in[i]->grad for every i that mn__wants(n, i), in order of i (the same tensor may stand
 * in two places), adding where mn__adds(n, i) and overwriting otherwise. */
typedef mn_status (*mn_kernel)(mn_node *n);
struct mn__tally_batch;
enum { MN__FORWARD = 0, MN__BACKWARD = 1 };
typedef struct mn__kernels {
    const char *name;                 /* "plain", "avx2", ... */
    mn_kernel run[MN_OP_COUNT][2][2]; /* [operation][forward, backward][f32, f64]; NULL: missing */
    const struct mn__update_kernels *update[2]; /* of optimisers (optim/internal.h): [f32, f64] */
    const struct mn__infer_kernels *infer[2];   /* of compiled inference (layers/infer.h); NULL: none */
    mn_status (*tally[2])(const struct mn__tally_batch *b); /* layers/tally.h */
} mn__kernels;
/* The best table for this device and processor; one of `name` where the device has it (autograd/ops.c). */
const mn__kernels *mn__kernels_for(mn_device device);
const mn_op *mn__op(mn_op_id id);

/* Applies an operation: what every public function of autograd.h ends in. `opt` is copied. */
mn_tensor *mn__apply(mn_op_id id, mn_tensor **in, int n_in, const void *opt, size_t opt_bytes);

/* ReLU written over x, and its gradient over the gradient of y: half the memory. Only for an x that its maker alone knows
 * and does not need for its own backward pass: the result of a convolution, a linear layer, batch norm. */
mn_tensor *mn__relu_over(mn_tensor *x);

/* For what a step does on the host beside starting kernels (an optimiser counts its steps): while a step is recorded, asks
 * that run(arg) be called before each launch of it, this time included. `bytes` at `arg` are copied. */
mn_status mn__step_again(mn_context *c, mn_status (*run)(void *arg), const void *arg, size_t bytes);

/* The batch norm that has left its result t to the readers of t, else NULL; and computing it after all. */
static inline const mn_node *mn__pending(const mn_tensor *t) { return t && t->node && t->node->pending ? t->node : NULL; }
mn_status mn__settle(mn_tensor *t);

/* mn_backward_from, or its accumulating form. */
mn_status mn__backward_from(mn_context *c, mn_tensor *y, const mn_tensor *dy, bool accumulate);

/* For shape rules. mn__out makes n->out; mn__save makes n->saved[k], only when the node will be recorded. */
mn_status mn__out(mn_node *n, mn_shape shape);
mn_status mn__save(mn_node *n, int k, mn_dtype dtype, mn_shape shape);
/* Fails with: <op> "<layer>": <sentence> */
mn_status mn__op_fail(mn_node *n, mn_status status, const char *format, ...) MN_PRINTF(3, 4);

/* For kernels: must in[i] receive a gradient, and is it added to what is there? */
static inline bool mn__wants(const mn_node *n, int i) {
    return n->in[i] && n->in[i]->requires_grad && !(mn__op(n->id)->constant >> i & 1);
}
static inline bool mn__is_leaf(const mn_tensor *t) { return !t->node || !t->node->recording; }
static inline bool mn__adds(const mn_node *n, int i) { return n->accumulate >> i & 1; }

/* For examples: an MN_MODEL input that requires a gradient, uniform in [lo, hi], a function of `number`. */
mn_tensor *mn__example_input(mn_context *c, int number, mn_shape shape, double lo, double hi);

#ifdef __cplusplus
}
#endif
#endif
