/* A step as one launch. The host needs a few microseconds for every operation: to check shapes, to find memory, to start
 * a kernel. A small network's kernels are shorter than that, and the device waits. But each step of a training run does
 * the same work in the same memory, because arenas hand out the same addresses (tensor/arena.c). So:
 *
 *   first runs   step(arg) is called; memory finds its place
 *   then         step(arg) is called once more while the device records instead of computing
 *   from now on  what was recorded is launched, by one call
 *
 * What changes from step to step cannot stand in a recorded launch, whose arguments stay. Such numbers are read from the
 * device's memory: the learning rates of all parameters (optim/), the step (dropout). Those who need them ask with
 * mn__step_again to be called before each launch. A recording is void when memory has moved: mn_context.place. */
#include "autograd/internal.h"
#include "autograd/profile.h"
#include <string.h>

enum { WARM = 2, MOST = 8 }; /* runs before a step is recorded; recordings that are kept */

/* What has to be done on the host before each launch; its argument follows. */
typedef struct again {
    struct again *next;
    mn_status (*run)(void *arg);
} again;

typedef struct mn__recorded {
    struct mn__recorded *next;
    /* which step it is: the same function on a batch of the same size in the same place */
    mn_step_fn step;
    void *arg;
    const mn_feed *feed;
    int64_t count;
    int turn;
    int runs;       /* by calling the function */
    uint64_t place; /* of the context in the last run, or 0 if it changed meanwhile */
    void *graph;    /* what the device has recorded, or NULL */
    again *first, *last;
} recorded;

/* ---- the list ---- */

static void drop(mn_context *c, recorded *r) {
    if (r->graph) c->device->recorder->forget(c->device_state, r->graph);
    while (r->first) {
        again *a = r->first;
        r->first = a->next;
        mn_free(a);
    }
    r->graph = r->last = NULL;
    r->runs = 0;
}

void mn__steps_close(mn_context *c) {
    while (c->recorded) {
        recorded *r = c->recorded;
        c->recorded = r->next;
        drop(c, r);
        mn_free(r);
    }
}

void mn_step_changed(mn_context *c) { mn__place_changed(c); }

/* The entry of this step, moved to the front; a new one in the place of the oldest. NULL: no memory, and no harm done. */
static recorded *find(mn_context *c, mn_feed *feed, mn_step_fn step, void *arg) {
    int64_t count = feed ? mn__feed_count(feed) : 0;
    int turn = feed ? mn__feed_turn(feed) : 0, n = 0;
    recorded **at = &c->recorded, *r;
    for (; (r = *at); at = &r->next) {
        bool same = r->step == step && r->arg == arg && r->feed == feed && r->count == count && r->turn == turn;
        if (same || ++n == MOST) break;
    }
    if (r) {
        *at = r->next;
        if (n == MOST) drop(c, r);
    } else if (!(r = mn_alloc_zero(1, sizeof *r))) {
        return NULL;
    }
    r->step = step, r->arg = arg, r->feed = feed, r->count = count, r->turn = turn;
    r->next = c->recorded;
    return c->recorded = r;
}

/* ---- running ---- */

static mn_status replay(mn_context *c, recorded *r) {
    for (again *a = r->first; a; a = a->next) {
        mn_status s = a->run(a + 1);
        if (s) return s;
    }
    c->replays++;
    return c->device->recorder->launch(c->device_state, r->graph, c->step, &c->error);
}

/* Calls the function; the device writes down what it is asked to do, and does nothing. */
static mn_status record(mn_context *c, recorded *r) {
    const mn__recorder *device = c->device->recorder;
    mn_status s = device->begin(c->device_state, &c->error);
    if (s) return s;
    c->recording = r;
    s = r->step(r->arg);
    c->recording = NULL;
    r->graph = device->end(c->device_state, s ? NULL : &c->error);
    if (s || !r->graph) {
        drop(c, r);
        return s ? s : c->error.status;
    }
    return MN_OK;
}

static mn_status call(mn_context *c, recorded *r) {
    uint64_t place = c->place;
    mn_status s = r->step(r->arg);
    r->runs = s ? 0 : r->runs + 1;
    r->place = c->place == place ? place : 0;
    return s;
}

mn_status mn_step_run(mn_context *c, mn_feed *feed, mn_step_fn step, void *arg) {
    mn_status s = mn_step_begin(c);
    if (s || c->error.status) return c->error.status;
    const mn__recorder *device = c->device->recorder;
    bool wanted = device && device->wanted(c->device_state) && !mn__profile(); /* which is of single operations */
    recorded *r = wanted ? find(c, feed, step, arg) : NULL;
    if (!r) return step(arg);
    if (r->graph && r->place != c->place) drop(c, r);
    if (!r->graph) {
        bool warm = r->runs >= WARM && r->place == c->place && !c->unread;
        if (!warm) return call(c, r);
        if ((s = record(c, r))) return s;
    }
    return replay(c, r);
}

mn_status mn__step_again(mn_context *c, mn_status (*run)(void *arg), const void *arg, size_t bytes) {
    again *a = mn_alloc(sizeof *a + bytes);
    if (!a) return MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for recording a step");
    *a = (again){.run = run};
    memcpy(a + 1, arg, bytes);
    recorded *r = c->recording;
    if (r->last)
        r->last->next = a;
    else
        r->first = a;
    r->last = a;
    return MN_OK;
}
