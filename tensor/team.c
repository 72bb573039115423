/* The threads behind "#pragma omp parallel for" in this library.
 *
 * GCC turns such a loop into a function and a call of GOMP_parallel(function, data, threads, 0); inside, the
 * function asks omp_get_num_threads and omp_get_thread_num which part of the loop is its own. In the objects of
 * this library these three names are replaced by the ones below (Makefile, `objcopy --redefine-sym`); a compiler
 * that is not GCC keeps its own OpenMP.
 *
 * Why: libgomp waits for *every* thread of its team at the end of a loop, and spins while it waits. When the
 * other processors are busy with something else, a thread that has no time slice holds up the rest, loop after
 * loop (measured: docs/performance.md). Here a part of a loop belongs to nobody until somebody takes it: the
 * caller works through all parts that no helper has taken, and waits only for parts that are under way. So two
 * threads are never much slower than one, whatever the neighbours do, and the results are the same to the
 * bit, because parts are cut by number and not by who runs them.
 *
 * One loop runs on the helpers at a time; a second caller (another context in another thread), or a loop inside
 * a loop, does all its parts itself. Only loops are supported: no barriers or critical sections inside. */
#include "tensor/internal.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PARTS 1024
#define SPIN 1500 /* pauses, some 30 microseconds: loops of one step follow each other faster than a thread wakes */

/* The loop that is offered: 32 bits of number, 16 of parts, 16 of parts taken. Taking a part is one
 * compare-and-swap, and fails when the loop has changed in between. */
static _Atomic uint64_t ticket;
static void (*_Atomic function)(void *);
static void *_Atomic argument;
static _Atomic uint32_t done;   /* parts finished: the caller waits for it */
static _Atomic uint32_t offers; /* loops offered so far: idle helpers wait for it */
static _Atomic int sleepers;    /* helpers that need to be woken */
static _Atomic int caller_sleeps;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
static int helpers; /* threads started; guarded by busy */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static _Thread_local int part_number, part_count = 1;

static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}
static void futex_wake(_Atomic uint32_t *word, int n) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0); }
static inline void rest(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Takes a part of the loop on offer: its number, or -1 when none is left. */
static int take(int *parts) {
    uint64_t t = atomic_load(&ticket);
    for (;;) {
        int next = (int)(t & 0xffff);
        *parts = (int)(t >> 16 & 0xffff);
        if (next >= *parts) return -1;
        if (atomic_compare_exchange_weak(&ticket, &t, t + 1)) return next;
    }
}

static void run_part(void (*f)(void *), void *arg, int number, int parts) {
    int outer_number = part_number, outer_count = part_count;
    part_number = number, part_count = parts;
    f(arg);
    part_number = outer_number, part_count = outer_count;
}

/* Works on what is on offer until nothing is left. */
static void help(void) {
    int parts;
    for (int number; (number = take(&parts)) >= 0;) {
        run_part(atomic_load(&function), atomic_load(&argument), number, parts);
        if (atomic_fetch_add(&done, 1) + 1 == (uint32_t)parts && atomic_load(&caller_sleeps)) futex_wake(&done, 1);
    }
}

static void *helper(void *unused) {
    uint32_t seen = atomic_load(&offers);
    for (;;) {
        help();
        for (int i = 0; i < SPIN && atomic_load(&offers) == seen; i++) rest();
        if (atomic_load(&offers) == seen) {
            atomic_fetch_add(&sleepers, 1);
            while (atomic_load(&offers) == seen) futex_wait(&offers, seen);
            atomic_fetch_sub(&sleepers, 1);
        }
        seen = atomic_load(&offers);
    }
    return unused;
}

/* A child process has none of its parent's helpers. */
static void after_fork(void) {
    helpers = 0;
    atomic_store(&sleepers, 0);
    atomic_store(&ticket, 0);
    pthread_mutex_init(&busy, NULL);
}
static void prepare(void) { pthread_atfork(NULL, NULL, after_fork); }

static void start_helpers(int wanted) {
    pthread_attr_t a;
    if (helpers >= wanted || pthread_attr_init(&a)) return;
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_t t;
    while (helpers < wanted && pthread_create(&t, &a, helper, NULL) == 0) helpers++;
    pthread_attr_destroy(&a); /* fewer helpers than wanted are no failure: the caller does the rest */
}

static void offer(void (*f)(void *), void *arg, int parts) {
    start_helpers(parts - 1);
    atomic_store(&function, f);
    atomic_store(&argument, arg);
    atomic_store(&done, 0);
    uint64_t number = (atomic_load(&ticket) >> 32) + 1;
    atomic_store(&ticket, number << 32 | (uint64_t)parts << 16);
    atomic_fetch_add(&offers, 1);
    if (atomic_load(&sleepers) > 0) futex_wake(&offers, parts - 1);
}

static void wait_for_helpers(uint32_t parts) {
    for (int i = 0; i < SPIN && atomic_load(&done) < parts; i++) rest();
    atomic_store(&caller_sleeps, 1);
    for (uint32_t d; (d = atomic_load(&done)) < parts;) futex_wait(&done, d);
    atomic_store(&caller_sleeps, 0);
}

void mn__team_run(void (*f)(void *), void *arg, unsigned threads, unsigned flags);
void mn__team_run(void (*f)(void *), void *arg, unsigned threads, unsigned flags) {
    (void)flags;
    int parts = threads < 1 ? 1 : threads > MAX_PARTS ? MAX_PARTS : (int)threads;
    pthread_once(&once, prepare);
    bool alone = parts == 1 || part_count > 1 || pthread_mutex_trylock(&busy) != 0;
    if (alone) {
        for (int i = 0; i < parts; i++) run_part(f, arg, i, parts);
        return;
    }
    offer(f, arg, parts);
    help();
    wait_for_helpers((uint32_t)parts);
    pthread_mutex_unlock(&busy);
}

int mn__team_thread(void);
int mn__team_thread(void) { return part_number; }
int mn__team_size(void);
int mn__team_size(void) { return part_count; }
