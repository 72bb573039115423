/* Runs the suites named on the command line, or all. The exit status is the verdict. */
#include "tests/tests.h"
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUITE(name) Suite *suite_##name(void);
#define OP(name) SUITE(name)
#include "tests/suites.def"
#include "autograd/ops.def"
#undef SUITE
static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
#define SUITE(name) {#name, suite_##name},
#include "tests/suites.def"
#include "autograd/ops.def"
#undef SUITE
};
#define N_SUITES (sizeof suites / sizeof *suites)

/* Prints each reason once, with its number of occurrences; returns how many there are in all. */
static int print_skips(char *text) {
    int total = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        total++;
    }
    char *line = text;
    for (int i = 0; i < total; i++, line += strlen(line) + 1) {
        int same = 0, seen = 0;
        char *other = text;
        for (int k = 0; k < total; k++, other += strlen(other) + 1)
            if (!strcmp(line, other)) k < i ? (seen = 1) : same++;
        if (!seen) printf("skipped %d x: %s\n", same, line);
    }
    return total;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--list")) {
        for (size_t i = 0; i < N_SUITES; i++) puts(suites[i].name);
        return 0;
    }
    char skips[] = "/tmp/mien-skips-XXXXXX";
    int fd = mkstemp(skips);
    if (fd >= 0) close(fd);
    setenv("MIEN_SKIP_FILE", skips, 1);
    SRunner *r = srunner_create(NULL);
    int picked = 0;
    for (size_t i = 0; i < N_SUITES; i++) {
        int want = argc < 2;
        for (int k = 1; k < argc; k++) want |= !strcmp(argv[k], suites[i].name);
        if (want) srunner_add_suite(r, suites[i].make()), picked++;
    }
    if (picked < argc - 1 || picked == 0) {
        fprintf(stderr, "run-tests: no suite of that name; --list shows them\n");
        srunner_free(r), remove(skips);
        return 2;
    }
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r), run = srunner_ntests_run(r);
    srunner_free(r);
    size_t n = 0;
    char *text = test_read_file(skips, &n);
    int skipped = print_skips(text);
    free(text);
    remove(skips);
    printf("%d passed, %d failed, %d skipped\n", run - failed, failed, skipped);
    return failed ? 1 : 0;
}

/* ---- what tests.h declares ---- */

static char dir[64];
static pid_t dir_owner;

static void remove_tree(const char *path) {
    DIR *d = opendir(path);
    if (d) {
        for (struct dirent *e; (e = readdir(d));) {
            if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
            char sub[4096];
            snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
            remove_tree(sub);
        }
        closedir(d);
        rmdir(path);
    } else {
        unlink(path);
    }
}
static void remove_tmpdir(void) {
    if (dir[0] && dir_owner == getpid()) remove_tree(dir);
}

const char *test_tmpdir(void) {
    if (!dir[0] || dir_owner != getpid()) {
        strcpy(dir, "/tmp/mien-test-XXXXXX");
        if (!mkdtemp(dir)) ck_abort_msg("cannot make a directory under /tmp");
        dir_owner = getpid();
        atexit(remove_tmpdir);
    }
    return dir;
}

const char *test_path(const char *name) {
    static char buf[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(buf[turn], sizeof buf[turn], "%s/%s", test_tmpdir(), name);
    return buf[turn];
}

void test_write_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) ck_abort_msg("cannot write %s", path);
}

char *test_read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        *n = 0;
        return calloc(1, 1);
    }
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    *n = fread(p, 1, *n, f);
    p[*n] = 0;
    fclose(f);
    return p;
}

const char *test_data_dir(void) {
    const char *d = getenv("MIEN_DATA");
    if (!d) d = "../shared/data";
    struct stat s;
    return stat(d, &s) == 0 && S_ISDIR(s.st_mode) ? d : NULL;
}

int test_few(int n) {
    const char *loaded = getenv("LD_PRELOAD");
    return loaded && strstr(loaded, "vgpreload") ? n / 10 : n;
}

void test_skip(const char *why) {
    const char *path = getenv("MIEN_SKIP_FILE");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (f) fprintf(f, "%s\n", why), fclose(f);
}
