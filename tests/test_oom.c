/* Every allocation of a training step is made to fail once: each failure is a sentence, nothing crashes and
 * nothing leaks (run it under AddressSanitizer: make asan). */
#include "layers/layers.h"
#include "optim/optim.h"
#include "tests/tests.h"

/* Builds a small two-headed network and trains it for three steps. MN_OK, or the first failure. */
static mn_status train(void *unused, mn_error *err) {
    (void)unused;
    mn_context *c = mn_context_create(&(mn_context_opt){.seed = 3, .threads = 2}, err);
    if (!c) return err->status;
    mn_net_head heads[] = {{"emotion", 7}, {"gender", 2}};
    mn_model *m =
        mn_net_create(c, "seed2", &(mn_net_opt){.channels = 1, .height = 12, .width = 12, .heads = heads, .n_heads = 2});
    int n = 0;
    mn_tensor **weights = m ? mn_model_parameters(m, &n, NULL) : NULL;
    mn_optim *o = m ? mn_optim_create(c, weights, n, (mn_optim_opt){.lr = 0.01, .momentum = 0.9, .clip_norm = 1}) : NULL;
    mn_ema *e = m ? mn_ema_create(c, weights, n, 0.99) : NULL;
    static const int32_t emotion[4] = {0, 3, -1, 6}, gender[4] = {1, -1, 0, 1};
    for (int step = 0; o && e && step < 3 && !mn_context_error(c)->status; step++) {
        mn_step_begin(c);
        mn_tensor *x = mn_input(c, MN_SHAPE(4, 1, 12, 12), NULL);
        if (x) mn_fill_uniform(x, (uint64_t)step, 0, 1);
        mn_model_forward(m, &x, true);
        mn_tensor *a = mn_cross_entropy(mn_model_result(m, 0), mn_labels(c, 4, emotion), NULL, (mn_cross_entropy_opt){0});
        mn_tensor *b = mn_cross_entropy(mn_model_result(m, 1), mn_labels(c, 4, gender), NULL, (mn_cross_entropy_opt){0});
        if (mn_backward(c, mn_add(a, b)) == MN_OK && mn_optim_step(o) == MN_OK) mn_ema_update(e);
    }
    *err = *mn_context_error(c);
    if (!o || !e) mn_fail(err, MN_ERR_ARG, "a constructor failed without a word");
    mn_context_destroy(c);
    return err->status;
}

START_TEST(test_training) { ck_assert_int_gt(test_every_allocation(train, NULL), 10); }
END_TEST

TEST_SUITE(oom, test_training)
