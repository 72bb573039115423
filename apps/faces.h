/* Faces in a picture as rectangles: merging what a detector finds, cropping as the networks were trained, and
 * following people through a video. No OpenCV here. docs/predict.md. */
#ifndef MIEN_FACES_H
#define MIEN_FACES_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct face_box {
    double x, y, w, h; /* pixels: left, top, width, height */
    double score;      /* of the detector; higher is surer */
    bool has_eyes;
    double eye[2][2]; /* centres (x, y): the one that is left in the picture, the right one */
    double angle;     /* of a crop: turned clockwise by so many degrees about its centre */
} face_box;

/* Area in common over area covered: 0 .. 1. */
double face_iou(const face_box *a, const face_box *b);
/* Of boxes that overlap by more than 0.4 (intersection over union), or of which one holds 70 % of the other,
 * the one with the higher score stays. Sorts by falling score, then position; returns how many are left. */
int face_merge(face_box *box, int n);

/* The square that is cut out for a network. FER2013's geometry: eyes at 36 % of the height and 36 % of the
 * side apart (mean of its faces). With eyes known they are put there; else the box is taken for a Haar box,
 * in which the eyes are on average at FACE_HAAR_*. `margin` enlarges the side by that share about the centre
 * (0.1: 10 %). With `align` and eyes known the square is turned so that the eyes are level in it. */
face_box face_crop(const face_box *found, double margin, bool align);
/* Measured with haarcascade_frontalface_alt2 on 40 faces with marked eyes (docs/predict.md): centre between
 * the eyes and their distance, in shares of the box's side. */
#define FACE_HAAR_X 0.485
#define FACE_HAAR_Y 0.385
#define FACE_HAAR_DISTANCE 0.346
#define FACE_EYE_HEIGHT 0.36
#define FACE_EYE_DISTANCE 0.36

/* ---- tracks: constant memory, however long the video ---- */

#define FACE_MAX_TRACKS 64

typedef struct face_track {
    int id;       /* 1, 2, ...; 0: free */
    face_box box; /* where it was last seen */
    int missed;   /* looks since then */
    int seen;     /* looks that found it */
    float *value; /* smoothed probabilities, `values` of them */
} face_track;

typedef struct face_tracker {
    int values;       /* numbers smoothed per face */
    double smoothing; /* 0: none; s: value = s*value + (1-s)*new */
    int patience;     /* looks without the face before it is forgotten */
    int next_id;
    face_track track[FACE_MAX_TRACKS];
    float *memory;
} face_tracker;

void face_tracker_create(face_tracker *t, int values, double smoothing, int patience);
void face_tracker_destroy(face_tracker *t);
/* Gives each box the track it overlaps most (intersection over union of at least 0.25, best pairs first), or
 * a new one: track[i] is the index of box i's track, -1 when all are taken. Call once a look, also with n =
 * 0. */
void face_tracker_match(face_tracker *t, const face_box *box, int n, int *track);
/* Mixes new values into the track's and writes the smoothed ones back. Nothing for index -1. */
void face_tracker_smooth(face_tracker *t, int index, float *value);

#ifdef __cplusplus
}
#endif
#endif
