/* From pixels to a network's numbers. */
#include "tests/data_help.h"

START_TEST(test_ranges) {
    mn_image im = {0};
    mn_error e = {0};
    help_picture(&im, 7, 5, 3, 1);
    const mn_preprocess all[] = {
        {3, 5, 7, .lo = 0, .hi = 0},
        {3, 5, 7, .lo = -1, .hi = 1},
        {3, 5, 7, .lo = 0, .hi = 255},
        {3, 5, 7, .lo = 0, .hi = 1, .mean = {.485, .456, .406}, .deviation = {.229, .224, .225}},
        {3, 5, 7, .lo = 2, .hi = 2, .mean = {1, 2, 3}},
    };
    float out[105];
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const mn_preprocess *p = &all[k];
        ASSERT_OK(mn_preprocess_apply(p, &im, out, &e), &e);
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < 35; i++) {
                double hi = p->lo == 0 && p->hi == 0 ? 1 : p->hi;
                double v = p->lo + im.pixels[3 * i + c] / 255.0 * (hi - p->lo);
                v = (v - p->mean[c]) / (p->deviation[c] > 0 ? p->deviation[c] : 1);
                ASSERT_CLOSE(out[c * 35 + i], v, 1e-5 * (1 + fabs(v)));
            }
    }
    mn_image_free(&im);
}
END_TEST

START_TEST(test_standardize) {
    mn_image im = {0};
    mn_error e = {0};
    float out[48 * 48];
    help_picture(&im, 48, 48, 1, 1);
    mn_preprocess p = {1, 48, 48, .standardize = true, .standardize_eps = 8};
    ASSERT_OK(mn_preprocess_floats(&p, &im, out, &e), &e);
    double mean = 0, square = 0;
    for (int i = 0; i < 48 * 48; i++) mean += im.pixels[i] / 2304.0;
    for (int i = 0; i < 48 * 48; i++) square += (im.pixels[i] - mean) * (im.pixels[i] - mean) / 2304.0;
    for (int i = 0; i < 48 * 48; i++) ASSERT_CLOSE(out[i], (im.pixels[i] - mean) / (sqrt(square) + 8), 1e-5);
    memset(im.pixels, 77, 48 * 48); /* a blank picture is zero, never NaN */
    p.standardize_eps = 0;
    ASSERT_OK(mn_preprocess_floats(&p, &im, out, &e), &e);
    for (int i = 0; i < 48 * 48; i++) ck_assert(out[i] == 0);
    mn_image_free(&im);
}
END_TEST

/* Grey first, then size, as the header says. */
START_TEST(test_order) {
    mn_image im = {0}, grey = {0}, small = {0}, got = {0}, scratch = {0};
    mn_error e = {0};
    help_picture(&im, 60, 40, 3, 2);
    mn_preprocess p = {1, 10, 20, .grey = MN_GREY_MEAN};
    ASSERT_OK(mn_preprocess_pixels(&p, &im, &got, &scratch, &e), &e);
    ASSERT_OK(mn_image_convert(&grey, &im, 1, MN_GREY_MEAN, &e), &e);
    ASSERT_OK(mn_image_resize(&small, &grey, 20, 10, &e), &e);
    ck_assert(got.width == 20 && got.height == 10 && got.channels == 1 && !memcmp(got.pixels, small.pixels, 200));
    /* A grey picture for a colour model; a picture of the right size stays as it is. */
    p = (mn_preprocess){3, 10, 20, .lo = 0};
    ASSERT_OK(mn_preprocess_pixels(&p, &small, &got, &scratch, &e), &e);
    for (int i = 0; i < 600; i++) ck_assert_int_eq(got.pixels[i], small.pixels[i / 3]);
    mn_image_free(&im), mn_image_free(&grey), mn_image_free(&small), mn_image_free(&got), mn_image_free(&scratch);
}
END_TEST

START_TEST(test_errors) {
    mn_image im = {0};
    float out[200];
    const mn_preprocess bad[] = {{0},
                                 {2, 5, 5, .lo = 0},
                                 {1, 0, 5, .lo = 0},
                                 {1, 5, 70000, .lo = 0},
                                 {1, 5, 5, .deviation = {-1}},
                                 {1, 5, 5, .mean = {NAN}},
                                 {1, 5, 5, .standardize_eps = -1},
                                 {1, 5, 5, .hi = INFINITY}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        help_picture(&im, 5, 5, 1, 0);
        ck_assert_int_eq(mn_preprocess_apply(&bad[k], &im, out, &e), MN_ERR_ARG);
    }
    mn_error e = {0};
    mn_preprocess p = {1, 6, 5, .lo = 0};
    mn_preprocess_floats(&p, &im, out, &e);
    ASSERT_FAILS(e, MN_ERR_SHAPE, "the image is (1,5,5), the model wants (1,6,5)");
    mn_error_clear(&e);
    mn_preprocess_apply(&p, &(mn_image){0}, out, &e);
    ASSERT_FAILS(e, MN_ERR_ARG, "empty");
    mn_image_free(&im);
}
END_TEST

TEST_SUITE(preprocess, test_ranges, test_standardize, test_order, test_errors)
