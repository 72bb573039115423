/* Data sets made of data sets, and the one function that opens any. */
#include "data/internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void mn_dataset_destroy(mn_dataset *d) {
    if (d) d->destroy(d);
}

mn_status mn__bounds(const mn_dataset *d, int64_t i, mn_error *err) {
    if (i >= 0 && i < d->length) return MN_OK;
    return mn_fail(err, MN_ERR_ARG, "%s: sample %lld of %lld", d->name, (long long)i, (long long)d->length);
}

/* ---- by SPEC: a new kind of data set is one file and one line here ---- */

static mn_dataset *open_rendered(const char *text, const mn_open_opt *opt, mn_error *err);

static const struct {
    const char *kind;
    mn_dataset *(*open)(const char *, const mn_open_opt *, mn_error *);
} kinds[] = {
    {"fer2013", mn_dataset_fer2013}, {"folder", mn_dataset_folder},
    {"utkface", mn_dataset_utkface}, {"ckplus", mn_dataset_ckplus},
    {"list", mn_dataset_list},       {"idx", mn_dataset_idx},
    {"rendered", open_rendered},     {"affectnet", mn_dataset_affectnet},
    {"adience", mn_dataset_adience}, {"jaffe", mn_dataset_jaffe},
    {"kdef", mn_dataset_kdef},       {"imdbwiki", mn_dataset_imdbwiki},
    {"clips", mn__clips_open},       {"rendered-clips", mn__rendered_clips_open},
};
#define WANTED                                                                                                                   \
    "wanted fer2013:FILE.csv, folder:DIR, utkface:DIR, ckplus:DIR, affectnet:DIR, adience:DIR, jaffe:DIR, kdef:DIR, "            \
    "imdbwiki:FILE.csv, list:FILE.csv, idx:DIR, clips:DIR, rendered:COUNT or rendered-clips:COUNT"

mn_dataset *mn_dataset_open(const char *spec, const mn_open_opt *opt, mn_error *err) {
    const char *colon = strchr(spec, ':');
    for (size_t k = 0; colon && k < sizeof kinds / sizeof *kinds; k++) {
        size_t n = strlen(kinds[k].kind);
        if ((size_t)(colon - spec) != n || strncmp(spec, kinds[k].kind, n)) continue;
        if (colon[1]) return kinds[k].open(colon + 1, opt, err);
        mn_fail(err, MN_ERR_ARG, "data \"%s\": nothing follows the colon; " WANTED, spec);
        return NULL;
    }
    struct stat st;
    if (stat(spec, &st) == 0)
        mn_fail(err, MN_ERR_ARG, "data \"%s\": say what it is; " WANTED "; hint: %s:%s", spec,
                S_ISDIR(st.st_mode) ? "folder" : "fer2013", spec);
    else
        mn_fail(err, MN_ERR_ARG, "data \"%s\": of no known kind; " WANTED, spec);
    return NULL;
}

/* "1000,size=64,seed=1" */
static mn_dataset *open_rendered(const char *text, const mn_open_opt *opt, mn_error *err) {
    (void)opt;
    mn_rendered_opt r = {0};
    char *end;
    errno = 0;
    long long count = strtoll(text, &end, 10);
    if (end == text || count < 1 || errno || (*end && *end != ',')) {
        mn_fail(err, MN_ERR_ARG, "data \"rendered:%s\": wanted rendered:COUNT[,size=48,seed=0,channels=1,identities=N,frames=1]",
                text);
        return NULL;
    }
    r.count = count;
    while (*end) {
        static const char *const keys[] = {"size", "seed", "channels", "identities", "frames"};
        const char *key = end + 1, *value = strchr(key, '=');
        size_t k = 0, n = value ? (size_t)(value - key) : 0;
        while (k < 5 && !(strlen(keys[k]) == n && !strncmp(keys[k], key, n))) k++;
        long long v = value ? strtoll(value + 1, &end, 10) : -1;
        if (k == 5 || v < 0 || errno || end == value + 1 || (*end && *end != ',') || (k != 1 && v > 1000000000)) {
            mn_fail(err, MN_ERR_ARG,
                    "data \"rendered:%s\": \"%.40s\" is not understood; wanted size=, seed=, channels=, "
                    "identities= or frames= and a number",
                    text, key);
            return NULL;
        }
        if (k == 0) r.size = (int)v;
        if (k == 1) r.seed = (uint64_t)v;
        if (k == 2) r.channels = (int)v;
        if (k == 3) r.identities = (int)v;
        if (k == 4) r.frames = (int)v;
    }
    return mn_dataset_rendered(&r, err);
}

/* ---- subset: heads are borrowed from the data set behind it ---- */

typedef struct subset {
    mn_dataset set;
    const mn_dataset *of;
    int64_t *index;
} subset;

static mn_status subset_info(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err) {
    const subset *s = d->impl;
    mn_status st = mn__bounds(d, i, err);
    return st ? st : s->of->info(s->of, s->index[i], info, err);
}
static mn_status subset_pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    const subset *s = d->impl;
    mn_status st = mn__bounds(d, i, err);
    return st ? st : s->of->pixels(s->of, s->index[i], im, err);
}
static void subset_destroy(mn_dataset *d) {
    subset *s = d->impl;
    mn_free(s->index);
    mn_free(s);
}

mn_dataset *mn_dataset_subset(const mn_dataset *d, const int64_t *index, int64_t n, mn_error *err) {
    for (int64_t i = 0; i < n; i++)
        if (mn__bounds(d, index[i], err)) return NULL;
    subset *s = mn_alloc_zero(1, sizeof *s);
    if (s) s->index = mn_alloc((size_t)n * sizeof *s->index);
    if (!s || !s->index) {
        mn_free(s);
        mn_fail(err, MN_ERR_MEMORY, "%s: no memory for a part of it", d->name);
        return NULL;
    }
    if (n) memcpy(s->index, index, (size_t)n * sizeof *index);
    s->set = *d; /* name and heads */
    s->set.length = n, s->of = d, s->set.impl = s;
    s->set.info = subset_info, s->set.pixels = subset_pixels, s->set.destroy = subset_destroy;
    return &s->set;
}

/* ---- cache: pixels in memory, everything else from the data set behind it ---- */

typedef struct cache {
    mn_dataset set;
    const mn_dataset *of;
    const mn_preprocess *p; /* while it is filled */
    mn_image *scratch;      /* three a worker, while it is filled */
    int width, height, channels;
    size_t each; /* bytes of a picture */
    uint8_t *pixels;
    int *height_of; /* of each clip; NULL: all are `height` high */
} cache;

static mn_status cache_info(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err) {
    const cache *c = d->impl;
    return c->of->info(c->of, i, info, err);
}
static mn_status cache_pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    const cache *c = d->impl;
    mn_status s = mn__bounds(d, i, err);
    int height = !s && c->height_of ? c->height_of[i] : c->height;
    if (s || (s = mn_image_reserve(im, c->width, height, c->channels, err))) return s;
    memcpy(im->pixels, c->pixels + (size_t)i * c->each, c->each / (size_t)c->height * (size_t)height);
    return MN_OK;
}
static void cache_destroy(mn_dataset *d) {
    cache *c = d->impl;
    mn_free(c->pixels);
    mn_free(c->height_of);
    mn_free(c);
}

static mn_status cache_one(void *arg, int worker, int64_t i, mn_error *err) {
    cache *c = arg;
    mn_image *im = c->scratch + 3 * worker;
    mn_status s = c->of->pixels(c->of, i, &im[0], err);
    if (!s) s = mn_preprocess_pixels(c->p, &im[0], &im[1], &im[2], err);
    if (s) return s;
    memcpy(c->pixels + (size_t)i * c->each, im[1].pixels, c->each / (size_t)c->height * (size_t)im[1].height);
    if (c->height_of) c->height_of[i] = im[1].height;
    return MN_OK;
}

mn_dataset *mn_dataset_cache(const mn_dataset *d, const mn_preprocess *p, const mn_open_opt *opt, mn_error *err) {
    if (p->width < 1 || p->height < 1 || p->width > MN__MAX_SIDE || p->height > MN__MAX_SIDE ||
        (p->channels != 1 && p->channels != 3)) {
        mn_fail(err, MN_ERR_ARG, "cache: size (%d,%d,%d); wanted (1 or 3 channels, height, width)", p->channels, p->height,
                p->width);
        return NULL;
    }
    cache *c = mn_alloc_zero(1, sizeof *c);
    int threads = mn__threads(opt);
    mn_image *scratch = mn_alloc_zero((size_t)threads * 3, sizeof *scratch);
    if (c) {
        c->set = *d;
        c->set.info = cache_info, c->set.pixels = cache_pixels, c->set.destroy = cache_destroy, c->set.impl = c,
        c->set.ready = true;
        c->of = d, c->p = p, c->scratch = scratch;
        c->width = p->width, c->height = p->height, c->channels = p->channels;
        c->each = (size_t)p->width * (size_t)p->height * (size_t)p->channels;
        if ((uint64_t)d->length < SIZE_MAX / 2 / c->each) c->pixels = mn_alloc((size_t)d->length * c->each);
        if (p->steps) c->height_of = mn_alloc((size_t)d->length * sizeof *c->height_of);
    }
    mn_status s = MN_OK;
    if (!c || !scratch || !c->pixels || (p->steps && !c->height_of))
        s = mn_fail(err, MN_ERR_MEMORY, "%s: no memory for %lld pictures of (%d,%d,%d)", d->name, (long long)d->length,
                    p->channels, p->height, p->width);
    if (!s) s = mn__parallel(d->length, opt, "reading pictures", cache_one, c, err);
    for (int k = 0; scratch && k < 3 * threads; k++) mn_image_free(&scratch[k]);
    mn_free(scratch);
    if (!s) {
        c->p = NULL, c->scratch = NULL;
        return &c->set;
    }
    if (c) cache_destroy(&c->set);
    return NULL;
}
