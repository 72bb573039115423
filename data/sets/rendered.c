/* A data set of rendered faces: nothing is stored but the names; get renders. */
#include "data/render/render.h"
#include <stdio.h>

enum { ID_BYTES = 48 };

typedef struct rendered {
    mn_rendered_opt opt;
    char *id; /* length * ID_BYTES */
} rendered;

/* Sequence (or picture) s shows expression s % 7 of person s / 7; people are men and women in turn. */
static uint64_t person_of(const rendered *d, int64_t s) { return (uint64_t)(s / 7 % d->opt.identities); }
static int expression_of(int64_t s) { return (int)(s % 7); }
static int gender_of(const rendered *d, int64_t s) { return (int)(person_of(d, s) % 2); }

static mn_status check_index(const mn_dataset *d, int64_t i, mn_error *err) {
    if (i >= 0 && i < d->length) return MN_OK;
    return mn_fail(err, MN_ERR_ARG, "%s: sample %lld of %lld", d->name, (long long)i, (long long)d->length);
}

static mn_status rendered_info(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err) {
    if (check_index(d, i, err) != MN_OK) return MN_ERR_ARG;
    const rendered *r = d->impl;
    int64_t s = i / r->opt.frames;
    *info = (mn_sample_info){.group = person_of(r, s), .subject = true, .split = MN_SPLIT_NONE, .id = r->id + i * ID_BYTES};
    info->label[0] = expression_of(s);
    info->label[1] = gender_of(r, s);
    for (int k = 2; k < MN_MAX_HEADS; k++) info->label[k] = -1;
    return MN_OK;
}

static mn_status rendered_pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    if (check_index(d, i, err) != MN_OK) return MN_ERR_ARG;
    const rendered *r = d->impl;
    int64_t s = i / r->opt.frames;
    mn_face f;
    mn_face_random(&f, r->opt.seed, person_of(r, s), (uint64_t)s, expression_of(s), gender_of(r, s));
    if (r->opt.frames > 1) f.intensity *= mn__onset((int)(i % r->opt.frames), r->opt.frames);
    return mn_face_render(&f, r->opt.size, r->opt.channels, im, err);
}

static void free_names(mn_head *h) {
    for (int k = 0; h->class_name && k < h->n_classes; k++) mn_free(h->class_name[k]);
    mn_free(h->class_name);
    h->class_name = NULL;
}

static void rendered_destroy(mn_dataset *d) {
    rendered *r = d->impl;
    for (int h = 0; h < d->n_heads; h++) free_names(&d->head[h]);
    if (r) mn_free(r->id);
    mn_free(r);
    mn_free(d);
}

static mn_status name_head(mn_dataset *d, const char *name, const char *const *classes, int n, mn_error *err) {
    mn_head *h = &d->head[d->n_heads++];
    snprintf(h->name, sizeof h->name, "%s", name);
    h->n_classes = n;
    h->class_name = mn_alloc_zero((size_t)n, sizeof *h->class_name);
    for (int k = 0; k < n && h->class_name; k++)
        if (!(h->class_name[k] = mn_strdup(classes[k]))) free_names(h);
    if (!h->class_name) return mn_fail(err, MN_ERR_MEMORY, "rendered faces: out of memory for the class names");
    return MN_OK;
}

static mn_status check_options(mn_rendered_opt *o, mn_error *err) {
    const int64_t most = 20000000;
    if (o->size == 0) o->size = 48;
    if (o->channels == 0) o->channels = 1;
    if (o->frames == 0) o->frames = 1;
    if (o->count < 1 || o->frames < 1 || o->frames > 1000 || o->count > most / o->frames)
        return mn_fail(err, MN_ERR_ARG,
                       "rendered faces: %lld of %d frames, wanted at least 1 and at most %lld pictures "
                       "in all, up to 1000 frames each; hint: rendered:6000",
                       (long long)o->count, o->frames, (long long)most);
    if (o->identities == 0) o->identities = o->count >= 7 ? (int)(o->count / 7) : 1;
    if (o->identities < 1) return mn_fail(err, MN_ERR_ARG, "rendered faces: %d identities, wanted at least 1", o->identities);
    if (o->size < MN_RENDER_MIN_SIZE || o->size > MN_RENDER_MAX_SIZE)
        return mn_fail(err, MN_ERR_ARG, "rendered faces: the size is %d, wanted %d to %d pixels; hint: 48", o->size,
                       MN_RENDER_MIN_SIZE, MN_RENDER_MAX_SIZE);
    if (o->channels != 1 && o->channels != 3)
        return mn_fail(err, MN_ERR_ARG, "rendered faces: %d channels, wanted 1 (grey) or 3 (RGB)", o->channels);
    return MN_OK;
}

static mn_status name_samples(mn_dataset *d, rendered *r, mn_error *err) {
    r->id = mn_alloc((size_t)d->length * ID_BYTES);
    if (!r->id)
        return mn_fail(err, MN_ERR_MEMORY, "rendered faces: out of memory for the names of %lld samples", (long long)d->length);
    for (int64_t i = 0; i < d->length; i++) {
        char *id = r->id + i * ID_BYTES;
        if (r->opt.frames > 1)
            snprintf(id, ID_BYTES, "sequence %08lld frame %03d", (long long)(i / r->opt.frames), (int)(i % r->opt.frames));
        else
            snprintf(id, ID_BYTES, "face %08lld", (long long)i);
    }
    return MN_OK;
}

mn_dataset *mn_dataset_rendered(const mn_rendered_opt *opt, mn_error *err) {
    mn_rendered_opt o = opt ? *opt : (mn_rendered_opt){0};
    if (check_options(&o, err) != MN_OK) return NULL;
    mn_dataset *d = mn_alloc_zero(1, sizeof *d);
    rendered *r = mn_alloc_zero(1, sizeof *r);
    if (!d || !r) {
        mn_free(d), mn_free(r);
        mn_fail(err, MN_ERR_MEMORY, "rendered faces: out of memory");
        return NULL;
    }
    r->opt = o;
    *d = (mn_dataset){
        .length = o.count * o.frames, .info = rendered_info, .pixels = rendered_pixels, .destroy = rendered_destroy, .impl = r};
    snprintf(d->name, sizeof d->name, "rendered:%lld,size=%d,seed=%llu", (long long)o.count, o.size, (unsigned long long)o.seed);
    if (name_head(d, "emotion", mn_expression_names, 7, err) != MN_OK ||
        name_head(d, "gender", mn_gender_names, 2, err) != MN_OK || name_samples(d, r, err) != MN_OK) {
        rendered_destroy(d);
        return NULL;
    }
    return d;
}
