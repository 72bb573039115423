/* Copies that are planted are found, each as what it is, and a clean split is called clean. */
#include "apps/doctor.h"
#include "tests/data_help.h"
#include "tests/program.h"
#include <sys/stat.h>

enum { FACES = 40 };

static void face(mn_image *im, int person) {
    mn_face f;
    mn_error err = {0};
    mn_face_random(&f, 5, (uint64_t)person, 0, person % 2 ? 3 : 6, person % 3 == 0);
    ASSERT_OK(mn_face_render(&f, 48, 1, im, &err), &err);
}

/* Writes 1 picture as <folder>/<part>/<happy|neutral>/<name>. */
static void save(const mn_image *im, const char *part, int happy, const char *name) {
    char path[200];
    mn_error err = {0};
    snprintf(path, sizeof path, "doctor/%s/%s", part, happy ? "happy" : "neutral");
    help_folder(path);
    snprintf(path, sizeof path, "doctor/%s/%s/%s.png", part, happy ? "happy" : "neutral", name);
    ASSERT_OK(mn_image_save_png(im, test_path(path), &err), &err);
}

static void write_clean(void) {
    mn_image im = {0};
    for (int i = 0; i < FACES; i++) {
        char name[32];
        snprintf(name, sizeof name, "S%03d_%d", i / 2, i);
        face(&im, i);
        save(&im, i < 28 ? "train" : i < 34 ? "valid" : "test", i % 2, name);
    }
    mn_image_free(&im);
}

static void examine(doctor *d, data_rows *data, const char *subject) {
    char spec[300];
    const char *list[1] = {spec};
    int head[1] = {0};
    mn_error err = {0};
    snprintf(spec, sizeof spec, "folder:%s", test_path("doctor"));
    ASSERT_OK(data_open(data, list, 1, 1, &err), &err);
    ASSERT_OK(data_split(data, head, 1, 0, &err), &err);
    ASSERT_OK(doctor_examine(d, data, &(doctor_opt){.subject = subject, .distance = 8, .likeness = 0.98, .threads = 2}, &err),
              &err);
}

START_TEST(test_clean) {
    if (!MN_HAVE_PNG) return;
    write_clean();
    doctor d;
    data_rows data;
    examine(&d, &data, NULL);
    ck_assert_int_eq(d.used, FACES);
    for (int k = 0; k < DOCTOR_KINDS; k++) ck_assert_int_eq(d.across[k] + d.inside[k], 0);
    ck_assert(!doctor_leaks(&d) && d.blank == 0 && !d.has_subjects);
    doctor_free(&d);
    data_close(&data);
    examine(&d, &data, "^(S[0-9]+)_"); /* two pictures a person, and 28 and 34 are even */
    ck_assert(d.has_subjects && !doctor_leaks(&d));
    ck_assert_int_eq(d.subjects, FACES / 2);
    ck_assert_int_eq(d.inside[DOCTOR_SUBJECT], FACES);
    doctor_free(&d);
    data_close(&data);
}
END_TEST

START_TEST(test_planted) {
    if (!MN_HAVE_PNG) return;
    write_clean();
    mn_image im = {0}, other = {0};
    mn_error err = {0};
    face(&im, 0);
    save(&im, "test", 1, "S900_0"); /* identical to train/neutral/S000_0, and labelled otherwise */
    face(&im, 1);
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 24; x++) {
            uint8_t *a = &im.pixels[y * 48 + x], *b = &im.pixels[y * 48 + 47 - x], t = *a;
            *a = *b, *b = t;
        }
    save(&im, "valid", 1, "S901_0"); /* mirrored */
    face(&im, 2);
    ASSERT_OK(mn_image_resize(&other, &im, 64, 64, &err), &err);
    for (int i = 0; i < 64 * 64; i++) other.pixels[i] = (uint8_t)(12 + other.pixels[i] * 7 / 8);
    save(&other, "test", 0, "S902_0"); /* scaled, paler */
    face(&im, 60);
    save(&im, "test", 0, "S003_9"); /* another picture of somebody who trains */
    memset(im.pixels, 90, 48 * 48);
    save(&im, "train", 0, "S903_0"); /* blank */

    doctor d;
    data_rows data;
    examine(&d, &data, "prefix");
    ck_assert_int_eq(d.across[DOCTOR_IDENTICAL], 2);
    ck_assert_int_eq(d.across[DOCTOR_MIRRORED], 2);
    ck_assert_int_eq(d.across[DOCTOR_NEAR], 2);
    ck_assert_int_eq(d.subjects_across, 1);
    ck_assert_int_eq(d.across[DOCTOR_SUBJECT], 3); /* two that train, one that tests */
    ck_assert_int_eq(d.inside[DOCTOR_IDENTICAL] + d.inside[DOCTOR_MIRRORED] + d.inside[DOCTOR_NEAR], 0);
    ck_assert_int_eq(d.blank, 1);
    ck_assert_int_eq(d.conflict_pictures, 2);
    ck_assert_int_eq(d.leaked[MN_SPLIT_TRAIN], 0);
    ck_assert_int_eq(d.leaked[MN_SPLIT_VALID], 1);
    ck_assert_int_eq(d.leaked[MN_SPLIT_TEST], 3);
    ck_assert(doctor_leaks(&d));
    doctor_free(&d);
    data_close(&data);
    mn_image_free(&im);
    mn_image_free(&other);
}
END_TEST

/* Every pair within the distance is found once, whatever block it shares: compared with all pairs. */
typedef struct tally {
    int pairs, twice;
    uint8_t met[300][300];
} tally;
static void note(void *user, int64_t a, int64_t b, bool mirrored, double likeness) {
    tally *t = user;
    ck_assert(!mirrored && likeness > 0.99);
    t->pairs++;
    t->twice += t->met[a][b]++ > 0;
}

START_TEST(test_search_is_complete) {
    static mn_look look[300];
    static int64_t row[300];
    mn_rng r = mn_rng_create(3, 0);
    for (int i = 0; i < 300; i++) {
        row[i] = i;
        look[i].hash = i % 3 ? look[i - 1].hash : (uint64_t)mn_rng_u32(&r) << 32 | mn_rng_u32(&r);
        for (int k = 0; i % 3 && k < 4; k++) look[i].hash ^= UINT64_C(1) << mn_rng_below(&r, 64);
        look[i].mirror = ~look[i].hash;
        look[i].small[0] = 1;
    }
    for (int distance = 0; distance <= 15; distance += 5) {
        tally t = {0};
        mn_error err = {0};
        int want = 0;
        for (int i = 0; i < 300; i++)
            for (int j = i + 1; j < 300; j++) want += __builtin_popcountll(look[i].hash ^ look[j].hash) <= distance;
        ASSERT_OK(mn_looks_alike(look, row, 300, distance, 0.9, note, &t, &err), &err);
        ck_assert_int_eq(t.pairs, want);
        ck_assert_int_eq(t.twice, 0);
    }
    mn_error err = {0};
    ck_assert_int_eq(mn_looks_alike(look, row, 300, 16, 0.9, note, NULL, &err), MN_ERR_ARG);
}
END_TEST

/* CK+48's layout: person and class from names and folders; a person is a group. */
START_TEST(test_ckplus) {
    if (!MN_HAVE_PNG) return;
    help_folder("ck/anger"), help_folder("ck/contempt");
    help_write_png(test_path("ck/anger/S010_004_00000017.png"), 12, 12, 1, 1);
    help_write_png(test_path("ck/contempt/S138_008_00000007.png"), 12, 12, 1, 2);
    help_write_png(test_path("ck/contempt/S010_002_00000011.png"), 12, 12, 1, 3);
    help_write_png(test_path("ck/contempt/unnamed.png"), 12, 12, 1, 4);
    mn_error err = {0};
    mn_dataset *d = mn_dataset_ckplus(test_path("ck"), NULL, &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    ck_assert_int_eq(d->length, 3);
    ck_assert_int_eq(d->head[0].n_classes, 2);
    ck_assert_str_eq(d->head[0].class_name[0], "angry");
    mn_sample_info a, b;
    ASSERT_OK(d->info(d, 0, &a, &err), &err);
    ASSERT_OK(d->info(d, 1, &b, &err), &err);
    ck_assert_str_eq(b.id, "contempt/S010_002_00000011.png");
    ck_assert(a.group == 10 && b.group == 10 && a.label[0] == 0 && b.label[0] == 1);
    mn_dataset_destroy(d);
    help_folder("empty");
    ck_assert_ptr_null(mn_dataset_ckplus(test_path("empty"), NULL, &err));
    ASSERT_FAILS(err, MN_ERR_FORMAT, "CK+48");
}
END_TEST

START_TEST(test_no_memory) {
    if (!MN_HAVE_PNG) return;
    mn_rendered_opt opt = {.count = 12, .size = 16};
    for (int64_t n = 1; n < 200; n++) {
        mn_error err = {0};
        int64_t live;
        mn_look look[12];
        int64_t row[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
        tally t = {0};
        test_fail_allocation(n);
        mn_dataset *d = mn_dataset_rendered(&opt, &err);
        mn_status s = d ? mn_dataset_looks(d, look, &(mn_open_opt){.threads = 1}, &err) : err.status;
        if (!s) s = mn_looks_alike(look, row, 12, 8, 2, note, &t, &err);
        mn_dataset_destroy(d);
        bool failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_int_eq(s, failed ? MN_ERR_MEMORY : MN_OK);
        if (!failed) return;
    }
}
END_TEST

/* 30 people, 12 of them twice: the second picture darker, paler, or mirrored; in folder `to`/happy or /neutral. */
static void write_near(const char *to) {
    mn_image im = {0};
    mn_error err = {0};
    for (int i = 0; i < 42; i++) {
        char path[200];
        face(&im, i % 30);
        for (int k = 0; i >= 30 && i % 3 < 2 && k < 48 * 48; k++)
            im.pixels[k] = (uint8_t)(i % 3 ? im.pixels[k] * 7 / 8 : 20 + im.pixels[k] * 3 / 4);
        for (int k = 0; i >= 30 && i % 3 == 2 && k < 48 * 24; k++) {
            uint8_t *a = &im.pixels[k / 24 * 48 + k % 24], *b = &im.pixels[k / 24 * 48 + 47 - k % 24], t = *a;
            *a = *b, *b = t;
        }
        snprintf(path, sizeof path, "%s/%s", to, i % 2 ? "happy" : "neutral");
        help_folder(path);
        snprintf(path, sizeof path, "%s/%s/%c%02d.png", to, i % 2 ? "happy" : "neutral", 'a' + i * 7 % 26, i);
        ASSERT_OK(mn_image_save_png(&im, test_path(path), &err), &err);
    }
    mn_image_free(&im);
}

/* Pictures with a copy in another part, in a cut of that seed. */
static int64_t across(const char *folder, bool near, uint64_t seed, int64_t count[3], int64_t *joined) {
    doctor d;
    data_rows data;
    char spec[300];
    const char *list[1] = {spec};
    int head[1] = {0};
    mn_error err = {0};
    snprintf(spec, sizeof spec, "folder:%s", test_path(folder));
    ASSERT_OK(data_open(&data, list, 1, 1, &err), &err);
    data.part[0].valid = 0.2, data.part[0].test = 0.25, data.part[0].near = near;
    ASSERT_OK(data_split(&data, head, 1, seed, &err), &err);
    memcpy(count, data.count, sizeof data.count);
    *joined = data.joined;
    data.count[MN_SPLIT_TEST] *= strcmp(folder, "stated") != 0; /* there it cannot be read */
    ASSERT_OK(doctor_examine(&d, &data, &(doctor_opt){.distance = 8, .likeness = 0.98, .threads = 1}, &err), &err);
    int64_t n = d.across[DOCTOR_NEAR] + d.across[DOCTOR_MIRRORED] + d.across[DOCTOR_IDENTICAL];
    ck_assert_int_ge(n + d.inside[DOCTOR_NEAR] + d.inside[DOCTOR_MIRRORED], 24 * (strcmp(folder, "stated") != 0));
    doctor_free(&d);
    data_close(&data);
    return n;
}

/* A cut that keeps near copies together has none across; rows that the files call test are not looked at. */
START_TEST(test_near_together) {
    if (!MN_HAVE_PNG) return;
    write_near("near");
    int64_t torn = 0, count[3], again[3], joined;
    for (uint64_t seed = 0; seed < 5; seed++) {
        torn += across("near", false, seed, count, &joined);
        ck_assert_int_eq(joined, 0);
        ck_assert_int_eq(across("near", true, seed, count, &joined), 0);
        ck_assert_int_eq(joined, 12); /* of each pair one takes the other's group */
        ck_assert(count[0] + count[1] + count[2] == 42 && count[1] >= 4 && count[2] >= 6);
        across("near", true, seed, again, &joined);
        ck_assert(!memcmp(count, again, sizeof count));
    }
    ck_assert_int_gt(torn, 10); /* without, copies are torn apart */
    write_near("stated/train");
    help_folder("stated/test/happy");
    help_folder("stated/test/neutral");
    test_write_file(test_path("stated/test/happy/x.png"), "no picture", 10);
    ck_assert_int_eq(across("stated", true, 1, count, &joined), 0);
    ck_assert(joined == 12 && count[MN_SPLIT_TEST] == 1 && count[MN_SPLIT_VALID] > 4);
}
END_TEST

/* mien eval cuts the data of such a model as it was cut for it. */
START_TEST(test_near_recalled) {
    if (!have_model_files()) return;
    write_near("twins");
    ASSERT_EXIT(0, "train --data folder:twins --near-together --val 0.2 --test 0.25 --seed 3 --net logreg --size 16 --epochs 1 "
                   "--threads 1 --no-baseline --out n.h5");
    ASSERT_SAYS("12 stay with their near copies");
    ASSERT_EXIT(0, "eval --model n.h5 --data folder:twins --no-baseline --near-copies --predictions n.csv");
    ck_assert_ptr_null(strstr(output, "near"));
    data_rows data;
    char spec[300];
    const char *list[1] = {spec};
    mn_error err = {0};
    snprintf(spec, sizeof spec, "folder:%s", test_path("twins"));
    ASSERT_OK(data_open(&data, list, 1, 1, &err), &err);
    data.part[0].valid = 0.2, data.part[0].test = 0.25, data.part[0].near = true;
    ASSERT_OK(data_split(&data, (int[]){0}, 1, 3, &err), &err);
    size_t n;
    char *csv = test_read_file(test_path("n.csv"), &n);
    int64_t rows = -1;
    for (const char *c = csv; *c; c++) rows += *c == '\n';
    ck_assert_int_eq(rows, data.count[MN_SPLIT_TEST]);
    for (int64_t i = 0; i < rows; i++) {
        mn_sample_info info;
        ASSERT_OK(data.all->info(data.all, data.index[MN_SPLIT_TEST][i], &info, &err), &err);
        ck_assert_msg(strstr(csv, info.id) != NULL, "%s is not among the rows that were scored", info.id);
    }
    free(csv);
    data_close(&data);
}
END_TEST

TEST_SUITE(doctor, test_clean, test_planted, test_search_is_complete, test_ckplus, test_no_memory, test_near_together,
           test_near_recalled)
