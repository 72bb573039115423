/* KDEF (Lundqvist, Flykt, Ohman 1998): 70 people, each expression photographed twice from five angles.
 * KDEF/AF01/AF01ANFL.JPG: session (A, B), gender (F, M), number, expression, angle (FL, HL full and half left profile, S
 * straight, HR, FR). The two sessions of a person are one person. The names are those of the set's "About KDEF". */
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    mn__samples *s;
    size_t skip;
    bool all; /* angles; else straight only */
    mn__left_out others, angles;
} reader;

static int index_of(const char *text, const char *const *list, int n) {
    for (int k = 0; k < n; k++)
        if (!strncmp(text, list[k], strlen(list[k]))) return k;
    return -1;
}

static mn_status visit(void *arg, const char *folder, const char *name, mn_error *err) {
    static const char *const codes[7] = {"AN", "DI", "AF", "HA", "SA", "SU", "NE"}; /* afraid: fear */
    static const char *const angles[5] = {"S.", "HL.", "HR.", "FL.", "FR."};
    static const char *const angle_name[5] = {"straight", "half left", "half right", "full left", "full right"};
    reader *r = arg;
    bool named = (name[0] == 'A' || name[0] == 'B') && (name[1] == 'F' || name[1] == 'M') && strspn(name + 2, "0123456789") == 2;
    int expression = named ? index_of(name + 4, codes, 7) : -1, angle = expression >= 0 ? index_of(name + 6, angles, 5) : -1;
    if (angle < 0 || !mn__is_picture_name(name)) return mn__leave_out(&r->others, name), MN_OK;
    if (angle > 0 && !r->all) return mn__leave_out(&r->angles, name), MN_OK;
    mn_status st = mn__samples_file(r->s, folder, name, r->skip, err);
    if (st) return st;
    mn__sample *a = &r->s->sample[r->s->set.length - 1];
    a->label[0] = expression, a->label[1] = name[1] == 'F';
    a->group = (uint64_t)(atoi((char[3]){name[2], name[3]}) + (name[1] == 'F' ? 100 : 0));
    return mn__samples_trait(r->s, 0, angle_name[angle], err);
}

/* "DIR", or "DIR,angles=all". */
mn_dataset *mn_dataset_kdef(const char *spec, const mn_open_opt *opt, mn_error *err) {
    static const char tail[] = ",angles=all";
    size_t length = strlen(spec), more = sizeof tail - 1;
    reader r = {.all = length > more && !strcmp(spec + length - more, tail)};
    char *dir = mn_strdup(spec);
    if (!dir) return mn_fail(err, MN_ERR_MEMORY, "kdef: out of memory"), NULL;
    if (r.all) dir[length - more] = 0;
    r.skip = strlen(dir) + 1;
    mn_status st = (r.s = mn__samples_create("kdef", dir, err)) ? MN_OK : MN_ERR_MEMORY;
    if (!st) st = mn__samples_head(r.s, "emotion", 7, mn_expression_names, err);
    if (!st) st = mn__samples_head(r.s, "gender", 2, mn_gender_names, err);
    if (!st) {
        r.s->set.n_traits = 1, r.s->subjects = true;
        strcpy(r.s->set.trait_name[0], "angle");
        st = mn__walk(dir, visit, &r, err);
    }
    if (!st && r.s->set.length == 0)
        st =
            mn_fail(err, MN_ERR_FORMAT, "%s: no picture named like KDEF's AF01/AF01ANS.JPG; hint: is it the folder inside?", dir);
    if (!st) mn__note_left_out(&r.others, "files not named like KDEF's pictures", r.s->set.length, opt);
    if (!st) mn__note_left_out(&r.angles, "pictures from the side (all are read with ,angles=all)", r.s->set.length, opt);
    mn_free(dir);
    return !st ? &r.s->set : r.s ? mn__samples_fail(r.s) : NULL;
}
