/* The CPU as a device: plain memory. Big blocks ask for huge pages, which saves page faults and TLB misses. */
#include "tensor/internal.h"
#include <string.h>
#include <sys/mman.h>

static mn_status cpu_open(void **state, mn_error *err) {
    (void)err;
    *state = NULL;
    return MN_OK;
}
static void cpu_close(void *state) { (void)state; }
static void *cpu_alloc(void *state, size_t bytes) {
    (void)state;
    void *p = mn_alloc(bytes);
#ifdef MADV_HUGEPAGE
    if (p && bytes >= ((size_t)4 << 20)) madvise(p, bytes & ~(((size_t)2 << 20) - 1), MADV_HUGEPAGE);
#endif
    return p;
}
static void cpu_release(void *state, void *p) {
    (void)state;
    mn_free(p);
}
static mn_status cpu_copy(void *state, void *to, const void *from, size_t bytes, mn_error *err) {
    (void)state, (void)err;
    memmove(to, from, bytes);
    return MN_OK;
}
static mn_status cpu_zero(void *state, void *p, size_t bytes, mn_error *err) {
    (void)state, (void)err;
    memset(p, 0, bytes);
    return MN_OK;
}
static mn_status cpu_synchronize(void *state, mn_error *err) {
    (void)state, (void)err;
    return MN_OK;
}

const mn__device mn__device_cpu = {
    .name = "CPU", .open = cpu_open, .close = cpu_close, .alloc = cpu_alloc, .release = cpu_release,
    .upload = cpu_copy, .download = cpu_copy, .copy = cpu_copy, .zero = cpu_zero, .synchronize = cpu_synchronize,
};
