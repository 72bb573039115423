/* Balanced sampling: the rows of an epoch are drawn so that rare classes come more often (Shen et al. 2016).
 *
 * Rows that are labelled in the same heads are a pool, rows of a pool with the same labels are a kind. Every pool keeps its
 * share of the epoch; within it a kind of n rows is drawn in proportion to n^(1-p). With one head a kind is a class. With
 * two heads that never meet, each head's classes are balanced among its own rows; where they meet, pairs of classes are.
 *
 * An epoch has as many rows as the set. A kind that is due 2.3 times its rows gives each of them twice and 3 of 10 once
 * more: nothing is left out that is rare, nothing drawn twice that is common. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct labelled {
    int32_t label[MN_MAX_HEADS]; /* -1: none, and in heads that do not count */
    unsigned heads;              /* bit h: labelled in head h */
    int64_t index;
} labelled;

typedef struct kind {
    int64_t first, rows;
    double due; /* rows of an epoch, on average */
} kind;

struct mn__sampler {
    int64_t n, n_kinds;
    int64_t *row;  /* of the data set, kind by kind */
    int64_t *work; /* room for a kind's rows */
    kind *kinds;
};

static int by_kind(const void *pa, const void *pb) {
    const labelled *a = pa, *b = pb;
    if (a->heads != b->heads) return a->heads < b->heads ? -1 : 1;
    for (int h = 0; h < MN_MAX_HEADS; h++)
        if (a->label[h] != b->label[h]) return a->label[h] < b->label[h] ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static bool same_kind(const labelled *a, const labelled *b) {
    return a->heads == b->heads && !memcmp(a->label, b->label, sizeof a->label);
}

/* The label, or what the probabilities say most. */
static int32_t class_of(const mn_sample_info *s, int h, int n_classes) {
    if (s->label[h] >= 0 || !s->soft[h]) return s->label[h];
    int32_t best = 0;
    for (int k = 1; k < n_classes; k++)
        if (s->soft[h][k] > s->soft[h][best]) best = k;
    return best;
}

static mn_status read_labels(const mn_dataset *d, unsigned heads, labelled *out, mn_error *err) {
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        mn_status st = d->info(d, i, &s, err);
        if (st) return st;
        out[i] = (labelled){.index = i};
        for (int h = 0; h < MN_MAX_HEADS; h++) {
            bool counts = h < d->n_heads && heads & 1u << h;
            out[i].label[h] = counts ? class_of(&s, h, d->head[h].n_classes) : -1;
            out[i].heads |= (unsigned)(out[i].label[h] >= 0) << h;
        }
    }
    qsort(out, (size_t)d->length, sizeof *out, by_kind);
    return MN_OK;
}

/* Kinds from..n_kinds-1 are a pool of `rows` rows. */
static void share_out(mn__sampler *s, int64_t from, int64_t rows, double power) {
    double sum = 0;
    for (int64_t k = from; k < s->n_kinds; k++) sum += pow((double)s->kinds[k].rows, 1 - power);
    for (int64_t k = from; k < s->n_kinds; k++) s->kinds[k].due = (double)rows * pow((double)s->kinds[k].rows, 1 - power) / sum;
}

static void find_kinds(mn__sampler *s, const labelled *r, double power) {
    for (int64_t a = 0, b, pool = 0, pool_first = 0; a < s->n; a = b) {
        for (b = a; b < s->n && same_kind(&r[b], &r[a]); b++) s->row[b] = r[b].index;
        s->kinds[s->n_kinds++] = (kind){.first = a, .rows = b - a};
        if (b < s->n && r[b].heads == r[a].heads) continue;
        share_out(s, pool, b - pool_first, power);
        pool = s->n_kinds, pool_first = b;
    }
}

mn__sampler *mn__sampler_create(const mn_dataset *d, unsigned heads, double power, mn_error *err) {
    size_t n = (size_t)d->length;
    mn__sampler *s = mn_alloc_zero(1, sizeof *s);
    labelled *r = mn_alloc(n * sizeof *r + 1);
    if (s) s->n = d->length, s->row = mn_alloc(2 * n * sizeof *s->row + 1), s->kinds = mn_alloc(n * sizeof *s->kinds + 1);
    mn_status st = s && r && s->row && s->kinds ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "sampling: no memory for %zu rows", n);
    if (!st) s->work = s->row + n;
    if (!st) st = read_labels(d, heads ? heads : ~0u, r, err);
    if (!st) find_kinds(s, r, power);
    mn_free(r);
    if (!st) return s;
    mn__sampler_destroy(s);
    return NULL;
}

void mn__sampler_destroy(mn__sampler *s) {
    if (!s) return;
    mn_free(s->row);
    mn_free(s->kinds);
    mn_free(s);
}

/* The first m of row[0..n-1] become a random choice of them. */
static void choose(int64_t *row, int64_t n, int64_t m, mn_rng *r) {
    for (int64_t i = 0; i < m; i++) {
        int64_t k = i + (int64_t)mn_rng_below(r, (uint64_t)(n - i)), t = row[i];
        row[i] = row[k], row[k] = t;
    }
}

void mn__sampler_draw(mn__sampler *s, mn_rng *r, int64_t *out) {
    double due = mn_rng_uniform(r, 0, 1); /* where counts are rounded differs from epoch to epoch, their sum does not */
    int64_t at = 0;
    for (int64_t k = 0; k < s->n_kinds; k++) {
        const kind *c = &s->kinds[k];
        const int64_t *row = s->row + c->first;
        due += c->due;
        int64_t end = k + 1 < s->n_kinds ? (int64_t)due : s->n;
        if (end > s->n) end = s->n;
        int64_t whole = (end - at) / c->rows, rest = (end - at) % c->rows;
        for (int64_t i = 0; i < whole * c->rows; i++) out[at++] = row[i % c->rows];
        memcpy(s->work, row, (size_t)c->rows * sizeof *row);
        choose(s->work, c->rows, rest, r);
        memcpy(out + at, s->work, (size_t)rest * sizeof *row);
        at += rest;
    }
}
