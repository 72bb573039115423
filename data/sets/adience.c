/* Adience (Eidinger, Enbar, Hassner 2014): photographs of 2,284 people in five folds that share nobody.
 *   fold_0_data.txt ... fold_4_data.txt     tables with tabs: user_id, original_image, face_id, age, gender, x, y, dx, dy, ...
 *   aligned/USER/landmark_aligned_face.FACE.IMAGE      or      faces/USER/coarse_tilt_aligned_face.FACE.IMAGE
 * (the set's readme.txt). Gender is m, f or u; ages are "(25, 32)", a number, or None. */
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>

typedef struct user {
    uint64_t person;
    int fold;
} user;

typedef struct reader {
    mn__samples *s;
    const char *dir, *folder, *prefix;
    int fold, test; /* of the table that is read; the one that is the test, -1: none is said */
    mn__left_out unlabelled, absent;
    user *users;
    int64_t n_users, capacity;
} reader;

/* A person in two folds would be a leak in the tables themselves. People come one after the other, so few are looked at. */
static mn_status check_fold(reader *r, const char *name, mn_error *err) {
    uint64_t person = mn__person(name, strlen(name));
    for (int64_t i = r->n_users - 1; i >= 0; i--)
        if (r->users[i].person == person)
            return r->users[i].fold == r->fold
                       ? MN_OK
                       : mn_fail(err, MN_ERR_FORMAT, "the user \"%.60s\" is in fold %d as well; wanted folds that share nobody",
                                 name, r->users[i].fold);
    if (r->n_users == r->capacity) {
        int64_t capacity = 2 * r->capacity + 64;
        user *p = mn_realloc(r->users, (size_t)r->n_users * sizeof *p, (size_t)capacity * sizeof *p);
        if (!p) return mn_fail(err, MN_ERR_MEMORY, "out of memory after %lld people", (long long)r->n_users);
        r->users = p, r->capacity = capacity;
    }
    r->users[r->n_users++] = (user){person, r->fold};
    return MN_OK;
}

static bool plain_name(const char *name) { return *name && *name != '.' && !strchr(name, '/'); }

static mn_status add_face(reader *r, const char *user_id, const char *face, const char *image, int gender, const char *age,
                          mn_error *err) {
    char name[600], folder[600];
    int used = snprintf(name, sizeof name, "%s.%s.%s", r->prefix, face, image),
        also = snprintf(folder, sizeof folder, "%s/%s", r->folder, user_id);
    if (used < 0 || also < 0 || (size_t)used >= sizeof name || (size_t)also >= sizeof folder)
        return mn_fail(err, MN_ERR_FORMAT, "the names are too long");
    char *dir = mn__join(r->dir, folder, err), *path = dir ? mn__join(dir, name, err) : NULL;
    FILE *f = path ? fopen(path, "rb") : NULL;
    mn_status st = path ? MN_OK : MN_ERR_MEMORY;
    if (f) fclose(f);
    if (!st && !f) mn__leave_out(&r->absent, name);
    if (!st && f) st = mn__samples_file(r->s, dir, name, strlen(r->dir) + 1, err);
    mn_free(dir);
    mn_free(path);
    if (st || !f) return st;
    mn__sample *a = &r->s->sample[r->s->set.length - 1];
    a->label[0] = gender, a->group = mn__person(user_id, strlen(user_id));
    if (r->test >= 0) a->split = r->fold == r->test ? MN_SPLIT_TEST : MN_SPLIT_TRAIN;
    char band[32];
    int lo, hi;
    if (sscanf(age, "(%d, %d)", &lo, &hi) == 2)
        snprintf(band, sizeof band, "%d-%d", lo, hi);
    else if (strspn(age, "0123456789") == strlen(age) && *age)
        snprintf(band, sizeof band, "%.8s", age);
    else
        return MN_OK;
    return mn__samples_trait(r->s, 0, band, err);
}

static mn_status add_row(void *arg, const mn__csv_record *row, const int *column, long line, mn_error *err) {
    (void)line;
    reader *r = arg;
    const char *person = row->field[column[0]], *image = row->field[column[1]], *face = row->field[column[2]],
               *gender = row->field[column[4]];
    if (!plain_name(person) || !plain_name(image) || !*face || strspn(face, "0123456789") != strlen(face))
        return mn_fail(err, MN_ERR_FORMAT,
                       "wanted a user_id, the name of an image and the number of a face, not \"%.40s\", \"%.40s\", \"%.20s\"",
                       person, image, face);
    mn_status st = check_fold(r, person, err);
    if (st) return st;
    if (strcmp(gender, "m") != 0 && strcmp(gender, "f") != 0) {
        if (*gender && strcmp(gender, "u") != 0)
            return mn_fail(err, MN_ERR_FORMAT, "gender is \"%.20s\"; wanted m, f, u or nothing", gender);
        return mn__leave_out(&r->unlabelled, image), MN_OK;
    }
    return add_face(r, person, face, image, *gender == 'f', row->field[column[3]], err);
}

static mn_status read_folds(reader *r, mn_error *err) {
    static const char *const columns[] = {"user_id", "original_image", "face_id", "age", "gender"};
    static const char *const folder[2] = {"aligned", "faces"}, *const prefix[2] = {"landmark_aligned_face",
                                                                                   "coarse_tilt_aligned_face"};
    for (int k = 1; k >= 0; k--) {
        char *path = mn__join(r->dir, folder[k], err);
        if (!path) return MN_ERR_MEMORY;
        if (mn__is_folder(path)) r->folder = folder[k], r->prefix = prefix[k];
        mn_free(path);
    }
    if (!r->folder)
        return mn_fail(err, MN_ERR_FORMAT, "%s: has neither a folder aligned nor a folder faces; hint: is it the folder inside?",
                       r->dir);
    mn_status st = MN_OK;
    for (r->fold = 0; r->fold < 5 && !st; r->fold++) {
        char name[32];
        snprintf(name, sizeof name, "fold_%d_data.txt", r->fold);
        char *path = mn__join(r->dir, name, err);
        st = path ? mn__table_read(path, '\t', columns, 5, add_row, r, err) : MN_ERR_MEMORY;
        mn_free(path);
    }
    if (!st && r->s->set.length == 0)
        st = mn_fail(err, MN_ERR_FORMAT, "%s: none of the faces in the tables is there; wanted %s/USER/%s.FACE.IMAGE", r->dir,
                     r->folder, r->prefix);
    return st;
}

/* "DIR", or "DIR,fold=2": fold 2 is the test, the others train. */
mn_dataset *mn_dataset_adience(const char *spec, const mn_open_opt *opt, mn_error *err) {
    reader r = {.test = -1};
    char *dir = mn_strdup(spec);
    if (!dir) return mn_fail(err, MN_ERR_MEMORY, "adience: out of memory"), NULL;
    char *option = strrchr(dir, ',');
    if (option && !strncmp(option, ",fold=", 6)) {
        if (option[6] < '0' || option[6] > '4' || option[7]) {
            mn_fail(err, MN_ERR_ARG, "adience:%s: wanted fold=0 to fold=4", spec);
            mn_free(dir);
            return NULL;
        }
        r.test = option[6] - '0', *option = 0;
    }
    r.dir = dir;
    mn_status st = (r.s = mn__samples_create("adience", spec, err)) ? mn__samples_head(r.s, "gender", 2, mn_gender_names, err)
                                                                    : MN_ERR_MEMORY;
    if (!st) {
        r.s->set.n_traits = 1, r.s->subjects = true;
        strcpy(r.s->set.trait_name[0], "age");
        st = read_folds(&r, err);
    }
    if (!st) mn__note_left_out(&r.unlabelled, "faces without a gender", r.s->set.length, opt);
    if (!st) mn__note_left_out(&r.absent, "faces whose file is not there", r.s->set.length, opt);
    mn_free(r.users);
    mn_free(dir);
    return !st ? &r.s->set : r.s ? mn__samples_fail(r.s) : NULL;
}
