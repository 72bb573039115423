/* Groups of near copies: a data set around a data set that answers with other groups. */
#include "apps/near.h"
#include "apps/app.h"
#include "apps/progress.h"
#include <stdlib.h>
#include <string.h>

typedef struct grouped {
    mn_dataset set;
    const mn_dataset *of;
    uint64_t *group;
} grouped;

static mn_status grouped_info(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err) {
    const grouped *g = d->impl;
    mn_status s = g->of->info(g->of, i, info, err);
    if (!s) info->group = g->group[i];
    return s;
}

static mn_status grouped_pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    const grouped *g = d->impl;
    return g->of->pixels(g->of, i, im, err);
}

static void grouped_destroy(mn_dataset *d) {
    grouped *g = d->impl;
    free(g->group);
    free(g);
}

/* ---- sets of rows that belong together ---- */

/* up[i]: a row of i's set, nearer to its root; the root's is itself. */
static int64_t root(int64_t *up, int64_t i) {
    while (up[i] != i) i = up[i] = up[up[i]];
    return i;
}

typedef struct pairs {
    const int64_t *row; /* of the data set, by place in the looks */
    int64_t *up;
} pairs;

static void join(void *user, int64_t a, int64_t b, bool mirrored, double likeness) {
    pairs *p = user;
    (void)mirrored, (void)likeness;
    p->up[root(p->up, p->row[b])] = root(p->up, p->row[a]);
}

typedef struct keyed {
    uint64_t key;
    int64_t at;
} keyed;

static int by_key(const void *pa, const void *pb) {
    const keyed *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Rows of one group, and pictures that are the same to the pixel, are one set; first[0..]: a picture of each that is not blank.
 */
static int64_t join_identical(const mn_look *look, int64_t n, keyed *k, pairs *p, int64_t *first) {
    int64_t distinct = 0;
    for (int64_t i = 0; i < n; i++) k[i] = (keyed){look[i].exact, i};
    qsort(k, (size_t)n, sizeof *k, by_key);
    for (int64_t i = 0; i < n; i++) {
        if (look[k[i].at].deviation < 1) continue;
        if (i && k[i].key == k[i - 1].key)
            join(p, k[i - 1].at, k[i].at, false, 1);
        else
            first[distinct++] = k[i].at;
    }
    return distinct;
}

static mn_status read_groups(grouped *g, pairs *p, keyed *k, int64_t *row, int64_t *n, mn_error *err) {
    const mn_dataset *d = g->of;
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info info;
        mn_status s = d->info(d, i, &info, err);
        if (s) return s;
        g->group[i] = info.group, p->up[i] = i;
        k[i] = (keyed){info.group, i};
        if (info.split != MN_SPLIT_TEST) row[(*n)++] = i;
    }
    qsort(k, (size_t)d->length, sizeof *k, by_key);
    for (int64_t i = 1; i < d->length; i++)
        if (k[i].key == k[i - 1].key) p->up[k[i].at] = k[i - 1].at;
    return MN_OK;
}

static mn_status join_near(const mn_dataset *d, const int64_t *row, int64_t n, int threads, keyed *k, pairs *p, mn_error *err) {
    progress bar = {0};
    mn_open_opt opt = {.threads = threads, .progress = progress_data, .user = &bar};
    mn_dataset *seen = mn_dataset_subset(d, row, n, err);
    mn_look *look = app_alloc((size_t)n, sizeof *look);
    int64_t *first = app_alloc((size_t)n, sizeof *first);
    mn_status s = seen ? mn_dataset_looks(seen, look, &opt, err) : err->status;
    progress_end(&bar);
    if (!s) {
        int64_t distinct = join_identical(look, n, k, p, first);
        s = mn_looks_alike(look, first, distinct, NEAR_DISTANCE, NEAR_LIKENESS, join, p, err);
    }
    mn_dataset_destroy(seen);
    free(look);
    free(first);
    return s;
}

/* A set's group is the smallest of its rows': it does not depend on the order of files. */
static int64_t name_sets(grouped *g, pairs *p, uint64_t *least) {
    int64_t joined = 0, n = g->of->length;
    for (int64_t i = 0; i < n; i++) least[i] = UINT64_MAX;
    for (int64_t i = 0; i < n; i++) {
        int64_t r = root(p->up, i);
        if (g->group[i] < least[r]) least[r] = g->group[i];
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t now = least[root(p->up, i)];
        joined += now != g->group[i];
        g->group[i] = now;
    }
    return joined;
}

mn_dataset *near_grouped(const mn_dataset *d, int threads, int64_t *joined, mn_error *err) {
    size_t n = (size_t)d->length;
    grouped *g = app_alloc(1, sizeof *g);
    int64_t *row = app_alloc(n, sizeof *row), looked_at = 0;
    keyed *k = app_alloc(n, sizeof *k);
    uint64_t *least = app_alloc(n, sizeof *least);
    pairs p = {.row = row, .up = app_alloc(n, sizeof *p.up)};
    g->set = *d, g->of = d, g->group = app_alloc(n, sizeof *g->group);
    g->set.info = grouped_info, g->set.pixels = grouped_pixels, g->set.destroy = grouped_destroy, g->set.impl = g;
    mn_status s = read_groups(g, &p, k, row, &looked_at, err);
    if (!s) s = join_near(d, row, looked_at, threads, k, &p, err);
    if (!s) *joined = name_sets(g, &p, least);
    free(row);
    free(k);
    free(least);
    free(p.up);
    if (!s) return &g->set;
    grouped_destroy(&g->set);
    return NULL;
}
