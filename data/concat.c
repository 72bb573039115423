/* Several data sets as one. A head is recognised by its name; the class list is that of the first part
 * that has it, and the classes of later parts are found in it by name, in whatever order they stand. */
#include "data/internal.h"
#include <string.h>

typedef struct part {
    mn_dataset *d;
    int64_t first;              /* index of its first sample in the whole */
    int head[MN_MAX_HEADS];     /* its head h is the whole's head[h] */
    int32_t *map[MN_MAX_HEADS]; /* its class k is the whole's class map[h][k]; NULL: the same */
    int trait[MN_MAX_TRAITS];   /* its trait k is the whole's trait[k]; -1: left out */
} part;

typedef struct concat {
    mn_dataset set;
    int n;
    part *part;
} concat;

/* The part that holds sample i: the last that begins at or before it. */
static const part *find(const concat *c, int64_t i) {
    int lo = 0, hi = c->n - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (c->part[mid].first <= i)
            lo = mid;
        else
            hi = mid - 1;
    }
    return &c->part[lo];
}

static mn_status info(const mn_dataset *d, int64_t i, mn_sample_info *out, mn_error *err) {
    mn_status s = mn__bounds(d, i, err);
    if (s) return s;
    const part *p = find(d->impl, i);
    mn_sample_info in;
    if ((s = p->d->info(p->d, i - p->first, &in, err))) return s;
    *out = in;
    for (int h = 0; h < MN_MAX_HEADS; h++) out->label[h] = -1, out->soft[h] = NULL;
    for (int h = 0; h < p->d->n_heads; h++) {
        int32_t label = in.label[h];
        out->label[p->head[h]] = label >= 0 && p->map[h] ? p->map[h][label] : label;
        out->soft[p->head[h]] = in.soft[h];
    }
    for (int k = 0; k < MN_MAX_TRAITS; k++) out->trait[k] = NULL;
    for (int k = 0; k < p->d->n_traits; k++)
        if (p->trait[k] >= 0) out->trait[p->trait[k]] = in.trait[k];
    return MN_OK;
}

static mn_status pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    mn_status s = mn__bounds(d, i, err);
    if (s) return s;
    const part *p = find(d->impl, i);
    return p->d->pixels(p->d, i - p->first, im, err);
}

static void destroy(mn_dataset *d) {
    concat *c = d->impl;
    for (int k = 0; k < c->n; k++) {
        for (int h = 0; h < MN_MAX_HEADS; h++) mn_free(c->part[k].map[h]);
        mn_dataset_destroy(c->part[k].d);
    }
    mn_free(c->part);
    mn_free(c);
}

static int class_of(const mn_head *h, const char *name) {
    for (int k = 0; k < h->n_classes; k++)
        if (!strcmp(h->class_name[k], name)) return k;
    return -1;
}

/* Probabilities cannot be reordered in place, so parts that have some must agree to the letter. */
static mn_status refuse_soft(const mn_dataset *d, int head, mn_error *err) {
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        mn_status st = d->info(d, i, &s, err);
        if (st) return st;
        if (s.soft[head])
            return mn_fail(err, MN_ERR_SHAPE, "%s: has class probabilities for %s, but its classes stand in another order",
                           d->name, d->head[head].name);
    }
    return MN_OK;
}

static mn_status match_head(concat *c, part *p, int h, mn_error *err) {
    const mn_head *in = &p->d->head[h];
    int to = 0;
    while (to < c->set.n_heads && strcmp(c->set.head[to].name, in->name)) to++;
    p->head[h] = to;
    if (to == MN_MAX_HEADS)
        return mn_fail(err, MN_ERR_SHAPE, "%s: together the data sets have more than %d heads", p->d->name, MN_MAX_HEADS);
    if (to == c->set.n_heads) {
        c->set.head[c->set.n_heads++] = *in; /* names stay the part's */
        return MN_OK;
    }
    const mn_head *out = &c->set.head[to];
    int32_t *map = mn_alloc((size_t)in->n_classes * sizeof *map);
    if (!map) return mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", p->d->name);
    p->map[h] = map;
    bool same = in->n_classes == out->n_classes;
    for (int k = 0; k < in->n_classes; k++) {
        map[k] = class_of(out, in->class_name[k]);
        if (map[k] < 0)
            return mn_fail(err, MN_ERR_SHAPE,
                           "%s: its %s \"%s\" is not among the %d classes of %s (\"%s\", ...); hint: name "
                           "them alike, or "
                           "give the data set with all classes first",
                           p->d->name, in->name, in->class_name[k], out->n_classes, c->part[0].d->name, out->class_name[0]);
        same = same && map[k] == k;
    }
    if (!same) return refuse_soft(p->d, h, err);
    mn_free(map);
    p->map[h] = NULL;
    return MN_OK;
}

/* Traits of the same name are one; more than there is room for are left out. */
static void match_traits(concat *c, part *p) {
    for (int k = 0; k < p->d->n_traits; k++) {
        int to = 0;
        while (to < c->set.n_traits && strcmp(c->set.trait_name[to], p->d->trait_name[k])) to++;
        p->trait[k] = to < MN_MAX_TRAITS ? to : -1;
        if (to < c->set.n_traits || to == MN_MAX_TRAITS) continue;
        memcpy(c->set.trait_name[to], p->d->trait_name[k], sizeof c->set.trait_name[to]);
        c->set.n_traits++;
    }
}

mn_dataset *mn_dataset_concat(mn_dataset **parts, int n, mn_error *err) {
    concat *c = mn_alloc_zero(1, sizeof *c);
    part *list = mn_alloc_zero(n > 0 ? (size_t)n : 1, sizeof *list);
    if (n < 1 || !c || !list) {
        if (n < 1)
            mn_fail(err, MN_ERR_ARG, "concat: no data sets given");
        else
            mn_fail(err, MN_ERR_MEMORY, "concat: out of memory");
        for (int k = 0; k < n; k++) mn_dataset_destroy(parts[k]);
        mn_free(c);
        mn_free(list);
        return NULL;
    }
    c->set.info = info, c->set.pixels = pixels, c->set.destroy = destroy, c->set.impl = c;
    c->n = n, c->part = list;
    mn_status s = MN_OK;
    for (int k = 0; k < n; k++) list[k].d = parts[k];
    for (int k = 0; k < n && !s; k++) {
        size_t used = strlen(c->set.name);
        snprintf(c->set.name + used, sizeof c->set.name - used, "%s%s", k ? " + " : "", parts[k]->name);
        list[k].first = c->set.length;
        c->set.length += parts[k]->length;
        match_traits(c, &list[k]);
        if (k && parts[k]->steps != parts[0]->steps)
            s = mn_fail(err, MN_ERR_SHAPE,
                        "%s and %s cannot be joined: clips of different length go with clips of the same frames=", parts[0]->name,
                        parts[k]->name);
        c->set.steps = parts[0]->steps;
        for (int h = 0; h < parts[k]->n_heads && !s; h++) s = match_head(c, &list[k], h, err);
    }
    if (!s) return &c->set;
    destroy(&c->set);
    return NULL;
}
