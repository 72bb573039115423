/* dropout: scaling, how many are dropped, that masks repeat when they should and differ when they should. */
#include "autograd/dropout.h"
#include "tests/op_test.h"

static mn_tensor *ones(op_env *e, int64_t n) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(n));
    mn_fill(x, 1);
    return x;
}
static mn_tensor *drop(mn_tensor *x, double p, uint64_t stream) {
    return mn_dropout(x, (mn_dropout_opt){.p = p, .training = true, .stream = stream});
}

/* Kept elements are x/(1-p); the share of dropped ones is p within 5 deviations; the gradient uses the mask. */
static void statistics(op_env *e) {
    enum { N = 100003 };
    mn_tensor *x = ones(e, N);
    for (int k = 0; k < 3; k++) {
        double p = (double[]){0.1, 0.5, 0.9}[k], dropped = 0, pairs = 0;
        mn_tensor *y = drop(x, p, 0);
        double *v = op_values(y);
        for (int i = 0; i < N; i++) {
            if (v[i] != 0) ASSERT_CLOSE(v[i], 1 / (1 - p), 1e-5);
            dropped += v[i] == 0;
            pairs += i > 0 && v[i] == 0 && v[i - 1] == 0;
        }
        ASSERT_CLOSE(dropped / N, p, 5 * sqrt(p * (1 - p) / N));
        ASSERT_CLOSE(pairs / N, p * p, 10 * sqrt(p * p / N)); /* neighbours know nothing of each other */
        ASSERT_OK(mn_backward(e->c, mn_sum(y)), mn_context_error(e->c));
        op_expect(e, x->grad, MN_SHAPE(N), v);
        free(v);
        mn_step_begin(e->c);
    }
}
START_TEST(test_statistics) { for_each_backend(statistics); }
END_TEST

static int64_t differences(const mn_tensor *a, const mn_tensor *b) {
    double *v = op_values(a), *w = op_values(b);
    int64_t n = 0;
    for (int64_t i = 0; i < a->count; i++) n += v[i] != w[i];
    free(v), free(w);
    return n;
}

static void masks(op_env *e) {
    mn_tensor *x = ones(e, 1001);
    mn_tensor *first = drop(x, 0.5, 0), *second = drop(x, 0.5, 0), *a = drop(x, 0.5, 3), *b = drop(x, 0.5, 3);
    ck_assert_int_gt(differences(first, second), 400); /* another operation, another mask */
    ck_assert_int_eq(differences(a, b), 0);            /* one stream, one mask */
    ck_assert_int_gt(differences(a, drop(x, 0.5, 4)), 400);
    double *v = op_values(first), *w = op_values(a);
    uint64_t step = mn_context_step(e->c);
    mn_step_begin(e->c);
    mn_tensor *later = drop(x, 0.5, 0), *later_a = drop(x, 0.5, 3);
    int same = 0, same_a = 0;
    for (int i = 0; i < 1001; i++) same += mn_item(later, i) == v[i], same_a += mn_item(later_a, i) == w[i];
    ck_assert_int_lt(same, 600); /* another step, another mask */
    ck_assert_int_lt(same_a, 600);
    mn_step_begin(e->c);
    mn_context_set_step(e->c, step); /* a resumed run: the same mask again */
    op_expect(e, drop(x, 0.5, 0), MN_SHAPE(1001), v);
    free(v), free(w);
}
START_TEST(test_masks) { for_each_backend(masks); }
END_TEST

/* The very numbers that autograd/dropout.h promises, whatever the device: word i%4 of block i/4. */
static void promised_numbers(op_env *e) {
    enum { N = 20011 };
    mn_tensor *x = ones(e, N), *y = drop(x, 0.3, 0);
    double *v = op_values(y);
    uint64_t stream = mn__dropout_stream(mn_context_step(e->c), mn__dropout_which(y->node));
    for (int i = 0; i < N; i++) {
        uint32_t word[4];
        mn_random_u32x4(mn_context_seed(e->c), stream, (uint64_t)i / 4, word);
        ck_assert_msg((v[i] != 0) == (word[i % 4] >= 0.3 * 4294967296.0), "element %d", i);
    }
    free(v);
}
START_TEST(test_promised_numbers) { for_each_backend(promised_numbers); }
END_TEST

/* The mask does not depend on the type or on the number of threads. */
START_TEST(test_everywhere_the_same) {
    double *first = NULL;
    for (int k = 0; k < 4; k++) {
        mn_context_opt o = {.dtype = k & 1 ? MN_F64 : MN_F32, .threads = 1 + k, .seed = 17};
        mn_context *c = mn_context_create(&o, NULL);
        op_env e = {c, 0};
        mn_tensor *y = drop(ones(&e, 20011), 0.5, 0);
        double *v = op_values(y);
        for (int i = 0; first && i < 20011; i++) ck_assert(v[i] == first[i]);
        if (!first)
            first = v;
        else
            free(v);
        mn_context_destroy(c);
    }
    free(first);
}
END_TEST

static void identity_and_errors(op_env *e) {
    mn_tensor *x = ones(e, 5);
    ck_assert_ptr_eq(mn_dropout(x, (mn_dropout_opt){.p = 0.5}), x); /* not training */
    ck_assert_ptr_eq(drop(x, 0, 0), x);
    ck_assert_int_eq(mn_tape_length(e->c), 0);
    op_expect_error(e, drop(x, 1, 0), MN_ERR_ARG, "p is 1; wanted 0 <= p < 1");
    op_expect_error(e, drop(x, -0.1, 0), MN_ERR_ARG, "p is -0.1");
    op_expect_error(e, mn_dropout(x, (mn_dropout_opt){.p = (double)NAN}), MN_ERR_ARG, "wanted 0 <= p < 1");
    ck_assert_ptr_null(drop(NULL, 0.5, 0));
    ck_assert_ptr_null(mn_dropout(NULL, (mn_dropout_opt){0}));
}
START_TEST(test_identity_and_errors) { for_each_backend(identity_and_errors); }
END_TEST

TEST_SUITE(dropout, test_statistics, test_masks, test_promised_numbers, test_everywhere_the_same, test_identity_and_errors)
