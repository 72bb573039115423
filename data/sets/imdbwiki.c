/* IMDB-WIKI crops (Rothe, Timofte, Van Gool 2015): imdb_crop/00/nm0000100_rm1234_1955-1-6_2003.jpg, and a .mat file that
 * says who is a man. That file is not read: docs/data.md has the lines of Python that turn it into a table with the columns
 * path (or full_path), gender (1 man, 0 woman, nan), and where wanted face_score and second_face_score; paths start at the
 * table's folder. Left out, as its authors advise: no face (score missing or below 1), a second face, no gender. Person, birth
 * and year come from the file's name: of imdb "nm0000100", of wiki the number. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct reader {
    mn__samples *s;
    char *dir;
    mn__left_out unlabelled, poor;
} reader;

/* The last fields of the name, "_1955-1-6_2003.jpg": the age in that year; -1: not said, or impossible. */
static int age_of(const char *name) {
    const char *year = strrchr(name, '_'), *birth = year;
    while (birth && birth > name && birth[-1] != '_') birth--;
    if (!birth || birth == name || strspn(birth, "0123456789-") != (size_t)(year - birth)) return -1;
    int age = atoi(year + 1) - atoi(birth);
    return age >= 0 && age <= 110 ? age : -1;
}

static bool number(const char *text, double *out) {
    char *end;
    *out = *text ? strtod(text, &end) : NAN;
    return !*text || (end != text && !*end);
}

static mn_status add_row(void *arg, const mn__csv_record *row, const int *column, long line, mn_error *err) {
    (void)line;
    reader *r = arg;
    if (column[0] < 0 && column[1] < 0) return mn_fail(err, MN_ERR_FORMAT, "the table has no column named path or full_path");
    const char *path = row->field[column[0] >= 0 ? column[0] : column[1]];
    double gender, score = 5, second = NAN;
    bool ok = number(row->field[column[2]], &gender);
    if (column[3] >= 0) ok = number(row->field[column[3]], &score) && ok;
    if (column[4] >= 0) ok = number(row->field[column[4]], &second) && ok;
    if (!ok) return mn_fail(err, MN_ERR_FORMAT, "gender or a face's score is not a number: \"%.20s\"", row->field[column[2]]);
    if (!*path || *path == '/' || strstr(path, ".."))
        return mn_fail(err, MN_ERR_FORMAT, "\"%.60s\" is no path below the table's folder", path);
    if (gender != 0 && gender != 1) {
        if (isfinite(gender)) return mn_fail(err, MN_ERR_FORMAT, "gender is %g; wanted 0 (woman), 1 (man) or nan", gender);
        return mn__leave_out(&r->unlabelled, path), MN_OK;
    }
    if (!(score >= 1) || second > 0) return mn__leave_out(&r->poor, path), MN_OK;
    mn_status st = mn__samples_file(r->s, r->dir, path, strlen(r->dir) + 1, err);
    if (st) return st;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    mn__sample *a = &r->s->sample[r->s->set.length - 1];
    a->label[0] = gender == 0, a->group = mn__person(name, strcspn(name, "_"));
    char band[32];
    int age = age_of(name);
    if (age < 0) return MN_OK;
    mn__age_band(age, band);
    return mn__samples_trait(r->s, 0, band, err);
}

mn_dataset *mn_dataset_imdbwiki(const char *csv, const mn_open_opt *opt, mn_error *err) {
    static const char *const columns[] = {"path?", "full_path?", "gender", "face_score?", "second_face_score?"};
    reader r = {.s = mn__samples_create("imdbwiki", csv, err)};
    if (!r.s) return NULL;
    const char *dot = strrchr(csv, '.'), *slash = strrchr(csv, '/');
    mn_status st = mn__samples_head(r.s, "gender", 2, mn_gender_names, err);
    r.s->set.n_traits = 1, r.s->subjects = true;
    strcpy(r.s->set.trait_name[0], "age");
    if (!st && dot && !strcasecmp(dot, ".mat"))
        st = mn_fail(err, MN_ERR_FORMAT,
                     "%s: .mat files are not read; hint: docs/data.md has a few lines of Python that make a csv of it", csv);
    if (!st && !(r.dir = mn_strdup(slash ? csv : "."))) st = mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", csv);
    if (!st && slash) r.dir[slash == csv ? 1 : slash - csv] = 0;
    if (!st) st = mn__table_read(csv, ',', columns, 5, add_row, &r, err);
    if (!st && r.s->set.length == 0) st = mn_fail(err, MN_ERR_FORMAT, "%s: no row has a face and a gender", csv);
    if (!st) mn__note_left_out(&r.unlabelled, "pictures without a gender", r.s->set.length, opt);
    if (!st) mn__note_left_out(&r.poor, "pictures without a face or with two", r.s->set.length, opt);
    mn_free(r.dir);
    return st ? mn__samples_fail(r.s) : &r.s->set;
}
