/* Every allocation of a training step is made to fail once: each failure is a sentence, nothing crashes and
 * nothing leaks (run it under AddressSanitizer: make asan). */
#include "layers/layers.h"
#include "optim/optim.h"
#include "tests/tests.h"

static int64_t allocations_left; /* fails when it reaches 0; negative: never */
static int64_t live;

static void *counted_alloc(size_t bytes, size_t align, void *user) {
    (void)user;
    if (allocations_left >= 0 && allocations_left-- == 0) return NULL;
    void *p = aligned_alloc(align, (bytes + align - 1) / align * align);
    live += p != NULL;
    return p;
}
static void counted_release(void *p, void *user) {
    (void)user;
    live -= p != NULL;
    free(p);
}

/* Builds a small two-headed network and trains it for three steps. MN_OK, or the first failure. */
static mn_status train(mn_error *err) {
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
    mn_status s = mn_context_error(c)->status;
    if (s)
        mn_fail(err, s, "%s", mn_context_error(c)->text);
    else if (!o || !e)
        s = mn_fail(err, MN_ERR_ARG, "a constructor failed without a word");
    mn_context_destroy(c);
    return s;
}

START_TEST(test_every_allocation) {
    mn_set_allocator(&(mn_allocator){counted_alloc, counted_release, NULL});
    mn_error err = {0};
    allocations_left = -1;
    int64_t before = mn_allocation_count();
    ASSERT_OK(train(&err), &err);
    int64_t needed = mn_allocation_count() - before;
    ck_assert_int_gt(needed, 10);
    ck_assert_int_eq(live, 0);
    for (int64_t n = 0; n < needed; n++) {
        mn_error_clear(&err);
        allocations_left = n;
        mn_status s = train(&err);
        ck_assert_msg(s == MN_ERR_MEMORY, "allocation %lld of %lld failed and the result is %s: %s", (long long)n,
                      (long long)needed, mn_status_name(s), err.text);
        ck_assert_msg(strlen(err.text) > 10, "no sentence for allocation %lld", (long long)n);
        ck_assert_msg(live == 0, "%lld blocks leak after failure %lld", (long long)live, (long long)n);
    }
    mn_set_allocator(NULL);
}
END_TEST

TEST_SUITE(oom, test_every_allocation)
