/* The checker. Files with kernels are compiled with -fsanitize=thread, but ThreadSanitizer's runtime is not
 * linked: the calls that the compiler puts in front of every load and store arrive here (end of this file).
 * For each byte of shared and device memory a cell remembers who wrote and who read it last, and when.
 *
 * When is a clock that ticks at each launch, block start and block barrier. Blocks run one after another, so
 * the clock also tells the block. Two accesses of different threads at one time are a race unless a
 * __syncwarp lies between them; accesses of two blocks of one launch always are, unless both are atomic or a
 * ticket orders them. */
#include "cuda/emu/internal.h"
#include <algorithm>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace emu {

constexpr unsigned forbidden = ~0u; /* as the time of the last write: no thread may touch this byte */

struct Cell {
    uint32_t written, read; /* times; written 0: never */
    uint32_t writer : 10, atomic : 1, copying : 1, writer_epoch : 20;
    /* readers: 0 one, 1 several of one warp, 2 of several warps; others: a block before this one read it too
     */
    uint32_t reader : 10, readers : 2, others : 1, reader_epoch : 19;
};
static_assert(sizeof(Cell) == 16, "the cost of the checker is 16 bytes for one");

static Cell *heap_cells, *shared_cells;

static Cell *map_cells(size_t bytes, int protection) {
    void *m =
        mmap(nullptr, bytes * sizeof(Cell), protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        fprintf(stderr, "emu: the checker needs %zu bytes of address space (ulimit -v?)\n",
                bytes * sizeof(Cell));
        abort();
    }
    madvise(m, bytes * sizeof(Cell), MADV_HUGEPAGE); /* large buffers: a page fault for 2 MiB of cells, not for 4 KiB */
    return (Cell *)m;
}
/* The cells of a piece of device memory; reserved once, given memory with the first mark of a buffer. */
static Cell *cells_of(const void *p, size_t n) {
    if (!heap_cells) heap_cells = map_cells((size_t)(heap_hi - heap_lo), PROT_NONE);
    Cell *first = heap_cells + ((char *)p - heap_lo);
    uintptr_t lo = (uintptr_t)first & ~(uintptr_t)(page - 1), hi = (uintptr_t)(first + n);
    mprotect((void *)lo, hi - lo, PROT_READ | PROT_WRITE);
    return first;
}
static void mark(const void *p, size_t n, uint32_t written) {
    if (!now.checking || !on_device(p) || !n) return;
    Cell c = {};
    c.written = written;
    Cell *first = cells_of(p, n);
    std::fill(first, first + n, c);
}
void check_mark_written(const void *p, size_t n) { mark(p, n, 1); }
void check_mark_fresh(const void *p, size_t n) { mark(p, n, 0); }
void check_mark_forbidden(const void *p, size_t n) { mark(p, n, forbidden); }
void check_copy_marks(const void *dst, const void *src, size_t n) {
    if (!now.checking || !n) return;
    Cell *from = cells_of(src, n), *to = cells_of(dst, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t written = from[i].written != 0 && from[i].written != forbidden;
        to[i] = {};
        to[i].written = written;
    }
}
bool check_all_written(const void *p, size_t n, size_t *first) {
    if (!now.checking || !n) return true;
    Cell *c = cells_of(p, n);
    for (size_t i = 0; i < n; i++) {
        if (c[i].written != 0 && c[i].written != forbidden) continue;
        *first = i;
        return false;
    }
    return true;
}

/* ---- order inside a warp
 * --------------------------------------------------------------------------------------- */
/* epoch[l] counts the __syncwarp of lane l; known[l][k]: all that lane k did before its epoch known[l][k]
 * comes before what lane l does now. A __syncwarp of some lanes joins what each of them knows. */
struct Order_in_warp {
    uint32_t epoch[warp_lanes], known[warp_lanes][warp_lanes];
};
static Order_in_warp order[max_warps];

void check_syncwarp(unsigned warp, unsigned mask) {
    if (!now.checking) return;
    Order_in_warp &w = order[warp];
    uint32_t all[warp_lanes] = {};
    for (int l = 0; l < warp_lanes; l++) {
        if (!(mask >> l & 1)) continue;
        w.known[l][l] = ++w.epoch[l];
        for (int k = 0; k < warp_lanes; k++) all[k] = std::max(all[k], w.known[l][k]);
    }
    for (int l = 0; l < warp_lanes; l++)
        if (mask >> l & 1) memcpy(w.known[l], all, sizeof all);
}
/* Did what thread `other` did at `epoch` come before what the running thread does now? */
static bool ordered(unsigned other, uint32_t epoch) {
    return other / warp_lanes == now.tid / warp_lanes &&
           epoch < order[other / warp_lanes].known[now.tid % warp_lanes][other % warp_lanes];
}

/* ---- order between blocks
 * ------------------------------------------------------------------------------------------ */
/* The pattern of the last block: write, __threadfence, atomic; who finds by the atomic that it is the last
 * does
 * __threadfence too and may read what the others wrote before theirs. */
struct Release {
    uint32_t block_start, until; /* writes of that block up to this time are visible */
};
static std::vector<Release> releases; /* of the blocks of this launch, in the order in which they ran */
static uint32_t last_fence;
static bool did_atomic, acquired;

void check_launch() { releases.clear(); }
void check_block() {
    if (!now.checking) return;
    memset(order, 0,
           ((size_t)blockDim.x * blockDim.y * blockDim.z + warp_lanes - 1) / warp_lanes * sizeof *order);
    releases.push_back({now.block_start, 0});
    last_fence = 0;
    did_atomic = acquired = false;
}
void check_fence() {
    last_fence = now.clock;
    if (did_atomic) acquired = true;
}
static void saw_atomic() {
    did_atomic = true;
    if (last_fence && !releases.empty()) releases.back().until = last_fence;
}
/* Something that another block of this launch did at that time. */
static bool by_other_block(uint32_t time) { return time >= now.launch_start && time < now.block_start; }
static bool visible(uint32_t time) {
    if (!acquired) return false;
    auto after = std::upper_bound(releases.begin(), releases.end(), time,
                                  [](uint32_t t, const Release &r) { return t < r.block_start; });
    return after != releases.begin() && (after - 1)->until >= time;
}

/* ---- one access
 * ------------------------------------------------------------------------------------------------------ */
struct Where {
    const char *space;
    const void *pc;
    emu_site at;
};
static void say(const Where &w, const char *kind, const char *detail = "") {
    char text[200];
    snprintf(text, sizeof text, "%s memory%s%s", w.space, *detail ? ", " : "", detail);
    fault(kind, text, w.at, w.pc);
}
static void say_thread(const Where &w, const char *kind, unsigned other) {
    char text[60];
    snprintf(text, sizeof text, "the other is thread %u", other);
    say(w, kind, text);
}

static void check_byte(Cell &c, Access a, bool global, const Where &w) {
    unsigned me = now.tid;
    uint32_t epoch = order[me / warp_lanes].epoch[me % warp_lanes];
    bool writes = a != Access::read, atomic = a == Access::atomic;
    if (c.written == forbidden)
        return say(w, writes ? "write out of bounds" : "read out of bounds", "between two tensors");
    if (c.copying) return say(w, "access to the target of a cp.async before its wait");
    if (a != Access::write && c.written < (global ? 1 : now.block_start))
        say(w, "read of memory nobody wrote");

    if (!(atomic && c.atomic)) {
        bool same_time = c.written == now.clock && c.writer != me && !ordered(c.writer, c.writer_epoch);
        bool other_block = global && by_other_block(c.written) && !visible(c.written);
        const char *kind = writes ? "race: two threads write" : "race: read of what another thread writes";
        if (same_time)
            say_thread(w, kind, c.writer);
        else if (other_block && acquired)
            say(w, kind, "the other is in another block and had no __threadfence before its atomic");
        else if (other_block)
            say(w, kind, "the other is in another block");
    }
    if (writes) {
        bool by_me = c.reader == me && (c.readers == 0 || (c.readers == 1 && epoch > c.reader_epoch));
        bool same_time =
            c.read == now.clock && !by_me && (c.readers == 2 || !ordered(c.reader, c.reader_epoch));
        bool other_block = global && (by_other_block(c.read) || (c.others && c.read >= now.launch_start));
        if (same_time)
            say_thread(w, "race: write of what another thread reads", c.reader);
        else if (other_block && !acquired)
            say(w, "race: write of what another thread reads", "the other is in another block");
        c.written = now.clock, c.writer = me, c.writer_epoch = epoch, c.atomic = atomic;
    }
    if (a == Access::read) {
        bool others = global && c.read >= now.launch_start && (c.others || c.read < now.block_start);
        bool warp = c.reader / warp_lanes == me / warp_lanes;
        bool alone = c.read != now.clock || (c.reader == me && c.readers == 0) ||
                     (c.readers < 2 && c.reader != me && ordered(c.reader, c.reader_epoch)) ||
                     (c.readers == 1 && c.reader == me && epoch > c.reader_epoch);
        c.readers = alone ? 0 : warp && c.readers < 2 ? 1 : 2;
        c.read = now.clock, c.reader = me, c.reader_epoch = epoch, c.others = others;
    }
}

/* Most words are written and read as a whole: four cells that are equal are checked as one. */
static void check_bytes(Cell *c, size_t n, Access a, bool global, const Where &w) {
    for (; n >= 4; c += 4, n -= 4) {
        bool equal = !memcmp(c, c + 1, 3 * sizeof *c);
        check_byte(c[0], a, global, w);
        for (int i = 1; i < 4; i++)
            if (equal)
                c[i] = c[0];
            else
                check_byte(c[i], a, global, w);
    }
    for (size_t i = 0; i < n; i++) check_byte(c[i], a, global, w);
}

/* Code of programs and libraries, their constants and global variables: __constant__ data, threadIdx,
 * literals. */
static bool in_image(const void *p) {
    static std::vector<std::pair<uintptr_t, uintptr_t>> images;
    if (images.empty())
        dl_iterate_phdr(
            [](dl_phdr_info *i, size_t, void *) {
                for (int k = 0; k < i->dlpi_phnum; k++)
                    if (i->dlpi_phdr[k].p_type == PT_LOAD) {
                        uintptr_t lo = i->dlpi_addr + i->dlpi_phdr[k].p_vaddr;
                        images.push_back({lo, lo + i->dlpi_phdr[k].p_memsz});
                    }
                return 0;
            },
            nullptr);
    static std::pair<uintptr_t, uintptr_t> last; /* hundreds of libraries may be loaded; threadIdx is asked for most */
    if ((uintptr_t)p >= last.first && (uintptr_t)p < last.second) return true;
    for (auto &i : images)
        if ((uintptr_t)p >= i.first && (uintptr_t)p < i.second) return last = i, true;
    return false;
}
static bool kernel_may_touch(const char *p) {
    const Launch &l = *now.launch;
    return (p >= l.args.get() && p < l.args.get() + l.args_bytes) || in_image(p) || is_pinned(p);
}

static void out_of_bounds(const char *p, size_t n, const Buffer *f, bool writes, const Where &w) {
    char text[120];
    if (!f)
        snprintf(text, sizeof text, "%zu bytes where no buffer is", n);
    else
        snprintf(text, sizeof text, "%zu bytes at byte %ld of a%s buffer of %zu bytes", n,
                 (long)(p - f->base), f->live ? "" : " freed", f->size);
    say(w, writes ? "write out of bounds" : "read out of bounds", text);
}

void check_access(const void *address, size_t n, Access a, const void *pc, emu_site at) {
    const char *p = (const char *)address;
    if (!now.checking || (p >= now.stack_lo && p < now.stack_hi)) return;
    bool writes = a != Access::read, global = on_device(p);
    if (!now.launch) {
        if (global) fault("the host touches device memory", "copy it with cudaMemcpy", at, pc);
        return;
    }
    Where w = {global ? "global" : "shared", pc, at};
    Cell *c;
    if (global) {
        const Buffer *f = buffer_near(p);
        if (!f || !f->live || p < f->base || p + n > f->base + f->size)
            return out_of_bounds(p, n, f, writes, w);
        c = heap_cells + (p - heap_lo);
    } else if (p >= now.shared_lo && p < now.shared_hi) {
        if (p >= now.dynamic && p < now.dynamic + dynamic_capacity && p + n > now.dynamic + now.launch->smem)
            return say(w, writes ? "write out of bounds" : "read out of bounds",
                       "past the dynamic memory of this launch");
        if (!shared_cells)
            shared_cells = map_cells((size_t)(now.shared_hi - now.shared_lo), PROT_READ | PROT_WRITE);
        c = shared_cells + (p - now.shared_lo);
    } else {
        if (!kernel_may_touch(p))
            fault("the kernel touches memory of the host or another thread's stack", "", at, pc);
        return;
    }
    if (n <= 16 && (n & (n - 1)) == 0 && (uintptr_t)p % n) say(w, "misaligned address");
    if (options.count && pc) count_access(p, n, pc, global);
    check_bytes(c, n, a, global, w);
}

/* The target of a cp.async: whoever touches it now, touches something that is being overwritten. */
void check_copy_started(const void *p, size_t n) {
    if (!now.checking) return;
    Cell *c = shared_cells + ((char *)p - now.shared_lo);
    for (size_t i = 0; i < n; i++) c[i].copying = 1;
}
void check_copy_ended(const void *p, size_t n) {
    if (!now.checking) return;
    Cell *c = shared_cells + ((char *)p - now.shared_lo);
    for (size_t i = 0; i < n; i++) c[i].copying = 0;
}

} // namespace emu

using emu::Access;
using emu::check_access;

void emu_fence() { emu::check_fence(); }
void emu_atomic(void *p, size_t n, const void *pc) {
    emu::saw_atomic();
    check_access(p, n, Access::atomic, pc);
}

/* ---- what the compiler calls
 * ------------------------------------------------------------------------------------------- */
/* gcc and clang use the same names. -fsanitize=thread: before each load and store. */
#define HERE __builtin_return_address(0)
#define HOOKS(N)                                                                                             \
    extern "C" void __tsan_read##N(void *p) { check_access(p, N, Access::read, HERE); }                      \
    extern "C" void __tsan_write##N(void *p) { check_access(p, N, Access::write, HERE); }                    \
    extern "C" void __tsan_unaligned_read##N(void *p) { check_access(p, N, Access::read, HERE); }            \
    extern "C" void __tsan_unaligned_write##N(void *p) { check_access(p, N, Access::write, HERE); }          \
    extern "C" void __tsan_volatile_read##N(void *p) { check_access(p, N, Access::read, HERE); }             \
    extern "C" void __tsan_volatile_write##N(void *p) { check_access(p, N, Access::write, HERE); }           \
    extern "C" void __tsan_read_write##N(void *p) {                                                          \
        check_access(p, N, Access::read, HERE), check_access(p, N, Access::write, HERE);                     \
    }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
extern "C" {
void __tsan_init() { emu::now.checking = true; } /* called once for each file, before main */
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}
void __tsan_read_range(void *p, size_t n) { check_access(p, n, Access::read, HERE); }
void __tsan_write_range(void *p, size_t n) { check_access(p, n, Access::write, HERE); }
void *__tsan_memcpy(void *d, const void *s, size_t n) {
    check_access(s, n, Access::read, HERE), check_access(d, n, Access::write, HERE);
    return memcpy(d, s, n);
}
void *__tsan_memmove(void *d, const void *s, size_t n) {
    check_access(s, n, Access::read, HERE), check_access(d, n, Access::write, HERE);
    return memmove(d, s, n);
}
void *__tsan_memset(void *d, int v, size_t n) {
    check_access(d, n, Access::write, HERE);
    return memset(d, v, n);
}
}
/* Atomics of the host code in such files: std::atomic, the guards of local statics, reference counts. */
#define ATOMICS(BITS, T)                                                                                     \
    extern "C" T __tsan_atomic##BITS##_load(const volatile T *p, int) {                                      \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                         \
    }                                                                                                        \
    extern "C" void __tsan_atomic##BITS##_store(volatile T *p, T v, int) {                                   \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                            \
    }                                                                                                        \
    extern "C" T __tsan_atomic##BITS##_exchange(volatile T *p, T v, int) {                                   \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                        \
    extern "C" T __tsan_atomic##BITS##_fetch_add(volatile T *p, T v, int) {                                  \
        return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                   \
    }                                                                                                        \
    extern "C" T __tsan_atomic##BITS##_fetch_sub(volatile T *p, T v, int) {                                  \
        return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                                   \
    }                                                                                                        \
    extern "C" int __tsan_atomic##BITS##_compare_exchange_strong(volatile T *p, T *e, T v, int, int) {       \
        return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

/* -fsanitize=bounds,alignment: when an index or address is wrong. The compiler hands over the place. The
 * handlers are weak: a build that links the sanitizer's own runtime gets that. */
struct Ubsan_place {
    const char *file;
    uint32_t line, column;
};
struct Ubsan_type {
    uint16_t kind, info;
    char name[1];
};
struct Ubsan_index {
    Ubsan_place at;
    const Ubsan_type *array, *index;
};
struct Ubsan_access {
    Ubsan_place at;
    const Ubsan_type *type;
    unsigned char log_alignment, kind;
};
extern "C" __attribute__((weak)) void __ubsan_handle_out_of_bounds(const Ubsan_index *d, uintptr_t index) {
    char text[200];
    snprintf(text, sizeof text, "index %ld of %s", (long)index, d->array->name);
    emu::fault("array index out of bounds", text, {d->at.file, (int)d->at.line});
}
extern "C" __attribute__((weak)) void __ubsan_handle_type_mismatch_v1(const Ubsan_access *d, uintptr_t p) {
    char text[200];
    snprintf(text, sizeof text, "%s at %p wants a multiple of %d", d->type->name, (void *)p,
             1 << d->log_alignment);
    emu::fault("misaligned address", text, {d->at.file, (int)d->at.line});
}
