/* CK+ (Lucey et al. 2010) as its authors distribute it: 593 sequences of 123 people from neutral to the apex,
 *   cohn-kanade-images/S005/001/S005_001_00000011.png      frames, 640 x 490
 *   Emotion/S005/001/S005_001_00000011_emotion.txt         one number of 0..7, for 327 sequences, named after the last frame
 *   Landmarks/S005/001/S005_001_00000011_landmarks.txt     68 points (x y), where unpacked
 * (the distribution's ReadMeCohnKanadeDatabase). The last three frames of a labelled sequence show its expression, the first
 * one is neutral. With landmarks, faces are cut out and turned by the points of the eyes, in FER2013's geometry. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { APEX_FRAMES = 3, NEUTRAL = 6 };

typedef struct reader {
    mn__samples *s;
    const char *root, *images, *emotion;
    bool landmarks;
    mn__left_out unlabelled, unmarked;
} reader;

/* Files of "<dir>/<a>/<b>" and so on; NULL: no memory. */
static char *path3(const char *dir, const char *a, const char *b, const char *c, mn_error *err) {
    size_t n = strlen(dir) + strlen(a) + strlen(b) + strlen(c) + 4;
    char *p = mn_alloc(n);
    if (p)
        snprintf(p, n, *c ? "%s/%s/%s/%s" : "%s/%s/%s", dir, a, b, c);
    else
        mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", dir);
    return p;
}

/* The sequence's label: the number in its one emotion file; -1: it has none. */
static mn_status read_emotion(const reader *r, const char *person, const char *sequence, int *label, mn_error *err) {
    static const int expression[8] = {NEUTRAL, 0, 7, 1,
                                      2,       3, 4, 5}; /* neutral anger contempt disgust fear happy sadness surprise */
    *label = -1;
    char *dir = path3(r->root, r->emotion, person, sequence, err);
    if (!dir) return MN_ERR_MEMORY;
    mn__names l = {0};
    mn_status st = mn__is_folder(dir) ? mn__names_list(dir, &l, err) : MN_OK;
    for (int64_t i = 0; i < l.n && !st; i++) {
        const char *end = strstr(l.name[i], "_emotion.txt");
        uint8_t *text = NULL;
        size_t size;
        char *path = end ? mn__join(dir, l.name[i], err) : NULL;
        if (end && !path) st = MN_ERR_MEMORY;
        if (path && !(st = mn__read_file(path, 4096, &text, &size, err))) {
            char *stop;
            double v = strtod((char *)text, &stop);
            if (stop == (char *)text || v != floor(v) || v < 0 || v > 7 || stop[strspn(stop, " \t\r\n")])
                st = mn_fail(err, MN_ERR_FORMAT, "%s: wanted one number of 0 to 7, not \"%.20s\"", path, (char *)text);
            else
                *label = expression[(int)v];
        }
        mn_free(text);
        mn_free(path);
    }
    mn__names_free(&l);
    mn_free(dir);
    return st;
}

/* 68 points; the eyes are the means of points 36..41 and 42..47, counted from 0. */
static mn_status parse_eyes(const char *path, const char *text, double eye[2][2], mn_error *err) {
    char *at = (char *)text;
    memset(eye, 0, 4 * sizeof(double));
    for (int k = 0; k < 136; k++) {
        char *end;
        double v = strtod(at, &end);
        if (end == at || !isfinite(v) || fabs(v) > MN__MAX_SIDE)
            return mn_fail(err, MN_ERR_FORMAT, "%s: number %d of 136 (68 points) is missing or too large", path, k + 1);
        at = end;
        int point = k / 2;
        if (point >= 36 && point < 48) eye[point >= 42][k % 2] += v / 6;
    }
    return hypot(eye[1][0] - eye[0][0], eye[1][1] - eye[0][1]) >= 4
               ? MN_OK
               : mn_fail(err, MN_ERR_FORMAT, "%s: the eyes are less than 4 pixels apart", path);
}

/* FER2013's geometry: eyes level, 36 % of the side apart, at 36 % of the height. */
static void cut_by_eyes(double eye[2][2], float cut[5]) {
    double dx = eye[1][0] - eye[0][0], dy = eye[1][1] - eye[0][1], side = hypot(dx, dy) / 0.36, turn = atan2(dy, dx),
           down = (0.5 - 0.36) * side;
    double x = (eye[0][0] + eye[1][0]) / 2 - down * sin(turn), y = (eye[0][1] + eye[1][1]) / 2 + down * cos(turn);
    cut[0] = (float)(x - side / 2), cut[1] = (float)(y - side / 2), cut[2] = cut[3] = (float)side,
    cut[4] = (float)(turn * 180 / 3.14159265358979);
}

static mn_status cut_face(reader *r, const char *person, const char *sequence, const char *frame, mn__sample *a, mn_error *err) {
    char name[128];
    snprintf(name, sizeof name, "%.*s_landmarks.txt", (int)(strrchr(frame, '.') - frame) % 100, frame);
    char *dir = path3(r->root, "Landmarks", person, sequence, err), *path = dir ? mn__join(dir, name, err) : NULL;
    mn_free(dir);
    if (!path) return MN_ERR_MEMORY;
    uint8_t *text = NULL;
    size_t size;
    double eye[2][2];
    mn_error none = {0};
    mn_status st = MN_OK;
    if (mn__read_file(path, 1 << 16, &text, &size, &none))
        mn__leave_out(&r->unmarked, name); /* the whole frame then */
    else if (!(st = parse_eyes(path, (char *)text, eye, err)))
        cut_by_eyes(eye, a->cut);
    mn_free(text);
    mn_free(path);
    return st;
}

static mn_status add_frame(reader *r, const char *person, const char *sequence, const char *dir, const char *frame, int label,
                           mn_error *err) {
    mn_status st = mn__samples_file(r->s, dir, frame, strlen(r->root) + 1, err);
    if (st) return st;
    mn__sample *a = &r->s->sample[r->s->set.length - 1];
    a->label[0] = label, a->group = (uint64_t)atoi(person + 1);
    return r->landmarks ? cut_face(r, person, sequence, frame, a, err) : MN_OK;
}

static mn_status add_sequence(reader *r, const char *person, const char *sequence, mn_error *err) {
    int label, frames = 0;
    char *dir = path3(r->root, r->images, person, sequence, err);
    mn__names l = {0};
    mn_status st = dir ? MN_OK : MN_ERR_MEMORY;
    if (!st && mn__is_folder(dir)) st = mn__names_list(dir, &l, err);
    if (!st) st = read_emotion(r, person, sequence, &label, err);
    for (int64_t i = 0; i < l.n && !st; i++) /* frames only, in the order of their names */
        if (mn__is_picture_name(l.name[i])) {
            char *name = l.name[i];
            l.name[i] = l.name[frames], l.name[frames++] = name;
        }
    if (!st && label < 0 && frames) mn__leave_out(&r->unlabelled, dir + strlen(r->root) + 1);
    for (int i = 0; i < frames && !st && label >= 0; i++) {
        if (frames > APEX_FRAMES && i == 0)
            st = add_frame(r, person, sequence, dir, l.name[i], NEUTRAL, err);
        else if (i >= frames - APEX_FRAMES)
            st = add_frame(r, person, sequence, dir, l.name[i], label, err);
    }
    mn__names_free(&l);
    mn_free(dir);
    return st;
}

static mn_status add_people(reader *r, mn_error *err) {
    char *dir = mn__join(r->root, r->images, err);
    mn__names people = {0};
    mn_status st = dir ? mn__names_list(dir, &people, err) : MN_ERR_MEMORY;
    for (int64_t i = 0; i < people.n && !st; i++) {
        const char *person = people.name[i];
        size_t digits = strspn(person + 1, "0123456789");
        if (person[0] != 'S' || digits < 1 || digits > 6 || person[1 + digits]) continue;
        char *path = mn__join(dir, person, err);
        mn__names sequences = {0};
        st = path ? mn__names_list(path, &sequences, err) : MN_ERR_MEMORY;
        for (int64_t k = 0; k < sequences.n && !st; k++) st = add_sequence(r, person, sequences.name[k], err);
        mn__names_free(&sequences);
        mn_free(path);
    }
    mn__names_free(&people);
    mn_free(dir);
    return st;
}

static bool holds(const char *root, const char *folder) {
    char *path = mn__join(root, folder, NULL);
    bool is = path && mn__is_folder(path);
    mn_free(path);
    return is;
}

mn_dataset *mn__ckplus_tree(const char *dir, bool *is, const mn_open_opt *opt, mn_error *err) {
    static const char *const images[] = {"cohn-kanade-images", "extended-cohn-kanade-images"}, *const labels[] = {
                                                                                                   "Emotion", "Emotion_labels"};
    reader r = {.root = dir};
    for (int k = 0; k < 2; k++) {
        if (!r.images && holds(dir, images[k])) r.images = images[k];
        if (!r.emotion && holds(dir, labels[k])) r.emotion = labels[k];
    }
    if (!(*is = r.images != NULL)) return NULL;
    if (!r.emotion) {
        mn_fail(err, MN_ERR_FORMAT,
                "%s: has %s, but no folder Emotion with the labels; hint: unpack Emotion_labels.zip beside it", dir, r.images);
        return NULL;
    }
    if (!(r.s = mn__samples_create("ckplus", dir, err))) return NULL;
    r.landmarks = holds(dir, "Landmarks");
    mn_status st = mn__samples_head(r.s, "emotion", 8, mn__expression_names8, err);
    if (!st) st = add_people(&r, err);
    if (!st && r.s->set.length == 0)
        st = mn_fail(err, MN_ERR_FORMAT, "%s: no labelled sequence; wanted %s/S005/001/*.png and %s/S005/001/*_emotion.txt", dir,
                     r.images, r.emotion);
    if (!st) mn__note_left_out(&r.unlabelled, "sequences without an emotion label", r.s->set.length, opt);
    if (!st) mn__note_left_out(&r.unmarked, "landmark files that are missing (the whole frame is used)", r.s->set.length, opt);
    return st ? mn__samples_fail(r.s) : &r.s->set;
}
