/* The table behind the data sets that come from files: labels, split, group and name of each sample. */
#include "data/internal.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static mn_status no_memory(const mn__samples *s, mn_error *err) {
    return mn_fail(err, MN_ERR_MEMORY, "%s: out of memory after %lld samples", s->set.name, (long long)s->set.length);
}

/* ---- what a data set does ---- */

static mn_status info(const mn_dataset *d, int64_t i, mn_sample_info *out, mn_error *err) {
    mn_status st = mn__bounds(d, i, err);
    if (st) return st;
    const mn__samples *s = d->impl;
    const mn__sample *a = &s->sample[i];
    *out = (mn_sample_info){.group = a->group, .split = a->split, .id = s->text + a->id};
    out->subject = s->subjects || a->group <= UINT32_MAX; /* people are counted, contents are hashed */
    for (int k = 0; k < d->n_traits; k++) out->trait[k] = a->trait[k] ? s->text + a->trait[k] : NULL;
    memcpy(out->label, a->label, sizeof out->label);
    if (s->soft && a->split == MN_SPLIT_TRAIN) out->soft[0] = s->soft + i * d->head[0].n_classes;
    return MN_OK;
}

static mn_status load(const char *path, const float cut[5], mn_image *im, mn_error *err) {
    if (!(cut[2] > 0)) return mn_image_load(im, path, err);
    mn_image whole = {0};
    mn_status s = mn_image_load(&whole, path, err);
    if (!s && (s = mn_image_cut(im, &whole, cut[0], cut[1], cut[2], cut[3], cut[4], err))) mn_error_prefix(err, "%s", path);
    mn_image_free(&whole);
    return s;
}

static mn_status pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    mn_status st = mn__bounds(d, i, err);
    if (st) return st;
    const mn__samples *s = d->impl;
    if (!s->pixels) return load(s->text + s->sample[i].path, s->sample[i].cut, im, err);
    if ((st = mn_image_reserve(im, s->width, s->height, s->channels, err))) return st;
    size_t bytes = (size_t)s->width * (size_t)s->height * (size_t)s->channels;
    memcpy(im->pixels, s->pixels + (size_t)i * bytes, bytes);
    return MN_OK;
}

static void destroy(mn_dataset *d) {
    mn__samples *s = d->impl;
    for (int h = 0; h < d->n_heads; h++) {
        for (int k = 0; d->head[h].class_name && k < d->head[h].n_classes; k++) mn_free(d->head[h].class_name[k]);
        mn_free(d->head[h].class_name);
    }
    mn_free(s->sample);
    mn_free(s->text);
    mn_free(s->pixels);
    mn_free(s->soft);
    mn_free(s);
}

/* ---- building one ---- */

mn__samples *mn__samples_create(const char *kind, const char *path, mn_error *err) {
    mn__samples *s = mn_alloc_zero(1, sizeof *s);
    if (!s) {
        mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", kind);
        return NULL;
    }
    s->set.info = info, s->set.pixels = pixels, s->set.destroy = destroy, s->set.impl = s;
    snprintf(s->set.name, sizeof s->set.name, "%s:%s", kind, path);
    return s;
}

mn_dataset *mn__samples_fail(mn__samples *s) {
    destroy(&s->set);
    return NULL;
}

mn_status mn__samples_head(mn__samples *s, const char *name, int n_classes, const char *const *class_name, mn_error *err) {
    if (s->set.n_heads == MN_MAX_HEADS)
        return mn_fail(err, MN_ERR_FORMAT, "%s: more than %d things to predict", s->set.name, MN_MAX_HEADS);
    if (n_classes < 1 || n_classes > MN_MAX_CLASSES)
        return mn_fail(err, MN_ERR_FORMAT, "%s: %d classes of %s; from 1 to %d are possible", s->set.name, n_classes, name,
                       MN_MAX_CLASSES);
    mn_head *h = &s->set.head[s->set.n_heads++];
    snprintf(h->name, sizeof h->name, "%s", name);
    h->n_classes = n_classes;
    if (!(h->class_name = mn_alloc_zero((size_t)n_classes, sizeof *h->class_name))) return no_memory(s, err);
    for (int k = 0; k < n_classes; k++) {
        char number[16];
        snprintf(number, sizeof number, "%d", k);
        if (!(h->class_name[k] = mn_strdup(class_name ? class_name[k] : number))) return no_memory(s, err);
    }
    return MN_OK;
}

static mn_status grow_text(mn__samples *s, size_t more, mn_error *err) {
    if (more <= s->text_capacity - s->text_used) return MN_OK;
    size_t capacity = 2 * s->text_capacity + more + 256;
    char *p = mn_realloc(s->text, s->text_used, capacity);
    if (!p) return no_memory(s, err);
    s->text = p, s->text_capacity = capacity;
    return MN_OK;
}

static mn_status grow_samples(mn__samples *s, int64_t n, mn_error *err) {
    if (n <= s->capacity) return MN_OK;
    int64_t capacity = n > 2 * s->capacity ? n : 2 * s->capacity;
    mn__sample *p = mn_realloc(s->sample, (size_t)s->set.length * sizeof *p, (size_t)capacity * sizeof *p);
    if (!p) return no_memory(s, err);
    s->sample = p, s->capacity = capacity;
    return MN_OK;
}

static const mn__sample no_labels = {.label = {-1, -1, -1, -1}, .split = MN_SPLIT_NONE};

mn_status mn__samples_file(mn__samples *s, const char *directory, const char *file, size_t skip, mn_error *err) {
    size_t room = strlen(directory) + strlen(file) + 2;
    mn_status st = grow_text(s, room, err);
    if (st || (st = grow_samples(s, s->set.length + 1, err))) return st;
    mn__sample *a = &s->sample[s->set.length++];
    *a = no_labels;
    a->path = s->text_used, a->id = s->text_used + skip;
    snprintf(s->text + s->text_used, room, *directory ? "%s/%s" : "%s%s", directory, file);
    s->text_used += strlen(s->text + s->text_used) + 1;
    return MN_OK;
}

mn_status mn__samples_trait(mn__samples *s, int k, const char *value, mn_error *err) {
    size_t room = strlen(value) + 1;
    mn_status st = grow_text(s, room, err);
    if (st) return st;
    memcpy(s->text + s->text_used, value, room);
    s->sample[s->set.length - 1].trait[k] = s->text_used; /* never 0: the sample's path stands before it */
    s->text_used += room;
    return MN_OK;
}

static mn_status hash_file(void *arg, int worker, int64_t i, mn_error *err) {
    (void)worker;
    mn__samples *s = arg;
    uint8_t *bytes;
    size_t size;
    mn_status st = mn__read_file(s->text + s->sample[i].path, (size_t)1 << 30, &bytes, &size, err);
    if (st) return st;
    s->sample[i].group = mn__hash64(bytes, size);
    mn_free(bytes);
    return MN_OK;
}

mn_status mn__samples_hash_files(mn__samples *s, const mn_open_opt *opt, mn_error *err) {
    return mn__parallel(s->set.length, opt, "looking for copies", hash_file, s, err);
}

mn_status mn__samples_array(mn__samples *s, int64_t n, int width, int height, int channels, mn_error *err) {
    size_t each = (size_t)width * (size_t)height * (size_t)channels;
    mn_status st = grow_samples(s, n, err);
    if (st) return st;
    if ((size_t)n > SIZE_MAX / 2 / each || !(s->pixels = mn_alloc((size_t)n * each))) return no_memory(s, err);
    s->width = width, s->height = height, s->channels = channels;
    for (int64_t i = 0; i < n; i++) s->sample[i] = no_labels;
    s->set.length = n;
    return MN_OK;
}

mn_status mn__samples_row_id(mn__samples *s, int64_t i, const char *prefix, int64_t number, mn_error *err) {
    size_t room = strlen(prefix) + 24;
    mn_status st = grow_text(s, room, err);
    if (st) return st;
    s->sample[i].id = s->sample[i].path = s->text_used;
    s->text_used += (size_t)snprintf(s->text + s->text_used, room, "%s %lld", prefix, (long long)number) + 1;
    return MN_OK;
}

/* ---- labels given as words ---- */

int mn__words_add(mn__words *w, const char *word, size_t length, mn_error *err) {
    for (int i = w->n - 1; i >= 0; i--) /* the newest first: files come class by class */
        if (!strncmp(w->word[i], word, length) && !w->word[i][length]) return i;
    if (w->n == MN_MAX_CLASSES) {
        mn_fail(err, MN_ERR_FORMAT, "more than %d classes; hint: is this the right column or folder?", MN_MAX_CLASSES);
        return -1;
    }
    if (w->n == w->capacity) {
        int capacity = 2 * w->capacity + 16;
        char **p = mn_realloc(w->word, (size_t)w->n * sizeof *p, (size_t)capacity * sizeof *p);
        if (p) w->word = p, w->capacity = capacity;
    }
    char *copy = w->n < w->capacity ? mn_alloc(length + 1) : NULL;
    if (!copy) {
        mn_fail(err, MN_ERR_MEMORY, "out of memory after %d classes", w->n);
        return -1;
    }
    memcpy(copy, word, length);
    copy[length] = 0;
    w->word[w->n] = copy;
    return w->n++;
}

static bool number(const char *s) {
    size_t n = strspn(s, "0123456789");
    return n > 0 && n < 10 && !s[n];
}

void mn__words_sort(mn__words *w, int *rank) {
    bool numbers = true;
    for (int i = 0; i < w->n; i++) numbers = numbers && number(w->word[i]);
    int order[MN_MAX_CLASSES];
    for (int i = 0; i < w->n; i++) { /* insertion: there are few */
        int k = i;
        for (; k > 0; k--) {
            const char *a = w->word[order[k - 1]], *b = w->word[i];
            if (numbers ? atoi(a) <= atoi(b) : strcmp(a, b) <= 0) break;
            order[k] = order[k - 1];
        }
        order[k] = i;
    }
    char *sorted[MN_MAX_CLASSES];
    for (int k = 0; k < w->n; k++) {
        sorted[k] = w->word[order[k]];
        rank[order[k]] = k;
    }
    memcpy(w->word, sorted, (size_t)w->n * sizeof *sorted);
}

void mn__words_free(mn__words *w) {
    for (int i = 0; i < w->n; i++) mn_free(w->word[i]);
    mn_free(w->word);
    *w = (mn__words){0};
}

static bool all_among(const mn__words *w, const char *const *name, int n) {
    for (int i = 0; i < w->n; i++) {
        bool found = false;
        for (int k = 0; k < n; k++) found = found || !strcmp(w->word[i], name[k]);
        if (!found) return false;
    }
    return w->n > 0;
}

const char *mn__head_name(const mn__words *w) {
    return all_among(w, mn_expression_names, 7) ? "emotion" : all_among(w, mn_gender_names, 2) ? "gender" : "label";
}
