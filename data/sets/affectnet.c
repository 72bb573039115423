/* AffectNet (Mollahosseini, Hasani, Mahoor 2017), in any of the forms in which it is passed round:
 *   training.csv, validation.csv            subDirectory_filePath, face_x, face_y, face_width, face_height, expression, ...;
 *                                           pictures in Manually_Annotated_Images/ or beside the tables
 *   train_set/images/7.jpg, train_set/annotations/7_exp.npy; val_set/...          the release of 2021
 *   train/0/1.jpg ... train/7/9.jpg; val/... (test/...)                           a folder a class, by number or name
 * Expressions are numbers: 0 neutral, 1 happy, 2 sad, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none, 9 uncertain
 * and 10 no face are left out. Its validation part is what everybody reports on: here it is the test. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const int expression_of[8] = {6, 3, 4, 5, 2, 1, 0, 7}; /* in mn__expression_names8 */

typedef struct reader {
    mn__samples *s;
    const char *dir;
    char *images; /* folder of the pictures of a table */
    mn_split split;
    mn__left_out none;
} reader;

static mn_status add(reader *r, const char *folder, const char *file, int code, mn_error *err) {
    mn_status st = mn__samples_file(r->s, folder, file, strlen(r->dir) + 1, err);
    if (st) return st;
    mn__sample *a = &r->s->sample[r->s->set.length - 1];
    a->label[0] = expression_of[code], a->split = r->split;
    return MN_OK;
}

/* ---- tables ---- */

static bool whole_number(const char *text, double lo, double hi, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && *out == floor(*out) && *out >= lo && *out <= hi;
}

static mn_status add_row(void *arg, const mn__csv_record *row, const int *column, long line, mn_error *err) {
    (void)line;
    reader *r = arg;
    const char *file = row->field[column[0]], *word = row->field[column[1]];
    double code, box[4] = {0};
    if (!*file || *file == '/' || strstr(file, ".."))
        return mn_fail(err, MN_ERR_FORMAT, "\"%.60s\" is no path below the pictures' folder", file);
    if (!whole_number(word, 0, 10, &code)) return mn_fail(err, MN_ERR_FORMAT, "expression is \"%.20s\"; wanted 0 to 10", word);
    if (code > 7) return mn__leave_out(&r->none, file), MN_OK;
    bool boxed = column[2] >= 0 && column[3] >= 0 && column[4] >= 0 && column[5] >= 0;
    for (int k = 0; k < 4 && boxed; k++)
        if (!whole_number(row->field[column[2 + k]], k < 2 ? -MN__MAX_SIDE : 1, MN__MAX_SIDE, &box[k]))
            return mn_fail(err, MN_ERR_FORMAT, "the face is at \"%.20s\"; wanted pixels", row->field[column[2 + k]]);
    mn_status st = add(r, r->images, file, (int)code, err);
    for (int k = 0; k < 4 && !st; k++) r->s->sample[r->s->set.length - 1].cut[k] = (float)box[k];
    return st;
}

static mn_status read_table(reader *r, const char *folder, const char *name, bool *found, mn_error *err) {
    static const char *const columns[] = {"subDirectory_filePath", "expression",  "face_x?", "face_y?",
                                          "face_width?",           "face_height?"};
    char *in = *folder ? mn__join(r->dir, folder, err) : mn_strdup(r->dir), *path = in ? mn__join(in, name, err) : NULL;
    FILE *f = path ? fopen(path, "rb") : NULL;
    mn_status st = path ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", r->dir);
    if (f) fclose(f), *found = true;
    if (f) st = mn__table_read(path, ',', columns, 6, add_row, r, err);
    mn_free(path);
    mn_free(in);
    return st;
}

/* ---- a number in NumPy's format: a string, a byte string or an integer of one element ---- */

static int npy_code(const uint8_t *b, size_t n) {
    if (n < 12 || memcmp(b, "\x93NUMPY\x01", 7)) return -1;
    size_t header = (size_t)b[8] | (size_t)b[9] << 8;
    if (header > n - 10) return -1;
    char text[200];
    snprintf(text, sizeof text, "%.*s", header < 199 ? (int)header : 199, (const char *)b + 10);
    const char *kind = strstr(text, "'descr': '");
    const uint8_t *p = b + 10 + header, *end = b + n;
    if (!kind || p >= end) return -1;
    kind += 10 + (strchr("<|=", kind[10]) != NULL);
    int step = *kind == 'U' ? 4 : 1, value = 0, digits = 0;
    if (*kind == 'i' || *kind == 'u') return *p <= 10 ? *p : -1; /* little-endian */
    if (*kind != 'U' && *kind != 'S') return -1;
    for (; p < end && *p >= '0' && *p <= '9' && digits < 3; p += step, digits++) value = 10 * value + *p - '0';
    return digits && value <= 10 ? value : -1;
}

static mn_status read_annotation(const char *folder, const char *picture, int *code, mn_error *err) {
    char name[300];
    snprintf(name, sizeof name, "%.*s_exp.npy", (int)(strrchr(picture, '.') - picture) % 280, picture);
    char *path = mn__join(folder, name, err);
    uint8_t *bytes = NULL;
    size_t size;
    mn_status st = path ? mn__read_file(path, 1 << 16, &bytes, &size, err) : MN_ERR_MEMORY;
    if (!st && (*code = npy_code(bytes, size)) < 0)
        st = mn_fail(err, MN_ERR_FORMAT, "%s: wanted one number of 0 to 10 in NumPy's format", path);
    mn_free(bytes);
    mn_free(path);
    return st;
}

/* train_set/images with train_set/annotations. */
static mn_status read_annotated(reader *r, const char *part, bool *found, mn_error *err) {
    char *dir = mn__join(r->dir, part, err), *images = dir ? mn__join(dir, "images", err) : NULL,
         *notes = dir ? mn__join(dir, "annotations", err) : NULL;
    mn__names l = {0};
    mn_status st = notes && images ? MN_OK : MN_ERR_MEMORY;
    if (!st && mn__is_folder(images) && mn__is_folder(notes)) {
        *found = true;
        st = mn__names_list(images, &l, err);
    }
    for (int64_t i = 0; i < l.n && !st; i++) {
        int code;
        if (!mn__is_picture_name(l.name[i]) || (st = read_annotation(notes, l.name[i], &code, err))) continue;
        if (code > 7)
            mn__leave_out(&r->none, l.name[i]);
        else
            st = add(r, images, l.name[i], code, err);
    }
    mn__names_free(&l);
    mn_free(dir), mn_free(images), mn_free(notes);
    return st;
}

/* ---- a folder a class ---- */

/* "3" or "surprise" -> AffectNet's number; 8 for what has none; -1: no class. */
static int code_of(const char *folder) {
    if (strspn(folder, "0123456789") == strlen(folder)) return strlen(folder) < 3 && atoi(folder) <= 10 ? atoi(folder) : -1;
    int e = mn__expression_named(folder);
    for (int k = 0; k < 8; k++)
        if (expression_of[k] == e) return k;
    return -1;
}

static mn_status read_classes(reader *r, const char *part, bool *found, mn_error *err) {
    char *dir = mn__join(r->dir, part, err);
    mn__names classes = {0};
    mn_status st = dir ? MN_OK : MN_ERR_MEMORY;
    if (!st && mn__is_folder(dir)) st = mn__names_list(dir, &classes, err);
    for (int64_t k = 0; k < classes.n && !st; k++) {
        int code = code_of(classes.name[k]);
        char *path = mn__join(dir, classes.name[k], err);
        mn__names l = {0};
        if (!path)
            st = MN_ERR_MEMORY;
        else if (code >= 0 && mn__is_folder(path))
            st = mn__names_list(path, &l, err);
        for (int64_t i = 0; i < l.n && !st; i++) {
            if (!mn__is_picture_name(l.name[i])) continue;
            *found = true;
            if (code > 7)
                mn__leave_out(&r->none, l.name[i]);
            else
                st = add(r, path, l.name[i], code, err);
        }
        mn__names_free(&l);
        mn_free(path);
    }
    mn__names_free(&classes);
    mn_free(dir);
    return st;
}

static mn_status read_any(reader *r, mn_error *err) {
    static const struct {
        const char *table, *annotated, *folder;
        mn_split split;
    } parts[] = {{"training.csv", "train_set", "train", MN_SPLIT_TRAIN},
                 {"validation.csv", "val_set", "val", MN_SPLIT_TEST},
                 {NULL, "test_set", "test", MN_SPLIT_TEST}};
    static const char *const folders[] = {"", "Manually_Annotated_file_lists"};
    bool found = false;
    mn_status st = MN_OK;
    for (int form = 0; form < 3 && !found && !st; form++)
        for (int k = 0; k < 3 && !st; k++) {
            r->split = parts[k].split;
            for (int f = 0; form == 0 && f < 2 && parts[k].table && !st; f++)
                st = read_table(r, folders[f], parts[k].table, &found, err);
            if (form == 1) st = read_annotated(r, parts[k].annotated, &found, err);
            if (form == 2) st = read_classes(r, parts[k].folder, &found, err);
        }
    if (!st && r->s->set.length == 0)
        st = mn_fail(
            err, MN_ERR_FORMAT,
            "%s: no picture of AffectNet; wanted training.csv, or train_set/images and train_set/annotations, or train/0 to "
            "train/7; hint: is it the folder inside?",
            r->dir);
    return st;
}

mn_dataset *mn_dataset_affectnet(const char *dir, const mn_open_opt *opt, mn_error *err) {
    static const char *const places[] = {"Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images"};
    reader r = {.dir = dir, .s = mn__samples_create("affectnet", dir, err)};
    if (!r.s) return NULL;
    mn_status st = mn__samples_head(r.s, "emotion", 8, mn__expression_names8, err);
    for (int k = 0; k < 2 && !st && !r.images; k++) {
        if (!(r.images = mn__join(dir, places[k], err)))
            st = MN_ERR_MEMORY;
        else if (!mn__is_folder(r.images))
            mn_free(r.images), r.images = NULL;
    }
    if (!st && !r.images && !(r.images = mn_strdup(dir))) st = mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", dir);
    if (!st) st = read_any(&r, err);
    if (!st) mn__note_left_out(&r.none, "pictures without one of the eight expressions", r.s->set.length, opt);
    if (!st) st = mn__samples_hash_files(r.s, opt, err);
    mn_free(r.images);
    return st ? mn__samples_fail(r.s) : &r.s->set;
}
