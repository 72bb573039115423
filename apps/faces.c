/* Rectangles of faces: merged, cropped, followed. */
#include "apps/faces.h"
#include "apps/app.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double intersection(const face_box *a, const face_box *b) {
    double w = fmin(a->x + a->w, b->x + b->w) - fmax(a->x, b->x);
    double h = fmin(a->y + a->h, b->y + b->h) - fmax(a->y, b->y);
    return w > 0 && h > 0 ? w * h : 0;
}

double face_iou(const face_box *a, const face_box *b) {
    double common = intersection(a, b), all = a->w * a->h + b->w * b->h - common;
    return all > 0 ? common / all : 0;
}

static bool same_face(const face_box *a, const face_box *b) {
    double smaller = fmin(a->w * a->h, b->w * b->h);
    return face_iou(a, b) > 0.4 || (smaller > 0 && intersection(a, b) > 0.7 * smaller);
}

static int by_score(const void *pa, const void *pb) {
    const face_box *a = pa, *b = pb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    if (a->y != b->y) return a->y < b->y ? -1 : 1;
    return (a->x > b->x) - (a->x < b->x);
}

int face_merge(face_box *box, int n) {
    if (n > 1) qsort(box, (size_t)n, sizeof *box, by_score);
    int kept = 0;
    for (int i = 0; i < n; i++) {
        bool known = false;
        for (int k = 0; k < kept && !known; k++) known = same_face(&box[i], &box[k]);
        if (!known) box[kept++] = box[i];
    }
    return kept;
}

face_box face_crop(const face_box *f, double margin, bool align) {
    double x, y, distance; /* between the eyes */
    if (f->has_eyes) {
        x = (f->eye[0][0] + f->eye[1][0]) / 2;
        y = (f->eye[0][1] + f->eye[1][1]) / 2;
        distance = hypot(f->eye[1][0] - f->eye[0][0], f->eye[1][1] - f->eye[0][1]);
        /* Turned heads have near eyes: never smaller than what the box says. */
        distance = fmax(distance, 0.75 * FACE_HAAR_DISTANCE * f->w);
    } else {
        x = f->x + FACE_HAAR_X * f->w;
        y = f->y + FACE_HAAR_Y * f->h;
        distance = FACE_HAAR_DISTANCE * f->w;
    }
    double plain = distance / FACE_EYE_DISTANCE, side = plain * (1 + margin);
    double down = (0.5 - FACE_EYE_HEIGHT) * plain; /* from between the eyes to the centre of the square */
    double turn = align && f->has_eyes ? atan2(f->eye[1][1] - f->eye[0][1], f->eye[1][0] - f->eye[0][0]) : 0;
    x -= down * sin(turn), y += down * cos(turn);
    return (face_box){.x = x - side / 2, .y = y - side / 2, .w = side, .h = side, .score = f->score, .angle = turn * 180 / M_PI};
}

/* ---- tracks ---- */

void face_tracker_create(face_tracker *t, int values, double smoothing, int patience) {
    *t = (face_tracker){.values = values, .smoothing = smoothing, .patience = patience, .next_id = 1};
    t->memory = app_alloc((size_t)FACE_MAX_TRACKS * (size_t)values, sizeof *t->memory);
    for (int i = 0; i < FACE_MAX_TRACKS; i++) t->track[i].value = t->memory + (size_t)i * (size_t)values;
}

void face_tracker_destroy(face_tracker *t) {
    free(t->memory);
    t->memory = NULL;
}

/* The free track that overlaps a free box most; false when no pair overlaps enough. */
static bool best_pair(const face_tracker *t, const face_box *box, int n, const int *taken, const bool *busy, int *bi, int *bk) {
    double best = 0.25;
    bool found = false;
    for (int i = 0; i < n; i++)
        for (int k = 0; taken[i] < 0 && k < FACE_MAX_TRACKS; k++) {
            double overlap = t->track[k].id && !busy[k] ? face_iou(&box[i], &t->track[k].box) : 0;
            if (overlap > best) best = overlap, *bi = i, *bk = k, found = true;
        }
    return found;
}

static int free_track(face_tracker *t) {
    for (int k = 0; k < FACE_MAX_TRACKS; k++)
        if (!t->track[k].id) return k;
    return -1;
}

static void found(face_track *t, const face_box *box) {
    t->box = *box;
    t->missed = 0;
    t->seen++;
}

void face_tracker_match(face_tracker *t, const face_box *box, int n, int *track) {
    bool busy[FACE_MAX_TRACKS] = {false};
    int i = 0, k = 0;
    for (int b = 0; b < n; b++) track[b] = -1;
    while (best_pair(t, box, n, track, busy, &i, &k)) {
        track[i] = k;
        busy[k] = true;
        found(&t->track[k], &box[i]);
    }
    for (k = 0; k < FACE_MAX_TRACKS; k++)
        if (t->track[k].id && !busy[k] && ++t->track[k].missed > t->patience) t->track[k].id = 0;
    for (i = 0; i < n; i++) {
        if (track[i] >= 0 || (k = free_track(t)) < 0) continue;
        track[i] = k;
        t->track[k].id = t->next_id++;
        t->track[k].seen = 0;
        found(&t->track[k], &box[i]);
    }
}

void face_tracker_smooth(face_tracker *t, int index, float *value) {
    if (index < 0) return;
    face_track *k = &t->track[index];
    double keep = k->seen > 1 ? t->smoothing : 0; /* the first look stands alone */
    for (int i = 0; i < t->values; i++) {
        k->value[i] = keep > 0 ? (float)(keep * k->value[i] + (1 - keep) * value[i]) : value[i];
        value[i] = k->value[i];
    }
}
