/* Runs a grid: blocks one after another, the threads of a block as fibers.
 *
 * A fiber that has finished one thread goes on with the next in a loop; another fiber is taken only when a
 * thread waits. So a kernel without barriers is a plain loop over its threads, and nothing has to be
 * declared. */
#include "cuda/emu/internal.h"
#include <algorithm>
#include <link.h>
#include <random>
#include <string>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

/* Dynamic shared memory lies among the static shared objects, where the checker looks. */
alignas(128) static thread_local unsigned char dynamic_shared[emu::dynamic_capacity];

namespace emu {

Context now;

enum State : uint8_t { fresh, started, finished };
struct Thread {
    Fiber *fiber;
    const char *waits; /* the operation it waits in; null: none */
    emu_site at;
    State state;
};
/* Lanes of one warp on their way into one operation. Half-warps may be in different ones at the same time. */
struct Group {
    unsigned mask, arrived;
    const char *name;
};
struct Warp {
    int groups;
    Group group[warp_lanes];
    void *in[warp_lanes], *out[warp_lanes];
    int arg[warp_lanes];
};

/* The block that runs. Threads are kept by slot, the place in the order in which they run. */
static struct {
    unsigned n, running, done, first;
    Thread thread[max_threads];
    unsigned tid_of[max_threads], slot_of[max_threads];
    uint3 index[max_threads]; /* threadIdx by tid */
    uint64_t ready[max_threads / 64], everyone[max_threads / 64];
    Warp warp[max_warps];
    unsigned arrived; /* at the block's barrier */
    emu_site barrier_at;
    int votes, result;
    bool abandoned;
} b;

/* ---- scheduling --------------------------------------------------------------------------------- */
static inline void set_ready(unsigned slot) { b.ready[slot / 64] |= 1ull << slot % 64; }
static inline void clear_ready(unsigned slot) { b.ready[slot / 64] &= ~(1ull << slot % 64); }

/* The next slot after the running one that can run, round and round; -1: none. */
static inline int next_ready() {
    unsigned words = (b.n + 63) / 64, w = b.running / 64;
    uint64_t bits = b.running % 64 == 63 ? 0 : b.ready[w] & ~0ull << (b.running % 64 + 1);
    for (unsigned i = 0; i <= words; i++) {
        if (bits) return (int)(w * 64) + __builtin_ctzll(bits);
        w = w + 1 == words ? 0 : w + 1;
        bits = b.ready[w];
    }
    return -1;
}

static inline void becomes(unsigned slot) {
    b.running = slot;
    now.tid = b.tid_of[slot];
    threadIdx = b.index[now.tid];
}

/* Nobody can run and not all have finished: says who waits where. */
static void report_deadlock() {
    const Thread *first =
        nullptr; /* of those that wait, by number; a warp operation tells more than a barrier */
    std::string list;
    int lines = 0;
    bool in_warp = false;
    for (unsigned tid = 0; tid < b.n; tid++) {
        const Thread &t = b.thread[b.slot_of[tid]], &before = b.thread[b.slot_of[tid ? tid - 1 : 0]];
        bool warp = t.waits && strcmp(t.waits, "__syncthreads");
        if (t.waits && (!first || (warp && !in_warp))) first = &t;
        in_warp |= warp;
        if (tid && t.waits == before.waits && t.at.line == before.at.line) continue;
        char text[200];
        if (t.waits)
            snprintf(text, sizeof text, "\n      from thread %u on: in %s at %s:%d", tid, t.waits,
                     short_path(t.at.file), t.at.line);
        else
            snprintf(text, sizeof text, "\n      from thread %u on: left the kernel", tid);
        if (++lines <= 8) list += text;
    }
    if (lines > 8) list += "\n      ...";
    fault(in_warp ? "a warp operation waits for lanes that never come"
                  : "a barrier that not all threads reach",
          list.c_str(), first ? first->at : emu_site{nullptr, 0});
}

/* The body of every fiber: threads from start to end, until the next one to run has begun on a fiber of its
 * own. */
static void run_threads() {
    for (;;) {
        int slot = (int)b.first;
        for (;;) {
            Thread &t = b.thread[slot];
            clear_ready((unsigned)slot);
            becomes((unsigned)slot);
            t.fiber = current_fiber, t.state = started;
            now.launch->invoke(now.launch->func, now.launch->args.get());
            t.state = finished, b.done++;
            copies_end_thread();
            slot = next_ready();
            if (slot < 0 || b.thread[slot].state != fresh) break;
        }
        if (slot < 0 && b.done < b.n) {
            report_deadlock();
            abandon_kernel(cudaErrorLaunchTimeout);
        }
        if (slot < 0)
            fiber_park(nullptr);
        else {
            clear_ready((unsigned)slot);
            fiber_park(b.thread[slot].fiber);
        }
    }
}

/* The running thread waits until somebody sets its ready bit. */
static void wait_here(const char *what, emu_site at) {
    unsigned slot = b.running;
    Thread &t = b.thread[slot];
    t.waits = what, t.at = at;
    int next = next_ready();
    if (next < 0) {
        report_deadlock();
        abandon_kernel(cudaErrorLaunchTimeout);
    }
    Thread &to = b.thread[next];
    if (to.state == fresh)
        b.first = (unsigned)next, fiber_switch(fiber_take(run_threads));
    else
        clear_ready((unsigned)next), fiber_switch(to.fiber);
    becomes(slot);
    t.waits = nullptr;
}

/* ---- barriers and warp operations
 * ---------------------------------------------------------------------------- */
static bool same_place(emu_site a, emu_site c) {
    return a.line == c.line && (a.file == c.file || !strcmp(a.file, c.file));
}

static int meet(int predicate, emu_barrier_kind kind, emu_site at) {
    if (!b.arrived)
        b.barrier_at = at, b.votes = 0;
    else if (!same_place(at, b.barrier_at)) {
        char text[300];
        snprintf(text, sizeof text, "others wait at %s:%d", short_path(b.barrier_at.file), b.barrier_at.line);
        fault("threads meet at different barriers", text, at);
    }
    b.votes += predicate;
    if (++b.arrived < b.n) {
        wait_here("__syncthreads", at);
        return b.result;
    }
    b.arrived = 0;
    now.clock++;
    b.result = kind == EMU_BARRIER_COUNT ? b.votes
               : kind == EMU_BARRIER_AND ? b.votes == (int)b.n
                                         : b.votes > 0;
    memcpy(b.ready, b.everyone, sizeof b.ready);
    clear_ready(b.running);
    return b.result;
}

static void warp_operation(unsigned mask, const char *name, emu_warp_work work, void *in, void *out, int arg,
                           emu_site at) {
    unsigned number = now.tid / warp_lanes, lane = now.tid % warp_lanes, lanes = b.n - number * warp_lanes;
    Warp &w = b.warp[number];
    if (!(mask >> lane & 1)) {
        fault("a lane is missing in its own mask", name, at);
        return;
    }
    if (lanes < warp_lanes) mask &= (1u << lanes) - 1; /* the last warp of the block is not full */
    w.in[lane] = in, w.out[lane] = out, w.arg[lane] = arg;
    Group *g = w.group, *end = w.group + w.groups;
    while (g < end && (g->mask != mask || (g->name != name && strcmp(g->name, name)))) g++;
    if (g == end) *g = {mask, 0, name}, w.groups++;
    g->arrived |= 1u << lane;
    if (g->arrived != mask) {
        wait_here(name, at);
        return;
    }
    *g = w.group[--w.groups];
    work(w.in, w.out, w.arg, mask);
    if (work == emu_work_syncwarp) check_syncwarp(number, mask);
    for (unsigned others = mask & ~(1u << lane); others; others &= others - 1)
        set_ready(b.slot_of[number * warp_lanes + (unsigned)__builtin_ctz(others)]);
}

/* ---- the grid
 * ---------------------------------------------------------------------------------------------------- */
/* The __shared__ objects are the thread-local storage of the program or library that holds the kernels. */
void shared_range() {
    static thread_local char *lo, *hi;
    now.dynamic = (char *)dynamic_shared;
    if (!lo) {
        dl_iterate_phdr(
            [](dl_phdr_info *i, size_t, void *) {
                for (int k = 0; k < i->dlpi_phnum; k++) {
                    char *start = (char *)i->dlpi_tls_data, *end = start + i->dlpi_phdr[k].p_memsz;
                    if (i->dlpi_phdr[k].p_type != PT_TLS || !start || now.dynamic < start ||
                        now.dynamic >= end)
                        continue;
                    lo = start, hi = end;
                }
                return 0;
            },
            nullptr);
    }
    now.shared_lo = lo, now.shared_hi = hi;
}

static void start_block(unsigned number) {
    for (unsigned i = 0; i < b.n; i++) b.thread[i].state = fresh, b.thread[i].waits = nullptr;
    for (unsigned w = 0; w < (b.n + warp_lanes - 1) / warp_lanes; w++) b.warp[w].groups = 0;
    memcpy(b.ready, b.everyone, sizeof b.ready);
    blockIdx = {number % gridDim.x, number / gridDim.x % gridDim.y, number / gridDim.x / gridDim.y};
    now.block_start = ++now.clock;
    b.arrived = b.done = b.first = 0;
    memset(now.dynamic, 0xff, now.launch->smem); /* NaN: nobody has written it yet */
    check_block();
}

void run_grid(const Launch &l) {
    static std::mt19937 random(options.seed);
    gridDim = l.grid, blockDim = l.block;
    b.n = l.block.x * l.block.y * l.block.z;
    b.abandoned = false;
    for (unsigned i = 0; i < b.n; i++) {
        b.index[i] = {i % l.block.x, i / l.block.x % l.block.y, i / l.block.x / l.block.y};
        b.tid_of[i] = options.order == Order::down ? b.n - 1 - i : i;
    }
    for (unsigned i = 0; i < max_threads / 64; i++)
        b.everyone[i] = i * 64 + 64 <= b.n ? ~0ull : i * 64 < b.n ? (1ull << b.n % 64) - 1 : 0;
    shared_range();
    now.launch = &l;
    now.launch_start = ++now.clock;
    check_launch();
    unsigned blocks = l.grid.x * l.grid.y * l.grid.z;
    std::vector<unsigned> shuffled(options.order == Order::random ? blocks : 0);
    for (unsigned i = 0; i < shuffled.size(); i++) shuffled[i] = i;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    for (unsigned i = 0; i < blocks && !b.abandoned; i++) {
        if (options.order == Order::random) std::shuffle(b.tid_of, b.tid_of + b.n, random);
        if (options.order == Order::random || i == 0)
            for (unsigned s = 0; s < b.n; s++) b.slot_of[b.tid_of[s]] = s;
        start_block(options.order == Order::random ? shuffled[i]
                    : options.order == Order::down ? blocks - 1 - i
                                                   : i);
        fiber_switch(fiber_take(run_threads));
    }
    if (b.abandoned) fiber_wipe_all(), copies_forget_all();
    now.launch = nullptr;
    now.clock++;
}

void abandon_kernel(cudaError_t e) {
    b.abandoned = true;
    stick(e);
    fiber_switch(nullptr);
    abort(); /* not reached: the fiber is wiped */
}

} // namespace emu

int emu_barrier(int predicate, emu_barrier_kind kind, emu_site at) { return emu::meet(predicate, kind, at); }
void emu_warp(unsigned mask, const char *name, emu_warp_work work, void *in, void *out, int arg,
              emu_site at) {
    emu::warp_operation(mask, name, work, in, out, arg, at);
}
int emu_lane() { return (int)(emu::now.tid % emu::warp_lanes); }
void *emu_dynamic_shared() { return emu::now.dynamic; }
void emu_trap(emu_site at) {
    emu::fault("trap", "the kernel called __trap", at);
    emu::abandon_kernel(cudaErrorLaunchFailure);
}

void emu_where() {
    using namespace emu;
    if (!now.launch) {
        fprintf(stderr, "emu: no kernel runs\n");
        return;
    }
    fprintf(stderr, "kernel %s, block (%u,%u,%u) of (%u,%u,%u), %u threads\n", now.launch->name, blockIdx.x,
            blockIdx.y, blockIdx.z, gridDim.x, gridDim.y, gridDim.z, b.n);
    struct Place {
        State state;
        const char *waits;
        emu_site at;
        unsigned first, threads;
    };
    std::vector<Place> places;
    for (unsigned tid = 0; tid < b.n; tid++) {
        const Thread &t = b.thread[b.slot_of[tid]];
        if (tid == now.tid) continue;
        auto same = [&t](const Place &p) {
            return p.state == t.state && p.waits == t.waits && (!t.waits || p.at.line == t.at.line);
        };
        auto found = std::find_if(places.begin(), places.end(), same);
        if (found != places.end())
            found->threads++;
        else
            places.push_back({t.state, t.waits, t.at, tid, 1});
    }
    fprintf(stderr, "  thread %u (%u,%u,%u) runs\n", now.tid, threadIdx.x, threadIdx.y, threadIdx.z);
    for (const Place &p : places) {
        fprintf(stderr, "  %u thread%s, the first is %u: ", p.threads, p.threads > 1 ? "s" : "", p.first);
        if (p.waits)
            fprintf(stderr, "in %s at %s:%d\n", p.waits, short_path(p.at.file), p.at.line);
        else
            fprintf(stderr, "%s\n",
                    p.state == fresh      ? "not started"
                    : p.state == finished ? "finished"
                                          : "between two operations");
    }
}
