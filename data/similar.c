/* Finding pictures that are the same, nearly the same, or mirror images of each other.
 *
 * Each picture is reduced to a difference hash: shrunk to 9x8, a bit says whether a cell is darker than its
 * right neighbour. Copies that were scaled, compressed or made lighter keep nearly all 64 bits. Pairs of near
 * hashes are found without comparing all pairs: when 64 bits are cut into d + 1 blocks, two hashes that differ
 * in at most d bits agree in one block at least, so only pictures that share a block are compared (multi-index
 * hashing: Norouzi, Punjani and Fleet 2012). Aligned faces have near hashes, too, so a pair counts only when
 * its thumbnails correlate. */
#include "data/internal.h"
#include <math.h>
#include <string.h>

enum { SIDE = MN_LOOK_SIDE, CELLS = SIDE * SIDE, HASH_WIDTH = 9, HASH_HEIGHT = 8, MOST_DISTANCE = 15 };

/* ---- one picture ---- */

static uint64_t difference_hash(const uint8_t *p, bool mirrored) {
    uint64_t h = 0;
    for (int y = 0; y < HASH_HEIGHT; y++)
        for (int x = 0; x + 1 < HASH_WIDTH; x++) {
            const uint8_t *row = p + y * HASH_WIDTH;
            int a = mirrored ? row[HASH_WIDTH - 1 - x] : row[x], b = mirrored ? row[HASH_WIDTH - 2 - x] : row[x + 1];
            h = h << 1 | (a < b);
        }
    return h;
}

static double deviation(const uint8_t *p, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += p[i], squares += (double)p[i] * p[i];
    double mean = sum / (double)n;
    return sqrt(fmax(squares / (double)n - mean * mean, 0));
}

/* Mean 0, length 1, so that a product of two is a correlation; a picture of one grey stays 0. */
static void normalise(float *v) {
    double sum = 0, squares = 0;
    for (int i = 0; i < CELLS; i++) sum += v[i];
    for (int i = 0; i < CELLS; i++) v[i] -= (float)(sum / CELLS), squares += (double)v[i] * v[i];
    float scale = squares > 1e-6 ? (float)(1 / sqrt(squares)) : 0;
    for (int i = 0; i < CELLS; i++) v[i] *= scale;
}

typedef struct looking {
    const mn_dataset *d;
    mn_look *look;
    mn_image *scratch; /* three a worker */
} looking;

static mn_status look_at(void *arg, int worker, int64_t i, mn_error *err) {
    looking *k = arg;
    mn_image *im = k->scratch + 3 * worker, *grey = &im[1], *small = &im[2];
    mn_look *l = &k->look[i];
    mn_status s = k->d->pixels(k->d, i, &im[0], err);
    if (!s) s = mn_image_convert(grey, &im[0], 1, MN_GREY_BT601, err);
    if (s) return s;
    size_t n = (size_t)grey->width * (size_t)grey->height;
    uint64_t size = (uint64_t)grey->width << 32 | (uint64_t)grey->height;
    l->exact = mn__mix64(mn__hash64(grey->pixels, n) ^ size);
    l->deviation = (float)deviation(grey->pixels, n);
    if ((s = mn_image_resize(small, grey, HASH_WIDTH, HASH_HEIGHT, err))) return s;
    l->hash = difference_hash(small->pixels, false), l->mirror = difference_hash(small->pixels, true);
    if ((s = mn_image_resize(small, grey, SIDE, SIDE, err))) return s;
    for (int c = 0; c < CELLS; c++) l->small[c] = small->pixels[c];
    normalise(l->small);
    return MN_OK;
}

mn_status mn_dataset_looks(const mn_dataset *d, mn_look *look, const mn_open_opt *opt, mn_error *err) {
    int threads = mn__threads(opt);
    looking k = {.d = d, .look = look, .scratch = mn_alloc_zero((size_t)threads * 3, sizeof(mn_image))};
    if (!k.scratch) return mn_fail(err, MN_ERR_MEMORY, "%s: no memory to look at its pictures", d->name);
    mn_status s = mn__parallel(d->length, opt, "looking at pictures", look_at, &k, err);
    for (int i = 0; i < 3 * threads; i++) mn_image_free(&k.scratch[i]);
    mn_free(k.scratch);
    return s;
}

/* ---- pairs ---- */

double mn_look_correlation(const mn_look *a, const mn_look *b, bool mirrored) {
    float sum = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) sum += a->small[y * SIDE + x] * b->small[y * SIDE + (mirrored ? SIDE - 1 - x : x)];
    return sum;
}

/* The pictures in the order of their bits first .. first + width - 1; start[key] is where a key's begin. */
typedef struct block {
    int first, width;
    int64_t *start, *member;
} block;

static uint64_t key_of(const block *b, uint64_t hash) { return hash >> b->first & ((UINT64_C(1) << b->width) - 1); }

static void fill_block(block *b, const mn_look *look, const int64_t *row, int64_t n) {
    size_t keys = (size_t)1 << b->width;
    memset(b->start, 0, keys * sizeof *b->start);
    for (int64_t i = 0; i < n; i++) b->start[key_of(b, look[row[i]].hash)]++;
    for (size_t k = 1; k < keys; k++) b->start[k] += b->start[k - 1]; /* where each key ends */
    for (int64_t i = n - 1; i >= 0; i--) b->member[--b->start[key_of(b, look[row[i]].hash)]] = i;
    b->start[keys] = n;
}

typedef struct search {
    const mn_look *look;
    const int64_t *row;
    int64_t n;
    int distance, blocks;
    double likeness;
    mn_alike found;
    void *user;
} search;

static block block_at(const search *s, int k) {
    int first = 64 * k / s->blocks;
    return (block){.first = first, .width = 64 * (k + 1) / s->blocks - first};
}

/* Each pair is met in the first block that it shares, and not again. */
static bool shared_before(const search *s, uint64_t difference, int k) {
    for (int e = 0; e < k; e++) {
        block b = block_at(s, e);
        if (key_of(&b, difference) == 0) return true;
    }
    return false;
}

static void compare(const search *s, const block *b, int k, int64_t i, bool mirrored) {
    const mn_look *a = &s->look[s->row[i]];
    uint64_t hash = mirrored ? a->mirror : a->hash, key = key_of(b, hash);
    for (int64_t at = b->start[key]; at < b->start[key + 1]; at++) {
        int64_t j = b->member[at];
        if (j <= i) continue;
        const mn_look *c = &s->look[s->row[j]];
        uint64_t difference = hash ^ c->hash;
        int distance = __builtin_popcountll(difference);
        if (distance > s->distance || shared_before(s, difference, k)) continue;
        double likeness = mn_look_correlation(a, c, mirrored);
        if (likeness < s->likeness || (mirrored && mn_look_correlation(a, c, false) >= likeness)) continue;
        s->found(s->user, s->row[i], s->row[j], mirrored, likeness);
    }
}

mn_status mn_looks_alike(const mn_look *look, const int64_t *row, int64_t n, int distance, double likeness, mn_alike found,
                         void *user, mn_error *err) {
    if (distance < 0 || distance > MOST_DISTANCE)
        return mn_fail(err, MN_ERR_ARG, "pictures alike: a distance of %d bits; wanted 0 to %d", distance, MOST_DISTANCE);
    /* At least 4 blocks, so that a table of keys has 65,536 entries at most. */
    search s = {.look = look,
                .row = row,
                .n = n,
                .distance = distance,
                .blocks = distance < 3 ? 4 : distance + 1,
                .likeness = likeness,
                .found = found,
                .user = user};
    size_t keys = (size_t)1 << (64 / s.blocks + 1);
    int64_t *start = mn_alloc((keys + 1) * sizeof *start), *member = mn_alloc((size_t)(n + 1) * sizeof *member);
    mn_status status = start && member ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "pictures alike: no memory for %lld", (long long)n);
    for (int k = 0; k < s.blocks && !status; k++) {
        block b = block_at(&s, k);
        b.start = start, b.member = member;
        fill_block(&b, look, row, n);
        for (int64_t i = 0; i < n; i++) compare(&s, &b, k, i, false), compare(&s, &b, k, i, true);
    }
    mn_free(start);
    mn_free(member);
    return status;
}
