/* Distillation: the targets against a computation of their own, what is refused, and a run that goes on. */
#include "apps/teach.h"
#include "tests/data_help.h"
#include "tests/program.h"
#if MN_HAVE_HDF5 && MN_HAVE_JSON
#include <unistd.h>

/* ---- arithmetic ---- */

START_TEST(test_mix) {
    float p[3][2] = {{1.2f, 0.8f}, {0.4f, 1.6f}, {1, 1}}; /* two teachers' sums */
    const float own[2] = {0.3f, 0.7f}, *const soft[3] = {NULL, own, NULL};
    const int32_t label[3] = {1, 0, -1};
    teach_mix(p[0], 3, 2, 2, 0.25, label, soft);
    const double want[3][2] = {{0.15, 0.75 + 0.1}, {0.225 + 0.05, 0.525 + 0.2}, {0, 0}}; /* the last has no label */
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) ASSERT_CLOSE(p[i][k], want[i][k], 1e-6);
}
END_TEST

/* ---- the targets of a run ---- */

/* softmax(logits / T) of a picture, or the mean of its and its mirror image's, without a loader. */
static void answer(const char *path, const mn_image *im, bool mirror, double T, const char *head, double *p) {
    mn_error e = {0};
    mn_model_info info = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, &e);
    mn_model *m = mn_model_load(c, path, &info, &e);
    ck_assert_msg(m != NULL, "%s", e.text);
    const mn_preprocess *q = &info.preprocess;
    size_t n = (size_t)(q->channels * q->height * q->width);
    float *x = malloc(2 * n * sizeof *x);
    ASSERT_OK(mn_preprocess_apply(q, im, x, &e), &e);
    size_t width = (size_t)q->width;
    for (size_t i = 0; i < n; i++) x[n + i] = mirror ? x[i - i % width + width - 1 - i % width] : x[i];
    mn_step_begin(c);
    mn_tensor *in = mn_input(c, MN_SHAPE(2, q->channels, q->height, q->width), x);
    ASSERT_OK(mn_model_forward(m, &in, false), mn_context_error(c));
    mn_tensor *y = mn_model_result_named(m, head);
    int K = (int)y->shape.dim[1];
    double *z = malloc((size_t)y->count * sizeof *z);
    ck_assert(!mn_get_f64(y, z));
    for (int k = 0; k < K; k++) p[k] = 0;
    for (int v = 0; v < 2; v++) {
        double sum = 0;
        for (int k = 0; k < K; k++) sum += exp(z[v * K + k] / T);
        for (int k = 0; k < K; k++) p[k] += exp(z[v * K + k] / T) / sum / 2;
    }
    free(x);
    free(z);
    mn_model_info_free(&info);
    mn_context_destroy(c);
}

#define DATA "rendered:90,size=20"
#define TEACHER "train --data " DATA " --net logreg --epochs 2 --lr 0.05 --threads 1 --no-baseline --unsure 0 "
#define STUDENT "train --data " DATA " --net logreg --size 12 --epochs 2 --lr 0.05 --threads 1 --no-baseline --unsure 0 "

/* One teacher of the student's size, and one of another size, normalisation and order of classes. */
static void make_teachers(void) {
    ASSERT_EXIT(0, TEACHER "--size 12 --out a.h5");
    ASSERT_EXIT(0, TEACHER "--size 16 --normalize image --labels emotion --classes neutral,surprise,sad,happy,fear,disgust,angry "
                           "--out b.h5");
}

/* Where pictures come mirrored, targets are the mean of both; else they are the picture's own. */
static void check_targets(bool mirror) {
    char a[300], b[300], out[300];
    snprintf(a, sizeof a, "%s", test_path("a.h5")), snprintf(b, sizeof b, "%s", test_path("b.h5"));
    snprintf(out, sizeof out, "%s", test_path("student.h5"));
    char *words[] = {"mien train",
                     "--data",
                     DATA,
                     "--net",
                     "logreg",
                     "--size",
                     "12",
                     "--threads",
                     "1",
                     "--batch",
                     "8",
                     "--teacher",
                     a,
                     "--teacher",
                     b,
                     "--teacher-temperature",
                     "3",
                     "--teacher-weight",
                     "0.3",
                     "--workers",
                     "0",
                     "--augment",
                     mirror ? (char *)"default" : (char *)"none",
                     "--out",
                     out};
    train_options o;
    train_run r;
    mn_error e = {0};
    ck_assert(train_parse(&o, (int)(sizeof words / sizeof *words), words));
    o.quiet = true;
    ASSERT_OK(train_open(&r, &o, &e), &e);
    mn_batch batch;
    mn_image im = {0};
    int64_t rows = 0;
    ck_assert(!mn_loader_begin(r.train, 0, 0));
    while (mn_loader_next(r.train, &batch, &e) == 1)
        for (int64_t i = 0; i < batch.n; i++, rows++) {
            double p[7], q[7];
            ASSERT_OK(r.data.all->pixels(r.data.all, r.data.index[MN_SPLIT_TRAIN][batch.index[i]], &im, &e), &e);
            answer(a, &im, mirror, 3, "emotion", p);
            answer(b, &im, mirror, 3, "emotion", q); /* class k there is class 6-k here: "surprise" and "neutral" change, too */
            static const int there[7] = {6, 5, 4, 3, 2, 1, 0};
            for (int k = 0; k < 7; k++)
                ASSERT_CLOSE(batch.soft[0][7 * i + k], 0.7 * (k == batch.label[0][i]) + 0.3 * (p[k] + q[there[k]]) / 2, 1e-5);
            answer(a, &im, mirror, 3, "gender", p); /* b does not know it */
            for (int k = 0; k < 2; k++) ASSERT_CLOSE(batch.soft[1][2 * i + k], 0.7 * (k == batch.label[1][i]) + 0.3 * p[k], 1e-5);
        }
    ck_assert_int_eq(rows, r.data.count[MN_SPLIT_TRAIN]);
    mn_image_free(&im);
    /* validation rows keep their labels */
    ck_assert(!mn_loader_begin(r.valid, 0, 0) && mn_loader_next(r.valid, &batch, &e) == 1 && !batch.soft[0]);
    train_close(&r);
    train_options_free(&o);
}

START_TEST(test_targets) {
    if (!have_model_files()) return;
    make_teachers();
    check_targets(true);
    check_targets(false);
}
END_TEST

/* ---- what is refused, and what is said ---- */

START_TEST(test_refused) {
    if (!have_model_files()) return;
    make_teachers();
    ASSERT_EXIT(1, STUDENT "--teacher nowhere.h5 --out s.h5");
    ASSERT_SAYS("--teacher nowhere.h5: cannot be read");
    ASSERT_EXIT(1, STUDENT "--labels gender --teacher b.h5 --out s.h5");
    ASSERT_SAYS("it predicts \"emotion\", which is not what this run learns (\"gender\")");
    ASSERT_EXIT(1, STUDENT "--classes 6 --teacher a.h5 --out s.h5");
    ASSERT_SAYS("--teacher a.h5: it knows 7 emotion classes, the data has 6");
    ASSERT_EXIT(1, STUDENT "--classes 8 --teacher a.h5 --out s.h5");
    ASSERT_SAYS("it does not know the emotion class \"contempt\"");
    ASSERT_EXIT(1, STUDENT "--seed 1 --teacher a.h5 --out s.h5");
    ASSERT_SAYS("rows of this run were training rows of it");
    ASSERT_EXIT(1, STUDENT "--val 0.3 --teacher a.h5 --out s.h5");
    ASSERT_SAYS("would leak into the scores");
    ASSERT_EXIT(0, STUDENT "--seed 1 --teacher a.h5 --allow-leak --out s.h5");
    ASSERT_SAYS("LEAK      allowed: it saw validation or test rows");
    ASSERT_EXIT(0, "info s.h5");
    ASSERT_SAYS("it saw validation or test rows");
    ASSERT_EXIT(0, STUDENT "--teacher a.h5 --out s.h5");
    ASSERT_SAYS("no validation or test row of this run trained it");
    ASSERT_EXIT(0, STUDENT "--teacher b.h5 --out s.h5"); /* other classes: other data, as far as one can tell */
    ASSERT_SAYS("cannot be known: it was trained on " DATA);
    ASSERT_EXIT(0, STUDENT "--teacher s.h5 --out t.h5");
    ASSERT_SAYS("cannot be known: nor is it known of its own teacher b.h5");
    ASSERT_EXIT(2, STUDENT "--teacher-weight 1.5 --out s.h5");
    ASSERT_EXIT(2, STUDENT "--sample uniform --out s.h5");
    ASSERT_SAYS("--sample wants balanced or balanced=P");
    ASSERT_EXIT(2, STUDENT "--sample balanced --class-weights balanced --out s.h5");
    ASSERT_SAYS("together they would do it twice");
}
END_TEST

/* A model of other hands, and one that cuts its faces differently. */
START_TEST(test_foreign_teacher) {
    if (!have_model_files()) return;
    mn_error e = {0};
    mn_model_info info = {0};
    mn_context *c = mn_context_create(NULL, &e);
    ASSERT_EXIT(0, TEACHER "--size 12 --out a.h5");
    mn_model *m = mn_model_load(c, test_path("a.h5"), &info, &e);
    ck_assert_msg(m != NULL, "%s", e.text);
    mn_free(info.training);
    info.training = NULL;
    ASSERT_OK(mn_model_save(m, &info, test_path("bare.h5"), &e), &e);
    info.preprocess.detect = true, info.preprocess.margin = 0.1;
    ASSERT_OK(mn_model_save(m, &info, test_path("cut.h5"), &e), &e);
    mn_model_info_free(&info);
    mn_context_destroy(c);
    ASSERT_EXIT(0, STUDENT "--teacher bare.h5 --out s.h5");
    ASSERT_SAYS("cannot be known: it has no training record");
    ASSERT_EXIT(0, "info s.h5");
    ASSERT_SAYS("whether it saw these validation and test rows is not known");
    ASSERT_EXIT(1, STUDENT "--teacher cut.h5 --out s.h5");
    ASSERT_SAYS("its pictures are cut out by the pipeline \"detect,margin=0.1\", this run's by \"none\"");
}
END_TEST

/* ---- going on ---- */

/* Two epochs and then two more end where four in one go end; with another teacher they do not go on. */
START_TEST(test_resume) {
    if (!have_model_files()) return;
#define RUN STUDENT "--teacher a.h5 --sample balanced=0.5 --augment default --patience 0 --keep-checkpoint "
    ASSERT_EXIT(0, TEACHER "--size 12 --out a.h5");
    ASSERT_EXIT(0, RUN "--epochs 4 --out whole.h5");
    ASSERT_EXIT(0, RUN "--epochs 2 --out half.h5");
    ASSERT_EXIT(0, "train --resume half.h5.ckpt --epochs 4");
    mn_error e = {0};
    mn_context *c = mn_context_create(NULL, &e);
    mn_model_info info[2];
    memset(info, 0, sizeof info);
    mn_model *m[2] = {mn_model_load(c, test_path("whole.h5"), &info[0], &e),
                      mn_model_load(c, test_path("half.h5"), &info[1], &e)};
    ck_assert_msg(m[0] && m[1], "%s", e.text);
    int n;
    mn_tensor **w = mn_model_parameters(m[0], NULL, &n), **v = mn_model_parameters(m[1], NULL, &n);
    for (int i = 0; i < n; i++) ck_assert(!memcmp(w[i]->data, v[i]->data, (size_t)w[i]->count * sizeof(float)));
    for (int k = 0; k < 2; k++) mn_model_info_free(&info[k]);
    mn_context_destroy(c);
    ASSERT_EXIT(0,
                "eval --model a.h5 --data " DATA " --split valid --no-baseline"); /* scores added to the file: the same teacher */
    ASSERT_EXIT(0, "train --resume half.h5.ckpt --epochs 5");
    ASSERT_EXIT(0, TEACHER "--size 12 --lr 0.01 --out a.h5");
    ASSERT_EXIT(1, "train --resume half.h5.ckpt --epochs 6");
    ASSERT_SAYS("the teacher a.h5 has changed since");
}
END_TEST

/* What it is for: a student whose labels are half wrong learns from a teacher that knows better. */
START_TEST(test_it_teaches) {
    if (!have_model_files()) return;
    enum { N = 240 };
    char csv[N * 64] = "path,label,split\n", *at = csv + strlen(csv);
    help_folder("spots");
    for (int i = 0; i < N; i++) { /* a bright left or right half under noise */
        mn_image im = {0};
        mn_error e = {0};
        mn_rng rng = mn_rng_create(9, (uint64_t)i);
        char name[40];
        ASSERT_OK(mn_image_reserve(&im, 8, 8, 1, &e), &e);
        for (int k = 0; k < 64; k++) im.pixels[k] = (uint8_t)(90 + 40 * ((k % 8 < 4) == (i % 2)) + (int)mn_rng_below(&rng, 60));
        snprintf(name, sizeof name, "spots/%d.png", i);
        ASSERT_OK(mn_image_save_png(&im, test_path(name), &e), &e);
        mn_image_free(&im);
        bool wrong = i < 160 && mn_rng_below(&rng, 20) < 9;
        at += sprintf(at, "%s,%s,%s\n", name, (i % 2) ^ wrong ? "left" : "right", i < 160 ? "train" : i < 200 ? "valid" : "test");
    }
    help_write_text(test_path("noisy.csv"), csv);
    at = csv + sprintf(csv, "path,label,split\n");
    for (int i = 200; i < N; i++) at += sprintf(at, "spots/%d.png,%s,train\n", i, i % 2 ? "left" : "right");
    help_write_text(test_path("clean.csv"), csv);
#define SPOTS "--net logreg --size 8 --epochs 30 --lr 0.1 --threads 1 --no-baseline --allow-leak --patience 0 "
    ASSERT_EXIT(0, "train --data list:clean.csv --val 0 " SPOTS "--out wise.h5");
    double right[2];
    for (int k = 0; k < 2; k++) {
        ASSERT_EXIT(0, "train --data list:noisy.csv " SPOTS "%s --out pupil.h5",
                    k ? "--teacher wise.h5 --teacher-weight 0.9 --teacher-temperature 1" : "");
        ASSERT_EXIT(0, "eval --model pupil.h5 --data list:noisy.csv --split valid --no-baseline");
        ck_assert(sscanf(strstr(output, "label: "), "label: %lf", &right[k]) == 1);
    }
    ck_assert_msg(right[1] >= 95 && right[1] > right[0] + 5, "%g %% alone, %g %% taught", right[0], right[1]);
}
END_TEST

TEST_SUITE(teach, test_mix, test_targets, test_refused, test_foreign_teacher, test_resume, test_it_teaches)
#else
START_TEST(test_without) { test_skip("teachers are model files, which need libhdf5 and jansson"); }
END_TEST
TEST_SUITE(teach, test_without)
#endif
