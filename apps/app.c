/* The table of subcommands and the parsing and printing that they share. */
#include "apps/app.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const app_command app_commands[] = {
#define COMMAND(name, line) {#name, line, cmd_##name},
#include "apps/commands.def"
#undef COMMAND
    {0},
};

const app_command *app_command_find(const char *name) {
    for (const app_command *c = app_commands; c->name; c++)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

void app_print_commands(FILE *out) {
    fputs("mien trains, evaluates and runs small face networks.\n\nUsage: mien SUBCOMMAND [OPTION...]\n\n", out);
    for (const app_command *c = app_commands; c->name; c++) fprintf(out, "  %-10s %s\n", c->name, c->line);
    fputs("\n`mien help SUBCOMMAND` explains one, with examples. Start with:\n"
          "  mien train --data rendered:2000 --net tiny --epochs 5 --out faces.h5\n",
          out);
}

int app_fail(const mn_error *err) {
    fflush(stdout);
    fprintf(stderr, "mien: %s\n", err->text[0] ? err->text : mn_status_name(err->status));
    return APP_FAILED;
}

int app_without(int argc, char **argv, const char *library, const char *package) {
    (void)argc;
    fprintf(stderr, "%s: this program was built without %s; hint: install %s and build again\n", argv[0], library, package);
    return APP_FAILED;
}

void *app_alloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size);
    if (!p) {
        fprintf(stderr, "mien: out of memory (%zu x %zu bytes)\n", count, size);
        exit(APP_FAILED);
    }
    return p;
}

char *app_text(const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n >= 0) return text;
    fputs("mien: out of memory\n", stderr);
    exit(APP_FAILED);
}

uint64_t app_hash(uint64_t h, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

char *app_folder(void) {
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0) return NULL;
    program[n] = 0;
    return app_text("%s", dirname(program));
}

double app_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool write_all(int fd, const char *bytes, size_t size) {
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0 || errno == EINVAL; /* EINVAL: a file system without fsync */
}

mn_status app_save(const char *path, const void *bytes, size_t size, mn_error *err) {
    char *temporary = app_text("%s.tmp-%d", path, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool done = fd >= 0 && write_all(fd, bytes, size);
    int why = errno;
    if (fd >= 0 && close(fd) && done) done = false, why = errno;
    if (done && rename(temporary, path)) done = false, why = errno;
    if (!done && fd >= 0) unlink(temporary);
    free(temporary);
    return done ? MN_OK : mn_fail(err, MN_ERR_IO, "cannot write %s: %s", path, strerror(why));
}

mn_status app_check_writable(const char *path, mn_error *err) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return mn_fail(err, MN_ERR_IO, "cannot write %s: it is a directory; hint: name a file in it", path);
    char *probe = app_text("%s.tmp-%d", path, (int)getpid());
    int fd = open(probe, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int why = errno;
    if (fd >= 0) close(fd), unlink(probe);
    free(probe);
    return fd >= 0 ? MN_OK
                   : mn_fail(err, MN_ERR_IO, "cannot write %s: %s%s", path, strerror(why),
                             why == ENOENT ? "; hint: create its folder first" : "");
}

/* Levenshtein's distance, in one row; longer words than the row are cut. */
static int edit_distance(const char *a, const char *b) {
    int row[65], n = (int)strnlen(b, 64), m = (int)strnlen(a, 64);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            int shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
        }
    }
    return row[n];
}

const char *app_nearest(const char *word, const char *const *list, int n) {
    const char *best = NULL;
    size_t length = strlen(word);
    int limit = length < 3 ? 1 : (int)(length + 2) / 3;
    for (int i = 0; i < n; i++) {
        bool prefix = length >= 2 && !strncmp(list[i], word, length);
        int d = prefix ? 0 : edit_distance(word, list[i]);
        if (d <= limit) best = list[i], limit = d - 1;
    }
    return best;
}

long long app_parse_int(const struct argp_state *s, const char *option, const char *text, long long lo, long long hi) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < lo || v > hi)
        argp_error(s, "%s wants a whole number from %lld to %lld, not \"%s\"", option, lo, hi, text);
    return v;
}

double app_parse_real(const struct argp_state *s, const char *option, const char *text, double lo, double hi) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= lo && v <= hi))
        argp_error(s, "%s wants a number from %g to %g, not \"%s\"", option, lo, hi, text);
    return v;
}

int app_parse_word(const struct argp_state *s, const char *option, const char *text, const char *const *words, int n) {
    char list[400] = "";
    for (int i = 0; i < n; i++) {
        if (!strcmp(words[i], text)) return i;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
    }
    const char *near = app_nearest(text, words, n);
    if (near)
        argp_error(s, "%s knows no \"%s\"; did you mean \"%s\"? It knows %s", option, text, near, list);
    else
        argp_error(s, "%s knows no \"%s\"; it knows %s", option, text, list);
    return 0;
}
