/* Rendered faces: hair behind and in front of the head, headscarf, beard. */
#include "data/render/render.h"
#include <math.h>

/* What a style is made of, in face coordinates. */
typedef struct style {
    float volume; /* beyond the skull */
    float fringe; /* y of the hair line in the middle of the forehead */
    float part;   /* x of the parting */
    float side;   /* y to which the hair beside the face reaches; 0: above the ears */
    float wave;   /* of its outline */
} style;

static const style styles[MN_HAIR_STYLES] = {
    [MN_HAIR_SHAVED] = {0.006f, -0.40f, 0, 0, 0},       [MN_HAIR_CROP] = {0.040f, -0.385f, 0, 0, 0},
    [MN_HAIR_PARTED] = {0.060f, -0.375f, 0.16f, 0, 0},  [MN_HAIR_CURLY] = {0.105f, -0.37f, 0, 0.0f, 1},
    [MN_HAIR_LONG] = {0.060f, -0.44f, 0.02f, 0.62f, 0}, [MN_HAIR_BOB] = {0.070f, -0.305f, 0, 0.24f, 0},
    [MN_HAIR_TIED] = {0.030f, -0.41f, 0, 0, 0},         [MN_HAIR_WAVY] = {0.080f, -0.42f, -0.14f, 0.52f, 0.6f},
    [MN_HAIR_COVERED] = {0.050f, -0.36f, 0, 0, 0},
};

static float volume_of(const mn__rig *r) { return styles[r->f->hair_style].volume * (0.7f + 0.6f * (float)r->f->hair_length); }

/* Points of a ring round the head, over the angle from -1 (left ear) over 0 (top) to 1 (right ear). */
static mn__point crown(const mn__rig *r, float at, float out, float z) {
    float a = 1.72f * at, rx = r->half + out, ry = 0.46f + out;
    return mn__rim(r, rx * sinf(a), -0.105f - ry * cosf(a), z);
}

/* ---- behind the head ------------------------------------------------------------------------------- */

static void draw_curls(const mn__rig *r, mn_rng *g, float volume) {
    for (int i = 0; i <= 22; i++) {
        float at = ((float)i / 11 - 1) * 1.12f, size = 0.055f + 0.35f * volume + 0.02f * (float)mn_rng_uniform(g, -1, 1);
        mn__path p = {.n = 0};
        mn__path_ellipse(&p, crown(r, at, 0.55f * volume, -0.12f), mn__px(r, size), mn__px(r, size), 0);
        mn__fill(r->c, &p, i & 1 ? mn__dim(r->hair, 0.86f) : mn__dim(r->hair, 0.94f), 1);
    }
}

static void draw_falling(const mn__rig *r, const style *s, float volume) {
    float length = s->side * (0.75f + 0.5f * (float)r->f->hair_length), w = r->half + volume, b = 0.03f * s->wave;
    const float z = -0.13f;
    mn__point p[] = {mn__rim(r, 0, -0.57f - volume, z),
                     mn__rim(r, 0.72f * w, -0.48f - 0.6f * volume, z),
                     mn__rim(r, w + 0.01f, -0.18f, z),
                     mn__rim(r, w + 0.015f + b, 0.05f, z),
                     mn__rim(r, w + 0.01f - b, 0.5f * length + 0.05f, z),
                     mn__rim(r, w + b, length, z),
                     mn__rim(r, 0.55f * w, length + 0.05f, z),
                     mn__rim(r, -0.55f * w, length + 0.05f, z),
                     mn__rim(r, -w - b, length, z),
                     mn__rim(r, -w - 0.01f + b, 0.5f * length + 0.05f, z),
                     mn__rim(r, -w - 0.015f - b, 0.05f, z),
                     mn__rim(r, -w - 0.01f, -0.18f, z),
                     mn__rim(r, -0.72f * w, -0.48f - 0.6f * volume, z)};
    mn__path path = {.n = 0};
    mn__path_curve(&path, r->c, p, 13, true);
    mn__fill(r->c, &path, mn__mix(r->hair, r->hair_dark, 0.5f), 1);
}

static void draw_scarf_back(const mn__rig *r) {
    float w = r->half + 0.055f;
    const float z = -0.12f;
    mn__point p[] = {mn__rim(r, 0, -0.62f, z),        mn__rim(r, 0.75f * w, -0.50f, z), mn__rim(r, w, -0.15f, z),
                     mn__rim(r, w, 0.15f, z),         mn__rim(r, 0.95f * w, 0.40f, z),  mn__rim(r, 1.25f * w, 0.8f, z),
                     mn__rim(r, -1.25f * w, 0.8f, z), mn__rim(r, -0.95f * w, 0.40f, z), mn__rim(r, -w, 0.15f, z),
                     mn__rim(r, -w, -0.15f, z),       mn__rim(r, -0.75f * w, -0.50f, z)};
    mn__path path = {.n = 0};
    mn__path_curve(&path, r->c, p, 11, true);
    mn__fill(r->c, &path, mn__dim(r->scarf, 0.8f), 1);
}

void mn__draw_back_hair(const mn__rig *r) {
    const style *s = &styles[r->f->hair_style];
    mn_rng g = mn_rng_create(r->f->person, MN__STREAM_HAIR);
    float volume = volume_of(r);
    if (r->f->hair_style == MN_HAIR_COVERED)
        draw_scarf_back(r);
    else if (r->f->hair_style == MN_HAIR_CURLY)
        draw_curls(r, &g, volume);
    else if (s->side > 0)
        draw_falling(r, s, volume);
    if (r->f->hair_style == MN_HAIR_TIED && r->f->hair_length > 0.5) { /* a bun */
        mn__path bun = {.n = 0};
        mn__path_ellipse(&bun, mn__rim(r, 0, -0.63f, -0.2f), mn__px(r, 0.13f), mn__px(r, 0.11f), r->turn);
        mn__fill(r->c, &bun, r->hair, 1);
    }
}

/* ---- in front of the head -------------------------------------------------------------------------- */

/* The cap of hair: over the crown from ear to ear, back along the hair line. */
static void cap_outline(const mn__rig *r, const style *s, float volume, mn__path *out) {
    enum { TOP = 11, LINE = 9 };
    mn__point p[TOP + LINE];
    for (int i = 0; i < TOP; i++) {
        float at = 2 * (float)i / (TOP - 1) - 1;
        p[i] = crown(r, 0.94f * at, volume * (1 - 0.45f * fabsf(at)), -0.09f);
    }
    bool man = r->f->gender == 0;
    float recede = man && s->side == 0 ? 0.10f * r->old : 0, lift = s->fringe - 0.3f * recede;
    for (int i = 0; i < LINE; i++) {
        float t = 1 - 2 * (float)i / (LINE - 1), a = fabsf(t), w = r->half; /* from the right to the left */
        float from_part = t * 0.30f - s->part;
        float y = lift + 0.10f * a * a - recede * (a > 0.3f && a < 0.8f ? 1 : 0);
        if (s->part != 0) y += 0.055f * fabsf(from_part) / 0.3f - 0.03f;
        if (i == 0 || i == LINE - 1) y = s->side > 0 ? -0.05f : -0.13f;
        if (i == 1 || i == LINE - 2) y = s->side > 0 ? -0.24f : -0.26f;
        float x = i == 0 || i == LINE - 1 ? t * (w - 0.012f) : i == 1 || i == LINE - 2 ? t / 0.75f * (w - 0.045f) : t * 0.82f * w;
        p[TOP + i] = mn__at(r, x, y, i < 2 || i > LINE - 3 ? -0.02f : 0);
    }
    out->n = 0;
    mn__path_curve(out, r->c, p, TOP + LINE, true);
}

/* Curls on top, from the crown down to the hair line. */
static void draw_top_curls(const mn__rig *r, mn_rng *g, float volume) {
    for (int ring = 0; ring < 4; ring++)
        for (int i = 0; i < 9; i++) {
            float at = 0.62f * (((float)i + 0.5f * (float)(ring & 1)) / 4 - 1) + 0.03f * (float)mn_rng_uniform(g, -1, 1);
            float size = 0.050f + 0.012f * (float)mn_rng_uniform(g, -1, 1), out = 0.6f * volume - 0.062f * (float)ring;
            mn__point o = crown(r, at, out, 0.02f * (float)ring - 0.08f);
            mn__spot(r->c, o, mn__px(r, 1.5f * size), mn__px(r, 1.5f * size), 0, r->hair_dark, 0.5f);
            mn__spot(r->c, (mn__point){o.x - mn__px(r, 0.010f), o.y - mn__px(r, 0.014f)}, mn__px(r, size), mn__px(r, size), 0,
                     mn__mix(r->hair, r->hair_light, 0.35f), 0.75f);
        }
}

/* Locks: thin lines from the parting over the head, light and dark in turn. */
static void draw_strands(const mn__rig *r, const style *s, float volume, mn_rng *g) {
    for (int i = 0; i < 18; i++) {
        float at = (float)i / 8.5f - 1, jitter = 0.04f * (float)mn_rng_uniform(g, -1, 1);
        float near = 0.10f + 0.25f * fabsf(s->part);
        mn__point line[3] = {mn__at(r, s->part + (0.40f - near) * at, -0.56f - volume, -0.1f),
                             mn__at(r, 0.6f * s->part + (0.38f + 0.3f * jitter) * at, -0.44f + 0.12f * at * at, -0.04f),
                             mn__at(r, (0.42f + jitter) * at, s->fringe + 0.02f + 0.16f * at * at, -0.02f)};
        mn__stroke(r->c, line, 3, mn__pen_of(r, 0.006f, 0.018f, 0.004f, 0.8f), i & 1 ? r->hair_light : r->hair_dark,
                   volume < 0.06f ? 0.15f : 0.24f);
    }
}

static void draw_cap(const mn__rig *r, const style *s, mn_rng *g) {
    float volume = volume_of(r);
    mn__path cap;
    cap_outline(r, s, volume, &cap);
    bool shaved = r->f->hair_style == MN_HAIR_SHAVED;
    float thin = shaved ? 0.15f + 0.5f * (float)r->f->hair_length : 1;
    mn__fill(r->c, &cap, r->hair, thin);
    mn__clip(r->c, &cap);
    if (r->f->hair_style == MN_HAIR_CURLY)
        draw_top_curls(r, g, volume);
    else if (!shaved)
        draw_strands(r, s, volume, g);
    mn__point shine = crown(r, 0.35f * r->light_x, -0.06f, 0.1f);
    mn__spot(r->c, shine, mn__px(r, 0.24f), mn__px(r, 0.07f), r->turn, r->hair_light, shaved ? 0.2f : 0.40f);
    mn__unclip(r->c);
}

/* Hair that falls beside the face, over the ears. */
static void draw_side(const mn__rig *r, const style *s, float side, mn_rng *g) {
    float volume = volume_of(r), length = s->side * (0.75f + 0.5f * (float)r->f->hair_length), w = r->half;
    float in = 0.035f + 0.02f * (float)mn_rng_uniform(g, 0, 1), b = 0.025f * s->wave;
    const float z = -0.06f;
    mn__point p[] = {mn__rim(r, side * (w - 0.08f), -0.36f, z),
                     mn__rim(r, side * (w + volume), -0.28f, z),
                     mn__rim(r, side * (w + volume + b), 0.0f, z),
                     mn__rim(r, side * (w + volume - b), 0.5f * length, z),
                     mn__rim(r, side * (w + volume + b), length, z),
                     mn__rim(r, side * (w - 0.05f), length + 0.03f, z),
                     mn__rim(r, side * (w - in + b), 0.55f * length, z),
                     mn__rim(r, side * (w - 0.3f * in), 0.02f, z),
                     mn__rim(r, side * (w - in), -0.2f, z)};
    mn__path path = {.n = 0};
    mn__path_curve(&path, r->c, p, 9, true);
    mn__fill(r->c, &path, r->hair, 1);
    mn__clip(r->c, &path);
    for (int i = 0; i < 5; i++) {
        float x = side * (w - in + (in + volume) * ((float)i + 0.5f) / 5);
        mn__point line[] = {mn__rim(r, x - side * 0.03f, -0.36f, z), mn__rim(r, x + side * b, -0.05f, z),
                            mn__rim(r, x - side * b, 0.5f * length, z), mn__rim(r, x, length + 0.03f, z)};
        mn__stroke(r->c, line, 4, mn__pen_of(r, 0.008f, 0.016f, 0.006f, 0.6f), i & 1 ? r->hair_light : r->hair_dark, 0.4f);
    }
    mn__unclip(r->c);
}

static void draw_scarf(const mn__rig *r) {
    mn__rgb colour = r->scarf;
    float w = r->half + 0.05f;
    enum { N = 12 };
    mn__point outer[N], inner[N];
    for (int i = 0; i < N; i++) {
        float a = 6.2831853f * (float)i / N, sn = sinf(a), cs = cosf(a);
        outer[i] = mn__rim(r, w * sn, -0.06f - (cs > 0 ? 0.56f : 0.60f) * cs, -0.08f);
        float low = r->chin + 0.05f - 0.01f;
        inner[i] = mn__at(r, (r->half - 0.045f) * sn, cs > 0 ? -0.05f - 0.33f * cs : -0.05f - low * cs, -0.02f);
    }
    mn__path p = {.n = 0}, hole = {.n = 0};
    mn__path_curve(&p, r->c, outer, N, true);
    mn__path_curve(&hole, r->c, inner, N, true);
    /* one outline: round the outside, across, and back round the inside */
    mn__path ring = p;
    ring.p[ring.n++] = p.p[0];
    ring.p[ring.n++] = hole.p[0];
    for (int i = hole.n - 1; i >= 0; i--) ring.p[ring.n++] = hole.p[i];
    mn__fill(r->c, &ring, colour, 1);
    mn__clip(r->c, &ring);
    for (int i = 0; i < 4; i++) {
        float y = -0.50f + 0.05f * (float)i;
        mn__point fold[] = {mn__rim(r, -w, -0.1f + 0.12f * (float)i, 0), mn__rim(r, -0.2f, y, 0), mn__rim(r, 0.25f, y + 0.02f, 0),
                            mn__rim(r, w, 0.0f + 0.12f * (float)i, 0)};
        mn__stroke(r->c, fold, 4, mn__pen_of(r, 0.01f, 0.025f, 0.01f, 0.8f), mn__dim(colour, i & 1 ? 0.72f : 1.2f), 0.5f);
    }
    mn__unclip(r->c);
}

void mn__draw_front_hair(const mn__rig *r) {
    const style *s = &styles[r->f->hair_style];
    mn_rng g = mn_rng_create(r->f->person, MN__STREAM_HAIR);
    g.index = 100;
    if (r->f->hair_style == MN_HAIR_COVERED) {
        draw_scarf(r);
        return;
    }
    draw_cap(r, s, &g);
    if (s->side > 0)
        for (float side = -1; side <= 1; side += 2) draw_side(r, s, side, &g);
}

/* ---- beard ----------------------------------------------------------------------------------------- */

/* Along the jaw from ear to ear and back above the chin. */
static void draw_jaw_beard(const mn__rig *r, float alpha) {
    float w = r->half, c = r->chin, corner = r->mouth_w + 0.05f;
    mn__point p[] = {mn__rim(r, -0.99f * w, -0.04f, -0.08f),
                     mn__rim(r, -0.97f * w, 0.12f, -0.06f),
                     mn__rim(r, -(0.80f + 0.1f * r->jaw) * w, c - 0.17f, -0.02f),
                     mn__rim(r, -(0.56f + 0.15f * r->jaw) * w, c - 0.06f, 0.02f),
                     mn__rim(r, -0.1f, c + 0.015f, 0.07f),
                     mn__rim(r, 0.1f, c + 0.015f, 0.07f),
                     mn__rim(r, (0.56f + 0.15f * r->jaw) * w, c - 0.06f, 0.02f),
                     mn__rim(r, (0.80f + 0.1f * r->jaw) * w, c - 0.17f, -0.02f),
                     mn__rim(r, 0.97f * w, 0.12f, -0.06f),
                     mn__rim(r, 0.99f * w, -0.04f, -0.08f),
                     mn__at(r, 0.86f * w, 0.10f, 0),
                     mn__at(r, corner + 0.03f, r->mouth_y - 0.005f, 0),
                     mn__at(r, corner - 0.02f, r->mouth_y + 0.06f, 0),
                     mn__at(r, 0.06f, r->mouth_y + 0.085f + 0.6f * r->drop, 0),
                     mn__at(r, -0.06f, r->mouth_y + 0.085f + 0.6f * r->drop, 0),
                     mn__at(r, -corner + 0.02f, r->mouth_y + 0.06f, 0),
                     mn__at(r, -corner - 0.03f, r->mouth_y - 0.005f, 0),
                     mn__at(r, -0.86f * w, 0.10f, 0)};
    mn__path path = {.n = 0}, head;
    mn__path_curve(&path, r->c, p, 18, true);
    mn__head_outline(r, &head);
    mn__clip(r->c, &head);
    mn__fill(r->c, &path, r->hair, alpha);
    mn__unclip(r->c);
    if (alpha < 0.5f) return;
    mn__point edge[7]; /* a full beard stands a little beyond the jaw */
    for (int i = 0; i < 7; i++) {
        float t = ((float)i - 3) / 3, a = fabsf(t), x = (0.60f + 0.16f * r->jaw) * w * t * (1.45f - 0.45f * a * a);
        edge[i] = mn__rim(r, x, c - 0.01f - 0.19f * a * a * a, 0.07f - 0.09f * a);
    }
    mn__stroke(r->c, edge, 7, mn__pen_of(r, 0.01f, 0.07f, 0.01f, 0), r->hair, alpha);
}

static void draw_moustache(const mn__rig *r, float alpha) {
    float y = 0.5f * (r->nose_y + r->mouth_y) + 0.006f, w = r->mouth_w + 0.03f;
    float raise = 0.03f * r->au[MN_AU12] - 0.02f * r->au[MN_AU15];
    for (float s = -1; s <= 1; s += 2) {
        mn__point line[] = {mn__at(r, s * 0.004f, y, 0.03f), mn__at(r, s * 0.5f * w, y + 0.006f - 0.3f * raise, 0.02f),
                            mn__at(r, s * w, y + 0.062f - raise, 0)};
        mn__stroke(r->c, line, 3, mn__pen_of(r, 0.034f, 0.046f, 0.012f, 0.3f), r->hair, alpha);
    }
}

static void draw_goatee(const mn__rig *r, float alpha) {
    float top = r->mouth_y + 0.082f + 0.7f * r->drop, c = r->chin;
    mn__point p[] = {mn__at(r, -0.085f, top + 0.01f, 0), mn__at(r, 0, top, 0),
                     mn__at(r, 0.085f, top + 0.01f, 0),  mn__rim(r, 0.11f, c - 0.03f, 0.07f),
                     mn__rim(r, 0, c + 0.03f, 0.08f),    mn__rim(r, -0.11f, c - 0.03f, 0.07f)};
    mn__path path = {.n = 0};
    mn__path_curve(&path, r->c, p, 6, true);
    mn__fill(r->c, &path, r->hair, alpha);
}

/* Short hairs along the jaw, so that a beard is not a flat patch. */
static void draw_bristles(const mn__rig *r) {
    mn_rng g = mn_rng_create(r->f->person, MN__STREAM_HAIR);
    g.index = 200;
    for (int i = 0; i < 26; i++) {
        float at = (float)mn_rng_uniform(&g, -1, 1),
              y = r->chin - 0.02f - 0.10f * fabsf(at) - 0.06f * (float)mn_rng_uniform(&g, 0, 1);
        float x = at * 0.68f * r->half;
        mn__point line[] = {mn__at(r, x, y - 0.02f, 0), mn__at(r, x * 1.03f, y + 0.025f, 0)};
        mn__stroke(r->c, line, 2, mn__pen_of(r, 0.006f, 0.010f, 0.003f, 0), i & 1 ? r->hair_light : r->hair_dark, 0.3f);
    }
}

void mn__draw_beard(const mn__rig *r) {
    switch (r->f->beard) {
    case MN_BEARD_STUBBLE:
        draw_jaw_beard(r, 0.22f);
        draw_moustache(r, 0.16f);
        break;
    case MN_BEARD_MOUSTACHE:
        draw_moustache(r, 0.9f);
        break;
    case MN_BEARD_GOATEE:
        draw_moustache(r, 0.8f);
        draw_goatee(r, 0.85f);
        break;
    case MN_BEARD_FULL:
        draw_jaw_beard(r, 0.88f);
        draw_moustache(r, 0.85f);
        draw_bristles(r);
        break;
    default:
        break;
    }
}
