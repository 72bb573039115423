/* Multiply, Scale, Clip, Padding2D, UpSampling2D, Slice: values by hand, gradients, JSON, sentences. */
#include "layers/layers.h"
#include "tests/op_test.h"

static mn_tensor *apply(mn_tensor **in, int n, void *arg) {
    (void)n;
    return mn_model_forward(arg, in, true) == MN_OK ? mn_model_result(arg, 0) : NULL;
}

static mn_model *built(mn_model *m, mn_sym y) {
    mn_model_output(m, y);
    ASSERT_OK(mn_model_build(m), mn_context_error(mn_model_context(m)));
    return m;
}

/* Gradients of the inputs and of up to two parameters. */
static void check(mn_model *m, int inputs) {
    mn_context *c = mn_model_context(m);
    int trained;
    mn_tensor *in[4], **p = mn_model_parameters(m, &trained, NULL);
    for (int i = 0; i < inputs; i++) {
        mn_shape s = mn_model_input_shape(m, i), batch = {.ndim = s.ndim + 1, .dim = {2}};
        for (int d = 0; d < s.ndim; d++) batch.dim[d + 1] = s.dim[d];
        in[i] = mn_parameter(c, i ? "y" : "x", batch);
        mn_fill_uniform(in[i], 1 + (uint64_t)i, -1, 1);
    }
    for (int i = 0; i < trained; i++) mn_fill_uniform(in[inputs + i] = p[i], 5 + (uint64_t)i, -1, 1);
    ASSERT_OK(mn_gradcheck(c, apply, in, inputs + trained, m, 0, NULL), mn_context_error(c));
    mn_error err = {0};
    char *text = mn_model_to_json(m, &err); /* and through JSON */
#if MN_HAVE_JSON
    mn_model *again = mn_model_from_json(c, text, strlen(text), NULL);
    ck_assert_msg(again != NULL, "%s", mn_context_error(c)->text);
    ck_assert(mn_shape_equal(mn_model_output_shape(again, 0), mn_model_output_shape(m, 0)));
#endif
    mn_free(text);
    mn_context_destroy(c);
}

static mn_model *begin(mn_sym *x, mn_shape s) {
    mn_model *m = mn_model_create(op_context(MN_F64, 3), "m");
    *x = mn_model_input(m, "input", s);
    return m;
}

START_TEST(test_gradients) {
    mn_sym x, y;
    mn_model *m = begin(&x, MN_SHAPE(3, 2, 4));
    y = mn_model_input(m, "gate", MN_SHAPE(3, 1, 1));
    check(built(m, mn_layer_multiply(m, (mn_sym[]){x, y, x}, 3, (mn_plain_layer){0})), 2);
    m = begin(&x, MN_SHAPE(3, 2, 4));
    check(built(m, mn_layer_scale(m, x, (mn_scale_layer){0})), 1);
    m = begin(&x, MN_SHAPE(5));
    check(built(m, mn_layer_scale(m, x, (mn_scale_layer){.no_center = true})), 1);
    m = begin(&x, MN_SHAPE(2, 3, 3));
    check(built(m, mn_layer_clip(m, x, (mn_clip_layer){.min_value = -0.5, .max_value = 0.6})), 1);
    m = begin(&x, MN_SHAPE(2, 3, 3));
    check(built(m, mn_layer_padding2d(m, x, (mn_padding2d_layer){.padding = {1, 0, 2, 1}, .value = -7})), 1);
    m = begin(&x, MN_SHAPE(2, 3, 2));
    check(built(m, mn_layer_up_sampling2d(m, x, (mn_up_sampling2d_layer){.size = {2, 3}})), 1);
    m = begin(&x, MN_SHAPE(4, 3, 2));
    check(built(m, mn_layer_slice(m, x, (mn_slice_layer){.axis = 2, .start = 1, .length = 2})), 1);
}
END_TEST

START_TEST(test_values) {
    mn_sym x;
    mn_model *m = begin(&x, MN_SHAPE(1, 1, 2));
    mn_context *c = mn_model_context(m);
    x = mn_layer_up_sampling2d(m, x, (mn_up_sampling2d_layer){.size = {2, 2}});
    x = mn_layer_padding2d(m, x, (mn_padding2d_layer){.padding = {0, 0, 1, 0}, .value = 9});
    x = mn_layer_clip(m, x, (mn_clip_layer){0});
    built(m, mn_layer_slice(m, x, (mn_slice_layer){.axis = 3, .start = 0, .length = 4}));
    mn_step_begin(c);
    mn_tensor *in = mn_input(c, MN_SHAPE(1, 1, 1, 2), (float[]){-3, 5});
    ASSERT_OK(mn_model_forward(m, &in, false), mn_context_error(c));
    static const double want[8] = {6, 0, 0, 5, 6, 0, 0, 5};
    double *y = op_values(mn_model_result(m, 0));
    for (int i = 0; i < 8; i++) ASSERT_CLOSE(y[i], want[i], 0);
    free(y);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_sentences) {
    mn_sym x;
    mn_model *m = begin(&x, MN_SHAPE(4, 3, 2));
    mn_context *c = mn_model_context(m);
    mn_layer_slice(m, x, (mn_slice_layer){.axis = 1, .start = 3, .length = 2});
    ck_assert_ptr_nonnull(
        strstr(mn_context_error(c)->text, "Slice \"slice\": 2 numbers from 3 on along axis 1 do not lie in (N,) + (4,3,2)"));
    mn_context_destroy(c);
    m = begin(&x, MN_SHAPE(4, 3, 2));
    mn_sym y = mn_model_input(m, "b", MN_SHAPE(4, 2, 2));
    mn_layer_multiply(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){0});
    ck_assert_ptr_nonnull(
        strstr(mn_context_error(mn_model_context(m))->text, "input 1 is (4,2,2); wanted the same numbers, or 1"));
    mn_context_destroy(mn_model_context(m));
    m = begin(&x, MN_SHAPE(4));
    mn_layer_clip(m, x, (mn_clip_layer){.min_value = 2, .max_value = 1});
    ck_assert_ptr_nonnull(strstr(mn_context_error(mn_model_context(m))->text, "min_value is 2 and max_value 1"));
    mn_context_destroy(mn_model_context(m));
}
END_TEST

TEST_SUITE(small_layers, test_gradients, test_values, test_sentences)
