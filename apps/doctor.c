/* Examining a split: who has a partner where. */
#include "apps/doctor.h"
#include "apps/app.h"
#include "apps/probe.h"
#include "apps/metrics.h"
#include "apps/progress.h"
#include <regex.h>
#include <stdlib.h>
#include <string.h>

const char *const doctor_kind_names[DOCTOR_KINDS] = {"identical", "mirrored", "near", "subject"};

enum { MOST_PAIRS = 1000000 };

/* ---- subjects ---- */

typedef struct key {
    uint64_t hash; /* of the text, or the data's group */
    char *text;    /* NULL: none */
    int part;      /* of the data: people are counted within one data set */
    int64_t row;
} key;

static int by_key(const void *pa, const void *pb) {
    const key *a = pa, *b = pb;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    if (a->text && b->text && strcmp(a->text, b->text) != 0) return strcmp(a->text, b->text);
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static bool same_key(const key *a, const key *b) {
    if (a->part != b->part || !a->text != !b->text) return false;
    return a->text ? !strcmp(a->text, b->text) : a->hash == b->hash;
}

static int part_of(const data_rows *d, int64_t row) {
    int k = 0;
    while (k + 1 < d->n_parts && row >= d->part[k + 1].first) k++;
    return k;
}

/* What the name says about its subject; NULL where it says nothing. Free with free. */
static char *subject_in(const char *id, const regex_t *pattern) {
    const char *slash = strrchr(id, '/'), *name = slash ? slash + 1 : id;
    if (!pattern) return strndup(name, strcspn(name, "_-"));
    regmatch_t m[2];
    if (regexec(pattern, name, 2, m, 0)) return NULL;
    int k = pattern->re_nsub > 0 && m[1].rm_so >= 0;
    return strndup(name + m[k].rm_so, (size_t)(m[k].rm_eo - m[k].rm_so));
}

static mn_status compile(regex_t *pattern, const char *text, mn_error *err) {
    int code = regcomp(pattern, text, REG_EXTENDED);
    if (!code) return MN_OK;
    char why[200];
    regerror(code, pattern, why, sizeof why);
    return mn_fail(err, MN_ERR_ARG, "--group-from-name \"%s\" is no regular expression: %s", text, why);
}

/* Numbers the subjects. A row whose name says nothing is a subject of its own. */
static mn_status find_subjects(doctor *d, const char *text, mn_error *err) {
    int64_t n = d->data->all->length, matched = 0;
    key *keys = app_alloc((size_t)n, sizeof *keys);
    regex_t pattern;
    bool prefix = text && !strcmp(text, "prefix"), expression = text && !prefix;
    mn_status s = expression ? compile(&pattern, text, err) : MN_OK;
    bool compiled = expression && !s;
    for (int64_t i = 0; i < n && !s; i++) {
        mn_sample_info info;
        if ((s = d->data->all->info(d->data->all, i, &info, err))) break;
        keys[i] = (key){.hash = text ? (uint64_t)i : info.group, .part = part_of(d->data, i), .row = i};
        if (text) keys[i].text = subject_in(info.id, expression ? &pattern : NULL);
        matched += keys[i].text != NULL;
        if (text && !keys[i].text) keys[i].text = app_text("/%lld", (long long)i); /* no name has a slash */
    }
    if (!s && text && !matched) s = mn_fail(err, MN_ERR_ARG, "--group-from-name \"%s\" matches no picture's name", text);
    if (!s) {
        qsort(keys, (size_t)n, sizeof *keys, by_key);
        for (int64_t i = 0, number = 0; i < n; i++) {
            if (i && !same_key(&keys[i - 1], &keys[i])) number++;
            d->subject[keys[i].row] = number;
        }
    }
    for (int64_t i = 0; i < n; i++) free(keys[i].text);
    if (compiled) regfree(&pattern);
    free(keys);
    return s;
}

/* ---- pairs and partners ---- */

static bool labels_differ(const doctor *d, int64_t a, int64_t b) {
    const mn_dataset *all = d->data->all;
    mn_sample_info p, q;
    if (all->info(all, a, &p, NULL) || all->info(all, b, &q, NULL)) return false;
    for (int h = 0; h < all->n_heads; h++)
        if (p.label[h] >= 0 && q.label[h] >= 0 && p.label[h] != q.label[h]) return true;
    return false;
}

static void add_pair(doctor *d, doctor_kind kind, int64_t a, int64_t b, double likeness) {
    bool conflict = kind != DOCTOR_SUBJECT && labels_differ(d, a, b);
    d->conflict_pairs[kind] += conflict;
    if (d->n_pairs == MOST_PAIRS) return;
    if (d->n_pairs == d->capacity) {
        d->capacity = 2 * d->capacity + 256;
        doctor_pair *more = app_alloc((size_t)d->capacity, sizeof *more);
        if (d->n_pairs) memcpy(more, d->pair, (size_t)d->n_pairs * sizeof *more);
        free(d->pair);
        d->pair = more;
    }
    d->pair[d->n_pairs++] = (doctor_pair){kind, a < b ? a : b, a < b ? b : a, likeness, d->part[a] != d->part[b], conflict};
}

static uint8_t bit(const doctor *d, int64_t row) { return (uint8_t)(1 << d->part[row]); }

/* A row's place in lists of rows that are equal in some way. */
typedef struct entry {
    uint64_t key;
    int64_t row;
} entry;

static int by_entry(const void *pa, const void *pb) {
    const entry *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* The rows in use, sorted by look or by subject. */
static int64_t sorted(const doctor *d, bool subjects, entry *out) {
    int64_t n = 0;
    for (int64_t i = 0; i < d->data->all->length; i++)
        if (d->part[i] >= 0) out[n++] = (entry){subjects ? (uint64_t)d->subject[i] : d->look[i].exact, i};
    qsort(out, (size_t)n, sizeof *out, by_entry);
    return n;
}

static bool is_blank(const doctor *d, int64_t row) { return d->look[row].deviation < 1; }

/* One list of equal rows: where each has partners; a row alone in its part has none there. */
static void see(doctor *d, doctor_kind kind, const entry *e, int64_t n) {
    int64_t count[3] = {0};
    for (int64_t i = 0; i < n; i++) count[d->part[e[i].row]]++;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            if (count[k] > (d->part[e[i].row] == k)) d->seen[kind][e[i].row] |= (uint8_t)(1 << k);
}

/* Sets of identical pictures. first_of[row] becomes the first row of its set, next[row] the one after it, or -1. */
static void find_identical(doctor *d, const entry *e, int64_t n, int64_t *first_of, int64_t *next) {
    for (int64_t a = 0, b; a < n; a = b) {
        bool conflict = false;
        for (b = a; b < n && e[b].key == e[a].key; b++) {
            first_of[e[b].row] = e[a].row, next[e[b].row] = -1;
            if (b == a) continue;
            next[e[b - 1].row] = e[b].row;
            add_pair(d, DOCTOR_IDENTICAL, e[a].row, e[b].row, 1);
            conflict = conflict || labels_differ(d, e[a].row, e[b].row);
        }
        see(d, DOCTOR_IDENTICAL, e + a, b - a);
        if (conflict) d->conflict_pictures += b - a;
    }
}

typedef struct meeting {
    doctor *d;
    const int64_t *next;
    const uint8_t *mask; /* of the first row of a set: the parts that the set has rows in */
} meeting;

/* Two sets of identical pictures look alike: every row of one has partners where the other has rows. */
static void meet(void *user, int64_t a, int64_t b, bool mirrored, double likeness) {
    meeting *m = user;
    doctor_kind kind = mirrored ? DOCTOR_MIRRORED : DOCTOR_NEAR;
    for (int64_t i = a; i >= 0; i = m->next[i]) m->d->seen[kind][i] |= m->mask[b];
    for (int64_t i = b; i >= 0; i = m->next[i]) m->d->seen[kind][i] |= m->mask[a];
    add_pair(m->d, kind, a, b, likeness);
}

/* Identical pictures, then near ones among the first of each set. */
static mn_status find_copies(doctor *d, const doctor_opt *opt, mn_error *err) {
    size_t n = (size_t)d->data->all->length;
    entry *e = app_alloc(n, sizeof *e);
    int64_t *first_of = app_alloc(n, sizeof *first_of), *next = app_alloc(n, sizeof *next), *row = app_alloc(n, sizeof *row),
            rows = 0;
    uint8_t *mask = app_alloc(n, 1);
    int64_t used = sorted(d, false, e);
    find_identical(d, e, used, first_of, next);
    for (int64_t i = 0; i < used; i++) mask[first_of[e[i].row]] |= bit(d, e[i].row);
    for (size_t i = 0; i < n; i++)
        if (d->part[i] >= 0 && first_of[i] == (int64_t)i && !is_blank(d, (int64_t)i)) row[rows++] = (int64_t)i;
    meeting m = {d, next, mask};
    mn_status s = opt->exact ? MN_OK : mn_looks_alike(d->look, row, rows, opt->distance, opt->likeness, meet, &m, err);
    free(e);
    free(first_of);
    free(next);
    free(row);
    free(mask);
    return s;
}

/* Rows of one subject; sets of identical pictures are copies, not subjects. */
static void find_shared_subjects(doctor *d) {
    entry *e = app_alloc((size_t)d->data->all->length, sizeof *e);
    int64_t n = sorted(d, true, e);
    for (int64_t a = 0, b; a < n; a = b) {
        bool differ = false;
        int64_t other = -1; /* the first row in another part than e[a] */
        for (b = a; b < n && e[b].key == e[a].key; b++) {
            differ = differ || d->look[e[b].row].exact != d->look[e[a].row].exact;
            if (other < 0 && d->part[e[b].row] != d->part[e[a].row]) other = e[b].row;
        }
        d->subjects++;
        if (!differ) continue;
        d->has_subjects = true;
        see(d, DOCTOR_SUBJECT, e + a, b - a);
        if (other >= 0) d->subjects_across++, add_pair(d, DOCTOR_SUBJECT, e[a].row, other, 0);
    }
    free(e);
}

static void count(doctor *d) {
    d->first_blank = -1;
    for (int64_t i = 0; i < d->data->all->length; i++) {
        if (d->part[i] < 0) continue;
        uint8_t own = bit(d, i), before = (uint8_t)(own - 1), any = 0; /* a partner that an earlier part has is a leak */
        d->used++;
        if (is_blank(d, i) && d->blank++ == 0) d->first_blank = i;
        for (int k = 0; k < DOCTOR_KINDS; k++) {
            d->inside[k] += (d->seen[k][i] & own) != 0;
            d->across[k] += (d->seen[k][i] & ~own) != 0;
            any |= d->seen[k][i];
        }
        d->leaked[d->part[i]] += (any & before) != 0;
    }
}

/* Looks at the pictures in use, and at no others: training examines its split without reading test rows. */
static mn_status look_at(doctor *d, const doctor_opt *opt, mn_error *err) {
    progress bar = {0};
    mn_open_opt open = {.threads = opt->threads, .progress = progress_data, .user = &bar};
    mn_status s = MN_OK;
    for (int k = 0; k < 3 && !s; k++) {
        int64_t n = d->data->count[k];
        mn_dataset *part = opt->decoded[k] || !n ? NULL : mn_dataset_subset(d->data->all, d->data->index[k], n, err);
        const mn_dataset *from = opt->decoded[k] ? opt->decoded[k] : part;
        mn_look *look = app_alloc((size_t)n, sizeof *look);
        if (n) s = from ? mn_dataset_looks(from, look, &open, err) : err->status;
        progress_end(&bar);
        for (int64_t i = 0; i < n && !s; i++) d->look[d->data->index[k][i]] = look[i];
        free(look);
        mn_dataset_destroy(part);
    }
    return s;
}

bool doctor_leaks(const doctor *d) { return d->leaked[MN_SPLIT_VALID] + d->leaked[MN_SPLIT_TEST] > 0; }

mn_status doctor_examine(doctor *d, const data_rows *data, const doctor_opt *opt, mn_error *err) {
    size_t n = (size_t)data->all->length;
    *d = (doctor){
        .data = data, .part = app_alloc(n, 1), .look = app_alloc(n, sizeof(mn_look)), .subject = app_alloc(n, sizeof(int64_t))};
    for (int k = 0; k < DOCTOR_KINDS; k++) d->seen[k] = app_alloc(n, 1);
    memset(d->part, -1, n);
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < data->count[k]; i++) d->part[data->index[k][i]] = (int8_t)k;
    mn_status s = find_subjects(d, opt->subject, err);
    if (!s) s = look_at(d, opt, err);
    if (!s) s = find_copies(d, opt, err);
    if (s) return s;
    find_shared_subjects(d);
    count(d);
    return MN_OK;
}

void doctor_free(doctor *d) {
    for (int k = 0; k < DOCTOR_KINDS; k++) free(d->seen[k]);
    free(d->part);
    free(d->look);
    free(d->subject);
    free(d->pair);
    *d = (doctor){0};
}

/* ---- what a leak is worth ---- */

enum { FOLDS = 5, FACE = 48 };

/* A fold for each key, in a random order of keys: all rows of a subject get the same one. */
static void deal_folds(const doctor *d, bool by_subject, int *fold) {
    int64_t n = d->data->all->length;
    int64_t *order = app_alloc((size_t)n, sizeof *order);
    mn_rng rng = mn_rng_create(1, by_subject);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)mn_rng_below(&rng, (uint64_t)i + 1), t = order[i];
        order[i] = order[j], order[j] = t;
    }
    for (int64_t i = 0; i < n; i++) fold[i] = (int)(order[by_subject ? d->subject[i] : i] % FOLDS);
    free(order);
}

/* Right answers over all folds, each predicted by a regression that has not seen it. */
static mn_status cross_validate(const probe_rows *f, const int *fold, int threads, int64_t *hits, mn_error *err) {
    int64_t *train = app_alloc((size_t)f->n, sizeof *train), *test = app_alloc((size_t)f->n, sizeof *test);
    float *p = app_alloc((size_t)f->n * (size_t)f->classes, sizeof *p);
    mn_status s = MN_OK;
    *hits = 0;
    for (int k = 0; k < FOLDS && !s; k++) {
        int64_t n_train = 0, n_test = 0;
        for (int64_t i = 0; i < f->n; i++) {
            if (fold[i] == k)
                test[n_test++] = i;
            else
                train[n_train++] = i;
        }
        s = n_test ? probe_run(PROBE_LOGREG, f, train, n_train, test, n_test, threads, 0, p, err) : MN_OK;
        for (int64_t i = 0; i < n_test && !s; i++)
            *hits += f->label[test[i]] >= 0 && metrics_argmax(p + i * f->classes, f->classes) == f->label[test[i]];
    }
    free(train);
    free(test);
    free(p);
    return s;
}

mn_status doctor_inflate(const doctor *d, int head, int threads, doctor_inflation *out, mn_error *err) {
    const mn_dataset *all = d->data->all;
    size_t n = (size_t)all->length;
    mn_preprocess p = {.channels = 1, .height = FACE, .width = FACE, .standardize = true, .standardize_eps = 8};
    float *x = app_alloc(n * FACE * FACE, sizeof *x);
    int32_t *label = app_alloc(n, sizeof *label);
    int *fold = app_alloc(n, sizeof *fold);
    mn_image im[3] = {0};
    mn_status s = MN_OK;
    *out = (doctor_inflation){0};
    for (size_t i = 0; i < n && !s; i++) {
        mn_sample_info info;
        if ((s = all->info(all, (int64_t)i, &info, err)) || (s = all->pixels(all, (int64_t)i, &im[0], err)) ||
            (s = mn_preprocess_pixels(&p, &im[0], &im[1], &im[2], err)) ||
            (s = mn_preprocess_floats(&p, &im[1], x + i * FACE * FACE, err)))
            break;
        label[i] = info.label[head];
        out->n += label[i] >= 0;
    }
    probe_rows f = {.n = all->length, .width = FACE * FACE, .classes = all->head[head].n_classes, .x = x, .label = label};
    if (!s) deal_folds(d, false, fold), s = cross_validate(&f, fold, threads, &out->by_picture, err);
    if (!s) deal_folds(d, true, fold), s = cross_validate(&f, fold, threads, &out->by_subject, err);
    for (int k = 0; k < 3; k++) mn_image_free(&im[k]);
    free(x);
    free(label);
    free(fold);
    return s;
}
