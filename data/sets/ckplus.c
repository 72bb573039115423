/* CK+ (Lucey et al. 2010) as the folders "CK+48" that are passed round: anger/S010_004_00000017.png, ... the last
 * three frames of each sequence. The first field of a name is the person, and the three frames of a sequence are
 * nearly one picture: a split by picture tests on what it trained on, so the group is the person. */
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The folders' names, and what they are called here: mn_expression_names, and contempt, which others lack. */
static const char *const folder_name[8] = {"anger", "disgust", "fear", "happy", "sadness", "surprise", "neutral", "contempt"};
static const char *const class_name[8] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt"};

/* "S010_004_00000017.png" -> 10; -1 when the name does not say. */
static int person_of(const char *name) {
    if (name[0] != 'S' && name[0] != 's') return -1;
    size_t digits = strspn(name + 1, "0123456789");
    return digits >= 1 && digits <= 6 && name[1 + digits] == '_' ? atoi(name + 1) : -1;
}

typedef struct tree {
    mn__samples *s;
    size_t skip; /* bytes of the root's path, left out of ids */
    int64_t skipped;
    char first_skipped[100];
} tree;

static mn_status add_folder(tree *t, const char *path, int class, mn_error *err) {
    mn__names l;
    mn_status st = mn__names_list(path, &l, err);
    for (int64_t i = 0; i < l.n && !st; i++) {
        int person = mn__is_picture_name(l.name[i]) ? person_of(l.name[i]) : -1;
        if (person < 0) {
            if (t->skipped++ == 0) snprintf(t->first_skipped, sizeof t->first_skipped, "%.99s", l.name[i]);
            continue;
        }
        if ((st = mn__samples_file(t->s, path, l.name[i], t->skip, err))) break;
        mn__sample *a = &t->s->sample[t->s->set.length - 1];
        a->label[0] = class, a->group = (uint64_t)person;
    }
    mn__names_free(&l);
    return st;
}

/* Classes are numbered in the order above; those without a folder are not classes. */
static mn_status add_folders(tree *t, const char *dir, const char **found, int *n_found, mn_error *err) {
    mn_status st = MN_OK;
    for (int k = 0; k < 8 && !st; k++) {
        struct stat is;
        char *path = mn__join(dir, folder_name[k], err);
        if (!path) return MN_ERR_MEMORY;
        if (stat(path, &is) == 0 && S_ISDIR(is.st_mode)) {
            st = add_folder(t, path, *n_found, err);
            found[(*n_found)++] = class_name[k];
        }
        mn_free(path);
    }
    if (!st && t->s->set.length == 0)
        st = mn_fail(err, MN_ERR_FORMAT,
                     "%s: no picture like CK+48's anger/S010_004_00000017.png; wanted folders anger, contempt, "
                     "disgust, fear, happy, sadness, surprise; hint: is it the folder inside?",
                     dir);
    return st;
}

mn_dataset *mn_dataset_ckplus(const char *dir, const mn_open_opt *opt, mn_error *err) {
    bool original;
    mn_dataset *d = mn__ckplus_tree(dir, &original, opt, err);
    if (original) return d;
    tree t = {.s = mn__samples_create("ckplus", dir, err), .skip = strlen(dir) + 1};
    if (!t.s) return NULL;
    const char *found[8];
    int n_found = 0;
    mn_status st = add_folders(&t, dir, found, &n_found, err);
    if (!st) st = mn__samples_head(t.s, "emotion", n_found, found, err);
    if (!st && t.skipped)
        mn__note(opt, t.s->set.length, -1, "skipped %lld files whose name gives no person, the first %.100s",
                 (long long)t.skipped, t.first_skipped);
    return st ? mn__samples_fail(t.s) : &t.s->set;
}
