/* Pictures in batches, streams frame by frame. */
#include "apps/predict.h"
#include "apps/app.h"
#include "apps/progress.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

volatile sig_atomic_t predict_stop;

enum { STAGE_READ = 0, STAGE_DETECT, STAGE_CROP, STAGE_NETWORK, STAGE_OUTPUT };

/* ---- finding and cropping ---- */

/* A picture with its faces, until their probabilities are known. */
typedef struct pending {
    const source_item *item;
    mn_image image; /* RGB; empty once it is not needed any more */
    int width, height, n;
    face_box box[PREDICT_MAX_FACES], crop[PREDICT_MAX_FACES];
} pending;

/* The smallest face that is looked for: a twentieth of the shorter side in pictures, a twelfth in videos. */
static int smallest_face(const predict_job *j, const mn_image *im, bool stream) {
    int side = im->width < im->height ? im->width : im->height, least = side / (stream ? 12 : 20);
    return j->opt.min_face ? j->opt.min_face : least > 24 ? least : 24;
}

/* A square of the larger side about the centre: what was given by hand is not stretched. */
static face_box squared(const face_box *b) {
    double side = fmax(b->w, b->h);
    return (face_box){.x = b->x + (b->w - side) / 2, .y = b->y + (b->h - side) / 2, .w = side, .h = side};
}

static mn_status find_faces(predict_job *j, pending *p, bool stream, mn_error *err) {
    const mn_image *im = &p->image;
    p->width = im->width, p->height = im->height, p->n = 0;
    if (j->detector) {
        mn_status s = vision_detect(j->detector, im, smallest_face(j, im, stream), p->box, PREDICT_MAX_FACES, &p->n, err);
        for (int i = 0; i < p->n && j->opt.align && s == MN_OK; i++) s = vision_find_eyes(j->detector, im, &p->box[i], err);
        for (int i = 0; i < p->n; i++) p->crop[i] = face_crop(&p->box[i], j->opt.margin, j->opt.align);
        return s;
    }
    for (int i = 0; i < j->opt.faces; i++) {
        const face_box *b = &j->opt.face[i];
        if (b->x >= im->width || b->y >= im->height || b->x + b->w <= 0 || b->y + b->h <= 0) continue;
        p->box[p->n] = *b;
        p->crop[p->n++] = squared(b);
    }
    if (j->opt.whole) p->box[0] = p->crop[0] = (face_box){.w = im->width, .h = im->height}, p->n = 1;
    return MN_OK;
}

/* Cuts the faces out and hands them to the networks; room for them has been made. */
static mn_status add_crops(predict_job *j, const pending *p, mn_image *crop, mn_error *err) {
    mn_status s = MN_OK;
    for (int i = 0; i < p->n && s == MN_OK; i++) {
        const face_box *b = &p->crop[i];
        s = mn_image_cut(crop, &p->image, b->x, b->y, fmin(b->w, 32768), fmin(b->h, 32768), b->angle, err);
        if (s == MN_OK) s = predictor_add(&j->predictor, crop, err);
    }
    return s;
}

static mn_status to_rgb(mn_image *im, mn_error *err) {
    if (im->channels == 3) return MN_OK;
    mn_image rgb = {0};
    mn_status s = mn_image_convert(&rgb, im, 3, MN_GREY_BT601, err);
    if (s == MN_OK) {
        mn_image_free(im);
        *im = rgb;
    }
    return s;
}

/* ---- annotated copies ---- */

/* Makes the folders above path. */
static mn_status make_folders(char *path, mn_error *err) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int failed = mkdir(path, 0777) && errno != EEXIST;
        if (failed) mn_fail(err, MN_ERR_IO, "%s: this folder cannot be made: %s", path, strerror(errno));
        *slash = '/';
        if (failed) return MN_ERR_IO;
    }
    return MN_OK;
}

/* Where the annotated copy of an input goes: OUT itself, or OUT/<name> with the extension if it has another.
 */
static char *annotated_path(const predict_job *j, const source_item *item, const char *extension) {
    if (!j->annotate_folder) return app_text("%s", j->opt.annotate);
    const char *dot = strrchr(item->name, '.');
    return app_text("%s/%s%s", j->opt.annotate, item->name, dot && !strcasecmp(dot, extension) ? "" : extension);
}

/* Writing over the picture that was read would lose it. */
static mn_status check_not_input(const char *path, const source_item *item, mn_error *err) {
    struct stat a, b;
    if (stat(path, &a) || stat(item->path, &b) || a.st_dev != b.st_dev || a.st_ino != b.st_ino) return MN_OK;
    return mn_fail(err, MN_ERR_ARG, "%s: the annotated copy would replace the input itself; hint: give another --annotate", path);
}

static mn_status save_annotated(predict_job *j, pending *p, const findings_face *face, mn_error *err) {
    char *path = annotated_path(j, p->item, ".png");
    mn_status s = check_not_input(path, p->item, err);
    if (s == MN_OK && j->annotate_folder) s = make_folders(path, err);
    if (s == MN_OK) {
        annotate(&p->image, &j->predictor, face, p->n, j->opt.palette);
        s = mn_image_save_png(&p->image, path, err);
    }
    free(path);
    return s;
}

static void gather(const pending *p, const float *values, int stride, findings_face *face) {
    for (int i = 0; i < p->n; i++)
        face[i] = (findings_face){.box = p->box[i], .crop = p->crop[i], .value = values + (size_t)i * (size_t)stride};
}

/* ---- pictures ---- */

enum { PENDING = 64 };
static const size_t pending_pixels = (size_t)48 << 20; /* kept for annotation, at most */

typedef struct batch {
    pending *p; /* PENDING of them */
    int n, faces;
    size_t pixels;
    mn_image crop;
    float *values;
} batch;

static mn_status finish_picture(predict_job *j, pending *p, const float *values, mn_error *err) {
    findings_face face[PREDICT_MAX_FACES];
    gather(p, values, j->predictor.values, face);
    findings_write(
        stdout, j->opt.format, &j->predictor,
        &(findings_picture){
            .input = p->item->input, .frame = -1, .width = p->width, .height = p->height, .face = face, .faces = p->n});
    mn_status s = MN_OK;
    if (j->opt.annotate) s = save_annotated(j, p, face, err);
    if (j->opt.show && s == MN_OK && !j->quit) {
        if (!j->opt.annotate) annotate(&p->image, &j->predictor, face, p->n, j->opt.palette);
        s = vision_show("mien", &p->image, 0, &j->quit, err);
    }
    j->done++, j->faces += p->n;
    return s;
}

/* Runs the networks on all faces that wait and reports the pictures in their order. */
static mn_status flush_batch(predict_job *j, batch *b, mn_error *err) {
    stages_start(&j->time);
    mn_status s = predictor_run(&j->predictor, b->values, err);
    stages_lap(&j->time, STAGE_NETWORK);
    const float *values = b->values;
    for (int i = 0; i < b->n && s == MN_OK; i++) {
        s = finish_picture(j, &b->p[i], values, err);
        values += (size_t)b->p[i].n * (size_t)j->predictor.values;
    }
    stages_lap(&j->time, STAGE_OUTPUT);
    b->n = b->faces = 0, b->pixels = 0;
    return s;
}

/* The picture is not of use: says why, and counts it. */
static void report_failure(predict_job *j, const source_item *item, const char *sentence) {
    const char *path = item->path;
    j->failed++;
    j->failed_named += item->named;
    findings_write(stdout, j->opt.format, &j->predictor, &(findings_picture){.input = path, .frame = -1, .error = sentence});
    fprintf(stderr, "mien: %s\n", sentence);
}

static mn_status add_picture(predict_job *j, batch *b, const source_item *item, mn_error *err) {
    pending *p = &b->p[b->n];
    mn_error why = {0};
    p->item = item;
    stages_start(&j->time);
    mn_status s = mn_image_load(&p->image, item->path, &why);
    if (s == MN_OK) s = to_rgb(&p->image, &why);
    stages_lap(&j->time, STAGE_READ);
    if (s) {
        if (!strstr(why.text, item->path)) mn_error_prefix(&why, "%s", item->path);
        report_failure(j, item, why.text);
        return MN_OK;
    }
    s = find_faces(j, p, false, err);
    stages_lap(&j->time, STAGE_DETECT);
    if (s == MN_OK && b->faces + p->n > j->predictor.capacity) { /* make room: the pictures before this one go first */
        pending current = *p;
        p->image = (mn_image){0};
        s = flush_batch(j, b, err);
        mn_image_free(&b->p[0].image);
        b->p[0] = current;
        p = &b->p[0];
    }
    stages_start(&j->time);
    if (s == MN_OK) s = add_crops(j, p, &b->crop, err);
    stages_lap(&j->time, STAGE_CROP);
    b->n++, b->faces += p->n;
    if (j->opt.annotate || j->opt.show)
        b->pixels += (size_t)p->width * (size_t)p->height;
    else
        mn_image_free(&p->image);
    if (s == MN_OK && (b->n == PENDING || b->pixels > pending_pixels)) s = flush_batch(j, b, err);
    return s;
}

mn_status predict_pictures(predict_job *j, const source_list *l, mn_error *err) {
    batch b = {.p = app_alloc(PENDING, sizeof *b.p)};
    b.values = app_alloc((size_t)j->predictor.capacity * (size_t)j->predictor.values, sizeof *b.values);
    progress bar;
    progress_begin(&bar, "pictures", l->n);
    mn_status s = MN_OK;
    for (int i = 0; i < l->n && s == MN_OK && !j->quit && !predict_stop; i++) {
        if (l->item[i].kind != SOURCE_PICTURE) continue;
        s = add_picture(j, &b, &l->item[i], err);
        if (l->n > 20 && !isatty(STDOUT_FILENO)) progress_update(&bar, i + 1, i + 1, NAN);
    }
    progress_end(&bar);
    if (s == MN_OK && b.n) s = flush_batch(j, &b, err);
    for (int i = 0; i < PENDING; i++) mn_image_free(&b.p[i].image);
    mn_image_free(&b.crop);
    free(b.values);
    free(b.p);
    return s;
}

/* ---- streams ---- */

typedef struct stream {
    source_stream source;
    const source_item *item;
    face_tracker tracker;
    vision_writer *writer;
    pending p;
    mn_image crop;
    float *values;
    findings_face face[PREDICT_MAX_FACES]; /* of the last look: shown until the next one */
    int faces;
} stream;

static mn_status look(predict_job *j, stream *s, int64_t frame, mn_error *err) {
    pending *p = &s->p;
    stages_start(&j->time);
    mn_status status = find_faces(j, p, true, err);
    stages_lap(&j->time, STAGE_DETECT);
    if (status == MN_OK) status = add_crops(j, p, &s->crop, err);
    stages_lap(&j->time, STAGE_CROP);
    if (status == MN_OK) status = predictor_run(&j->predictor, s->values, err);
    stages_lap(&j->time, STAGE_NETWORK);
    if (status) return status;
    int track[PREDICT_MAX_FACES], stride = j->predictor.values;
    face_tracker_match(&s->tracker, p->box, p->n, track);
    gather(p, s->values, stride, s->face);
    for (int i = 0; i < p->n; i++) {
        face_tracker_smooth(&s->tracker, track[i], s->values + (size_t)i * (size_t)stride);
        s->face[i].track = track[i] < 0 ? 0 : s->tracker.track[track[i]].id;
    }
    s->faces = p->n;
    j->faces += p->n;
    findings_write(stdout, j->opt.format, &j->predictor,
                   &(findings_picture){.input = s->item->input,
                                       .frame = frame,
                                       .seconds = (double)frame / s->source.info.fps,
                                       .width = p->width,
                                       .height = p->height,
                                       .face = s->face,
                                       .faces = p->n});
    fflush(stdout);
    return MN_OK;
}

static mn_status open_writer(predict_job *j, stream *s, mn_error *err) {
    char *path = annotated_path(j, s->item, ".mp4");
    mn_status status = check_not_input(path, s->item, err);
    if (status == MN_OK && j->annotate_folder) status = make_folders(path, err);
    if (status == MN_OK) s->writer = vision_writer_open(path, s->p.image.width, s->p.image.height, s->source.info.fps, err);
    free(path);
    return s->writer ? MN_OK : err->status;
}

static mn_status output_frame(predict_job *j, stream *s, mn_error *err) {
    mn_status status = MN_OK;
    if (j->opt.annotate || j->opt.show) annotate(&s->p.image, &j->predictor, s->face, s->faces, j->opt.palette);
    if (j->opt.annotate && !s->writer) status = open_writer(j, s, err);
    if (j->opt.annotate && status == MN_OK) status = vision_writer_write(s->writer, &s->p.image, err);
    if (j->opt.show && status == MN_OK) status = vision_show("mien", &s->p.image, 1, &j->quit, err);
    return status;
}

/* One frame; frames between two looks are decoded only when they are shown or written. */
static mn_status one_frame(predict_job *j, stream *s, int64_t frame, bool *end, mn_error *err) {
    bool looks = frame % j->opt.every == 0, shown = j->opt.annotate || j->opt.show;
    stages_start(&j->time);
    mn_status status = source_read(&s->source, !looks && !shown, &s->p.image, end, err);
    stages_lap(&j->time, STAGE_READ);
    if (status || *end) return status;
    if (looks) status = look(j, s, frame, err);
    stages_start(&j->time);
    if (status == MN_OK && shown) status = output_frame(j, s, err);
    if (shown) stages_lap(&j->time, STAGE_OUTPUT);
    return status;
}

static mn_status run_stream(predict_job *j, stream *s, mn_error *err) {
    int64_t total = s->source.info.frames, most = j->opt.max_frames;
    if (most && (total < 0 || total > most)) total = most;
    progress bar;
    progress_begin(&bar, "frames", total);
    bool end = false;
    mn_status status = MN_OK;
    int64_t frame = 0;
    for (; status == MN_OK && !j->quit && !predict_stop && (!most || frame < most); frame++) {
        status = one_frame(j, s, frame, &end, err);
        if (end) break;
        if (!isatty(STDOUT_FILENO)) progress_update(&bar, frame + 1, frame + 1, NAN);
    }
    progress_end(&bar);
    j->done += frame;
    if (status == MN_OK && frame == 0)
        status = mn_fail(err, MN_ERR_FORMAT, "%s: holds no frame that can be read", s->item->input);
    return status;
}

mn_status predict_stream(predict_job *j, const source_item *item, mn_error *err) {
    stream *s = app_alloc(1, sizeof *s);
    s->item = item;
    mn_status status = source_open(&s->source, item, err);
    if (status == MN_OK) {
        s->values = app_alloc((size_t)PREDICT_MAX_FACES * (size_t)j->predictor.values, sizeof *s->values);
        face_tracker_create(&s->tracker, j->predictor.values, j->opt.smooth, 10);
        status = run_stream(j, s, err);
        face_tracker_destroy(&s->tracker);
    }
    if (s->writer) vision_writer_close(s->writer);
    source_close(&s->source);
    mn_image_free(&s->p.image);
    mn_image_free(&s->crop);
    free(s->values);
    free(s);
    return status;
}
