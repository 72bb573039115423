/* Rendered faces: background, body, the head and its light, wrinkles of age and expression. */
#include "data/render/render.h"
#include <math.h>

/* ---- background ------------------------------------------------------------------------------------ */

static mn__rgb random_tone(mn_rng *g, float lo, float hi) {
    float v = (float)mn_rng_uniform(g, lo, hi), warm = (float)mn_rng_uniform(g, -0.09, 0.09);
    return (mn__rgb){v + warm, v + (float)mn_rng_uniform(g, -0.03, 0.05), v - warm};
}

/* Out of focus: a gradient, lights and dark things, a few upright edges (walls, shelves, windows). */
void mn__draw_background(const mn__rig *r) {
    mn_rng g = mn_rng_create(r->f->texture, MN__STREAM_BACKGROUND);
    float side = (float)r->c->size, busy = (float)r->f->background;
    mn__gradient(r->c, random_tone(&g, 0.55f, 0.86f), random_tone(&g, 0.35f, 0.7f));
    for (int i = 0; i < 4; i++) {
        float x = side * (float)mn_rng_uniform(&g, -0.1, 1), w = side * (float)mn_rng_uniform(&g, 0.04, 0.3);
        float y = side * (float)mn_rng_uniform(&g, -0.2, 0.7), h = side * (float)mn_rng_uniform(&g, 0.2, 1);
        mn__path wall = {4, {{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}};
        mn__fill(r->c, &wall, random_tone(&g, 0.15f, 0.9f), 0.45f * busy);
    }
    for (int i = 0; i < 7; i++) {
        mn__point at = {side * (float)mn_rng_uniform(&g, 0, 1), side * (float)mn_rng_uniform(&g, 0, 1)};
        float size = side * (float)mn_rng_uniform(&g, 0.1, 0.4);
        mn__spot(r->c, at, size, size, 0, random_tone(&g, 0.1f, 1.0f), 0.25f + 0.45f * busy);
    }
}

/* ---- body ------------------------------------------------------------------------------------------ */

static void draw_neck(const mn__rig *r) {
    float w = 0.60f * r->half + 0.05f * r->jaw;
    const float z = -0.14f;
    mn__point neck[] = {mn__rim(r, -w, 0.15f, z),       mn__rim(r, w, 0.15f, z),         mn__rim(r, w, 0.55f, z),
                        mn__rim(r, w + 0.12f, 0.9f, z), mn__rim(r, -w - 0.12f, 0.9f, z), mn__rim(r, -w, 0.55f, z)};
    mn__path p = {.n = 0};
    mn__path_curve(&p, r->c, neck, 6, true);
    mn__fill(r->c, &p, mn__mix(r->skin, r->shadow, 0.55f), 1);
    mn__spot(r->c, mn__rim(r, 0, r->chin + 0.03f, -0.05f), mn__px(r, 0.36f), mn__px(r, 0.13f), r->turn, r->deep, 0.55f);
}

static void draw_shoulders(const mn__rig *r) {
    const float z = -0.14f;
    float w = 0.62f * r->half;
    mn__point cloth[] = {mn__rim(r, -1.2f, 1.2f, z), mn__rim(r, -1.0f, 0.70f, z), mn__rim(r, -0.5f, 0.53f, z),
                         mn__rim(r, -w, 0.47f, z),   mn__rim(r, 0, 0.68f, z),     mn__rim(r, w, 0.47f, z),
                         mn__rim(r, 0.5f, 0.53f, z), mn__rim(r, 1.0f, 0.70f, z),  mn__rim(r, 1.2f, 1.2f, z)};
    mn__path p = {.n = 0};
    mn__path_curve(&p, r->c, cloth, 9, true);
    mn__fill(r->c, &p, r->cloth, 1);
    mn__stroke(r->c, &cloth[3], 3, mn__pen_of(r, 0.015f, 0.02f, 0.015f, 0.5f), mn__dim(r->cloth, 0.7f), 0.8f);
}

static void draw_ear(const mn__rig *r, float s) {
    float x = s * (r->half + 0.012f), y = -0.075f;
    mn__point ear[] = {mn__rim(r, s * (r->half - 0.03f), y - 0.09f, -0.1f), mn__rim(r, x + s * 0.022f, y - 0.095f, -0.12f),
                       mn__rim(r, x + s * 0.035f, y - 0.03f, -0.12f), mn__rim(r, x + s * 0.012f, y + 0.07f, -0.11f),
                       mn__rim(r, s * (r->half - 0.03f), y + 0.09f, -0.1f)};
    mn__path p = {.n = 0};
    mn__path_curve(&p, r->c, ear, 5, true);
    mn__fill(r->c, &p, mn__mix(r->skin, r->shadow, 0.25f), 1);
    mn__stroke(r->c, &ear[1], 3, mn__pen_of(r, 0.004f, 0.014f, 0.004f, 0.6f), r->shadow, 0.6f);
    if (!r->f->earrings || r->f->hair_style == MN_HAIR_COVERED) return;
    mn__point lobe = mn__rim(r, x + s * 0.006f, y + 0.098f, -0.09f);
    mn__path ring = {.n = 0};
    mn__path_ellipse(&ring, lobe, mn__px(r, 0.017f), mn__px(r, 0.022f), r->turn);
    mn__fill(r->c, &ring, (mn__rgb){0.93f, 0.82f, 0.50f}, 1);
    mn__spot(r->c, lobe, mn__px(r, 0.012f), mn__px(r, 0.012f), 0, (mn__rgb){1, 1, 0.95f}, 0.8f);
}

void mn__draw_body(const mn__rig *r) {
    draw_neck(r);
    draw_shoulders(r);
    draw_ear(r, -1);
    draw_ear(r, 1);
}

/* ---- the head -------------------------------------------------------------------------------------- */

/* The right half of the outline, from the top to the chin; the left half mirrors it. */
void mn__head_outline(const mn__rig *r, mn__path *out) {
    float w = r->half, chin = r->chin, j = r->jaw, old = r->old;
    enum { HALF = 10 };
    const float x[HALF] = {0.0f,
                           0.62f * w,
                           0.92f * w,
                           w,
                           0.985f * w,
                           (0.895f + 0.045f * j) * w,
                           (0.74f + 0.13f * j + 0.03f * old) * w,
                           (0.48f + 0.18f * j + 0.04f * old) * w,
                           0.075f + 0.055f * j,
                           0.0f};
    const float y[HALF] = {-0.56f, -0.51f, -0.35f, -0.16f, 0.0f, 0.13f, chin - 0.19f, chin - 0.075f, chin - 0.008f, chin};
    const float z[HALF] = {-0.1f, -0.1f, -0.1f, -0.1f, -0.09f, -0.07f, -0.03f, 0.02f, 0.07f, 0.08f};
    mn__point p[2 * HALF - 2];
    for (int i = 0; i < HALF; i++) p[i] = mn__rim(r, x[i], y[i], z[i]);
    for (int i = 1; i < HALF - 1; i++) p[2 * HALF - 2 - i] = mn__rim(r, -x[i], y[i], z[i]);
    out->n = 0;
    mn__path_curve(out, r->c, p, 2 * HALF - 2, true);
}

static void spot(const mn__rig *r, float x, float y, float rx, float ry, mn__rgb colour, float alpha) {
    mn__spot(r->c, mn__at(r, x, y, 0), mn__px(r, rx), mn__px(r, ry), r->turn, colour, alpha);
}

/* Forms that the ellipsoid lacks: sockets, cheekbones, temples, chin. */
static void model_face(const mn__rig *r) {
    const float *au = r->au;
    float smile = au[MN_AU12], cheek = au[MN_AU6];
    for (float s = -1; s <= 1; s += 2) {
        spot(r, s * 0.30f, 0.17f, 0.12f, 0.24f, r->shadow, 0.30f + 0.15f * r->old);        /* hollow cheek */
        spot(r, s * 0.36f, -0.24f, 0.10f, 0.2f, r->shadow, 0.30f);                         /* temple */
        spot(r, s * r->eye_x * 0.95f, r->eye_y - 0.045f, 0.13f, 0.075f, r->shadow, 0.42f); /* socket */
        spot(r, s * r->eye_x, r->eye_y + 0.055f, 0.10f, 0.045f, r->shadow, 0.16f + 0.25f * r->old);
        spot(r, s * 0.22f, 0.010f - 0.03f * smile, 0.15f, 0.11f, r->glow, 0.36f + 0.25f * cheek); /* cheekbone */
        mn__rgb blush = mn__mix(r->skin, (mn__rgb){0.80f, 0.28f, 0.25f}, 0.55f);
        float red = 0.18f + 0.25f * (float)r->f->makeup + 0.15f * smile;
        spot(r, s * 0.23f, 0.055f - 0.03f * smile, 0.13f, 0.10f, blush, red);
    }
    spot(r, 0, -0.34f, 0.22f, 0.13f, r->glow, 0.32f);
    spot(r, 0, r->chin - 0.075f, 0.09f, 0.055f, r->glow, 0.30f);
    spot(r, 0, r->chin - 0.01f, 0.22f, 0.05f, r->shadow, 0.35f);
}

void mn__draw_head(const mn__rig *r) {
    mn__path head;
    mn__head_outline(r, &head);
    mn__fill(r->c, &head, r->skin, 1);
    mn__clip(r->c, &head);
    model_face(r);
    mn__light light = {0.66f * r->light_x, 0.66f * r->light_y, 0.75f, 0.52f, 0.60f};
    mn__shade(r->c, mn__rim(r, 0, -0.05f, 0), mn__px(r, r->half * 1.04f), mn__px(r, 0.62f), r->turn, &light);
    mn__unclip(r->c);
}

/* ---- wrinkles -------------------------------------------------------------------------------------- */

static void crease(const mn__rig *r, mn__point a, mn__point b, mn__point c, float width, float alpha) {
    mn__point line[3] = {a, b, c};
    mn__stroke(r->c, line, 3, mn__pen_of(r, 0.3f * width, width, 0.3f * width, 0.9f), r->deep, alpha);
}

static void wrinkle_forehead(const mn__rig *r) {
    const float *au = r->au;
    float inner = au[MN_AU1], outer = au[MN_AU2], raised = 0.5f * (inner + outer);
    for (int i = 0; i < 3; i++) {
        float y = -0.325f - 0.036f * (float)i - 0.012f * raised, w = 0.10f + 0.08f * outer - 0.015f * (float)i;
        float dip = 0.02f * inner * (1 - outer); /* sad brows: raised in the middle */
        float alpha = 0.40f * raised + 0.26f * r->old - 0.06f * (float)i;
        crease(r, mn__at(r, -w, y + 0.012f, 0), mn__at(r, 0, y - dip, 0), mn__at(r, w, y + 0.012f, 0), 0.013f, alpha);
    }
}

static void wrinkle_side(const mn__rig *r, float s) {
    const float *au = r->au;
    float smile = au[MN_AU12], squint = au[MN_AU6], sneer = 0.7f * au[MN_AU9] + 0.5f * au[MN_AU10];
    /* glabella: between the brows */
    crease(r, mn__at(r, s * 0.028f, -0.29f, 0.02f), mn__at(r, s * 0.022f, -0.255f, 0.03f), mn__at(r, s * 0.030f, -0.215f, 0.03f),
           0.014f, 0.6f * au[MN_AU4] + 0.3f * au[MN_AU9] + 0.1f * r->old);
    /* from the wing of the nose round the corner of the mouth */
    float corner = r->mouth_w + 0.048f * smile + 0.03f, down = r->mouth_y - 0.025f - 0.045f * smile;
    crease(r, mn__at(r, s * (r->nose_w + 0.012f), r->nose_y - 0.02f, 0.03f),
           mn__at(r, s * (0.72f * r->nose_w + 0.33f * corner + 0.028f * smile), 0.5f * (r->nose_y + down), 0.01f),
           mn__at(r, s * corner, down, 0), 0.019f, 0.12f + 0.45f * r->old + 0.42f * smile + 0.6f * sneer + 0.12f * au[MN_AU15]);
    /* from the corner of the mouth downwards */
    crease(r, mn__at(r, s * (r->mouth_w + 0.01f), r->mouth_y + 0.03f, 0),
           mn__at(r, s * (r->mouth_w + 0.022f), r->mouth_y + 0.07f, 0),
           mn__at(r, s * (r->mouth_w + 0.008f), r->mouth_y + 0.105f, 0), 0.015f, 0.25f * r->old + 0.40f * au[MN_AU15]);
    /* crow's feet and the bag under the eye */
    for (int i = -1; i <= 1; i++) {
        float x = s * (r->eye_x + r->eye_w + 0.015f), y = r->eye_y + 0.012f * (float)i;
        crease(r, mn__at(r, x, y, 0), mn__at(r, x + s * 0.025f, y + 0.013f * (float)i - 0.002f, 0),
               mn__at(r, x + s * 0.048f, y + 0.024f * (float)i, 0), 0.008f, 0.45f * squint + 0.30f * r->old);
    }
    float bag = r->eye_y + 0.055f - 0.012f * squint;
    crease(r, mn__at(r, s * (r->eye_x - 0.06f), bag - 0.012f, 0), mn__at(r, s * r->eye_x, bag + 0.006f, 0),
           mn__at(r, s * (r->eye_x + 0.06f), bag - 0.012f, 0), 0.012f, 0.32f * r->old + 0.38f * squint + 0.2f * au[MN_AU7]);
}

/* AU9 pulls the skin of the nose up: creases across its root. */
static void wrinkle_nose(const mn__rig *r) {
    float nose = r->au[MN_AU9];
    for (int i = 0; i < 2; i++) {
        float y = -0.145f + 0.046f * (float)i, w = 0.042f - 0.004f * (float)i;
        crease(r, mn__at(r, -w, y + 0.016f, 0.04f), mn__at(r, 0, y, 0.07f), mn__at(r, w, y + 0.016f, 0.04f), 0.013f,
               0.60f * nose);
        for (float s = -1; s <= 1; s += 2)
            crease(r, mn__at(r, s * 0.045f, y + 0.022f, 0.04f), mn__at(r, s * 0.066f, y + 0.025f, 0.03f),
                   mn__at(r, s * 0.082f, y + 0.042f, 0.02f), 0.012f, 0.42f * nose);
    }
}

/* AU17 pushes the chin up: dimples and a fold above it. */
static void wrinkle_chin(const mn__rig *r) {
    float boss = r->au[MN_AU17];
    float y = r->chin - 0.115f;
    crease(r, mn__at(r, -0.075f, y + 0.022f, 0), mn__at(r, 0, y, 0), mn__at(r, 0.075f, y + 0.022f, 0), 0.018f, 0.55f * boss);
    for (int i = -2; i <= 2; i++)
        spot(r, 0.024f * (float)i, r->chin - 0.075f + 0.012f * (float)(i & 1), 0.013f, 0.013f, r->shadow, 0.6f * boss);
}

void mn__draw_wrinkles(const mn__rig *r) {
    mn__path head;
    mn__head_outline(r, &head);
    mn__clip(r->c, &head);
    wrinkle_forehead(r);
    wrinkle_side(r, -1);
    wrinkle_side(r, 1);
    wrinkle_nose(r);
    wrinkle_chin(r);
    mn__unclip(r->c);
}
