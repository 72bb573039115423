/* Planned memory: arenas, the gradient buffers of a step, the workspace. */
#include "tensor/internal.h"
#include <string.h>

#define ALIGN 64u

static void *raw_alloc(mn__arena *a, size_t bytes) { return a->device ? a->device->alloc(a->state, bytes) : mn_alloc(bytes); }
static void raw_release(mn__arena *a, void *p) {
    if (a->device)
        a->device->release(a->state, p);
    else
        mn_free(p);
}

static mn__block *add_block(mn__arena *a, size_t bytes) {
    size_t size = bytes > a->block_bytes ? bytes : a->block_bytes;
    mn__block *b = mn_alloc_zero(1, sizeof *b);
    if (!b) return NULL;
    b->base = raw_alloc(a, size);
    if (!b->base) {
        mn_free(b);
        return NULL;
    }
    b->size = size;
    b->next = a->head;
    a->head = b;
    a->reserved += size;
    return b;
}

static void drop_blocks(mn__arena *a) {
    while (a->head) {
        mn__block *b = a->head;
        a->head = b->next;
        raw_release(a, b->base);
        mn_free(b);
    }
    a->reserved = 0;
}

void *mn__arena_alloc(mn__arena *a, size_t bytes) {
    if (bytes > SIZE_MAX - ALIGN) return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    mn__block *b = a->head;
    if (!b || b->size - b->used < bytes) b = add_block(a, bytes);
    if (!b) return NULL;
    void *p = b->base + b->used;
    b->used += bytes;
    a->used += bytes;
    if (a->used > a->peak) a->peak = a->used;
    return p;
}

bool mn__arena_rewind(mn__arena *a) {
    a->used = 0;
    if (a->head && a->head->next) {
        size_t total = a->reserved;
        drop_blocks(a);
        if (!add_block(a, total)) return false;
    }
    if (a->head) a->head->used = 0;
    return true;
}

void mn__arena_destroy(mn__arena *a) {
    drop_blocks(a);
    a->used = a->peak = 0;
}

/* ---- what a context hands out ---- */

static bool within_limit(mn_context *c, size_t bytes) {
    if (!c->memory_limit) return true;
    size_t held = c->model.used + c->step_data.used + c->workspace_bytes + c->side_bytes;
    if (bytes <= c->memory_limit && held <= c->memory_limit - bytes) return true;
    MN__FAIL(c, MN_ERR_MEMORY,
             "%zu MB more are needed but the memory limit is %zu MB and %zu MB are in use; "
             "hint: a smaller batch or a higher limit",
             bytes >> 20, c->memory_limit >> 20, held >> 20);
    return false;
}

void *mn__host(mn_context *c, mn_lifetime life, size_t bytes) {
    void *p = mn__arena_alloc(life == MN_MODEL ? &c->model_host : &c->step_host, bytes);
    if (p)
        memset(p, 0, bytes);
    else
        MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for %zu bytes", bytes);
    return p;
}

void *mn__device_memory(mn_context *c, mn_lifetime life, size_t bytes) {
    if (!within_limit(c, bytes)) return NULL;
    void *p = mn__arena_alloc(life == MN_MODEL ? &c->model : &c->step_data, bytes);
    if (!p)
        MN__FAIL(c, MN_ERR_MEMORY, "out of %s memory for %zu MB; hint: a smaller batch or a smaller network", c->device->name,
                 (bytes >> 20) + 1);
    return p;
}

mn_status mn__branches_wait(mn_context *c, int branch) {
    if (branch <= c->waited_for) return MN_OK;
    c->waited_for = branch;
    return c->device->recorder->wait(c->device_state, branch, &c->error);
}

/* The smallest that fits, of those that no branch after this one reads. */
static mn__buffer *free_buffer(const mn_context *c, size_t bytes, int branch) {
    mn__buffer *best = NULL;
    for (mn__buffer *b = c->buffers; b; b = b->next)
        if (!b->busy && b->reader <= branch && b->size >= bytes && (!best || b->size < best->size)) best = b;
    return best;
}

void *mn__buffer_take(mn_context *c, size_t bytes) {
    mn__buffer *best = free_buffer(c, bytes, c->waited_for);
    if (!best && (best = free_buffer(c, bytes, c->branches - MN__LAG)) && mn__branches_wait(c, best->reader)) return NULL;
    if (!best) {
        best = mn__host(c, MN_STEP, sizeof *best);
        void *p = best ? mn__device_memory(c, MN_STEP, bytes) : NULL;
        if (!p) return NULL;
        *best = (mn__buffer){.next = c->buffers, .p = p, .size = bytes};
        c->buffers = best;
    }
    best->busy = true;
    return best->p;
}

void mn__buffer_give(mn_context *c, void *p) {
    for (mn__buffer *b = c->buffers; b; b = b->next)
        if (b->p == p) b->busy = false, b->reader = c->branched ? c->branches : 0;
}

void *mn__workspace(mn_context *c, size_t bytes) {
    if (bytes > c->workspace_bytes) {
        if (!within_limit(c, bytes - c->workspace_bytes)) return NULL;
        mn__place_changed(c);
        if (c->workspace) c->device->release(c->device_state, c->workspace);
        c->workspace_bytes = 0;
        c->workspace = c->device->alloc(c->device_state, bytes);
        if (!c->workspace) {
            MN__FAIL(c, MN_ERR_MEMORY, "out of %s memory for a workspace of %zu MB; hint: a smaller batch", c->device->name,
                     (bytes >> 20) + 1);
            return NULL;
        }
        c->workspace_bytes = bytes;
    }
    return c->workspace;
}
