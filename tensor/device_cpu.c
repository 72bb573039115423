/* The CPU as a device: plain memory. Big blocks ask for huge pages, which saves page faults and TLB misses. */
#include "autograd/internal.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

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
static mn_status cpu_fill(void *state, void *p, const void *value, size_t size, int64_t count, mn_error *err) {
    (void)state, (void)err;
    for (int64_t i = 0; i < count; i++) memcpy((char *)p + (size_t)i * size, value, size);
    return MN_OK;
}
static mn_status cpu_synchronize(void *state, mn_error *err) {
    (void)state, (void)err;
    return MN_OK;
}

/* The processor's name, as Linux on x86 knows it; else the machine's kind. */
static void cpu_name(char *out, size_t size) {
    char line[256];
    struct utsname u;
    snprintf(out, size, "%s", uname(&u) == 0 ? u.machine : "CPU");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
        if (!colon || strlen(colon) < 3) continue;
        snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

static int cpu_list(mn_device_info *out, int most) {
    if (most < 1) return 0;
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    long page = sysconf(_SC_PAGESIZE), all = sysconf(_SC_PHYS_PAGES), unused = sysconf(_SC_AVPHYS_PAGES);
    *out = (mn_device_info){.device = MN_CPU,
                            .usable = true,
                            .memory = all > 0 ? (size_t)all * (size_t)page : 0,
                            .memory_free = unused > 0 ? (size_t)unused * (size_t)page : 0};
    cpu_name(out->name, sizeof out->name);
    snprintf(out->detail, sizeof out->detail, "%d processor%s, %s kernels", n, n == 1 ? "" : "s", mn__kernels_for(MN_CPU)->name);
    return 1;
}

const mn__device mn__device_cpu = {
    .name = "CPU",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .upload = cpu_copy,
    .download = cpu_copy,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .fill = cpu_fill,
    .synchronize = cpu_synchronize,
    .list = cpu_list,
};
