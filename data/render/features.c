/* Rendered faces: eyes, brows, nose and mouth, moved by the action units. */
#include "data/render/render.h"
#include <math.h>

static const mn__rgb white = {1, 1, 1}, black = {0.04f, 0.03f, 0.03f};

/* ---- eyes ------------------------------------------------------------------------------------------ */

enum { LID = 9 };

/* The two lids of one eye, from the inner corner to the outer. */
typedef struct lids {
    mn__point upper[LID], lower[LID];
    mn__point centre;
    float open; /* height of the opening in face coordinates */
} lids;

static lids make_lids(const mn__rig *r, float s) {
    const float *au = r->au;
    const mn_face *f = r->f;
    float up = 0.031f + 0.009f * (float)f->eye_size, low = 0.017f + 0.004f * (float)f->eye_size;
    up *= 1 + 0.62f * au[MN_AU5] - 0.34f * au[MN_AU7] - 0.20f * au[MN_AU6] - 0.30f * au[MN_AU9] -
          0.18f * au[MN_AU4] * (1 - au[MN_AU5]) - 0.20f * au[MN_AU15] * au[MN_AU1] - 0.16f * r->old;
    low *= 1 + 0.25f * au[MN_AU5] - 0.60f * au[MN_AU7] - 1.05f * au[MN_AU6] - 0.45f * au[MN_AU9];
    up = up > 0.010f ? up : 0.010f;
    float tilt = 0.030f * (float)(f->eye_tilt - 0.5) - 0.010f * au[MN_AU1] * au[MN_AU15];
    float inner = 0.32f * au[MN_AU1] - 0.42f * au[MN_AU4] * (1 - au[MN_AU1]); /* pulls the lid's inner half */
    lids l = {.open = up + low};
    for (int i = 0; i < LID; i++) {
        float t = 2 * (float)i / (LID - 1) - 1, x = s * (r->eye_x + t * r->eye_w), arc = 1 - t * t;
        float y = r->eye_y - tilt * t, skew = 1 - 0.14f * t - inner * 0.5f * t * (t < 0 ? -1.0f : 0.3f) * -1;
        l.upper[i] = mn__at(r, x, y - up * skew * (0.45f * arc + 0.55f * sqrtf(arc)), 0);
        l.lower[i] = mn__at(r, x, y + low * arc * (1 + 0.18f * t), 0);
    }
    l.centre = mn__at(r, s * r->eye_x, r->eye_y - 0.5f * (up - low), 0);
    return l;
}

static void lid_outline(const mn__rig *r, const lids *l, mn__path *out) {
    mn__point p[2 * LID - 2];
    for (int i = 0; i < LID; i++) p[i] = l->upper[i];
    for (int i = 1; i < LID - 1; i++) p[2 * LID - 2 - i] = l->lower[i];
    out->n = 0;
    mn__path_curve(out, r->c, p, 2 * LID - 2, true);
}

static mn__rgb iris_colour(const mn__rig *r) {
    const mn__rgb brown = {0.20f, 0.11f, 0.07f}, hazel = {0.42f, 0.30f, 0.16f}, green = {0.40f, 0.48f, 0.34f},
                  blue = {0.36f, 0.50f, 0.64f};
    float t = 3 * (float)r->f->eye_tone;
    return t < 1 ? mn__mix(brown, hazel, t) : t < 2 ? mn__mix(hazel, green, t - 1) : mn__mix(green, blue, t - 2);
}

static void disc(const mn__rig *r, mn__point at, float radius, mn__rgb colour, float alpha) {
    mn__path p = {.n = 0};
    mn__path_ellipse(&p, at, mn__px(r, radius), mn__px(r, radius), 0);
    mn__fill(r->c, &p, colour, alpha);
}

/* White, iris, pupil and the light in it, inside the lids. */
static void draw_eyeball(const mn__rig *r, const lids *l, float s) {
    const mn_face *f = r->f;
    mn__path outline;
    lid_outline(r, l, &outline);
    mn__rgb sclera = mn__mix((mn__rgb){0.96f, 0.94f, 0.92f}, r->skin, 0.14f);
    mn__fill(r->c, &outline, sclera, 1);
    mn__clip(r->c, &outline);
    float gx = 0.026f * (float)f->gaze_x, gy = 0.014f * (float)f->gaze_y;
    mn__point at = mn__at(r, s * r->eye_x + gx, r->eye_y - 0.008f + gy, 0);
    float size = 0.0335f;
    mn__rgb iris = iris_colour(r);
    disc(r, at, size, mn__dim(iris, 0.45f), 1);
    disc(r, at, 0.84f * size, iris, 1);
    disc(r, at, 0.44f * size, black, 1);
    mn__spot(r->c, mn__at(r, s * r->eye_x, r->eye_y - 0.045f, 0), mn__px(r, 1.3f * r->eye_w), mn__px(r, 0.04f), r->turn, black,
             0.45f); /* the upper lid's shadow */
    mn__point glint = {at.x + mn__px(r, 0.012f) * r->light_x - mn__px(r, 0.002f), at.y + mn__px(r, 0.013f) * r->light_y};
    mn__spot(r->c, glint, mn__px(r, 0.013f), mn__px(r, 0.013f), 0, white, 1);
    mn__unclip(r->c);
}

/* Lashes, crease, rim, and eye shadow where there is make-up. */
static void draw_lids(const mn__rig *r, const lids *l, float s) {
    const mn_face *f = r->f;
    float paint = (float)f->makeup, lash = 0.011f + 0.004f * (float)f->gender + 0.008f * paint;
    mn__rgb line = mn__mix(mn__mix(r->brow, r->deep, 0.4f), black, 0.5f + 0.4f * paint);
    mn__point crease[LID];
    for (int i = 0; i < LID; i++) {
        float lift = mn__px(r, 0.017f + 0.006f * r->au[MN_AU5]);
        crease[i] = (mn__point){l->upper[i].x + lift * r->sin_roll, l->upper[i].y - lift * r->cos_roll};
    }
    if (paint > 0)
        mn__stroke(r->c, crease, LID, mn__pen_of(r, 0.012f, 0.030f, 0.012f, 0.8f), (mn__rgb){0.36f, 0.22f, 0.34f}, 0.4f * paint);
    mn__stroke(r->c, crease + 1, LID - 2, mn__pen_of(r, 0.003f, 0.009f, 0.004f, 0.6f), r->deep, 0.55f);
    mn__stroke(r->c, l->lower, LID, mn__pen_of(r, 0.003f, 0.007f, 0.007f, 0.4f), mn__mix(r->deep, line, 0.4f), 0.55f);
    mn__stroke(r->c, l->upper, LID, mn__pen_of(r, 0.5f * lash, lash, 1.1f * lash, 0), line, 0.92f);
    if (f->gender == 1 || paint > 0) { /* the outer lashes */
        mn__point from = l->upper[LID - 1], mid = l->upper[LID - 2];
        float flick = mn__px(r, 0.016f + 0.012f * paint);
        mn__point to = {from.x + flick * (s * r->cos_roll + 0.6f * r->sin_roll),
                        from.y + flick * (s * r->sin_roll - 0.6f * r->cos_roll)};
        mn__stroke(r->c, (mn__point[]){mid, from, to}, 3, mn__pen_of(r, lash, 0.9f * lash, 0.1f * lash, 0), line, 0.85f);
    }
}

void mn__draw_eyes(const mn__rig *r) {
    for (float s = -1; s <= 1; s += 2) {
        lids l = make_lids(r, s);
        draw_eyeball(r, &l, s);
        draw_lids(r, &l, s);
    }
}

/* ---- brows ----------------------------------------------------------------------------------------- */

static void draw_brow(const mn__rig *r, float s) {
    const mn_face *f = r->f;
    const float *au = r->au;
    float rest = 0.013f * (float)(f->resting_brow - 0.5) * 2, down = au[MN_AU4], frown = down * (1 - 0.75f * au[MN_AU1]);
    float nose = au[MN_AU9], arch = 0.010f + 0.014f * (1 - r->jaw);
    float inner = -0.062f * au[MN_AU1] + 0.062f * frown + 0.034f * nose - rest;
    float middle = -0.020f * au[MN_AU1] - 0.050f * au[MN_AU2] + 0.036f * frown + 0.022f * nose;
    float outer = -0.052f * au[MN_AU2] + 0.004f * frown + 0.020f * au[MN_AU1] * (1 - au[MN_AU2]) + rest;
    float squeeze = 0.020f * down + 0.008f * nose, y = r->brow_y;
    mn__point line[5] = {
        mn__at(r, s * (0.066f - squeeze), y + 0.003f + inner, 0.02f),
        mn__at(r, s * (0.120f - 0.8f * squeeze), y - 0.009f + 0.6f * inner + 0.4f * middle, 0.015f),
        mn__at(r, s * (r->eye_x + 0.008f - 0.5f * squeeze), y - arch - 0.006f + middle, 0.01f),
        mn__at(r, s * (r->eye_x + 0.062f), y - arch + 0.005f + 0.5f * (middle + outer), 0),
        mn__at(r, s * (r->eye_x + 0.104f), y + 0.022f + outer, -0.01f),
    };
    float w = 0.020f + 0.026f * (float)f->brow_thickness;
    mn__stroke(r->c, line, 5, mn__pen_of(r, 0.80f * w, w, 0.15f * w, 0.35f), r->brow, 0.80f);
    mn__stroke(r->c, line, 4, mn__pen_of(r, 0.30f * w, 0.45f * w, 0.2f * w, 0), mn__dim(r->brow, 0.7f), 0.45f);
}

void mn__draw_brows(const mn__rig *r) {
    draw_brow(r, -1);
    draw_brow(r, 1);
}

/* ---- nose ------------------------------------------------------------------------------------------ */

static void draw_nose_side(const mn__rig *r, float s) {
    float y = r->nose_y, w = r->nose_w, flare = 0.5f * r->au[MN_AU9] + 0.2f * r->au[MN_AU10];
    bool dark = s * (r->light_x + 0.8f * -r->sin_yaw) < 0; /* the side away from the light */
    mn__point bridge[] = {mn__at(r, s * 0.050f, -0.225f, 0.02f), mn__at(r, s * 0.036f, -0.13f, 0.045f),
                          mn__at(r, s * 0.040f, -0.04f, 0.06f), mn__at(r, s * 0.75f * w, y - 0.035f, 0.05f)};
    mn__stroke(r->c, bridge, 4, mn__pen_of(r, 0.045f, 0.028f, 0.030f, 0.9f), r->shadow, dark ? 0.55f : 0.22f);
    mn__point wing[] = {mn__at(r, s * (w - 0.018f), y - 0.050f, 0.05f), mn__at(r, s * w, y - 0.022f, 0.045f),
                        mn__at(r, s * (w - 0.006f), y + 0.003f, 0.045f), mn__at(r, s * (w - 0.030f), y + 0.008f, 0.055f)};
    mn__stroke(r->c, wing, 4, mn__pen_of(r, 0.004f, 0.013f, 0.006f, 0.7f), r->deep, 0.5f + 0.3f * flare);
    mn__point hole = mn__at(r, s * 0.48f * w, y + 0.006f, 0.065f);
    mn__spot(r->c, hole, mn__px(r, 0.36f * w), mn__px(r, 0.013f + 0.005f * flare), r->turn - s * 0.25f,
             mn__mix(r->deep, black, 0.55f), 1);
}

void mn__draw_nose(const mn__rig *r) {
    float y = r->nose_y, w = r->nose_w;
    mn__spot(r->c, mn__at(r, 0, y + 0.026f, 0.02f), mn__px(r, 1.15f * w), mn__px(r, 0.035f), r->turn, r->shadow, 0.55f);
    draw_nose_side(r, -1);
    draw_nose_side(r, 1);
    mn__point ridge[] = {mn__at(r, 0, -0.20f, 0.045f), mn__at(r, 0, -0.10f, 0.075f), mn__at(r, 0, y - 0.05f, 0.10f)};
    mn__stroke(r->c, ridge, 3, mn__pen_of(r, 0.018f, 0.022f, 0.030f, 0.9f), r->glow, 0.42f);
    mn__spot(r->c, mn__at(r, 0, y - 0.032f, 0.105f), mn__px(r, 0.05f), mn__px(r, 0.042f), r->turn, r->glow, 0.75f);
    mn__point base[] = {mn__at(r, -0.45f * w, y + 0.010f, 0.075f), mn__at(r, 0, y + 0.017f, 0.085f),
                        mn__at(r, 0.45f * w, y + 0.010f, 0.075f)};
    mn__stroke(r->c, base, 3, mn__pen_of(r, 0.004f, 0.010f, 0.004f, 0.6f), r->deep, 0.5f);
}

/* ---- mouth ----------------------------------------------------------------------------------------- */

enum { LIPS = 17 };

/* The four edges of the lips from the left corner to the right, in face coordinates. */
typedef struct mouth {
    float x[LIPS], top[LIPS], upper[LIPS], lower[LIPS], bottom[LIPS];
    float gap, smile, show; /* height of the opening; lip corners up (+) or down (-); teeth */
} mouth;

static mouth make_mouth(const mn__rig *r) {
    const float *au = r->au;
    float press = 0.45f * au[MN_AU23] + 0.40f * au[MN_AU24], rest = (float)(r->f->resting_mouth - 0.5) * 2;
    mouth m = {.gap = 0.028f * au[MN_AU25] * (1 + 1.1f * au[MN_AU12]) + 0.090f * au[MN_AU26] + 0.085f * au[MN_AU27] +
                      0.020f * au[MN_AU16] * au[MN_AU25]};
    m.smile = au[MN_AU12] - 0.80f * au[MN_AU15] + 0.10f * rest;
    float half = r->mouth_w + 0.046f * au[MN_AU12] + 0.042f * au[MN_AU20] - 0.020f * au[MN_AU23] - 0.008f * au[MN_AU17] -
                 0.032f * au[MN_AU26] * (1 - au[MN_AU12]) * (1 - 0.9f * au[MN_AU20]) - 0.016f * au[MN_AU27];
    float corner = -0.060f * au[MN_AU12] + 0.058f * au[MN_AU15] + 0.012f * au[MN_AU20] - 0.008f * (rest + 0.4f);
    float full = 0.55f + 0.9f * (float)r->f->lip_fullness - 0.15f * r->old;
    float thin = 1 - 0.85f * press - 0.25f * au[MN_AU12] - 0.22f * au[MN_AU20];
    float up = 0.028f * full * thin, low = 0.036f * full * thin * (1 + 0.15f * au[MN_AU16]);
    float lift = 0.036f * au[MN_AU10] + 0.016f * au[MN_AU9] + 0.012f * au[MN_AU12]; /* of the upper lip */
    float pout = 0.020f * au[MN_AU17] + 0.010f * au[MN_AU15];                       /* the middle goes up */
    float round = m.gap / 0.09f < 1 ? m.gap / 0.09f : 1;
    for (int i = 0; i < LIPS; i++) {
        float t = 2 * (float)i / (LIPS - 1) - 1, a = fabsf(t), arc = 1 - t * t, bow = (1 - round) * arc + round * sqrtf(arc);
        float side = t * t * (0.4f + 0.6f * a), middle = 1 - side;
        float line = r->mouth_y + corner * side - (pout + 0.35f * lift) * middle + 0.016f * au[MN_AU12] * middle;
        float cupid = 0.30f * expf(-30 * t * t);
        m.x[i] = half * t;
        m.upper[i] = line - (0.36f * m.gap * (1 - 0.7f * au[MN_AU12])) * bow - 0.5f * lift * arc * (au[MN_AU25] > 0 ? 1 : 0.3f);
        m.lower[i] = line + (0.64f * m.gap + 0.25f * m.gap * au[MN_AU12]) * bow + 0.012f * au[MN_AU16] * au[MN_AU25] * arc;
        m.top[i] = m.upper[i] - (up * (1 - cupid) + 0.25f * lift) * powf(arc, 0.75f);
        m.bottom[i] = m.lower[i] + low * powf(arc, 0.65f) + 0.006f * au[MN_AU16] * arc;
    }
    m.show = 0.9f * au[MN_AU12] + 0.75f * au[MN_AU20] + 0.8f * au[MN_AU10] + 0.7f * au[MN_AU16] + 0.35f * au[MN_AU5];
    if (m.show > 1) m.show = 1;
    return m;
}

/* The area between two edges of the mouth. */
static void between(const mn__rig *r, const mouth *m, const float *above, const float *below, float dz, mn__path *out) {
    mn__point p[2 * LIPS];
    for (int i = 0; i < LIPS; i++) {
        p[i] = mn__at(r, m->x[i], above[i], dz);
        p[2 * LIPS - 1 - i] = mn__at(r, m->x[i], below[i], dz);
    }
    out->n = 0;
    for (int i = 0; i < 2 * LIPS; i++) out->p[out->n++] = p[i];
}

/* What is seen between open lips: the dark, teeth above and below, the tongue. */
static void draw_opening(const mn__rig *r, const mouth *m) {
    mn__path p;
    between(r, m, m->upper, m->lower, 0.02f, &p);
    mn__fill(r->c, &p, (mn__rgb){0.17f, 0.05f, 0.06f}, 1);
    mn__clip(r->c, &p);
    mn__rgb tooth = {0.95f, 0.93f, 0.88f}, tongue = {0.66f, 0.28f, 0.28f};
    float mid = m->lower[LIPS / 2], teeth[LIPS];
    mn__spot(r->c, mn__at(r, 0, mid + 0.01f, 0), mn__px(r, 0.09f), mn__px(r, 0.60f * m->gap), r->turn, tongue,
             m->gap > 0.05f ? 0.85f : 0);
    float high = 0.010f + 0.032f * m->show;
    for (int i = 0; i < LIPS; i++) teeth[i] = m->upper[i] + high * (1 - 0.25f * fabsf(m->x[i]) / r->mouth_w);
    between(r, m, m->upper, teeth, 0.02f, &p);
    mn__fill(r->c, &p, tooth, 0.35f + 0.62f * m->show);
    float lower_teeth = 0.02f * (r->au[MN_AU16] + 0.6f * r->au[MN_AU20]) * r->au[MN_AU25];
    for (int i = 0; i < LIPS; i++) teeth[i] = m->lower[i] - lower_teeth;
    between(r, m, teeth, m->lower, 0.02f, &p);
    if (lower_teeth > 0.002f) mn__fill(r->c, &p, mn__dim(tooth, 0.88f), 0.9f);
    for (int i = -3; i <= 3; i++) { /* between the teeth */
        float x = 0.031f * ((float)i + 0.5f) - 0.0155f;
        mn__point gap[] = {mn__at(r, x, m->upper[LIPS / 2] - 0.01f, 0.02f), mn__at(r, x, m->upper[LIPS / 2] + high, 0.02f)};
        mn__stroke(r->c, gap, 2, mn__pen_of(r, 0.004f, 0.004f, 0.004f, 0), mn__dim(tooth, 0.6f), 0.4f * m->show);
    }
    mn__spot(r->c, mn__at(r, 0, m->upper[LIPS / 2] - 0.012f, 0.02f), mn__px(r, 0.16f), mn__px(r, 0.022f), r->turn, black, 0.5f);
    mn__unclip(r->c);
}

void mn__draw_mouth(const mn__rig *r) {
    mouth m = make_mouth(r);
    mn__path p;
    mn__spot(r->c, mn__at(r, 0, m.bottom[LIPS / 2] + 0.018f, 0), mn__px(r, 0.10f), mn__px(r, 0.030f), r->turn, r->shadow, 0.6f);
    between(r, &m, m.top, m.upper, 0.02f, &p);
    mn__fill(r->c, &p, mn__dim(r->lip, 0.86f), 0.92f);
    between(r, &m, m.lower, m.bottom, 0.02f, &p);
    mn__fill(r->c, &p, r->lip, 0.92f);
    float shine = m.lower[LIPS / 2] + 0.45f * (m.bottom[LIPS / 2] - m.lower[LIPS / 2]);
    mn__spot(r->c, mn__at(r, 0, shine, 0.03f), mn__px(r, 0.06f), mn__px(r, 0.012f), r->turn, mn__mix(r->lip, white, 0.6f),
             0.35f + 0.3f * (float)r->f->makeup);
    if (m.gap > 0.001f) draw_opening(r, &m);
    mn__point line[LIPS];
    for (int i = 0; i < LIPS; i++) line[i] = mn__at(r, m.x[i], m.upper[i], 0.02f);
    mn__rgb dark = mn__mix(r->deep, (mn__rgb){0.25f, 0.07f, 0.07f}, 0.4f);
    mn__stroke(r->c, line, LIPS, mn__pen_of(r, 0.010f, 0.013f, 0.010f, 0.4f), dark, 0.85f);
    for (float s = -1; s <= 1; s += 2) { /* the corners */
        mn__point at = line[s < 0 ? 0 : LIPS - 1];
        mn__spot(r->c, at, mn__px(r, 0.020f), mn__px(r, 0.016f), r->turn, r->deep, 0.75f);
    }
}
