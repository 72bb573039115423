/* mien predict: labels faces in pictures, videos and camera streams. The work is in predict.c. */
#include "apps/app.h"
#include "apps/predict.h"
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char doc[] = "Finds faces and says how the models label them. A label is a model's guess about "
                          "a picture, not what a person feels "
                          "or is.\v"
                          "INPUT: a PNG or JPEG picture, a folder of them, a video file, camera:0, or test: "
                          "(rendered faces, no camera needed).\n\n"
                          "Examples:\n"
                          "  mien predict photo.jpg --annotate out.png\n"
                          "  mien predict --model emotion.h5 --model gender.h5 album/ --json > album.jsonl\n"
                          "  mien predict --model faces.h5 film.mp4 --every 5 --annotate film_labelled.mp4\n"
                          "  mien predict --model faces.h5 camera:0 --show\n"
                          "  mien predict --model faces.h5 --whole cropped_face.png\n\n"
                          "The exit status is 1 when an INPUT that was named, or every picture of all "
                          "folders, could not be read; 0 when no face "
                          "was found. Nothing is sent anywhere, nothing but --annotate is kept. "
                          "docs/predict.md describes the JSON.";

enum {
    OPT_JSON = 300,
    OPT_CSV,
    OPT_PALETTE,
    OPT_SHOW,
    OPT_FACE,
    OPT_WHOLE,
    OPT_CASCADE,
    OPT_DETECTOR,
    OPT_MIN_FACE,
    OPT_MARGIN,
    OPT_FLIP,
    OPT_SMOOTH,
    OPT_EVERY,
    OPT_MAX_FRAMES,
    OPT_THREADS,
    OPT_DEVICE,
    OPT_BENCH,
    OPT_CAMERAS,
    OPT_ALWAYS
};

static const struct argp_option options[] = {
    {"model", 'm', "FILE.h5", 0,
     "a model file, or the name of one that comes with mien (tiny, the default); may be given again: every head of every model "
     "is "
     "reported",
     1},
    {"threads", OPT_THREADS, "N", 0, "processor threads (all)", 1},
    {"device", OPT_DEVICE, "cpu|cuda|auto", 0, "where the models compute (cpu); auto: on a GPU if one can be used", 1},
    {0, 0, 0, 0, "Which faces:", 2},
    {"face", OPT_FACE, "X,Y,W,H", 0, "this rectangle is a face, from mid-forehead to chin; may be given again", 2},
    {"whole", OPT_WHOLE, 0, 0, "every picture is one cropped face", 2},
    {"min-face", OPT_MIN_FACE, "PIXELS", 0, "smallest face looked for (1/20 of the shorter side; in videos 1/12)", 2},
    {"margin", OPT_MARGIN, "X", 0, "cut out X more (or less) than the detected face: -0.3 to 1 (as the model was trained)", 2},
    {"cascade", OPT_CASCADE, "FILE.xml", 0, "a Haar cascade; also $MIEN_CASCADE", 2},
    {"detector", OPT_DETECTOR, "FILE.onnx", 0, "the YuNet detector of OpenCV's model zoo instead", 2},
    {0, 0, 0, 0, "What comes out:", 3},
    {"json", OPT_JSON, 0, 0, "a line of JSON for each picture or frame", 3},
    {"csv", OPT_CSV, 0, 0, "a line for each head of each face", 3},
    {"annotate", 'a', "OUT", 0, "an annotated copy: FILE.png; a video: .mp4, .mkv, .avi; else a folder", 3},
    {"palette", OPT_PALETTE, "NAME", 0, "paper (red for man, blue for woman), safe for any colour vision, or plain (paper)", 3},
    {"show", OPT_SHOW, 0, 0, "a window; q closes it", 3},
    {"bench", OPT_BENCH, 0, 0, "afterwards: median and 99th percentile of the time of each stage", 3},
    {0, 0, 0, 0, "How:", 4},
    {"always", OPT_ALWAYS, 0, 0,
     "never answer \"unsure\", which a model says below the probability that its validation rows gave", 4},
    {"flip", OPT_FLIP, 0, 0, "average over each face and its mirror image: a little better, twice the work", 4},
    {"smooth", OPT_SMOOTH, "X", 0, "videos: how much of a person's last probabilities is kept, 0 to 0.99 (0.7)", 4},
    {"every", OPT_EVERY, "N", 0, "videos: look at every N-th frame (1)", 4},
    {"max-frames", OPT_MAX_FRAMES, "N", 0, "videos: stop after N frames", 4},
    {"list-cameras", OPT_CAMERAS, 0, 0, "say which cameras give a picture, and end", 4},
    {0},
};

static const char standard_model[] = "tiny"; /* of those that come with mien */

typedef struct arguments {
    predict_opt opt;
    const char *model[PREDICTOR_MAX_MODELS], *cascade, *detector;
    int models, threads, inputs;
    device_choice device;
    char **input;
    bool flip, cameras;
    face_box face[PREDICT_MAX_FACES];
} arguments;

static void add_face(arguments *a, const char *text, struct argp_state *state) {
    face_box *b = &a->face[a->opt.faces];
    char tail;
    if (sscanf(text, "%lf,%lf,%lf,%lf%c", &b->x, &b->y, &b->w, &b->h, &tail) != 4 || !(b->w >= 1 && b->h >= 1) ||
        !(b->w <= 32768 && b->h <= 32768 && b->x >= -32768 && b->y >= -32768 && b->x <= 32768 && b->y <= 32768))
        argp_error(state, "--face is \"%s\"; wanted X,Y,W,H in pixels, such as 176,66,97,97", text);
    if (++a->opt.faces == PREDICT_MAX_FACES) argp_error(state, "--face: at most %d can be given", PREDICT_MAX_FACES - 1);
}

static void check(arguments *a, struct argp_state *state) {
    if (a->cameras) return;
    if (!a->models) {
        a->model[a->models++] = app_model_path(standard_model);
        if (a->model[0] == standard_model) argp_error(state, "no model; wanted --model FILE.h5 (mien train makes one)");
    }
    if (!a->inputs) argp_error(state, "no input; wanted a picture, a folder, a video, camera:0 or test:");
    if (a->opt.whole && a->opt.faces) argp_error(state, "--whole and --face exclude each other");
    if ((a->opt.whole || a->opt.faces) && (a->cascade || a->detector))
        argp_error(state, "no face is looked for with --whole or --face: --cascade and --detector have no meaning");
    if (a->cascade && a->detector) argp_error(state, "--cascade and --detector exclude each other");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    static const char *const palettes[] = {"paper", "safe", "plain"};
    arguments *a = state->input;
    switch (key) {
    case 'm':
        if (a->models == PREDICTOR_MAX_MODELS) argp_error(state, "--model: at most %d can be given", PREDICTOR_MAX_MODELS);
        a->model[a->models++] = app_model_path(arg);
        break;
    case 'a':
        a->opt.annotate = arg;
        break;
    case OPT_JSON:
        a->opt.format = FINDINGS_JSON;
        break;
    case OPT_CSV:
        a->opt.format = FINDINGS_CSV;
        break;
    case OPT_PALETTE:
        a->opt.palette = (annotate_palette)app_parse_word(state, "--palette", arg, palettes, 3);
        break;
    case OPT_ALWAYS:
        a->opt.always = true;
        break;
    case OPT_SHOW:
        a->opt.show = true;
        break;
    case OPT_FACE:
        add_face(a, arg, state);
        break;
    case OPT_WHOLE:
        a->opt.whole = true;
        break;
    case OPT_CASCADE:
        a->cascade = arg;
        break;
    case OPT_DETECTOR:
        a->detector = arg;
        break;
    case OPT_MIN_FACE:
        a->opt.min_face = (int)app_parse_int(state, "--min-face", arg, 8, 32768);
        break;
    case OPT_MARGIN:
        a->opt.margin = app_parse_real(state, "--margin", arg, -0.3, 1);
        break;
    case OPT_FLIP:
        a->flip = true;
        break;
    case OPT_SMOOTH:
        a->opt.smooth = app_parse_real(state, "--smooth", arg, 0, 0.99);
        break;
    case OPT_EVERY:
        a->opt.every = app_parse_int(state, "--every", arg, 1, 1000000);
        break;
    case OPT_MAX_FRAMES:
        a->opt.max_frames = app_parse_int(state, "--max-frames", arg, 1, 1000000000);
        break;
    case OPT_THREADS:
        a->threads = (int)app_parse_int(state, "--threads", arg, 1, 1024);
        break;
    case OPT_DEVICE:
        a->device = device_parse(state, arg);
        break;
    case OPT_BENCH:
        a->opt.bench = true;
        break;
    case OPT_CAMERAS:
        a->cameras = true;
        break;
    case ARGP_KEY_ARGS:
        a->input = state->argv + state->next;
        a->inputs = state->argc - state->next;
        break;
    case ARGP_KEY_END:
        check(a, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}
static const struct argp argp = {options, parse, "INPUT...", doc, NULL, NULL, NULL};

static int list_cameras(void) {
    const char *why = vision_missing();
    if (why) return fprintf(stderr, "mien: no camera can be used: %s\n", why), APP_FAILED;
    if (vision_list_cameras(stdout, 16)) return APP_OK;
    fputs("mien: no camera gives a picture; tried /dev/video0 to /dev/video15; hint: is one plugged in, used "
          "by another "
          "program, and are you in the group \"video\"? test: needs none\n",
          stderr);
    return APP_FAILED;
}

static bool has_extension(const char *path, const char *const *list) {
    const char *dot = strrchr(path, '.');
    for (; dot && *list; list++)
        if (!strcasecmp(dot, *list)) return true;
    return false;
}

/* One input and a name with the right extension: a file. Else a folder. */
static mn_status choose_annotate(predict_job *j, const source_list *l, mn_error *err) {
    static const char *const pictures[] = {".png", NULL}, *const videos[] = {".mp4", ".mkv", ".avi", NULL};
    static const char *const foreign[] = {".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".mov", ".webm", NULL};
    const char *out = j->opt.annotate;
    struct stat st;
    if (!out) return MN_OK;
    bool folder = stat(out, &st) == 0 && S_ISDIR(st.st_mode), picture = l->n > 0 && l->item[0].kind == SOURCE_PICTURE;
    j->annotate_folder = folder || !(has_extension(out, pictures) || has_extension(out, videos));
    if (!folder && has_extension(out, foreign))
        return mn_fail(err, MN_ERR_ARG, "--annotate %s: pictures are written as .png, videos as .mp4, .mkv or .avi", out);
    if (j->annotate_folder) return MN_OK;
    if (l->n > 1)
        return mn_fail(err, MN_ERR_ARG, "--annotate %s: there are %d inputs for one file; hint: name a folder", out, l->n);
    if (l->n == 1 && !has_extension(out, picture ? pictures : videos))
        return mn_fail(err, MN_ERR_ARG, "--annotate %s: %s", out,
                       picture ? "a picture is written as .png" : "a video is written as .mp4, .mkv or .avi");
    return app_check_writable(out, err);
}

/* All items; returns how many of the named ones failed. */
static int run_items(predict_job *j, const source_list *l, mn_error *err) {
    int failed = 0;
    if (predict_pictures(j, l, err)) return 0;
    for (int i = 0; i < l->n && !j->quit && !predict_stop; i++) {
        mn_error why = {0};
        if (l->item[i].kind == SOURCE_PICTURE || predict_stream(j, &l->item[i], &why) == MN_OK) continue;
        app_fail(&why);
        failed++;
    }
    return failed;
}

/* Cut faces out as the model was trained, unless --margin says otherwise; of several models, as the first. */
static mn_status follow_pipeline(predict_job *j, mn_error *err) {
    const mn_preprocess *p = &j->predictor.model[0].info.preprocess;
    for (int i = 1; i < j->predictor.models; i++) {
        const mn_preprocess *q = &j->predictor.model[i].info.preprocess;
        if (q->margin != p->margin || q->align != p->align)
            return mn_fail(err, MN_ERR_ARG,
                           "%s and %s cut faces out differently (margin %g and %g, %saligned and %saligned); hint: "
                           "run mien predict once for each",
                           j->predictor.model[0].path, j->predictor.model[i].path, p->margin, q->margin, p->align ? "" : "not ",
                           q->align ? "" : "not ");
    }
    if (isnan(j->opt.margin)) j->opt.margin = p->margin;
    j->opt.align = p->align;
    return MN_OK;
}

static void summary(const predict_job *j) {
    if (j->failed)
        fprintf(stderr, "mien: %lld of %lld pictures could not be read\n", (long long)j->failed,
                (long long)(j->failed + j->done));
    if (j->opt.bench) stages_print(&j->time, stderr);
}

static void stop(int signal_number) {
    (void)signal_number;
    predict_stop = 1;
}

static mn_status open_detector(predict_job *j, const arguments *a, mn_error *err) {
    if (j->opt.whole || j->opt.faces) return MN_OK;
    const char *why = a->detector || a->cascade ? NULL : vision_missing();
    if (why) {
        fprintf(stderr, "mien: each picture is taken for one cropped face (--whole): %s\n", why);
        j->opt.whole = true;
        return MN_OK;
    }
    j->detector = vision_detector_open(a->cascade, a->detector, err);
    return j->detector ? MN_OK : err->status;
}

int cmd_predict(int argc, char **argv) {
    static const char *const stage_names[] = {"read", "detect", "crop", "networks", "output", NULL};
    arguments a = {.opt = {.smooth = 0.7, .every = 1, .margin = NAN}};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.cameras) return list_cameras();
    a.opt.face = a.face;
    predict_job *j = app_alloc(1, sizeof *j);
    j->opt = a.opt;
    stages_begin(&j->time, stage_names);
    mn_error err = {0};
    source_list list = {0};
    int failed = 0;
    for (int i = 0; i < a.inputs; i++) {
        mn_error why = {0};
        if (source_add(&list, a.input[i], &why)) app_fail(&why), failed++;
    }
    mn_status s = failed && !list.n ? MN_ERR_IO : choose_annotate(j, &list, &err);
    if (s == MN_OK && j->opt.show) s = vision_check_screen(&err);
    if (s == MN_OK) s = predictor_open(&j->predictor, a.model, a.models, PREDICT_MAX_FACES, a.device, a.threads, a.flip, &err);
    for (int i = 0; i < j->predictor.heads && a.opt.always; i++) j->predictor.head[i].calibration.unsure = 0;
    if (s == MN_OK) s = follow_pipeline(j, &err);
    if (s == MN_OK) s = open_detector(j, &a, &err);
    if (s == MN_OK) {
        struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND}; /* a second Ctrl-C ends at once */
        sigaction(SIGINT, &action, NULL);
        findings_begin(stdout, j->opt.format);
        failed += run_items(j, &list, &err);
        summary(j);
    }
    if (fflush(stdout) || ferror(stdout))
        s = mn_fail(&err, MN_ERR_IO, "the output could not be written completely; hint: is the disk full?");
    bool bad = failed || s || err.status || j->failed_named || (j->failed && !j->done);
    if (err.status) app_fail(&err);
    vision_detector_close(j->detector);
    predictor_close(&j->predictor);
    source_list_free(&list);
    free(j);
    return bad ? APP_FAILED : APP_OK;
}
