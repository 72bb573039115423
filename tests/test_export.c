/* The exported C file: compiled by the C compiler of this machine, its outputs are mien's. */
#include "data/data.h"
#include "tests/op_test.h"
#include <math.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

static char *emotion_names[] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
static char *gender_names[] = {"man", "wo\"man\\?\?="};

static mn_model_info info_for(const mn_model *m) {
    mn_shape s = mn_model_input_shape(m, 0);
    const int64_t *image = s.dim + s.ndim - 3;
    mn_model_info info = {
        .preprocess = {.channels = (int)image[0], .height = (int)image[1], .width = (int)image[2], .lo = -1, .hi = 1},
        .n_heads = mn_model_outputs(m)};
    info.head[0] = (mn_head){.name = "emotion", .n_classes = 7, .class_name = emotion_names};
    info.head[1] = (mn_head){.name = "gender", .n_classes = 2, .class_name = gender_names};
    return info;
}

/* Every parameter random, so that nothing is equal by accident, and small enough that outputs stay moderate. */
static void scramble(mn_model *m) {
    int n;
    mn_tensor **p = mn_model_parameters(m, NULL, &n);
    for (int i = 0; i < n; i++) {
        int64_t fan = p[i]->count / p[i]->shape.dim[0];
        bool kernel = p[i]->shape.ndim >= 2, variance = strstr(p[i]->name, "variance") || strstr(p[i]->name, "gamma");
        double reach = kernel ? sqrt(6.0 / (double)fan) : 0.3;
        mn_fill_uniform(p[i], 900 + (uint64_t)i, variance ? 0.5 : -reach, variance ? 1.5 : reach);
    }
}

/* ---- running the file ---- */

static char message[3000];

/* Runs a command under a shell in the test's directory; its exit status; what it says is in `message`. */
MN_PRINTF(1, 2)
static int shell(const char *format, ...) {
    char line[4000], command[3000];
    va_list a;
    va_start(a, format);
    vsnprintf(command, sizeof command, format, a);
    va_end(a);
    snprintf(line, sizeof line, "cd %s && { %s; } 2>&1", test_tmpdir(), command);
    FILE *f = popen(line, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(message, 1, sizeof message - 1, f);
    message[n] = 0;
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define FLAGS "-std=c99 -Wall -Wextra -Werror -pedantic"

/* A program around the file: floats from "in" to "out", twice, because a second call must not see the first. */
static void compile(const char *flags, int64_t inputs) {
    char text[1200];
    int n = snprintf(
        text, sizeof text,
        "#include <stdio.h>\n#include \"net.c\"\nint main(void) {\n"
        "    static float in[%lld], out[NET_OUTPUTS];\n    FILE *f = fopen(\"in\", \"rb\"), *g = fopen(\"out\", \"wb\");\n"
        "    if (net_predict(in, 0) != 1 || net_predict(0, out) != 1) return 2;\n"
        "    while (fread(in, sizeof in, 1, f)) {\n        if (net_predict(in, out) || net_predict(in, out)) return 3;\n"
        "        fwrite(out, sizeof out, 1, g);\n    }\n    return fclose(g) != 0;\n}\n",
        (long long)inputs);
    test_write_file(test_path("main.c"), text, (size_t)n);
    int status = shell("cc " FLAGS " %s main.c -o main -lm", flags);
    ck_assert_msg(status == 0, "cc %s says:\n%s", flags, message);
}

/* Two samples of random input in the order (H,W,C); and the same for mien. */
static double *make_input(mn_model *m, int64_t *inputs) {
    mn_shape s = mn_model_input_shape(m, 0);
    int64_t n = *inputs = mn_shape_count(s), image = 1, channels = s.ndim >= 3 ? s.dim[s.ndim - 3] : 1;
    for (int d = s.ndim >= 3 ? s.ndim - 3 : s.ndim; d < s.ndim; d++) image *= s.dim[d];
    double *v = malloc((size_t)(2 * n) * sizeof *v);
    float *file = malloc((size_t)(2 * n) * sizeof *file);
    mn_rng r = mn_rng_create(1, 2);
    for (int64_t i = 0; i < 2 * n; i++) {
        int64_t k = i % image, plane = image / channels;
        v[i] = (float)mn_rng_uniform(&r, -1, 1);
        file[i - k + k % plane * channels + k / plane] = (float)v[i];
    }
    test_write_file(test_path("in"), file, (size_t)(2 * n) * sizeof *file);
    free(file);
    return v;
}

/* What mien computes, heads one after the other; `heads` of them as probabilities. */
static double *expected(mn_model *m, const double *input, int heads, int64_t *count) {
    mn_context *c = mn_model_context(m);
    mn_shape s = mn_model_input_shape(m, 0), batch = {.ndim = s.ndim + 1, .dim = {2}};
    for (int i = 0; i < s.ndim; i++) batch.dim[i + 1] = s.dim[i];
    mn_step_begin(c);
    mn_tensor *x = mn_input(c, batch, NULL);
    ASSERT_OK(mn_set_f64(x, input), mn_context_error(c));
    mn_no_grad_begin(c);
    ASSERT_OK(mn_model_forward(m, &x, false), mn_context_error(c));
    int64_t each = 0, done = 0;
    for (int o = 0; o < mn_model_outputs(m); o++) each += mn_shape_count(mn_model_output_shape(m, o));
    double *all = malloc((size_t)(2 * each) * sizeof *all);
    for (int o = 0; o < mn_model_outputs(m); o++) {
        mn_tensor *y = mn_model_result(m, o);
        int64_t n = y->count / 2;
        double *v = op_values(o < heads ? mn_softmax(y) : y);
        for (int b = 0; b < 2; b++) memcpy(all + b * each + done, v + b * n, (size_t)n * sizeof *v);
        done += n;
        free(v);
    }
    mn_no_grad_end(c);
    *count = 2 * each;
    return all;
}

/* Exports, compiles with each list of flags, runs, compares. */
static mn_export_c_report check_export(mn_model *m, int heads, const mn_export_c_opt *opt, double tolerance,
                                       const char *const *flags) {
    mn_model_info info = info_for(m);
    mn_export_c_report report;
    mn_error err = {0};
    int64_t inputs, count;
    info.n_heads = heads;
    double *input = make_input(m, &inputs);
    ASSERT_OK(mn_model_export_c(m, &info, opt, test_path("net.c"), &report, &err), &err);
    if (opt && opt->int8) ASSERT_OK(mn_model_round_int8(m), mn_context_error(mn_model_context(m)));
    double *want = expected(m, input, heads, &count);
    for (; *flags; flags++) {
        size_t n;
        compile(*flags, inputs);
        ck_assert_msg(shell("./main") == 0, "the program failed: %s", message);
        char *bytes = test_read_file(test_path("out"), &n);
        const float *got = (const float *)(const void *)bytes;
        ck_assert_uint_eq(n, (size_t)count * sizeof *got);
        for (int64_t i = 0; i < count; i++) ASSERT_CLOSE(got[i], want[i], tolerance);
        free(bytes);
    }
    free(want);
    free(input);
    return report;
}

static const char *const usual[] = {"-O1", NULL};
static const char *const several[] = {"-O3", "-O1 -DNET_PLAIN", "-O1 -march=x86-64-v3", "-O1 -fsanitize=address,undefined", NULL};

/* ---- tests ---- */

static mn_model *named(mn_context *c, const char *name, const mn_net_opt *opt) {
    mn_model *m = mn_net_create(c, name, opt);
    ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
    scramble(m);
    return m;
}

START_TEST(test_named_networks) {
    static const mn_net_head heads[] = {{"emotion", 7}, {"gender", 2}};
    for (int i = 0; mn_net_names[i]; i++) {
        bool large = !strcmp(mn_net_names[i], "vgg");
        mn_context *c = op_context(MN_F32, 3);
        mn_model *m = named(
            c, mn_net_names[i],
            &(mn_net_opt){.channels = 3, .height = large ? 16 : 29, .width = large ? 16 : 34, .heads = heads, .n_heads = 2});
        check_export(m, 2, NULL, 1e-5, usual);
        mn_context_destroy(c);
    }
}
END_TEST

START_TEST(test_tiny) {
    mn_context *c = op_context(MN_F32, 3);
    mn_model *m = named(c, "tiny", NULL);
    mn_export_c_report r = check_export(m, 1, NULL, 1e-5, several);
    ck_assert_int_lt(r.source_bytes, 500000);
    check_export(m, 1, &(mn_export_c_opt){.constants = true}, 1e-5, usual);
    check_export(m, 1, &(mn_export_c_opt){.int8 = true}, 1e-5, several);
    mn_context_destroy(c);
}
END_TEST

TEST_SUITE(export, test_named_networks, test_tiny)
