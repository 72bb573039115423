/* Clips as pictures: T frames of side S below each other, grey, S wide and T*S high. Read row by row that is the tensor
 * (T,1,S,S), so a network begins with a Reshape and everything else (loader, cache, training, evaluation) stays as it is.
 *   clips:DIR[,frames=8,size=48,short=0]    DIR/happy/anna-1/0001.png, ...: a folder a class, in it a folder a clip
 *   rendered-clips:COUNT[,frames=8,size=48,short=0,seed=0,peak=100,single=0]      drawn, from neutral to `peak` percent of the
 * apex A clip of another number of frames gives T of them, evenly from the first to the last. short=1: a clip of fewer frames is
 * a shorter strip, for networks with a mask; drawn ones have 2 to T. single=1: each frame is a sample of its own, named after its
 * clip. */
#include "data/render/render.h"
#include "data/internal.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct clip_options {
    int64_t count;
    int frames, size, peak;
    bool brief; /* clips may have fewer frames */
    bool single;
    uint64_t seed;
} clip_options;

/* Reads ",key=number" to the end of the text. */
static mn_status parse_options(const char *kind, const char *text, bool rendered, clip_options *o, mn_error *err) {
    static const char *const keys[] = {"frames", "size", "short", "seed", "peak", "single"};
    static const long long hi[] = {200, 512, 1, INT64_MAX, 100, 1}, lo[] = {2, 8, 0, 0, 1, 0};
    while (*text) {
        const char *key = text + 1, *value = strchr(key, '=');
        size_t n = value ? (size_t)(value - key) : 0, k = 0;
        while (k < 6 && !(strlen(keys[k]) == n && !strncmp(keys[k], key, n))) k++;
        char *end = NULL;
        errno = 0;
        long long v = value ? strtoll(value + 1, &end, 10) : 0;
        if (*text != ',' || k >= (rendered ? 6 : 3) || end == value + 1 || errno || (*end && *end != ',') || v < lo[k] ||
            v > hi[k])
            return mn_fail(err, MN_ERR_ARG, "%s: \"%.40s\" is not understood; wanted frames=2..200, size=8..512, short=0..1%s",
                           kind, text, rendered ? ", seed=, peak=1..100, single=0..1" : "");
        if (k == 0) o->frames = (int)v;
        if (k == 1) o->size = (int)v;
        if (k == 2) o->brief = v;
        if (k == 3) o->seed = (uint64_t)v;
        if (k == 4) o->peak = (int)v;
        if (k == 5) o->single = v;
        text = end;
    }
    if (o->single && o->brief) return mn_fail(err, MN_ERR_ARG, "%s: short=1 and single=1 exclude each other", kind);
    return o->frames * o->size <= MN__MAX_SIDE
               ? MN_OK
               : mn_fail(err, MN_ERR_ARG, "%s: %d frames of %d pixels are too many", kind, o->frames, o->size);
}

/* ---- drawn ---- */

typedef struct drawn {
    mn_dataset set;
    mn_dataset *base; /* a face a clip: labels, people, names */
    clip_options o;
} drawn;

static mn_status drawn_info(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err) {
    const drawn *c = d->impl;
    mn_status s = mn__bounds(d, i, err);
    return s ? s : c->base->info(c->base, c->o.single ? i / c->o.frames : i, info, err);
}

/* How many frames clip i has. */
static int length_of(const drawn *c, int64_t i) {
    return c->o.brief ? 2 + (int)(mn__mix64(c->o.seed ^ mn__mix64((uint64_t)i + 1)) % (uint64_t)(c->o.frames - 1)) : c->o.frames;
}

/* Frame k of clip i, to the rows from `row` on. */
static mn_status draw_frame(const drawn *c, int64_t i, int k, int row, mn_image *strip, mn_image *frame, mn_error *err) {
    mn_sample_info info;
    mn_face f;
    mn_status s = c->base->info(c->base, i, &info, err);
    if (s) return s;
    mn_face_random(&f, c->o.seed, info.group, (uint64_t)i, info.label[0], info.label[1]);
    f.intensity *= c->o.peak / 100.0 * mn__onset(k, length_of(c, i));
    if ((s = mn_face_render(&f, c->o.size, 1, frame, err))) return s;
    size_t bytes = (size_t)c->o.size * (size_t)c->o.size;
    memcpy(strip->pixels + (size_t)row * bytes, frame->pixels, bytes);
    return MN_OK;
}

static mn_status drawn_pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    const drawn *c = d->impl;
    const clip_options *o = &c->o;
    mn_image frame = {0};
    mn_status s = mn__bounds(d, i, err);
    int frames = o->single ? 1 : length_of(c, i);
    if (!s) s = mn_image_reserve(im, o->size, o->size * frames, 1, err);
    if (!s && o->single) s = draw_frame(c, i / o->frames, (int)(i % o->frames), 0, im, &frame, err);
    for (int k = 0; k < frames && !s && !o->single; k++) s = draw_frame(c, i, k, k, im, &frame, err);
    mn_image_free(&frame);
    return s;
}
static void drawn_destroy(mn_dataset *d) {
    drawn *c = d->impl;
    mn_dataset_destroy(c->base);
    mn_free(c);
}

mn_dataset *mn__rendered_clips_open(const char *text, const mn_open_opt *opt, mn_error *err) {
    (void)opt;
    clip_options o = {.frames = 8, .size = 48, .peak = 100};
    char *end;
    errno = 0;
    o.count = strtoll(text, &end, 10);
    if (end == text || o.count < 1 || o.count > 1000000 || errno) {
        mn_fail(err, MN_ERR_ARG,
                "data \"rendered-clips:%s\": wanted rendered-clips:COUNT[,frames=8,size=48,short=0,seed=0,peak=100,single=0]",
                text);
        return NULL;
    }
    if (parse_options("rendered-clips", end, true, &o, err)) return NULL;
    drawn *c = mn_alloc_zero(1, sizeof *c);
    if (!c) return mn_fail(err, MN_ERR_MEMORY, "rendered-clips: out of memory"), NULL;
    c->o = o;
    c->base = mn_dataset_rendered(&(mn_rendered_opt){.count = o.count, .size = o.size, .seed = o.seed}, err);
    if (!c->base) return mn_free(c), NULL;
    c->set = *c->base;
    c->set.length = o.count * (o.single ? o.frames : 1);
    c->set.steps = o.brief ? o.frames : 0;
    c->set.info = drawn_info, c->set.pixels = drawn_pixels, c->set.destroy = drawn_destroy, c->set.impl = c;
    snprintf(c->set.name, sizeof c->set.name, "rendered-clips:%.100s", text);
    return &c->set;
}

/* ---- folders of frames ---- */

typedef struct folder_clips {
    mn_dataset set;
    mn__samples *s; /* a sample a clip; its path is the clip's folder */
    clip_options o;
} folder_clips;

static mn_status list_frames(const char *dir, mn__names *l, mn_error *err) {
    mn_status s = mn__names_list(dir, l, err);
    int64_t n = 0;
    for (int64_t i = 0; i < l->n; i++)
        if (mn__is_picture_name(l->name[i])) {
            char *name = l->name[i];
            l->name[i] = l->name[n], l->name[n++] = name;
        }
    for (int64_t i = n; i < l->n; i++) mn_free(l->name[i]);
    if (!s) l->n = n;
    return s;
}

static mn_status load_frame(const char *dir, const char *name, int size, int row, mn_image *strip, mn_image im[3],
                            mn_error *err) {
    char *path = mn__join(dir, name, err);
    mn_preprocess p = {.channels = 1, .width = size, .height = size};
    mn_status s = path ? mn_image_load(&im[0], path, err) : MN_ERR_MEMORY;
    if (!s) s = mn_preprocess_pixels(&p, &im[0], &im[1], &im[2], err);
    if (!s) memcpy(strip->pixels + (size_t)row * (size_t)size * (size_t)size, im[1].pixels, (size_t)size * (size_t)size);
    mn_free(path);
    return s;
}

static mn_status folder_info(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err) {
    const folder_clips *c = d->impl;
    return c->s->set.info(&c->s->set, i, info, err);
}
static mn_status folder_pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    const folder_clips *c = d->impl;
    const clip_options *o = &c->o;
    mn_image work[3] = {{0}};
    mn__names l = {0};
    mn_status s = mn__bounds(d, i, err);
    const char *dir = s ? "" : c->s->text + c->s->sample[i].path;
    if (!s) s = list_frames(dir, &l, err);
    if (!s && !l.n) s = mn_fail(err, MN_ERR_FORMAT, "%s: holds no PNG or JPEG frame any more", dir);
    int frames = o->brief && l.n < o->frames ? (int)l.n : o->frames, last = frames > 1 ? frames - 1 : 1;
    if (!s) s = mn_image_reserve(im, o->size, o->size * frames, 1, err);
    for (int k = 0; k < frames && !s; k++)
        s = load_frame(dir, l.name[(k * (l.n - 1) + last / 2) / last], o->size, k, im, work, err);
    mn__names_free(&l);
    for (int k = 0; k < 3; k++) mn_image_free(&work[k]);
    return s;
}
static void folder_destroy(mn_dataset *d) {
    folder_clips *c = d->impl;
    mn_dataset_destroy(&c->s->set);
    mn_free(c);
}

static mn_status add_clip(folder_clips *c, const char *dir, const char *name, int class, size_t skip, mn_error *err) {
    char *path = mn__join(dir, name, err);
    mn__names l = {0};
    mn_status s = !path ? MN_ERR_MEMORY : mn__is_folder(path) ? list_frames(path, &l, err) : MN_OK;
    if (!s && l.n && !(s = mn__samples_file(c->s, dir, name, skip, err))) {
        mn__sample *a = &c->s->sample[c->s->set.length - 1];
        char *first = mn__join(path, l.name[0], err);
        uint8_t *bytes = NULL;
        size_t size;
        a->label[0] = class;
        s = first ? mn__read_file(first, (size_t)1 << 30, &bytes, &size, err) : MN_ERR_MEMORY;
        if (!s) a->group = mn__hash64(bytes, size) | (uint64_t)1 << 63; /* copies of a clip begin alike */
        mn_free(bytes);
        mn_free(first);
    }
    mn__names_free(&l);
    mn_free(path);
    return s;
}

static mn_status add_classes(folder_clips *c, const char *dir, mn__words *classes, mn_error *err) {
    mn__names l = {0};
    mn_status s = mn__names_list(dir, &l, err);
    for (int64_t i = 0; i < l.n && !s; i++) {
        char *path = mn__join(dir, l.name[i], err);
        mn__names clips = {0};
        if (!path)
            s = MN_ERR_MEMORY;
        else if (mn__is_folder(path) && !(s = mn__names_list(path, &clips, err))) {
            int class = mn__words_add(classes, l.name[i], strlen(l.name[i]), err);
            if (class < 0) s = MN_ERR_FORMAT;
            for (int64_t k = 0; k < clips.n && !s; k++) s = add_clip(c, path, clips.name[k], class, strlen(dir) + 1, err);
        }
        mn__names_free(&clips);
        mn_free(path);
    }
    mn__names_free(&l);
    if (!s && !c->s->set.length)
        s = mn_fail(
            err, MN_ERR_FORMAT,
            "%s: no clips; wanted a folder for each class, in it a folder for each clip, in it frames: %s/happy/anna-1/0001.png",
            dir, dir);
    return s ? s : mn__samples_head(c->s, mn__head_name(classes), classes->n, (const char *const *)classes->word, err);
}

mn_dataset *mn__clips_open(const char *text, const mn_open_opt *opt, mn_error *err) {
    (void)opt;
    clip_options o = {.frames = 8, .size = 48};
    char *dir = mn_strdup(text), *comma = dir ? strchr(dir, ',') : NULL;
    mn__words classes = {0};
    folder_clips *c = dir ? mn_alloc_zero(1, sizeof *c) : NULL;
    mn_status s = c ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "clips: out of memory");
    if (!s && comma) s = parse_options("clips", comma, false, &o, err);
    if (comma) *comma = 0;
    if (!s && !(c->s = mn__samples_create("clips", dir, err))) s = MN_ERR_MEMORY;
    if (!s) c->o = o, s = add_classes(c, dir, &classes, err);
    mn__words_free(&classes);
    mn_free(dir);
    if (s) {
        if (c && c->s) mn__samples_fail(c->s);
        mn_free(c);
        return NULL;
    }
    c->set = c->s->set;
    c->set.steps = o.brief ? o.frames : 0;
    c->set.info = folder_info, c->set.pixels = folder_pixels, c->set.destroy = folder_destroy, c->set.impl = c;
    return &c->set;
}
