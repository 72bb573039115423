/* An allocator whose n-th allocation fails, and the test that every one of them is survived. */
#include "tests/tests.h"
#include <stdatomic.h>

static atomic_llong countdown, live_blocks;
static atomic_bool failed;

static void *counting_alloc(size_t bytes, size_t align, void *user) {
    (void)user;
    if (atomic_fetch_sub(&countdown, 1) == 1) {
        atomic_store(&failed, true);
        return NULL;
    }
    void *p = aligned_alloc(align, (bytes + align - 1) / align * align);
    if (p) atomic_fetch_add(&live_blocks, 1);
    return p;
}
static void counting_release(void *p, void *user) {
    (void)user;
    atomic_fetch_sub(&live_blocks, 1);
    free(p);
}

void test_fail_allocation(int64_t n) {
    static const mn_allocator counting = {counting_alloc, counting_release, NULL};
    atomic_store(&countdown, n);
    atomic_store(&live_blocks, 0);
    atomic_store(&failed, false);
    mn_set_allocator(&counting);
}

bool test_allocations_end(int64_t *live) {
    mn_set_allocator(NULL);
    *live = atomic_load(&live_blocks);
    return atomic_load(&failed);
}

int test_every_allocation(mn_status (*body)(void *arg, mn_error *err), void *arg) {
    for (int n = 1; n < 20000; n++) {
        mn_error err = {0};
        int64_t live;
        test_fail_allocation(n);
        mn_status s = body(arg, &err);
        bool short_of_memory = test_allocations_end(&live);
        ck_assert_msg(s == (short_of_memory ? MN_ERR_MEMORY : MN_OK), "allocation %d: %s: %s", n, mn_status_name(s), err.text);
        ck_assert_msg(!short_of_memory || strlen(err.text) > 10, "allocation %d fails without a sentence", n);
        ck_assert_msg(live == 0, "allocation %d fails, and %lld blocks are never given back", n, (long long)live);
        if (!short_of_memory) return n - 1;
    }
    ck_abort_msg("20,000 allocations and no end");
    return 0;
}
