/* The SVG files: well formed, escaped, with the numbers in them; MIEN_KEEP=folder keeps them for looking at.
 */
#include "apps/calibrate.h"
#include "apps/graph.h"
#include "apps/plot.h"
#include "tests/op_test.h"
#include "tests/tests.h"

/* Every tag opened is closed, every & begins an entity: enough of XML for what plot.c can get wrong. */
static void assert_well_formed(const char *svg) {
    char stack[64][32];
    int depth = 0;
    for (const char *p = svg; *p; p++) {
        if (*p == '&') ck_assert_msg(strchr(p, ';') && strchr(p, ';') - p < 7, "a lone & at %.20s", p);
        if (*p != '<') continue;
        const char *end = strchr(p, '>');
        ck_assert_msg(end && !memchr(p + 1, '<', (size_t)(end - p - 1)), "a tag without end at %.30s", p);
        char name[32] = "";
        sscanf(p + 1 + (p[1] == '/'), "%31[a-z]", name);
        if (p[1] == '/')
            ck_assert_msg(depth > 0 && !strcmp(stack[--depth], name), "</%s> closes nothing", name);
        else if (end[-1] != '/')
            strcpy(stack[depth++], name);
        p = end;
    }
    ck_assert_int_eq(depth, 0);
    ck_assert_msg(!strstr(svg, "nan") && !strstr(svg, "inf"), "a coordinate that is not a number");
}

static void keep(const char *name, const char *svg, size_t size) {
    const char *folder = getenv("MIEN_KEEP");
    if (!folder) return;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    test_write_file(path, svg, size);
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++) n++;
    return n;
}

START_TEST(test_curves) {
    enum { N = 40 };
    double y[6][N];
    for (int i = 0; i < N; i++) {
        double t = 1 - exp(-i / 9.);
        y[0][i] = 1.9 - 1.0 * t, y[1][i] = 1.85 - .75 * t + .0002 * i * i;
        y[2][i] = .25 + .45 * t, y[3][i] = .26 + .38 * t, y[4][i] = .6 + .3 * t, y[5][i] = .6 + .29 * t;
    }
    y[1][7] = NAN;
    plot_panel panel[2] = {
        {.title = "loss", .n_series = 2, .series = {{"training", y[0], 0, true}, {"validation", y[1], 0, false}}},
        {.title = "accuracy",
         .percent = true,
         .n_series = 4,
         .series = {{"emotion, training", y[2], 0, true},
                    {"emotion", y[3], 0, false},
                    {"gender, training", y[4], 1, true},
                    {"gender", y[5], 1, false}}}};
    size_t size;
    char *svg = plot_curves("seed2 <on> \"FER\" & more", panel, 2, N, 25, &size);
    ck_assert_int_eq(size, strlen(svg));
    assert_well_formed(svg);
    ck_assert_ptr_nonnull(strstr(svg, "&lt;on&gt; &quot;FER&quot; &amp; more"));
    ck_assert_ptr_nonnull(strstr(svg, "best: 25"));
    ck_assert_int_eq(count(svg, "<path"), 6);
    ck_assert_int_eq(count(svg, "stroke-dasharray=\"6 4\""), 3);
    keep("curves.svg", svg, size);
    free(svg);
}
END_TEST

START_TEST(test_curves_of_little) {
    double one[1] = {0.5}, none[3] = {NAN, NAN, NAN}, flat[3] = {1, 1, 1};
    for (int n = 0; n <= 1; n++) {
        plot_panel p = {.title = "loss", .n_series = 1, .series = {{"valid", one, 0, false}}};
        size_t size;
        char *svg = plot_curves("", &p, 1, n, n, &size);
        assert_well_formed(svg);
        free(svg);
    }
    plot_panel p = {.title = "loss", .percent = true, .n_series = 2, .series = {{"a", none, 0, false}, {"b", flat, 1, true}}};
    size_t size;
    char *svg = plot_curves("", &p, 1, 3, 0, &size);
    assert_well_formed(svg);
    free(svg);
}
END_TEST

/* A matrix of `classes` with most on the diagonal. */
static void random_matrix(metrics *m, int classes, int n) {
    float *p = calloc((size_t)n * (size_t)classes, sizeof *p);
    int32_t *label = calloc((size_t)n, sizeof *label);
    mn_rng r = mn_rng_create(1, 2);
    for (int i = 0; i < n; i++) {
        label[i] = (int32_t)mn_rng_below(&r, (uint64_t)classes);
        if (label[i] == 1 && mn_rng_uniform(&r, 0, 1) < .9) label[i] = 3 % classes; /* a rare class */
        int to = mn_rng_uniform(&r, 0, 1) < .6 ? label[i] : (int)mn_rng_below(&r, (uint64_t)classes);
        p[i * classes + to] = 1;
    }
    metrics_compute(m, p, label, n, classes);
    free(p);
    free(label);
}

START_TEST(test_confusion) {
    char *emotion[7] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}, *gender[2] = {"man", "woman"};
    metrics a, b;
    random_matrix(&a, 7, 3589);
    random_matrix(&b, 2, 812);
    plot_matrix m[2] = {{"emotion", &a, emotion}, {"gender", &b, gender}};
    size_t size;
    char *svg = plot_confusion("faces.h5 on fer2013, test", m, 2, &size), number[64];
    assert_well_formed(svg);
    snprintf(number, sizeof number, "emotion: %.1f %% right", 100 * a.accuracy);
    ck_assert_ptr_nonnull(strstr(svg, number));
    ck_assert_int_eq(count(svg, "<rect"), 1 + 49 + 4);
    keep("confusion.svg", svg, size);
    free(svg);
    metrics_free(&a);
    metrics_free(&b);
}
END_TEST

START_TEST(test_many_and_no_classes) {
    static const int sizes[] = {1, 10, 15, 30, 100};
    char *names[100];
    for (int k = 0; k < 100; k++) names[k] = k % 3 ? "a <name> & more" : "x";
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int n = 0; n <= 2000; n += 2000) {
            metrics m;
            random_matrix(&m, sizes[i], n);
            plot_matrix p = {"label", &m, names};
            size_t size;
            char *svg = plot_confusion("many", &p, 1, &size), file[64];
            assert_well_formed(svg);
            snprintf(file, sizeof file, "confusion-%d-%d.svg", sizes[i], n);
            keep(file, svg, size);
            free(svg);
            metrics_free(&m);
        }
}
END_TEST

START_TEST(test_calibration) {
    enum { N = 3000 };
    static float p[N][2];
    static int32_t label[N];
    mn_rng r = mn_rng_create(8, 0);
    for (int i = 0; i < N; i++) { /* surer than it should be */
        double c = mn_rng_uniform(&r, .5, 1);
        p[i][0] = (float)c, p[i][1] = (float)(1 - c);
        label[i] = mn_rng_uniform(&r, 0, 1) > .35 + .5 * c;
    }
    for (int n = 0; n <= N; n += n ? N - n : 1) { /* 0, 1, 3,000 pictures */
        metrics m;
        metrics_bin bin[METRICS_BINS];
        plot_calibration_head head = {.name = "gender & <co>", .m = &m, .bin = bin, .answered = .9, .answered_error = .12};
        metrics_compute(&m, p[0], label, n, 2);
        metrics_bins(p[0], label, n, 2, bin);
        double *risk = calibrate_risk(p[0], label, n, 2, &head.points, &head.risk_area);
        head.risk = risk;
        size_t size;
        char *svg = plot_calibration("calibration", &head, n ? 1 : 0, &size);
        assert_well_formed(svg);
        if (n == N) {
            keep("calibration.svg", svg, size);
            ck_assert_int_eq(count(svg, "<rect"), 1 + 8); /* the page, and the bins that .5 .. 1 falls into */
            ck_assert_ptr_nonnull(strstr(svg, "unsure beyond"));
        }
        free(svg);
        free(risk);
        metrics_free(&m);
        if (n == N) break;
    }
}
END_TEST

typedef struct box {
    double x, y, w, h;
} box;

/* Boxes stand apart, and no line goes down through one. */
static void assert_apart(const char *svg, const char *name, int layers, int edges) {
    box *b = calloc((size_t)layers, sizeof *b);
    int n = 0, lines = 0;
    for (const char *p = svg; (p = strstr(p, "<rect x=")); p++) {
        ck_assert_int_lt(n, layers);
        ck_assert_int_eq(sscanf(p, "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\"", &b[n].x, &b[n].y, &b[n].w, &b[n].h), 4);
        for (int i = 0; i < n; i++)
            ck_assert_msg(b[i].y != b[n].y || b[i].x + b[i].w < b[n].x || b[n].x + b[n].w < b[i].x, "%s: boxes %d and %d", name, i, n);
        n++;
    }
    ck_assert_int_eq(n, layers);
    double x0, y0, y1, x1, y2;
    for (const char *p = svg; (p = strstr(p, "<path d=")); p++) {
        if (sscanf(p, "<path d=\"M%lf %lfV%lfH%lfV%lfH", &x0, &y0, &y1, &x1, &y2) != 5) continue;
        lines++;
        for (int i = 0; i < n; i++)
            ck_assert_msg(x1 < b[i].x || x1 > b[i].x + b[i].w || y2 < b[i].y || y1 > b[i].y + b[i].h, "%s: a line through box %d", name, i);
    }
    ck_assert_int_eq(lines, edges);
    free(b);
}

START_TEST(test_graphs) {
    for (int k = 0; mn_net_names[k]; k++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_model *m = mn_net_create(c, mn_net_names[k], NULL);
        ck_assert_ptr_nonnull(m);
        size_t size;
        char *svg = graph_svg(m, &size), text[300];
        ck_assert_int_eq(size, strlen(svg));
        assert_well_formed(svg);
        int edges = 0, layers = mn_model_layers(m);
        long long parameters = 0;
        for (int i = 0; i < layers; i++) {
            mn_layer_look look = mn_model_look(m, i);
            snprintf(text, sizeof text, ">%s</text>", look.name);
            ck_assert_msg(strstr(svg, text), "%s: no %s", mn_net_names[k], look.name);
            edges += look.n_in;
            parameters += look.parameters;
        }
        ck_assert_int_eq(parameters, mn_model_count(m).parameters);
        assert_apart(svg, mn_net_names[k], layers, edges);
        snprintf(text, sizeof text, "graph-%s.svg", mn_net_names[k]);
        keep(text, svg, size);
        free(svg);
        mn_context_destroy(c);
    }
}
END_TEST

/* Skips of every length from one layer, several inputs, two outputs. */
START_TEST(test_graph_of_many_ways) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = mn_model_create(c, "<ways>");
    mn_sym a = mn_model_input(m, "a", MN_SHAPE(4)), b = mn_model_input(m, "b", MN_SHAPE(4)), x = a;
    for (int i = 0; i < 4; i++) {
        mn_sym y = mn_layer_dense(m, x, (mn_dense_layer){.units = 4});
        mn_sym z = i % 2 ? mn_layer_dense(m, y, (mn_dense_layer){.units = 4}) : b;
        x = mn_layer_add(m, (mn_sym[]){y, z, a}, 3, (mn_plain_layer){0});
        if (i == 1) mn_model_output(m, z);
    }
    mn_model_output(m, x);
    ck_assert_int_eq(mn_model_build(m), MN_OK);
    size_t size;
    char *svg = graph_svg(m, &size);
    assert_well_formed(svg);
    ck_assert_ptr_nonnull(strstr(svg, "&lt;ways&gt;"));
    ck_assert_int_eq(count(svg, "#f7e8d8"), 2);
    assert_apart(svg, "ways", 12, 18);
    keep("graph-ways.svg", svg, size);
    free(svg);
    mn_context_destroy(c);
}
END_TEST

TEST_SUITE(plot, test_curves, test_curves_of_little, test_confusion, test_many_and_no_classes, test_calibration, test_graphs,
           test_graph_of_many_ways)
