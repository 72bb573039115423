/* Rendered faces: glasses, and what lies in front of a face. */
#include "data/render/render.h"
#include <math.h>

/* ---- glasses --------------------------------------------------------------------------------------- */

static void lens_outline(const mn__rig *r, float s, bool round, mn__path *out) {
    float x = s * (r->eye_x + 0.008f), y = r->eye_y + 0.014f, w = 0.112f, h = round ? 0.092f : 0.074f;
    enum { N = 16 };
    mn__point p[N];
    float power = round ? 1.0f : 0.42f; /* a superellipse */
    for (int i = 0; i < N; i++) {
        float a = 6.2831853f * ((float)i + 0.5f) / N, cs = cosf(a), sn = sinf(a);
        p[i] = mn__at(r, x + w * copysignf(powf(fabsf(cs), power), cs), y + h * copysignf(powf(fabsf(sn), power), sn), 0.05f);
    }
    out->n = 0;
    mn__path_curve(out, r->c, p, N, true);
}

static void draw_lens(const mn__rig *r, float s, bool round, bool dark, mn__rgb frame) {
    mn__path lens;
    lens_outline(r, s, round, &lens);
    mn__fill(r->c, &lens, dark ? (mn__rgb){0.07f, 0.07f, 0.08f} : (mn__rgb){0.9f, 0.95f, 1}, dark ? 0.93f : 0.07f);
    mn__clip(r->c, &lens);
    mn__spot(r->c, mn__at(r, s * r->eye_x + 0.05f * r->light_x, r->eye_y - 0.03f, 0.05f), mn__px(r, 0.09f), mn__px(r, 0.04f),
             r->turn - 0.5f, (mn__rgb){1, 1, 1}, dark ? 0.45f : 0.25f);
    mn__unclip(r->c);
    mn__pen pen = mn__pen_of(r, 0.015f, 0.015f, 0.015f, 0);
    int step = r->c->detail; /* back to the control points */
    mn__point line[18];
    int n = 0;
    for (int i = 0; i < lens.n && n < 17; i += step) line[n++] = lens.p[i];
    line[n++] = lens.p[0];
    mn__stroke(r->c, line, n, pen, frame, 0.95f);
    mn__point arm[] = {mn__at(r, s * (r->eye_x + 0.118f), r->eye_y, 0.04f),
                       mn__rim(r, s * (r->half + 0.01f), r->eye_y - 0.01f, -0.1f)};
    mn__stroke(r->c, arm, 2, pen, frame, 0.9f);
}

static void draw_spectacles(const mn__rig *r, bool round, bool dark) {
    mn_rng g = mn_rng_create(r->f->person, MN__STREAM_HAIR);
    mn__rgb frame = mn_rng_uniform(&g, 0, 1) < 0.6 ? (mn__rgb){0.09f, 0.08f, 0.09f} : (mn__rgb){0.42f, 0.26f, 0.16f};
    draw_lens(r, -1, round, dark, frame);
    draw_lens(r, 1, round, dark, frame);
    mn__point bridge[] = {mn__at(r, -0.070f, r->eye_y - 0.005f, 0.05f), mn__at(r, 0, r->eye_y - 0.025f, 0.07f),
                          mn__at(r, 0.070f, r->eye_y - 0.005f, 0.05f)};
    mn__stroke(r->c, bridge, 3, mn__pen_of(r, 0.014f, 0.014f, 0.014f, 0), frame, 0.95f);
}

void mn__draw_glasses(const mn__rig *r) {
    if (r->f->glasses != MN_GLASSES_NONE && r->f->occlusion != MN_OCCLUSION_SUNGLASSES)
        draw_spectacles(r, r->f->glasses == MN_GLASSES_ROUND, false);
}

/* ---- occlusion ------------------------------------------------------------------------------------- */

/* A hand that comes from below and covers part of the cheek and the mouth. */
static void draw_hand(const mn__rig *r, mn_rng *g) {
    float s = mn_rng_below(g, 2) ? 1.0f : -1.0f, x = s * (float)mn_rng_uniform(g, 0.10, 0.30);
    float y = (float)mn_rng_uniform(g, 0.10, 0.22), lean = s * (float)mn_rng_uniform(g, -0.12, 0.02);
    const float reach[4] = {0.20f, 0.25f, 0.24f, 0.17f};
    for (int i = 0; i < 4; i++) {
        float fx = x + ((float)i - 1.5f) * 0.062f;
        mn__point finger[] = {mn__rim(r, fx, y + 0.22f, 0.2f), mn__rim(r, fx + 0.4f * lean, y + 0.22f - 0.5f * reach[i], 0.2f),
                              mn__rim(r, fx + lean, y + 0.22f - reach[i], 0.2f)};
        mn__stroke(r->c, finger, 3, mn__pen_of(r, 0.074f, 0.072f, 0.050f, 0), mn__mix(r->skin, r->shadow, 0.5f), 1);
        mn__stroke(r->c, finger, 3, mn__pen_of(r, 0.062f, 0.058f, 0.038f, 0), mn__mix(r->skin, r->shadow, 0.12f), 1);
        mn__spot(r->c, finger[2], mn__px(r, 0.024f), mn__px(r, 0.03f), r->turn, r->glow, 0.5f);
    }
    mn__path palm = {.n = 0};
    mn__path_ellipse(&palm, mn__rim(r, x, y + 0.36f, 0.2f), mn__px(r, 0.15f), mn__px(r, 0.19f), r->turn);
    mn__fill(r->c, &palm, mn__mix(r->skin, r->shadow, 0.15f), 1);
}

static void draw_scarf(const mn__rig *r, mn_rng *g) {
    float top = (float)mn_rng_uniform(g, 0.06, 0.22), hue = (float)mn_rng_uniform(g, 0.2, 0.7);
    mn__rgb colour = {hue, 0.35f, 0.85f - hue};
    mn__point p[] = {mn__rim(r, -0.48f, top - 0.10f, 0), mn__rim(r, 0, top + 0.02f, 0.1f), mn__rim(r, 0.48f, top - 0.10f, 0),
                     mn__rim(r, 0.56f, 0.75f, 0), mn__rim(r, -0.56f, 0.75f, 0)};
    mn__path path = {.n = 0};
    mn__path_curve(&path, r->c, p, 5, true);
    mn__fill(r->c, &path, colour, 1);
    mn__clip(r->c, &path);
    for (int i = 1; i < 5; i++) {
        float y = top + 0.085f * (float)i;
        mn__point fold[] = {mn__rim(r, -0.5f, y - 0.10f, 0), mn__rim(r, 0, y + 0.03f, 0.1f), mn__rim(r, 0.5f, y - 0.08f, 0)};
        mn__stroke(r->c, fold, 3, mn__pen_of(r, 0.02f, 0.045f, 0.02f, 0.6f), mn__dim(colour, i & 1 ? 0.6f : 1.3f), 0.6f);
    }
    mn__unclip(r->c);
}

/* A straight thing across the picture: a pole, a cable, a sheet of paper. */
static void draw_bar(const mn__rig *r, mn_rng *g) {
    float side = (float)r->c->size, a = (float)mn_rng_uniform(g, 0, 3.1416), w = side * (float)mn_rng_uniform(g, 0.08, 0.22);
    mn__point o = {side * (float)mn_rng_uniform(g, 0.25, 0.75), side * (float)mn_rng_uniform(g, 0.3, 0.8)};
    float ux = cosf(a) * 2 * side, uy = sinf(a) * 2 * side, v = (float)mn_rng_uniform(g, 0.05, 0.9);
    mn__point line[] = {{o.x - ux, o.y - uy}, {o.x + ux, o.y + uy}};
    mn__stroke(r->c, line, 2, (mn__pen){w, w, w, 0}, (mn__rgb){v, v, 0.95f * v}, 1);
    mn__stroke(r->c, line, 2, (mn__pen){0.3f * w, 0.3f * w, 0.3f * w, 0.8f}, (mn__rgb){v + 0.1f, v + 0.1f, v + 0.1f}, 0.5f);
}

void mn__draw_occlusion(const mn__rig *r) {
    mn_rng g = mn_rng_create(r->f->texture, MN__STREAM_OCCLUSION);
    switch (r->f->occlusion) {
    case MN_OCCLUSION_HAND:
        draw_hand(r, &g);
        break;
    case MN_OCCLUSION_SCARF:
        draw_scarf(r, &g);
        break;
    case MN_OCCLUSION_BAR:
        draw_bar(r, &g);
        break;
    case MN_OCCLUSION_SUNGLASSES:
        draw_spectacles(r, false, true);
        break;
    default:
        break;
    }
}
