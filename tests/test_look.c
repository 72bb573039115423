/* mien look: Grad-CAM of planted weights points where they look, also through residuals; guided backpropagation by hand. */
#include "apps/look_draw.h"
#include "autograd/autograd.h"
#include "layers/layers.h"
#include "tests/data_help.h"
#include "tests/program.h"

static mn_context *context(void) {
    mn_error e = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.dtype = MN_F64, .seed = 4, .threads = 1}, &e);
    ck_assert_msg(c != NULL, "%s", e.text);
    return c;
}

static void plant(mn_model *m, const char *name, const double *v) {
    mn_tensor *w = mn_model_parameter(m, name);
    ck_assert_msg(w != NULL, "%s", name);
    ASSERT_OK(mn_set_f64(w, v), mn_context_error(mn_model_context(m)));
}

/* ---- Grad-CAM ---- */

enum { SIDE = 12, PIXELS = SIDE * SIDE };

/* One kernel sees upright lines and speaks for class 0, the other lying ones and speaks for class 1. */
static mn_model *lines(mn_context *c) {
    mn_model *m = mn_model_create(c, "lines");
    mn_sym x = mn_model_input(m, "x", MN_SHAPE(1, SIDE, SIDE));
    mn_conv2d_layer edges = {.name = "edges", .filters = 2, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_RELU};
    x = mn_layer_conv2d(m, x, edges);
    x = mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "which", .units = 2}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    plant(m, "edges/kernel", (double[]){-1, 2, -1, -1, 2, -1, -1, 2, -1, -1, -1, -1, 2, 2, 2, -1, -1, -1});
    plant(m, "edges/bias", (double[]){-3, -3});
    plant(m, "which/kernel", (double[]){5, -1, -1, 5});
    plant(m, "which/bias", (double[]){0, 0});
    return m;
}

/* An upright line at the left (column 2, rows 1 to 6), a lying one at the lower right (row 9, columns 6 to 10). */
static void draw_lines(float *x) {
    memset(x, 0, PIXELS * sizeof *x);
    for (int y = 1; y <= 6; y++) x[y * SIDE + 2] = 1;
    for (int k = 6; k <= 10; k++) x[9 * SIDE + k] = 1;
}

START_TEST(test_gradcam_points) {
    mn_context *c = context();
    mn_model *m = lines(c);
    mn_error e = {0};
    float x[PIXELS];
    double p[2];
    draw_lines(x);
    ck_assert_str_eq(look_last_maps(m), "edges");
    ASSERT_OK(look_answer(m, x, 0, 0, p, &e), &e);
    ASSERT_CLOSE(p[0] + p[1], 1, 1e-12);
    double cool[2], ratio = log(p[0] / p[1]);
    ASSERT_OK(look_answer(m, x, 0, 2, cool, &e), &e);
    ASSERT_CLOSE(log(cool[0] / cool[1]), ratio / 2, 1e-12);
    look_maps a = {0};
    ASSERT_OK(look_activation(m, "edges", &a, &e), &e);
    ck_assert(a.channels == 2 && a.height == SIDE && a.width == SIDE);
    for (int k = 0; k < 2; k++) {
        look_maps cam = {0};
        double u, v;
        ASSERT_OK(look_gradcam(m, x, 0, k, "edges", &cam, &e), &e);
        for (int i = 0; i < PIXELS; i++) { /* behind a mean and a dense layer it is class activation mapping (Zhou et al. 2016) */
            double sum = (k ? -1 : 5) * a.v[i] + (k ? 5 : -1) * a.v[PIXELS + i];
            ASSERT_CLOSE(cam.v[i], sum > 0 ? sum / PIXELS : 0, 1e-12);
            bool on_line = k ? i / SIDE == 9 && i % SIDE > 5 && i % SIDE < 11 : i % SIDE == 2 && i / SIDE < 8;
            ck_assert_msg(cam.v[i] == 0 || on_line, "class %d looks at %d, %d", k, i % SIDE, i / SIDE);
        }
        look_peak(&cam, &u, &v);
        ck_assert(k ? u > 0.5 && v > 0.75 : u < 0.25 && v < 0.6);
        look_free(&cam);
    }
    look_free(&a);
    look_maps none = {0};
    ck_assert(look_gradcam(m, x, 0, 0, "nothing", &none, &e) == MN_ERR_ARG);
    ASSERT_FAILS(e, MN_ERR_ARG, "there is no layer \"nothing\"");
    e = (mn_error){0};
    ck_assert(look_gradcam(m, x, 0, 0, "which", &none, &e) == MN_ERR_ARG);
    ASSERT_FAILS(e, MN_ERR_ARG, "there are no maps in the layer \"which\"");
    mn_context_destroy(c);
}
END_TEST

/* Class 1's logit of a residual network, "maps" being read by the shortcut and by the branch. */
static mn_model *residual(mn_context *c) {
    mn_model *m = mn_model_create(c, "residual");
    mn_conv2d_layer conv = {.filters = 3, .kernel_size = {3, 3}, .padding = MN_SAME};
    mn_sym x = mn_model_input(m, "x", MN_SHAPE(1, 6, 5));
    conv.name = "maps";
    mn_sym maps = mn_layer_conv2d(m, x, conv);
    conv.name = "branch", conv.activation = MN_ACT_TANH;
    mn_sym branch = mn_layer_conv2d(m, maps, conv);
    mn_sym sum = mn_layer_add(m, (mn_sym[]){maps, branch}, 2, (mn_plain_layer){.name = "sum"});
    sum = mn_layer_activation(m, sum, (mn_activation_layer){.activation = MN_ACT_SOFTPLUS});
    sum = mn_layer_flatten(m, sum, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, sum, (mn_dense_layer){.name = "head", .units = 2}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    int n;
    mn_tensor **w = mn_model_parameters(m, &n, NULL);
    for (int i = 0; i < n; i++) mn_fill_uniform(w[i], 30 + (uint64_t)i, -0.5, 0.5);
    return m;
}

static double logit(mn_model *m, const float *x, int k) {
    double p[2];
    mn_error e = {0};
    ASSERT_OK(look_answer(m, x, 0, 0, p, &e), &e);
    return mn_item(mn_model_result(m, 0), k);
}

/* The weight of map c is what the logit gains when all of the map grows: by differences, through the map's bias. */
START_TEST(test_gradcam_residual) {
    enum { P = 30 };
    mn_context *c = context();
    mn_model *m = residual(c);
    mn_error e = {0};
    float x[P];
    for (int i = 0; i < P; i++) x[i] = (float)sin(i);
    look_maps cam = {0}, a = {0};
    double bias[3], weight[3];
    mn_tensor *b = mn_model_parameter(m, "maps/bias");
    ck_assert(!mn_get_f64(b, bias));
    for (int k = 0; k < 3; k++) {
        double up[3] = {bias[0], bias[1], bias[2]}, down[3] = {bias[0], bias[1], bias[2]};
        up[k] += 1e-5, down[k] -= 1e-5;
        ck_assert(!mn_set_f64(b, up));
        weight[k] = logit(m, x, 1);
        ck_assert(!mn_set_f64(b, down));
        weight[k] = (weight[k] - logit(m, x, 1)) / 2e-5 / P;
    }
    ck_assert(!mn_set_f64(b, bias));
    logit(m, x, 1);
    ASSERT_OK(look_activation(m, "maps", &a, &e), &e);
    ASSERT_OK(look_gradcam(m, x, 0, 1, "maps", &cam, &e), &e);
    double most = 0;
    for (int i = 0; i < P; i++) {
        double sum = 0;
        for (int k = 0; k < 3; k++) sum += weight[k] * a.v[k * P + i];
        ASSERT_CLOSE(cam.v[i], sum > 0 ? sum : 0, 1e-9);
        most = fmax(most, cam.v[i]);
    }
    ck_assert(most > 1e-3);
    look_free(&cam), look_free(&a);
    mn_context_destroy(c);
}
END_TEST

/* ---- guided backpropagation ---- */

/* h0 = relu(x0 - x1), h1 = relu(2 x1 + x2), logit 0 = 3 h0 - 4 h1 */
START_TEST(test_guided) {
    mn_context *c = context();
    mn_model *m = mn_model_create(c, "m");
    mn_sym x = mn_layer_flatten(m, mn_model_input(m, "x", MN_SHAPE(1, 1, 3)), (mn_plain_layer){0});
    x = mn_layer_dense(m, x, (mn_dense_layer){.name = "hidden", .units = 2, .activation = MN_ACT_RELU});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "head", .units = 2}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    plant(m, "hidden/kernel", (double[]){1, -1, 0, 0, 2, 1});
    plant(m, "hidden/bias", (double[]){0, 0});
    plant(m, "head/kernel", (double[]){3, -4, 0, 0});
    plant(m, "head/bias", (double[]){0, 0});
    /* both at work: what speaks against the answer (-4 h1) is left out; then h0 is silent, and nothing is left */
    static const float in[2][3] = {{2, 1, 1}, {0, 1, 1}};
    static const double guided[2][3] = {{3, -3, 0}, {0, 0, 0}}, plain[2][3] = {{3, -11, -4}, {0, -8, -4}};
    for (int k = 0; k < 2; k++) {
        mn_error e = {0};
        look_maps g = {0};
        ASSERT_OK(look_guided(m, in[k], 0, 0, &g, &e), &e);
        for (int i = 0; i < 3; i++) ASSERT_CLOSE(g.v[i], guided[k][i], 1e-12);
        look_free(&g);
        mn_step_begin(c);
        mn_tensor *t = mn_input(c, MN_SHAPE(1, 1, 1, 3), in[k]);
        t->requires_grad = true;
        ASSERT_OK(mn_model_forward(m, &t, false), mn_context_error(c));
        ASSERT_OK(mn_backward_from(c, mn_model_result(m, 0), mn_input(c, MN_SHAPE(1, 2), (float[]){1, 0})), mn_context_error(c));
        for (int i = 0; i < 3; i++) ASSERT_CLOSE(mn_item(t->grad, i), plain[k][i], 1e-12);
    }
    mn_context_destroy(c);
}
END_TEST

/* ---- drawing ---- */

static const uint8_t *pixel(const mn_image *im, int x, int y) { return im->pixels + (y * im->width + x) * 3; }

START_TEST(test_drawing) {
    double v[4] = {0, 1, 3, 4}, u, w;
    look_maps maps = {.channels = 1, .height = 2, .width = 2, .v = v};
    mn_image sheet = {0};
    mn_error e = {0};
    ASSERT_OK(look_draw_maps(&maps, "x", &sheet, &e), &e);
    ck_assert(sheet.width >= 32 && sheet.height == 26 + 2 * 16 + 6);
    static const int at[4][2] = {{8, 30}, {26, 30}, {8, 46}, {26, 46}};
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pixel(&sheet, at[i][0], at[i][1])[1], lround(255 * v[i] / 4));
    look_peak(&maps, &u, &w);
    ck_assert(u == 0.75 && w == 0.75);
    /* a kernel of -1 0 / 0 1: blue, white, orange */
    mn_context *c = context();
    mn_tensor *k = mn_parameter(c, "k", MN_SHAPE(1, 1, 2, 2));
    ck_assert(!mn_set_f64(k, (double[]){-1, 0, 0, 1}));
    ASSERT_OK(look_draw_kernels(k, "k", &sheet, &e), &e);
    const uint8_t *a = pixel(&sheet, 8, 30), *b = pixel(&sheet, 26, 30), *d = pixel(&sheet, 26, 46);
    ck_assert(a[2] > a[0] + 100 && b[0] == 255 && b[2] == 255 && d[0] > d[2] + 100);
    mn_context_destroy(c);
    /* the picture stays where nothing speaks for the answer and turns orange where something does */
    mn_image grey = {0};
    double cam[4] = {0, 0, 0, 2}, back[4] = {0, 0, -1, 1};
    ASSERT_OK(mn_image_reserve(&grey, 2, 2, 1, &e), &e);
    memset(grey.pixels, 100, 4);
    look_row row = {.caption = "a", .cam = maps, .guided = maps};
    row.cam.v = cam, row.guided.v = back;
    ASSERT_OK(look_draw_answers(&grey, &row, 1, &sheet, &e), &e);
    const uint8_t *quiet = pixel(&sheet, 12 + 192 + 4, 30), *warm = pixel(&sheet, 12 + 2 * 192 - 4, 26 + 192 - 4);
    ck_assert(quiet[0] == 100 && quiet[2] == 100 && warm[0] > warm[2] + 100);
    ck_assert_int_eq(pixel(&sheet, 18 + 2 * 192 + 4, 26 + 192 - 4)[0], 0);
    mn_image_free(&grey), mn_image_free(&sheet);
}
END_TEST

/* ---- the program ---- */

static void check_sheet(const char *name, int least_width) {
    mn_image im = {0};
    mn_error e = {0};
    ASSERT_OK(mn_image_load(&im, test_path(name), &e), &e);
    ck_assert_msg(im.channels == 3 && im.width >= least_width, "%s is %d wide", name, im.width);
    int darkest = 255, lightest = 0;
    for (int i = 0; i < im.width * im.height * 3; i++) {
        darkest = im.pixels[i] < darkest ? im.pixels[i] : darkest;
        lightest = im.pixels[i] > lightest ? im.pixels[i] : lightest;
    }
    ck_assert(darkest < 80 && lightest == 255);
    mn_image_free(&im);
}

START_TEST(test_program) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0,
                "train --data rendered:42,size=24 --size 24 --net resnet-small --epochs 1 --threads 1 --no-baseline --out r.h5");
    ASSERT_EXIT(0, "render --face=face.png --size 60");
    ASSERT_EXIT(0, "look r.h5 face.png --out in --threads 1");
    ASSERT_SAYS("emotion   ");
    ASSERT_SAYS("gender    ");
    ASSERT_SAYS("seen most at ");
    check_sheet("in/kernels.png", 60);
    check_sheet("in/answers.png", 3 * 192);
    ASSERT_EXIT(0, "look r.h5 face.png --out in --class woman");
    ASSERT_SAYS("gender    woman ");
    ck_assert_ptr_null(strstr(output, "emotion"));
    ASSERT_EXIT(0, "look r.h5 --out kernels");
    check_sheet("kernels/kernels.png", 60);
    ASSERT_EXIT(1, "look r.h5 face.png --out in --class angel");
    ASSERT_SAYS("--class angel: no head has such a class");
    ASSERT_EXIT(1, "look r.h5 face.png --out in --layer nothing");
    ASSERT_SAYS("there is no layer \"nothing\"");
    ASSERT_EXIT(1, "look r.h5 nowhere.png --out in");
    ASSERT_EXIT(1, "look r.h5 face.png --out face.png");
    ASSERT_EXIT(2, "look");
    ASSERT_SAYS("wanted a model");
    ASSERT_EXIT(0, "train --data rendered:42,size=24 --size 24 --net logreg --epochs 1 --threads 1 --no-baseline --out l.h5");
    ASSERT_EXIT(1, "look l.h5 face.png --out in");
    ASSERT_SAYS("the network has no layer with maps to look at");
}
END_TEST

TEST_SUITE(look, test_gradcam_points, test_gradcam_residual, test_guided, test_drawing, test_program)
