/* The rendered face, inside: a rig that knows where things are, and the parts that draw themselves on it. */
#ifndef MIEN_DATA_RENDER_H
#define MIEN_DATA_RENDER_H

#include "data/render/canvas.h"

/* Streams of random numbers under a face's texture seed. */
enum { MN__STREAM_ACTIONS = 1, MN__STREAM_BACKGROUND, MN__STREAM_HAIR, MN__STREAM_CLOTH, MN__STREAM_OCCLUSION };

/* Face coordinates: the unit is the side of the picture at scale 1, the origin the middle of the head; x to
 * the right, y down, z towards the camera. The eyes lie at (+-0.18, -0.16), the chin near (0, 0.43). */
typedef struct mn__rig {
    const mn_face *f;
    mn__canvas *c;
    float au[MN_AU_COUNT];
    /* head to picture */
    float cos_yaw, sin_yaw, cos_pitch, sin_pitch, cos_roll, sin_roll, turn, unit; /* turn: roll in radians */
    mn__point origin;
    /* measures */
    float half, chin, jaw, drop; /* half width of the head, y of the chin, squareness, jaw drop */
    float eye_x, eye_y, eye_w, brow_y;
    float nose_y, nose_w, mouth_y, mouth_w;
    float light_x, light_y; /* from where the light comes, in the picture */
    float old;              /* 0 up to 35 years .. 1 at 80 */
    /* colours */
    mn__rgb skin, shadow, deep, glow, hair, hair_dark, hair_light, brow, lip, cloth, scarf;
} mn__rig;

/* A point given in the plane of the face, lifted on the head's surface and by `dz` above it, in the picture.
 */
mn__point mn__at(const mn__rig *r, float x, float y, float dz);
/* The same for a point of the silhouette, at depth z. */
mn__point mn__rim(const mn__rig *r, float x, float y, float z);
/* A length in the picture. */
static inline float mn__px(const mn__rig *r, float length) { return length * r->unit; }

/* The parts, in the order of painting. */
void mn__draw_background(const mn__rig *r);
void mn__draw_back_hair(const mn__rig *r);
void mn__draw_body(const mn__rig *r); /* neck, shoulders, ears */
void mn__draw_head(const mn__rig *r); /* skin and its shading */
void mn__draw_wrinkles(const mn__rig *r);
void mn__draw_nose(const mn__rig *r);
void mn__draw_mouth(const mn__rig *r);
void mn__draw_beard(const mn__rig *r);
void mn__draw_eyes(const mn__rig *r);
void mn__draw_brows(const mn__rig *r);
void mn__draw_front_hair(const mn__rig *r);
void mn__draw_glasses(const mn__rig *r);
void mn__draw_occlusion(const mn__rig *r);

/* Of the apex's intensity, the share in this frame: 0 in frame 0 to 1 in the last, smoothly. */
double mn__onset(int frame, int frames);

/* The head's outline, in the picture. */
void mn__head_outline(const mn__rig *r, mn__path *out);

static inline mn__pen mn__pen_of(const mn__rig *r, float w0, float w1, float w2, float soft) {
    return (mn__pen){mn__px(r, w0), mn__px(r, w1), mn__px(r, w2), soft};
}

#endif
