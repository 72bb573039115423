/* Batches, prepared ahead by worker threads.
 *
 *   ring of slots:   slot = batch number mod slots
 *   worker:   take the next batch number; wait until its slot is free; fill it; say so
 *   caller:   wait until the slot of the next batch is full; use it; free it with the next call
 *
 * What stands in a batch is computed from (seed, epoch, position), by whichever thread. Threads begin with
 * the first epoch, sleep between epochs and end with the loader; a child process makes its own. */
#include "data/internal.h"
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORKERS 64

typedef struct slot {
    float *x;
    int32_t *label[MN_MAX_HEADS];
    float *soft[MN_MAX_HEADS];
    int64_t *index;
    int64_t n;
    bool full;
    mn_error err;
} slot;

typedef struct worker {
    mn_loader *loader;
    mn_image raw, sized, scratch, changed;
    pthread_t thread;
} worker;

struct mn_loader {
    const mn_dataset *set;
    mn_preprocess p;
    mn_loader_opt opt;
    mn_augment augment;
    int64_t *order;       /* position -> index */
    mn__sampler *sampler; /* NULL: every sample once */
    int64_t batches, epoch;
    size_t each; /* numbers of one sample */
    slot *slots;
    int n_slots, n_workers; /* n_workers: threads that run; 0: the caller works */
    worker *workers;
    pid_t owner; /* the process that made the threads */
    pthread_mutex_t lock;
    pthread_cond_t freed, filled, idle;
    /* guarded by lock */
    int64_t next_fill, held; /* batch numbers: to be filled next; in the caller's hands (or awaited) */
    int busy;                /* workers between taking a number and having filled the slot */
    bool running, quit;
    bool failed; /* the held batch could not be read; the caller's own */
};

/* Numbers of the streams of random numbers: a different purpose, a different top byte. */
static uint64_t shuffle_stream(int64_t epoch) { return (uint64_t)0xd1 << 56 | (uint64_t)epoch; }
static uint64_t augment_stream(int64_t epoch, int64_t position) {
    return (uint64_t)0xd2 << 56 | ((uint64_t)epoch & 0xffffff) << 32 | ((uint64_t)position & 0xffffffff);
}

/* ---- filling a slot ---- */

static mn_status load_sample(mn_loader *l, worker *w, int64_t position, int64_t index, float *out, mn_error *err) {
    mn_status s = l->set->pixels(l->set, index, &w->raw, err);
    const mn_image *im = &w->raw;
    if (!s && (!mn__preprocess_fits(&l->p, im) || (!l->set->ready && (l->p.equalize || l->p.ellipse)))) {
        s = mn_preprocess_pixels(&l->p, &w->raw, &w->sized, &w->scratch, err);
        im = &w->sized;
    }
    if (!s && l->opt.augment) {
        mn_rng r = mn_rng_create(l->opt.seed, augment_stream(l->epoch, position));
        s = mn_augment_apply(&l->augment, im, &w->changed, &r, err);
        im = &w->changed;
    }
    return s ? s : mn_preprocess_floats(&l->p, im, out, err);
}

/* Samples without probabilities get their label's: 1 for the class, 0 for the others. */
static void set_soft(float *out, const float *soft, int32_t label, int n_classes) {
    if (soft) {
        memcpy(out, soft, (size_t)n_classes * sizeof *out);
        return;
    }
    for (int k = 0; k < n_classes; k++) out[k] = k == label ? 1.0f : 0.0f;
}

static mn_status load_labels(const mn_loader *l, slot *s, int64_t k, int64_t index, mn_error *err) {
    mn_sample_info info;
    mn_status st = l->set->info(l->set, index, &info, err);
    if (st) return st;
    for (int h = 0; h < l->set->n_heads; h++) {
        int n = l->set->head[h].n_classes;
        s->label[h][k] = info.label[h];
        if (s->soft[h]) set_soft(s->soft[h] + k * n, info.soft[h], info.label[h], n);
    }
    s->index[k] = index;
    return MN_OK;
}

static void fill(mn_loader *l, worker *w, int64_t batch) {
    slot *s = &l->slots[batch % l->n_slots];
    int64_t first = batch * l->opt.batch, left = l->set->length - first;
    s->n = left < l->opt.batch ? left : l->opt.batch;
    s->err = (mn_error){0};
    for (int64_t k = 0; k < s->n; k++) {
        int64_t index = l->order[first + k];
        mn_status st = load_labels(l, s, k, index, &s->err);
        if (!st) st = load_sample(l, w, first + k, index, s->x + (size_t)k * l->each, &s->err);
        if (st) {
            if (!s->err.status) mn_fail(&s->err, st, "sample %lld cannot be read", (long long)index);
            return;
        }
    }
}

/* ---- threads ---- */

static void *work(void *p) {
    worker *w = p;
    mn_loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->quit && !(l->running && l->next_fill < l->batches && l->next_fill < l->held + l->n_slots))
            pthread_cond_wait(&l->freed, &l->lock);
        if (l->quit) break;
        int64_t batch = l->next_fill++;
        l->busy++;
        pthread_mutex_unlock(&l->lock);
        fill(l, w, batch);
        pthread_mutex_lock(&l->lock);
        l->busy--;
        l->slots[batch % l->n_slots].full = true;
        pthread_cond_signal(&l->filled);
        if (l->busy == 0) pthread_cond_signal(&l->idle);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Fewer threads than wanted is slower, not wrong; with none the caller works. */
static void start_threads(mn_loader *l) {
    if (l->owner == getpid()) return;
    l->owner = getpid();
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->freed, NULL);
    pthread_cond_init(&l->filled, NULL);
    pthread_cond_init(&l->idle, NULL);
    l->running = l->quit = false;
    l->busy = l->n_workers = 0;
    while (l->n_workers < l->opt.workers &&
           pthread_create(&l->workers[l->n_workers].thread, NULL, work, &l->workers[l->n_workers]) == 0)
        l->n_workers++;
}

static void stop_threads(mn_loader *l) {
    if (l->owner != getpid()) return; /* none were made, or they stayed in the parent process */
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->freed);
    pthread_mutex_unlock(&l->lock);
    for (int k = 0; k < l->n_workers; k++) pthread_join(l->workers[k].thread, NULL);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->freed);
    pthread_cond_destroy(&l->filled);
    pthread_cond_destroy(&l->idle);
}

/* ---- an epoch ---- */

/* Fisher and Yates' shuffle of the epoch's own random numbers. */
static void set_order(mn_loader *l) {
    int64_t n = l->set->length;
    for (int64_t i = 0; i < n; i++) l->order[i] = i;
    if (!l->opt.shuffle) return;
    mn_rng r = mn_rng_create(l->opt.seed, shuffle_stream(l->epoch));
    if (l->sampler) mn__sampler_draw(l->sampler, &r, l->order);
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t k = (int64_t)mn_rng_below(&r, (uint64_t)i + 1), t = l->order[i];
        l->order[i] = l->order[k], l->order[k] = t;
    }
}

mn_status mn_loader_begin(mn_loader *l, int64_t epoch, int64_t first) {
    if (epoch < 0 || first < 0 || first > l->batches) return MN_ERR_ARG;
    start_threads(l);
    pthread_mutex_lock(&l->lock);
    l->running = false; /* an epoch that was left early ends here */
    while (l->busy) pthread_cond_wait(&l->idle, &l->lock);
    l->epoch = epoch;
    set_order(l);
    for (int k = 0; k < l->n_slots; k++) l->slots[k].full = false;
    l->next_fill = first, l->held = first - 1, l->failed = false;
    l->running = true;
    pthread_cond_broadcast(&l->freed);
    pthread_mutex_unlock(&l->lock);
    return MN_OK;
}

static void give(const mn_loader *l, const slot *s, mn_batch *b) {
    *b = (mn_batch){.n = s->n, .x = s->x, .index = s->index};
    for (int h = 0; h < l->set->n_heads; h++) b->label[h] = s->label[h], b->soft[h] = s->soft[h];
}

/* With worker threads: waits until the held batch is there. */
static void await(mn_loader *l, slot *s) {
    while (!s->full) pthread_cond_wait(&l->filled, &l->lock);
}

int mn_loader_next(mn_loader *l, mn_batch *b, mn_error *err) {
    *b = (mn_batch){0};
    if (l->owner != getpid() || !l->running) {
        mn_fail(err, MN_ERR_ARG, "loader: no epoch was begun; hint: call mn_loader_begin first");
        return -1;
    }
    if (!l->failed) {
        if (l->held + 1 >= l->batches) return 0;
        pthread_mutex_lock(&l->lock);
        if (l->held >= 0) l->slots[l->held % l->n_slots].full = false;
        l->held++;
        slot *s = &l->slots[l->held % l->n_slots];
        pthread_cond_broadcast(&l->freed);
        if (l->n_workers) await(l, s);
        pthread_mutex_unlock(&l->lock);
        if (!l->n_workers) fill(l, &l->workers[0], l->held);
        l->failed = s->err.status != MN_OK;
    }
    const slot *s = &l->slots[l->held % l->n_slots];
    if (l->failed) {
        mn_fail(err, s->err.status, "%s", s->err.text);
        return -1;
    }
    give(l, s, b);
    return 1;
}

/* ---- create, destroy ---- */

int64_t mn_loader_batches(const mn_loader *l) { return l->batches; }

static mn_status reserve_slots(mn_loader *l, const bool soft[MN_MAX_HEADS], mn_error *err) {
    size_t batch = (size_t)l->opt.batch;
    bool ok = (l->slots = mn_alloc_zero((size_t)l->n_slots, sizeof *l->slots)) != NULL;
    for (int k = 0; k < l->n_slots && ok; k++) {
        slot *s = &l->slots[k];
        ok = (s->x = mn_alloc(batch * l->each * sizeof *s->x)) && (s->index = mn_alloc(batch * sizeof *s->index));
        for (int h = 0; h < l->set->n_heads && ok; h++) {
            ok = (s->label[h] = mn_alloc(batch * sizeof(int32_t))) != NULL;
            if (ok && soft[h]) ok = (s->soft[h] = mn_alloc(batch * (size_t)l->set->head[h].n_classes * sizeof(float))) != NULL;
        }
    }
    return ok ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "loader: no memory for %d batches of %d", l->n_slots, l->opt.batch);
}

/* The buffers get their usual size now, so that later epochs allocate nothing. */
static mn_status reserve_workers(mn_loader *l, mn_error *err) {
    int n = l->opt.workers > 1 ? l->opt.workers : 1;
    if (!(l->workers = mn_alloc_zero((size_t)n, sizeof *l->workers))) return mn_fail(err, MN_ERR_MEMORY, "loader: out of memory");
    for (int k = 0; k < n; k++) {
        worker *w = &l->workers[k];
        w->loader = l;
        mn_image *im[4] = {&w->raw, &w->sized, &w->scratch, &w->changed};
        for (int i = 0; i < 4; i++) {
            mn_status s = mn_image_reserve(im[i], l->p.width, l->p.height, l->p.channels, err);
            if (s) return s;
        }
    }
    return MN_OK;
}

static mn_status find_soft(const mn_dataset *d, bool soft[MN_MAX_HEADS], mn_error *err) {
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info info;
        mn_status s = d->info(d, i, &info, err);
        if (s) return s;
        for (int h = 0; h < d->n_heads; h++) soft[h] = soft[h] || info.soft[h];
    }
    return MN_OK;
}

static mn_status set_up(mn_loader *l, mn_error *err) {
    mn_loader_opt *o = &l->opt;
    if (o->batch == 0) o->batch = 32;
    if (o->batch < 1 || o->batch > 65536 || o->workers < 0 || o->workers > MAX_WORKERS || o->prefetch < 0 || o->prefetch > 1024)
        return mn_fail(err, MN_ERR_ARG, "loader: batch %d (1 to 65536), workers %d (0 to %d), prefetch %d (0 to 1024)", o->batch,
                       o->workers, MAX_WORKERS, o->prefetch);
    if (l->set->steps && l->set->steps != l->p.steps)
        return mn_fail(
            err, MN_ERR_ARG,
            "%s: clips of 1 to %d frames need a network with a StepMask over %d steps; this one %s; hint: docs/data.md, Clips",
            l->set->name, l->set->steps, l->set->steps, l->p.steps ? "has another number of them" : "has none");
    if (!(o->balance >= 0 && o->balance <= 1) || (o->balance > 0 && !o->shuffle))
        return mn_fail(err, MN_ERR_ARG, "loader: balance %g; wanted 0 to 1, and above 0 only with shuffle", o->balance);
    if (o->prefetch == 0) o->prefetch = 2 * o->workers;
    l->n_slots = o->workers ? o->prefetch + 1 : 1;
    l->batches = (l->set->length + (o->drop_last ? 0 : o->batch - 1)) / o->batch;
    if (l->set->length && !l->batches)
        return mn_fail(err, MN_ERR_ARG,
                       "loader: %lld samples do not fill one batch of %d and a smaller one is to be dropped; "
                       "hint: a smaller batch",
                       (long long)l->set->length, o->batch);
    mn_status s = reserve_workers(l, err); /* checks the size, too */
    if (s) return s;
    l->each = (size_t)l->p.channels * (size_t)l->p.height * (size_t)l->p.width;
    if (!(l->order = mn_alloc((size_t)l->set->length * sizeof *l->order)))
        return mn_fail(err, MN_ERR_MEMORY, "loader: out of memory");
    if (o->balance > 0 && !(l->sampler = mn__sampler_create(l->set, o->balance_heads, o->balance, err))) return err->status;
    bool soft[MN_MAX_HEADS] = {false};
    if ((s = find_soft(l->set, soft, err))) return s;
    return reserve_slots(l, soft, err);
}

mn_loader *mn_loader_create(const mn_dataset *d, const mn_preprocess *p, mn_loader_opt opt, mn_error *err) {
    mn_loader *l = mn_alloc_zero(1, sizeof *l);
    if (!l) {
        mn_fail(err, MN_ERR_MEMORY, "loader: out of memory");
        return NULL;
    }
    l->set = d, l->p = *p, l->opt = opt, l->owner = -1;
    if (opt.augment) l->augment = *opt.augment;
    if (set_up(l, err) == MN_OK) return l;
    mn_loader_destroy(l);
    return NULL;
}

void mn_loader_destroy(mn_loader *l) {
    if (!l) return;
    stop_threads(l);
    for (int k = 0; l->slots && k < l->n_slots; k++) {
        mn_free(l->slots[k].x);
        mn_free(l->slots[k].index);
        for (int h = 0; h < MN_MAX_HEADS; h++) mn_free(l->slots[k].label[h]), mn_free(l->slots[k].soft[h]);
    }
    for (int k = 0; l->workers && k < (l->opt.workers > 1 ? l->opt.workers : 1); k++) {
        worker *w = &l->workers[k];
        mn_image_free(&w->raw), mn_image_free(&w->sized), mn_image_free(&w->scratch), mn_image_free(&w->changed);
    }
    mn_free(l->slots);
    mn_free(l->workers);
    mn_free(l->order);
    mn__sampler_destroy(l->sampler);
    mn_free(l);
}
