/* cp.async. A copy is carried out when it is waited for, never earlier, and until then its target holds NaN:
 * so a missing or wrong wait shows in the results of the plain build too. */
#include "cuda/emu/internal.h"
#include <vector>

namespace emu {

struct Copy {
    char *dst;
    const char *src;
    int bytes, valid;
    unsigned group; /* counted from 0 since the thread began */
    emu_site at;
};
struct Pending {
    std::vector<Copy> copies; /* in the order they were started */
    unsigned committed = 0;   /* groups closed so far */
};
static Pending pending[max_threads]; /* by thread of the block */

static void carry_out(const Copy &c) {
    check_copy_ended(c.dst, (size_t)c.bytes);
    check_access(c.dst, (size_t)c.bytes, Access::write, nullptr, c.at);
    memcpy(c.dst, c.src, (size_t)c.valid);
    memset(c.dst + c.valid, 0, (size_t)(c.bytes - c.valid));
}

static void start(char *dst, const char *src, int bytes, int valid, emu_site at) {
    char text[100];
    if (dst < now.shared_lo || dst >= now.shared_hi) {
        fault("cp.async to an address outside shared memory", "", at);
        return;
    }
    if (valid < 0 || valid > bytes) {
        snprintf(text, sizeof text, "%d bytes valid of %d", valid, bytes);
        fault("cp.async with a wrong size", text, at);
        valid = valid < 0 ? 0 : bytes;
    }
    if (((uintptr_t)dst | (uintptr_t)src) % (size_t)bytes) {
        snprintf(text, sizeof text, "cp.async of %d bytes from %p to %p", bytes, (const void *)src,
                 (void *)dst);
        fault("misaligned address", text, at);
    }
    if (valid) check_access(src, (size_t)valid, Access::read, nullptr, at);
    check_access(dst, (size_t)bytes, Access::write, nullptr, at);
    check_copy_started(dst, (size_t)bytes);
    memset(dst, 0xff, (size_t)bytes);
    Pending &p = pending[now.tid];
    p.copies.push_back({dst, src, bytes, valid, p.committed, at});
}

static void wait(unsigned left) {
    Pending &p = pending[now.tid];
    size_t n = 0;
    while (n < p.copies.size() && p.copies[n].group < p.committed && p.committed - p.copies[n].group > left)
        carry_out(p.copies[n++]);
    p.copies.erase(p.copies.begin(), p.copies.begin() + (long)n);
}

void copies_end_thread() {
    Pending &p = pending[now.tid];
    if (!p.copies.empty()) fault("cp.async that is never waited for", "", p.copies[0].at);
    p.copies.clear();
    p.committed = 0;
}

void copies_forget_all() {
    for (Pending &p : pending) p.copies.clear(), p.committed = 0;
}

} // namespace emu

void emu_cp_async(void *dst, const void *src, int bytes, int valid, emu_site at) {
    emu::start((char *)dst, (const char *)src, bytes, valid, at);
}
void emu_cp_async_commit() { emu::pending[emu::now.tid].committed++; }
void emu_cp_async_wait(int groups_left) { emu::wait((unsigned)groups_left); }
