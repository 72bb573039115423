/* One folder a class, with PNG and JPEG files in it; or train/, valid/, test/ with such folders inside. */
#include "data/internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- the names in a folder, sorted: what readdir gives differs from machine to machine ---- */

static mn_status list_names(const char *dir, mn__names *out, mn_error *err) {
    DIR *d = opendir(dir);
    if (!d) return mn_fail(err, MN_ERR_IO, "%s: cannot be opened as a folder: %s", dir, strerror(errno));
    mn_status s = MN_OK;
    for (struct dirent *e; !s && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        if (out->n == out->capacity) {
            int64_t capacity = 2 * out->capacity + 64;
            char **p = mn_realloc(out->name, (size_t)out->n * sizeof *p, (size_t)capacity * sizeof *p);
            if (p) out->name = p, out->capacity = capacity;
        }
        char *copy = out->n < out->capacity ? mn_strdup(e->d_name) : NULL;
        if (copy)
            out->name[out->n++] = copy;
        else
            s = mn_fail(err, MN_ERR_MEMORY, "%s: out of memory after %lld names", dir, (long long)out->n);
    }
    closedir(d);
    return s;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

mn_status mn__names_list(const char *dir, mn__names *out, mn_error *err) {
    *out = (mn__names){0};
    mn_status s = list_names(dir, out, err);
    if (s)
        mn__names_free(out);
    else if (out->n)
        qsort(out->name, (size_t)out->n, sizeof *out->name, by_name);
    return s;
}

void mn__names_free(mn__names *l) {
    for (int64_t i = 0; i < l->n; i++) mn_free(l->name[i]);
    mn_free(l->name);
    *l = (mn__names){0};
}

bool mn__is_picture_name(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

char *mn__join(const char *dir, const char *name, mn_error *err) {
    size_t n = strlen(dir) + strlen(name) + 2;
    char *p = mn_alloc(n);
    if (p)
        snprintf(p, n, "%s/%s", dir, name);
    else
        mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", dir);
    return p;
}

bool mn__is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static mn_status walk(const char *dir, int depth, mn__visit each, void *arg, mn_error *err) {
    mn__names l;
    mn_status s = mn__names_list(dir, &l, err);
    for (int64_t i = 0; i < l.n && !s; i++) {
        char *path = mn__join(dir, l.name[i], err);
        if (!path)
            s = MN_ERR_MEMORY;
        else if (!mn__is_folder(path))
            s = each(arg, dir, l.name[i], err);
        else if (depth)
            s = walk(path, depth - 1, each, arg, err);
        mn_free(path);
    }
    mn__names_free(&l);
    return s;
}

mn_status mn__walk(const char *dir, mn__visit each, void *arg, mn_error *err) { return walk(dir, 8, each, arg, err); }

/* ---- reading a tree ---- */

typedef struct tree {
    mn__samples *s;
    mn__words classes;
    size_t skip; /* bytes of the root's path, left out of ids */
    int64_t ignored;
    char first_ignored[100];
} tree;

/* The pictures of one class. */
static mn_status add_class(tree *t, const char *dir, const char *name, mn_split split, mn_error *err) {
    int class = mn__words_add(&t->classes, name, strlen(name), err);
    if (class < 0) return err->status;
    char *path = mn__join(dir, name, err);
    if (!path) return MN_ERR_MEMORY;
    mn__names l;
    mn_status s = mn__names_list(path, &l, err);
    for (int64_t i = 0; i < l.n && !s; i++) {
        if (!mn__is_picture_name(l.name[i])) {
            if (t->ignored++ == 0) snprintf(t->first_ignored, sizeof t->first_ignored, "%.50s/%.45s", name, l.name[i]);
            continue;
        }
        if ((s = mn__samples_file(t->s, path, l.name[i], t->skip, err))) break;
        mn__sample *a = &t->s->sample[t->s->set.length - 1];
        a->label[0] = class, a->split = split;
    }
    mn__names_free(&l);
    mn_free(path);
    return s;
}

/* The classes in `dir`. */
static mn_status add_classes(tree *t, const char *dir, mn_split split, mn_error *err) {
    mn__names l;
    mn_status s = mn__names_list(dir, &l, err);
    for (int64_t i = 0; i < l.n && !s; i++) {
        char *path = mn__join(dir, l.name[i], err);
        if (!path)
            s = MN_ERR_MEMORY;
        else if (mn__is_folder(path))
            s = add_class(t, dir, l.name[i], split, err);
        else if (t->ignored++ == 0)
            snprintf(t->first_ignored, sizeof t->first_ignored, "%.90s", l.name[i]);
        mn_free(path);
    }
    mn__names_free(&l);
    return s;
}

/* The splits in `dir`, if there are any. */
static mn_status add_splits(tree *t, const char *dir, bool *found, mn_error *err) {
    mn__names l;
    mn_status s = mn__names_list(dir, &l, err);
    *found = false;
    for (int64_t i = 0; i < l.n && !s; i++) {
        mn_split split;
        if (!mn__split_named(l.name[i], &split)) continue;
        char *path = mn__join(dir, l.name[i], err);
        if (!path) {
            s = MN_ERR_MEMORY;
        } else if (mn__is_folder(path)) {
            *found = true;
            s = add_classes(t, path, split, err);
        }
        mn_free(path);
    }
    mn__names_free(&l);
    return s;
}

/* Sorts the classes, renumbers the labels, makes the head. */
static mn_status finish(tree *t, const char *dir, const mn_open_opt *opt, mn_error *err) {
    int rank[MN_MAX_CLASSES];
    int64_t count[MN_MAX_CLASSES] = {0};
    if (t->s->set.length == 0)
        return mn_fail(err, MN_ERR_FORMAT,
                       "%s: no pictures; wanted one folder for each class with PNG or JPEG files in it; "
                       "hint: %s/happy/1.png, %s/sad/2.png, ...",
                       dir, dir, dir);
    mn__words_sort(&t->classes, rank);
    for (int64_t i = 0; i < t->s->set.length; i++) {
        int32_t *label = &t->s->sample[i].label[0];
        *label = rank[*label];
        count[*label]++;
    }
    for (int k = 0; k < t->classes.n; k++)
        if (count[k] == 0)
            return mn_fail(err, MN_ERR_FORMAT,
                           "%s: the folder of class \"%s\" holds no PNG or JPEG file; hint: fill it or "
                           "remove it",
                           dir, t->classes.word[k]);
    if (t->ignored)
        mn__note(opt, t->s->set.length, -1, "ignored %lld files that are not PNG or JPEG in a class folder, the first %s",
                 (long long)t->ignored, t->first_ignored);
    mn_status s = mn__samples_head(t->s, mn__head_name(&t->classes), t->classes.n, (const char *const *)t->classes.word, err);
    return s ? s : mn__samples_hash_files(t->s, opt, err);
}

mn_dataset *mn_dataset_folder(const char *dir, const mn_open_opt *opt, mn_error *err) {
    mn_error local = {0};
    if (!err) err = &local; /* add_class reads the status back */
    tree t = {.s = mn__samples_create("folder", dir, err), .skip = strlen(dir) + 1};
    if (!t.s) return NULL;
    bool splits;
    mn_status s = add_splits(&t, dir, &splits, err);
    if (!s && !splits) s = add_classes(&t, dir, MN_SPLIT_NONE, err);
    if (!s) s = finish(&t, dir, opt, err);
    mn__words_free(&t.classes);
    return s ? mn__samples_fail(t.s) : &t.s->set;
}
