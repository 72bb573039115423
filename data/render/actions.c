/* From an expression and an intensity to facial action units.
 *
 * The prototypes are those of the Facial Action Coding System's investigator's guide (Ekman, Friesen and
 * Hager 2002; EMFACS): a happy face raises cheeks (6) and lip corners (12), and so on. People differ: a
 * strength varies, and some units come with an expression only now and then. */
#include "data/render/render.h"

const char *const mn_au_names[MN_AU_COUNT] = {
    "AU1 inner brow raiser",  "AU2 outer brow raiser",   "AU4 brow lowerer",       "AU5 upper lid raiser",
    "AU6 cheek raiser",       "AU7 lid tightener",       "AU9 nose wrinkler",      "AU10 upper lip raiser",
    "AU12 lip corner puller", "AU15 lip corner lowerer", "AU16 lower lip lowerer", "AU17 chin raiser",
    "AU20 lip stretcher",     "AU23 lip tightener",      "AU24 lip pressor",       "AU25 lips part",
    "AU26 jaw drop",          "AU27 mouth stretch",
};

/* A unit of a prototype: its strength at the apex and the share of people who show it. */
typedef struct action {
    mn_au au;
    float strength, share;
} action;

/* clang-format off */
static const action prototype[7][8] = {
    /* angry */
    {{MN_AU4, 1, 1}, {MN_AU7, .9f, 1}, {MN_AU23, 1, 1}, {MN_AU5, .55f, .8f},
     {MN_AU24, .7f, .6f}, {MN_AU17, .5f, .5f}, {MN_AU25, .35f, .2f}},
    /* disgust */
    {{MN_AU9, 1, 1}, {MN_AU10, .9f, .9f}, {MN_AU15, .5f, .8f}, {MN_AU16, .5f, .8f},
     {MN_AU7, .6f, .7f}, {MN_AU4, .4f, .5f}, {MN_AU25, .5f, .5f}, {MN_AU17, .3f, .3f}},
    /* fear */
    {{MN_AU1, 1, 1}, {MN_AU4, .7f, 1}, {MN_AU5, 1, 1}, {MN_AU20, 1, 1},
     {MN_AU25, .8f, 1}, {MN_AU2, .6f, .9f}, {MN_AU26, .4f, .7f}},
    /* happy */
    {{MN_AU6, 1, 1}, {MN_AU12, 1, 1}, {MN_AU25, 1, .85f}, {MN_AU26, .3f, .3f}},
    /* sad */
    {{MN_AU1, 1, 1}, {MN_AU4, .7f, 1}, {MN_AU15, 1, 1}, {MN_AU17, .8f, .8f}, {MN_AU7, .3f, .4f}},
    /* surprise */
    {{MN_AU1, 1, 1}, {MN_AU2, 1, 1}, {MN_AU25, 1, 1}, {MN_AU26, 1, 1}, {MN_AU5, .9f, .95f}, {MN_AU27, .6f, .4f}},
    /* neutral */
    {{MN_AU1, 0, 0}},
};
/* clang-format on */

void mn_face_action_units(const mn_face *f, double au[MN_AU_COUNT]) {
    for (int k = 0; k < MN_AU_COUNT; k++) au[k] = 0;
    if (f->expression < 0 || f->expression > 6) return;
    mn_rng r = mn_rng_create(f->texture, MN__STREAM_ACTIONS);
    for (int k = 0; k < 8; k++) {
        const action *a = &prototype[f->expression][k];
        double luck = mn_rng_uniform(&r, 0, 1), weaker = mn_rng_uniform(&r, 0, 0.3);
        /* without variation: what most people show, at full strength */
        bool shown = (f->variation > 0 ? 0.5 + f->variation * (luck - 0.5) : 0.5) < a->share;
        if (shown) au[a->au] = a->strength * (1 - f->variation * weaker) * f->intensity;
    }
}

/* Minimum jerk (Flash and Hogan 1985): how a movement from rest to rest runs. */
double mn__onset(int frame, int frames) {
    double t = frames > 1 ? (double)frame / (frames - 1) : 1;
    return t * t * t * (10 + t * (6 * t - 15));
}
