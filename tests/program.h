/* Runs the `mien` that lies beside this test program (MIEN_BIN names another), as a user would. */
#ifndef MIEN_TESTS_PROGRAM_H
#define MIEN_TESTS_PROGRAM_H
#include "tests/tests.h"

extern char output[200000]; /* stdout and stderr of the last run */
const char *program(void);  /* its path */
/* A line of shell; its standard output goes to `output`. Returns the exit status, 128 + signal if killed. */
int shell(const char *line);
/* `mien <arguments>` in the test's directory, likewise, stderr included. */
MN_PRINTF(1, 2)
int mien(const char *format, ...);
/* False, and the test says that it was skipped, where models cannot be written. */
bool have_model_files(void);

#define ASSERT_SAYS(text) ck_assert_msg(strstr(output, text), "\"%s\" is not in:\n%s", text, output)
#define ASSERT_EXIT(status, ...)                                                                                                 \
    do {                                                                                                                         \
        int got_ = mien(__VA_ARGS__);                                                                                            \
        ck_assert_msg(got_ == (status), "exit status %d, want %d:\n%s", got_, status, output);                                   \
    } while (0)

#endif
