/* Running a compiled model. With at least one image a thread, threads share out the images, and each takes its images
 * one after the other through a whole run of steps; heavy steps, and all steps of a small batch, are shared out inside. */
#include "autograd/profile.h"
#include "layers/compile.h"

typedef struct work {
    const mn_model *m;
    const struct mn__plan *p;
    int64_t images, scratch; /* scratch: numbers a thread */
    size_t width;            /* bytes a number */
    int threads;
    bool by_image;
    char *shared, *local, *spare;
    mn_profile *profile; /* or NULL */
} work;

/* The map of a slot for image n of the batch, in thread t. */
static void *address(const work *k, int slot, int64_t n, int t) {
    if (slot < 0) return NULL;
    const mn__slot *s = &k->p->slot[slot];
    char *base;
    int64_t at;
    if (s->tensor >= 0)
        base = k->m->layer[s->tensor]->out->data, at = n * s->map.size;
    else if (s->shared)
        base = k->shared, at = k->images * s->at + n * s->map.size;
    else if (k->by_image)
        base = k->local, at = t * k->p->local_size + s->at;
    else
        base = k->local, at = k->images * s->at + n * s->map.size;
    return base + (size_t)at * k->width;
}

/* Part `part` of `parts` of step i on images n, n+1, ..., in scratch memory (and maps) of thread t. */
static void run_part(const work *k, int i, int64_t n, int64_t images, int t, int part, int parts) {
    const mn__planned *p = &k->p->step[i];
    const mn__infer_job j = {.s = &p->s,
                             .x = address(k, p->x, n, t),
                             .plus = address(k, p->plus, n, t),
                             .y = address(k, p->y, n, t),
                             .scratch = k->spare + (size_t)(t * k->scratch) * k->width,
                             .images = images,
                             .part = part,
                             .parts = parts};
    k->p->kernels->way[p->s.kind]->run(&j);
}

static const char *const kind_name[MN__INFER_KINDS] = {"load",     "conv",         "winograd", "depthwise", "separable",
                                                       "max_pool", "average_pool", "mean",     "flatten",   "dense",
                                                       "affine",   "add",          "store"};

static void measure(const work *k, int i, int64_t images, double seconds) {
    const mn__planned *p = &k->p->step[i];
    int64_t numbers = p->s.x->H * p->s.x->W * p->s.x->C + p->s.y->H * p->s.y->W * p->s.y->C, weights = 0;
    bool product = p->s.w != NULL;
    for (int w = 0; w < p->layer->n_weights && product; w++) weights += p->layer->weight[w].t ? p->layer->weight[w].t->count : 0;
    mn__profile_add(k->profile, (mn_profile_row){.layer = p->layer->name,
                                                 .op = kind_name[p->s.kind],
                                                 .seconds = seconds,
                                                 .flop = product ? 2.0 * (double)(p->layer->macs * images) : 0,
                                                 .bytes = (double)(numbers * images + weights) * (double)k->width});
}

/* Steps [from, to), every thread on images of its own. */
static void run_by_image(const work *k, int from, int to) {
#pragma omp parallel for num_threads(k->threads) schedule(static, 1) if (k->threads > 1)
    for (int t = 0; t < k->threads; t++)
        for (int64_t n = k->images * t / k->threads; n < k->images * (t + 1) / k->threads; n++)
            for (int i = from; i < to; i++) {
                bool measured = k->profile && t == 0; /* one thread stands for all */
                double begun = measured ? mn__profile_clock() : 0;
                run_part(k, i, n, 1, t, 0, 1);
                if (measured) measure(k, i, 1, mn__profile_clock() - begun);
            }
}

/* One step on all images, shared out inside unless it is too small for that. */
static void run_together(const work *k, int i) {
    int parts = k->p->step[i].cost * k->images > 65536 ? k->threads : 1;
    double begun = k->profile ? mn__profile_clock() : 0;
#pragma omp parallel for num_threads(parts) schedule(static, 1) if (parts > 1)
    for (int t = 0; t < parts; t++) run_part(k, i, 0, k->images, t, t, parts);
    if (k->profile) measure(k, i, k->images, mn__profile_clock() - begun);
}

static mn_status take_memory(work *k) {
    mn_context *c = k->m->ctx;
    const struct mn__plan *p = k->p;
    int64_t copies = k->by_image ? k->threads : k->images;
    for (int i = 0; i < p->n_steps; i++) {
        const mn__infer_way *way = p->kernels->way[p->step[i].s.kind];
        bool together = p->step[i].heavy || !k->by_image;
        int64_t need = way->scratch ? way->scratch(&p->step[i].s, together ? k->images : 1) : 0;
        if (need > k->scratch) k->scratch = need;
    }
    k->shared = mn__device_memory(c, MN_STEP, (size_t)(p->shared_size * k->images + 64) * k->width);
    k->local = k->shared ? mn__device_memory(c, MN_STEP, (size_t)(p->local_size * copies + 64) * k->width) : NULL;
    k->spare = k->local ? mn__device_memory(c, MN_STEP, (size_t)(k->scratch * k->threads + 64) * k->width) : NULL;
    return k->spare ? MN_OK : c->error.status;
}

mn_status mn__plan_run(mn_model *m, mn_tensor **in) {
    mn_context *c = m->ctx;
    struct mn__plan *p = m->plan;
    if (p->pass != c->pass && mn__plan_pack(m)) return c->error.status; /* an optimiser may have moved the weights */
    work k = {.m = m,
              .p = p,
              .images = in[0]->shape.dim[0],
              .width = mn_dtype_size(c->dtype),
              .threads = c->threads,
              .profile = mn__profile()};
    k.by_image = k.images > 1 && k.images >= k.threads;
    for (int i = 0; i < m->n_layers; i++) m->layer[i]->out = NULL;
    for (int i = 0; i < m->n_inputs; i++) m->layer[m->input[i]]->out = in[i];
    for (int i = 0; i < m->n_outputs; i++) {
        mn__layer *l = m->layer[m->output[i]];
        mn_shape s = {.ndim = l->shape.ndim + 1, .dim = {k.images}};
        for (int d = 0; d < l->shape.ndim; d++) s.dim[d + 1] = l->shape.dim[d];
        if (!(l->out = mn_tensor_create(c, MN_STEP, c->dtype, s))) return c->error.status;
    }
    if (take_memory(&k)) return c->error.status;
    for (int from = 0, to; from < p->n_steps; from = to) {
        for (to = from + 1; to < p->n_steps && p->step[to].run == p->step[from].run;) to++;
        if (k.by_image && !p->step[from].heavy)
            run_by_image(&k, from, to);
        else
            for (int i = from; i < to; i++) run_together(&k, i);
    }
    return MN_OK;
}
