/* A step that is launched as a whole gives what its operations give one by one, bit for bit: with dropout, a changing rate,
 * batches of two sizes, a checkpoint, frozen layers and memory that moves on the way. On the CPU, where nothing is recorded,
 * the same code gives the same numbers. */
#include "autograd/internal.h"
#include "layers/layers.h"
#include "optim/optim.h"
#include "tests/tests.h"

enum { SIZE = 8, MOST = 6, CLASSES = 3, EPOCH = 5, STEPS = 6 * EPOCH };

typedef struct trainer {
    mn_context *c;
    mn_model *m;
    mn_optim *o;
    mn_ema *ema;
    mn_feed *feed; /* NULL: operation by operation */
    mn_tally *tally;
    int64_t calls; /* of the step's function */
} trainer;

typedef struct result {
    double loss[STEPS]; /* the sum so far, after each step; in the end alone where nothing is read between */
    int64_t right;
    float *weight;
    int64_t count, calls, replays;
} result;

/* The last batch of an epoch is smaller. */
static int batch_size(int step) { return step % EPOCH == EPOCH - 1 ? MOST - 2 : MOST; }
static double rate(int step) { return 0.05 / (1 + 0.1 * step); }

static void make_batch(int step, float *x, int32_t *label) {
    mn_rng r = mn_rng_create(5, (uint64_t)step);
    for (int n = 0; n < MOST; n++) {
        label[n] = n == 1 ? -1 : (n + step) % CLASSES;
        for (int i = 0; i < SIZE * SIZE; i++)
            x[n * SIZE * SIZE + i] = (float)(0.3 * (label[n] + 1) * (i % 3) + mn_rng_uniform(&r, -0.2, 0.2));
    }
}

static mn_model *make_model(mn_context *c) {
    mn_model *m = mn_model_create(c, "small");
    mn_sym x = mn_model_input(m, "x", MN_SHAPE(1, SIZE, SIZE));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.name = "conv", .filters = 4, .kernel_size = {3, 3}, .padding = MN_SAME});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
    x = mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.4});
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = CLASSES});
    mn_model_output(m, x);
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    return m;
}

static mn_status learn(trainer *t, mn_tensor *x, mn_tensor *label, mn_tensor **loss) {
    mn_status s = mn_model_forward(t->m, &x, true);
    mn_tensor *y = mn_model_result(t->m, 0);
    *loss = t->tally ? mn_tally_cross_entropy(t->tally, 0, y, label, NULL, NULL, (mn_cross_entropy_opt){0})
                     : mn_cross_entropy(y, label, NULL, (mn_cross_entropy_opt){0});
    if (!s) s = mn_backward(t->c, *loss);
    if (!s) s = mn_optim_step(t->o);
    return !s && t->ema ? mn_ema_update(t->ema) : s;
}

static mn_status fed_step(void *arg) {
    trainer *t = arg;
    mn_tensor *label = mn_feed_tensor(t->feed, 1), *loss;
    t->calls++;
    return learn(t, mn_feed_tensor(t->feed, 0), label, &loss);
}

static void step(trainer *t, int k, bool look, result *r) {
    float x[MOST * SIZE * SIZE];
    int32_t label[MOST];
    int n = batch_size(k);
    make_batch(k, x, label);
    mn_optim_set_lr(t->o, rate(k));
    if (t->feed) {
        ASSERT_OK(mn_feed_put(t->feed, n, (const void *const[]){x, label}), mn_context_error(t->c));
        memset(x, 0xff, sizeof x); /* it has been copied */
        ASSERT_OK(mn_step_run(t->c, t->feed, fed_step, t), mn_context_error(t->c));
        mn_tally_sum sum = {0};
        if (look || k == STEPS - 1) ASSERT_OK(mn_tally_read(t->tally, &sum), mn_context_error(t->c));
        r->loss[k] = sum.loss, r->right = sum.hits.right;
        return;
    }
    mn_step_begin(t->c);
    mn_tensor *loss, *in = mn_input(t->c, MN_SHAPE(n, 1, SIZE, SIZE), x);
    ASSERT_OK(learn(t, in, mn_labels(t->c, n, label), &loss), mn_context_error(t->c));
    mn_accuracy hits = {0};
    ASSERT_OK(mn_count_correct(mn_model_result(t->m, 0), label, &hits), mn_context_error(t->c));
    r->loss[k] = (k ? r->loss[k - 1] : 0) + mn_item(loss, 0) * (double)hits.of;
    r->right += hits.right;
}

/* What an evaluation does between epochs: more memory than a step's. */
static void look_at_many(trainer *t) {
    mn_step_begin(t->c);
    mn_no_grad_begin(t->c);
    mn_tensor *x = mn_tensor_create(t->c, MN_STEP, MN_F32, MN_SHAPE(80, 1, SIZE, SIZE));
    ASSERT_OK(mn_fill(x, 0.5), mn_context_error(t->c));
    ASSERT_OK(mn_model_forward(t->m, &x, false), mn_context_error(t->c));
    mn_no_grad_end(t->c);
}

static void between(trainer *t, int k) {
    if (k == 1 || k == 2 * EPOCH + 2) look_at_many(t);
    if (k == EPOCH + 2 || k == 3 * EPOCH) /* a checkpoint is taken, and loaded */
        for (int i = 0; i < mn_optim_state_count(t->o); i++) mn_optim_state(t->o, i, NULL);
    if (k == 4 * EPOCH) mn_model_freeze(t->m, "conv", true);
    if (k == 4 * EPOCH + 6) mn_model_freeze(t->m, "conv", false);
}

static void keep_weights(trainer *t, result *r) {
    int n;
    mn_tensor **w = mn_model_parameters(t->m, NULL, &n);
    for (int i = 0; i < n; i++) r->count += 2 * w[i]->count;
    r->weight = malloc((size_t)r->count * sizeof *r->weight);
    float *to = r->weight;
    for (int twice = 0; twice < 2; twice++) { /* the averages too */
        for (int i = 0; i < n; to += w[i++]->count) ASSERT_OK(mn_get(w[i], to), mn_context_error(t->c));
        if (t->ema) ASSERT_OK(mn_ema_swap(t->ema), mn_context_error(t->c));
    }
}

/* STEPS steps; false where there is no such device. */
static bool train(mn_device device, mn_optim_opt opt, bool fed, bool look, result *r) {
    mn_error err = {0};
    *r = (result){0};
    trainer t = {.c = mn_context_create(&(mn_context_opt){.device = device, .threads = 1, .seed = 9}, &err)};
    ck_assert_msg(t.c || device == MN_CUDA, "%s", err.text);
    if (!t.c) return false;
    t.m = make_model(t.c);
    int n, all;
    mn_tensor **w = mn_model_parameters(t.m, &n, &all);
    t.o = mn_optim_create(t.c, w, n, opt);
    mn_optim_set_param(t.o, 1, 0.5, 0);
    if (opt.kind != MN_SGD) t.ema = mn_ema_create(t.c, w, all, 0.9);
    const mn_feed_part part[] = {{MN_F32, MN_SHAPE(1, SIZE, SIZE)}, {MN_I32, {0}}};
    if (fed) t.feed = mn_feed_create(t.c, part, 2, MOST), t.tally = mn_tally_create(t.c, 1);
    ASSERT_OK(mn_context_error(t.c)->status, mn_context_error(t.c));
    for (int k = 0; k < STEPS; k++) {
        between(&t, k);
        step(&t, k, look, r);
    }
    keep_weights(&t, r);
    ck_assert_int_eq(mn_optim_steps(t.o), STEPS);
    r->calls = t.calls, r->replays = t.c->replays;
    bool records = t.c->device->recorder && t.c->device->recorder->wanted(t.c->device_state);
    if (fed && records) ck_assert_int_ge(r->replays, 10);
    if (fed && !records) ck_assert_int_eq(r->calls, STEPS);
    mn_context_destroy(t.c);
    return true;
}

static void same(const char *what, const result *a, const result *b, int from) {
    for (int k = from; k < STEPS; k++)
        ck_assert_msg(!memcmp(&a->loss[k], &b->loss[k], sizeof(double)), "%s: the losses up to step %d are %.17g and %.17g", what,
                      k, a->loss[k], b->loss[k]);
    ck_assert_int_eq(a->right, b->right);
    ck_assert(a->count == b->count && !memcmp(a->weight, b->weight, (size_t)a->count * sizeof *a->weight));
}

/* `look`: at the sums after each step; else nothing waits before the end. */
static void as_one_by_one(mn_device device, bool look, mn_optim_opt opt) {
    result one, whole;
    setenv("EMU_STREAMS", "lazy", 1); /* the emulator: as late and in as strange an order as events and graphs allow */
    if (!train(device, opt, false, true, &one)) {
        test_skip("recorded steps: no device");
        return;
    }
    ck_assert_msg(isfinite(one.loss[STEPS - 1]) && one.loss[STEPS - 1] - one.loss[STEPS - 6] < one.loss[5] - one.loss[0],
                  "it does not learn");
    train(device, opt, true, look, &whole);
    same(look ? "looking each time" : "looking once", &one, &whole, look ? 0 : STEPS - 1);
    free(one.weight), free(whole.weight);
}

static const mn_optim_opt with_momentum = {.kind = MN_SGD, .momentum = 0.9, .clip_norm = 1}, adam = {.kind = MN_ADAM},
                          adamw = {.kind = MN_ADAMW, .weight_decay = 0.1},
                          rmsprop = {.kind = MN_RMSPROP, .momentum = 0.5, .clip_value = 0.1};
START_TEST(test_cpu) {
    as_one_by_one(MN_CPU, true, with_momentum);
    as_one_by_one(MN_CPU, false, adam);
}
END_TEST
START_TEST(test_momentum) { as_one_by_one(MN_CUDA, false, with_momentum); }
END_TEST
START_TEST(test_adam) { as_one_by_one(MN_CUDA, true, adam); }
END_TEST
START_TEST(test_adamw) { as_one_by_one(MN_CUDA, false, adamw); }
END_TEST
START_TEST(test_rmsprop) { as_one_by_one(MN_CUDA, false, rmsprop); }
END_TEST

/* Sums so long that both gradients of a convolution are cut into slices, each branch in its own workspace. */
typedef struct branches {
    mn_context *c;
    mn_tensor *x, *w, *b;
    mn_optim *o;
} branches;
static mn_status branches_step(void *arg) {
    branches *k = arg;
    mn_tensor *y = mn_conv2d(mn_tanh(k->x), k->w, k->b, (mn_conv2d_opt){.padding = {1, 1, 1, 1}});
    mn_status s = mn_backward(k->c, mn_mean(mn_square(y)));
    return s ? s : mn_optim_step(k->o);
}
static void run_branches(bool whole, float *x, float *w) {
    branches k = {.c = mn_context_create(&(mn_context_opt){.device = MN_CUDA}, NULL)};
    if (!k.c) return;
    mn_tensor *all[] = {k.x = mn_parameter(k.c, "x", MN_SHAPE(4, 4, 8, 8)), k.w = mn_parameter(k.c, "w", MN_SHAPE(32, 4, 3, 3)),
                        k.b = mn_parameter(k.c, "b", MN_SHAPE(32))};
    for (int i = 0; i < 3; i++) ASSERT_OK(mn_fill_uniform(all[i], (uint64_t)i, -1, 1), mn_context_error(k.c));
    k.o = mn_optim_create(k.c, all, 3, (mn_optim_opt){.lr = 10});
    for (int step = 0; step < 5; step++) {
        if (!whole) mn_step_begin(k.c);
        ASSERT_OK(whole ? mn_step_run(k.c, NULL, branches_step, &k) : branches_step(&k), mn_context_error(k.c));
    }
    ASSERT_OK(mn_get(k.x, x), mn_context_error(k.c));
    ASSERT_OK(mn_get(k.w, w), mn_context_error(k.c));
    if (whole) ck_assert_int_ge(k.c->replays, 2);
    mn_context_destroy(k.c);
}
START_TEST(test_branches) {
    static float x[2][4 * 4 * 64], w[2][32 * 36];
    setenv("EMU_STREAMS", "lazy", 1);
    for (int whole = 0; whole < 2; whole++) run_branches(whole, x[whole], w[whole]);
    ck_assert(!memcmp(x[0], x[1], sizeof x[0]) && !memcmp(w[0], w[1], sizeof w[0]));
}
END_TEST

/* Branches through a whole pass, in a chain long enough that the memory of gradients is used again while they run. What must
 * wait for them: who takes that memory; `shared`, which two layers and a penalty add to; what `made` is computed from, whose
 * gradient is read at once; a clipping optimiser. */
enum { DEPTH = 16, FEW = 4, SHARED = 5, MADE = 9, OWN = DEPTH + 1 };
typedef struct chain {
    mn_context *c;
    mn_tensor *x, *w[OWN], *b; /* weights of the layers, the last of a linear one; a bias for all */
    mn_optim *o;
} chain;
static mn_status chain_step(void *arg) {
    chain *k = arg;
    mn_conv2d_opt same = {.padding = {1, 1, 1, 1}};
    mn_tensor *shared = k->w[SHARED], *penalty = NULL, *y = mn_conv2d(k->x, shared, NULL, same);
    for (int i = 0; i < DEPTH; i++) { /* backward what is computed last comes first */
        if (i == SHARED) penalty = mn_mean(mn_square(shared));
        y = mn_tanh(mn_conv2d(y, i == MADE ? mn_tanh(k->w[i]) : k->w[i], i == DEPTH - 1 ? k->b : NULL, same));
    }
    y = mn_linear(mn_reshape(y, MN_SHAPE(2, FEW * 36)), k->w[DEPTH], NULL);
    mn_status s = mn_backward(k->c, mn_add(mn_mean(mn_square(y)), penalty));
    return s ? s : mn_optim_step(k->o);
}
static void run_chain(bool whole, float *to, size_t *memory) {
    chain k = {.c = mn_context_create(&(mn_context_opt){.device = MN_CUDA}, NULL)};
    if (!k.c) return;
    k.x = mn_parameter(k.c, "x", MN_SHAPE(2, FEW, 6, 6));
    for (int i = 0; i < OWN; i++) k.w[i] = mn_parameter(k.c, NULL, i == OWN - 1 ? MN_SHAPE(20, FEW * 36) : MN_SHAPE(FEW, FEW, 3, 3));
    ASSERT_OK(mn_fill_uniform(k.x, 99, -1, 1), mn_context_error(k.c));
    for (int i = 0; i < OWN; i++) ASSERT_OK(mn_fill_uniform(k.w[i], (uint64_t)i, -0.5, 0.5), mn_context_error(k.c));
    k.b = mn_parameter(k.c, NULL, MN_SHAPE(FEW));
    ASSERT_OK(mn_fill(k.b, 0.1), mn_context_error(k.c));
    k.o = mn_optim_create(k.c, k.w, OWN, (mn_optim_opt){.lr = 1, .clip_norm = 0.5});
    for (int step = 0; step < 16; step++) {
        if (!whole) mn_step_begin(k.c);
        ASSERT_OK(whole ? mn_step_run(k.c, NULL, chain_step, &k) : chain_step(&k), mn_context_error(k.c));
    }
    for (int i = 0; i < OWN; to += k.w[i++]->count) ASSERT_OK(mn_get(k.w[i], to), mn_context_error(k.c));
    if (whole) ck_assert_int_ge(k.c->replays, 13);
    *memory = mn_context_memory(k.c).step_peak;
    mn_context_destroy(k.c);
}
START_TEST(test_chain_of_branches) {
    static float w[2][20 * FEW * 36 + OWN * FEW * FEW * 9];
    size_t memory[2] = {0};
    setenv("EMU_STREAMS", "lazy", 1);
    for (int whole = 0; whole < 2; whole++) run_chain(whole, w[whole], &memory[whole]);
    ck_assert(!memcmp(w[0], w[1], sizeof w[0]));
    ck_assert_uint_eq(memory[0], memory[1]);
}
END_TEST

/* ---- what is recorded, and when ---- */

typedef struct counter {
    mn_context *c;
    mn_feed *feed;
    mn_tensor *sum;
    double factor;
    int calls;
    bool looks;
} counter;

/* sum += factor * the batch's sum */
static mn_status count_step(void *arg) {
    counter *k = arg;
    k->calls++;
    mn_tensor *x = mn_feed_tensor(k->feed, 0);
    mn_tensor *y = mn_add(k->sum, mn_scale(mn_sum(x), k->factor));
    if (y && k->looks) mn_item(y, 0);
    return y ? mn_copy(k->sum, y) : mn_context_error(k->c)->status;
}

static bool open_counter(counter *k, mn_device device, mn_dtype dtype) {
    setenv("EMU_STREAMS", "lazy", 1);
    *k = (counter){.c = mn_context_create(&(mn_context_opt){.device = device, .dtype = dtype}, NULL), .factor = 1};
    if (!k->c) return false;
    k->feed = mn_feed_create(k->c, &(mn_feed_part){MN_F32, MN_SHAPE(3)}, 1, 20);
    k->sum = mn_tensor_create(k->c, MN_MODEL, dtype, (mn_shape){0});
    ASSERT_OK(mn_fill(k->sum, 0), mn_context_error(k->c));
    return true;
}

static mn_status count(counter *k, int n) {
    float x[60];
    for (int i = 0; i < 60; i++) x[i] = (float)(i % 4);
    mn_status s = mn_feed_put(k->feed, n, (const void *const[]){x});
    return s ? s : mn_step_run(k->c, k->feed, count_step, k);
}

/* Two places, so two recordings, each after two runs; then the function is not called any more. */
static void when(mn_device device, mn_dtype dtype) {
    counter k;
    if (!open_counter(&k, device, dtype)) return;
    bool records = k.c->device->recorder != NULL;
    for (int i = 0; i < 20; i++) ASSERT_OK(count(&k, 4), mn_context_error(k.c));
    ASSERT_CLOSE(mn_item(k.sum, 0), 20 * 18, 0);
    ck_assert_int_ge(k.calls, records ? 6 : 20);
    ck_assert_int_le(k.calls, records ? 10 : 20);
    int calls = k.calls;
    k.factor = 2; /* not seen */
    for (int i = 0; i < 2; i++) ASSERT_OK(count(&k, 4), mn_context_error(k.c));
    ASSERT_CLOSE(mn_item(k.sum, 0), 20 * 18 + (records ? 2 : 4) * 18, 0);
    mn_step_changed(k.c);
    double before = mn_item(k.sum, 0);
    for (int i = 0; i < 8; i++) ASSERT_OK(count(&k, 4), mn_context_error(k.c));
    ASSERT_CLOSE(mn_item(k.sum, 0) - before, 8 * 36, 0);
    ck_assert_int_gt(k.calls, calls);
    before = mn_item(k.sum, 0); /* more sizes than are kept */
    double want = 0;
    for (int i = 0; i < 90; i++) {
        int n = 1 + i / 2 % 9;
        for (int j = 0; j < 3 * n; j++) want += 2 * (j % 4);
        ASSERT_OK(count(&k, n), mn_context_error(k.c));
    }
    ASSERT_CLOSE(mn_item(k.sum, 0) - before, want, 0);
    mn_context_destroy(k.c);
}
START_TEST(test_when) {
    when(MN_CPU, MN_F32), when(MN_CPU, MN_F64);
    when(MN_CUDA, MN_F32), when(MN_CUDA, MN_F64);
}
END_TEST

/* More parameters than one launch of an optimiser takes: their rates are stored, and read, list by list. No feed. */
enum { MANY = 200 };
typedef struct crowd {
    mn_context *c;
    mn_tensor *w[MANY];
    mn_optim *o;
} crowd;

static mn_status crowd_step(void *arg) {
    crowd *k = arg;
    mn_tensor *sum = NULL;
    for (int i = 0; i < MANY; i++) {
        mn_tensor *y = mn_sum(mn_square(mn_shift(k->w[i], 0.01 * i)));
        sum = sum ? mn_add(sum, y) : y;
    }
    mn_status s = mn_backward(k->c, sum);
    return s ? s : mn_optim_step(k->o);
}

static void run_crowd(bool whole, double *value) {
    crowd k = {.c = mn_context_create(&(mn_context_opt){.device = MN_CUDA}, NULL)};
    if (!k.c) return;
    for (int i = 0; i < MANY; i++) k.w[i] = mn_parameter(k.c, NULL, MN_SHAPE(2));
    k.o = mn_optim_create(k.c, k.w, MANY, (mn_optim_opt){.kind = MN_ADAM});
    for (int i = 0; i < MANY; i++) mn_optim_set_param(k.o, i, 1 + 0.1 * i, -1);
    for (int step = 0; step < 6; step++) {
        mn_optim_set_lr(k.o, rate(step));
        if (!whole) mn_step_begin(k.c);
        ASSERT_OK(whole ? mn_step_run(k.c, NULL, crowd_step, &k) : crowd_step(&k), mn_context_error(k.c));
    }
    if (whole) ck_assert_int_ge(k.c->replays, 3);
    for (int i = 0; i < MANY; i++) value[i] = mn_item(k.w[i], 1);
    mn_context_destroy(k.c);
}
START_TEST(test_many_parameters) {
    double one[MANY] = {0}, whole[MANY] = {0};
    setenv("EMU_STREAMS", "lazy", 1);
    run_crowd(false, one);
    run_crowd(true, whole);
    for (int i = 0; i < MANY; i++) ASSERT_CLOSE(whole[i], one[i], 0);
}
END_TEST

/* A launched step allocates nothing on the host. */
START_TEST(test_no_allocations) {
    counter k;
    if (!open_counter(&k, MN_CUDA, MN_F32)) return;
    for (int i = 0; i < 10; i++) ASSERT_OK(count(&k, 4), mn_context_error(k.c));
    int64_t before = mn_allocation_count();
    for (int i = 0; i < 10; i++) ASSERT_OK(count(&k, 4), mn_context_error(k.c));
    ck_assert_int_eq(mn_allocation_count(), before);
    ck_assert_int_ge(k.c->replays, 10);
    mn_context_destroy(k.c);
}
END_TEST

/* A step that wants a number in between cannot be recorded; MIEN_GRAPH=0 and MIEN_SYNC=1 run it. */
START_TEST(test_looking) {
    counter k;
    if (!open_counter(&k, MN_CUDA, MN_F32)) return;
    k.looks = true;
    mn_status s = MN_OK;
    for (int i = 0; i < 10 && !s; i++) s = count(&k, 4);
    ck_assert_int_eq(s, MN_ERR_ARG);
    ck_assert_msg(strstr(mn_context_error(k.c)->text, "a step that is recorded") != NULL, "%s", mn_context_error(k.c)->text);
    ck_assert_msg(strstr(mn_context_error(k.c)->text, "hint: mn_feed_tensor") != NULL, "%s", mn_context_error(k.c)->text);
    mn_context_destroy(k.c);
    for (int i = 0; i < 2; i++) {
        setenv(i ? "MIEN_SYNC" : "MIEN_GRAPH", i ? "1" : "0", 1);
        ck_assert(open_counter(&k, MN_CUDA, MN_F32));
        k.looks = true;
        for (int j = 0; j < 10; j++) ASSERT_OK(count(&k, 4), mn_context_error(k.c));
        ck_assert_int_eq(k.calls, 10);
        ASSERT_CLOSE(mn_item(k.sum, 0), 180, 0);
        mn_context_destroy(k.c);
        unsetenv("MIEN_GRAPH");
    }
}
END_TEST

/* ---- feeds and tallies by themselves ---- */

static void feed_values(mn_device device, mn_dtype dtype) {
    setenv("EMU_STREAMS", "lazy", 1);
    mn_context *c = mn_context_create(&(mn_context_opt){.device = device, .dtype = dtype}, NULL);
    if (!c) return;
    const mn_feed_part part[] = {{MN_I32, {0}}, {MN_F32, MN_SHAPE(2, 3)}};
    mn_feed *f = mn_feed_create(c, part, 2, 5);
    ck_assert_ptr_nonnull(f);
    for (int step = 0; step < 9; step++) {
        int32_t label[5];
        float x[30];
        double got[30];
        int64_t n = 1 + step % 5;
        for (int i = 0; i < 30; i++) x[i] = (float)(100 * step + i), label[i % 5] = step + i % 5;
        mn_step_begin(c);
        ASSERT_OK(mn_feed_put(f, n, (const void *const[]){label, x}), mn_context_error(c));
        memset(x, 0, sizeof x);
        mn_tensor *a = mn_feed_tensor(f, 0), *b = mn_feed_tensor(f, 1);
        ck_assert(a->dtype == MN_I32 && mn_shape_equal(a->shape, MN_SHAPE(n)));
        ck_assert(b->dtype == dtype && mn_shape_equal(b->shape, MN_SHAPE(n, 2, 3)));
        ASSERT_OK(mn_get_f64(b, got), mn_context_error(c));
        for (int i = 0; i < 6 * n; i++) ASSERT_CLOSE(got[i], 100 * step + i, 0);
        ASSERT_OK(mn_get(a, label), mn_context_error(c));
        ck_assert_int_eq(label[n - 1], step + n - 1);
    }
    mn_context_destroy(c);
}
START_TEST(test_feed) {
    feed_values(MN_CPU, MN_F32), feed_values(MN_CPU, MN_F64);
    feed_values(MN_CUDA, MN_F32), feed_values(MN_CUDA, MN_F64);
}
END_TEST

static void refused(mn_context *c, const char *sentence) {
    ck_assert_msg(strstr(mn_context_error(c)->text, sentence) != NULL, "%s", mn_context_error(c)->text);
    mn_error_clear(mn_context_error(c));
}
START_TEST(test_refused) {
    mn_context *c = mn_context_create(NULL, NULL);
    const mn_feed_part good = {MN_F32, MN_SHAPE(2)}, bad = {MN_F64, MN_SHAPE(2)}, huge = {MN_F32, MN_SHAPE(INT64_MAX / 1024)};
    ck_assert_ptr_null(mn_feed_create(c, &good, 0, 5));
    refused(c, "0 parts of 5 samples");
    ck_assert_ptr_null(mn_feed_create(c, &bad, 1, 5));
    refused(c, "part 0 is f64");
    ck_assert_ptr_null(mn_feed_create(c, &huge, 1, 1000));
    refused(c, "part 0");
    mn_feed *f = mn_feed_create(c, &good, 1, 5);
    ck_assert_ptr_null(mn_feed_tensor(f, 0));
    refused(c, "call mn_feed_put first");
    float x[2] = {0};
    ck_assert_int_eq(mn_feed_put(f, 6, (const void *const[]){x}), MN_ERR_ARG);
    refused(c, "a batch of 6; wanted 1 to 5");
    mn_tally *t = mn_tally_create(c, 2);
    mn_tensor *loss = mn_tensor_create(c, MN_STEP, MN_F32, (mn_shape){0}),
              *y = mn_tensor_create(c, MN_STEP, MN_F32, MN_SHAPE(3, 4));
    ck_assert_int_eq(mn_tally_add(t, 2, loss, y, y), MN_ERR_ARG);
    refused(c, "no entry 2");
    ck_assert_int_eq(mn_tally_add(t, 1, loss, y, y), MN_ERR_SHAPE);
    refused(c, "integer labels");
    ck_assert_ptr_null(mn_tally_create(c, 0));
    mn_context_destroy(c);
}
END_TEST

/* Sums, the first loss that is no number, and putting sums back. */
static void tally_values(mn_device device, mn_dtype dtype) {
    mn_context *c = mn_context_create(&(mn_context_opt){.device = device, .dtype = dtype}, NULL);
    if (!c) return;
    const int32_t label[4] = {1, -1, 0, 2};
    const float x[12] = {0, 2, 1, 5, 0, 0, 3, 3, 3, NAN, 1, 2}; /* right, no label, right: the first of equals, wrong */
    const double losses[4] = {0.5, 0.25, NAN, INFINITY};
    mn_tally *t = mn_tally_create(c, 2);
    mn_tally_sum sum[2];
    for (int i = 0; i < 4; i++) {
        mn_step_begin(c);
        mn_tensor *loss = mn_tensor_create(c, MN_STEP, dtype, (mn_shape){0});
        ASSERT_OK(mn_fill(loss, losses[i]), mn_context_error(c));
        ASSERT_OK(mn_tally_add(t, 1, loss, mn_input(c, MN_SHAPE(4, 3), x), mn_labels(c, 4, label)), mn_context_error(c));
        if (i == 1) ASSERT_OK(mn_tally_read(t, sum), mn_context_error(c));
    }
    ASSERT_CLOSE(sum[1].loss, 3 * 0.5 + 3 * 0.25, 0);
    ck_assert(sum[1].hits.right == 4 && sum[1].hits.of == 6 && sum[1].batches == 2 && !sum[1].not_finite);
    ck_assert(sum[0].loss == 0 && sum[0].batches == 0);
    ASSERT_OK(mn_tally_read(t, sum), mn_context_error(c));
    ck_assert_int_eq(sum[1].not_finite, 3);
    const mn_tally_sum put[2] = {{1.5, {2, 3}, 4, 0}, {2.5, {5, 6}, 7, 1}};
    ASSERT_OK(mn_tally_set(t, put), mn_context_error(c));
    ASSERT_OK(mn_tally_read(t, sum), mn_context_error(c));
    ck_assert(!memcmp(put, sum, sizeof sum));
    ASSERT_OK(mn_tally_set(t, NULL), mn_context_error(c));
    ASSERT_OK(mn_tally_read(t, sum), mn_context_error(c));
    ck_assert(sum[1].loss == 0 && sum[1].hits.of == 0 && sum[1].batches == 0);
    mn_context_destroy(c);
}
/* Cross-entropy that adds to a tally does what the two do one after the other, with labels and with probabilities. */
static void tally_loss(mn_device device, mn_dtype dtype) {
    enum { N = 70, K = 37 };
    mn_context *c = mn_context_create(&(mn_context_opt){.device = device, .dtype = dtype}, NULL);
    if (!c) return;
    mn_tally *t = mn_tally_create(c, 2);
    mn_tally_sum sum[2];
    mn_tensor *x = mn_parameter(c, NULL, MN_SHAPE(N, K)), *soft = mn_parameter(c, NULL, MN_SHAPE(N, K));
    int32_t label[N];
    for (int i = 0; i < N; i++) label[i] = i % 5 ? i * 7 % K : -1;
    for (int k = 0; k < 3; k++) {
        mn_step_begin(c);
        mn_tensor *labels = mn_labels(c, N, label);
        ASSERT_OK(mn_fill_uniform(x, 3 + (uint64_t)k, -1, 1), mn_context_error(c));
        ASSERT_OK(mn_fill_uniform(soft, 13, 0, 1), mn_context_error(c));
        if (k == 2) ASSERT_OK(mn_fill(x, NAN), mn_context_error(c));
        mn_cross_entropy_opt o = {.label_smoothing = 0.1};
        mn_tensor *target = k == 1 ? soft : labels, *apart = mn_cross_entropy(x, target, NULL, o);
        ASSERT_OK(mn_tally_add(t, 0, apart, x, labels), mn_context_error(c));
        mn_tensor *loss = mn_tally_cross_entropy(t, 1, x, target, k == 1 ? labels : NULL, NULL, o);
        ck_assert_msg(loss != NULL, "%s", mn_context_error(c)->text);
        double a = mn_item(apart, 0), b = mn_item(loss, 0);
        ck_assert(a == b || (k == 2 && isnan(a) && isnan(b)));
        ASSERT_OK(mn_tally_read(t, sum), mn_context_error(c));
        if (k < 2) ck_assert(sum[0].loss == sum[1].loss && sum[0].loss > 0);
        ck_assert(sum[0].hits.right == sum[1].hits.right && sum[0].hits.of == sum[1].hits.of && sum[0].hits.of == 56 * (k + 1));
        ck_assert(sum[1].batches == k + 1 && sum[0].not_finite == sum[1].not_finite && sum[1].not_finite == (k == 2 ? 3 : 0));
    }
    ck_assert_int_gt(sum[1].hits.right, 0);
    mn_tensor *two = mn_labels(c, 2, label);
    ck_assert_ptr_null(mn_tally_cross_entropy(t, 0, x, soft, two, NULL, (mn_cross_entropy_opt){0}));
    refused(c, "integer labels (N)");
    ck_assert_ptr_null(mn_tally_cross_entropy(t, 2, x, soft, two, NULL, (mn_cross_entropy_opt){0}));
    refused(c, "no entry 2");
    mn_context_destroy(c);
}
START_TEST(test_tally) {
    tally_loss(MN_CPU, MN_F32), tally_loss(MN_CPU, MN_F64);
    tally_loss(MN_CUDA, MN_F32), tally_loss(MN_CUDA, MN_F64);
    tally_values(MN_CPU, MN_F32), tally_values(MN_CPU, MN_F64);
    tally_values(MN_CUDA, MN_F32), tally_values(MN_CUDA, MN_F64);
}
END_TEST

TEST_SUITE(replay, test_cpu, test_momentum, test_adam, test_adamw, test_rmsprop, test_branches, test_chain_of_branches, test_when,
           test_many_parameters, test_no_allocations, test_looking, test_feed, test_refused, test_tally)
