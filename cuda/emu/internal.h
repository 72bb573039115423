/* Shared by the files of the emulator's runtime; not for .cu files. */
#ifndef MN_EMU_INTERNAL_H
#define MN_EMU_INTERNAL_H
#include "cuda/emu/emu.h"
#include <memory>
#include <mutex>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif
#ifndef EMU_ASAN
#define EMU_ASAN 0
#endif

namespace emu {

constexpr int max_threads = 1024, warp_lanes = 32, max_warps = max_threads / warp_lanes;
constexpr size_t page = 4096;
constexpr size_t dynamic_capacity = 232448; /* the largest block of sm_90 */

/* ---- switches, from the environment; read once, at the first call (device.cpp) ------------------ */
enum class Order { up, down, random };
struct Options {
    Order order = Order::up;
    bool lazy_streams = false, count = false, launches = false, leaks = false, hide = false;
    int devices = 1, sm = 90, multiprocessors = 4;
    bool driver = true;
    size_t memory = (size_t)4 << 30;
    unsigned seed = 1;
    long lose_at = 0; /* the launch at which the device is lost; 0: never */
};
extern Options options;
void init();

/* ---- what runs now: for the checker and for reports --------------------------------------------- */
struct Launch {
    const char *name;
    const void *func;
    void (*invoke)(const void *, const void *);
    std::shared_ptr<char> args;
    size_t args_bytes;
    dim3 grid, block;
    size_t smem;
};
struct Context {
    const Launch *launch = nullptr; /* null outside kernels */
    bool checking = false;          /* some file was compiled with the checker's hooks */
    unsigned tid = 0;               /* the linear number of the thread in its block */
    /* The clock ticks at each launch, block start and block barrier: what happened at another time is
     * ordered. */
    uint32_t clock = 1, launch_start = 1, block_start = 1;
    char *shared_lo = nullptr, *shared_hi = nullptr; /* all __shared__ objects: this thread's TLS */
    char *dynamic = nullptr;                         /* inside them: the dynamic part */
    char *stack_lo = nullptr, *stack_hi = nullptr;   /* of the fiber that runs */
};
extern Context now;
/* Held in every call of the runtime. With EMU_HIDE=1 device memory can be touched while it is held, and at no other time. */
class ApiMutex {
    std::recursive_mutex mutex;
    int depth = 0;

  public:
    void lock();
    void unlock();
};
ApiMutex &api_lock();
typedef std::lock_guard<ApiMutex> Lock;

/* ---- fibers (fiber.cpp)
 * -------------------------------------------------------------------------------------- */
struct Fiber;
extern Fiber *current_fiber;       /* null: the host's stack */
Fiber *fiber_take(void (*body)()); /* a new one, or an idle one that continues after its last fiber_park */
void fiber_switch(Fiber *to);      /* leaves the current stack; null: back to the host */
void fiber_park(Fiber *to);        /* the same, and the fiber left becomes idle */
void fiber_wipe_all();             /* after a kernel was abandoned: all fibers start anew */

/* ---- blocks (block.cpp)
 * -------------------------------------------------------------------------------------- */
void run_grid(const Launch &);
[[noreturn]] void abandon_kernel(cudaError_t); /* from inside a kernel: ends the launch; the error sticks */
void shared_range(); /* finds now.shared_lo, shared_hi, dynamic for this OS thread */

/* ---- asynchronous copies (async_copy.cpp)
 * ------------------------------------------------------------------- */
void copies_end_thread(); /* the running thread has finished */
void copies_forget_all();

/* ---- memory (memory.cpp)
 * ---------------------------------------------------------------------------------------- */
struct Buffer {
    char *base;
    size_t size;
    bool live;
};
extern char *heap_lo, *heap_hi; /* the address range of device memory */
static inline bool on_device(const void *p) { return (char *)p >= heap_lo && (char *)p < heap_hi; }
const Buffer *buffer_near(const void *p); /* the buffer that holds p or ends just before it; null: none */
bool is_pinned(const void *p);
void memory_report_leaks();
void memory_show(bool); /* maps all live buffers, or none */

/* ---- checker (check.cpp); all of these do nothing unless now.checking
 * ------------------------------------------ */
enum class Access { read, write, atomic };
void check_access(const void *p, size_t n, Access, const void *pc, emu_site = {nullptr, 0});
void check_mark_written(const void *p, size_t n); /* by a copy or memset of the host */
void check_mark_fresh(const void *p, size_t n);   /* allocated, never written */
void check_mark_forbidden(const void *p, size_t n);
void check_copy_marks(const void *dst, const void *src, size_t n);
bool check_all_written(const void *p, size_t n, size_t *first);
void check_copy_started(const void *p, size_t n); /* cp.async: not to be touched until it ends */
void check_copy_ended(const void *p, size_t n);
void check_syncwarp(unsigned warp, unsigned mask);
void check_launch();
void check_block();
void check_fence();

/* ---- counting (count.cpp)
 * ----------------------------------------------------------------------------------------- */
void count_access(const void *p, size_t n, const void *pc, bool global);

/* ---- reports (report.cpp)
 * ------------------------------------------------------------------------------------------ */
/* Prints one line, once per kind and place. The place is `at`, or the line that belongs to the code at `pc`.
 */
void fault(const char *kind, const char *detail, emu_site at, const void *pc = nullptr);
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void place_of(const void *pc, char *text, size_t n); /* "conv.cu:41" */
const char *short_path(const char *path);            /* without the directory we are in */
void catch_signals();

/* ---- errors (device.cpp)
 * ---------------------------------------------------------------------------------------------- */
cudaError_t fail(cudaError_t); /* remembers it for cudaGetLastError */
void stick(cudaError_t);       /* the context is broken: every later call returns this */
cudaError_t stuck();           /* what every call starts with: init and the sticky error */

/* ---- streams (stream.cpp)
 * -------------------------------------------------------------------------------------- */
cudaError_t enqueue_launch(const Launch &, cudaStream_t);
cudaError_t capture_forbids_allocation();

} // namespace emu
#endif
