/* From a photograph to a network's input: the same steps in training, evaluation and prediction. */
#include "apps/crop.h"
#include "apps/faces.h"
#include "tests/data_help.h"
#include "tests/program.h"
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(test_text) {
    mn_error e = {0};
    mn_preprocess p = {.channels = 1, .lo = -1, .hi = 1};
    char text[80];
    const char *all[] = {"none", "detect", "detect,margin=0.1,align", "equalize,ellipse",
                         "detect,margin=-0.3,align,equalize,ellipse"};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        ASSERT_OK(mn_pipeline_parse(all[k], &p, &e), &e);
        ck_assert_str_eq(mn_pipeline_text(&p, text, sizeof text), all[k]);
        ck_assert(p.lo == -1 && p.channels == 1);
    }
    ASSERT_OK(mn_pipeline_parse("align\n", &p, &e), &e); /* implies detect; a line of a file */
    ck_assert_str_eq(mn_pipeline_text(&p, text, sizeof text), "detect,align");
    const char *bad[] = {"", "align,", "sharpen", "margin=", "margin=2", "margin=nan", "margin=0.1x", "detectalign", ",align"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        e = (mn_error){0};
        ck_assert_msg(mn_pipeline_parse(bad[k], &p, &e) == MN_ERR_ARG, "%s", bad[k]);
        ASSERT_FAILS(e, MN_ERR_ARG, "wanted");
        ck_assert(p.align); /* as it was */
    }
}
END_TEST

/* Written anew from the formula: the level is 255 (share at or below, less the lowest level's) / (1 - the lowest's). */
static int equalized(const uint8_t *level, const bool *counts, int n, int v) {
    int lowest = 255, below = 0, low = 0, all = 0;
    for (int i = 0; i < n; i++)
        if (counts[i] && level[i] < lowest) lowest = level[i];
    for (int i = 0; i < n; i++)
        if (counts[i]) all++, below += level[i] <= v, low += level[i] == lowest;
    return below <= low ? 0 : (int)lround(255.0 * (below - low) / (all - low));
}

START_TEST(test_equalize) {
    enum { W = 23, H = 17 };
    for (int ellipse = 0; ellipse < 2; ellipse++)
        for (int channels = 1; channels <= 3; channels += 2) {
            mn_image im = {0}, was = {0};
            mn_error e = {0};
            help_picture(&im, W, H, channels, 3);
            help_picture(&was, W, H, channels, 3);
            uint8_t level[W * H];
            bool counts[W * H];
            for (int i = 0; i < W * H; i++) {
                const uint8_t *p = was.pixels + i * channels;
                level[i] = channels == 1 ? p[0] : (uint8_t)(0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] + 0.5);
                double x = (i % W + 0.5 - W / 2.0) / (0.46 * W), y = (i / W + 0.5 - H / 2.0) / (0.56 * H);
                counts[i] = !ellipse || x * x + y * y <= 1;
            }
            ASSERT_OK(mn_image_equalize(&im, ellipse, &e), &e);
            for (int i = 0; i < W * H; i++)
                for (int c = 0; c < channels; c++) {
                    int want = was.pixels[i * channels + c] + equalized(level, counts, W * H, level[i]) - level[i];
                    want = want < 0 ? 0 : want > 255 ? 255 : want;
                    ck_assert_msg(abs(im.pixels[i * channels + c] - want) <= 1, "pixel %d: %d, want %d", i,
                                  im.pixels[i * channels + c], want);
                }
            memset(im.pixels, 90, (size_t)W * H * (size_t)channels); /* one level: as it was */
            ASSERT_OK(mn_image_equalize(&im, ellipse, &e), &e);
            for (int i = 0; i < W * H * channels; i++) ck_assert_int_eq(im.pixels[i], 90);
            mn_image_free(&im), mn_image_free(&was);
        }
}
END_TEST

START_TEST(test_ellipse) {
    const int sides[][2] = {{48, 48}, {31, 40}, {1, 1}, {2, 9}};
    for (int k = 0; k < 4; k++) {
        int W = sides[k][0], H = sides[k][1], outside = 0;
        mn_image im = {0}, was = {0};
        mn_error e = {0};
        double mean[3] = {0}, n = 0;
        help_picture(&im, W, H, 3, k);
        help_picture(&was, W, H, 3, k);
        ASSERT_OK(mn_image_ellipse(&im, &e), &e);
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < W * H; i++) {
                double x = (i % W + 0.5 - W / 2.0) / (0.46 * W), y = (i / W + 0.5 - H / 2.0) / (0.56 * H);
                bool inside = x * x + y * y <= 1;
                if (!pass) n += inside, outside += !inside;
                for (int c = 0; c < 3; c++) {
                    if (!pass && inside) mean[c] += was.pixels[3 * i + c];
                    if (pass) ASSERT_CLOSE(im.pixels[3 * i + c], inside ? was.pixels[3 * i + c] : mean[c] / n, inside ? 0 : 0.51);
                }
            }
        ck_assert(k > 1 || (outside > W * H / 10 && outside < W * H / 2));
        mn_image_free(&im), mn_image_free(&was);
    }
}
END_TEST

/* Cut unturned it is the crop; turned by 90 degrees, the crop's rows are its columns. */
START_TEST(test_cut) {
    mn_image im = {0}, plain = {0}, turned = {0};
    mn_error e = {0};
    help_picture(&im, 40, 30, 3, 5);
    ASSERT_OK(mn_image_crop(&plain, &im, 5, 4, 20, 20, &e), &e);
    ASSERT_OK(mn_image_cut(&turned, &im, 5, 4, 20, 20, 0, &e), &e);
    ck_assert(!memcmp(plain.pixels, turned.pixels, 1200));
    ASSERT_OK(mn_image_cut(&turned, &im, 5, 4, 20, 20, 90, &e), &e); /* its x runs down the source */
    for (int y = 0; y < 20; y++)
        for (int x = 0; x < 20; x++)
            for (int c = 0; c < 3; c++)
                ASSERT_CLOSE(turned.pixels[(y * 20 + x) * 3 + c], plain.pixels[(x * 20 + 19 - y) * 3 + c], 1);
    ASSERT_OK(mn_image_cut(&turned, &im, -300, -300, 9, 9, 33, &e), &e); /* far outside: the border goes on */
    ck_assert_int_eq(turned.pixels[0], im.pixels[0]);
    ck_assert(mn_image_cut(&turned, &im, 0, 0, 1e9, 5, 1, &e) == MN_ERR_ARG);
    e = (mn_error){0};
    ck_assert(mn_image_cut(&turned, &im, NAN, 0, 5, 5, 1, &e) == MN_ERR_ARG);
    mn_image_free(&im), mn_image_free(&plain), mn_image_free(&turned);
}
END_TEST

/* Eyes on a slant lie level, at 36 % of the height and 36 % of the side apart, in the crop that is turned. */
START_TEST(test_align) {
    for (int degrees = -40; degrees <= 40; degrees += 20) {
        double t = degrees * M_PI / 180;
        face_box f = {.x = 100,
                      .y = 100,
                      .w = 90,
                      .h = 90,
                      .has_eyes = true,
                      .eye = {{150 - 20 * cos(t), 140 - 20 * sin(t)}, {150 + 20 * cos(t), 140 + 20 * sin(t)}}};
        face_box c = face_crop(&f, 0, true);
        ASSERT_CLOSE(c.angle, degrees, 1e-9);
        for (int k = 0; k < 2; k++) { /* into the crop: back by the angle about its centre */
            double dx = f.eye[k][0] - (c.x + c.w / 2), dy = f.eye[k][1] - (c.y + c.h / 2);
            double u = cos(t) * dx + sin(t) * dy + c.w / 2, v = -sin(t) * dx + cos(t) * dy + c.h / 2;
            ASSERT_CLOSE(v / c.h, FACE_EYE_HEIGHT, 1e-9);
            ASSERT_CLOSE(u / c.w, 0.5 + (k ? 0.5 : -0.5) * FACE_EYE_DISTANCE, 1e-9);
        }
        ck_assert(face_crop(&f, 0, false).angle == 0);
    }
}
END_TEST

/* The trap: pictures of the network's size from a set that is not cached must pass the same steps as cached ones, and as
 * prediction. */
START_TEST(test_no_skew) {
    mn_error e = {0};
    mn_preprocess p = {.channels = 1, .height = 24, .width = 24, .equalize = true, .ellipse = true};
    mn_dataset *raw = mn_dataset_open("rendered:9,size=24", NULL, &e);
    mn_dataset *cached = mn_dataset_cache(raw, &p, NULL, &e);
    ck_assert_msg(cached && cached->ready && !raw->ready, "%s", e.text);
    float predicted[24 * 24];
    mn_image im = {0};
    for (int k = 0; k < 2; k++) {
        mn_loader *l = mn_loader_create(k ? cached : raw, &p, (mn_loader_opt){.batch = 9}, &e);
        mn_batch b;
        ck_assert(l && !mn_loader_begin(l, 0, 0) && mn_loader_next(l, &b, &e) == 1);
        for (int i = 0; i < 9; i++) {
            ASSERT_OK(raw->pixels(raw, i, &im, &e), &e);
            ASSERT_OK(mn_preprocess_apply(&p, &im, predicted, &e), &e);
            ck_assert_msg(!memcmp(predicted, b.x + i * 576, sizeof predicted), "picture %d, %s", i, k ? "cached" : "raw");
        }
        mn_loader_destroy(l);
    }
    mn_image_free(&im);
    mn_dataset_destroy(cached);
    mn_dataset_destroy(raw);
}
END_TEST

/* ---- mien prepare, then train on what it wrote ---- */

#define SAYS(status, words, ...)                                                                                                 \
    do {                                                                                                                         \
        int got_ = mien(__VA_ARGS__);                                                                                            \
        ck_assert_msg(got_ == (status) && strstr(output, words), "status %d, wanted \"%s\" in:\n%s", got_, words, output);       \
    } while (0)

/* A drawn face of 300 pixels, small enough in the picture to be found. */
static void photograph(const char *name, int identity, int expression) {
    mn_face f;
    mn_image im = {0};
    mn_error e = {0};
    mn_face_random(&f, 3, (uint64_t)identity, 0, expression, 0);
    mn_face_pose_plain(&f);
    f.scale = 0.6, f.glasses = 0, f.beard = 0, f.hair_style = MN_HAIR_CROP;
    ASSERT_OK(mn_face_render(&f, 300, 3, &im, &e), &e);
    ASSERT_OK(mn_image_save_png(&im, test_path(name), &e), &e);
    mn_image_free(&im);
}

START_TEST(test_prepare) {
    if (vision_missing()) {
        test_skip("faces cannot be looked for without OpenCV");
        return;
    }
    help_folder("in/happy"), help_folder("in/sad");
    char name[40];
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "in/%s/%d.png", k % 2 ? "sad" : "happy", k);
        photograph(name, k, k % 2 ? 4 : 3);
    }
    help_write_png(test_path("in/sad/blank.png"), 200, 200, 1, 1);
    help_write_text(test_path("in/happy/broken.jpg"), "no picture");
    SAYS(0, "1 without a face, left out", "prepare in/ --out out --pipeline margin=0.1,align,ellipse");
    ck_assert_msg(strstr(output, "4 of 6 pictures") && strstr(output, "in/sad/blank.png: no face") &&
                      strstr(output, "in/happy/broken.jpg: neither"),
                  "%s", output);
    mn_preprocess p = {0};
    mn_error e = {0};
    bool found;
    ASSERT_OK(crop_pipeline_of(test_path("out"), &p, &found, &e), &e);
    ck_assert(found && p.detect && p.align && p.ellipse && !p.equalize && p.margin == 0.1);
    mn_image im = {0};
    ASSERT_OK(mn_image_load(&im, test_path("out/happy/0.png"), &e), &e);
    ck_assert(im.width == im.height && im.width < 290 && im.width > 60);
    mn_image_free(&im);
    SAYS(1, "is the folder of the photographs", "prepare in --out in");
    SAYS(2, "the folder of photographs is missing", "prepare --out out");
    SAYS(1, "is no step", "prepare in --out out2 --pipeline blur");
    SAYS(1, "cannot be opened", "prepare nothing --out out2");
#if MN_HAVE_HDF5 && MN_HAVE_JSON
    SAYS(0, "detect,margin=0.1,align,ellipse (the data was prepared so)",
         "train --data folder:out --net logreg --size 24 --epochs 1 --val 0 --test 0 --out a.h5 --threads 1");
    SAYS(0, "pipeline  detect,margin=0.1,align,ellipse", "info a.h5");
    SAYS(1, "was prepared by", "train --data folder:out --pipeline none --net logreg --size 24 --out b.h5");
    /* The photographs themselves, cut out on the fly: the same crops, so the same scores. */
    help_folder("own/happy"), help_folder("own/sad");
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "own/%s/%d.png", k % 2 ? "sad" : "happy", k);
        photograph(name, k, k % 2 ? 4 : 3);
    }
    SAYS(0, "all rows", "eval --model a.h5 --data folder:out --split all --predictions out.csv --threads 1");
    SAYS(0, "all rows", "eval --model a.h5 --data folder:own --split all --predictions own.csv --threads 1");
    ck_assert_int_eq(mien("info a.h5 > /dev/null; cut -d, -f1-5 out.csv > a; cut -d, -f1-5 own.csv | cmp - a"), 0);
#endif
}
END_TEST

TEST_SUITE(pipeline, test_text, test_equalize, test_ellipse, test_cut, test_align, test_no_skew, test_prepare)
