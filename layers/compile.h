/* The inside of a compiled model: made by compile.c, laid out by compile_memory.c, run by compile_run.c. */
#ifndef MIEN_LAYERS_COMPILE_H
#define MIEN_LAYERS_COMPILE_H
#include "layers/infer.h"
#include "layers/internal.h"

/* A place for maps. Steps that run one after the other on one image share a *run*; a map that only they see exists once
 * a thread, others once an image. */
typedef struct mn__slot {
    mn__map map;
    mn_sym tensor;   /* a tensor of the model: the input or output of that symbol; -1: memory of the plan */
    int first, last; /* steps that write and read it */
    bool shared;     /* exists for every image */
    int64_t at;      /* numbers before it: of one image, or of one thread */
} mn__slot;

typedef struct mn__planned {
    mn__infer_step s;
    int x, plus, y; /* slots; plus -1: none */
    const mn__layer *layer;
    int64_t cost; /* multiply-adds of an image, or as much time */
    bool heavy;   /* weights that are worth reading once for all images */
    int run;
} mn__planned;

struct mn__plan {
    const struct mn__infer_kernels *kernels;
    mn__slot *slot;
    mn__planned *step;
    int n_slots, n_steps, n_runs;
    int64_t shared_size, local_size; /* numbers, an image and a thread */
    uint64_t pass;                   /* backward passes when the weights were packed */
};

/* Decides which maps are shared and where each lies. */
void mn__plan_memory(struct mn__plan *p);
mn_status mn__plan_pack(mn_model *m);
/* The forward pass of the compiled model. */
mn_status mn__plan_run(mn_model *m, mn_tensor **in);
#endif
