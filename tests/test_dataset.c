/* Folders, UTKFace, lists, and data sets made of data sets. */
#include "data/internal.h"
#include "tests/data_help.h"
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static void png(const char *folder, const char *name, int seed) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    help_write_png(path, 12, 10, 1 + 2 * (seed % 2), seed);
}

static char notes[4][300];
static int n_notes;
static void note(void *user, const char *what, int64_t done, int64_t total) {
    (void)user, (void)done;
    if (total < 0 && n_notes < 4) snprintf(notes[n_notes++], sizeof notes[0], "%s", what);
}
static const mn_open_opt noting = {.threads = 2, .progress = note};

/* All samples as "id:label/split ..." */
static const char *summary(const mn_dataset *d) {
    static char text[4000];
    size_t at = 0;
    text[0] = 0;
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        mn_error e = {0};
        ASSERT_OK(d->info(d, i, &s, &e), &e);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s:", i ? " " : "", s.id);
        for (int h = 0; h < d->n_heads; h++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", h ? "," : "", (int)s.label[h]);
        at += (size_t)snprintf(text + at, sizeof text - at, "/%d", (int)s.split);
    }
    return text;
}

static const char *classes(const mn_dataset *d, int h) {
    static char text[1000];
    int at = snprintf(text, sizeof text, "%s:", d->head[h].name);
    for (int k = 0; k < d->head[h].n_classes; k++)
        at += snprintf(text + at, sizeof text - (size_t)at, " %s", d->head[h].class_name[k]);
    return text;
}

START_TEST(test_folder) {
    mn_error e = {0};
    png(help_folder("f/sad"), "b.png", 1);
    png(help_folder("f/sad"), "a.PNG", 2);
    png(help_folder("f/angry"), "z.png", 1);
    help_write_text(test_path("f/angry/Thumbs.db"), "x");
    help_write_text(test_path("f/angry/.hidden"), "x");
    help_write_text(test_path("f/readme.txt"), "x");
    n_notes = 0;
    mn_dataset *d = mn_dataset_folder(test_path("f"), &noting, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_str_eq(classes(d, 0), "emotion: angry sad");
    ck_assert_str_eq(summary(d), "angry/z.png:0/3 sad/a.PNG:1/3 sad/b.png:1/3");
    ck_assert_int_eq(n_notes, 1);
    ck_assert_ptr_nonnull(strstr(notes[0], "ignored 2 files"));
    ck_assert_ptr_nonnull(strstr(notes[0], "angry/Thumbs.db"));
    mn_sample_info s[3];
    for (int i = 0; i < 3; i++) ASSERT_OK(d->info(d, i, &s[i], &e), &e);
    ck_assert(s[0].group == s[2].group && s[0].group != s[1].group); /* the same file twice */
    mn_image im = {0};
    ASSERT_OK(d->pixels(d, 0, &im, &e), &e);
    ck_assert(im.width == 12 && im.height == 10 && im.channels == 3);
    ck_assert_int_eq(d->pixels(d, 3, &im, &e), MN_ERR_ARG);
    mn_image_free(&im);
    mn_dataset_destroy(d);
}
END_TEST

START_TEST(test_folder_with_splits) {
    mn_error e = {0};
    png(help_folder("g/train/cat"), "1.png", 1);
    png(help_folder("g/train/dog"), "2.png", 2);
    png(help_folder("g/Validation/dog"), "3.png", 3);
    png(help_folder("g/test/bird"), "4.png", 4);
    mn_dataset *d = mn_dataset_open(strcat(strcpy((char[600]){0}, "folder:"), test_path("g")), NULL, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_str_eq(classes(d, 0), "label: bird cat dog");
    ck_assert_str_eq(summary(d), "Validation/dog/3.png:2/1 test/bird/4.png:0/2 train/cat/1.png:1/0 train/dog/2.png:2/0");
    mn_dataset_destroy(d);
}
END_TEST

START_TEST(test_folder_errors) {
    mn_error e = {0};
    ck_assert_ptr_null(mn_dataset_folder(help_folder("empty"), NULL, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "no pictures; wanted one folder for each class");
    mn_error_clear(&e);
    ck_assert_ptr_null(mn_dataset_folder(test_path("absent"), NULL, &e));
    ASSERT_FAILS(e, MN_ERR_IO, "cannot be opened as a folder");
    mn_error_clear(&e);
    png(help_folder("h/cat"), "1.png", 1);
    help_write_text(strcat(strcpy((char[600]){0}, help_folder("h/dog")), "/a.gif"), "x");
    ck_assert_ptr_null(mn_dataset_folder(test_path("h"), NULL, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "class \"dog\" holds no PNG or JPEG");
    /* A broken picture is found when it is read, and named. */
    mn_error_clear(&e);
    help_write_text(test_path("h/dog/b.png"), "no picture");
    mn_dataset *d = mn_dataset_folder(test_path("h"), NULL, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_ptr_null(mn_dataset_cache(d, &(mn_preprocess){1, 4, 4, .lo = 0}, NULL, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "h/dog/b.png: neither PNG nor JPEG");
    mn_dataset_destroy(d);
}
END_TEST

START_TEST(test_utkface) {
    mn_error e = {0};
    static const char *const names[] = {"1_0_0_20161219140623097.jpg.chip.jpg",
                                        "100_1_0_20170112213001988.jpg.chip.jpg",
                                        "24_0_1_20170116220224657 .jpg.chip.jpg",
                                        "55_0_0_20170116232725357jpg.chip.jpg",
                                        "61_1_20170109142408075.jpg.chip.jpg",
                                        "61_3_20170109150557335.jpg.chip.jpg",
                                        "face.jpg",
                                        "5_1.jpg",
                                        "1234_0_0_2.jpg",
                                        "7_0_0_1.txt"};
    const char *dir = help_folder("utk");
    char path[600];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[k]);
        help_write_text(path, k == 4 ? names[3] : names[k]); /* opening looks at names and bytes, not at pictures */
    }
    n_notes = 0;
    mn_dataset *d = mn_dataset_utkface(dir, &noting, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_str_eq(classes(d, 0), "gender: man woman");
    ck_assert_int_eq(d->length, 5);
    const int want[5] = {1, 0, 0, 0, 1};
    mn_sample_info s[5];
    for (int i = 0; i < 5; i++) {
        ASSERT_OK(d->info(d, i, &s[i], &e), &e);
        ck_assert_int_eq(s[i].label[0], want[i]);
        ck_assert_int_eq(s[i].split, MN_SPLIT_NONE);
    }
    ck_assert(s[3].group == s[4].group && s[0].group != s[1].group);
    ck_assert_ptr_nonnull(strstr(notes[0], "skipped 5 files"));
    mn_dataset_destroy(d);
    ck_assert_ptr_null(mn_dataset_utkface(help_folder("noutk"), NULL, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "age_gender_race_date");
}
END_TEST

static mn_dataset *list_of(const char *text, mn_error *e) {
    png(help_folder("l/in"), "1.png", 1);
    png(help_folder("l/in"), "2, two.png", 2);
    png(help_folder("l/in"), "3.png", 1);
    help_write_text(test_path("l/list.csv"), text);
    return mn_dataset_list(test_path("l/list.csv"), NULL, e);
}

START_TEST(test_list) {
    mn_error e = {0};
    mn_dataset *d = list_of("\xef\xbb\xbfpath,emotion,gender\r\nin/1.png,sad,woman\r\n\"in/2, two.png\", \"an\"\"gry\" ,\r\n\r\n"
                            "in/3.png,,man",
                            &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_str_eq(classes(d, 0), "emotion: an\"gry sad");
    ck_assert_str_eq(classes(d, 1), "gender: man woman");
    ck_assert_str_eq(summary(d), "in/1.png:1,1/3 in/2, two.png:0,-1/3 in/3.png:-1,0/3");
    mn_image im = {0};
    for (int i = 0; i < 3; i++) ASSERT_OK(d->pixels(d, i, &im, &e), &e);
    mn_sample_info s[2];
    ASSERT_OK(d->info(d, 0, &s[0], &e), &e);
    ASSERT_OK(d->info(d, 2, &s[1], &e), &e);
    ck_assert(s[0].group == s[1].group); /* the same picture under two names */
    mn_image_free(&im);
    mn_dataset_destroy(d);
    /* numbers in order of size; splits; groups; an absolute path */
    char text[1000];
    snprintf(text, sizeof text,
             "split,label,path,group\ntrain,10,in/1.png,anna\nval,9,%s,bob\ntest,2,in/3.png,anna\n,2,in/"
             "3.png,\n,2,in/3.png,\n",
             test_path("l/in/1.png"));
    d = list_of(text, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_str_eq(classes(d, 0), "label: 2 9 10");
    mn_sample_info g[5];
    for (int i = 0; i < 5; i++) ASSERT_OK(d->info(d, i, &g[i], &e), &e);
    ck_assert(g[0].group == g[2].group && g[0].group != g[1].group && g[3].group == g[4].group && g[3].group != g[0].group);
    ck_assert(g[0].split == MN_SPLIT_TRAIN && g[1].split == MN_SPLIT_VALID && g[2].split == MN_SPLIT_TEST);
    ck_assert_str_eq(g[1].id, test_path("l/in/1.png"));
    mn_dataset_destroy(d);
}
END_TEST

START_TEST(test_list_errors) {
    static const struct {
        const char *text, *words;
        mn_status status;
    } bad[] = {
        {"", "no column named path", MN_ERR_FORMAT},
        {"in/1.png,sad\n", "no column named path but \"in/1.png\"", MN_ERR_FORMAT},
        {"path\nin/1.png\n", "no column with labels", MN_ERR_FORMAT},
        {"path,a,b,c,d,e\n", "more than 4 columns", MN_ERR_FORMAT},
        {"path,a,a\n", "used twice", MN_ERR_FORMAT},
        {"path,\n", "has no name", MN_ERR_FORMAT},
        {"path,a\n", "header and no rows", MN_ERR_FORMAT},
        {"path,a\nin/1.png\n", "line 2: has 1 fields, the header has 2; hint: a path with a comma needs quotes", MN_ERR_FORMAT},
        {"path,a\nin/1.png,x\nin/2, two.png,y\n", "line 3: has 3 fields", MN_ERR_FORMAT},
        {"path,a\n\"in/1.png,x\n", "line 2: a quote is opened and not closed", MN_ERR_FORMAT},
        {"path,a\n\"in/1.png\"x,x\n", "line 2: text follows a closing quote", MN_ERR_FORMAT},
        {"path,a\n,x\n", "line 2: the path is empty", MN_ERR_FORMAT},
        {"path,a\nin/1.png,\n", "column \"a\" is empty in every row", MN_ERR_FORMAT},
        {"path,a,split\nin/1.png,x,tset\n", "line 2: split is \"tset\"", MN_ERR_FORMAT},
        {"path,a\nin/1.png,x\nin/9.png,x\n", "l/in/9.png: cannot be opened", MN_ERR_IO},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        ck_assert_ptr_null(list_of(bad[k].text, &e));
        ASSERT_FAILS(e, bad[k].status, bad[k].words);
    }
    char *many = malloc(40000);
    int n = sprintf(many, "path,a\n");
    for (int i = 0; i < 1001; i++) n += sprintf(many + n, "in/1.png,c%d\n", i);
    mn_error e = {0};
    ck_assert_ptr_null(list_of(many, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "line 1002: more than 1000 classes");
    free(many);
}
END_TEST

START_TEST(test_open_errors) {
    static const struct {
        const char *spec, *words;
    } bad[] = {
        {"", "of no known kind"},
        {"faces", "of no known kind"},
        {"mnist:x", "of no known kind; wanted fer2013:FILE.csv"},
        {"folder:", "nothing follows the colon"},
        {"rendered:many", "wanted rendered:COUNT"},
        {"rendered:0", "wanted rendered:COUNT"},
        {"rendered:5,shape=3", "\"shape=3\" is not understood"},
        {"rendered:5,size=x", "is not understood"},
        {"rendered:5,size=-1", "is not understood"},
        {"rendered:5,size=48;", "is not understood"},
        {"/tmp", "hint: folder:/tmp"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        ck_assert_ptr_null(mn_dataset_open(bad[k].spec, NULL, &e));
        ASSERT_FAILS(e, MN_ERR_ARG, bad[k].words);
    }
    mn_error e = {0};
    mn_dataset *d = mn_dataset_open("rendered:6,size=20,seed=3,channels=3,identities=2", NULL, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    mn_image im = {0};
    ASSERT_OK(d->pixels(d, 5, &im, &e), &e);
    ck_assert(d->length == 6 && im.width == 20 && im.channels == 3);
    mn_image_free(&im);
    mn_dataset_destroy(d);
    mn_dataset_destroy(NULL);
}
END_TEST

/* ---- data sets made of data sets ---- */

START_TEST(test_subset_and_cache) {
    mn_error e = {0};
    for (int k = 0; k < 40; k++) {
        char name[20];
        snprintf(name, sizeof name, "%02d.png", k);
        png(help_folder(k % 3 ? "c/x" : "c/y"), name, k);
    }
    mn_dataset *d = mn_dataset_folder(test_path("c"), NULL, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    mn_preprocess p = {1, 6, 8, .grey = MN_GREY_MEAN};
    for (int threads = 1; threads <= 3; threads += 2) {
        mn_dataset *c = mn_dataset_cache(d, &p, &(mn_open_opt){.threads = threads}, &e);
        ck_assert_msg(c != NULL, "%s", e.text);
        int64_t index[] = {39, 0, 7, 7};
        mn_dataset *s = mn_dataset_subset(c, index, 4, &e);
        ck_assert_msg(s != NULL, "%s", e.text);
        ck_assert(s->length == 4 && s->n_heads == 1 && c->length == 40);
        mn_image a = {0}, b = {0}, want = {0}, scratch = {0};
        for (int i = 0; i < 4; i++) {
            mn_sample_info x, y;
            ASSERT_OK(s->info(s, i, &x, &e), &e);
            ASSERT_OK(d->info(d, index[i], &y, &e), &e);
            ck_assert(x.label[0] == y.label[0] && x.group == y.group && !strcmp(x.id, y.id));
            ASSERT_OK(s->pixels(s, i, &a, &e), &e);
            ASSERT_OK(d->pixels(d, index[i], &b, &e), &e);
            ASSERT_OK(mn_preprocess_pixels(&p, &b, &want, &scratch, &e), &e);
            ck_assert(a.width == 8 && a.height == 6 && a.channels == 1 && !memcmp(a.pixels, want.pixels, 48));
        }
        ck_assert_int_eq(s->pixels(s, 4, &a, &e), MN_ERR_ARG);
        mn_error_clear(&e);
        index[2] = 40;
        ck_assert_ptr_null(mn_dataset_subset(c, index, 4, &e));
        ASSERT_FAILS(e, MN_ERR_ARG, "sample 40 of 40");
        mn_error_clear(&e);
        mn_dataset *none = mn_dataset_subset(c, index, 0, &e);
        ck_assert(none && none->length == 0);
        mn_dataset_destroy(none);
        mn_image_free(&a), mn_image_free(&b), mn_image_free(&want), mn_image_free(&scratch);
        mn_dataset_destroy(s);
        mn_dataset_destroy(c);
    }
    ck_assert_ptr_null(mn_dataset_cache(d, &(mn_preprocess){0}, NULL, &e));
    ASSERT_FAILS(e, MN_ERR_ARG, "cache");
    mn_dataset_destroy(d);
}
END_TEST

static mn_dataset *text_list(const char *name, const char *text) {
    mn_error e = {0};
    png(help_folder("k"), "1.png", 1);
    png(help_folder("k"), "2.png", 2);
    char path[100];
    snprintf(path, sizeof path, "k/%s", name);
    help_write_text(test_path(path), text);
    mn_dataset *d = mn_dataset_list(test_path(path), NULL, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    return d;
}

START_TEST(test_concat) {
    mn_error e = {0};
    mn_dataset *part[3] = {text_list("a.csv", "path,emotion\n1.png,sad\n2.png,happy\n1.png,fear\n"),
                           text_list("b.csv", "path,gender\n2.png,woman\n1.png,man\n"),
                           text_list("c.csv", "path,gender,emotion\n1.png,woman,sad\n2.png,,happy\n")};
    mn_dataset *d = mn_dataset_concat(part, 3, &e); /* c has fewer emotions: found by name */
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_str_eq(classes(d, 0), "emotion: fear happy sad");
    ck_assert_str_eq(classes(d, 1), "gender: man woman");
    ck_assert_str_eq(summary(d), "1.png:2,-1/3 2.png:1,-1/3 1.png:0,-1/3 2.png:-1,1/3 1.png:-1,0/3 1.png:2,1/3 2.png:1,-1/3");
    mn_image im = {0};
    ASSERT_OK(d->pixels(d, 3, &im, &e), &e);
    ck_assert_int_eq(im.channels, 1);
    ASSERT_OK(d->pixels(d, 4, &im, &e), &e);
    ck_assert_int_eq(im.channels, 3);
    ck_assert_int_eq(d->pixels(d, 7, &im, &e), MN_ERR_ARG);
    mn_image_free(&im);
    mn_dataset_destroy(d);
    mn_error_clear(&e);
    mn_dataset *bad[2] = {text_list("a.csv", "path,emotion\n1.png,sad\n2.png,happy\n"),
                          text_list("b.csv", "path,emotion\n1.png,glad\n")};
    ck_assert_ptr_null(mn_dataset_concat(bad, 2, &e));
    ASSERT_FAILS(e, MN_ERR_SHAPE, "its emotion \"glad\" is not among the 2 classes");
    mn_error_clear(&e);
    mn_dataset *five[2] = {text_list("a.csv", "path,a,b,c\n1.png,1,2,3\n"), text_list("b.csv", "path,d,e\n1.png,2,3\n")};
    ck_assert_ptr_null(mn_dataset_concat(five, 2, &e));
    ASSERT_FAILS(e, MN_ERR_SHAPE, "more than 4 heads");
    mn_error_clear(&e);
    ck_assert_ptr_null(mn_dataset_concat(NULL, 0, &e));
    ASSERT_FAILS(e, MN_ERR_ARG, "no data sets");
}
END_TEST

/* Task i fails if it is `fast` or, a little later, `slow`. */
static mn_status failing(void *arg, int worker, int64_t i, mn_error *err) {
    const int *at = arg;
    (void)worker;
    if (i == at[0] || i == at[1]) usleep(i == at[0] ? 1000 : 6000);
    return i == at[0] || i == at[1] ? mn_fail(err, MN_ERR_IO, "task %d", (int)i) : MN_OK;
}

/* Whichever thread is faster, the lowest failure is told. */
START_TEST(test_first_failure) {
    static const struct {
        int fast, slow;
        const char *words;
    } cases[] = {{5, 6, "task 5"}, {70, 5, "task 5"}, {-1, 99, "task 99"}, {0, 50, "task 0"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int threads = 1; threads <= 4; threads++) {
            mn_error e = {0};
            int at[2] = {cases[k].fast, cases[k].slow};
            ck_assert_int_eq(mn__parallel(100, &(mn_open_opt){.threads = threads}, "x", failing, at, &e), MN_ERR_IO);
            ck_assert_str_eq(e.text, cases[k].words);
        }
}
END_TEST

START_TEST(test_out_of_memory) {
    png(help_folder("m/x"), "1.png", 1);
    png(help_folder("m/y"), "2.png", 2);
    help_write_text(test_path("m/l.csv"), "path,label\nx/1.png,x\ny/2.png,y\n");
    char dir[600], csv[600];
    strcpy(dir, test_path("m")), strcpy(csv, test_path("m/l.csv"));
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        mn_error e = {0};
        int64_t live;
        test_fail_allocation(n);
        mn_dataset *part[2] = {mn_dataset_folder(dir, &(mn_open_opt){.threads = 2}, &e), NULL}, *d = NULL, *c = NULL, *s = NULL;
        if (part[0]) part[1] = mn_dataset_list(csv, &(mn_open_opt){.threads = 2}, &e);
        if (part[1])
            d = mn_dataset_concat(part, 2, &e); /* takes both, whatever happens */
        else
            mn_dataset_destroy(part[0]);
        if (d) c = mn_dataset_cache(d, &(mn_preprocess){1, 4, 4, .lo = 0}, &(mn_open_opt){.threads = 2}, &e);
        if (c) s = mn_dataset_subset(c, (int64_t[]){3, 1}, 2, &e);
        bool done = s != NULL;
        mn_dataset_destroy(s), mn_dataset_destroy(c), mn_dataset_destroy(d);
        failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_msg(failed ? !done && e.status == MN_ERR_MEMORY : done, "n = %d: %s %s", (int)n, mn_status_name(e.status),
                      e.text);
        ck_assert_int_lt(n, 1000);
    }
}
END_TEST

TEST_SUITE(dataset, test_folder, test_folder_with_splits, test_folder_errors, test_utkface, test_list, test_list_errors,
           test_open_errors, test_subset_and_cache, test_concat, test_first_failure, test_out_of_memory)
