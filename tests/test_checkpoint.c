/* Checkpoints: a run that is broken off and resumed ends like one that was not, to the bit. */
#include "data/data.h"
#include "tests/op_test.h"

#if MN_HAVE_HDF5 && MN_HAVE_JSON

typedef struct run {
    mn_context *c;
    mn_model *m;
    mn_tensor **p;
    int trained, all;
    mn_optim *o;
    mn_ema *ema;
    mn_snapshot *best;
} run;

static run start(mn_dtype dtype, uint64_t seed, mn_optim_kind kind) {
    run r = {.c = op_context(dtype, seed)};
    static const mn_net_head head = {"label", 3};
    r.m = mn_net_create(r.c, "tiny", &(mn_net_opt){.height = 8, .width = 8, .heads = &head, .n_heads = 1});
    ck_assert_msg(r.m != NULL, "%s", mn_context_error(r.c)->text);
    r.p = mn_model_parameters(r.m, &r.trained, &r.all);
    r.o = mn_optim_create(r.c, r.p, r.trained, (mn_optim_opt){.kind = kind, .lr = 0.01, .momentum = 0.9});
    r.ema = mn_ema_create(r.c, r.p, r.all, 0.9);
    r.best = mn_snapshot_create(r.c, r.p, r.all);
    ck_assert(r.o && r.ema && r.best);
    return r;
}

static void steps(run *r, int n) {
    for (int i = 0; i < n; i++) {
        mn_step_begin(r->c);
        mn_tensor *x = mn_input(r->c, MN_SHAPE(6, 1, 8, 8), NULL);
        mn_fill_uniform(x, mn_context_step(r->c), -1, 1);
        ASSERT_OK(mn_model_forward(r->m, &x, true), mn_context_error(r->c));
        mn_tensor *y = mn_cross_entropy(mn_model_result(r->m, 0), mn_labels(r->c, 6, (int32_t[]){0, 1, 2, 2, 1, 0}), NULL,
                                        (mn_cross_entropy_opt){0});
        ASSERT_OK(mn_backward(r->c, y), mn_context_error(r->c));
        ASSERT_OK(mn_optim_step(r->o), mn_context_error(r->c));
        ASSERT_OK(mn_ema_update(r->ema), mn_context_error(r->c));
        if (mn_context_step(r->c) == 2) ASSERT_OK(mn_snapshot_take(r->best), mn_context_error(r->c));
    }
}

static void same(const mn_tensor *a, const mn_tensor *b, const char *what, int i) {
    ck_assert(a && b && a->count == b->count);
    size_t bytes = (size_t)a->count * mn_dtype_size(a->dtype);
    char *x = malloc(bytes), *y = malloc(bytes);
    ck_assert(mn_get(a, x) == MN_OK && mn_get(b, y) == MN_OK);
    ck_assert_msg(memcmp(x, y, bytes) == 0, "%s %d differs", what, i);
    free(x), free(y);
}

static mn_checkpoint parts(run *r, char *state) {
    return (mn_checkpoint){.model = r->m, .optim = r->o, .ema = r->ema, .best = r->best, .state = state};
}

START_TEST(test_resume) {
    const mn_optim_kind kinds[] = {MN_SGD, MN_ADAM, MN_ADAMW};
    for (int k = 0; k < 3; k++) {
        mn_dtype dtype = k == 2 ? MN_F64 : MN_F32;
        const char *path = test_path("run.ckpt");
        char text[] = "{\"epoch\": 3, \"step\": 4}", *state = NULL;
        mn_error err = {0};
        run a = start(dtype, 1, kinds[k]), b = start(dtype, 1, kinds[k]);
        steps(&a, 4);
        mn_checkpoint out = parts(&a, text), in = parts(&b, NULL);
        ASSERT_OK(mn_checkpoint_save(&out, path, &err), &err);
        steps(&a, 3);
        ASSERT_OK(mn_checkpoint_peek(path, &state, &err), &err);
        ck_assert_str_eq(state, text);
        mn_free(state);
        steps(&b, 1); /* whatever it was before */
        ASSERT_OK(mn_checkpoint_load(&in, path, &err), &err);
        ck_assert_str_eq(in.state, text);
        mn_free(in.state);
        mn_context_set_step(b.c, 4);
        ck_assert_int_eq(mn_optim_steps(b.o), 4);
        ck_assert_int_eq(mn_ema_updates(b.ema), 4);
        steps(&b, 3);
        for (int i = 0; i < a.all; i++) {
            same(a.p[i], b.p[i], a.p[i]->name, i);
            same(mn_ema_tensor(a.ema, i), mn_ema_tensor(b.ema, i), "average", i);
            same(mn_snapshot_tensor(a.best, i), mn_snapshot_tensor(b.best, i), "best", i);
        }
        mn_context_destroy(a.c);
        mn_context_destroy(b.c);
    }
}
END_TEST

START_TEST(test_errors) {
    const char *path = test_path("run.ckpt"), *plain = test_path("plain.h5");
    mn_error err = {0};
    run a = start(MN_F32, 1, MN_ADAM), b = start(MN_F32, 2, MN_SGD);
    char *state;
    steps(&a, 1);
    mn_checkpoint out = parts(&a, NULL), in = parts(&b, NULL);
    ASSERT_OK(mn_checkpoint_save(&out, path, &err), &err);
    double before = mn_item(b.p[0], 0);
    ck_assert_int_ne(mn_checkpoint_load(&in, path, &err), MN_OK); /* another optimiser: nothing is touched */
    ck_assert_msg(strstr(err.text, "checkpoint, optim: the file has") != NULL, "%s", err.text);
    ck_assert(mn_item(b.p[0], 0) == before && !in.state);
    mn_error_clear(&err);
    ASSERT_OK(mn_model_save(a.m, NULL, plain, &err), &err);
    ck_assert_int_ne(mn_checkpoint_peek(plain, &state, &err), MN_OK);
    ck_assert_msg(strstr(err.text, "is a model but no checkpoint") != NULL, "%s", err.text);
    mn_error_clear(&err);
    mn_model *m = mn_model_load(b.c, path, NULL, &err); /* a checkpoint is a model file as well */
    ck_assert_msg(m != NULL, "%s", err.text);
    same(mn_model_parameter(m, a.p[3]->name), a.p[3], "weight", 3);
    size_t n;
    char *bytes = test_read_file(path, &n);
    for (size_t at = 0; at < n - 24; at += n / 23 + 1) {
        test_write_file(test_path("cut.ckpt"), bytes, at);
        mn_error_clear(&err);
        in = parts(&a, NULL);
        ck_assert_int_ne(mn_checkpoint_load(&in, test_path("cut.ckpt"), &err), MN_OK);
        ck_assert_ptr_nonnull(strstr(err.text, "cut.ckpt"));
    }
    free(bytes);
    mn_context_destroy(a.c);
    mn_context_destroy(b.c);
}
END_TEST

TEST_SUITE(checkpoint, test_resume, test_errors)
#else
START_TEST(test_missing) {
    mn_error err = {0};
    char *state;
    ck_assert_int_eq(mn_checkpoint_peek("x", &state, &err), MN_ERR_UNSUPPORTED);
}
END_TEST
TEST_SUITE(checkpoint, test_missing)
#endif
