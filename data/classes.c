/* A data set seen through another list of expressions: classes renamed by meaning, joined, or left out. */
#include "data/internal.h"
#include <string.h>

typedef struct relabelled {
    mn_dataset set;
    mn_dataset *of;
    int head;                /* the one that is seen through the list; -1: there is none */
    int map[MN_MAX_CLASSES]; /* its class -> the list's; -1: left out */
} relabelled;

/* The lists that have a name. Later words of a class, behind +, are joined to it. */
static const struct {
    const char *name, *list;
} lists[] = {
    {"6", "angry,disgust,fear,happy,sad,surprise"},
    {"6n", "angry,fear,happy,sad,surprise,neutral"},
    {"7", "angry,disgust,fear,happy,sad,surprise,neutral"},
    {"7c", "angry,disgust,fear,happy,sad,surprise,contempt"},
    {"8", "angry,disgust,fear,happy,sad,surprise,neutral,contempt"},
};

/* Does the word name this class: to the letter, or as another name of the same expression? */
static bool names(const char *word, const char *class) {
    int e = mn__expression_named(word);
    return !strcmp(word, class) || (e >= 0 && e == mn__expression_named(class));
}

/* The next word of the list, at most 31 letters; returns what stands behind it: ',', '+' or 0. -1: no word, or too long. */
static int next_word(const char **at, char word[32]) {
    size_t n = strcspn(*at, ",+");
    if (n < 1 || n > 31) return -1;
    memcpy(word, *at, n), word[n] = 0;
    *at += n;
    int behind = **at;
    *at += behind != 0;
    return behind;
}

static mn_status make_list(relabelled *r, const mn_head *from, const char *list, mn__words *classes, mn_error *err) {
    char word[32];
    int behind = ',', class = 0, found = 0;
    for (int k = 0; k < from->n_classes; k++) r->map[k] = -1;
    for (const char *at = list; behind;) {
        bool first = behind == ',';
        if ((behind = next_word(&at, word)) < 0 || (behind && !*at))
            return mn_fail(err, MN_ERR_ARG,
                           "classes \"%.80s\": wanted words with commas between, joined ones with +; or 6, 6n, 7, 7c, 8", list);
        int e = mn__expression_named(word), before = classes->n;
        const char *name = e >= 0 ? mn__expression_names8[e] : word;
        if (first && (class = mn__words_add(classes, name, strlen(name), err)) < 0) return err->status;
        if (first && class != before) return mn_fail(err, MN_ERR_ARG, "classes \"%.80s\": \"%s\" is named twice", list, word);
        for (int k = 0; k < from->n_classes; k++)
            if (names(word, from->class_name[k])) r->map[k] = class, found++;
    }
    return found ? MN_OK
                 : mn_fail(err, MN_ERR_ARG, "classes \"%.80s\": none of them is in %s, which has \"%s\"%s", list, r->of->name,
                           from->class_name[0], from->n_classes > 1 ? ", ..." : "");
}

static mn_status info(const mn_dataset *d, int64_t i, mn_sample_info *out, mn_error *err) {
    const relabelled *r = d->impl;
    mn_status s = r->of->info(r->of, i, out, err);
    if (!s && out->label[r->head] >= 0) out->label[r->head] = r->map[out->label[r->head]];
    return s;
}
static mn_status pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    const relabelled *r = d->impl;
    return r->of->pixels(r->of, i, im, err);
}
static void destroy(mn_dataset *d) {
    relabelled *r = d->impl;
    if (r->head >= 0) {
        for (int k = 0; d->head[r->head].class_name && k < d->head[r->head].n_classes; k++)
            mn_free(d->head[r->head].class_name[k]);
        mn_free(d->head[r->head].class_name);
    }
    mn_dataset_destroy(r->of);
    mn_free(r);
}

/* Soft labels are probabilities over the old classes: through another list they would need a new table. */
static mn_status refuse_soft(const relabelled *r, mn_error *err) {
    for (int64_t i = 0; i < r->of->length; i++) {
        mn_sample_info s;
        mn_status st = r->of->info(r->of, i, &s, err);
        if (st) return st;
        if (s.soft[r->head])
            return mn_fail(err, MN_ERR_UNSUPPORTED,
                           "%s: has class probabilities, which cannot be seen through another list of classes; "
                           "hint: leave out its votes",
                           r->of->name);
    }
    return MN_OK;
}

mn_dataset *mn_dataset_classes(mn_dataset *d, const char *list, mn_error *err) {
    relabelled *r = mn_alloc_zero(1, sizeof *r);
    if (!r) {
        mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", d->name);
        mn_dataset_destroy(d);
        return NULL;
    }
    mn__words classes = {0};
    mn_head *h = NULL;
    r->set = *d, r->of = d, r->head = -1;
    r->set.info = info, r->set.pixels = pixels, r->set.destroy = destroy, r->set.impl = r;
    for (int k = 0; k < d->n_heads; k++)
        if (!strcmp(d->head[k].name, "emotion") || (d->n_heads == 1 && strcmp(d->head[k].name, "gender") != 0)) r->head = k;
    if (r->head < 0) { /* nothing to see through it: the set stays as it is */
        mn_free(r);
        return d;
    }
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        if (!strcmp(list, lists[k].name)) list = lists[k].list;
    h = &r->set.head[r->head], h->class_name = NULL, h->n_classes = 0;
    snprintf(h->name, sizeof h->name, "emotion");
    mn_status s = make_list(r, &d->head[r->head], list, &classes, err);
    if (!s) {
        bool same = classes.n == d->head[r->head].n_classes;
        for (int k = 0; k < classes.n; k++) same = same && r->map[k] == k;
        if (!same) s = refuse_soft(r, err);
        h->class_name = classes.word, h->n_classes = classes.n;
    } else {
        mn__words_free(&classes);
    }
    if (!s) return &r->set;
    destroy(&r->set);
    return NULL;
}
