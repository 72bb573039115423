/* Shared by the tests. A suite is a function `Suite *suite_NAME(void)` in tests/test_NAME.c, listed in
 * tests/suites.def (operations are listed by autograd/ops.def: an op without a suite does not link). */
#ifndef MIEN_TESTS_H
#define MIEN_TESTS_H
#include "tensor/tensor.h"
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A suite of one case from a list of test functions: TEST_SUITE(conv2d, test_a, test_b) */
#define TEST_SUITE(NAME, ...)                                                                                                    \
    Suite *suite_##NAME(void);                                                                                                   \
    Suite *suite_##NAME(void) {                                                                                                  \
        Suite *s = suite_create(#NAME);                                                                                          \
        TCase *c = tcase_create(#NAME);                                                                                          \
        tcase_set_timeout(c, 300);                                                                                               \
        const TTest *list[] = {__VA_ARGS__};                                                                                     \
        for (size_t i = 0; i < sizeof list / sizeof *list; i++) tcase_add_test(c, list[i]);                                      \
        suite_add_tcase(s, c);                                                                                                   \
        return s;                                                                                                                \
    }

/* Fails with the sentence of the error when the status is not MN_OK. */
#define ASSERT_OK(expr, err)                                                                                                     \
    do {                                                                                                                         \
        mn_status status_ = (expr);                                                                                              \
        ck_assert_msg(status_ == MN_OK, "%s: %s: %s", #expr, mn_status_name(status_), (err)->text);                              \
    } while (0)

/* Written so that NaN fails. */
#define ASSERT_CLOSE(got, want, tol)                                                                                             \
    do {                                                                                                                         \
        double got_ = (got), want_ = (want), tol_ = (tol);                                                                       \
        ck_assert_msg(fabs(got_ - want_) <= tol_, "%s is %.9g, want %.9g +- %.2g", #got, got_, want_, tol_);                     \
    } while (0)

/* A directory for a test's files, removed when the process ends. */
const char *test_tmpdir(void);
/* "<tmpdir>/<name>" in a static buffer of four in turn. */
const char *test_path(const char *name);
/* Writes a file; the whole content of one (malloc'ed, 0-terminated). */
void test_write_file(const char *path, const void *bytes, size_t n);
char *test_read_file(const char *path, size_t *n);
/* MIEN_DATA (default ../shared/data) when it exists, else NULL: then the test calls test_skip and returns. */
const char *test_data_dir(void);
/* n; a tenth of it under Valgrind, for damaged files: each is read in a process of its own, which takes seconds there. */
int test_few(int n);
void test_skip(const char *why);

/* From now on the n-th allocation of the library fails (once); n = 0: none fails. */
void test_fail_allocation(int64_t n);
/* Back to normal. Returns whether an allocation failed; *live: blocks not given back since then. */
bool test_allocations_end(int64_t *live);
/* Runs `body` with each of its allocations failing in turn, until it does not ask for as many: every failure must be
 * MN_ERR_MEMORY with a sentence, nothing may stay allocated, and the run in which none fails must be MN_OK. Returns the number
 * of allocations. */
int test_every_allocation(mn_status (*body)(void *arg, mn_error *err), void *arg);
#endif
