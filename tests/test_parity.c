/* Every operation's built-in cases (those of the gradient check) on CUDA and on the CPU, forward and backward,
 * in f64. The CPU's gradients are checked by differences; these are checked by the CPU's. */
#include "tests/op_test.h"
#include "autograd/internal.h"

static void same(const mn_tensor *got, const mn_tensor *want, double tolerance, const char *what, int op, int k) {
    double *a = op_values(got), *b = op_values(want);
    ck_assert_int_eq(got->count, want->count);
    for (int64_t i = 0; i < want->count; i++)
        ck_assert_msg(fabs(a[i] - b[i]) <= tolerance * fmax(1, fabs(b[i])),
                      "%s, case %d: element %lld of %s is %.12g, on the CPU %.12g", mn_op_name(op), k, (long long)i, what, a[i],
                      b[i]);
    free(a), free(b);
}

/* Case k of an operation, with its gradients; NULL after the last case. `add`: the gradients are added to themselves. */
static mn_tensor *run(mn_context *c, int op, int k, bool add) {
    mn_tensor *y = mn__op((mn_op_id)op)->example(c, k);
    if (!y) {
        ASSERT_OK(mn_context_error(c)->status, mn_context_error(c));
        return NULL;
    }
    mn_tensor *dy = mn_tensor_create(c, MN_STEP, c->dtype, y->shape);
    ck_assert_msg(dy && !mn_fill_uniform(dy, 77, -1, 1), "%s", mn_context_error(c)->text);
    for (int pass = 0; pass <= add; pass++) ASSERT_OK(mn__backward_from(c, y, dy, pass), mn_context_error(c));
    return y;
}

/* The inputs that the case has made and wants gradients of, in the order in which they are read: what is one operation on one
 * device may be two on the other. */
static int leaves(const mn_context *c, mn_tensor *leaf[], int most) {
    int n = 0;
    for (const mn_node *k = c->tape_first; k; k = k->next)
        for (int i = 0; i < k->n_in; i++) {
            bool known = !mn__wants(k, i) || k->in[i]->lifetime != MN_MODEL;
            for (int j = 0; j < n && !known; j++) known = leaf[j] == k->in[i];
            if (!known && n < most) leaf[n++] = k->in[i];
        }
    return n;
}

static bool one_case(mn_context *gpu, mn_context *cpu, double tolerance, int op, int k) {
    mn_step_begin(gpu), mn_step_begin(cpu);
    mn_tensor *y = run(gpu, op, k, k % 2), *want = run(cpu, op, k, k % 2);
    ck_assert_int_eq(y == NULL, want == NULL);
    if (!y) return false;
    same(y, want, tolerance, "the result", op, k);
    mn_tensor *a[MN__MAX_INPUTS], *b[MN__MAX_INPUTS];
    int n = leaves(gpu, a, MN__MAX_INPUTS);
    ck_assert_int_eq(n, leaves(cpu, b, MN__MAX_INPUTS));
    for (int i = 0; i < n; i++) same(a[i]->grad, b[i]->grad, tolerance, "a gradient", op, k);
    return true;
}

START_TEST(test_every_operation) {
    mn_error err = {0};
    mn_context *gpu = mn_context_create(&(mn_context_opt){.device = MN_CUDA, .dtype = MN_F64, .seed = 5}, &err);
    if (!gpu) {
        test_skip("operations on CUDA beside the CPU: no device");
        return;
    }
    mn_context *cpu = op_context(MN_F64, 5);
    for (int op = 0; op < mn_op_count(); op++)
        for (int k = 0; one_case(gpu, cpu, 1e-11, op, k);) k++;
    mn_context_destroy(gpu), mn_context_destroy(cpu);
}
END_TEST

TEST_SUITE(parity, test_every_operation)
