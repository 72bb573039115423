/* UTKFace (Zhang, Song, Qi 2017): [age]_[gender]_[race]_[date&time].jpg.chip.jpg in one folder.
 * The published set has a few odd names (no race, a space, a missing dot); age and gender are all that is
 * needed, so those are read. Names without a gender of 0 (man) or 1 (woman) are skipped and counted. */
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>

/* "61_1_2017..." -> 1; -1 when the name does not say. */
static int gender_of(const char *name) {
    size_t age = strspn(name, "0123456789");
    if (age < 1 || age > 3 || name[age] != '_') return -1;
    const char *g = name + age + 1;
    return (g[0] == '0' || g[0] == '1') && g[1] == '_' ? g[0] - '0' : -1;
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
    }
    if (!st && s->set.length == 0)
        st = mn_fail(err, MN_ERR_FORMAT,
                     "%s: no picture named like UTKFace's age_gender_race_date.jpg.chip.jpg; hint: is it "
                     "the folder inside?",
                     dir);
    if (!st && skipped)
        mn__note(opt, s->set.length, -1,
                 "skipped %lld files whose name gives no age and gender, the first %.100s",
                 (long long)skipped, first);
    mn__names_free(&l);
    return st;
}

mn_dataset *mn_dataset_utkface(const char *dir, const mn_open_opt *opt, mn_error *err) {
    mn__samples *s = mn__samples_create("utkface", dir, err);
    if (!s) return NULL;
    mn_status st = mn__samples_head(s, "gender", 2, mn_gender_names, err);
    if (!st) st = add_files(s, dir, opt, err);
    if (!st) st = mn__samples_hash_files(s, opt, err);
    return st ? mn__samples_fail(s) : &s->set;
}
