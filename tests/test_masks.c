/* Clips of different length: what is missing changes nothing, in numbers, gradients, training, evaluation and prediction. */
#include "layers/layers.h"
#include "tests/data_help.h"
#include "tests/program.h"

/* ---- numbers ---- */

/* A strip of 3 of 5 frames: the numbers of a strip of 3, then zeros, whatever the normalisation. */
START_TEST(test_numbers) {
    enum { W = 6, H = 4 };
    mn_preprocess p = {.channels = 3, .width = W, .height = 5 * H, .steps = 5}, q = p;
    mn_image im = {0}, sized = {0}, scratch = {0};
    mn_error e = {0};
    float long_clip[3 * 5 * H * W], short_clip[3 * 3 * H * W];
    q.height = 3 * H, q.steps = 0;
    for (int k = 0; k < 3; k++) {
        p.standardize = q.standardize = k == 1, p.standardize_eps = q.standardize_eps = 8;
        p.lo = q.lo = k == 2 ? -1 : 0, p.hi = q.hi = k == 2;
        help_picture(&im, 2 * W, 3 * 2 * H, 3, 4); /* larger frames of the same shape */
        ASSERT_OK(mn_preprocess_apply(&p, &im, long_clip, &e), &e);
        ASSERT_OK(mn_preprocess_apply(&q, &im, short_clip, &e), &e);
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < 5 * H * W; i++)
                ck_assert_float_eq(long_clip[c * 5 * H * W + i], i < 3 * H * W ? short_clip[c * 3 * H * W + i] : 0);
    }
    ASSERT_OK(mn_preprocess_pixels(&p, &im, &sized, &scratch, &e), &e);
    ck_assert(sized.width == W && sized.height == 3 * H);
    static const int bad[][2] = {{2 * W, 6 * 2 * H}, {2 * W, 3 * 2 * H + 1}};
    for (int k = 0; k < 2; k++) {
        e = (mn_error){0};
        help_picture(&im, bad[k][0], bad[k][1], 1, 4);
        ck_assert(mn_preprocess_apply(&p, &im, long_clip, &e) == MN_ERR_SHAPE);
        ASSERT_FAILS(e, MN_ERR_SHAPE, "wanted 1 to 5 frames of the shape of 6x4");
    }
    p.height++;
    e = (mn_error){0};
    ck_assert(mn_preprocess_pixels(&p, &im, &sized, &scratch, &e) == MN_ERR_ARG);
    mn_image_free(&im), mn_image_free(&sized), mn_image_free(&scratch);
}
END_TEST

/* ---- a network of both memories ---- */

/* A strip of `steps` frames of 6x5, through convolutions, a ConvLSTM2D and an LSTM. */
static mn_model *network(mn_context *c, int steps) {
    mn_model *m = mn_model_create(c, "m");
    mn_sym x = mn_layer_reshape(m, mn_model_input(m, "x", MN_SHAPE(1, steps * 6, 5)),
                                (mn_reshape_layer){.target_shape = MN_SHAPE(steps, 1, 6, 5)});
    mn_sym mask = mn_layer_step_mask(m, x, (mn_plain_layer){.name = "there"});
    mn_model_time_distributed(m, true);
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 3, .kernel_size = {3, 3}, .activation = MN_ACT_RELU});
    mn_model_time_distributed(m, false);
    mn_conv_lstm2d_layer memory = {.filters = 2, .kernel_size = {2, 2}, .return_sequences = true};
    x = mn_layer_conv_lstm2d_masked(m, x, mask, memory);
    mn_model_time_distributed(m, true);
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn_model_time_distributed(m, false);
    x = mn_layer_lstm_masked(m, x, mask, (mn_lstm_layer){.units = 4});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "head", .units = 3}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    return m;
}

/* Two clips of 3 frames, in a network for 3 and in one for 7: the same loss, the same gradient of every weight. */
START_TEST(test_gradients) {
    mn_context *c[2];
    mn_model *m[2];
    for (int k = 0; k < 2; k++) {
        int steps = k ? 7 : 3;
        mn_error e = {0};
        c[k] = mn_context_create(&(mn_context_opt){.dtype = MN_F64, .seed = 2, .threads = 1}, &e);
        m[k] = network(c[k], steps);
        double *x = calloc((size_t)(2 * steps * 30), sizeof *x);
        for (int n = 0; n < 2; n++)
            for (int i = 0; i < 3 * 30; i++) x[n * steps * 30 + i] = sin(0.7 * i + n);
        mn_step_begin(c[k]);
        mn_tensor *in = mn_tensor_create(c[k], MN_STEP, MN_F64, MN_SHAPE(2, 1, steps * 6, 5));
        ASSERT_OK(mn_set_f64(in, x), mn_context_error(c[k]));
        ASSERT_OK(mn_model_forward(m[k], &in, true), mn_context_error(c[k]));
        mn_tensor *there = mn_model_activation(m[k], "there");
        for (int i = 0; i < 2 * steps; i++) ck_assert(mn_item(there, i) == (i % steps < 3));
        mn_tensor *loss =
            mn_cross_entropy(mn_model_result(m[k], 0), mn_labels(c[k], 2, (int32_t[]){2, 0}), NULL, (mn_cross_entropy_opt){0});
        ASSERT_OK(mn_backward(c[k], loss), mn_context_error(c[k]));
        free(x);
    }
    int n;
    mn_tensor **a = mn_model_parameters(m[0], &n, NULL), **b = mn_model_parameters(m[1], &n, NULL);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < a[i]->count; k++) ASSERT_CLOSE(mn_item(a[i]->grad, k), mn_item(b[i]->grad, k), 1e-13);
    ck_assert_int_eq(n, 10);
    for (int k = 0; k < 2; k++) mn_context_destroy(c[k]);
}
END_TEST

START_TEST(test_layer_refuses) {
    mn_error e = {0};
    mn_context *c = mn_context_create(NULL, &e);
    mn_model *m = mn_model_create(c, "m");
    mn_layer_step_mask(m, mn_model_input(m, "x", MN_SHAPE(9)), (mn_plain_layer){0});
    ck_assert_ptr_nonnull(strstr(mn_context_error(c)->text, "wanted a sequence (steps,...); hint: a Reshape before it"));
    mn_context_destroy(c);
}
END_TEST

/* ---- the program ---- */

/* A network for clips of `frames` frames of 12x12, as a user writes it. */
static void write_net(const char *name, int frames, bool masked) {
    char json[1200];
    snprintf(json, sizeof json,
             "{\"name\": \"clips\", \"input\": [%d, 12, 1], \"layers\": [\n"
             " {\"class\": \"Reshape\", \"name\": \"frames\", \"target_shape\": [%d, 12, 12, 1]},\n%s"
             " {\"class\": \"Conv2D\", \"filters\": 4, \"kernel_size\": 3, \"strides\": 2, \"activation\": \"relu\", "
             "\"inputs\": \"frames\", \"time_distributed\": true},\n"
             " {\"class\": \"Flatten\", \"name\": \"flat\", \"time_distributed\": true},\n"
             " {\"class\": \"LSTM\", \"units\": 8%s},\n"
             " {\"class\": \"Heads\"}]}\n",
             12 * frames, frames, masked ? " {\"class\": \"StepMask\", \"name\": \"there\"},\n" : "",
             masked ? ", \"inputs\": [\"flat\", \"there\"]" : "");
    help_write_text(test_path(name), json);
}

/* Folders of 3 to 6 frames; a bright square moves down or up. */
static void write_clips(void) {
    for (int i = 0; i < 40; i++)
        for (int k = 0, n = 3 + i % 4; k < n; k++) {
            char name[64];
            mn_image im = {0};
            mn_error e = {0};
            snprintf(name, sizeof name, "moves/%s/c%02d", i % 2 ? "up" : "down", i);
            help_folder(name);
            snprintf(name, sizeof name, "moves/%s/c%02d/%d.png", i % 2 ? "up" : "down", i, k);
            ASSERT_OK(mn_image_reserve(&im, 12, 12, 1, &e), &e);
            int y = (i % 2 ? n - 1 - k : k) * 8 / (n - 1);
            for (int p = 0; p < 144; p++)
                im.pixels[p] = (uint8_t)(20 + (p * 7 + i * 31) % 23 + 150 * (p / 12 >= y && p / 12 < y + 4 && p % 12 > 3));
            ASSERT_OK(mn_image_save_png(&im, test_path(name), &e), &e);
            mn_image_free(&im);
        }
}

#define CLIPS(frames) "clips:moves,size=12,short=1,frames=" #frames
#define TRAIN                                                                                                                    \
    "train --epochs 3 --batch 8 --optimizer adam --lr 0.01 --normalize image --threads 1 --no-baseline --unsure 0 --test 0.2 "

/* Trained and scored with room for 6 frames and for 9: the same network, the same answers. */
START_TEST(test_program) {
    if (!have_model_files()) return;
    write_clips();
    write_net("six.json", 6, true), write_net("nine.json", 9, true), write_net("bare.json", 6, false);
    ASSERT_EXIT(0, TRAIN "--data " CLIPS(6) " --net six.json --size 72x12 --augment flip --out six.h5");
    ASSERT_EXIT(0, TRAIN "--data " CLIPS(9) " --net nine.json --size 108x12 --augment flip --out nine.h5");
    ASSERT_EXIT(0, "info nine.h5");
    ASSERT_SAYS("1 to 9 frames of 12 x 12");
    mn_error e = {0};
    mn_context *c = mn_context_create(NULL, &e);
    mn_model_info info[2];
    memset(info, 0, sizeof info);
    mn_model *m[2] = {mn_model_load(c, test_path("six.h5"), &info[0], &e), mn_model_load(c, test_path("nine.h5"), &info[1], &e)};
    ck_assert_msg(m[0] && m[1], "%s", e.text);
    ck_assert(info[0].preprocess.steps == 6 && info[1].preprocess.steps == 9);
    int n;
    mn_tensor **a = mn_model_parameters(m[0], NULL, &n), **b = mn_model_parameters(m[1], NULL, &n);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < a[i]->count; k++) ASSERT_CLOSE(mn_item(a[i], k), mn_item(b[i], k), 2e-4);
    for (int k = 0; k < 2; k++) mn_model_info_free(&info[k]);
    mn_context_destroy(c);
    /* Evaluation: row by row the same probabilities, whatever the room. */
    ASSERT_EXIT(0, "eval --model six.h5 --data " CLIPS(6) " --split all --no-baseline --predictions six.csv");
    ASSERT_EXIT(0, "eval --model nine.h5 --data " CLIPS(9) " --split all --no-baseline --predictions nine.csv");
    size_t size[2];
    char *csv[2] = {test_read_file(test_path("six.csv"), &size[0]), test_read_file(test_path("nine.csv"), &size[1])};
    double p[2] = {0}, of_eval = -1;
    int rows = 0;
    for (char *at[2] = {strchr(csv[0], '\n') + 1, strchr(csv[1], '\n') + 1}; *at[0]; rows++)
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(sscanf(at[k], "%*[^,],%*[^,],%*[^,],%lf", &p[k]), 1);
            if (k) ASSERT_CLOSE(p[1], p[0], 2e-3);
            if (!rows && !k) of_eval = p[0]; /* of clip down/c00 */
            at[k] = strchr(at[k], '\n') + 1;
        }
    ck_assert_int_eq(rows, 40);
    free(csv[0]), free(csv[1]);
    /* Prediction: a strip of three frames is a picture like others. */
    mn_image strip = {0}, frame = {0};
    ASSERT_OK(mn_image_reserve(&strip, 12, 36, 1, &e), &e);
    for (int k = 0; k < 3; k++) {
        char name[40];
        snprintf(name, sizeof name, "moves/down/c00/%d.png", k);
        ASSERT_OK(mn_image_load(&frame, test_path(name), &e), &e);
        memcpy(strip.pixels + 144 * k, frame.pixels, 144);
    }
    ASSERT_OK(mn_image_save_png(&strip, test_path("strip.png"), &e), &e);
    mn_image_free(&strip), mn_image_free(&frame);
    double of_predict = -1;
    ASSERT_EXIT(0, "predict --model six.h5 --whole strip.png --json --always");
    const char *at = strstr(output, "\"down\":");
    ck_assert_msg(at && sscanf(at, "\"down\":%lf", &of_predict) == 1, "%s", output);
    ASSERT_CLOSE(of_predict, of_eval, 1e-4);
    /* What does not fit is said. */
    ASSERT_EXIT(1, TRAIN "--data " CLIPS(6) " --net bare.json --size 72x12 --out no.h5");
    ASSERT_SAYS("clips of 1 to 6 frames need a network with a StepMask over 6 steps; this one has none");
    ASSERT_EXIT(1, "eval --model six.h5 --data " CLIPS(9) " --no-baseline");
    ASSERT_SAYS("this one has another number of them");
    ASSERT_EXIT(1, TRAIN "--data " CLIPS(6) " --data clips:moves,size=12,frames=6 --net six.json --size 72x12 --out no.h5");
    ASSERT_SAYS("clips of different length go with clips of the same frames=");
    ASSERT_EXIT(1, TRAIN "--data rendered-clips:20,short=1,single=1 --net six.json --size 72x12 --out no.h5");
    ASSERT_SAYS("short=1 and single=1 exclude each other");
    ASSERT_EXIT(0, TRAIN "--data rendered-clips:40,frames=4,size=16,seed=3 --net convlstm --size 64x16 --out named.h5");
    ASSERT_SAYS("network   convlstm: 1 x 64 x 16");
    ASSERT_EXIT(0, "eval --model named.h5 --data rendered-clips:10,frames=4,size=16,seed=8 --split all");
    ASSERT_EXIT(1, TRAIN "--data rendered:20 --net convlstm --out no.h5");
    ASSERT_SAYS("convlstm reads clips of 8 frames, and the first picture of rendered:20");
}
END_TEST

/* Drawn clips of 2 to T frames: from rest to the same apex, each in its own time. */
START_TEST(test_drawn) {
    mn_error e = {0};
    mn_dataset *d = mn_dataset_open("rendered-clips:60,frames=5,size=16,short=1,seed=3", NULL, &e);
    mn_dataset *whole = mn_dataset_open("rendered-clips:60,frames=5,size=16,seed=3", NULL, &e);
    ck_assert_msg(d && whole && d->steps == 5 && whole->steps == 0, "%s", e.text);
    mn_image a = {0}, b = {0};
    int of[6] = {0};
    for (int64_t i = 0; i < 60; i++) {
        ASSERT_OK(d->pixels(d, i, &a, &e), &e);
        ASSERT_OK(whole->pixels(whole, i, &b, &e), &e);
        int n = a.height / 16;
        ck_assert(n >= 2 && n <= 5 && a.height % 16 == 0 && b.height == 80);
        of[n]++;
        ck_assert(!memcmp(a.pixels, b.pixels, 256) && !memcmp(a.pixels + (n - 1) * 256, b.pixels + 4 * 256, 256));
    }
    for (int n = 2; n <= 5; n++) ck_assert_int_gt(of[n], 5);
    /* the cache keeps lengths */
    mn_preprocess p = {.channels = 1, .width = 8, .height = 40, .steps = 5};
    mn_dataset *kept = mn_dataset_cache(d, &p, NULL, &e);
    ck_assert_msg(kept != NULL, "%s", e.text);
    for (int64_t i = 0; i < 60; i++) {
        ASSERT_OK(d->pixels(d, i, &a, &e), &e);
        ASSERT_OK(kept->pixels(kept, i, &b, &e), &e);
        ck_assert(b.width == 8 && b.height == a.height / 2);
    }
    mn_image_free(&a), mn_image_free(&b);
    mn_dataset_destroy(kept);
    mn_dataset_destroy(d);
    mn_dataset_destroy(whole);
}
END_TEST

TEST_SUITE(masks, test_numbers, test_gradients, test_layer_refuses, test_program, test_drawn)
