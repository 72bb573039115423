/* What is written into a model file after its training: the log of tests, the card; the weights stay. */
#include "data/data.h"
#include "tests/data_help.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if MN_HAVE_HDF5 && MN_HAVE_JSON

/* A tiny saved network with a temperature and a threshold. */
static const char *write_model(mn_context *c, const char *name) {
    mn_error err = {0};
    mn_model *m = mn_net_create(c, "tiny", NULL);
    ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
    mn_shape in = mn_model_input_shape(m, 0);
    static char *names[7] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
    mn_model_info info = {.preprocess = {.channels = (int)in.dim[0], .height = (int)in.dim[1], .width = (int)in.dim[2]},
                          .n_heads = 1,
                          .calibration = {{.temperature = 1.75, .unsure = 0.375}},
                          .training = (char *)"{\"seed\":3}"};
    info.head[0] = (mn_head){.name = "emotion", .n_classes = (int)mn_model_output_shape(m, 0).dim[0], .class_name = names};
    ck_assert_int_le(info.head[0].n_classes, 7);
    const char *path = test_path(name);
    ASSERT_OK(mn_model_save(m, &info, path, &err), &err);
    return path;
}

/* The sum of all weights, so that a change shows. */
static double weight_sum(mn_model *m) {
    int n;
    double sum = 0;
    mn_tensor **w = mn_model_parameters(m, NULL, &n);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < w[i]->count; k++) sum += mn_item(w[i], k) * (double)(k % 7 + 1);
    return sum;
}

static off_t size_of(const char *path) {
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

START_TEST(test_log_and_card) {
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1, .seed = 5}, &err);
    char path[300];
    snprintf(path, sizeof path, "%s", write_model(c, "noted.h5"));
    mn_model_info info;
    mn_model *m = mn_model_load(c, path, &info, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    ck_assert_ptr_null(info.tests);
    ASSERT_CLOSE(info.calibration[0].temperature, 1.75, 0);
    ASSERT_CLOSE(info.calibration[0].unsure, 0.375, 0);
    double sum = weight_sum(m);
    mn_model_info_free(&info);
    char *list;
    ASSERT_OK(mn_model_log_test(path, "{\"n\": 5, \"score\": 0.25}", &list, &err), &err);
    ck_assert_str_eq(list, "[{\"n\":5,\"score\":0.25}]");
    mn_free(list);
    ASSERT_OK(mn_model_set_card(path, "# one", &err), &err);
    ASSERT_OK(mn_model_set_card(path, "# two\n\xc3\xa4", &err), &err);
    ASSERT_OK(mn_model_log_test(path, "{\"n\": 6}", NULL, &err), &err);
    m = mn_model_load(c, path, &info, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    ck_assert_str_eq(info.tests, "[{\"n\":5,\"score\":0.25},{\"n\":6}]");
    ck_assert_str_eq(info.card, "# two\n\xc3\xa4");
    ck_assert_str_eq(info.training, "{\"seed\":3}");
    ASSERT_CLOSE(weight_sum(m), sum, 0);
    /* saved again by the usual way, the list goes with the model */
    ASSERT_OK(mn_model_save(m, &info, test_path("again.h5"), &err), &err);
    mn_model_info_free(&info);
    ck_assert(mn_model_load(c, test_path("again.h5"), &info, &err) != NULL);
    ck_assert_str_eq(info.tests, "[{\"n\":5,\"score\":0.25},{\"n\":6}]");
    mn_model_info_free(&info);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_refused) {
    mn_error err = {0};
    mn_context *c = mn_context_create(NULL, &err);
    char path[300];
    snprintf(path, sizeof path, "%s", write_model(c, "kept.h5"));
    size_t n, m;
    char *before = test_read_file(path, &n);
    ck_assert_int_ne(mn_model_log_test(path, "{\"n\": ", NULL, &err), MN_OK);
    mn_error_clear(&err);
    ck_assert_int_ne(mn_model_log_test(test_path("nothing.h5"), "{}", NULL, &err), MN_OK);
    ASSERT_FAILS(err, MN_ERR_IO, "nothing.h5");
    mn_error_clear(&err);
    test_write_file(test_path("text.h5"), "no model", 8);
    ck_assert_int_ne(mn_model_set_card(test_path("text.h5"), "# x", &err), MN_OK);
    ASSERT_FAILS(err, MN_ERR_FORMAT, "not an HDF5 file");
    mn_error_clear(&err);
    chmod(path, 0444); /* also for root, who may write everywhere */
    ck_assert_int_ne(mn_model_set_card(path, "# x", &err), MN_OK);
    ASSERT_FAILS(err, MN_ERR_IO, "cannot be changed");
    char *after = test_read_file(path, &m);
    ck_assert(n == m && !memcmp(before, after, n));
    free(before);
    free(after);
    mn_context_destroy(c);
}
END_TEST

/* Four programs at once: none of their entries is lost, and the file hardly grows. */
START_TEST(test_at_the_same_time) {
    enum { PROGRAMS = 4, EACH = 5 };
    mn_error err = {0};
    mn_context *c = mn_context_create(NULL, &err);
    char path[300];
    snprintf(path, sizeof path, "%s", write_model(c, "shared.h5"));
    off_t before = size_of(path);
    pid_t child[PROGRAMS];
    for (int k = 0; k < PROGRAMS; k++)
        if (!(child[k] = fork())) {
            int failed = 0;
            for (int i = 0; i < EACH; i++) {
                char entry[40];
                snprintf(entry, sizeof entry, "{\"by\":%d,\"time\":%d}", k, i);
                failed |= mn_model_log_test(path, entry, NULL, NULL) != MN_OK;
            }
            _exit(failed);
        }
    for (int k = 0; k < PROGRAMS; k++) {
        int status;
        ck_assert_int_eq(waitpid(child[k], &status, 0), child[k]);
        ck_assert_int_eq(status, 0);
    }
    mn_model_info info;
    ck_assert(mn_model_load(c, path, &info, &err) != NULL);
    for (int k = 0; k < PROGRAMS; k++)
        for (int i = 0; i < EACH; i++) {
            char entry[40];
            snprintf(entry, sizeof entry, "{\"by\":%d,\"time\":%d}", k, i);
            ck_assert_msg(strstr(info.tests, entry) != NULL, "%s is lost: %s", entry, info.tests);
        }
    ck_assert_msg(size_of(path) < before + 32768, "grown from %lld to %lld", (long long)before, (long long)size_of(path));
    mn_model_info_free(&info);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_no_memory) {
    mn_error err = {0};
    mn_context *c = mn_context_create(NULL, &err);
    char path[300];
    snprintf(path, sizeof path, "%s", write_model(c, "little.h5"));
    mn_context_destroy(c);
    for (int64_t n = 1; n < 100; n++) {
        int64_t live;
        mn_error e = {0};
        char *list = NULL;
        test_fail_allocation(n);
        mn_status s = mn_model_log_test(path, "{\"n\":1}", &list, &e);
        mn_free(list);
        bool failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_msg(s == (failed ? MN_ERR_MEMORY : MN_OK), "allocation %lld: %s", (long long)n, e.text);
        if (!failed) return;
    }
    ck_abort_msg("no end");
}
END_TEST

TEST_SUITE(model_note, test_log_and_card, test_refused, test_at_the_same_time, test_no_memory)
#else
START_TEST(test_missing) {
    mn_error err = {0};
    ck_assert_int_eq(mn_model_log_test("x.h5", "{}", NULL, &err), MN_ERR_UNSUPPORTED);
    ASSERT_FAILS(err, MN_ERR_UNSUPPORTED, "-dev");
}
END_TEST
TEST_SUITE(model_note, test_missing)
#endif
