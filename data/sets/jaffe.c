/* JAFFE (Lyons, Akamatsu, Kamachi, Gyoba 1998): 213 pictures of ten women, KA.AN1.39.tiff in one folder: the woman's
 * initials, the expression and its number, a running number. They come as TIFF: convert them to PNG under the same names. */
#include "data/internal.h"
#include <ctype.h>
#include <string.h>

static int expression_of(const char *code) {
    static const char *const codes[7] = {"AN", "DI", "FE", "HA", "SA", "SU", "NE"};
    for (int k = 0; k < 7; k++)
        if (!strncmp(code, codes[k], 2)) return k;
    return -1;
}

typedef struct reader {
    mn__samples *s;
    size_t skip;
    int64_t foreign;
    mn__left_out others;
} reader;

static mn_status visit(void *arg, const char *folder, const char *name, mn_error *err) {
    reader *r = arg;
    bool named = isupper((unsigned char)name[0]) && isupper((unsigned char)name[1]) && name[2] == '.' &&
                 expression_of(name + 3) >= 0 && isdigit((unsigned char)name[5]);
    if (named && mn__is_foreign_picture(name)) r->foreign++;
    if (!named || !mn__is_picture_name(name)) return mn__leave_out(&r->others, name), MN_OK;
    mn_status st = mn__samples_file(r->s, folder, name, r->skip, err);
    if (st) return st;
    mn__sample *a = &r->s->sample[r->s->set.length - 1];
    a->label[0] = expression_of(name + 3), a->group = mn__person(name, 2);
    return MN_OK;
}

mn_dataset *mn_dataset_jaffe(const char *dir, const mn_open_opt *opt, mn_error *err) {
    reader r = {.s = mn__samples_create("jaffe", dir, err), .skip = strlen(dir) + 1};
    if (!r.s) return NULL;
    r.s->subjects = true;
    mn_status st = mn__samples_head(r.s, "emotion", 7, mn_expression_names, err);
    if (!st) st = mn__walk(dir, visit, &r, err);
    if (!st && r.s->set.length == 0)
        st = r.foreign ? mn_fail(err, MN_ERR_FORMAT,
                                 "%s: holds %lld TIFF pictures of JAFFE, which are not read; hint: convert them to PNG "
                                 "with the same names: mogrify -format png *.tiff",
                                 dir, (long long)r.foreign)
                       : mn_fail(err, MN_ERR_FORMAT,
                                 "%s: no picture named like JAFFE's KA.AN1.39.png; hint: is it the folder inside?", dir);
    if (!st) mn__note_left_out(&r.others, "files not named like JAFFE's pictures", r.s->set.length, opt);
    return st ? mn__samples_fail(r.s) : &r.s->set;
}
