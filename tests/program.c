#include "tests/program.h"
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

char output[200000];

const char *program(void) {
    static char path[4096];
    const char *given = getenv("MIEN_BIN");
    if (given) return given;
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 8);
    ck_assert_int_gt(n, 0);
    path[n] = 0;
    strcpy(strrchr(path, '/') + 1, "mien");
    return path;
}

int shell(const char *line) {
    FILE *f = popen(line, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(output, 1, sizeof output - 1, f);
    output[n] = 0;
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int mien(const char *format, ...) {
    char line[12000], arguments[4000];
    va_list a;
    va_start(a, format);
    vsnprintf(arguments, sizeof arguments, format, a);
    va_end(a);
    snprintf(line, sizeof line, "cd %s && %s %s 2>&1", test_tmpdir(), program(), arguments);
    return shell(line);
}

bool have_model_files(void) {
    if (MN_HAVE_HDF5 && MN_HAVE_JSON) return true;
    test_skip("model files need libhdf5 and jansson");
    return false;
}
