/* FER+ votes as soft labels of FER2013's training rows, and UTKFace in FER2013's geometry. */
#include "tests/data_help.h"

enum { PIXELS = 48 * 48, ROWS = 42 };
static const char header[] = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n";

/* Rows 0..39 train: even ones are voted happy 10:0, three of four of them labelled happy (3), one sad (4); odd ones are
 * voted 5 anger, 5 fear, half of them labelled angry (0), half fear (2). Rows 40 and 41 are test rows. */
static const char *write_faces(void) {
    FILE *f = fopen(test_path("votes_fer.csv"), "w");
    fprintf(f, "emotion,pixels,Usage\n");
    for (int k = 0; k < ROWS; k++) {
        int label = k % 2 ? (k / 2 % 2 ? 0 : 2) : k / 2 % 4 ? 3 : 4;
        fprintf(f, "%d,", label);
        for (int i = 0; i < PIXELS; i++) fprintf(f, "%s%d", i ? " " : "", (i + k) % 256);
        fprintf(f, ",%s\n", k < 40 ? "Training" : "PublicTest");
    }
    fclose(f);
    return test_path("votes_fer.csv");
}

static void write_votes(int rows, const char *broken) {
    FILE *f = fopen(test_path("votes.csv"), "w");
    fputs(header, f);
    for (int k = 0; k < rows; k++)
        if (k == 5 && broken)
            fprintf(f, "%s\n", broken);
        else
            fprintf(f, "Training,fer%07d.png,%s\n", k, k % 2 ? "0,0,0,0,5,0,5,0,0,0" : "0,10,0,0,0,0,0,0,0,0");
    fclose(f);
}

static mn_dataset *open_with(const char *mix, mn_error *e) {
    char spec[2000];
    snprintf(spec, sizeof spec, "fer2013:%s,votes=%s%s", test_path("votes_fer.csv"), test_path("votes.csv"), mix);
    return mn_dataset_open(spec, NULL, e);
}

/* With two patterns of votes the most likely p(label | votes) are the shares of the labels among equal votes. */
START_TEST(test_calibrated) {
    mn_error e = {0};
    write_faces();
    write_votes(ROWS, NULL);
    static const struct {
        const char *text;
        double mix;
    } mixes[] = {{"", 0.5}, {",mix=1", 1}, {",mix=0.25", 0.25}, {",mix=0", 0}};
    for (int m = 0; m < 4; m++) {
        mn_dataset *d = open_with(mixes[m].text, &e);
        ck_assert_msg(d != NULL, "%s", e.text);
        for (int k = 0; k < 40; k++) {
            mn_sample_info s;
            ASSERT_OK(d->info(d, k, &s, &e), &e);
            ck_assert_ptr_nonnull(s.soft[0]);
            double share[7] = {0}, sum = 0;
            if (k % 2)
                share[0] = share[2] = 0.5;
            else
                share[3] = 0.75, share[4] = 0.25;
            for (int c = 0; c < 7; c++) {
                double want = mixes[m].mix * share[c] + (1 - mixes[m].mix) * (c == s.label[0]);
                ck_assert_double_eq_tol(s.soft[0][c], want, 0.02);
                sum += s.soft[0][c];
            }
            ck_assert_double_eq_tol(sum, 1, 1e-6);
        }
        for (int k = 40; k < ROWS; k++) { /* what a test row shows is for the label alone to say */
            mn_sample_info s;
            ASSERT_OK(d->info(d, k, &s, &e), &e);
            ck_assert_ptr_null(s.soft[0]);
        }
        mn_dataset_destroy(d);
    }
}
END_TEST

/* The other order: numbered rows of votes go to the faces in turn, others to none; and votes on other faces are refused. */
START_TEST(test_two_orders) {
    mn_error e = {0};
    write_faces();
    FILE *f = fopen(test_path("votes.csv"), "w");
    fputs(header, f);
    for (int k = 0; k < ROWS; k++) /* rows 3 and 10 are not a face; face i >= 3 is voted on in row i + 1, then i + 2 */
        if (k == 3 || k == 10)
            fprintf(f, "Training,,0,0,0,0,0,0,0,0,0,10\n");
        else
            fprintf(f, "%s,fer%07d.png,%s\n", k < 40 ? "Training" : "PublicTest", k,
                    (k - (k > 3) - (k > 10)) % 2 ? "0,0,0,0,5,0,5,0,0,0" : "0,10,0,0,0,0,0,0,0,0");
    fclose(f);
    mn_dataset *d = open_with(",mix=1", &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    for (int k = 0; k < 40; k++) {
        mn_sample_info s;
        ASSERT_OK(d->info(d, k, &s, &e), &e);
        if (k < 38)
            ck_assert(k % 2 ? s.soft[0][0] > 0.3 && s.soft[0][2] > 0.3 : s.soft[0][3] > 0.6);
        else
            ck_assert(s.soft[0][s.label[0]] == 1); /* no votes: the label alone */
    }
    mn_dataset_destroy(d);
    f = fopen(test_path("votes.csv"), "w");
    fputs(header, f);
    for (int k = 0; k < ROWS; k++) fprintf(f, "Training,fer%07d.png,0,0,0,0,0,10,0,0,0,0\n", k);
    fclose(f);
    ck_assert_ptr_null(open_with("", &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "agree with the label on only 0 %");
}
END_TEST

/* Other labels on the test rows change no target. */
START_TEST(test_test_rows_teach_nothing) {
    mn_error e = {0};
    write_faces();
    write_votes(ROWS, NULL);
    mn_dataset *a = open_with("", &e);
    ck_assert_msg(a != NULL, "%s", e.text);
    FILE *f = fopen(test_path("votes_fer.csv"), "r+");
    char line[16 * PIXELS];
    long at = 0;
    for (int k = 0; fgets(line, sizeof line, f); k++, at = ftell(f))
        if (k > 40) {
            fseek(f, at, SEEK_SET);
            fputc('6', f);
            fseek(f, at + (long)strlen(line), SEEK_SET);
        }
    fclose(f);
    mn_dataset *b = open_with("", &e);
    ck_assert_msg(b != NULL, "%s", e.text);
    mn_sample_info x, y;
    ASSERT_OK(b->info(b, 41, &y, &e), &e);
    ck_assert_int_eq(y.label[0], 6);
    for (int k = 0; k < 40; k++) {
        ASSERT_OK(a->info(a, k, &x, &e), &e);
        ASSERT_OK(b->info(b, k, &y, &e), &e);
        ck_assert_mem_eq(x.soft[0], y.soft[0], 7 * sizeof(float));
    }
    mn_dataset_destroy(a);
    mn_dataset_destroy(b);
}
END_TEST

START_TEST(test_broken_votes) {
    static const struct {
        int rows;
        const char *broken, *mix, *words;
    } bad[] = {
        {40, NULL, "", "has votes on 40 faces"},
        {43, NULL, "", "42 faces; wanted a row of votes for each face"},
        {ROWS, "Training,a.png,0,-1,0,0,0,0,0,0,0,0", "", "line 7: \"-1\" votes for happiness"},
        {ROWS, "Training,a.png,0,0,0,0,0,0,0,0,0,x", "", "line 7: \"x\" votes for NF"},
        {ROWS, "Training,a.png,0,0,0", "", "line 7: has 5 fields, the header has 12"},
        {ROWS, NULL, ",mix=2", "mix is \"2\"; wanted 0"},
        {ROWS, NULL, ",mix=", "mix is \"\""},
    };
    write_faces();
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        write_votes(bad[k].rows, bad[k].broken);
        ck_assert_ptr_null(open_with(bad[k].mix, &e));
        ck_assert_msg(strstr(e.text, bad[k].words) != NULL, "%s", e.text);
    }
    mn_error e = {0};
    help_write_text(test_path("votes.csv"), "emotion,pixels,Usage\n");
    ck_assert_ptr_null(open_with("", &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "no column named neutral");
}
END_TEST

/* A dark spot at UTKFace's mean left eye (28 % down, 41 % apart) is found at FER2013's (36 %, 36 %) when the data set is
 * opened, and where it was with crop=asis. */
START_TEST(test_geometry) {
    mn_error e = {0};
    mn_image im = {0};
    ASSERT_OK(mn_image_reserve(&im, 200, 200, 1, &e), &e);
    memset(im.pixels, 200, 200 * 200);
    for (int y = 53; y < 60; y++) memset(im.pixels + y * 200 + 56, 0, 7); /* centre (59, 56) = (0.295, 0.28) */
    char path[600];
    snprintf(path, sizeof path, "%s/25_1_0_1.jpg.chip.jpg", help_folder("utkeye"));
    ASSERT_OK(mn_image_save_png(&im, path, &e), &e);
    for (int as_is = 0; as_is < 2; as_is++) {
        snprintf(path, sizeof path, "utkface:%s%s", help_folder("utkeye"), as_is ? ",crop=asis" : "");
        mn_dataset *d = mn_dataset_open(path, NULL, &e);
        ck_assert_msg(d != NULL, "%s", e.text);
        ASSERT_OK(d->pixels(d, 0, &im, &e), &e);
        double x = 0, y = 0, n = 0;
        for (int v = 0; v < im.height; v++)
            for (int u = 0; u < im.width; u++)
                if (im.pixels[v * im.width + u] < 100) x += u + 0.5, y += v + 0.5, n++;
        ck_assert_double_eq(n, 49);
        ck_assert_double_eq_tol(x / n / im.width, as_is ? 0.2975 : 0.5 - 0.36 * (0.5 - 0.2975) / 0.41, 0.005);
        ck_assert_double_eq_tol(y / n / im.height, as_is ? 0.2825 : 0.36, 0.005);
        mn_dataset_destroy(d);
    }
    mn_image_free(&im);
}
END_TEST

TEST_SUITE(votes, test_calibrated, test_two_orders, test_test_rows_teach_nothing, test_broken_votes, test_geometry)
