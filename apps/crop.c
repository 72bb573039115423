/* Photographs to crops. */
#include "apps/crop.h"
#include "apps/app.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DETECTORS = 64 };

struct cropper {
    double margin;
    bool align;
    const char *cascade, *yunet;
    pthread_mutex_t lock; /* guards idle, n */
    vision_detector *idle[MOST_DETECTORS];
    int n;
    atomic_llong missed;
};

cropper *cropper_open(const mn_preprocess *p, const char *cascade, const char *yunet, mn_error *err) {
    cropper *c = app_alloc(1, sizeof *c);
    *c = (cropper){.margin = p->margin, .align = p->align, .cascade = cascade, .yunet = yunet};
    pthread_mutex_init(&c->lock, NULL);
    if ((c->idle[0] = vision_detector_open(cascade, yunet, err))) return c->n = 1, c;
    cropper_close(c);
    return NULL;
}

void cropper_close(cropper *c) {
    if (!c) return;
    for (int i = 0; i < c->n; i++) vision_detector_close(c->idle[i]);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static vision_detector *borrow(cropper *c, mn_error *err) {
    pthread_mutex_lock(&c->lock);
    vision_detector *d = c->n ? c->idle[--c->n] : NULL;
    pthread_mutex_unlock(&c->lock);
    return d ? d : vision_detector_open(c->cascade, c->yunet, err);
}

static void give_back(cropper *c, vision_detector *d) {
    pthread_mutex_lock(&c->lock);
    if (c->n < MOST_DETECTORS) c->idle[c->n++] = d, d = NULL;
    pthread_mutex_unlock(&c->lock);
    vision_detector_close(d);
}

/* The largest face, with its eyes where they are wanted. */
static mn_status find(const cropper *c, vision_detector *d, const mn_image *im, crop_report *r, mn_error *err) {
    enum { MOST = 32 };
    face_box box[MOST];
    int side = im->width < im->height ? im->width : im->height, least = side / 20 > 24 ? side / 20 : 24, best = 0;
    mn_status s = vision_detect(d, im, least, box, MOST, &r->faces, err);
    if (s || !r->faces) return s;
    for (int i = 1; i < r->faces; i++)
        if (box[i].w * box[i].h > box[best].w * box[best].h) best = i;
    r->box = box[best];
    if (c->align && (s = vision_find_eyes(d, im, &r->box, err))) return s;
    r->eyes = r->box.has_eyes;
    r->cut = face_crop(&r->box, c->margin, c->align);
    return MN_OK;
}

mn_status cropper_cut(cropper *c, const mn_image *im, mn_image *out, crop_report *report, mn_error *err) {
    *report = (crop_report){.small = im->width < CROP_SMALLEST || im->height < CROP_SMALLEST};
    mn_status s = MN_OK;
    if (!report->small) {
        vision_detector *d = borrow(c, err);
        if (!d) return err->status;
        s = find(c, d, im, report, err);
        give_back(c, d);
    }
    if (s) return s;
    if (!report->faces && !report->small) atomic_fetch_add(&c->missed, 1);
    if (!report->faces) report->cut = (face_box){.w = im->width, .h = im->height};
    const face_box *b = &report->cut;
    return mn_image_cut(out, im, b->x, b->y, b->w, b->h, b->angle, err);
}

int64_t cropper_missed(const cropper *c) { return atomic_load(&c->missed); }

mn_status crop_pipeline_of(const char *dir, mn_preprocess *p, bool *found, mn_error *err) {
    char text[128] = "", *path = app_text("%s/pipeline.txt", dir);
    FILE *f = fopen(path, "r");
    mn_status s = MN_OK;
    if ((*found = f != NULL)) {
        if (!fgets(text, sizeof text, f)) *text = 0;
        fclose(f);
        if ((s = mn_pipeline_parse(text, p, err))) mn_error_prefix(err, "%s", path);
    }
    free(path);
    return s;
}
