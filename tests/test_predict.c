/* predict: boxes, crops, tracks, drawing, reports, and the command as a user calls it. */
#include "apps/app.h"
#include "apps/draw.h"
#include "apps/predict.h"
#include "tests/tests.h"
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if MN_HAVE_JSON
#include <jansson.h>
#endif

/* test_path, in a buffer that is not used again soon. */
static const char *keep_path(const char *name) {
    static char path[32][512];
    static int turn;
    turn = (turn + 1) % 32;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_tmpdir(), name);
    return path[turn];
}

/* ---- boxes ---- */

static face_box box(double x, double y, double w, double h, double score) {
    return (face_box){.x = x, .y = y, .w = w, .h = h, .score = score};
}

START_TEST(test_overlap) {
    face_box a = box(0, 0, 10, 10, 1), b = box(5, 5, 10, 10, 1), c = box(20, 0, 5, 5, 1), none = {0};
    ASSERT_CLOSE(face_iou(&a, &a), 1, 0);
    ASSERT_CLOSE(face_iou(&a, &b), 25.0 / 175, 1e-15);
    ASSERT_CLOSE(face_iou(&a, &c), 0, 0);
    ASSERT_CLOSE(face_iou(&none, &none), 0, 0);
}
END_TEST

START_TEST(test_merging) {
    /* the second is a shifted copy of the first, the fourth lies inside the third, the fifth stands alone */
    face_box b[] = {box(100, 100, 50, 50, 3), box(104, 103, 52, 52, 9), box(300, 50, 90, 90, 5), box(310, 60, 40, 40, 4),
                    box(150, 100, 50, 50, 7)};
    ck_assert_int_eq(face_merge(b, 5), 3);
    ck_assert(b[0].score == 9 && b[1].score == 7 && b[2].score == 5);
    ck_assert_int_eq(face_merge(b, 0), 0);
    face_box same[] = {box(50, 9, 5, 5, 1), box(10, 9, 5, 5, 1), box(30, 2, 5, 5, 1)}; /* equal scores: reading order */
    ck_assert_int_eq(face_merge(same, 3), 3);
    ck_assert(same[0].x == 30 && same[1].x == 10 && same[2].x == 50);
}
END_TEST

/* Where the eyes of a face come to lie in its crop: FER2013's geometry, whatever the detector. */
START_TEST(test_crop_geometry) {
    face_box haar = box(200, 100, 80, 80, 1);
    double eye_x = 200 + FACE_HAAR_X * 80, eye_y = 100 + FACE_HAAR_Y * 80, apart = FACE_HAAR_DISTANCE * 80;
    face_box eyes = {
        .x = 190, .y = 80, .w = 70, .h = 100, .has_eyes = true, .eye = {{eye_x - apart / 2, eye_y}, {eye_x + apart / 2, eye_y}}};
    for (int k = 0; k < 2; k++) {
        face_box c = face_crop(k ? &eyes : &haar, 0, false);
        ASSERT_CLOSE(c.w, c.h, 0);
        ASSERT_CLOSE((eye_x - c.x) / c.w, 0.5, 1e-12);
        ASSERT_CLOSE((eye_y - c.y) / c.h, 0.36, 1e-12);
        ASSERT_CLOSE(apart / c.w, 0.36, 1e-12);
        face_box wide = face_crop(k ? &eyes : &haar, 0.2, false);
        ASSERT_CLOSE(wide.w, 1.2 * c.w, 1e-9);
        ASSERT_CLOSE(wide.x + wide.w / 2, c.x + c.w / 2, 1e-9);
        ASSERT_CLOSE(wide.y + wide.h / 2, c.y + c.h / 2, 1e-9);
    }
    eyes.eye[1][0] = eyes.eye[0][0] + 1; /* a profile: the crop does not shrink to a dot */
    ck_assert_double_ge(face_crop(&eyes, 0, false).w, 0.6 * eyes.w);
}
END_TEST

/* ---- tracks ---- */

START_TEST(test_tracks) {
    face_tracker t;
    int k[3];
    face_tracker_create(&t, 2, 0.5, 2);
    face_box b[3] = {box(0, 0, 40, 40, 1), box(200, 0, 40, 40, 1), box(100, 100, 40, 40, 1)};
    face_tracker_match(&t, b, 2, k);
    ck_assert(t.track[k[0]].id == 1 && t.track[k[1]].id == 2);
    /* they move, come in another order, and a third one appears */
    face_box moved[3] = {box(206, 3, 40, 40, 1), box(100, 100, 40, 40, 1), box(5, 4, 42, 42, 1)};
    face_tracker_match(&t, moved, 3, k);
    ck_assert(t.track[k[0]].id == 2 && t.track[k[1]].id == 3 && t.track[k[2]].id == 1);
    /* one is away for two looks and keeps its number, another for three and loses it */
    face_box back = box(210, 5, 40, 40, 1);
    for (int look = 0; look < 2; look++) face_tracker_match(&t, b, 0, k);
    face_tracker_match(&t, &back, 1, k);
    ck_assert_int_eq(t.track[k[0]].id, 2);
    face_tracker_match(&t, b, 1, k);
    ck_assert_int_eq(t.track[k[0]].id, 4);
    face_tracker_destroy(&t);
}
END_TEST

START_TEST(test_smoothing) {
    face_tracker t;
    int k;
    float v[2] = {1, 0}, w[2] = {0, 1};
    face_box b = box(0, 0, 40, 40, 1);
    face_tracker_create(&t, 2, 0.75, 2);
    face_tracker_match(&t, &b, 1, &k);
    face_tracker_smooth(&t, k, v);
    ck_assert(v[0] == 1 && v[1] == 0); /* the first look stands alone */
    face_tracker_match(&t, &b, 1, &k);
    face_tracker_smooth(&t, k, w);
    ASSERT_CLOSE(w[0], 0.75, 1e-6);
    ASSERT_CLOSE(w[0] + w[1], 1, 1e-6);
    float alone[2] = {0.5f, 0.5f};
    face_tracker_smooth(&t, -1, alone);
    ck_assert(alone[0] == 0.5f);
    face_tracker_destroy(&t);
}
END_TEST

/* More faces than tracks, for a thousand looks: no growth, no wrong index. */
START_TEST(test_many_tracks) {
    static face_box b[FACE_MAX_TRACKS + 9];
    int k[FACE_MAX_TRACKS + 9], n = FACE_MAX_TRACKS + 9;
    face_tracker t;
    face_tracker_create(&t, 1, 0.5, 1);
    for (int look = 0; look < 1000; look++) {
        for (int i = 0; i < n; i++) b[i] = box(50 * i + (look % 7) * 1000.0, 10, 30, 30, 1);
        face_tracker_match(&t, b, n, k);
        int without = 0;
        for (int i = 0; i < n; i++) {
            ck_assert(k[i] >= -1 && k[i] < FACE_MAX_TRACKS);
            without += k[i] < 0;
        }
        ck_assert_int_ge(without, 9);
    }
    face_tracker_destroy(&t);
}
END_TEST

/* ---- drawing ---- */

/* Every character stays inside what draw_text_width says, and outside of the picture nothing is written. */
START_TEST(test_drawing) {
    mn_image im = {0};
    mn_error err = {0};
    ASSERT_OK(mn_image_reserve(&im, 600, 40, 3, &err), &err);
    for (int c = ' '; c < 127; c++) {
        char text[2] = {(char)c, 0};
        memset(im.pixels, 0, (size_t)im.width * (size_t)im.height * 3);
        double width = draw_text_width(18, text);
        draw_text(&im, 10, 10, 18, (draw_colour){255, 255, 255}, text);
        int left = im.width, right = -1;
        for (int i = 0; i < im.width * im.height; i++)
            if (im.pixels[3 * i])
                left = i % im.width < left ? i % im.width : left, right = i % im.width > right ? i % im.width : right;
        ck_assert_msg(c == ' ' ? right < 0 : left >= 8 && right <= 12 + width, "%c: %d..%d, width %g", c, left, right, width);
    }
    ASSERT_CLOSE(draw_text_width(18, "a\xc3\xa9z"), draw_text_width(18, "a?z"), 1e-12);
    draw_fill(&im, -50, -50, 5000, 5000, (draw_colour){1, 2, 3}, 1);
    draw_frame(&im, 590, 30, 100, 100, 3, (draw_colour){9, 9, 9});
    draw_text(&im, 580, -5, 60, (draw_colour){255, 255, 255}, "far outside");
    draw_text(&im, -1e6, 1e6, 60, (draw_colour){255, 255, 255}, "gone");
    ck_assert(draw_readable_on((draw_colour){255, 255, 0}).r == 0 && draw_readable_on((draw_colour){0, 0, 120}).r == 255);
    mn_image_free(&im);
}
END_TEST

/* ---- reports ---- */

static char *emotion_names[] = {"happy", "sad \"so\"", "neutral"}, *gender_names[] = {"man", "woman"};
static const float values[] = {0.2f, 0.7f, 0.1f, 0.25f, 0.75f};
static predictor two_heads(void) {
    predictor p = {.heads = 2, .values = 5, .models = 1};
    p.model[0].path = "faces.h5";
    p.head[0] = (predictor_head){"emotion", emotion_names, 3, 0, 0, {0, 0}};
    p.head[1] = (predictor_head){"gender", gender_names, 2, 3, 0, {0, 0}};
    return p;
}

static char *report(findings_format f, const findings_picture *r) {
    predictor p = two_heads();
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    findings_begin(out, f);
    findings_write(out, f, &p, r);
    fclose(out);
    return text;
}

START_TEST(test_reports) {
    findings_face face = {.box = box(10, 20, 30, 30, 4), .crop = box(9.5, 21, 31, 31, 4), .value = values};
    findings_picture r = {.input = "a,b.png", .frame = -1, .width = 64, .height = 48, .face = &face, .faces = 1};
    char *text = report(FINDINGS_TEXT, &r);
    ck_assert_str_eq(text, "a,b.png: 1 face\n  face 1 at 10,20 30x30: apparent expression: sad \"so\" 70 %, "
                           "model's gender label: woman 75 %\n");
    ck_assert_ptr_null(strstr(text, " is "));
    free(text);
    text = report(FINDINGS_CSV, &r);
    ck_assert_str_eq(text, "input,frame,seconds,track,face,x,y,w,h,head,label,probability,model,unsure\n"
                           "\"a,b.png\",,,,1,10.0,20.0,30.0,30.0,emotion,\"sad \"\"so\"\"\",0.7000,faces.h5,0\n"
                           "\"a,b.png\",,,,1,10.0,20.0,30.0,30.0,gender,woman,0.7500,faces.h5,0\n");
    free(text);
    r.frame = 50, r.seconds = 2, face.track = 3;
    text = report(FINDINGS_TEXT, &r);
    ck_assert_ptr_eq(strstr(text, "a,b.png 2.00 s, person 3: apparent expression"), text);
    free(text);
}
END_TEST

#if MN_HAVE_JSON
/* Parses one line; fails when it is no JSON. */
static json_t *parse(const char *line) {
    json_error_t e;
    json_t *j = json_loads(line, JSON_DISABLE_EOF_CHECK, &e);
    ck_assert_msg(j != NULL, "%s in: %s", e.text, line);
    ck_assert_str_eq(json_string_value(json_object_get(j, "schema")), FINDINGS_SCHEMA);
    return j;
}

START_TEST(test_json) {
    findings_face face = {.box = box(10, 20, 30, NAN, 4), .crop = box(9.5, 21, 31, 31, 4), .value = values, .track = 2};
    findings_picture r = {.input = "tab\t quote\" back\\ bad\xff\xc0\xaf\xed\xa0\x80 good\xc3\xa9 \x01\x7f",
                          .frame = 7,
                          .seconds = 0.28,
                          .width = 64,
                          .height = 48,
                          .face = &face,
                          .faces = 1};
    char *text = report(FINDINGS_JSON, &r);
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
    json_t *j = parse(text), *f = json_array_get(json_object_get(j, "faces"), 0);
    const char *input = json_string_value(json_object_get(j, "input"));
    ck_assert(strstr(input, "tab\t quote\" back\\ bad\xef\xbf\xbd") == input && strstr(input, "good\xc3\xa9 \x01\x7f"));
    ck_assert_int_eq(json_integer_value(json_object_get(j, "frame")), 7);
    ck_assert_int_eq(json_integer_value(json_object_get(f, "track")), 2);
    ck_assert(json_is_null(json_array_get(json_object_get(f, "box"), 3)));
    json_t *head = json_array_get(json_object_get(f, "heads"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(head, "label")), "woman");
    ASSERT_CLOSE(json_real_value(json_object_get(json_object_get(head, "probabilities"), "man")), 0.25, 1e-6);
    json_decref(j);
    free(text);
    r = (findings_picture){.input = "x.png", .frame = -1, .error = "x.png: broken"};
    text = report(FINDINGS_JSON, &r);
    j = parse(text);
    ck_assert_str_eq(json_string_value(json_object_get(j, "error")), "x.png: broken");
    json_decref(j);
    free(text);
    text = report(FINDINGS_CSV, &r);
    ck_assert_ptr_null(strstr(text, "x.png"));
    free(text);
}
END_TEST
#else
START_TEST(test_json) { test_skip("JSON: built without jansson"); }
END_TEST
#endif

START_TEST(test_stages) {
    static const char *const names[] = {"read", "think", NULL};
    static stages s;
    stages_begin(&s, names);
    for (int i = 0; i < STAGES_LAPS + 100; i++) stages_lap(&s, 1);
    for (int i = 0; i < STAGES_LAPS; i++) s.lap[1][i] = i;
    ASSERT_CLOSE(stages_quantile(&s, 1, 0.5), 0.5 * (STAGES_LAPS - 1) + 0.5, 0.51);
    ASSERT_CLOSE(stages_quantile(&s, 1, 1), STAGES_LAPS - 1, 0);
    ASSERT_CLOSE(stages_quantile(&s, 0, 0.5), 0, 0);
}
END_TEST

/* ---- the command ---- */

static char out_text[1 << 20], err_text[1 << 16];

static void slurp(const char *path, char *to, size_t size) {
    size_t n;
    char *text = test_read_file(path, &n);
    ck_assert_uint_lt(n, size);
    memcpy(to, text, n + 1);
    free(text);
}

/* Runs `mien predict ...` in a process of its own; out_text and err_text are what it printed. */
static int predict(const char *first, ...) {
    char *argv[24] = {"mien predict"};
    int argc = 1;
    va_list list;
    va_start(list, first);
    for (const char *a = first; a; a = va_arg(list, const char *)) argv[argc++] = (char *)a;
    va_end(list);
    const char *out = keep_path("stdout"), *err = keep_path("stderr");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(open(out, O_CREAT | O_TRUNC | O_WRONLY, 0600), 1);
        dup2(open(err, O_CREAT | O_TRUNC | O_WRONLY, 0600), 2);
        argp_err_exit_status = APP_USAGE;
        int status = cmd_predict(argc, argv);
        fflush(NULL);
        _exit(status); /* not exit: the test's files are the parent's to remove */
    }
    int status = 0;
    waitpid(child, &status, 0);
    slurp(out, out_text, sizeof out_text);
    slurp(err, err_text, sizeof err_text);
    ck_assert_msg(WIFEXITED(status), "predict was killed: %s", err_text);
    return WEXITSTATUS(status);
}

static void expect_sentence(int status, int want, const char *part) {
    ck_assert_msg(status == want, "exit status %d, want %d: %s", status, want, err_text);
    ck_assert_msg(strstr(err_text, part) != NULL, "\"%s\" does not hold \"%s\"", err_text, part);
}

/* An untrained model with these heads. */
static char model_path[2][512];
static const char *save_model(int which, int emotion, int gender) {
    mn_error err = {0};
    mn_net_head heads[2];
    mn_model_info info = {.preprocess = {.channels = 1, .height = 48, .width = 48, .standardize = true, .standardize_eps = 8}};
    if (emotion) heads[info.n_heads] = (mn_net_head){"emotion", 7}, info.n_heads++;
    if (gender) heads[info.n_heads] = (mn_net_head){"gender", 2}, info.n_heads++;
    for (int i = 0; i < info.n_heads; i++) {
        snprintf(info.head[i].name, sizeof info.head[i].name, "%s", heads[i].name);
        info.head[i].n_classes = heads[i].classes;
        info.head[i].class_name = (char **)(heads[i].classes == 7 ? mn_expression_names : mn_gender_names);
    }
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1, .seed = 3}, &err);
    mn_model *m = mn_net_create(c, "tiny", &(mn_net_opt){.heads = heads, .n_heads = info.n_heads});
    ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
    snprintf(model_path[which], sizeof model_path[which], "%s/model%d.h5", test_tmpdir(), which);
    ASSERT_OK(mn_model_save(m, &info, model_path[which], &err), &err);
    mn_context_destroy(c);
    return model_path[which];
}

/* A picture with rendered faces side by side, cell size 120. */
static const char *save_faces(const char *name, int columns, int channels) {
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_tmpdir(), name);
    mn_image cell = {0}, all = {0};
    mn_error err = {0};
    ASSERT_OK(mn_image_reserve(&all, 120 * columns, 120, channels, &err), &err);
    for (int i = 0; i < columns; i++) {
        mn_face f;
        mn_face_random(&f, 5, (uint64_t)i, 0, i % 7, i % 2);
        mn_face_pose_plain(&f);
        ASSERT_OK(mn_face_render(&f, 120, channels, &cell, &err), &err);
        size_t row = (size_t)(120 * channels);
        for (size_t y = 0; y < 120; y++) memcpy(all.pixels + (y * (size_t)columns + (size_t)i) * row, cell.pixels + y * row, row);
    }
    ASSERT_OK(mn_image_save_png(&all, path[turn], &err), &err);
    mn_image_free(&cell), mn_image_free(&all);
    return path[turn];
}

static int lines(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

START_TEST(test_given_faces) {
    const char *m = save_model(0, 1, 1), *pair = save_faces("pair.png", 2, 3);
    ck_assert_int_eq(predict("--model", m, pair, "--face", "0,0,120,120", "--face", "120,0,120,120", NULL), 0);
    ck_assert_msg(strstr(out_text, "pair.png: 2 faces\n  face 1 at 0,0 120x120: apparent expression: "), "%s", out_text);
    ck_assert(strstr(out_text, "face 2 at 120,0 120x120: ") && strstr(out_text, "model's gender label: "));
    /* a face cut out by --face and the same face as a whole picture: the same numbers; two models: every head
     * of both */
    const char *one = save_faces("one.png", 1, 3), *second = save_model(1, 0, 1);
    ck_assert_int_eq(predict("-m", m, "-m", second, pair, "--face", "0,0,120,120", "--csv", NULL), 0);
    ck_assert_int_eq(lines(out_text), 4);
    char *first = strdup(strchr(strstr(out_text, ",emotion,"), ','));
    strchr(first, '\n')[0] = 0;
    ck_assert_int_eq(predict("-m", m, "-m", second, one, "--whole", "--csv", NULL), 0);
    ck_assert_msg(strstr(out_text, first) != NULL, "%s not in %s", first, out_text);
    free(first);
    /* outside of the picture, half outside, not square */
    ck_assert_int_eq(predict("-m", m, one, "--face", "500,500,20,20", NULL), 0);
    ck_assert(strstr(out_text, "one.png: 0 faces"));
    ck_assert_int_eq(predict("-m", m, one, "--face", "-30,100,60,90", "--flip", NULL), 0);
    ck_assert(strstr(out_text, "at -30,100 60x90"));
}
END_TEST

/* Inputs of one name get names of their own, so that no annotated copy replaces another. */
START_TEST(test_equal_names) {
    mn_error err = {0};
    source_list l = {0};
    mkdir(keep_path("one"), 0700), mkdir(keep_path("one/al"), 0700), mkdir(keep_path("two"), 0700),
        mkdir(keep_path("two/al"), 0700);
    save_faces("one/al/a.png", 1, 1), save_faces("two/al/a.png", 1, 1);
    static const char *const inputs[] = {"one/al", "two/al/", "one/al/a.png", "two/al/a.png"};
    static const char *const want[] = {"al/a.png", "2-al/a.png", "a.png", "2-a.png"};
    for (int k = 0; k < 4; k++) ASSERT_OK(source_add(&l, keep_path(inputs[k]), &err), &err);
    ck_assert_int_eq(l.n, 4);
    for (int k = 0; k < 4; k++) ck_assert_str_eq(l.item[k].name, want[k]);
    source_list_free(&l);
}
END_TEST

START_TEST(test_folder) {
    const char *m = save_model(0, 1, 1);
    mkdir(keep_path("album"), 0700), mkdir(keep_path("album/inner"), 0700);
    for (int i = 0; i < 70; i++) { /* more than one batch; grey and RGB */
        char name[64];
        snprintf(name, sizeof name, i % 2 ? "album/inner/%02d.png" : "album/%02d.PNG", i);
        save_faces(name, 1, i % 3 ? 3 : 1);
    }
    test_write_file(keep_path("album/broken.jpg"), "\xff\xd8\xff not a picture", 17);
    test_write_file(keep_path("album/notes.txt"), "no picture", 10);
    const char *album = keep_path("album"), *out = keep_path("labelled");
    ck_assert_msg(predict("-m", m, album, "--whole", "--json", "--annotate", out, NULL) == 0, "%s", err_text);
    ck_assert_int_eq(lines(out_text), 71);
    ck_assert(strstr(err_text, "album/broken.jpg") && strstr(err_text, "1 of 71 pictures could not be read"));
    struct stat st;
    ck_assert(stat(keep_path("labelled/album/inner/01.png"), &st) == 0 && stat(keep_path("labelled/album/00.PNG"), &st) == 0);
    mn_image im = {0};
    mn_error err = {0};
    ASSERT_OK(mn_image_load(&im, keep_path("labelled/album/inner/69.png"), &err), &err);
    ck_assert(im.width == 120 && im.height == 120 && im.channels == 3);
    mn_image_free(&im);
#if MN_HAVE_JSON
    int good = 0;
    for (char *line = out_text; *line; line = strchr(line, '\n') + 1) {
        json_t *j = parse(line);
        good += json_array_size(json_object_get(j, "faces")) == 1;
        json_decref(j);
    }
    ck_assert_int_eq(good, 70);
#endif
    /* only broken ones: failed */
    mkdir(keep_path("bad"), 0700);
    test_write_file(keep_path("bad/a.png"), "x", 1);
    expect_sentence(predict("-m", m, keep_path("bad"), "--whole", NULL), 1, "bad/a.png");
    mkdir(keep_path("empty"), 0700);
    expect_sentence(predict("-m", m, keep_path("empty"), "--whole", NULL), 1, "no PNG or JPEG picture is in this folder");
    /* a broken one that was named: failed, but the others are done */
    expect_sentence(predict("-m", m, keep_path("bad/a.png"), album, "--whole", NULL), 1, "2 of 72");
    ck_assert_int_eq(lines(out_text), 140);
}
END_TEST

START_TEST(test_annotate) {
    const char *m = save_model(0, 1, 1), *pair = save_faces("pair.png", 2, 3), *out = keep_path("out.png");
    ck_assert_int_eq(predict("-m", m, pair, "--face", "0,0,120,120", "--annotate", out, "--palette", "safe", NULL), 0);
    mn_image a = {0}, b = {0};
    mn_error err = {0};
    ASSERT_OK(mn_image_load(&a, out, &err), &err);
    ASSERT_OK(mn_image_load(&b, pair, &err), &err);
    int orange = 0, blue = 0, changed = 0;
    for (int i = 0; i < a.width * a.height; i++) {
        const uint8_t *p = a.pixels + 3 * i;
        orange += p[0] == 230 && p[1] == 159 && p[2] == 0, blue += p[0] == 0 && p[1] == 114 && p[2] == 178;
        changed += memcmp(p, b.pixels + 3 * i, 3) != 0;
    }
    ck_assert_msg((orange > 300) != (blue > 300), "%d orange, %d blue", orange, blue);
    ck_assert_int_gt(changed, 1000);
    mn_image_free(&a), mn_image_free(&b);
    expect_sentence(predict("-m", m, pair, "--whole", "--annotate", pair, NULL), 1, "would replace the input itself");
    expect_sentence(predict("-m", m, pair, "--whole", "--annotate", keep_path("x.jpg"), NULL), 1, "pictures are written as .png");
    expect_sentence(predict("-m", m, pair, "--whole", "--annotate", keep_path("x.avi"), NULL), 1, "a picture is written as .png");
    expect_sentence(predict("-m", m, pair, pair, "--whole", "--annotate", out, NULL), 1,
                    "2 inputs for one file; hint: name a folder");
    expect_sentence(predict("-m", m, pair, "--whole", "--annotate", keep_path("no/such/x.png"), NULL), 1,
                    "create its folder first");
}
END_TEST

START_TEST(test_refused) {
    const char *m = save_model(0, 1, 1), *one = save_faces("one.png", 1, 3);
    setenv("MIEN_MODELS", keep_path("."), 1); /* where no model named tiny is that could be read */
    test_write_file(keep_path("tiny.h5"), "not HDF5", 8);
    expect_sentence(predict(one, "--whole", NULL), 1, "tiny.h5");
    unsetenv("MIEN_MODELS");
    expect_sentence(predict("-m", m, NULL), 2, "no input; wanted a picture");
    expect_sentence(predict("-m", m, one, "--face", "1,2,3", NULL), 2, "--face is \"1,2,3\"; wanted X,Y,W,H");
    expect_sentence(predict("-m", m, one, "--face", "1,2,3,nan", NULL), 2, "wanted X,Y,W,H");
    expect_sentence(predict("-m", m, one, "--face", "1,2,30,30", "--whole", NULL), 2, "exclude each other");
    expect_sentence(predict("-m", m, one, "--palette", "pink", NULL), 2, "pink");
    expect_sentence(predict("-m", m, one, "--every", "0", NULL), 2, "--every");
    expect_sentence(predict("-m", keep_path("none.h5"), one, "--whole", NULL), 1, "none.h5");
    test_write_file(keep_path("broken.h5"), "not HDF5", 8);
    expect_sentence(predict("-m", keep_path("broken.h5"), one, "--whole", NULL), 1, "broken.h5");
    expect_sentence(predict("-m", m, keep_path("missing.png"), "--whole", NULL), 1, "missing.png: cannot be opened");
    expect_sentence(predict("-m", m, "camera:", "--whole", NULL), 1, "wanted camera:0 or");
    expect_sentence(predict("-m", m, "test:x", "--whole", NULL), 1, "wanted test: or a number of frames");
    expect_sentence(predict("-m", m, "/dev/null", "--whole", NULL), 1, "neither a file nor a folder");
    unsetenv("DISPLAY"), unsetenv("WAYLAND_DISPLAY");
    predict("-m", m, one, "--whole", "--show", NULL);
    ck_assert_msg(strstr(err_text, "DISPLAY") || strstr(err_text, "without OpenCV"), "%s", err_text);
}
END_TEST

/* ---- what needs OpenCV ---- */

START_TEST(test_detector) {
    const char *m = save_model(0, 1, 1);
    if (vision_missing()) {
        test_skip("finding faces: built without OpenCV");
        ck_assert_int_eq(predict("-m", m, save_faces("one.png", 1, 3), NULL), 0);
        ck_assert_ptr_nonnull(strstr(err_text, "libopencv-dev"));
        return;
    }
    expect_sentence(predict("-m", m, save_faces("one.png", 1, 3), "--cascade", keep_path("none.xml"), NULL), 1, "tried: ");
    test_write_file(keep_path("bad.xml"), "<a>", 3);
    expect_sentence(predict("-m", m, keep_path("one.png"), "--cascade", keep_path("bad.xml"), NULL), 1, "is no cascade");
    expect_sentence(predict("-m", m, keep_path("one.png"), "--detector", keep_path("bad.xml"), NULL), 1, "OpenCV says");
    expect_sentence(predict("-m", m, "camera:/dev/video99", NULL), 1, "camera /dev/video99 cannot be opened; hint:");
    mn_image small = {0}; /* smaller than any face */
    mn_error err = {0};
    ASSERT_OK(mn_image_reserve(&small, 3, 2, 1, &err), &err);
    memset(small.pixels, 90, 6);
    ASSERT_OK(mn_image_save_png(&small, keep_path("dot.png"), &err), &err);
    mn_image_free(&small);
    ck_assert_msg(predict("-m", m, keep_path("dot.png"), NULL) == 0 && strstr(out_text, "0 faces"), "%s%s", out_text, err_text);
    test_write_file(keep_path("film.mp4"), "no film", 7);
    expect_sentence(predict("-m", m, keep_path("film.mp4"), NULL), 1, "nor a video that OpenCV can read");
}
END_TEST

/* The test pattern, as a stream: tracks, frames, an annotated video. */
START_TEST(test_stream) {
    const char *m = save_model(0, 1, 1);
    ck_assert_msg(predict("-m", m, "test:12", "--whole", "--json", "--every", "5", "--max-frames", "11", NULL) == 0, "%s",
                  err_text);
    ck_assert_int_eq(lines(out_text), 3); /* frames 0, 5, 10 */
    ck_assert(strstr(out_text, "\"input\":\"test:12\",\"frame\":10,\"seconds\":0.400") && strstr(out_text, "\"track\":1"));
    ck_assert_ptr_null(strstr(out_text, "\"track\":2"));
    if (vision_missing()) {
        test_skip("writing videos: built without OpenCV");
        return;
    }
    const char *film = keep_path("out.avi");
    ck_assert_msg(predict("-m", m, "test:6", "--whole", "--annotate", film, "--bench", NULL) == 0, "%s", err_text);
    ck_assert(strstr(err_text, "p99 ms") && strstr(err_text, "networks"));
    ck_assert_msg(predict("-m", m, film, "--whole", "--csv", NULL) == 0, "%s", err_text); /* and read back */
    ck_assert_int_eq(lines(out_text), 1 + 6 * 2);
}
END_TEST

/* Real pictures, where they are: every face is found. */
START_TEST(test_media) {
    static const struct {
        const char *name;
        int faces;
    } media[] = {{"astronaut.png", 1}, {"single_face.jpg", 1}, {"group_of_six.jpg", 6}};
    const char *data = test_data_dir(), *m;
    if (!data || vision_missing()) {
        test_skip("faces in real pictures: no data or no OpenCV");
        return;
    }
    m = save_model(0, 1, 1);
    for (size_t i = 0; i < sizeof media / sizeof *media; i++) {
        char path[600], want[64];
        struct stat st;
        snprintf(path, sizeof path, "%s/media/%s", data, media[i].name);
        snprintf(want, sizeof want, ": %d face", media[i].faces);
        if (stat(path, &st))
            test_skip("faces in real pictures: a file is not there");
        else
            ck_assert_msg(predict("-m", m, path, NULL) == 0 && strstr(out_text, want), "%s%s", out_text, err_text);
    }
}
END_TEST

/* ---- dlib's example pictures, whose faces and eyes are annotated ---- */

typedef struct annotated {
    face_box box;
    double eye[2][2]; /* sums over the six landmarks of each */
    bool used;
} annotated;

typedef struct measured {
    int faces, found, wrong;
    double x, y, distance; /* of the eyes in the crops: sums */
} measured;

static void measure_picture(vision_detector *d, const char *path, annotated *face, int n, measured *m) {
    mn_image im = {0};
    mn_error err = {0};
    face_box box[PREDICT_MAX_FACES];
    int boxes = 0;
    ASSERT_OK(mn_image_load(&im, path, &err), &err);
    int least = (im.width < im.height ? im.width : im.height) / 20;
    ASSERT_OK(vision_detect(d, &im, least > 24 ? least : 24, box, PREDICT_MAX_FACES, &boxes, &err), &err);
    mn_image_free(&im);
    m->faces += n;
    for (int i = 0; i < boxes; i++) {
        annotated *best = NULL;
        double overlap = 0.25;
        for (int k = 0; k < n; k++)
            if (!face[k].used && face_iou(&box[i], &face[k].box) > overlap)
                best = &face[k], overlap = face_iou(&box[i], &face[k].box);
        if (!best && ++m->wrong) continue;
        face_box crop = face_crop(&box[i], 0, false);
        double(*e)[2] = best->eye;
        best->used = true, m->found++;
        m->x += ((e[0][0] + e[1][0]) / 12 - crop.x) / crop.w;
        m->y += ((e[0][1] + e[1][1]) / 12 - crop.y) / crop.h;
        m->distance += hypot(e[1][0] - e[0][0], e[1][1] - e[0][1]) / 6 / crop.w;
    }
}

/* Reads <image file=..>, <box top= left= width= height=>, <part name= x= y=> in the order in which they
 * stand. */
static void measure_list(vision_detector *d, const char *folder, const char *name, measured *m) {
    char path[700], picture[200] = "", line[512];
    annotated face[32];
    int n = 0, part, x, y;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        char *tag = strchr(line, '<');
        annotated *a = &face[n ? n - 1 : 0];
        double t, l, w, h;
        if (!tag) continue;
        if (sscanf(tag, "<image file='%199[^']'", picture) == 1)
            n = 0;
        else if (n < 32 && sscanf(tag, "<box top='%lf' left='%lf' width='%lf' height='%lf'", &t, &l, &w, &h) == 4)
            face[n++] = (annotated){.box = box(l, t, w, h, 1)};
        else if (n && sscanf(tag, "<part name='%d' x='%d' y='%d'", &part, &x, &y) == 3 && part >= 36 && part < 48)
            a->eye[part >= 42][0] += x, a->eye[part >= 42][1] += y;
        else if (!strncmp(tag, "</image>", 8)) {
            snprintf(path, sizeof path, "%s/%s", folder, picture);
            measure_picture(d, path, face, n, m);
        }
    }
    if (f) fclose(f);
}

/* Most faces are found, little else is, and in the crops the eyes are where FER2013 has them. */
START_TEST(test_annotated_faces) {
    const char *data = test_data_dir();
    char folder[600];
    struct stat st;
    snprintf(folder, sizeof folder, "%s/media/dlib_faces", data ? data : "");
    if (!data || stat(folder, &st) || vision_missing()) {
        test_skip("crops of annotated faces: no data or no OpenCV");
        return;
    }
    mn_error err = {0};
    measured m = {0};
    vision_detector *d = vision_detector_open(NULL, NULL, &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    measure_list(d, folder, "training_with_face_landmarks.xml", &m);
    measure_list(d, folder, "testing_with_face_landmarks.xml", &m);
    vision_detector_close(d);
    if (getenv("MIEN_MEASURE"))
        printf("%d faces, %d found, %d wrong; eyes in the crops: %.3f %.3f, %.3f apart\n", m.faces, m.found, m.wrong,
               m.x / m.found, m.y / m.found, m.distance / m.found);
    ck_assert_msg(m.faces == 43 && m.found >= 38 && m.wrong <= 3, "%d faces, %d found, %d wrong", m.faces, m.found, m.wrong);
    ASSERT_CLOSE(m.x / m.found, 0.5, 0.01);
    ASSERT_CLOSE(m.y / m.found, 0.36, 0.01);
    ASSERT_CLOSE(m.distance / m.found, 0.36, 0.01);
}
END_TEST

TEST_SUITE(predict, test_overlap, test_merging, test_crop_geometry, test_tracks, test_smoothing, test_many_tracks, test_drawing,
           test_reports, test_json, test_stages, test_given_faces, test_equal_names, test_folder, test_annotate, test_refused,
           test_detector, test_stream, test_media, test_annotated_faces)
