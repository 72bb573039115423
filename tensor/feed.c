/* Batches for the device, two in turn: while it computes on one, the other is copied beside it. The device's own copying
 * is a mn__feeder (cuda/feed.cu); where there is none, as on the CPU, a batch is copied when it is put. */
#include "tensor/internal.h"
#include <string.h>

enum { MOST_PARTS = 64 };

struct mn_feed {
    mn_feed *next;
    mn_context *ctx;
    mn_feed_part *part;
    size_t *offset; /* of each part in a batch's memory */
    int n_parts, turn;
    int64_t most, count; /* samples: at most; in the batch that was put last */
    size_t bytes;        /* of a batch */
    char *memory[2];     /* the device's */
    void *lane;          /* of the device's feeder, or NULL */
};

static mn_dtype dtype_of(const mn_feed *f, int i) { return f->part[i].dtype == MN_F32 ? f->ctx->dtype : f->part[i].dtype; }

/* Where the parts of a batch lie: each at a multiple of 64 bytes. */
static mn_status lay_out(mn_feed *f) {
    for (int i = 0; i < f->n_parts; i++) {
        const mn_feed_part *p = &f->part[i];
        int64_t each = mn_shape_count(p->each);
        size_t size = mn_dtype_size(dtype_of(f, i));
        if ((p->dtype != MN_F32 && p->dtype != MN_I32) || p->each.ndim >= MN_MAX_DIMS || each < 0 ||
            (each && f->most > INT64_MAX / 64 / each))
            return MN__FAIL(f->ctx, MN_ERR_ARG, "feed: part %d is %s with %d dimensions; wanted f32 or i32, and fewer than %d", i,
                            mn_dtype_name(p->dtype), p->each.ndim, MN_MAX_DIMS);
        f->offset[i] = f->bytes;
        f->bytes += ((size_t)(f->most * each) * size + 63) / 64 * 64;
    }
    return MN_OK;
}

static mn_status reserve(mn_feed *f) {
    mn_context *c = f->ctx;
    const mn__feeder *device = c->device->feeder;
    for (int k = 0; k < (device ? 2 : 1); k++)
        if (!(f->memory[k] = mn__device_memory(c, MN_MODEL, f->bytes))) return c->error.status;
    return device && !(f->lane = device->open(c->device_state, f->bytes, &c->error)) ? c->error.status : MN_OK;
}

mn_feed *mn_feed_create(mn_context *c, const mn_feed_part *part, int n, int64_t most) {
    if (c->error.status) return NULL;
    if (n < 1 || n > MOST_PARTS || most < 1)
        return MN__FAIL(c, MN_ERR_ARG, "feed: %d parts of %lld samples; wanted 1 to %d parts and at least one sample", n,
                        (long long)most, MOST_PARTS),
               NULL;
    mn_feed *f = mn__host(c, MN_MODEL, sizeof *f);
    if (!f) return NULL;
    *f = (mn_feed){.ctx = c, .n_parts = n, .most = most};
    f->part = mn__host(c, MN_MODEL, (size_t)n * sizeof *f->part);
    f->offset = mn__host(c, MN_MODEL, (size_t)n * sizeof *f->offset);
    if (!f->part || !f->offset) return NULL;
    memcpy(f->part, part, (size_t)n * sizeof *part);
    if (lay_out(f) || reserve(f)) return NULL;
    f->next = c->feeds;
    return c->feeds = f;
}

void mn__feeds_close(mn_context *c) {
    for (mn_feed *f = c->feeds; f; f = f->next)
        if (f->lane) c->device->feeder->close(c->device_state, f->lane);
    c->feeds = NULL;
}

static void copy_part(const mn_feed *f, int i, const void *host, char *to) {
    int64_t count = f->count * mn_shape_count(f->part[i].each);
    if (f->part[i].dtype == dtype_of(f, i)) {
        if (count) memcpy(to, host, (size_t)count * 4);
        return;
    }
    for (int64_t k = 0; k < count; k++) ((double *)(void *)to)[k] = ((const float *)host)[k];
}

mn_status mn_feed_put(mn_feed *f, int64_t n, const void *const *host) {
    if (!f) return MN_ERR_ARG;
    mn_context *c = f->ctx;
    const mn__feeder *device = c->device->feeder;
    if (c->error.status) return c->error.status;
    if (n < 1 || n > f->most)
        return MN__FAIL(c, MN_ERR_ARG, "feed: a batch of %lld; wanted 1 to %lld samples", (long long)n, (long long)f->most);
    f->count = n;
    if (device) f->turn ^= 1;
    char *to = device ? device->host(c->device_state, f->lane, f->turn, &c->error) : f->memory[0];
    if (!to) return c->error.status;
    for (int i = 0; i < f->n_parts; i++) copy_part(f, i, host[i], to + f->offset[i]);
    return device ? device->send(c->device_state, f->lane, f->turn, f->memory[f->turn], f->bytes, &c->error) : MN_OK;
}

mn_tensor *mn_feed_tensor(mn_feed *f, int i) {
    if (!f || f->ctx->error.status) return NULL;
    if (i < 0 || i >= f->n_parts || !f->count)
        return MN__FAIL(f->ctx, MN_ERR_ARG, "feed: part %d of %d of %s", i, f->n_parts,
                        f->count ? "a batch" : "no batch; hint: call mn_feed_put first"),
               NULL;
    mn_shape shape = {.ndim = f->part[i].each.ndim + 1, .dim = {f->count}};
    memcpy(shape.dim + 1, f->part[i].each.dim, (size_t)f->part[i].each.ndim * sizeof *shape.dim);
    mn_tensor *t = mn__tensor_shell(f->ctx, MN_STEP, dtype_of(f, i), shape);
    if (t) t->data = f->memory[f->turn] + f->offset[i];
    return t;
}

int64_t mn__feed_count(const mn_feed *f) { return f->count; }
int mn__feed_turn(const mn_feed *f) { return f->turn; }
