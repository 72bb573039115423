/* What the ways of computing a convolution share. cpu/conv2d.c chooses one by shape. */
#ifndef MIEN_CPU_CONV2D_H
#define MIEN_CPU_CONV2D_H
#include "cpu/kernel.h"
#include "autograd/window.h"

/* One convolution, forward or backward. dx, dw, db are NULL where no gradient is wanted; add_* say that it is
 * added to what is there. scratch holds what the path asked for, 64-byte aligned, contents undefined. */
typedef struct conv2d_job {
    mn__window g;
    int threads;
    const REAL *x, *w, *b, *dy;
    const mn_node *norm; /* not NULL: x is what this pending batch norm reads; wanted is its result (cpu/line.h) */
    REAL *y, *dx, *dw, *db, *scratch;
    bool add_dx, add_dw, add_db;
} conv2d_job;

/* A way of computing: which shapes it takes, how many numbers of scratch it needs (for the pass whose pointers
 * are set in the job), and the passes. `backward` writes dx and dw; db is conv2d.c's. */
typedef struct conv2d_path {
    bool (*fits)(const mn__window *g);
    int64_t (*scratch)(const conv2d_job *j);
    void (*forward)(const conv2d_job *j);
    void (*backward)(const conv2d_job *j);
    bool (*through)(const mn__window *g); /* does it take a pending x? NULL: never */
} conv2d_path;
extern const conv2d_path LOCAL(conv2d_im2col), LOCAL(conv2d_depthwise), LOCAL(conv2d_depthwise_flat),
    LOCAL(conv2d_winograd), LOCAL(conv2d_winograd_wide), LOCAL(conv2d_direct), LOCAL(conv2d_pointwise);

/* Chunk t of `size` things over `chunks`: [*from, *to). The same split in every run. */
static inline void chunk_of(int64_t size, int chunks, int t, int64_t *from, int64_t *to) {
    *from = size * t / chunks;
    *to = size * (t + 1) / chunks;
}

static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
/* Rounds a number of elements up, so that what follows it in scratch starts a cache line of its own. */
static inline int64_t padded(int64_t count) { return (count + 15) / 16 * 16; }

/* to[i] (+)= sum over t of part[t*stride + i], in order of t: one result whatever thread was first. */
static inline void sum_parts(REAL *to, bool add, const REAL *part, int64_t stride, int parts, int64_t count, int threads) {
#pragma omp parallel for num_threads(threads) if (count > MN__PARALLEL_MIN)
    for (int64_t from = 0; from < count; from += 1024) {
        int64_t to_end = from + 1024 < count ? from + 1024 : count;
        for (int t = 0; t < parts; t++) {
            const REAL *p = part + t * stride;
            if (t == 0 && !add) memcpy(to + from, p + from, (size_t)(to_end - from) * sizeof *to);
            else
                for (int64_t i = from; i < to_end; i++) to[i] += p[i];
        }
    }
}
#endif
