/* Which samples train, which choose, which test.
 *
 * A *unit* is what may be moved: the samples of one group that are free to go to either side. Units are
 * carved out stratum by stratum (class by class) in an order that depends on the seed and the group alone,
 * so that adding pictures to a data set moves few of the others. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    uint64_t group;
    int64_t index;
    int32_t stratum; /* first head with a label, and the label; -1: no label at all */
    mn_split said, to;
} row;

typedef struct unit {
    uint64_t order;
    int64_t first, size; /* rows first.. of its group; how many of them are free */
    int32_t stratum;
    bool from_nothing; /* the files say nothing: test samples may be carved, too */
    mn_split to;
} unit;

static int by_group(const void *pa, const void *pb) {
    const row *a = pa, *b = pb;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}
static int by_stratum(const void *pa, const void *pb) {
    const unit *a = pa, *b = pb;
    if (a->from_nothing != b->from_nothing) return a->from_nothing - b->from_nothing;
    if (a->stratum != b->stratum) return a->stratum < b->stratum ? -1 : 1;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first);
}

static mn_status read_rows(const mn_dataset *d, row *r, bool has_valid[MN_MAX_HEADS + 1], mn_error *err) {
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        mn_status st = d->info(d, i, &s, err);
        if (st) return st;
        int h = 0;
        while (h < d->n_heads && s.label[h] < 0) h++;
        bool labelled = h < d->n_heads;
        r[i] = (row){
            .group = s.group, .index = i, .said = s.split, .to = s.split, .stratum = labelled ? h * 65536 + s.label[h] : -1};
        if (s.split == MN_SPLIT_VALID) has_valid[labelled ? h : MN_MAX_HEADS] = true;
    }
    return MN_OK;
}

static bool *valid_of(bool *has_valid, const row *r) { return &has_valid[r->stratum < 0 ? MN_MAX_HEADS : r->stratum / 65536]; }

/* Rows [a,b) are one group. Samples of which the files say nothing follow what is said of their copies.
 * Returns how many rows are free; those are marked MN_SPLIT_NONE in `to`. */
static int64_t free_rows(row *r, int64_t a, int64_t b, bool *has_valid, bool *from_nothing) {
    bool said[4] = {false}, fixed = false;
    for (int64_t i = a; i < b; i++) {
        said[r[i].said] = true;
        fixed = fixed || (r[i].said == MN_SPLIT_TRAIN && *valid_of(has_valid, &r[i]));
    }
    *from_nothing = !said[MN_SPLIT_TRAIN] && !said[MN_SPLIT_VALID] && !said[MN_SPLIT_TEST];
    int64_t n = 0;
    for (int64_t i = a; i < b; i++) {
        if (r[i].said == MN_SPLIT_NONE && !*from_nothing)
            r[i].to = said[MN_SPLIT_TEST] ? MN_SPLIT_TEST : said[MN_SPLIT_VALID] ? MN_SPLIT_VALID : MN_SPLIT_TRAIN;
        if (r[i].to == MN_SPLIT_TRAIN && !fixed) r[i].to = MN_SPLIT_NONE;
        n += r[i].to == MN_SPLIT_NONE;
    }
    return n;
}

static int64_t make_units(row *r, int64_t n, uint64_t seed, bool *has_valid, unit *u) {
    int64_t n_units = 0;
    for (int64_t a = 0, b; a < n; a = b) {
        for (b = a; b < n && r[b].group == r[a].group; b++) {}
        unit v = {.first = a, .order = mn__mix64(r[a].group ^ mn__mix64(seed + 0x9e3779b97f4a7c15u)), .to = MN_SPLIT_TRAIN};
        v.size = free_rows(r, a, b, has_valid, &v.from_nothing);
        if (!v.size) continue;
        int64_t i = a;
        while (r[i].to != MN_SPLIT_NONE) i++;
        v.stratum = r[i].stratum;
        u[n_units++] = v;
    }
    return n_units;
}

/* Gives `fraction` of what is still in train to split `to`. u[0..n) is sorted by stratum and order. What a
 * stratum cannot give exactly is owed by the next one, so that many small classes still add up. */
static void carve(unit *u, int64_t n, double fraction, mn_split to) {
    double owed = 0;
    for (int64_t a = 0, b; a < n; a = b) {
        int64_t total = 0;
        for (b = a; b < n && u[b].stratum == u[a].stratum; b++) total += u[b].to == MN_SPLIT_TRAIN ? u[b].size : 0;
        owed += fraction * (double)total;
        for (int64_t i = a; i < b; i++) {
            if (u[i].to != MN_SPLIT_TRAIN || !(fabs(owed - (double)u[i].size) < fabs(owed))) continue;
            u[i].to = to;
            owed -= (double)u[i].size;
        }
    }
}

static mn_status write_lists(const row *r, int64_t n, mn_split *to, mn_split_lists *out, mn_error *err) {
    for (int64_t i = 0; i < n; i++) to[r[i].index] = r[i].to, out->count[r[i].to]++;
    for (int k = 0; k < 3; k++) {
        int64_t at = 0;
        if (!(out->index[k] = mn_alloc((size_t)out->count[k] * sizeof(int64_t))))
            return mn_fail(err, MN_ERR_MEMORY, "split: out of memory");
        for (int64_t i = 0; i < n; i++)
            if (to[i] == (mn_split)k) out->index[k][at++] = i;
    }
    return MN_OK;
}

mn_status mn_dataset_split(const mn_dataset *d, double valid_fraction, double test_fraction, uint64_t seed, mn_split_lists *out,
                           mn_error *err) {
    *out = (mn_split_lists){0};
    if (!(valid_fraction >= 0 && test_fraction >= 0 && valid_fraction < 1 && test_fraction < 1))
        return mn_fail(err, MN_ERR_ARG, "split: shares of %g (valid) and %g (test); wanted 0 to below 1", valid_fraction,
                       test_fraction);
    size_t n = (size_t)d->length;
    row *r = mn_alloc(n * sizeof *r);
    unit *u = mn_alloc(n * sizeof *u);
    mn_split *to = mn_alloc(n * sizeof *to);
    bool has_valid[MN_MAX_HEADS + 1] = {false};
    mn_status s = r && u && to ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "split: out of memory");
    if (!s) s = read_rows(d, r, has_valid, err);
    if (!s) {
        qsort(r, n, sizeof *r, by_group);
        int64_t n_units = make_units(r, d->length, seed, has_valid, u), said = 0;
        qsort(u, (size_t)n_units, sizeof *u, by_stratum);
        while (said < n_units && !u[said].from_nothing) said++;
        carve(u + said, n_units - said, test_fraction, MN_SPLIT_TEST);
        carve(u + said, n_units - said, valid_fraction, MN_SPLIT_VALID);
        carve(u, said, valid_fraction, MN_SPLIT_VALID);
        for (int64_t k = 0; k < n_units; k++)
            for (int64_t i = u[k].first, left = u[k].size; left; i++)
                if (r[i].to == MN_SPLIT_NONE) r[i].to = u[k].to, left--;
        s = write_lists(r, d->length, to, out, err);
    }
    mn_free(r), mn_free(u), mn_free(to);
    if (s) mn_split_lists_free(out);
    return s;
}

void mn_split_lists_free(mn_split_lists *s) {
    for (int k = 0; k < 3; k++) mn_free(s->index[k]);
    *s = (mn_split_lists){0};
}

mn_dataset *mn_dataset_part(const mn_dataset *d, mn_split split, mn_error *err) {
    int64_t *index = mn_alloc((size_t)d->length * sizeof *index), n = 0;
    if (!index) return mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", d->name), NULL;
    mn_status s = MN_OK;
    for (int64_t i = 0; i < d->length && !s; i++) {
        mn_sample_info info = {0};
        s = d->info(d, i, &info, err);
        if (!s && info.split == split) index[n++] = i;
    }
    mn_dataset *part = s ? NULL : mn_dataset_subset(d, index, n, err);
    mn_free(index);
    return part;
}
