/* Device memory: one reserved range of addresses. Each buffer ends, to 16 bytes, at a page that is not
 * mapped, is born full of NaN, and its addresses are never used again: a stray access or a late one faults.
 */
#include "cuda/emu/internal.h"
#include <algorithm>
#include <map>
#include <sys/mman.h>
#include <vector>

namespace emu {

constexpr size_t reserved = (size_t)64 << 30;
char *heap_lo, *heap_hi;
static size_t used_addresses, live_bytes;
/* Never destroyed, as the leak report and destructors of the program look into them when the process ends. */
static auto &buffers = *new std::vector<Buffer>;           /* all that ever were, by address */
static auto &pinned = *new std::map<const char *, size_t>; /* host memory of cudaMallocHost */

static size_t body_of(size_t n) { return (std::max(n, (size_t)1) + 15) & ~(size_t)15; }
static size_t pages_of(size_t n) { return (body_of(n) + page - 1) / page * page; }

static bool reserve() {
    if (heap_lo) return true;
    void *m = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) return false;
    heap_lo = (char *)m, heap_hi = heap_lo + reserved;
    return true;
}

const Buffer *buffer_near(const void *p) {
    static size_t last;
    if (last < buffers.size() && p >= buffers[last].base && p < buffers[last].base + buffers[last].size)
        return &buffers[last];
    /* A buffer owns the pages it lies in, the gap in front of it, and the unmapped page behind it. */
    auto after =
        std::upper_bound(buffers.begin(), buffers.end(), (const char *)p, [](const char *a, const Buffer &c) {
            return a < (char *)((uintptr_t)c.base & ~(page - 1));
        });
    if (after == buffers.begin()) return nullptr;
    last = (size_t)(after - buffers.begin()) - 1;
    return &buffers[last];
}

static cudaError_t allocate(void **p, size_t n) {
    size_t pages = pages_of(n);
    if (n > options.memory || live_bytes + pages > options.memory) return cudaErrorMemoryAllocation;
    if (!reserve() || used_addresses + pages + page > reserved) return cudaErrorMemoryAllocation;
    char *lo = heap_lo + used_addresses, *base = lo + pages - body_of(n);
    if (mprotect(lo, pages, PROT_READ | PROT_WRITE)) return cudaErrorMemoryAllocation;
    memset(base, 0xff, body_of(n));
    buffers.push_back({base, n, true});
    used_addresses += pages + page;
    live_bytes += pages;
    check_mark_fresh(base, body_of(n));
    *p = base;
    return cudaSuccess;
}

static Buffer *buffer_at(void *p) {
    const Buffer *f = on_device(p) ? buffer_near(p) : nullptr;
    return f && f->base == p && f->live ? const_cast<Buffer *>(f) : nullptr;
}

static void release(Buffer *f) {
    char *lo = (char *)((uintptr_t)f->base & ~(page - 1));
    madvise(lo, pages_of(f->size), MADV_DONTNEED);
    mprotect(lo, pages_of(f->size), PROT_NONE);
    live_bytes -= pages_of(f->size);
    f->live = false;
}

void memory_show(bool show) {
    if (!show && used_addresses) mprotect(heap_lo, used_addresses, PROT_NONE);
    for (const Buffer &f : buffers)
        if (show && f.live) mprotect((char *)((uintptr_t)f.base & ~(page - 1)), pages_of(f.size), PROT_READ | PROT_WRITE);
}

bool is_pinned(const void *p) {
    auto after = pinned.upper_bound((const char *)p);
    if (after == pinned.begin()) return false;
    --after;
    return (const char *)p < after->first + after->second;
}

void memory_report_leaks() {
    size_t count = 0, bytes = 0;
    for (const Buffer &f : buffers)
        if (f.live) count++, bytes += f.size;
    char text[120];
    snprintf(text, sizeof text, "%zu buffers with %zu bytes, %zu pinned", count, bytes, pinned.size());
    if (count || !pinned.empty()) fault("device memory never freed", text, {nullptr, 0});
}

} // namespace emu

using namespace emu;

cudaError_t emu_malloc(void **p, size_t n) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    *p = nullptr;
    if (cudaError_t e = capture_forbids_allocation()) return e;
    return n ? fail(allocate(p, n)) : cudaSuccess;
}
cudaError_t cudaFree(void *p) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (!p) return cudaSuccess;
    Buffer *f = buffer_at(p);
    if (!f) return fail(cudaErrorInvalidValue);
    cudaError_t e = cudaDeviceSynchronize();
    release(f);
    return e;
}
cudaError_t emu_malloc_host(void **p, size_t n) {
    Lock lock(api_lock());
    *p = nullptr;
    if (cudaError_t e = stuck()) return fail(e);
    if (!n) return cudaSuccess;
    if (n > (size_t)1 << 40 || !(*p = aligned_alloc(page, (n + page - 1) / page * page)))
        return fail(cudaErrorMemoryAllocation);
    pinned[(char *)*p] = n;
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void *p) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (!p) return cudaSuccess;
    if (!pinned.count((char *)p)) return fail(cudaErrorInvalidValue);
    cudaError_t e = cudaDeviceSynchronize();
    pinned.erase((char *)p);
    free(p);
    return e;
}
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    *total = options.memory, *free_bytes = options.memory - live_bytes;
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    *a = {cudaMemoryTypeUnregistered, -2, nullptr, const_cast<void *>(p)};
    if (is_pinned(p)) *a = {cudaMemoryTypeHost, 0, const_cast<void *>(p), const_cast<void *>(p)};
    if (on_device(p)) *a = {cudaMemoryTypeDevice, 0, const_cast<void *>(p), nullptr};
    return cudaSuccess;
}
cudaError_t cudaDeviceReset() {
    Lock lock(api_lock());
    cudaError_t e = cudaDeviceSynchronize();
    for (Buffer &f : buffers)
        if (f.live) release(&f);
    return e;
}
void emu_forbid(void *p, size_t n) { check_mark_forbidden(p, n); }
void emu_allow(void *p, size_t n) {
    Lock lock(api_lock());
    memset(p, 0xff, n);
    check_mark_fresh(p, n);
}
