/* UTKFace (Zhang, Song, Qi 2017): [age]_[gender]_[race]_[date&time].jpg.chip.jpg in one folder.
 * The published set has a few odd names (no race, a space, a missing dot); age and gender are all that is
 * needed, so those are read. Names without a gender of 0 (man) or 1 (woman) are skipped and counted. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where the faces are, as shares of the picture's sides: UTKFace's mean eye line and the distance of the eyes, and
 * those of FER2013, which are also those of the crops that prediction makes. A network with both heads sees one
 * geometry, or it learns to tell the data sets apart. */
#define EYE_LINE 0.28
#define EYE_DISTANCE 0.41
#define WANTED_EYE_LINE 0.36
#define WANTED_EYE_DISTANCE 0.36

/* "61_1_2017..." -> 1; -1 when the name does not say. */
static int gender_of(const char *name) {
    size_t age = strspn(name, "0123456789");
    if (age < 1 || age > 3 || name[age] != '_') return -1;
    const char *g = name + age + 1;
    return (g[0] == '0' || g[0] == '1') && g[1] == '_' ? g[0] - '0' : -1;
}

/* The fields before the date: age in bands, and the race field, whose five words are the data set's. */
static mn_status add_traits(mn__samples *s, const char *name, mn_error *err) {
    static const char *const race_name[5] = {"White", "Black", "Asian", "Indian", "other"};
    static const int begin[] = {0, 4, 13, 20, 30, 40, 50, 60, 70};
    enum { BANDS = sizeof begin / sizeof *begin };
    char band[32];
    int age = atoi(name), k = BANDS - 1;
    while (age < begin[k]) k--;
    if (k == BANDS - 1)
        snprintf(band, sizeof band, "%d and over", begin[k]);
    else
        snprintf(band, sizeof band, "%d-%d", begin[k], begin[k + 1] - 1);
    mn_status st = mn__samples_trait(s, 0, band, err);
    const char *race = strchr(name, '_') + 3;
    if (!st && race[0] >= '0' && race[0] <= '4' && race[1] == '_') st = mn__samples_trait(s, 1, race_name[race[0] - '0'], err);
    return st;
}

static mn_status add_files(mn__samples *s, const char *dir, const mn_open_opt *opt, mn_error *err) {
    mn__names l;
    mn_status st = mn__names_list(dir, &l, err);
    int64_t skipped = 0;
    const char *first = "";
    for (int64_t i = 0; i < l.n && !st; i++) {
        int gender = mn__is_picture_name(l.name[i]) ? gender_of(l.name[i]) : -1;
        if (gender < 0) {
            if (skipped++ == 0) first = l.name[i];
            continue;
        }
        st = mn__samples_file(s, dir, l.name[i], strlen(dir) + 1, err);
        if (!st) s->sample[s->set.length - 1].label[0] = gender;
        if (!st) st = add_traits(s, l.name[i], err);
    }
    if (!st && s->set.length == 0)
        st = mn_fail(err, MN_ERR_FORMAT,
                     "%s: no picture named like UTKFace's age_gender_race_date.jpg.chip.jpg; hint: is it "
                     "the folder inside?",
                     dir);
    if (!st && skipped)
        mn__note(opt, s->set.length, -1, "skipped %lld files whose name gives no age and gender, the first %.100s",
                 (long long)skipped, first);
    mn__names_free(&l);
    return st;
}

static mn_dataset *open_folder(const char *dir, const mn_open_opt *opt, mn_error *err) {
    mn__samples *s = mn__samples_create("utkface", dir, err);
    if (!s) return NULL;
    mn_status st = mn__samples_head(s, "gender", 2, mn_gender_names, err);
    s->set.n_traits = 2;
    strcpy(s->set.trait_name[0], "age");
    strcpy(s->set.trait_name[1], "race");
    if (!st) st = add_files(s, dir, opt, err);
    if (!st) st = mn__samples_hash_files(s, opt, err);
    return st ? mn__samples_fail(s) : &s->set;
}

/* A larger window around the picture, its border going on. */
static mn_status wider(const mn_dataset *d, int64_t i, mn_image *out, mn_error *err) {
    mn_status st = mn__bounds(d, i, err);
    const mn__samples *s = d->impl;
    mn_image file = {0};
    if (!st) st = mn_image_load(&file, s->text + s->sample[i].path, err);
    if (!st) {
        double grow = EYE_DISTANCE / WANTED_EYE_DISTANCE, width = grow * file.width, height = grow * file.height;
        st = mn_image_crop(out, &file, (int)lrint((file.width - width) / 2),
                           (int)lrint(EYE_LINE * file.height - WANTED_EYE_LINE * height), (int)lrint(width), (int)lrint(height),
                           err);
    }
    mn_image_free(&file);
    return st;
}

/* "DIR", or "DIR,crop=asis": the pictures as they are in the files. */
mn_dataset *mn_dataset_utkface(const char *spec, const mn_open_opt *opt, mn_error *err) {
    static const char as_is[] = ",crop=asis";
    size_t length = strlen(spec), tail = sizeof as_is - 1;
    bool plain = length > tail && !strcmp(spec + length - tail, as_is);
    char *dir = mn_strdup(spec);
    if (!dir) return mn_fail(err, MN_ERR_MEMORY, "utkface: out of memory"), NULL;
    if (plain) dir[length - tail] = 0;
    mn_dataset *d = open_folder(dir, opt, err);
    if (d && !plain) d->pixels = wider;
    mn_free(dir);
    return d;
}
