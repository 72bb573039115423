/* The program as a user meets it: exit statuses, sentences, files, interrupted runs. It runs the `mien` that
 * lies beside this test program (MIEN_BIN names another) on small rendered faces. */
#include "apps/app.h"
#include "apps/train.h"
#include "tests/program.h"
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool exists(const char *name) { return access(test_path(name), R_OK) == 0; }

/* ---- words ---- */

START_TEST(test_words) {
    ASSERT_EXIT(2, " ");
    ASSERT_EXIT(0, "--version");
    ASSERT_SAYS("mien " APP_VERSION);
    ASSERT_EXIT(0, "help");
    for (const app_command *c = app_commands; c->name; c++) ASSERT_SAYS(c->line);
    ASSERT_EXIT(2, "trian");
    ASSERT_SAYS("did you mean \"train\"?");
    ASSERT_EXIT(2, "help nothing");
    ASSERT_EXIT(2, "train --nonsense");
    ASSERT_EXIT(2, "gradcheck conv3d");
    ASSERT_SAYS("did you mean \"conv2d\"?");
    ASSERT_EXIT(0, "gradcheck relu");
    ASSERT_SAYS("1 operations, 0 failed");
}
END_TEST

static void assert_columns(const char *text, int most, const char *of) {
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\r\n");
        int columns = 0; /* escape sequences take none, nor do the second bytes of UTF-8 */
        for (size_t i = 0; i < n; i++) {
            if (p[i] == 27) {
                while (i < n && !strchr("mKhl", p[i])) i++;
                continue;
            }
            columns += ((unsigned char)p[i] & 0xc0) != 0x80;
        }
        ck_assert_msg(columns <= most, "%s: %d columns: %.*s", of, columns, (int)n, p);
        p += n + (p[n] != 0);
    }
}

START_TEST(test_help_fits) {
    for (const app_command *c = app_commands; c->name; c++) {
        ASSERT_EXIT(0, "help %s", c->name);
        assert_columns(output, 80, c->name);
        ck_assert_msg(!strcmp(c->name, "help") || strstr(output, "Examples:"), "mien help %s shows no example", c->name);
    }
}
END_TEST

START_TEST(test_wrong_use) {
    if (!have_model_files()) return;
    ASSERT_EXIT(2, "train --out a.h5");
    ASSERT_SAYS("--data SPEC");
    ASSERT_EXIT(2, "train --data rendered:10");
    ASSERT_SAYS("--out MODEL.h5");
    ASSERT_EXIT(2, "train --data rendered:10 --out a.h5 --net vvg");
    ASSERT_SAYS("did you mean \"vgg\"?");
    ASSERT_EXIT(2, "train --data rendered:10 --out a.h5 --lr much");
    ASSERT_SAYS("--lr wants a number");
    ASSERT_EXIT(2, "train --data rendered:10 --out a.h5 --epochs 0");
    ASSERT_EXIT(2, "train --data rendered:10 --out a.h5 --augment filp");
    ASSERT_EXIT(2, "train --data rendered:10 --out a.h5 --schedule cosign");
    ASSERT_EXIT(2, "train rendered:10");
    ASSERT_EXIT(2, "eval --data rendered:10");
    ASSERT_SAYS("--model MODEL.h5");
    ASSERT_EXIT(2, "bench --mode guess");
}
END_TEST

START_TEST(test_what_is_not_there) {
    if (!have_model_files()) return;
    ASSERT_EXIT(1, "train --data fer2013:nothing.csv --out a.h5");
    ASSERT_SAYS("nothing.csv");
    ASSERT_EXIT(1, "train --data rendered --out a.h5");
    ASSERT_SAYS("rendered:COUNT");
    ASSERT_EXIT(1, "train --data rendered:10 --labels age --out a.h5");
    ASSERT_SAYS("no labels \"age\"");
    ASSERT_EXIT(1, "train --data rendered:10 --out no/such/folder/a.h5");
    ASSERT_SAYS("create its folder first");
    ASSERT_EXIT(1, "train --data rendered:10 --out .");
    ASSERT_SAYS("directory");
    ASSERT_EXIT(1, "train --resume nothing.ckpt");
    ASSERT_SAYS("nothing.ckpt");
    ASSERT_EXIT(1, "eval --model nothing.h5 --data rendered:10");
    ASSERT_SAYS("nothing.h5");
    ASSERT_EXIT(1, "eval --model nothing --data rendered:10");
    ASSERT_SAYS("nothing");
    ASSERT_EXIT(1, "info nothing.h5");
    ASSERT_EXIT(1, "info see2");
    ASSERT_SAYS("did you mean \"seed2\"?");
    test_write_file(test_path("text.h5"), "not a model", 11);
    ASSERT_EXIT(1, "info text.h5");
    ASSERT_SAYS("text.h5");
    ck_assert(!exists("a.h5"));
}
END_TEST

/* ---- from training to scores ---- */

#define SMALL "--data rendered:120,size=16 --size 16 --threads 1 --batch 16"

START_TEST(test_train_eval_info) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0, "train " SMALL " --net logreg --epochs 3 --lr 0.01 --out m.h5 --log run.jsonl --plot curves.svg");
    ASSERT_SAYS("best      epoch");
    ASSERT_SAYS("wrote     m.h5");
    assert_columns(output, 110, "mien train"); /* one line names files */
    ck_assert(exists("m.h5") && exists("curves.svg") && !exists("m.h5.ckpt"));
    size_t n;
    char *log = test_read_file(test_path("run.jsonl"), &n);
    int lines = 0;
    for (char *p = log; (p = strchr(p, '\n')); p++) lines++;
    ck_assert_int_eq(lines, 4);
    ck_assert_ptr_nonnull(strstr(log, "\"valid_loss\""));
    free(log);
    setenv("MIEN_MODELS", test_path("."), 1); /* a model by its name */
    ASSERT_EXIT(0, "eval --model m --data rendered:120,size=16");
    ASSERT_SAYS("test rows of rendered:120");
    unsetenv("MIEN_MODELS");
    ASSERT_EXIT(0, "eval --model m.h5 --data rendered:120,size=16 --json s.json --predictions p.csv --plot c.svg");
    ASSERT_SAYS("test rows of rendered:120");
    assert_columns(output, 80, "mien eval");
    char *csv = test_read_file(test_path("p.csv"), &n), *json = test_read_file(test_path("s.json"), &n);
    ck_assert_ptr_eq(strstr(csv, "id,emotion,emotion_predicted,emotion_p_angry"), csv);
    ck_assert_ptr_nonnull(strstr(json, "\"accuracy_95\""));
    ck_assert_ptr_nonnull(strstr(json, "\"rows\": \"test\""));
    free(csv);
    free(json);
    ck_assert(exists("c.svg"));
    /* Data that it has not seen is not cut. */
    ASSERT_EXIT(0, "eval --model m.h5 --data rendered:50,size=16,seed=9");
    ASSERT_SAYS("all rows of rendered:50,size=16,seed=9: 50 pictures");
    ASSERT_EXIT(1, "eval --model m.h5 --data rendered:50,size=16,seed=9 --split valid");
    test_write_file(test_path("mien"), "a file named like the program", 29);
    ASSERT_EXIT(0, "info m.h5");
    ASSERT_SAYS("angry disgust fear");
    ASSERT_SAYS("trained   by mien");
    ASSERT_EXIT(0, "info --dot m.h5");
    ASSERT_SAYS("digraph");
}
END_TEST

/* The validation rows of mien eval are those of the training: the same loss as the best epoch's. */
START_TEST(test_same_validation_rows) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0, "train " SMALL " --net logreg --epochs 1 --labels emotion --seed 5 --out v.h5");
    const char *at = strstr(output, "validation loss ");
    ck_assert_ptr_nonnull(at);
    double loss = atof(at + 16);
    ASSERT_EXIT(0, "eval --model v.h5 --data rendered:120,size=16 --split valid --threads 1 --uncalibrated");
    at = strstr(output, "loss ");
    ck_assert_ptr_nonnull(at);
    ASSERT_CLOSE(atof(at + 5), loss, 6e-4);
}
END_TEST

/* Pictures of one data set have an expression, those of the other a gender; test pictures are not even
 * opened. */
START_TEST(test_two_data_sets) {
    if (!have_model_files() || !MN_HAVE_PNG) return;
    ASSERT_EXIT(0, "render --out faces --count 42 --size 16");
    char list[8192] = "path,gender,split\n", path[600];
    for (int i = 0; i < 20; i++) {
        mn_face face;
        mn_image im = {0};
        mn_error err = {0};
        mn_face_random(&face, 3, (uint64_t)i, 0, i % 7, i % 2);
        ASSERT_OK(mn_face_render(&face, 16, 1, &im, &err), &err);
        snprintf(path, sizeof path, "%s/g%d.png", test_tmpdir(), i);
        const char *split = i < 14 ? "train" : i < 18 ? "valid" : "test";
        if (i < 18)
            ASSERT_OK(mn_image_save_png(&im, path, &err), &err);
        else
            test_write_file(path, i == 18 ? "broken" : "broken too", i == 18 ? 6 : 10);
        snprintf(list + strlen(list), sizeof list - strlen(list), "g%d.png,%s,%s\n", i, mn_gender_names[i % 2], split);
        mn_image_free(&im);
    }
    test_write_file(test_path("list.csv"), list, strlen(list));
    ASSERT_EXIT(0, "train --data folder:faces --data list:list.csv --size 16 --net logreg --epochs 2 --out two.h5");
    ASSERT_SAYS("-> emotion 7, gender 2");
    ASSERT_EXIT(0, "eval --model two.h5 --data folder:faces");
    ASSERT_SAYS("gender: -, 0 pictures");
    ASSERT_EXIT(1, "eval --model two.h5 --data list:list.csv"); /* its test rows are broken */
    ASSERT_SAYS("g18.png");
    ASSERT_EXIT(0, "eval --model two.h5 --data list:list.csv --split valid");
    /* Other classes: a new head on the weights that fit. */
    ASSERT_EXIT(0, "train --data list:list.csv --init two.h5 --net logreg --epochs 1 --out own.h5");
    ASSERT_SAYS("weights taken from two.h5");
    ASSERT_EXIT(1, "train --data list:list.csv --init two.h5 --freeze nothing --epochs 1 --out own.h5");
    ASSERT_SAYS("matches no layer");
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(test_loss_runs_away) {
    if (!have_model_files()) return;
    ASSERT_EXIT(1, "train " SMALL " --net seed2 --epochs 3 --lr 1e9 --out nan.h5");
    ASSERT_SAYS("not a finite number");
    ASSERT_SAYS("a smaller --lr");
    ck_assert(!exists("nan.h5"));
}
END_TEST

/* A disk that is full when results are written: here, a limit on the size of files. */
START_TEST(test_no_room) {
    if (!have_model_files()) return;
    char line[12000];
    snprintf(line, sizeof line,
             "cd %s && mkdir -p else && ulimit -f 4 && TMPDIR=else %s train " SMALL " --net logreg --epochs 2 --out full.h5 2>&1",
             test_tmpdir(), program());
    FILE *f = popen(line, "r");
    size_t n = fread(output, 1, sizeof output - 1, f);
    output[n] = 0;
    int status = pclose(f);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %d:\n%s", status, output);
    ASSERT_SAYS("no checkpoint");
    ASSERT_SAYS("training goes on");
    ASSERT_SAYS("full.h5");
    ck_assert(!exists("full.h5"));
}
END_TEST

/* ---- interrupted runs ---- */

/* Dropout, batch norm, momentum, averages, augmentation, a schedule: all that has a state. */
#define LONG                                                                                                                     \
    "train --data rendered:200,size=16 --size 16 --net seed1 --batch 8 --epochs 3 --lr 0.01 --ema 0.9 "                          \
    "--threads 1 "                                                                                                               \
    "--augment default --schedule cosine,warmup=0.1 --seed 3 --out "

/* Starts a run, waits until `file` is there, sends `signal_number`; returns how the run ended. */
static int interrupted(const char *arguments, const char *file, int signal_number) {
    char line[12000];
    snprintf(line, sizeof line, "cd %s && exec %s %s >said.txt 2>&1", test_tmpdir(), program(), arguments);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    int status, ended = 0;
    while (!exists(file) && !(ended = waitpid(pid, &status, WNOHANG))) usleep(2000);
    if (!ended) {
        kill(pid, signal_number);
        waitpid(pid, &status, 0);
    }
    size_t n;
    char *said = test_read_file(test_path("said.txt"), &n);
    snprintf(output, sizeof output, "%s", said);
    free(said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Every number of two model files is the same, bit for bit. */
static void assert_same_model(const char *a, const char *b) {
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, &err);
    mn_model_info info[2];
    memset(info, 0, sizeof info);
    mn_model *m[2] = {mn_model_load(c, test_path(a), &info[0], &err), mn_model_load(c, test_path(b), &info[1], &err)};
    ck_assert_msg(m[0] && m[1], "%s", err.text);
    int n[2], trained;
    mn_tensor **w[2] = {mn_model_parameters(m[0], &trained, &n[0]), mn_model_parameters(m[1], &trained, &n[1])};
    ck_assert_int_eq(n[0], n[1]);
    for (int i = 0; i < n[0]; i++) {
        ck_assert_int_eq(w[0][i]->count, w[1][i]->count);
        ck_assert_msg(!memcmp(w[0][i]->data, w[1][i]->data, (size_t)w[0][i]->count * sizeof(float)),
                      "%s differs between %s and %s", w[0][i]->name, a, b);
    }
    for (int k = 0; k < 2; k++) mn_model_info_free(&info[k]);
    mn_context_destroy(c);
}

START_TEST(test_resume_to_the_bit) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0, LONG "whole.h5 --keep-checkpoint");
    ck_assert(exists("whole.h5.ckpt"));
    ASSERT_EXIT(0, LONG "again.h5 --workers 0");
    assert_same_model("whole.h5", "again.h5");
    /* kill -9 after the first epoch: nothing is said, the checkpoint is whole. */
    ck_assert_int_eq(interrupted(LONG "killed.h5", "killed.h5.ckpt", SIGKILL), 128 + SIGKILL);
    ASSERT_EXIT(0, "train --resume killed.h5.ckpt");
    ASSERT_SAYS("resumed   after");
    assert_same_model("whole.h5", "killed.h5");
    /* Ctrl-C, somewhere in the second epoch; twice. */
    ck_assert_int_eq(interrupted(LONG "stopped.h5", "stopped.h5.ckpt", SIGINT), 1);
    ASSERT_SAYS("go on with");
    ASSERT_SAYS("train --resume 'stopped.h5.ckpt'");
    ck_assert(!exists("stopped.h5"));
    ASSERT_EXIT(2, "train --resume stopped.h5.ckpt --lr 0.5");
    ASSERT_SAYS("--lr cannot change");
    interrupted("train --resume stopped.h5.ckpt --log resumed.jsonl", "resumed.jsonl", SIGTERM);
    if (!exists("stopped.h5")) ASSERT_EXIT(0, "train --resume stopped.h5.ckpt");
    assert_same_model("whole.h5", "stopped.h5");
}
END_TEST

START_TEST(test_resume_damaged) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0, "train " SMALL " --net logreg --epochs 1 --out d.h5 --keep-checkpoint");
    size_t n;
    char *bytes = test_read_file(test_path("d.h5.ckpt"), &n);
    for (size_t cut = 0; cut < n; cut += n / 7 + 1) {
        test_write_file(test_path("cut.ckpt"), bytes, cut);
        ASSERT_EXIT(1, "train --resume cut.ckpt");
        ASSERT_SAYS("cut.ckpt");
    }
    free(bytes);
    ASSERT_EXIT(1, "train --resume d.h5"); /* a model is not a checkpoint */
}
END_TEST

/* ---- the terminal ---- */

START_TEST(test_on_a_terminal) {
    if (!have_model_files()) return;
    struct winsize size = {.ws_row = 24, .ws_col = 50};
    int master;
    char line[12000];
    snprintf(line, sizeof line,
             "cd %s && exec %s train --data rendered:200,size=16 --size 16 --net seed1 --batch 4 --epochs 2 "
             "--out tty.h5",
             test_tmpdir(), program());
    pid_t pid = forkpty(&master, NULL, NULL, &size);
    if (pid < 0) { /* a container without /dev/pts */
        test_skip("the progress bar on a terminal: this machine gives no pseudo-terminal");
        return;
    }
    if (pid == 0) {
        setenv("TERM", "xterm", 1);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    size_t used = 0;
    ssize_t n;
    while (used < sizeof output - 1 && (n = read(master, output + used, sizeof output - 1 - used)) > 0) used += (size_t)n;
    output[used] = 0;
    int status;
    waitpid(pid, &status, 0);
    close(master);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", output);
    for (char *p = output; (p = strstr(p, "\repoch")); p++) { /* the redrawn lines */
        size_t length = strcspn(p + 1, "\r\n\033");
        ck_assert_msg(length < 50, "%zu columns: %.*s", length, (int)length, p + 1);
    }
}
END_TEST

/* ---- no allocation in the steady state ---- */

/* What a file of another program does not say, and the C file. */
START_TEST(test_foreign) {
    if (!have_model_files()) return;
    ASSERT_EXIT(0, "train --data rendered:60,size=16 --net logreg --epochs 1 --out f.h5");
    ASSERT_EXIT(0, "eval --model f.h5 --data rendered:40,size=16 --no-baseline --input-range -1,1 --grey mean");
    ASSERT_EXIT(1, "eval --model f.h5 --data rendered:40,size=16 --class-names a,b");
    ASSERT_SAYS("--class-names names 2 classes, the model's head \"emotion\" has 7");
    ASSERT_EXIT(2, "eval --model f.h5 --data rendered:40,size=16 --input-range 1,0");
    ASSERT_SAYS("--input-range is \"1,0\"; wanted two numbers");
    ASSERT_EXIT(0, "export f.h5 --c f.c --int8 --data rendered:40,size=16 --class-names mood=a,b,c,d,e,f,g");
    ASSERT_SAYS("on 40 rows of rendered:40");
    ck_assert(exists("f.c"));
    ASSERT_EXIT(0, "convert f.h5 f2.h5 --class-names mood:a,b,c,d,e,f,g --input-range -1,1");
    ASSERT_EXIT(0, "info f2.h5");
    ASSERT_SAYS("predicts  mood: a b c d e f g");
    ASSERT_SAYS("numbers -1..1");
    ASSERT_EXIT(1, "convert f.h5 f2.h5 --class-names a,b");
    ASSERT_SAYS("--class-names names 2 classes, the model's head \"emotion\" has 7");
    ASSERT_EXIT(2, "convert f.h5 f2.h5 --input-range 1,0");
    ASSERT_EXIT(0, "convert f.h5 g.onnx");
    size_t before, after;
    char *was = test_read_file(test_path("g.onnx"), &before), *is;
    ASSERT_EXIT(0, "eval --model g.onnx --data rendered:40,size=16 --no-baseline");
    ASSERT_SAYS("g.onnx stays as it is");
    is = test_read_file(test_path("g.onnx"), &after);
    ck_assert(before == after && !memcmp(was, is, before) && !exists("g.card.md"));
    free(was), free(is);
    ASSERT_EXIT(1, "convert f.h5 f.keras");
    ASSERT_SAYS("wanted .h5, .hdf5, .onnx or .safetensors; hint: Keras 3 loads .h5 files, too");
    ck_assert(!exists("f.keras"));
    test_write_file(test_path("zip.keras"), "PK\3\4 and so on", 14);
    ASSERT_EXIT(1, "convert zip.keras f2.h5");
    ASSERT_SAYS("save the model as .h5 in Keras");
    ASSERT_EXIT(2, "info --dot f.dot f.h5");
    ASSERT_SAYS("--dot takes no file");
    ASSERT_EXIT(2, "export f.h5");
    ASSERT_SAYS("--c FILE.c is missing");
}
END_TEST

START_TEST(test_no_allocation) {
#if MN_HAVE_JSON
    char out[600];
    snprintf(out, sizeof out, "%s", test_path("a.h5"));
    train_options o = {.data = {"rendered:60,size=16"},
                       .n_data = 1,
                       .valid = 0.2,
                       .test = 0,
                       .net = "seed1",
                       .labels = "auto",
                       .out = out,
                       .epochs = 3,
                       .batch = 8,
                       .patience = -1,
                       .optim = {.lr = 0.01, .momentum = 0.9},
                       .schedule_text = "constant",
                       .augment_text = "default",
                       .ema = 0.9,
                       .threads = 1,
                       .width = 16,
                       .height = 16,
                       .grey = -1,
                       .balanced = true};
    mn_error err = {0};
    ASSERT_OK(mn_augment_parse("default", &o.augment, &err), &err);
    int quiet = open("/dev/null", O_WRONLY), saved = dup(1);
    fflush(stdout);
    dup2(quiet, 1);
    train_run r;
    mn_status s = train_open(&r, &o, &err);
    fflush(stdout);
    dup2(saved, 1);
    ASSERT_OK(s, &err);
    int64_t before = 0;
    mn_batch b;
    ck_assert_int_ge(r.per_epoch, 5);
    for (int epoch = 0; epoch < 2; epoch++, r.epoch++, r.batch = 0) {
        ASSERT_OK(mn_loader_begin(r.train, epoch, 0), &err);
        for (int k = 0; mn_loader_next(r.train, &b, &err) > 0; k++) {
            if (epoch == 0 && k == 3) before = mn_allocation_count();
            ASSERT_OK(train_step(&r, &b, &err), &err);
        }
    }
    ck_assert_int_eq(mn_allocation_count(), before);
    train_close(&r);
#endif
}
END_TEST

/* Where to compute: a GPU that cannot be used is a sentence, or the CPU and a warning. */
START_TEST(test_devices) {
    ASSERT_EXIT(0, "devices");
    ASSERT_SAYS("cpu      ");
    ASSERT_SAYS("kernels");
    bool none = strstr(output, "no GPU") != NULL;
    ASSERT_EXIT(2, "devices gpu");
    ASSERT_EXIT(2, "bench --device gpu");
    ASSERT_SAYS("knows cpu, cuda, auto");
    ASSERT_EXIT(2, "bench --memory-limit 0");
    ASSERT_EXIT(1, "bench --net tiny --memory-limit 1 --seconds 0.01");
    ASSERT_SAYS("the memory limit is 1 MB");
    if (!none) return;
    ASSERT_EXIT(1, "bench --net tiny --size 16 --batch 1 --device cuda --seconds 0.01");
    ASSERT_SAYS("hint: ");
    ASSERT_EXIT(0, "bench --net tiny --size 16 --batch 1 --device auto --seconds 0.01");
    ASSERT_SAYS("WARNING: no GPU is used, the CPU computes. ");
}
END_TEST

TEST_SUITE(cli, test_words, test_devices, test_help_fits, test_wrong_use, test_what_is_not_there, test_train_eval_info,
           test_same_validation_rows, test_two_data_sets, test_loss_runs_away, test_no_room, test_resume_to_the_bit,
           test_resume_damaged, test_on_a_terminal, test_no_allocation, test_foreign)
