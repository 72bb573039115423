/* Host memory: one place where all of it comes from, so that a test can count it and make it fail. */
#include "tensor/tensor.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void *default_alloc(size_t bytes, size_t align, void *user) {
    (void)user;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}
static void default_release(void *p, void *user) {
    (void)user;
    free(p);
}

static mn_allocator current = {default_alloc, default_release, NULL};
static atomic_llong allocations;

void mn_set_allocator(const mn_allocator *a) { current = a ? *a : (mn_allocator){default_alloc, default_release, NULL}; }

int64_t mn_allocation_count(void) { return (int64_t)atomic_load(&allocations); }

void *mn_alloc(size_t bytes) {
    /* 64 bytes: a cache line and the widest vector. Big blocks start on a huge page. */
    size_t align = bytes >= ((size_t)4 << 20) ? (size_t)2 << 20 : 64;
    if (bytes == 0) bytes = 1;
    if (bytes > SIZE_MAX - align) return NULL;
    atomic_fetch_add(&allocations, 1);
    return current.alloc(bytes, align, current.user);
}

void *mn_alloc_zero(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return NULL;
    void *p = mn_alloc(count * size);
    if (p) memset(p, 0, count * size);
    return p;
}

void *mn_realloc(void *p, size_t old_bytes, size_t new_bytes) {
    void *q = mn_alloc(new_bytes);
    if (!q) return NULL; /* p stays valid, as with realloc */
    if (p) {
        memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
        mn_free(p);
    }
    return q;
}

char *mn_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *p = mn_alloc(n);
    if (p) memcpy(p, s, n);
    return p;
}

void mn_free(void *p) {
    if (p) current.release(p, current.user);
}
