/* Contexts, shapes, tensors, the error rule, planned memory. */
#include "tests/op_test.h"

START_TEST(test_shapes) {
    char buf[64];
    ck_assert_int_eq(mn_shape_count((mn_shape){0}), 1);
    ck_assert_int_eq(mn_shape_count(MN_SHAPE(2, 0, 3)), 0);
    ck_assert_int_eq(mn_shape_count(MN_SHAPE(2, -1)), -1);
    ck_assert_int_eq(mn_shape_count(MN_SHAPE(INT64_MAX / 2, 3)), -1);
    ck_assert_str_eq(mn_shape_text(MN_SHAPE(32, 1, 48, 48), buf, sizeof buf), "(32,1,48,48)");
    ck_assert(mn_shape_equal(MN_SHAPE(2, 3), MN_SHAPE(2, 3)) && !mn_shape_equal(MN_SHAPE(2, 3), MN_SHAPE(2, 3, 1)));
}
END_TEST

START_TEST(test_first_error_stays) {
    mn_error e = {0};
    ck_assert_int_eq(mn_fail(&e, MN_ERR_ARG, "first %d", 1), MN_ERR_ARG);
    ck_assert_int_eq(mn_fail(&e, MN_ERR_IO, "second"), MN_ERR_IO);
    ck_assert_int_eq(e.status, MN_ERR_ARG);
    mn_error_prefix(&e, "file %s", "x");
    ck_assert_str_eq(e.text, "file x: first 1");
    mn_error_clear(&e);
    ck_assert(e.status == MN_OK && e.text[0] == 0);
}
END_TEST

START_TEST(test_context_options) {
    mn_error e = {0};
    ck_assert_ptr_null(mn_context_create(&(mn_context_opt){.dtype = MN_I32}, &e));
    ck_assert_ptr_nonnull(strstr(e.text, "f32 or f64"));
    mn_error_clear(&e);
    ck_assert_ptr_null(mn_context_create(&(mn_context_opt){.threads = -2}, &e));
    ck_assert_ptr_nonnull(strstr(e.text, "threads is -2"));
    mn_context *c = mn_context_create(&(mn_context_opt){.memory_limit = 1 << 20}, NULL);
    ck_assert_ptr_null(mn_tensor_create(c, MN_STEP, MN_F32, MN_SHAPE(1 << 20)));
    ck_assert_int_eq(mn_context_error(c)->status, MN_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(mn_context_error(c)->text, "memory limit"));
    mn_context_destroy(c);
    mn_context_destroy(NULL);
}
END_TEST

static void round_trip(op_env *e) {
    double v[6] = {1, -2, 0.5, 1e-3, 7, 0}, w[6];
    mn_tensor *t = mn_tensor_create(e->c, MN_STEP, mn_context_dtype(e->c), MN_SHAPE(2, 3));
    ASSERT_OK(mn_set_f64(t, v), mn_context_error(e->c));
    ASSERT_OK(mn_get_f64(t, w), mn_context_error(e->c));
    for (int i = 0; i < 6; i++) ASSERT_CLOSE(w[i], v[i], 1e-9);
    ASSERT_CLOSE(mn_item(t, 4), 7, 0);
    ck_assert(isnan(mn_item(t, 6)) && isnan(mn_item(NULL, 0)));
    ASSERT_OK(mn_fill(t, 2.5), mn_context_error(e->c));
    ASSERT_CLOSE(mn_item(t, 5), 2.5, 0);
    float f[2] = {3, 4};
    ASSERT_CLOSE(mn_item(mn_input(e->c, MN_SHAPE(2), f), 1), 4, 0);
    int32_t l[2] = {-1, 6};
    ASSERT_CLOSE(mn_item(mn_labels(e->c, 2, l), 0), -1, 0);
}
START_TEST(test_round_trip) { for_each_backend(round_trip); }
END_TEST

/* From the third step on nothing is allocated and every address repeats. */
START_TEST(test_planned_memory) {
    mn_context *c = op_context(MN_F32, 1);
    mn_tensor *w = mn_parameter(c, "w", MN_SHAPE(300, 400));
    mn_fill_uniform(w, 1, -1, 1);
    int64_t before = 0;
    void *address = NULL;
    for (int step = 0; step < 6; step++) {
        mn_step_begin(c);
        mn_tensor *x = mn_input(c, MN_SHAPE(500, 300), NULL);
        mn_fill(x, 0.5);
        mn_tensor *y = mn_tanh(mn_matmul(x, w, (mn_matmul_opt){0})), *dy = mn_tensor_create(c, MN_STEP, MN_F32, y->shape);
        mn_fill(dy, 1);
        ASSERT_OK(mn_backward_from(c, y, dy), mn_context_error(c));
        if (step == 2) before = mn_allocation_count(), address = y->data;
        if (step > 2) ck_assert_ptr_eq(y->data, address);
    }
    ck_assert_int_eq(mn_allocation_count(), before);
    mn_context_destroy(c);
}
END_TEST

TEST_SUITE(tensor, test_shapes, test_first_error_stays, test_context_options, test_round_trip, test_planned_memory)
