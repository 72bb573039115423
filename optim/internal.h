/* Shared inside optim/ and by its kernels: what an optimiser is, and what one launch of a kernel is given. */
#ifndef MIEN_OPTIM_INTERNAL_H
#define MIEN_OPTIM_INTERNAL_H
#include "autograd/internal.h"
#include "optim/optim.h"
#include <math.h>

/* How many optimisers there are. */
enum {
#define OPTIM(name) MN__OPTIM_##name,
#include "optim/optim.def"
#undef OPTIM
    MN__OPTIM_COUNT
};
#define MN__OPTIM_STATES 2 /* state tensors of a parameter, at most */

/* What distinguishes one optimiser from another on the host; the arithmetic is in its kernel. */
typedef struct mn__optim_rule {
    const char *name;
    double lr; /* the default */
    const char *state_name[MN__OPTIM_STATES];
    int (*states)(const mn_optim_opt *opt);                     /* how many it needs */
    mn_status (*check)(const mn_optim_opt *opt, mn_error *err); /* beyond the common checks; may be NULL */
} mn__optim_rule;

/* One parameter in a launch. All pointers are device memory of the context's type. */
typedef struct mn__update_part {
    void *w;       /* updated in place; for averages: the average */
    const void *g; /* gradient; for averages: the weight */
    void *state[MN__OPTIM_STATES];
    int64_t count;
    double lr, weight_decay; /* of this parameter */
    int64_t t;               /* updates of this parameter, this one included: 1, 2, ... */
} mn__update_part;

/* One launch: a list of parameters, so that a GPU needs one kernel for all of a model. */
typedef struct mn__update {
    mn_context *ctx;
    const mn_optim_opt *opt; /* defaults filled in; NULL for averages */
    const mn__update_part *part;
    int n;
    double *norm2; /* device memory: the sum of the squared gradients; NULL without clip_norm */
    double decay;  /* averages */
    /* In recorded steps (autograd/step.c): device memory for the numbers that change from step to step, MN__UPDATE_NUMBERS
     * bytes a parameter. The recorded launch reads them there; `store` does not launch it, but puts them there. */
    void *later;
    bool store;
} mn__update;
#define MN__UPDATE_NUMBERS 32
/* Such memory, where the device can record; *out stays NULL elsewhere. */
mn_status mn__update_room(mn_context *c, int n, void **out);

typedef mn_status (*mn__update_kernel)(const mn__update *u);
/* What a device brings for optimisers, in one type: cpu/optim.c. */
typedef struct mn__update_kernels {
    mn__update_kernel step[MN__OPTIM_COUNT]; /* by mn_optim_kind */
    mn__update_kernel square_sum;            /* *norm2 = the squared norm of all gradients */
    mn__update_kernel average, swap;         /* see ema.c */
} mn__update_kernels;

/* PyTorch's clip_grad_norm_: what gradients are multiplied by. */
MN_HOST_DEVICE static inline double mn__clip_factor(double norm2, double clip_norm) {
    double factor = clip_norm / (sqrt(norm2) + 1e-6);
    return factor < 1 ? factor : 1;
}

/* Fails unless t[0..n-1] are n different tensors of c's type; `what` begins the sentence. */
mn_status mn__check_list(mn_context *c, const char *what, mn_tensor **t, int n);

#endif
