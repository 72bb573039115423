/* The FER2013 csv: both column orders, Usage, copies, every way a row can be broken. */
#include "tests/data_help.h"

#define N 2304

/* Face `k` as 2304 numbers with spaces; `change` >= 0 replaces the number of that place by `with`. */
static void pixel_text(char *out, int k, int change, const char *with) {
    for (int i = 0; i < N; i++) {
        if (i) *out++ = ' ';
        out += i == change ? sprintf(out, "%s", with) : sprintf(out, "%d", (i * 7 + k * 31) % 256);
    }
    *out = 0;
}

static mn_dataset *parse(const char *text, size_t n, int threads, mn_error *err) {
    const char *path = test_path("fer.csv");
    test_write_file(path, text, n);
    return mn_dataset_fer2013(path, &(mn_open_opt){.threads = threads}, err);
}

/* n rows in one of the two orders that circulate. */
static char *make_csv(int n, bool usage_in_the_middle, const char *newline) {
    static const char *const usage[] = {"Training", "Training", "PublicTest", "PrivateTest"};
    char *text = malloc((size_t)n * (4 * N + 64) + 200), *at = text, *pixels = malloc(5 * N);
    at += sprintf(at, "%s%s", usage_in_the_middle ? "emotion, Usage, pixels" : "emotion,pixels,Usage", newline);
    for (int k = 0; k < n; k++) {
        pixel_text(pixels, k % 256, -1, NULL);
        if (usage_in_the_middle)
            at += sprintf(at, "%d,%s,%s%s", k % 7, usage[k % 4], pixels, newline);
        else
            at += sprintf(at, "%d,%s,%s%s", k % 7, pixels, usage[k % 4], newline);
    }
    free(pixels);
    return text;
}

static void check_rows(const mn_dataset *d, int n) {
    mn_image im = {0};
    mn_sample_info s;
    mn_error e = {0};
    ck_assert_int_eq(d->length, n);
    ck_assert_int_eq(d->n_heads, 1);
    ck_assert_str_eq(d->head[0].name, "emotion");
    ck_assert_int_eq(d->head[0].n_classes, 7);
    ck_assert_str_eq(d->head[0].class_name[3], "happy");
    for (int k = 0; k < n; k++) {
        ASSERT_OK(d->info(d, k, &s, &e), &e);
        ASSERT_OK(d->pixels(d, k, &im, &e), &e);
        ck_assert_int_eq(s.label[0], k % 7);
        ck_assert_int_eq(s.label[1], -1);
        ck_assert_int_eq(s.split, k % 4 < 2 ? MN_SPLIT_TRAIN : MN_SPLIT_TEST);
        char id[32];
        snprintf(id, sizeof id, "row %d", k + 1);
        ck_assert_str_eq(s.id, id);
        ck_assert(im.width == 48 && im.height == 48 && im.channels == 1);
        for (int i = 0; i < N; i++) ck_assert_int_eq(im.pixels[i], (i * 7 + k % 256 * 31) % 256);
    }
    mn_image_free(&im);
}

START_TEST(test_both_orders) {
    for (int k = 0; k < 8; k++) { /* order, line ends, threads */
        mn_error e = {0};
        int n = 300; /* several megabytes: several parts */
        char *text = make_csv(n, k & 1, k & 2 ? "\r\n" : "\n");
        mn_dataset *d = parse(text, strlen(text), k & 4 ? 1 : 3, &e);
        ck_assert_msg(d != NULL, "%s", e.text);
        check_rows(d, n);
        mn_dataset_destroy(d);
        free(text);
    }
}
END_TEST

START_TEST(test_groups_and_variants) {
    mn_error e = {0};
    char *p = malloc(5 * N), *text = malloc(30 * N);
    /* Copies share a group; a mark, blank lines, quotes, no Usage, no line end at the end are fine. */
    pixel_text(p, 1, -1, NULL);
    int n = sprintf(text,
                    "\xef\xbb\xbf"
                    "Emotion,Pixels\n0,\"%s\"\n\n3,%s\n\n",
                    p, p);
    pixel_text(p, 1, 2303, "0");
    n += sprintf(text + n, "6, %s ", p);
    mn_dataset *d = parse(text, (size_t)n, 2, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_int_eq(d->length, 3);
    mn_sample_info s[3];
    for (int i = 0; i < 3; i++) ASSERT_OK(d->info(d, i, &s[i], &e), &e);
    ck_assert(s[0].group == s[1].group && s[0].group != s[2].group);
    ck_assert(s[0].split == MN_SPLIT_NONE && s[2].label[0] == 6);
    ck_assert_int_eq(d->info(d, 3, &s[0], &e), MN_ERR_ARG);
    mn_image im = {0};
    ck_assert_int_eq(d->pixels(d, -1, &im, &e), MN_ERR_ARG);
    mn_dataset_destroy(d);
    free(p), free(text);
}
END_TEST

START_TEST(test_broken_rows) {
    static const struct {
        const char *row, *with, *words;
        int change;
    } bad[] = {
        {"7,%s,Training", NULL, "line 3: emotion is \"7\"; wanted 0 to 6", -1},
        {"-1,%s,Training", NULL, "line 3: emotion is \"-1\"", -1},
        {",%s,Training", NULL, "line 3: emotion is \"\"", -1},
        {"1,%s,Practice", NULL, "line 3: Usage is \"Practice\"; wanted Training, PublicTest or PrivateTest", -1},
        {"1,%s,", NULL, "line 3: Usage is \"\"", -1},
        {"1,%s", NULL, "line 3: has 2 fields, the header has 3", -1},
        {"1,%s,Training,1", NULL, "line 3: has 4 fields", -1},
        {"1,%s,Training", "256", "line 3: pixel 11 is 256; wanted 0 to 255", 10},
        {"1,%s,Training", "99999999999", "line 3: pixel 11 is 9999", 10},
        {"1,%s,Training", "x", "line 3: pixel 11 is not a number but 'x'", 10},
        {"1,%s,Training", "-3", "line 3: pixel 11 is not a number but '-'", 10},
        {"1,%s,Training", "3;4", "line 3: ';' follows pixel 11", 10},
        {"1,%s,Training", "1 2", "line 3: has 2305 pixels; wanted 2304", 10},
        {"1,%s,Training", "", "line 3: has 2303 pixels; wanted 2304", 10},
        {"1,,Training", NULL, "line 3: has 0 pixels", -1},
        {"nonsense", NULL, "line 3: emotion is \"nonsense\"", -1},
    };
    char *p = malloc(5 * N), *text = malloc(30 * N), *row = malloc(6 * N);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        pixel_text(p, 1, -1, NULL);
        int n = sprintf(text, "emotion,pixels,Usage\n0,%s,Training\n", p);
        pixel_text(p, 2, bad[k].change, bad[k].with);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        sprintf(row, bad[k].row, p);
#pragma GCC diagnostic pop
        n += sprintf(text + n, "%s\n0,broken too,Training\n", row); /* the first broken row is named */
        ck_assert_ptr_null(parse(text, (size_t)n, 2, &e));
        ASSERT_FAILS(e, MN_ERR_FORMAT, bad[k].words);
        ck_assert_ptr_nonnull(strstr(e.text, "fer.csv: line"));
    }
    free(p), free(text), free(row);
}
END_TEST

/* Lines are counted through the parts that threads share out. */
START_TEST(test_line_numbers) {
    char *text = make_csv(300, false, "\n"), *at = text;
    for (int line = 1; line < 271; line++) at = strchr(at, '\n') + 1;
    *at = '9';
    for (int threads = 1; threads <= 3; threads++) {
        mn_error e = {0};
        ck_assert_ptr_null(parse(text, strlen(text), threads, &e));
        ASSERT_FAILS(e, MN_ERR_FORMAT, "line 271: emotion is \"9\"");
    }
    free(text);
}
END_TEST

START_TEST(test_broken_headers) {
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "no column named emotion"},
        {"emotion,Usage\n0,Training\n", "no column named pixels"},
        {"pixels,Usage\n0,Training\n", "no column named emotion"},
        {"0,1 2 3,Training\n", "no column named emotion; wanted a header like emotion,pixels,Usage"},
        {"emotion,pixels,Usage\n", "has a header and no rows"},
        {"emotion,pixels,Usage", "has a header and no rows"},
        {"emotion,pixels,Usage\n\n \r\n\n", "has a header and no rows"},
        {"\"emotion,pixels,Usage\n", "line 1: a quote is opened"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        ck_assert_ptr_null(parse(bad[k].text, strlen(bad[k].text), 2, &e));
        ASSERT_FAILS(e, MN_ERR_FORMAT, bad[k].words);
    }
    mn_error e = {0};
    ck_assert_ptr_null(parse("emotion\0,pixels", 15, 2, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "zero byte");
    mn_error_clear(&e);
    ck_assert_ptr_null(mn_dataset_fer2013(test_path("absent.csv"), NULL, &e));
    ASSERT_FAILS(e, MN_ERR_IO, "cannot be opened");
}
END_TEST

/* Wherever a file ends: read or refused with a line number. */
START_TEST(test_cut_anywhere) {
    char *text = make_csv(3, false, "\n");
    size_t n = strlen(text);
    for (size_t k = 0; k < n; k += k < 30 || n - k < 40 ? 1 : 97) {
        mn_error e = {0};
        mn_dataset *d = parse(text, k, 1, &e);
        ck_assert_msg(d ? d->length <= 3 : e.status == MN_ERR_FORMAT, "cut to %zu: %s", k, e.text);
        mn_dataset_destroy(d);
    }
    free(text);
}
END_TEST

START_TEST(test_out_of_memory) {
    char *text = make_csv(4, false, "\n");
    const char *path = test_path("m.csv");
    help_write_text(path, text);
    free(text);
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        mn_error e = {0};
        int64_t live;
        test_fail_allocation(n);
        mn_dataset *d = mn_dataset_fer2013(path, &(mn_open_opt){.threads = 2}, &e);
        bool opened = d != NULL;
        mn_dataset_destroy(d);
        failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_msg(failed ? !opened && e.status == MN_ERR_MEMORY : opened, "%s", e.text);
    }
}
END_TEST

/* The real file: every row is read; training copies share groups as counted independently. */
START_TEST(test_real_file) {
    const char *root = getenv("MIEN_DATA_UNPACKED");
    char path[512];
    snprintf(path, sizeof path, "%s/fer2013/fer2013.csv", root ? root : "");
    FILE *f = root ? fopen(path, "rb") : NULL;
    if (!f) {
        test_skip("fer2013: the real csv (set MIEN_DATA_UNPACKED to a folder with fer2013/fer2013.csv)");
        return;
    }
    fclose(f);
    mn_error e = {0};
    mn_dataset *d = mn_dataset_fer2013(path, NULL, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    int64_t by_split[4] = {0};
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        ASSERT_OK(d->info(d, i, &s, &e), &e);
        by_split[s.split]++;
    }
    ck_assert_int_eq(by_split[MN_SPLIT_TRAIN], 28709);
    ck_assert(by_split[MN_SPLIT_TEST] == 3589 || by_split[MN_SPLIT_TEST] == 7178);
    mn_dataset_destroy(d);
}
END_TEST

TEST_SUITE(fer2013, test_both_orders, test_groups_and_variants, test_broken_rows, test_line_numbers, test_broken_headers,
           test_cut_anywhere, test_out_of_memory, test_real_file)
