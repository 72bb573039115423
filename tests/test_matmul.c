/* matmul against three loops in double, over transposes and odd shapes. */
#include "tests/op_test.h"

static void case_of(op_env *e, int64_t M, int64_t N, int64_t K, bool ta, bool tb) {
    mn_tensor *a = op_input(e, 0, ta ? MN_SHAPE(K, M) : MN_SHAPE(M, K), -1, 1);
    mn_tensor *b = op_input(e, 1, tb ? MN_SHAPE(N, K) : MN_SHAPE(K, N), -1, 1);
    double *x = op_values(a), *y = op_values(b), *want = calloc((size_t)(M * N), sizeof *want);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++)
            for (int64_t p = 0; p < K; p++) want[i * N + j] += x[ta ? p * M + i : i * K + p] * y[tb ? j * K + p : p * N + j];
    op_expect(e, mn_matmul(a, b, (mn_matmul_opt){ta, tb}), MN_SHAPE(M, N), want);
    free(x), free(y), free(want);
}

static void forward(op_env *e) {
    for (int t = 0; t < 4; t++) {
        case_of(e, 1, 1, 1, t & 1, t >> 1);
        case_of(e, 3, 17, 5, t & 1, t >> 1);
        case_of(e, 67, 2, 31, t & 1, t >> 1);
        case_of(e, 70, 130, 65, t & 1, t >> 1); /* large enough for two threads */
        case_of(e, 9, 21, 523, t & 1, t >> 1);  /* deeper than a block of the product */
        case_of(e, 2, 3, 2503, t & 1, t >> 1);
        mn_step_begin(e->c);
    }
}
START_TEST(test_forward) { for_each_backend(forward); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *a = op_input(e, 0, MN_SHAPE(2, 3), -1, 1), *v = op_input(e, 1, MN_SHAPE(3), -1, 1);
    op_expect_error(e, mn_matmul(a, a, (mn_matmul_opt){0}), MN_ERR_SHAPE, "inner sizes 3 and 2 differ");
    op_expect_error(e, mn_matmul(a, v, (mn_matmul_opt){0}), MN_ERR_SHAPE, "wanted two matrices");
    ck_assert_ptr_null(mn_matmul(a, NULL, (mn_matmul_opt){0}));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(matmul, test_forward, test_errors)
