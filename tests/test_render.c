/* Rendered faces: determinism, every field seen, sizes, the two heads, sequences, expressions told apart. */
#include "tests/tests.h"
#include "apps/app.h"
#include <unistd.h>

static mn_face plain_face(uint64_t identity, int expression) {
    mn_face f;
    mn_face_random(&f, 3, identity, 0, expression, (int)(identity % 2));
    mn_face_pose_plain(&f);
    f.intensity = 1;
    return f;
}

static void draw(const mn_face *f, int size, int channels, mn_image *im) {
    mn_error err = {0};
    ASSERT_OK(mn_face_render(f, size, channels, im, &err), &err);
}

/* Root of the mean squared difference of two pictures of one size. */
static double distance(const mn_image *a, const mn_image *b) {
    size_t n = (size_t)a->width * (size_t)a->height * (size_t)a->channels;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += pow((double)a->pixels[i] - b->pixels[i], 2);
    return sqrt(sum / (double)n);
}

START_TEST(test_same_arguments_same_bytes) {
    mn_image a = {0}, b = {0};
    for (int i = 0; i < 21; i++) {
        mn_face f, g;
        mn_face_random(&f, 5, (uint64_t)i / 7, (uint64_t)i, i % 7, i / 7 % 2);
        mn_face_random(&g, 5, (uint64_t)i / 7, (uint64_t)i, i % 7, i / 7 % 2);
        draw(&f, 48, 1 + 2 * (i % 2), &a);
        draw(&g, 48, 1 + 2 * (i % 2), &b);
        ck_assert(distance(&a, &b) == 0);
        mn_face_random(&g, 6, (uint64_t)i / 7, (uint64_t)i, i % 7, i / 7 % 2); /* another seed */
        draw(&g, 48, 1 + 2 * (i % 2), &b);
        ck_assert(distance(&a, &b) > 2);
    }
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

START_TEST(test_same_person_in_another_picture) {
    mn_face f, g;
    mn_face_random(&f, 1, 12, 100, 3, 0);
    mn_face_random(&g, 1, 12, 101, 4, 0);
    ck_assert(f.skin == g.skin && f.age == g.age && f.hair_style == g.hair_style && f.person == g.person);
    ck_assert(f.yaw != g.yaw && f.texture != g.texture);
    mn_face_random(&g, 1, 13, 100, 3, 0);
    ck_assert(f.skin != g.skin && f.yaw != g.yaw);
}
END_TEST

START_TEST(test_sizes) {
    static const int size[] = {8, 9, 17, 24, 48, 63, 64, 96, 200, 512, 1024};
    mn_image im = {0}, small = {0};
    mn_error err = {0};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        for (int channels = 1; channels <= 3; channels += 2) {
            mn_face f = plain_face(i, (int)(i % 7));
            draw(&f, size[i], channels, &im);
            ck_assert(im.width == size[i] && im.height == size[i] && im.channels == channels);
            if (size[i] < 64) continue; /* a large picture is the small one with more detail */
            mn_image at64 = {0};
            ASSERT_OK(mn_image_resize(&small, &im, 64, 64, &err), &err);
            draw(&f, 64, channels, &at64);
            ASSERT_CLOSE(distance(&small, &at64), 0, 6);
            mn_image_free(&at64);
        }
    }
    mn_image_free(&im), mn_image_free(&small);
}
END_TEST

START_TEST(test_grey_is_the_luma_of_rgb) {
    mn_image grey = {0}, rgb = {0};
    for (uint64_t i = 0; i < 14; i++) {
        mn_face f;
        mn_face_random(&f, 9, i, i, (int)(i % 7), (int)(i % 2));
        f.noise = 0, f.light = f.contrast = 0.5;
        draw(&f, 40, 1, &grey);
        draw(&f, 40, 3, &rgb);
        for (int k = 0; k < 40 * 40; k++) {
            const uint8_t *p = rgb.pixels + 3 * k;
            if (p[0] == 255 || p[1] == 255 || p[2] == 255) continue; /* where a channel is cut off */
            ASSERT_CLOSE(grey.pixels[k], 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2], 1.6);
        }
    }
    mn_image_free(&grey), mn_image_free(&rgb);
}
END_TEST

/* At scale 1, facing the camera, the pupils lie where FER2013's crops have them. */
START_TEST(test_where_the_eyes_are) {
    mn_image im = {0};
    for (uint64_t i = 0; i < 6; i++) {
        mn_face f = plain_face(i, 6);
        f.eye_distance = 0.5, f.glasses = 0, f.hair_style = MN_HAIR_CROP;
        draw(&f, 200, 1, &im);
        for (int side = -1; side <= 1; side += 2) {
            int x = 100 + side * 36, y = 71;
            double pupil = im.pixels[y * 200 + x], white = im.pixels[y * 200 + x + 10];
            ck_assert_msg(pupil + 25 < white || pupil < 45, "pupil %g, beside it %g", pupil, white);
        }
    }
    mn_image_free(&im);
}
END_TEST

START_TEST(test_every_field_is_seen) {
    mn_image a = {0}, b = {0};
    mn_face_field field;
    mn_error err = {0};
    for (int i = 0; mn_face_field_at(i, &field); i++) {
        mn_face f = plain_face(4, 3);
        f.skin = 0.6, f.hair_style = MN_HAIR_PARTED, f.intensity = 0.7, f.age = 40, f.beard = 0, f.glasses = 0;
        f.occlusion = 0;
        int last = field.whole ? (int)field.hi : 1;
        for (int k = 1; k <= last; k++) {
            mn_face g = f;
            if (field.lo == 0) mn_face_set(&f, field.name, 0, &err);
            mn_face_set(&g, field.name, field.whole ? k : field.hi, &err);
            draw(&f, 64, 3, &a);
            draw(&g, 64, 3, &b);
            ck_assert_msg(distance(&a, &b) > 0.3, "%s: %g changes %g", field.name, field.whole ? k : field.hi, distance(&a, &b));
        }
    }
    ck_assert_int_eq(err.status, MN_OK);
    mn_face f = plain_face(4, 3), g = f;
    g.texture++;
    draw(&f, 64, 3, &a), draw(&g, 64, 3, &b);
    ck_assert(distance(&a, &b) > 1);
    g = f, g.person++;
    draw(&g, 64, 3, &b);
    ck_assert(distance(&a, &b) > 0.05);
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

START_TEST(test_arguments_out_of_range) {
    mn_image im = {0};
    mn_face_field field;
    for (int i = 0; mn_face_field_at(i, &field); i++) {
        mn_face f = plain_face(0, 3);
        mn_error err = {0};
        ck_assert_int_eq(mn_face_set(&f, field.name, field.hi + 1, &err), MN_ERR_ARG);
        ck_assert_msg(strstr(err.text, field.name) && strstr(err.text, "wanted"), "%s", err.text);
        mn_error_clear(&err);
        ck_assert_int_eq(mn_face_set(&f, field.name, NAN, &err), MN_ERR_ARG);
    }
    mn_face f = plain_face(0, 3);
    mn_error err = {0};
    f.yaw = NAN;
    ck_assert_int_eq(mn_face_render(&f, 48, 1, &im, &err), MN_ERR_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "yaw is"));
    static const struct {
        int size, channels;
        const char *says;
    } bad[] = {{7, 1, "the size is 7, wanted 8 to 1024"}, {1025, 1, "1025"}, {-1, 3, "-1"}, {48, 2, "2 channels"}};
    f = plain_face(0, 3);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mn_error_clear(&err);
        ck_assert_int_eq(mn_face_render(&f, bad[i].size, bad[i].channels, &im, &err), MN_ERR_ARG);
        ck_assert_msg(strstr(err.text, bad[i].says) != NULL, "%s", err.text);
    }
    mn_error_clear(&err);
    ck_assert_int_eq(mn_face_set(&f, "tail", 1, &err), MN_ERR_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "no \"tail\""));
    mn_image_free(&im);
}
END_TEST

START_TEST(test_action_units) {
    double au[MN_AU_COUNT];
    mn_face f = plain_face(0, 3);
    mn_face_action_units(&f, au);
    ck_assert(au[MN_AU12] == 1 && au[MN_AU6] == 1 && au[MN_AU4] == 0);
    f.intensity = 0.5;
    mn_face_action_units(&f, au);
    ASSERT_CLOSE(au[MN_AU12], 0.5, 1e-12);
    f.expression = 6;
    mn_face_action_units(&f, au);
    for (int k = 0; k < MN_AU_COUNT; k++) ck_assert(au[k] == 0);
    /* with variation a prototype's own units stay, weaker */
    f = plain_face(0, 3), f.variation = 1;
    for (f.texture = 0; f.texture < 200; f.texture++) {
        mn_face_action_units(&f, au);
        ck_assert(au[MN_AU12] >= 0.45 && au[MN_AU12] <= 1);
    }
}
END_TEST

/* Without intensity every expression is the neutral one; with more of it the picture moves away. */
START_TEST(test_intensity_moves_away_from_neutral) {
    mn_image neutral = {0}, im = {0};
    for (int e = 0; e < 6; e++) {
        mn_face f = plain_face((uint64_t)e, 6);
        draw(&f, 48, 1, &neutral);
        f.expression = e;
        double before = -1;
        for (int k = 0; k <= 8; k++) {
            f.intensity = k / 8.0;
            draw(&f, 48, 1, &im);
            double d = distance(&im, &neutral);
            if (k == 0) ck_assert(d == 0);
            ck_assert_msg(d > before, "%s at %g: %g after %g", mn_expression_names[e], f.intensity, d, before);
            before = d;
        }
        ck_assert(before > 4);
    }
    mn_image_free(&neutral), mn_image_free(&im);
}
END_TEST

/* What the face of one person does, apex less neutral, tells the expressions of strangers apart: the nearest
 * mean of 20 people, asked about 20 others. */
START_TEST(test_expressions_are_told_apart) {
    enum { SIZE = 48, PIXELS = SIZE * SIZE, PEOPLE = 20 };
    static double mean[6][PIXELS], move[PIXELS];
    mn_image neutral = {0}, apex = {0};
    int right = 0;
    for (int p = 0; p < 2 * PEOPLE; p++) {
        for (int e = 0; e < 6; e++) {
            mn_face f = plain_face((uint64_t)p, 6);
            draw(&f, SIZE, 1, &neutral);
            f.expression = e, f.variation = 1, f.texture = (uint64_t)(p * 7 + e), f.intensity = 0.8;
            mn_face g = f;
            g.intensity = 0;
            draw(&g, SIZE, 1, &neutral);
            draw(&f, SIZE, 1, &apex);
            double best = INFINITY;
            int found = -1;
            for (int i = 0; i < PIXELS; i++) move[i] = (double)apex.pixels[i] - neutral.pixels[i];
            for (int i = 0; i < PIXELS && p < PEOPLE; i++) mean[e][i] += move[i] / PEOPLE;
            for (int k = 0; k < 6 && p >= PEOPLE; k++) {
                double d = 0;
                for (int i = 0; i < PIXELS; i++) d += pow(move[i] - mean[k][i], 2);
                if (d < best) best = d, found = k;
            }
            right += found == e;
        }
    }
    ck_assert_msg(right >= 6 * PEOPLE * 6 / 10, "%d of %d", right, 6 * PEOPLE);
    mn_image_free(&neutral), mn_image_free(&apex);
}
END_TEST

START_TEST(test_data_set) {
    mn_error err = {0};
    mn_dataset *d = mn_dataset_rendered(&(mn_rendered_opt){.count = 280, .seed = 4}, &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    ck_assert_int_eq(d->length, 280);
    ck_assert_int_eq(d->n_heads, 2);
    ck_assert_str_eq(d->head[0].name, "emotion");
    ck_assert_str_eq(d->head[0].class_name[3], "happy");
    ck_assert_str_eq(d->head[1].class_name[1], "woman");
    int emotion[7] = {0}, gender[2] = {0}, both[7][2] = {{0}}, of_group[40];
    memset(of_group, -1, sizeof of_group);
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        ASSERT_OK(d->info(d, i, &s, &err), &err);
        emotion[s.label[0]]++, gender[s.label[1]]++, both[s.label[0]][s.label[1]]++;
        ck_assert(s.label[2] == -1 && s.soft[0] == NULL && s.split == MN_SPLIT_NONE && s.id && s.group < 40);
        if (of_group[s.group] < 0) of_group[s.group] = s.label[1];
        ck_assert_int_eq(of_group[s.group], s.label[1]); /* one person, one gender presentation */
    }
    for (int k = 0; k < 7; k++) ck_assert(emotion[k] == 40 && both[k][0] == 20 && both[k][1] == 20);
    ck_assert(gender[0] == 140 && gender[1] == 140);
    mn_image a = {0}, b = {0};
    ASSERT_OK(d->pixels(d, 17, &a, &err), &err);
    ASSERT_OK(d->pixels(d, 200, &b, &err), &err);
    ASSERT_OK(d->pixels(d, 17, &b, &err), &err);
    ck_assert(a.width == 48 && a.channels == 1 && distance(&a, &b) == 0);
    ck_assert_int_eq(d->pixels(d, 280, &a, &err), MN_ERR_ARG);
    mn_image_free(&a), mn_image_free(&b);
    mn_dataset_destroy(d);
}
END_TEST

START_TEST(test_sequences) {
    enum { FRAMES = 6 };
    mn_error err = {0};
    mn_dataset *d = mn_dataset_rendered(&(mn_rendered_opt){.count = 14, .frames = FRAMES, .channels = 3}, &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    ck_assert_int_eq(d->length, 14 * FRAMES);
    mn_image first = {0}, im = {0};
    for (int s = 0; s < 14; s++) {
        double before = -1;
        mn_sample_info a, b;
        ASSERT_OK(d->info(d, s * FRAMES, &a, &err), &err);
        ASSERT_OK(d->pixels(d, s * FRAMES, &first, &err), &err);
        for (int k = 0; k < FRAMES; k++) {
            ASSERT_OK(d->info(d, s * FRAMES + k, &b, &err), &err);
            ck_assert(a.group == b.group && a.label[0] == b.label[0] && (k == 0 || strcmp(a.id, b.id)));
            ASSERT_OK(d->pixels(d, s * FRAMES + k, &im, &err), &err);
            double away = distance(&im, &first);
            ck_assert_msg(a.label[0] == 6 ? away == 0 : away >= before, "%s frame %d: %g", b.id, k, away);
            before = away;
        }
    }
    mn_image_free(&first), mn_image_free(&im);
    mn_dataset_destroy(d);
}
END_TEST

START_TEST(test_data_set_refuses) {
    static const struct {
        mn_rendered_opt o;
        const char *says;
    } bad[] = {{{.count = 0}, "at least 1"},
               {{.count = 5, .size = 4}, "the size is 4"},
               {{.count = 5, .channels = 4}, "4 channels"},
               {{.count = INT64_MAX, .frames = 9}, "at most"},
               {{.count = 5, .frames = -1}, "-1 frames"},
               {{.count = 5, .identities = -2}, "-2 identities"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mn_error err = {0};
        ck_assert_ptr_null(mn_dataset_rendered(&bad[i].o, &err));
        ck_assert_msg(err.status == MN_ERR_ARG && strstr(err.text, bad[i].says), "%s", err.text);
    }
}
END_TEST

START_TEST(test_sheet) {
    mn_image sheet = {0};
    mn_error err = {0};
    ASSERT_OK(mn_face_sheet(&(mn_sheet_opt){.rows = 3, .size = 32}, &sheet, &err), &err);
    ck_assert(sheet.width == 7 * 32 && sheet.height == 3 * 32 && sheet.channels == 3);
    ASSERT_OK(mn_face_sheet(&(mn_sheet_opt){.rows = 2, .size = 24, .frames = 5, .channels = 1}, &sheet, &err), &err);
    ck_assert(sheet.width == 5 * 24 && sheet.height == 2 * 24 && sheet.channels == 1);
    ck_assert_int_eq(mn_face_sheet(&(mn_sheet_opt){.rows = -1}, &sheet, &err), MN_ERR_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "-1 rows"));
    mn_error_clear(&err);
    ck_assert_int_eq(mn_face_sheet(&(mn_sheet_opt){.rows = 900, .size = 512}, &sheet, &err), MN_ERR_ARG);
    ck_assert_ptr_nonnull(strstr(err.text, "32768"));
    mn_image_free(&sheet);
}
END_TEST

/* ---- out of memory at the n-th allocation ----------------------------------------------------------- */

static mn_status draw_a_set(void *unused, mn_error *err) {
    (void)unused;
    mn_image im = {0}, sheet = {0};
    mn_dataset *d = mn_dataset_rendered(&(mn_rendered_opt){.count = 2}, err);
    if (d && d->pixels(d, 1, &im, err) == MN_OK) mn_face_sheet(&(mn_sheet_opt){.rows = 1, .size = 8}, &sheet, err);
    mn_dataset_destroy(d);
    mn_image_free(&im), mn_image_free(&sheet);
    return err->status;
}
START_TEST(test_out_of_memory) { ck_assert_int_gt(test_every_allocation(draw_a_set, NULL), 15); }
END_TEST

/* ---- mien render ------------------------------------------------------------------------------------ */

/* Runs the subcommand on words separated by spaces, its output put aside. */
static int mien_render(const char *words) {
    char text[2000], name[] = "mien render", *argv[20] = {name};
    int argc = 1, keep = dup(1);
    snprintf(text, sizeof text, "%s", words);
    for (char *w = strtok(text, " "); w && argc < 19; w = strtok(NULL, " ")) argv[argc++] = w;
    fflush(stdout);
    ck_assert(freopen(test_path("output"), "w", stdout) != NULL);
    int status = cmd_render(argc, argv);
    fflush(stdout);
    dup2(keep, 1), close(keep);
    return status;
}

START_TEST(test_program) {
    char words[1500];
    mn_error err = {0};
    mn_image im = {0};
    char tree[500], sheet[500], face[500];
    snprintf(tree, sizeof tree, "%s", test_path("tree"));
    snprintf(sheet, sizeof sheet, "%s", test_path("sheet.png"));
    snprintf(face, sizeof face, "%s", test_path("face.png"));
    snprintf(words, sizeof words, "--out %s --count 21 --size 24 --seed 3", tree);
    ck_assert_int_eq(mien_render(words), 0);
    mn_dataset *d = mn_dataset_folder(tree, NULL, &err);
    ck_assert_msg(d && d->length == 21 && d->head[0].n_classes == 7, "%s", err.text);
    mn_dataset_destroy(d);
    d = mn_dataset_list(test_path("tree/list.csv"), NULL, &err);
    ck_assert_msg(d && d->length == 21 && d->n_heads == 2, "%s", err.text);
    mn_dataset_destroy(d);
    snprintf(words, sizeof words, "--sheet %s --rows 2 --size 16 --rgb", sheet);
    ck_assert_int_eq(mien_render(words), 0);
    ASSERT_OK(mn_image_load(&im, sheet, &err), &err);
    ck_assert(im.width == 7 * 16 && im.height == 2 * 16 && im.channels == 3);
    snprintf(words, sizeof words, "--face %s --expression sad --gender man --yaw 12 --set beard=4,age=70 --size 40", face);
    ck_assert_int_eq(mien_render(words), 0);
    ASSERT_OK(mn_image_load(&im, face, &err), &err);
    ck_assert(im.width == 40 && im.channels == 1);
    snprintf(words, sizeof words, "--out %s/none/none --count 2", tree);
    ck_assert_int_eq(mien_render(words), 1);
    mn_image_free(&im);
}
END_TEST

TEST_SUITE(render, test_same_arguments_same_bytes, test_same_person_in_another_picture, test_sizes, test_grey_is_the_luma_of_rgb,
           test_where_the_eyes_are, test_every_field_is_seen, test_arguments_out_of_range, test_action_units,
           test_intensity_moves_away_from_neutral, test_expressions_are_told_apart, test_data_set, test_sequences,
           test_data_set_refuses, test_sheet, test_out_of_memory, test_program)
