/* A csv file that lists pictures: path,label[,label2...]. The header names the columns; "split" (train,
 * valid, test) and "group" (any word; equal words stay on one side of a split) mean themselves, "by:NAME" is a
 * trait that scores are given by, every other column is a head, its words the classes. An empty field is a
 * missing label. */
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>

typedef struct list {
    mn__samples *s;
    char *dir; /* of the csv file: relative paths start there */
    int path, split, group, n_columns;
    int trait[MN_MAX_TRAITS]; /* their columns */
    int n_heads, column[MN_MAX_HEADS];
    mn__words words[MN_MAX_HEADS];
    char name[MN_MAX_HEADS][32];
} list;

/* 1: the column is a trait; 0: it is not; -1: there are too many. */
static int add_trait(list *l, const char *name, int column, mn_error *err) {
    mn_dataset *d = &l->s->set;
    if (strncmp(name, "by:", 3) || !name[3]) return 0;
    if (d->n_traits == MN_MAX_TRAITS || strlen(name + 3) >= sizeof d->trait_name[0]) {
        mn_fail(err, MN_ERR_FORMAT,
                "line 1: \"%.60s\" is one of more than %d columns by:NAME, or its name is longer than %zu letters", name,
                MN_MAX_TRAITS, sizeof d->trait_name[0] - 1);
        return -1;
    }
    strcpy(d->trait_name[d->n_traits], name + 3);
    l->trait[d->n_traits++] = column;
    return 1;
}

static mn_status read_header(list *l, char **at, char *end, mn_error *err) {
    mn__csv_record h;
    const char *why = mn__csv_split(at, end, &h);
    if (why) return mn_fail(err, MN_ERR_FORMAT, "line 1: %s", why);
    l->path = mn__csv_find(&h, "path");
    l->split = mn__csv_find(&h, "split");
    l->group = mn__csv_find(&h, "group");
    l->n_columns = h.n;
    if (l->path < 0)
        return mn_fail(err, MN_ERR_FORMAT,
                       "line 1: no column named path but \"%.60s\", ...; wanted a header like path,emotion "
                       "or path,emotion,gender",
                       h.field[0]);
    for (int c = 0; c < h.n; c++) {
        if (c == l->path || c == l->split || c == l->group) continue;
        int trait = add_trait(l, h.field[c], c, err);
        if (trait < 0) return MN_ERR_FORMAT;
        if (trait) continue;
        if (l->n_heads == MN_MAX_HEADS)
            return mn_fail(err, MN_ERR_FORMAT, "line 1: more than %d columns with labels", MN_MAX_HEADS);
        if (!h.field[c][0] || strlen(h.field[c]) >= sizeof l->name[0] || mn__csv_find(&h, h.field[c]) != c)
            return mn_fail(err, MN_ERR_FORMAT,
                           "line 1: column %d has no name, a name longer than %zu letters, or one used "
                           "twice: \"%.60s\"",
                           c + 1, sizeof l->name[0] - 1, h.field[c]);
        strcpy(l->name[l->n_heads], h.field[c]);
        l->column[l->n_heads++] = c;
    }
    if (l->n_heads == 0) return mn_fail(err, MN_ERR_FORMAT, "line 1: no column with labels; wanted a header like path,emotion");
    return MN_OK;
}

static mn_status read_split(const char *word, mn_split *split, long line, mn_error *err) {
    if (!*word || mn__split_named(word, split)) return MN_OK;
    return mn_fail(err, MN_ERR_FORMAT, "line %ld: split is \"%.40s\"; wanted train, valid, test or nothing", line, word);
}

static mn_status read_row(list *l, const mn__csv_record *r, long line, mn_error *err) {
    if (r->n != l->n_columns)
        return mn_fail(err, MN_ERR_FORMAT, "line %ld: has %d fields, the header has %d; hint: a path with a comma needs quotes",
                       line, r->n, l->n_columns);
    const char *path = r->field[l->path];
    if (!*path) return mn_fail(err, MN_ERR_FORMAT, "line %ld: the path is empty", line);
    bool absolute = *path == '/';
    mn_status s = mn__samples_file(l->s, absolute ? "" : l->dir, path, absolute ? 0 : strlen(l->dir) + 1, err);
    if (s) return s;
    mn__sample *a = &l->s->sample[l->s->set.length - 1];
    for (int h = 0; h < l->n_heads; h++) {
        const char *word = r->field[l->column[h]];
        if (!*word) continue;
        a->label[h] = mn__words_add(&l->words[h], word, strlen(word), err);
        if (a->label[h] < 0) {
            mn_error_prefix(err, "line %ld", line);
            return MN_ERR_FORMAT;
        }
    }
    for (int k = 0; k < l->s->set.n_traits && !s; k++)
        if (*r->field[l->trait[k]]) s = mn__samples_trait(l->s, k, r->field[l->trait[k]], err);
    if (s) return s;
    return l->split >= 0 ? read_split(r->field[l->split], &a->split, line, err) : MN_OK;
}

static mn_status finish_heads(list *l, mn_error *err) {
    for (int h = 0; h < l->n_heads; h++) {
        int rank[MN_MAX_CLASSES];
        if (l->words[h].n == 0) return mn_fail(err, MN_ERR_FORMAT, "column \"%s\" is empty in every row", l->name[h]);
        mn__words_sort(&l->words[h], rank);
        for (int64_t i = 0; i < l->s->set.length; i++) {
            int32_t *label = &l->s->sample[i].label[h];
            if (*label >= 0) *label = rank[*label];
        }
        mn_status s = mn__samples_head(l->s, l->name[h], l->words[h].n, (const char *const *)l->words[h].word, err);
        if (s) return s;
    }
    return MN_OK;
}

static mn_status read_list(list *l, char *bytes, size_t size, mn_error *err) {
    char *at = bytes, *end = bytes + size;
    if (size >= 3 && !memcmp(at, "\xef\xbb\xbf", 3)) at += 3; /* byte-order mark */
    mn_status s = read_header(l, &at, end, err);
    for (long line = 2; at < end && !s; line++) {
        mn__csv_record r;
        const char *why = mn__csv_split(&at, end, &r);
        if (why) return mn_fail(err, MN_ERR_FORMAT, "line %ld: %s", line, why);
        if (r.n == 1 && !r.field[0][0]) continue; /* an empty line */
        if ((s = read_row(l, &r, line, err))) break;
        if (l->group >= 0) { /* without a word: a group for each path */
            mn__sample *a = &l->s->sample[l->s->set.length - 1];
            const char *word = r.field[l->group][0] ? r.field[l->group] : l->s->text + a->path;
            a->group = mn__hash64(word, strlen(word));
        }
    }
    if (!s && l->s->set.length == 0) s = mn_fail(err, MN_ERR_FORMAT, "has a header and no rows");
    return s ? s : finish_heads(l, err);
}

static char *folder_of(const char *file) {
    const char *slash = strrchr(file, '/');
    char *dir = mn_strdup(slash ? file : ".");
    if (dir && slash) dir[slash == file ? 1 : slash - file] = 0;
    return dir;
}

mn_dataset *mn_dataset_list(const char *csv, const mn_open_opt *opt, mn_error *err) {
    list l = {.s = mn__samples_create("list", csv, err)};
    if (!l.s) return NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    mn_status s = MN_OK;
    if (!(l.dir = folder_of(csv))) s = mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", csv);
    if (!s) s = mn__read_file(csv, (size_t)1 << 30, &bytes, &size, err);
    if (!s && (s = read_list(&l, (char *)bytes, size, err))) mn_error_prefix(err, "%s", csv);
    mn_free(bytes);
    mn_free(l.dir);
    for (int h = 0; h < MN_MAX_HEADS; h++) mn__words_free(&l.words[h]);
    /* Groups of the file's own stand; else copies of a picture are found by their bytes. */
    l.s->subjects = l.group >= 0;
    if (!s && l.group < 0) s = mn__samples_hash_files(l.s, opt, err);
    return s ? mn__samples_fail(l.s) : &l.s->set;
}
