/* What predict prints: lines for people, JSON, CSV. The JSON's schema is in docs/predict.md. */
#ifndef MIEN_FINDINGS_H
#define MIEN_FINDINGS_H
#include "apps/faces.h"
#include "apps/predictor.h"
#include <stdio.h>

#define FINDINGS_SCHEMA "mien-predict/1"

typedef struct findings_face {
    face_box box, crop; /* box: as found; crop: what the network saw */
    int track;          /* id in a video, 0 in pictures */
    const float *value; /* predictor.values probabilities */
} findings_face;

typedef struct findings_picture {
    const char *input;
    int64_t frame;  /* from 0; -1: a picture, not a frame */
    double seconds; /* of the frame */
    int width, height;
    const findings_face *face;
    int faces;
    const char *error; /* why it could not be read, or NULL */
} findings_picture;

typedef enum findings_format { FINDINGS_TEXT = 0, FINDINGS_JSON, FINDINGS_CSV } findings_format;

/* The CSV's first line; nothing for the others. */
void findings_begin(FILE *out, findings_format f);
/* One picture or frame: lines of text, one line of JSON, or a line of CSV for each head of each face. */
void findings_write(FILE *out, findings_format f, const predictor *p, const findings_picture *r);
/* A JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void findings_json_string(FILE *out, const char *text);
/* How a head is announced: "apparent expression", "model's gender label", else its name. */
const char *findings_head_title(const predictor_head *h);

#endif
