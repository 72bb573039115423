/* Honest measurement as a user meets it: leaking splits are refused, tests are written down, cards agree with
 * a second computation, flips and temperatures do what they say. Runs the program on small drawn pictures. */
#include "apps/app.h"
#include "apps/train.h"
#include "tests/data_help.h"
#include "tests/program.h"
#include <sys/wait.h>
#include <unistd.h>

#if MN_HAVE_HDF5 && MN_HAVE_JSON && MN_HAVE_PNG

#define ASSERT_SILENT_ON(text) ck_assert_msg(!strstr(output, text), "\"%s\" is in:\n%s", text, output)
#define QUICK "--net tiny --epochs 1 --batch 16 --threads 1 --no-baseline"

/* ---- drawn pictures ---- */

static void face(mn_image *im, int person, int happy) {
    mn_face f;
    mn_error err = {0};
    mn_face_random(&f, 7, (uint64_t)person, (uint64_t)happy, happy ? 3 : 6, person % 2);
    ASSERT_OK(mn_face_render(&f, 48, 1, im, &err), &err);
}

static void mirror(mn_image *im) {
    for (int y = 0; y < im->height; y++)
        for (int x = 0; x < im->width / 2; x++) {
            uint8_t *a = &im->pixels[y * im->width + x], *b = &im->pixels[y * im->width + im->width - 1 - x], t = *a;
            *a = *b, *b = t;
        }
}

/* <folder>/<happy|neutral>/<name>.png */
static void save(const mn_image *im, const char *folder, int happy, const char *name) {
    char path[300];
    mn_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, happy ? "happy" : "neutral");
    help_folder(path);
    snprintf(path, sizeof path, "%s/%s/%s.png", folder, happy ? "happy" : "neutral", name);
    ASSERT_OK(mn_image_save_png(im, test_path(path), &err), &err);
}

static void save_faces(const char *folder, int first, int n) {
    mn_image im = {0};
    for (int i = first; i < first + n; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%03d", i);
        face(&im, i, i % 2);
        save(&im, folder, i % 2, name);
    }
    mn_image_free(&im);
}

static json_t *training_of(const char *model, mn_model_info *info) {
    mn_error err = {0};
    mn_context *c = mn_context_create(NULL, &err);
    ck_assert_msg(mn_model_load(c, test_path(model), info, &err) != NULL, "%s", err.text);
    mn_context_destroy(c);
    json_t *j = json_loads(info->training, 0, NULL);
    ck_assert_ptr_nonnull(j);
    return j;
}

static json_t *read_json(const char *name) {
    json_t *j = json_load_file(test_path(name), 0, NULL);
    ck_assert_msg(j != NULL, "%s", name);
    return j;
}

static double at(const json_t *j, const char *a, const char *b, const char *c) {
    j = json_object_get(json_object_get(j, a), b);
    const json_t *v = c ? json_object_get(j, c) : j;
    ck_assert_msg(json_is_number(v), "%s.%s.%s", a, b, c ? c : "");
    return json_number_value(v);
}

/* ---- leaking splits ---- */

/* A copy that the files themselves put on both sides: refused; allowed only with the word, which stays with
 * the model. */
START_TEST(test_leak) {
    mn_image im = {0};
    save_faces("faces/train", 0, 40);
    save_faces("faces/valid", 40, 12);
    ASSERT_EXIT(0, "train --data folder:faces --out clean.h5 " QUICK);
    ASSERT_SILENT_ON("LEAK");
    mn_model_info info;
    json_t *r = training_of("clean.h5", &info);
    ck_assert(at(r, "leaks", "valid", NULL) == 0 && json_is_false(json_object_get(json_object_get(r, "leaks"), "allowed")));
    ck_assert_ptr_nonnull(strstr(info.card, "No validation row has a copy"));
    json_decref(r);
    mn_model_info_free(&info);

    face(&im, 4, 0);
    mirror(&im);
    save(&im, "faces/valid", 0, "p999");
    ASSERT_EXIT(1, "train --data folder:faces --out leak.h5 " QUICK);
    ASSERT_SAYS("the split leaks: 1 of 13 validation pictures");
    ASSERT_SAYS("p999.png");
    ASSERT_SAYS("--allow-leak");
    ck_assert_int_ne(access(test_path("leak.h5"), R_OK), 0);
    ASSERT_EXIT(0, "train --data folder:faces --out leak.h5 --allow-leak " QUICK);
    ASSERT_SAYS("LEAK      allowed");
    r = training_of("leak.h5", &info);
    ck_assert(json_is_true(json_object_get(json_object_get(r, "leaks"), "allowed")));
    ck_assert_ptr_nonnull(strstr(info.card, "The split leaks and was used nevertheless"));
    json_decref(r);
    mn_model_info_free(&info);
    mn_image_free(&im);
}
END_TEST

/* Where the cut is ours, the training half of a few near copies is left out, and validation rows stay what
 * they were. */
START_TEST(test_own_cut) {
    mn_image im = {0}, pale = {0};
    mn_error err = {0};
    save_faces("mine", 0, 150);
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "q%03d", i);
        face(&im, i, i % 2);
        ASSERT_OK(mn_image_resize(&pale, &im, 40, 40, &err), &err);
        for (int k = 0; k < 1600; k++) pale.pixels[k] = (uint8_t)(12 + pale.pixels[k] * 7 / 8);
        save(&pale, "mine", i % 2, name);
    }
    ASSERT_EXIT(0, "train --data folder:mine --val 0.3 --out own.h5 " QUICK);
    ASSERT_SAYS("training pictures that copy validation pictures are left out");
    mn_model_info info;
    json_t *r = training_of("own.h5", &info);
    double dropped = at(r, "leaks", "dropped", NULL), train = at(r, "rows", "train", NULL), valid = at(r, "rows", "valid", NULL),
           test = at(r, "rows", "test", NULL);
    ck_assert(dropped >= 1 && dropped <= 6 && train + dropped + valid + test == 156);
    json_decref(r);
    mn_model_info_free(&info);
    char rows[64];
    ASSERT_EXIT(0, "eval --model own.h5 --data folder:mine --split valid");
    snprintf(rows, sizeof rows, ": %d pictures\n", (int)valid);
    ASSERT_SAYS(rows);
    mn_image_free(&im);
    mn_image_free(&pale);
}
END_TEST

static void write_list(const char *name, const char *header, int n, int train, bool split, bool people) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    fprintf(f, "%s\n", header);
    for (int i = 0; i < n; i++) {
        fprintf(f, "all/%s/p%03d.png,%s", i % 2 ? "happy" : "neutral", i, i % 2 ? "happy" : "neutral");
        if (split) fprintf(f, ",%s", i < train ? "train" : "test");
        if (people) fprintf(f, ",person %d", i / 3);
        fputc('\n', f);
    }
    fclose(f);
    help_write_text(test_path(name), text);
    free(text);
}

/* Whatever chooses an epoch is no test. */
START_TEST(test_no_choice_on_test) {
    save_faces("all", 0, 60);
    write_list("data.csv", "path,emotion,split", 60, 40, true, false);
    size_t size;
    char *whole = test_read_file(test_path("data.csv"), &size), *rows = strstr(whole, "all/neutral/p040");
    char *text = app_text("path,emotion\n");
    for (char *line = strtok(rows, "\n"); line; line = strtok(NULL, "\n")) {
        char *more = app_text("%s%.*s\n", text, (int)(strrchr(line, ',') - line), line);
        free(text);
        text = more;
    }
    help_write_text(test_path("test_rows.csv"), text); /* the same pictures, under another name, as if they were for validation */
    ASSERT_EXIT(1, "train --data list:data.csv --val list:test_rows.csv --out a.h5 " QUICK);
    ASSERT_SAYS("choosing on them is choosing on the test");
    ASSERT_EXIT(1, "train --data list:data.csv --val list:test_rows.csv --out a.h5 --allow-leak " QUICK);
    ASSERT_SAYS("20 of its pictures are test rows");
    ASSERT_EXIT(2, "train --data list:data.csv --val test --out a.h5 " QUICK);
    ASSERT_SAYS("not a test any more");
    ASSERT_EXIT(2, "tune --data list:data.csv --net tiny --lr 0.1,0.01 --split test");
    ASSERT_EXIT(0, "train --data list:data.csv --out a.h5 " QUICK);
    free(text);
    free(whole);
}
END_TEST

/* People on both sides of a split that a file states. */
START_TEST(test_people) {
    save_faces("all", 0, 60);
    write_list("people.csv", "path,emotion,split,group", 60, 40, true, true); /* person 13: pictures 39 (train), 40, 41 (test) */
    ASSERT_EXIT(1, "train --data list:people.csv --out a.h5 " QUICK);
    ASSERT_SAYS("2 of 20 test pictures show people who are also in");
    write_list("people.csv", "path,emotion,split,group", 60, 39, true, true);
    ASSERT_EXIT(0, "train --data list:people.csv --out a.h5 " QUICK);
}
END_TEST

/* ---- tests, cards ---- */

static int check_card(const char *card, const char *rows) {
    char line[10000], folder[4096];
    ck_assert_ptr_nonnull(getcwd(folder, sizeof folder));
    snprintf(line, sizeof line, "cd %s && python3 %s/tests/card_check.py %s %s 2>&1", test_tmpdir(), folder, card, rows);
    return shell(line);
}

static bool have_checker(void) {
    if (access("tests/card_check.py", R_OK) == 0 && system("python3 -c 'pass' 2>/dev/null") == 0) return true;
    test_skip("the card is recomputed by python3 and tests/card_check.py");
    return false;
}

START_TEST(test_log_and_card) {
    ASSERT_EXIT(0, "train --data rendered:350,size=16 --val 0.15 --net tiny --epochs 2 --lr 0.02 --threads 1 "
                   "--out m.h5");
    ASSERT_SAYS("calibrated emotion: temperature");
    ASSERT_SAYS("logistic regression");
    ASSERT_SAYS("card      m.card.md");
    ASSERT_EXIT(0, "eval --model m.h5 --data rendered:350,size=16 --split valid");
    mn_model_info info;
    json_decref(training_of("m.h5", &info));
    ck_assert_ptr_null(info.tests); /* validation rows are no test */
    ck_assert(info.calibration[0].temperature > 0 && info.calibration[0].unsure > 0);
    ck_assert_ptr_nonnull(strstr(info.card, "None yet"));
    mn_model_info_free(&info);

    ASSERT_EXIT(0, "eval --model m.h5 --data rendered:350,size=16 --no-baseline --predictions p.csv --json "
                   "s.json --calibration c.svg");
    ASSERT_SILENT_ON("scored 1 time before");
    ASSERT_SAYS("by gender");
    if (have_checker()) {
        ck_assert_msg(check_card("m.card.md", "p.csv") == 0, "%s", output);
        ASSERT_SAYS(" 0 differ");
        size_t size;
        char *card = test_read_file(test_path("m.card.md"), &size), *digit = strstr(card, " % |");
        digit = strstr(strstr(digit + 1, "| happy |"), "| 0.") + 5; /* of 0.1234; a class that is never predicted has "-" first */
        *digit = *digit == '9' ? '1' : (char)(*digit + 1);
        help_write_text(test_path("wrong.md"), card);
        free(card);
        ck_assert_msg(check_card("wrong.md", "p.csv") == 1, "%s", output);
        ASSERT_SAYS(" 1 differ");
    }
    ASSERT_EXIT(0, "eval --model m.h5 --data rendered:350,size=16 --no-baseline --flip");
    ASSERT_SAYS("scored 1 time before");
    ASSERT_EXIT(0, "info m.h5");
    ASSERT_SAYS("# Model card: tiny");
    ASSERT_SAYS("Scored 2 times");
    json_decref(training_of("m.h5", &info));
    json_t *tests = json_loads(info.tests, 0, NULL), *scores = read_json("s.json"), *first = json_array_get(tests, 0);
    ck_assert_int_eq(json_array_size(tests), 2);
    ASSERT_CLOSE(at(first, "heads", "emotion", "accuracy"), at(scores, "heads", "emotion", "accuracy"), 1e-8);
    ck_assert_int_eq((int)json_integer_value(json_object_get(first, "n")), 35);
    ck_assert_int_eq(json_array_size(json_object_get(json_object_get(json_object_get(first, "heads"), "emotion"), "accuracy_95")),
                     2);
    const char *date = json_string_value(json_object_get(first, "date"));
    ck_assert_msg(date && strlen(date) == 20 && date[4] == '-' && date[10] == 'T' && date[19] == 'Z', "%s",
                  date ? date : "no date");
    json_decref(tests);
    json_decref(scores);
    mn_model_info_free(&info);
}
END_TEST

/* Copies that the files put among the test rows, groups of their own: with, without, recomputed. */
START_TEST(test_copies_and_groups) {
    mn_image im = {0};
    save_faces("all", 0, 80);
    char *text = app_text("path,emotion,split,by:glasses\n");
    for (int i = 0; i < 80; i++) {
        char *more = app_text("%sall/%s/p%03d.png,%s,%s,%s\n", text, i % 2 ? "happy" : "neutral", i, i % 2 ? "happy" : "neutral",
                              i < 50 ? "train" : "test",
                              i % 3 == 0   ? "yes"
                              : i % 3 == 1 ? "no"
                                           : "");
        free(text);
        text = more;
    }
    for (int i = 0; i < 4; i++) { /* identical to training pictures */
        char name[32];
        snprintf(name, sizeof name, "copy%d", i);
        face(&im, i, i % 2);
        save(&im, "all", i % 2, name);
        char *more =
            app_text("%sall/%s/copy%d.png,%s,test,no\n", text, i % 2 ? "happy" : "neutral", i, i % 2 ? "happy" : "neutral");
        free(text);
        text = more;
    }
    help_write_text(test_path("data.csv"), text);
    free(text);
    mn_image_free(&im);
    ASSERT_EXIT(0, "train --data list:data.csv --val 0.2 --out m.h5 " QUICK);
    mn_model_info info;
    json_t *r = training_of("m.h5", &info);
    int copies = (int)at(r, "leaks", "test_copies", NULL); /* of training pictures: some may have become validation pictures */
    char sentence[80];
    ck_assert(copies >= 1 && copies <= 4);
    snprintf(sentence, sizeof sentence, "%d test rows copy other rows", copies);
    ASSERT_SAYS(sentence);
    json_decref(r);
    mn_model_info_free(&info);
    ASSERT_EXIT(0, "eval --model m.h5 --data list:data.csv --predictions p.csv --json s.json");
    snprintf(sentence, sizeof sentence, "without the %d pictures that copy a training picture", copies);
    ASSERT_SAYS(sentence);
    ASSERT_SAYS("by glasses");
    ASSERT_SAYS("logistic regression on the same rows");
    json_t *s = read_json("s.json"), *e = json_object_get(json_object_get(s, "heads"), "emotion");
    ck_assert(at(e, "without_copies", "n", NULL) == 34 - copies && at(e, "without_copies", "identical", NULL) == copies);
    ck_assert_int_eq(json_array_size(json_object_get(json_object_get(e, "groups"), "glasses")), 2);
    json_decref(s);
    if (have_checker()) ck_assert_msg(check_card("m.card.md", "p.csv") == 0, "%s", output);
    ASSERT_EXIT(0, "eval --model m.h5 --data list:data.csv --near-copies --no-baseline");
    ASSERT_SAYS(sentence);
}
END_TEST

/* ---- two models, flips, temperatures ---- */

/* The probabilities of "happy" in a file of predictions, by the number in the picture's name; how many there
 * are. */
static int happy_column(const char *name, double *out) {
    size_t size;
    char *text = test_read_file(test_path(name), &size);
    int n = -1, column = -1;
    for (char *line = text, *next; line && *line; line = next, n++) {
        if ((next = strchr(line, '\n'))) *next++ = 0;
        int k = 0, number = n < 0 ? 0 : atoi(strstr(line, "/p") + 2);
        for (char *field = line, *end; field; field = end, k++) {
            if ((end = strchr(field, ','))) *end++ = 0;
            if (n < 0 && !strcmp(field, "emotion_p_happy")) column = k;
            if (n >= 0 && k == column) out[number] = atof(field);
        }
    }
    free(text);
    return n;
}

START_TEST(test_flip_against) {
    mn_image im = {0};
    for (int i = 0; i < 70; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%03d", i);
        face(&im, i, i % 2);
        save(&im, "plain", i % 2, name);
        mirror(&im);
        save(&im, "mirrored", i % 2, name);
    }
    mn_image_free(&im);
    ASSERT_EXIT(0, "train --data folder:plain --out a.h5 --lr 0.02 --seed 1 " QUICK);
    ASSERT_EXIT(0, "train --data folder:plain --out b.h5 --lr 0.02 --seed 2 " QUICK);
    double plain[100], mirrored[100], both[100];
    ASSERT_EXIT(0, "eval --model a.h5 --data folder:plain --split all --predictions plain.csv --json a.json "
                   "--against b.h5");
    ASSERT_SAYS("McNemar's p");
    ASSERT_EXIT(0, "eval --model a.h5 --data folder:mirrored --split all --predictions mirrored.csv");
    ASSERT_EXIT(0, "eval --model a.h5 --data folder:plain --split all --predictions both.csv --flip");
    int n = happy_column("plain.csv", plain);
    ck_assert(n == 70 && happy_column("mirrored.csv", mirrored) == n && happy_column("both.csv", both) == n);
    for (int i = 0; i < n; i++) ASSERT_CLOSE(both[i], (plain[i] + mirrored[i]) / 2, 2e-6);

    ASSERT_EXIT(0, "eval --model b.h5 --data folder:plain --split all --json b.json --against a.h5");
    json_t *a = read_json("a.json"), *b = read_json("b.json"),
           *ab = json_object_get(json_object_get(json_object_get(a, "against"), "heads"), "emotion"),
           *ba = json_object_get(json_object_get(json_object_get(b, "against"), "heads"), "emotion");
    double only_a = json_number_value(json_object_get(ab, "only_first")),
           only_b = json_number_value(json_object_get(ab, "only_second"));
    ASSERT_CLOSE(only_b - only_a, 70 * (at(b, "heads", "emotion", "accuracy") - at(a, "heads", "emotion", "accuracy")), 1e-5);
    ASSERT_CLOSE(json_number_value(json_object_get(ba, "only_second")), only_a, 0);
    ASSERT_CLOSE(json_number_value(json_object_get(ab, "p")), json_number_value(json_object_get(ba, "p")), 1e-9);
    json_decref(a);
    json_decref(b);
    ASSERT_EXIT(0, "eval --model a.h5 --data folder:plain --split all --against a.h5");
    ASSERT_SAYS("+0.00 points (95 %: +0.00 to +0.00), McNemar's p = 1");
}
END_TEST

/* The first number behind `key` in the output. */
static double number_after(const char *key) {
    const char *p = strstr(output, key);
    ck_assert_msg(p != NULL, "no %s in %s", key, output);
    return atof(p + strlen(key));
}

START_TEST(test_unsure) {
    mn_error err = {0};
    save_faces("all", 0, 40);
    ASSERT_EXIT(0, "train --data folder:all --out m.h5 --unsure 0 " QUICK);
    mn_context *c = mn_context_create(NULL, &err);
    for (int t = 0; t < 2; t++) {
        mn_model_info info;
        mn_model *m = mn_model_load(c, test_path("m.h5"), &info, &err);
        ck_assert_msg(m != NULL, "%s", err.text);
        info.calibration[0] = (mn_calibration){.temperature = t ? 3 : 1, .unsure = t ? 0.999 : 0};
        ASSERT_OK(mn_model_save(m, &info, test_path(t ? "hot.h5" : "raw.h5"), &err), &err);
        mn_model_info_free(&info);
    }
    mn_context_destroy(c);
    ASSERT_EXIT(0, "predict --model raw.h5 --whole all/happy/p001.png --json");
    ASSERT_SAYS("\"unsure\":false");
    double happy = number_after("\"happy\":"), neutral = number_after("\"neutral\":");
    ASSERT_EXIT(0, "predict --model hot.h5 --whole all/happy/p001.png --json");
    ASSERT_SAYS("\"unsure\":true");
    double a = pow(happy, 1 / 3.), b = pow(neutral, 1 / 3.);
    ASSERT_CLOSE(number_after("\"happy\":"), a / (a + b), 1e-4);
    ASSERT_EXIT(0, "predict --model hot.h5 --whole all/happy/p001.png");
    ASSERT_SAYS("apparent expression: unsure, ");
    ASSERT_EXIT(0, "predict --model hot.h5 --whole all/happy/p001.png --always");
    ASSERT_SILENT_ON("unsure");
    ASSERT_EXIT(0, "predict --model hot.h5 --whole all/happy/p001.png --csv");
    ASSERT_SAYS("model,unsure\n");
    ASSERT_SAYS("hot.h5,1\n");
    ASSERT_EXIT(0, "info hot.h5");
    ASSERT_SAYS("temperature 3.000, \"unsure\" below 99.9 %");
    ASSERT_EXIT(0, "eval --model hot.h5 --data folder:all --split all --json hot.json");
    ASSERT_EXIT(0, "eval --model hot.h5 --data folder:all --split all --json raw.json --uncalibrated");
    json_t *hot = read_json("hot.json"), *raw = read_json("raw.json");
    ck_assert(at(hot, "heads", "emotion", "accuracy") == at(raw, "heads", "emotion", "accuracy"));
    ck_assert(at(hot, "heads", "emotion", "temperature") == 3 && at(raw, "heads", "emotion", "temperature") == 1);
    json_decref(hot);
    json_decref(raw);
}
END_TEST

/* ---- models that label no pictures ---- */

static void save_model(mn_model *m, const char *path) {
    mn_error err = {0};
    ASSERT_OK(mn_model_build(m), mn_context_error(mn_model_context(m)));
    ASSERT_OK(mn_model_save(m, &(mn_model_info){0}, test_path(path), &err), &err);
}

static mn_sym answer(mn_model *m, mn_sym x, int units) {
    return mn_layer_dense(m, mn_layer_flatten(m, x, (mn_plain_layer){0}), (mn_dense_layer){.units = units});
}

START_TEST(test_not_for_pictures) {
    mn_error err = {0};
    mn_context *c = mn_context_create(NULL, &err);
    mn_model *many = mn_model_create(c, "many"), *vector = mn_model_create(c, "vector"), *two = mn_model_create(c, "two");
    mn_sym x = mn_model_input(many, "x", MN_SHAPE(1, 8, 8));
    for (int k = 0; k < MN_MAX_HEADS + 1; k++) mn_model_output(many, answer(many, x, 2));
    save_model(many, "many.h5");
    mn_model_output(vector, answer(vector, mn_model_input(vector, "x", MN_SHAPE(5)), 2));
    save_model(vector, "vector.h5");
    mn_sym a = mn_model_input(two, "a", MN_SHAPE(1, 8, 8)), b = mn_model_input(two, "b", MN_SHAPE(1, 8, 8));
    mn_model_output(two, answer(two, mn_layer_add(two, (mn_sym[]){a, b}, 2, (mn_plain_layer){0}), 2));
    save_model(two, "two.h5");
    mn_context_destroy(c);
    save_faces("few", 0, 4);
    const char *command[] = {"eval --data folder:few --split all --model %s.h5",
                             "predict --whole few/happy/p001.png --model %s.h5", "look %s.h5 few/happy/p001.png",
                             "train --data folder:few --net logreg --size 8 --teacher %s.h5 --out t.h5"};
    const char *model[] = {"many", "vector", "two"};
    const char *says[] = {"1 inputs and 5 outputs", "1 outputs with 0 named heads", "2 inputs and 1 outputs"};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 3; i++) {
            char line[200];
            snprintf(line, sizeof line, command[k], model[i]);
            ASSERT_EXIT(1, "%s", line);
            ASSERT_SAYS(says[i]);
        }
}
END_TEST

TEST_SUITE(measure, test_not_for_pictures, test_leak, test_own_cut, test_no_choice_on_test, test_people, test_log_and_card,
           test_copies_and_groups, test_flip_against, test_unsure)
#else
START_TEST(test_nothing) { test_skip("measuring needs libhdf5, jansson and libpng"); }
END_TEST
TEST_SUITE(measure, test_nothing)
#endif
