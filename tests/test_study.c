/* mien embed and mien tune on small rendered faces. */
#include "apps/app.h"
#include "apps/probe.h"
#include "data/data.h"
#include "tests/data_help.h"
#include "tests/program.h"
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

/* The head's numbers are logits: their softmax is what mien eval writes, to its six digits. */
START_TEST(test_embed) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0, "train --data rendered:60,size=16 --labels emotion --size 16 --net logreg --epochs 1 --threads 1 --out e.h5");
    ASSERT_EXIT(0, "embed e.h5 emotion rendered:60,size=16 --out e.npy --probe knn --threads 1");
    ASSERT_SAYS("knn       emotion, test rows: ");
    ASSERT_SAYS("60 pictures, 7 numbers each");
    ASSERT_EXIT(0, "eval --model e.h5 --data rendered:60,size=16 --split all --predictions e.csv --threads 1");
    size_t n;
    size_t m;
    char *npy = test_read_file(test_path("e.npy"), &n), *names = test_read_file(test_path("e.npy.csv"), &m);
    char *csv = test_read_file(test_path("e.csv"), &m);
    ck_assert_int_eq(n, 128 + 60 * 7 * 4);
    ck_assert(!memcmp(npy, "\x93NUMPY\x01\x00\x76\x00", 10) && npy[127] == '\n');
    ck_assert_ptr_nonnull(strstr(npy + 10, "'descr': '<f4', 'fortran_order': False, 'shape': (60, 7), }"));
    char *row = strchr(names, '\n') + 1;
    for (int i = 0; i < 60; i++, row = strchr(row, '\n') + 1) {
        float x[7], sum = 0;
        char id[64];
        memcpy(x, npy + 128 + i * 28, sizeof x);
        for (int k = 0; k < 7; k++) sum += expf(x[k]);
        snprintf(id, sizeof id, "\n%.*s,", (int)strcspn(row, ","), row);
        char *at = strstr(csv, id);
        ck_assert_ptr_nonnull(at);
        for (int k = 0; k < 3; k++) at = strchr(at + 1, ',');
        for (int k = 0; k < 7; k++, at = strpbrk(at + 1, ",\n")) ASSERT_CLOSE(atof(at + 1), expf(x[k]) / sum, 2e-5);
    }
    free(npy);
    free(names);
    free(csv);
    ASSERT_EXIT(1, "embed e.h5 nothing rendered:60,size=16 --out e.csv");
    ASSERT_SAYS("no layer \"nothing\"");
    ASSERT_EXIT(2, "embed e.h5 emotion rendered:60,size=16");
}
END_TEST

/* Separable classes are learnt by both probes; labels that have nothing to do with the features by none. */
START_TEST(test_probes) {
    enum { N = 300, WIDTH = 11 };
    static float x[N * WIDTH], p[N * 3];
    static int32_t label[N];
    static int64_t train[200], rest[100];
    mn_rng r = mn_rng_create(1, 0);
    for (int i = 0; i < N; i++) {
        label[i] = i % 3;
        for (int k = 0; k < WIDTH; k++) x[i * WIDTH + k] = (float)(mn_rng_normal(&r) + 4 * (k % 3 == label[i]));
        if (i < 200)
            train[i] = i;
        else
            rest[i - 200] = i;
    }
    for (int kind = 0; kind < 2; kind++)
        for (int shuffled = 0; shuffled < 2; shuffled++) {
            mn_error err = {0};
            for (int i = 0; i < N; i++) label[i] = shuffled ? (int32_t)mn_rng_below(&r, 3) : i % 3;
            label[5] = -1;
            probe_rows f = {.n = N, .width = WIDTH, .classes = 3, .x = x, .label = label};
            ASSERT_OK(probe_run(kind, &f, train, 200, rest, 100, 1, 0, p, &err), &err);
            int hits = 0;
            for (int i = 0; i < 100; i++) {
                const float *q = p + 3 * i;
                int best = q[1] > q[0] ? 1 : 0;
                best = q[2] > q[best] ? 2 : best;
                hits += best == label[rest[i]];
                ASSERT_CLOSE(q[0] + q[1] + q[2], 1, 1e-5);
            }
            ck_assert_msg(shuffled ? hits < 60 : hits > 97, "%s: %d of 100", probe_names[kind], hits);
        }
}
END_TEST

#define TUNE "tune --data rendered:70,size=16 --net logreg --epochs 2 --log t.jsonl "
#define REST " -- --size 16 --threads 1 --labels emotion"

static int lines_of(const char *name) {
    size_t n;
    char *text = test_read_file(test_path(name), &n);
    int lines = 0;
    for (char *p = text; (p = strchr(p, '\n')); p++) lines++;
    free(text);
    return lines;
}

START_TEST(test_tune) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0, TUNE "--search grid --lr 0.1,0.01" REST);
    ASSERT_SAYS("winner    mien train --data rendered:70,size=16 --net logreg --lr ");
    ck_assert_int_eq(lines_of("t.jsonl"), 2);
    ASSERT_EXIT(0, TUNE "--search grid --lr 0.1,0.01,0.001" REST); /* two of three are known */
    ck_assert_int_eq(lines_of("t.jsonl"), 3);
    FILE *f = fopen(test_path("t.jsonl"), "a"); /* a line that was cut */
    fputs("{\"command\":\"mien tr", f);
    fclose(f);
    ASSERT_EXIT(0, TUNE "--lr 1e-3..1e-1 --trials 4 --halving 2 --epochs 4" REST); /* 4 x 1, 2 x 2, 1 x 4 epochs */
    ck_assert_int_eq(lines_of("t.jsonl"), 3 + 1 + 7);
    ASSERT_EXIT(0, TUNE "--lr 1e-3..1e-1 --trials 4 --halving 2 --epochs 4" REST);
    ck_assert_int_eq(lines_of("t.jsonl"), 3 + 1 + 7);
    ck_assert_int_ne(access(test_path("t.jsonl.trial.ckpt"), F_OK), 0);
    static const char net[] =
        "{\"name\": \"n\", \"input\": [16, 16, 1], \"layers\": [{\"class\": \"Flatten\"}, {\"class\": \"Heads\"}]}";
    help_folder("a-folder-of-a-long-name");
    test_write_file(test_path("a-folder-of-a-long-name/plain.json"), net, sizeof net - 1);
    ASSERT_EXIT(
        0,
        "tune --data rendered:70,size=16 --log t.jsonl --net a-folder-of-a-long-name/plain.json --epochs 1 --search grid" REST);
    ASSERT_SAYS(" net plain.json");
    ASSERT_EXIT(2, TUNE "--lr 0.1 --split test" REST);
    ASSERT_SAYS("only validation rows may choose");
    ASSERT_EXIT(1, TUNE "--lr 0.1 --trials 1" REST " --val 0");
    ASSERT_SAYS("no validation rows");
    ASSERT_EXIT(2, TUNE "--search grid --lr 1e-3..1e-1" REST);
}
END_TEST

/* One layer at a time is left out and its readers read on; what is in the log is not trained again. */
START_TEST(test_ablate) {
    if (!have_model_files()) return;
    static const char net[] =
        "{\"name\": \"small\", \"input\": [\"height\", \"width\", \"channels\"], \"layers\": ["
        "{\"class\": \"Conv2D\", \"filters\": 2, \"kernel_size\": 3, \"strides\": 2, \"padding\": \"same\"},"
        "{\"class\": \"BatchNormalization\"}, {\"class\": \"ReLU\"}, {\"class\": \"GlobalAveragePooling2D\"},"
        "{\"class\": \"Dropout\", \"rate\": 0.1}, {\"class\": \"Heads\"}]}";
    test_write_file(test_path("small.json"), net, sizeof net - 1);
    for (int pass = 0; pass < 2; pass++) {
        ASSERT_EXIT(0, "ablate --data rendered:70,size=16 --net small.json --seeds 2 --out ab" REST " --epochs 1 --augment flip");
        ASSERT_SAYS("no BatchNormalization");
        ASSERT_SAYS("no Dropout");
        ASSERT_SAYS("no last:Conv2D");
        ASSERT_SAYS("no augment");
        ASSERT_SAYS("      49 "); /* 20 of the convolution, 8 of batch norm, 21 of the head */
        ASSERT_SAYS("      41 ");
        ck_assert_int_eq(lines_of("ab/log.jsonl"), 5 * 2);
    }
    size_t n;
    char *json = test_read_file(test_path("ab/BatchNormalization.json"), &n);
    ck_assert_ptr_null(strstr(json, "BatchNormalization"));
    ck_assert_ptr_nonnull(strstr(json, "Dropout"));
    free(json);
    ASSERT_EXIT(1, "ablate --data rendered:70,size=16 --net small.json --drop LSTM --out ab" REST " --epochs 1");
    ASSERT_SAYS("matches no layer that can go");
}
END_TEST

/* Layers of a class become another's, options kept; nothing else is left out. */
START_TEST(test_swap) {
    if (!have_model_files()) return;
    static const char net[] =
        "{\"name\": \"pools\", \"input\": [\"height\", \"width\", \"channels\"], \"layers\": ["
        "{\"class\": \"Conv2D\", \"filters\": 2, \"kernel_size\": 3}, {\"class\": \"BatchNormalization\"},"
        "{\"class\": \"MaxPooling2D\", \"name\": \"first\", \"pool_size\": 3, \"padding\": \"same\"},"
        "{\"class\": \"MaxPooling2D\", \"name\": \"second\"}, {\"class\": \"Flatten\"}, {\"class\": \"Heads\"}]}";
    test_write_file(test_path("pools.json"), net, sizeof net - 1);
#define SWAP "ablate --data rendered:70,size=16 --net pools.json --seeds 2 --out sw "
    ASSERT_EXIT(0, SWAP "--swap MaxPooling2D=AveragePooling2D" REST " --epochs 1");
    ASSERT_SAYS("MaxPooling2D=AveragePo");
    ck_assert_ptr_null(strstr(output, "no "));
    ck_assert_int_eq(lines_of("sw/log.jsonl"), 2 * 2);
    mn_error e = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, &e);
    mn_net_head heads[] = {{"emotion", 7}};
    mn_net_opt opt = {.channels = 1, .height = 16, .width = 16, .heads = heads, .n_heads = 1};
    char whole[300];
    snprintf(whole, sizeof whole, "%s", test_path("sw/whole.json"));
    mn_model *m[2] = {mn_net_open(c, whole, &opt), mn_net_open(c, test_path("sw/MaxPooling2D-AveragePooling2D.json"), &opt)};
    ck_assert_msg(m[0] && m[1], "%s", mn_context_error(c)->text);
    ck_assert_int_eq(mn_model_layers(m[0]), mn_model_layers(m[1]));
    int swapped = 0;
    for (int i = 0; i < mn_model_layers(m[0]); i++) { /* the same names, shapes and options but for the class */
        mn_layer_look a = mn_model_look(m[0], i), b = mn_model_look(m[1], i);
        ck_assert(!strcmp(a.name, b.name) && mn_shape_equal(a.shape, b.shape));
        bool pool = !strcmp(a.kind, "MaxPooling2D");
        ck_assert_str_eq(b.kind, pool ? "AveragePooling2D" : a.kind);
        swapped += pool;
    }
    ck_assert_int_eq(swapped, 2);
    mn_context_destroy(c);
    ASSERT_EXIT(1, SWAP "--swap LSTM=ConvLSTM2D" REST " --epochs 1");
    ASSERT_SAYS("--swap LSTM=ConvLSTM2D: the network has no layer of that class");
    ASSERT_EXIT(2, SWAP "--swap MaxPooling2D" REST " --epochs 1");
    ASSERT_SAYS("--swap wants A=B");
    ASSERT_EXIT(0, SWAP "--swap MaxPooling2D=Conv2D" REST " --epochs 1"); /* which wants other options: a row that says so */
    ASSERT_SAYS("MaxPooling2D=Conv2D");
    ck_assert_int_eq(lines_of("sw/log.jsonl"), 2 * 2);
}
END_TEST

TEST_SUITE(study, test_embed, test_probes, test_tune, test_ablate, test_swap)
