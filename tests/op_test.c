#include "tests/op_test.h"

mn_context *op_context(mn_dtype dtype, uint64_t seed) {
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.dtype = dtype, .threads = 2, .seed = seed}, &err);
    ck_assert_msg(c != NULL, "%s", err.text);
    return c;
}

void for_each_backend(void (*body)(op_env *)) {
    for (int device = 0; device < MN_DEVICE_COUNT; device++)
        for (int dtype = MN_F32; dtype <= MN_F64; dtype++) {
            mn_error err = {0};
            mn_context_opt o = {.device = (mn_device)device, .dtype = (mn_dtype)dtype, .threads = 2, .seed = 11};
            mn_context *c = mn_context_create(&o, &err);
            if (!c) {
                ck_assert_msg(device != MN_CPU, "%s", err.text);
                if (dtype == MN_F32 && !getenv("MIEN_QUIET_SKIPS")) test_skip("an operation's body on CUDA: no device");
                continue;
            }
            op_env e = {.c = c, .tolerance = dtype == MN_F64 ? 1e-12 : 2e-5};
            body(&e);
            mn_context_destroy(c);
        }
}

mn_tensor *op_input(op_env *e, int number, mn_shape shape, double lo, double hi) {
    mn_tensor *t = mn_parameter(e->c, NULL, shape);
    ck_assert_msg(t != NULL, "%s", mn_context_error(e->c)->text);
    ASSERT_OK(mn_fill_uniform(t, 100 + (uint64_t)number, lo, hi), mn_context_error(e->c));
    return t;
}

int64_t op_size(op_env *e, int64_t cpu, int64_t cuda) { return mn_context_device(e->c) == MN_CPU ? cpu : cuda; }

double *op_values(const mn_tensor *t) {
    ck_assert_ptr_nonnull(t);
    double *v = malloc((size_t)(t->count + 1) * sizeof *v);
    ASSERT_OK(mn_get_f64(t, v), mn_context_error(t->ctx));
    return v;
}

void op_expect(op_env *e, const mn_tensor *t, mn_shape shape, const double *want) {
    ck_assert_msg(t != NULL, "no result: %s", mn_context_error(e->c)->text);
    char a[64], b[64];
    ck_assert_msg(mn_shape_equal(t->shape, shape), "the shape is %s, want %s", mn_shape_text(t->shape, a, sizeof a),
                  mn_shape_text(shape, b, sizeof b));
    double *got = op_values(t);
    for (int64_t i = 0; i < t->count; i++) {
        double limit = e->tolerance * fmax(1, fabs(want[i]));
        ck_assert_msg(fabs(got[i] - want[i]) <= limit, "element %lld of %s is %.12g, want %.12g (+-%.2g)", (long long)i,
                      mn_shape_text(t->shape, a, sizeof a), got[i], want[i], limit);
    }
    free(got);
}

void op_expect_error(op_env *e, const mn_tensor *result, mn_status status, const char *part) {
    mn_error *err = mn_context_error(e->c);
    ck_assert_msg(result == NULL, "the operation should have failed with: %s", part);
    ck_assert_msg(err->status == status, "status %s, want %s: %s", mn_status_name(err->status), mn_status_name(status),
                  err->text);
    ck_assert_msg(strstr(err->text, part) != NULL, "the sentence \"%s\" does not hold \"%s\"", err->text, part);
    mn_error_clear(err);
}
