/* Stacks and the switch between them. ucontext would do, but makes a system call for each switch (20 times
 * the cost), so it is only the way for other processors. */
#include "cuda/emu/internal.h"
#include <pthread.h>
#include <sys/mman.h>
#include <vector>
#if !defined(EMU_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define EMU_UCONTEXT
#endif
#ifdef EMU_UCONTEXT
#include <ucontext.h>
#endif
#if EMU_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emu {

constexpr size_t stack_bytes = EMU_ASAN ? 256 << 10 : 64 << 10;

struct Fiber {
    void *sp = nullptr; /* while it does not run: what emu_switch_stacks saved */
    char *stack = nullptr;
    size_t size = 0;
    void (*body)() = nullptr;
    void *fake_stack = nullptr; /* AddressSanitizer's */
#ifdef EMU_UCONTEXT
    ucontext_t context;
#endif
};

Fiber *current_fiber;
static Fiber host;
static auto &all = *new std::vector<Fiber *>,
            &idle = *new std::vector<Fiber *>; /* live as long as the process */

#if EMU_ASAN
static void annotate_start(Fiber *from, Fiber *to) {
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->size);
}
static void annotate_finish(void *fake_stack) {
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}
static void find_host_stack() {
    pthread_attr_t a;
    void *lo;
    pthread_getattr_np(pthread_self(), &a);
    pthread_attr_getstack(&a, &lo, &host.size);
    pthread_attr_destroy(&a);
    host.stack = (char *)lo;
}
static void annotate_wiped(Fiber *f) { __asan_unpoison_memory_region(f->stack, f->size); }
#else
static void annotate_start(Fiber *, Fiber *) {}
static void annotate_finish(void *) {}
static void find_host_stack() {}
static void annotate_wiped(Fiber *) {}
#endif

static void first_frame() {
    annotate_finish(nullptr);
    current_fiber->body();
}

#ifdef EMU_UCONTEXT
static void swap(Fiber *from, Fiber *to) { swapcontext(&from->context, &to->context); }
static void prepare(Fiber *f, size_t) {
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = f->size;
    makecontext(&f->context, first_frame, 0);
}
#else
/* Saves the registers that a function must preserve on this stack and the stack pointer in *save, takes the
 * other stack and returns into whoever saved it. */
extern "C" void emu_switch_stacks(void **save, void *load);
#ifdef __x86_64__
asm(R"(
.text
.globl emu_switch_stacks
.type emu_switch_stacks,@function
emu_switch_stacks:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_switch_stacks, .-emu_switch_stacks
)");
constexpr int frame_words = 7, frame_pc = 6; /* six registers, the address to return to */
#else
asm(R"(
.text
.globl emu_switch_stacks
.type emu_switch_stacks,%function
emu_switch_stacks:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size emu_switch_stacks, .-emu_switch_stacks
)");
constexpr int frame_words = 20, frame_pc = 11;
#endif
static void swap(Fiber *from, Fiber *to) { emu_switch_stacks(&from->sp, to->sp); }
static void prepare(Fiber *f, size_t number) {
    /* All stacks start at the same offset of a page: without this spread a thousand of them share a few sets
     * of the L1 cache, and a switch costs twice as much. */
    void **top = (void **)(f->stack + f->size - number * 13 % 61 * 64) - 4;
    /* Above the frame a return address of 0 (a debugger's walk ends there). The frame ends 16-byte aligned,
     * so that after the `ret` the stack pointer is what a called function expects. */
    memset(top, 0, 4 * sizeof *top);
#ifdef __x86_64__
    void **frame = top + 1 - frame_words; /* top[0] holds the pc, top[1] the 0: at entry sp % 16 == 8 */
#else
    void **frame = top - frame_words;
#endif
    memset(frame, 0, frame_words * sizeof *frame);
    frame[frame_pc] = (void *)first_frame;
    f->sp = frame;
}
#endif

static Fiber *create() {
    Fiber *f = new Fiber();
    f->size = stack_bytes;
    void *m = mmap(nullptr, page + f->size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        fprintf(stderr, "emu: no memory for the stack of a thread\n");
        abort();
    }
    mprotect(m, page, PROT_NONE); /* an overflow faults instead of running into the next stack */
    f->stack = (char *)m + page;
    all.push_back(f);
    prepare(f, all.size());
    return f;
}

Fiber *fiber_take(void (*body)()) {
    Fiber *f;
    if (idle.empty())
        f = create();
    else
        f = idle.back(), idle.pop_back();
    f->body = body;
    return f;
}

void fiber_switch(Fiber *to) {
    Fiber *from = current_fiber ? current_fiber : &host, *target = to ? to : &host;
    if (from == &host) find_host_stack();
    current_fiber = to;
    now.stack_lo = target->stack, now.stack_hi = target->stack + target->size;
    annotate_start(from, target);
    swap(from, target);
    annotate_finish(from->fake_stack);
}

void fiber_park(Fiber *to) {
    idle.push_back(current_fiber);
    fiber_switch(to);
}

void fiber_wipe_all() {
    idle.clear();
    for (size_t i = all.size(); i-- > 0;) {
        annotate_wiped(all[i]);
        prepare(all[i], i + 1);
        idle.push_back(all[i]);
    }
}

} // namespace emu
