/* Rendered faces: the rig, the picture, random people, the contact sheet. docs/rendered-faces.md. */
#include "data/render/render.h"
#include <math.h>
#include <string.h>

static double clamp(double v, double lo, double hi) { return v < lo ? lo : v > hi ? hi : v; }

/* ---- from head to picture -------------------------------------------------------------------------- */

/* Turns (x, y, z) by yaw, then pitch, then roll, and shows it from far away. */
static mn__point project(const mn__rig *r, float x, float y, float z) {
    float u = x * r->cos_yaw + z * r->sin_yaw, w = z * r->cos_yaw - x * r->sin_yaw;
    float v = y * r->cos_pitch + w * r->sin_pitch;
    return (mn__point){r->origin.x + r->unit * (u * r->cos_roll - v * r->sin_roll),
                       r->origin.y + r->unit * (u * r->sin_roll + v * r->cos_roll)};
}

/* The head is half an ellipsoid 0.40 deep; it turns about an axis at 0.22 of that depth, which keeps the
 * face in the middle of the picture as a face detector would. */
mn__point mn__at(const mn__rig *r, float x, float y, float dz) {
    float a = x / 0.44f, b = y / 0.62f, left = 1 - a * a - b * b;
    return project(r, x, y, 0.40f * sqrtf(left > 0.05f ? left : 0.05f) - 0.22f + dz);
}

mn__point mn__rim(const mn__rig *r, float x, float y, float z) { return project(r, x, y, z); }

/* ---- colours --------------------------------------------------------------------------------------- */

static mn__rgb ramp(const unsigned char (*stop)[3], int n, double t) {
    double at = clamp(t, 0, 1) * (n - 1);
    int i = at >= n - 1 ? n - 2 : (int)at;
    float k = (float)(at - i) / 255, j = 1.0f / 255 - k;
    const unsigned char *a = stop[i], *b = stop[i + 1];
    return (mn__rgb){j * a[0] + k * b[0], j * a[1] + k * b[1], j * a[2] + k * b[2]};
}

static const unsigned char skin_tones[][3] = {{96, 67, 54},    {119, 84, 65},   {145, 102, 77},  {171, 124, 93},
                                              {195, 145, 112}, {222, 176, 145}, {238, 202, 176}, {248, 222, 204}};
static const unsigned char hair_tones[][3] = {{24, 20, 20},  {42, 30, 25},   {72, 47, 33},    {104, 68, 43},
                                              {138, 78, 44}, {168, 118, 66}, {206, 166, 104}, {232, 212, 170}};
static const unsigned char cloth_tones[][3] = {{52, 73, 110}, {122, 66, 72}, {70, 104, 92},  {176, 160, 138},
                                               {92, 86, 112}, {60, 62, 70},  {178, 126, 92}, {214, 216, 218}};

static void set_colours(mn__rig *r) {
    const mn_face *f = r->f;
    r->skin = ramp(skin_tones, 8, f->skin);
    mn__rgb warm = {0.45f, 0.16f, 0.12f};
    r->shadow = mn__mix(mn__dim(r->skin, 0.62f), warm, 0.16f);
    r->deep = mn__mix(mn__dim(r->skin, 0.34f), warm, 0.18f);
    r->glow = mn__mix(r->skin, (mn__rgb){1, 0.95f, 0.88f}, 0.24f + 0.18f * (float)f->skin);
    float grey = (float)clamp((f->age - 50) / 26, 0, 0.9);
    r->hair = mn__mix(ramp(hair_tones, 8, f->hair_tone), (mn__rgb){0.78f, 0.78f, 0.79f}, grey);
    r->hair_dark = mn__dim(r->hair, 0.62f);
    r->hair_light = mn__mix(r->hair, (mn__rgb){1, 0.95f, 0.88f}, 0.24f);
    mn__rgb brow = mn__mix(ramp(hair_tones, 8, 0.7 * f->hair_tone), (mn__rgb){0.62f, 0.62f, 0.62f}, 0.7f * grey);
    r->brow = mn__mix(brow, r->deep, 0.30f);
    mn__rgb natural = mn__mix(r->skin, (mn__rgb){0.62f, 0.22f, 0.22f}, 0.42f);
    mn__rgb painted = mn__mix((mn__rgb){0.72f, 0.12f, 0.18f}, natural, 0.25f);
    r->lip = mn__mix(natural, painted, (float)(0.85 * f->makeup));
    mn_rng g = mn_rng_create(f->texture, MN__STREAM_CLOTH), h = mn_rng_create(f->person, MN__STREAM_CLOTH);
    r->cloth = ramp(cloth_tones, 8, mn_rng_uniform(&g, 0, 1));
    r->scarf = mn__mix(ramp(cloth_tones, 8, mn_rng_uniform(&h, 0, 1)), (mn__rgb){0.60f, 0.52f, 0.54f}, 0.35f);
}

/* ---- the rig --------------------------------------------------------------------------------------- */

static void set_view(mn__rig *r, int size) {
    const mn_face *f = r->f;
    const float radian = 0.017453292f;
    float yaw = radian * (float)f->yaw, pitch = radian * (float)f->pitch, light = radian * (float)f->light_angle;
    r->turn = radian * (float)f->roll;
    r->cos_yaw = cosf(yaw), r->sin_yaw = sinf(yaw);
    r->cos_pitch = cosf(pitch), r->sin_pitch = sinf(pitch);
    r->cos_roll = cosf(r->turn), r->sin_roll = sinf(r->turn);
    r->unit = (float)(size * f->scale);
    r->origin = (mn__point){(float)(size * (0.5 + f->shift_x)), (float)(size * (0.52 + f->shift_y))};
    r->light_x = sinf(light), r->light_y = -cosf(light);
}

static void set_measures(mn__rig *r) {
    const mn_face *f = r->f;
    const float *au = r->au;
    r->old = (float)clamp((f->age - 35) / 45, 0, 1);
    r->jaw = (float)f->jaw;
    r->half = 0.368f + 0.055f * (float)f->head_width;
    r->drop = 0.035f * au[MN_AU26] + 0.05f * au[MN_AU27] + 0.006f * au[MN_AU25];
    r->chin = 0.405f + 0.045f * (float)f->head_height + 0.9f * r->drop - 0.012f * au[MN_AU17];
    r->eye_x = 0.18f * (0.94f + 0.12f * (float)f->eye_distance);
    r->eye_y = -0.16f;
    r->eye_w = 0.073f + 0.015f * (float)f->eye_size;
    r->brow_y = -0.262f;
    r->nose_y = 0.052f + 0.035f * (float)f->nose_length - 0.016f * au[MN_AU9] - 0.006f * au[MN_AU10];
    r->nose_w = 0.066f + 0.034f * (float)f->nose_width + 0.008f * au[MN_AU9] + 0.006f * au[MN_AU12];
    r->mouth_y = r->nose_y + 0.118f + 0.02f * (float)f->head_height;
    r->mouth_w = 0.112f + 0.026f * (float)f->mouth_width;
}

static void set_rig(mn__rig *r, const mn_face *f, mn__canvas *c) {
    *r = (mn__rig){.f = f, .c = c};
    double au[MN_AU_COUNT];
    mn_face_action_units(f, au);
    for (int k = 0; k < MN_AU_COUNT; k++) r->au[k] = (float)au[k];
    set_view(r, c->size);
    set_measures(r);
    set_colours(r);
}

/* ---- rendering ------------------------------------------------------------------------------------- */

/* Every field but the seeds, with its range: what mn_face_render accepts. */
static const struct field {
    mn_face_field is;
    size_t at;
} fields[] = {
#define NUMBER(field, lo, hi)                                                                                                    \
    { {#field, lo, hi, false}, offsetof(mn_face, field) }
#define CHOICE(field, count)                                                                                                     \
    { {#field, 0, (count)-1, true}, offsetof(mn_face, field) }
    CHOICE(expression, 7),
    NUMBER(intensity, 0, 1),
    NUMBER(variation, 0, 1),
    CHOICE(gender, 2),
    NUMBER(skin, 0, 1),
    NUMBER(head_width, 0, 1),
    NUMBER(head_height, 0, 1),
    NUMBER(jaw, 0, 1),
    NUMBER(hair_tone, 0, 1),
    NUMBER(hair_length, 0, 1),
    NUMBER(brow_thickness, 0, 1),
    NUMBER(eye_size, 0, 1),
    NUMBER(eye_distance, 0, 1),
    NUMBER(eye_tilt, 0, 1),
    NUMBER(eye_tone, 0, 1),
    NUMBER(nose_length, 0, 1),
    NUMBER(nose_width, 0, 1),
    NUMBER(mouth_width, 0, 1),
    NUMBER(lip_fullness, 0, 1),
    NUMBER(age, 20, 80),
    NUMBER(makeup, 0, 1),
    NUMBER(resting_brow, 0, 1),
    NUMBER(resting_mouth, 0, 1),
    CHOICE(hair_style, MN_HAIR_STYLES),
    CHOICE(glasses, MN_GLASSES_KINDS),
    CHOICE(beard, MN_BEARDS),
    CHOICE(earrings, 2),
    NUMBER(yaw, -35, 35),
    NUMBER(pitch, -25, 25),
    NUMBER(roll, -45, 45),
    NUMBER(gaze_x, -1, 1),
    NUMBER(gaze_y, -1, 1),
    NUMBER(scale, 0.25, 4),
    NUMBER(shift_x, -1, 1),
    NUMBER(shift_y, -1, 1),
    NUMBER(light_angle, -360, 360),
    NUMBER(light, 0, 1),
    NUMBER(contrast, 0, 1),
    NUMBER(background, 0, 1),
    NUMBER(noise, 0, 1),
    NUMBER(blur, 0, 1),
    CHOICE(occlusion, MN_OCCLUSIONS),
#undef NUMBER
#undef CHOICE
};
enum { FIELDS = sizeof fields / sizeof *fields };

bool mn_face_field_at(int i, mn_face_field *out) {
    if (i < 0 || i >= FIELDS) return false;
    *out = fields[i].is;
    return true;
}

static mn_status check_value(const mn_face_field *f, double v, mn_error *err) {
    if (v >= f->lo && v <= f->hi && (!f->whole || v == floor(v))) return MN_OK;
    return mn_fail(err, MN_ERR_ARG, "render: %s is %g, wanted %s%g to %g", f->name, v, f->whole ? "a whole number from " : "",
                   f->lo, f->hi);
}

mn_status mn_face_set(mn_face *f, const char *field, double value, mn_error *err) {
    for (int i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].is.name, field)) continue;
        if (check_value(&fields[i].is, value, err) != MN_OK) return MN_ERR_ARG;
        int whole = (int)value;
        if (fields[i].is.whole)
            memcpy((char *)f + fields[i].at, &whole, sizeof whole);
        else
            memcpy((char *)f + fields[i].at, &value, sizeof value);
        return MN_OK;
    }
    return mn_fail(err, MN_ERR_ARG, "render: a face has no \"%s\"; hint: yaw, age, hair_style, ... (docs/rendered-faces.md)",
                   field);
}

static mn_status check_face(const mn_face *f, mn_error *err) {
    for (int i = 0; i < FIELDS; i++) {
        const char *at = (const char *)f + fields[i].at;
        double value;
        int whole;
        if (fields[i].is.whole)
            memcpy(&whole, at, sizeof whole), value = whole;
        else
            memcpy(&value, at, sizeof value);
        if (check_value(&fields[i].is, value, err) != MN_OK) return MN_ERR_ARG;
    }
    return MN_OK;
}

static mn_status check_picture(const char *what, int size, int channels, mn_error *err) {
    if (size < MN_RENDER_MIN_SIZE || size > MN_RENDER_MAX_SIZE)
        return mn_fail(err, MN_ERR_ARG, "%s: the size is %d, wanted %d to %d pixels; hint: 48", what, size, MN_RENDER_MIN_SIZE,
                       MN_RENDER_MAX_SIZE);
    if (channels != 1 && channels != 3)
        return mn_fail(err, MN_ERR_ARG, "%s: %d channels, wanted 1 (grey) or 3 (RGB)", what, channels);
    return MN_OK;
}

/* Light and shade over the head and its hair, then what lies in front of the face. */
static void draw(const mn__rig *r) {
    mn__draw_background(r);
    mn__draw_back_hair(r);
    mn__draw_body(r);
    mn__draw_head(r);
    mn__draw_wrinkles(r);
    mn__draw_beard(r);
    mn__draw_nose(r);
    mn__draw_mouth(r);
    mn__draw_eyes(r);
    mn__draw_brows(r);
    mn__draw_front_hair(r);
    mn__draw_glasses(r);
    mn__draw_occlusion(r);
}

static void develop(const mn__canvas *c, const mn_face *f, uint8_t *out) {
    float gain = (float)exp2(1.6 * (f->contrast - 0.5)), middle = 0.5f;
    float offset = middle * (1 - gain) + 0.5f * (float)(f->light - 0.5);
    mn__develop(c, gain, offset, 0.16f * (float)f->noise, f->texture, out);
}

mn_status mn_face_render(const mn_face *f, int size, int channels, mn_image *out, mn_error *err) {
    mn_status status = check_picture("render", size, channels, err);
    if (status == MN_OK) status = check_face(f, err);
    if (status == MN_OK) status = mn_image_reserve(out, size, size, channels, err);
    mn__canvas c = {0};
    if (status == MN_OK) status = mn__canvas_create(&c, size, channels, err);
    if (status != MN_OK) return status;
    mn__rig rig;
    set_rig(&rig, f, &c);
    draw(&rig);
    mn__blur(&c, 0.022f * (float)(size * f->blur));
    develop(&c, f, out->pixels);
    mn__canvas_destroy(&c);
    return MN_OK;
}

/* ---- random people --------------------------------------------------------------------------------- */

/* A value around `middle`, most within `spread`, kept in 0..1. */
static double around(mn_rng *r, double middle, double spread) { return clamp(middle + 0.5 * spread * mn_rng_normal(r), 0, 1); }
static bool chance(mn_rng *r, double p) { return mn_rng_uniform(r, 0, 1) < p; }

/* One of n things by their weights in percent. */
static int pick(mn_rng *r, const int *percent, int n) {
    int at = (int)mn_rng_below(r, 100), k = 0;
    while (k < n - 1 && at >= percent[k]) at -= percent[k++];
    return k;
}

/* What both genders share. */
static void random_build(mn_face *f, mn_rng *r) {
    f->skin = mn_rng_uniform(r, 0, 1);
    f->age = mn_rng_uniform(r, 20, 76);
    f->head_height = around(r, 0.5, 0.5);
    f->head_width = around(r, 0.5, 0.5);
    f->eye_distance = around(r, 0.5, 0.5);
    f->eye_tilt = around(r, 0.5, 0.5);
    f->nose_length = around(r, 0.5, 0.5);
    f->nose_width = around(r, 0.75 - 0.5 * f->skin, 0.5);
    f->mouth_width = around(r, 0.5, 0.5);
    f->resting_brow = around(r, 0.5, 0.5);
    f->resting_mouth = around(r, 0.5, 0.5);
    /* light hair and eyes are rare with dark skin */
    f->hair_tone = f->skin < 0.55 ? around(r, 0.10, 0.22) : clamp(mn_rng_uniform(r, -0.15, 1), 0, 1);
    f->eye_tone = f->skin < 0.6 ? around(r, 0.1, 0.25) : mn_rng_uniform(r, 0, 1);
    f->glasses = chance(r, 0.2) ? 1 + (int)mn_rng_below(r, 2) : MN_GLASSES_NONE;
}

/* Cues of gender presentation: their distributions overlap, and few people show all of them. */
static void random_gender(mn_face *f, mn_rng *r) {
    static const int hair[2][MN_HAIR_STYLES] = {{15, 33, 29, 12, 3, 1, 2, 5, 0}, {2, 7, 7, 12, 20, 15, 14, 16, 7}};
    static const int beard[MN_BEARDS] = {47, 18, 10, 9, 16};
    bool woman = f->gender == 1;
    f->jaw = around(r, woman ? 0.30 : 0.68, 0.45);
    f->brow_thickness = around(r, woman ? 0.32 : 0.66, 0.45);
    f->eye_size = around(r, woman ? 0.60 : 0.42, 0.5);
    f->lip_fullness = around(r, (woman ? 0.60 : 0.38) + 0.25 * (0.5 - f->skin), 0.45);
    f->hair_style = pick(r, hair[f->gender], MN_HAIR_STYLES);
    f->hair_length = around(r, woman ? 0.6 : 0.35, 0.5);
    f->beard = woman ? MN_BEARD_NONE : pick(r, beard, MN_BEARDS);
    f->makeup = woman && chance(r, 0.6) ? mn_rng_uniform(r, 0.2, 1) : 0;
    f->earrings = chance(r, woman ? 0.45 : 0.06);
}

static void random_picture(mn_face *f, mn_rng *r) {
    static const int occlusion[MN_OCCLUSIONS] = {94, 2, 1, 2, 1};
    f->yaw = clamp(7 * mn_rng_normal(r), -28, 28);
    f->pitch = clamp(4 * mn_rng_normal(r), -15, 15);
    f->roll = clamp(4 * mn_rng_normal(r), -16, 16);
    f->gaze_x = clamp(0.3 * mn_rng_normal(r), -1, 1);
    f->gaze_y = clamp(0.2 * mn_rng_normal(r), -1, 1);
    f->scale = clamp(0.97 + 0.05 * mn_rng_normal(r), 0.8, 1.15);
    f->shift_x = clamp(0.018 * mn_rng_normal(r), -0.06, 0.06);
    f->shift_y = clamp(0.018 * mn_rng_normal(r), -0.06, 0.06);
    f->light_angle = clamp(40 * mn_rng_normal(r), -120, 120);
    f->light = clamp(0.5 + 0.09 * mn_rng_normal(r), 0.25, 0.75);
    f->contrast = clamp(0.55 + 0.10 * mn_rng_normal(r), 0.2, 0.8);
    f->background = mn_rng_uniform(r, 0, 1);
    f->noise = 0.15 * pow(mn_rng_uniform(r, 0, 1), 2);
    f->blur = chance(r, 0.25) ? mn_rng_uniform(r, 0, 0.25) : 0;
    f->occlusion = pick(r, occlusion, MN_OCCLUSIONS);
}

void mn_face_random(mn_face *f, uint64_t seed, uint64_t identity, uint64_t picture, int expression, int gender) {
    *f = (mn_face){.expression = expression, .gender = gender == 1, .scale = 1, .variation = 1};
    mn_rng person = mn_rng_create(seed, 2 * identity), r = mn_rng_create(seed, 2 * identity + 1);
    random_build(f, &person);
    random_gender(f, &person);
    f->person = (uint64_t)mn_rng_u32(&person) << 32 | mn_rng_u32(&person);
    r.index = picture * 64; /* a picture draws fewer than 4 * 64 numbers */
    random_picture(f, &r);
    f->intensity = mn_rng_uniform(&r, 0.7, 1);
    f->texture = (uint64_t)mn_rng_u32(&r) << 32 | mn_rng_u32(&r);
}

void mn_face_pose_plain(mn_face *f) {
    f->yaw = f->pitch = f->roll = f->gaze_x = f->gaze_y = f->shift_x = f->shift_y = 0;
    f->scale = 1, f->light_angle = -30, f->light = f->contrast = 0.5;
    f->noise = f->blur = 0;
    f->occlusion = MN_OCCLUSION_NONE;
    f->variation = 0;
}

/* ---- the contact sheet ------------------------------------------------------------------------------ */

/* A place in 0..1 for each row, all different, `step` of the range from the one before. */
static double share_of(int row, int rows, double step) {
    int k = (int)(step * rows) + 1, a, b;
    for (;; k++) { /* the next number without a common divisor */
        for (a = k, b = rows; b;) {
            int rest = a % b;
            a = b, b = rest;
        }
        if (a == 1) break;
    }
    return ((int64_t)row * k % rows + 0.5) / rows;
}

/* Neighbouring people of a sheet differ: skin and age take every row's share of their range, out of step. */
static void sheet_face(mn_face *f, const mn_sheet_opt *o, int row, int column) {
    bool sequence = o->frames > 1;
    int expression = sequence ? row % 6 : column;
    mn_face_random(f, o->seed, (uint64_t)row, (uint64_t)(sequence ? 0 : column), expression, row % 2);
    f->skin = share_of(row, o->rows, 0.38);
    f->age = 22 + 50 * share_of(row, o->rows, 0.62);
    if (f->skin < 0.5 && f->hair_tone > 0.4) f->hair_tone *= 0.4;
    double natural_scale = f->scale;
    if (!o->natural) {
        mn_face_pose_plain(f);
        f->intensity = 0.95;
        f->yaw = row % 3 == 1 ? 8 : row % 3 == 2 ? -8 : 0;
        natural_scale = 1;
    }
    f->scale = natural_scale * o->scale;
    if (sequence) f->intensity *= mn__onset(column, o->frames);
}

static void paste(mn_image *sheet, const mn_image *cell, int x, int y) {
    size_t row = (size_t)cell->width * (size_t)cell->channels;
    for (int i = 0; i < cell->height; i++) {
        size_t to = ((size_t)(y + i) * (size_t)sheet->width + (size_t)x) * (size_t)sheet->channels;
        memcpy(sheet->pixels + to, cell->pixels + (size_t)i * row, row);
    }
}

static mn_status check_sheet(const mn_sheet_opt *o, int columns, mn_error *err) {
    mn_status status = check_picture("contact sheet", o->size, o->channels, err);
    if (status != MN_OK) return status;
    if (o->rows < 1 || o->rows > 1000 || o->frames < 0 || o->frames > 1000)
        return mn_fail(err, MN_ERR_ARG,
                       "contact sheet: %d rows and %d frames, wanted 1 to 1000 rows and up to "
                       "1000 frames",
                       o->rows, o->frames);
    if (!(o->scale >= 0.25 && o->scale <= 2))
        return mn_fail(err, MN_ERR_ARG, "contact sheet: the scale is %g, wanted 0.25 to 2", o->scale);
    if (o->gap < 0 || o->gap > 1024) return mn_fail(err, MN_ERR_ARG, "contact sheet: the gap is %d, wanted 0 to 1024", o->gap);
    if ((int64_t)o->rows * (o->size + o->gap) > 32768 || (int64_t)columns * (o->size + o->gap / 4) > 32768)
        return mn_fail(err, MN_ERR_ARG,
                       "contact sheet: %d x %d cells of %d pixels are more than 32768 pixels a "
                       "side; hint: fewer rows or smaller cells",
                       columns, o->rows, o->size);
    return MN_OK;
}

mn_status mn_face_sheet(const mn_sheet_opt *opt, mn_image *out, mn_error *err) {
    mn_sheet_opt o = opt ? *opt : (mn_sheet_opt){0};
    if (o.rows == 0) o.rows = 6;
    if (o.size == 0) o.size = 96;
    if (o.channels == 0) o.channels = 3;
    if (o.scale == 0) o.scale = 0.86;
    int columns = o.frames > 1 ? o.frames : 7;
    mn_status status = check_sheet(&o, columns, err);
    int across = o.size + o.gap / 4, down = o.size + o.gap;
    if (status == MN_OK) status = mn_image_reserve(out, columns * across, o.rows * down, o.channels, err);
    if (status == MN_OK)
        memset(out->pixels, 255, (size_t)columns * (size_t)across * (size_t)o.rows * (size_t)down * (size_t)o.channels);
    mn_image cell = {0};
    for (int i = 0; i < o.rows * columns && status == MN_OK; i++) {
        mn_face f;
        sheet_face(&f, &o, i / columns, i % columns);
        status = mn_face_render(&f, o.size, o.channels, &cell, err);
        if (status == MN_OK) paste(out, &cell, i % columns * across, i / columns * down + o.gap);
    }
    mn_image_free(&cell);
    return status;
}
