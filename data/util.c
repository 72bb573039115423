/* Files read whole, files replaced atomically, byte order, hashes, work shared among threads. */
#include "data/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---- */

static mn_status read_all(int fd, const char *path, uint8_t *p, size_t n, mn_error *err) {
    for (size_t got = 0; got < n;) {
        ssize_t k = read(fd, p + got, n - got);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return mn_fail(err, MN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (k == 0) return mn_fail(err, MN_ERR_IO, "%s: became shorter while it was read", path);
        got += (size_t)k;
    }
    p[n] = 0;
    return MN_OK;
}

mn_status mn__read_file(const char *path, size_t limit, uint8_t **bytes, size_t *size, mn_error *err) {
    *bytes = NULL, *size = 0;
    /* O_NONBLOCK: opening a pipe that nobody writes to must not hang. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return mn_fail(err, MN_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat st;
    mn_status s = MN_OK;
    if (fstat(fd, &st) != 0)
        s = mn_fail(err, MN_ERR_IO, "%s: cannot be examined: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = mn_fail(err, MN_ERR_IO, "%s: is not a file%s", path, S_ISDIR(st.st_mode) ? " but a folder" : "");
    else if ((uintmax_t)st.st_size > limit)
        s = mn_fail(err, MN_ERR_FORMAT, "%s: has %lld bytes, more than the %zu that are read", path, (long long)st.st_size,
                    limit);
    else if (!(*bytes = mn_alloc((size_t)st.st_size + 1)))
        s = mn_fail(err, MN_ERR_MEMORY, "%s: no memory for its %lld bytes", path, (long long)st.st_size);
    if (!s) s = read_all(fd, path, *bytes, (size_t)st.st_size, err);
    close(fd);
    if (s) {
        mn_free(*bytes);
        *bytes = NULL;
        return s;
    }
    *size = (size_t)st.st_size;
    return MN_OK;
}

mn_status mn__replace_begin(mn__replace *r, const char *path, mn_error *err) {
    size_t n = strlen(path) + sizeof ".XXXXXX";
    *r = (mn__replace){.path = path, .temporary = mn_alloc(n)};
    if (!r->temporary) return mn_fail(err, MN_ERR_MEMORY, "%s: no memory to write it", path);
    snprintf(r->temporary, n, "%s.XXXXXX", path);
    int fd = mkstemp(r->temporary);
    if (fd >= 0) r->f = fdopen(fd, "wb");
    if (r->f) return MN_OK;
    mn_status s = mn_fail(err, MN_ERR_IO, "%s: cannot be written: %s; hint: does the folder exist?", path, strerror(errno));
    if (fd >= 0) close(fd), unlink(r->temporary);
    mn_free(r->temporary);
    return s;
}

void mn__replace_abort(mn__replace *r) {
    if (r->f) fclose(r->f);
    unlink(r->temporary);
    mn_free(r->temporary);
    *r = (mn__replace){0};
}

mn_status mn__replace_commit(mn__replace *r, mn_error *err) {
    const char *path = r->path;
    mode_t mask = umask(0); /* mkstemp's 0600 becomes what any new file here gets */
    umask(mask);
    bool ok = fflush(r->f) == 0 && fchmod(fileno(r->f), 0666 & ~mask) == 0 && fsync(fileno(r->f)) == 0;
    ok = fclose(r->f) == 0 && ok;
    r->f = NULL;
    ok = ok && rename(r->temporary, path) == 0;
    int reason = errno;
    if (ok) {
        mn_free(r->temporary);
        return MN_OK;
    }
    mn__replace_abort(r);
    return mn_fail(err, MN_ERR_IO, "%s: cannot be written: %s", path, strerror(reason));
}

void mn__little_endian(void *numbers, size_t count, size_t size) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    uint8_t *p = numbers;
    for (size_t i = 0; i < count; i++, p += size)
        for (size_t k = 0; k < size / 2; k++) {
            uint8_t t = p[k];
            p[k] = p[size - 1 - k], p[size - 1 - k] = t;
        }
#else
    (void)numbers, (void)count, (void)size;
#endif
}

/* ---- hashes ---- */

uint64_t mn__mix64(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t mn__hash64(const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    uint64_t h = 0x9e3779b97f4a7c15u ^ n, w = 0;
    for (; n >= 8; n -= 8, p += 8) {
        w = 0;
        for (int k = 7; k >= 0; k--) w = w << 8 | p[k]; /* little-endian on every machine: one load */
        h = (h ^ w) * 0x2545f4914f6cdd1du;
        h ^= h >> 29;
    }
    w = 0;
    for (size_t k = 0; k < n; k++) w |= (uint64_t)p[k] << (8 * k);
    return mn__mix64(h ^ w);
}

/* ---- threads ---- */

int mn__threads(const mn_open_opt *opt) {
    long n = opt && opt->threads > 0 ? opt->threads : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MN__MAX_THREADS ? MN__MAX_THREADS : (int)n;
}

void mn__note(const mn_open_opt *opt, int64_t done, int64_t total, const char *format, ...) {
    if (!opt || !opt->progress) return;
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    opt->progress(opt->user, text, done, total);
}

typedef struct job {
    int64_t n, chunk;
    mn__task task;
    void *arg;
    const mn_open_opt *opt;
    const char *what;
    atomic_llong next, failed; /* next i to hand out; lowest i that failed */
    mn_error *err;
    pthread_mutex_t lock; /* guards err */
} job;

typedef struct worker {
    job *job;
    int number;
    pthread_t thread;
} worker;

static void record_failure(job *j, int64_t i, const mn_error *e) {
    pthread_mutex_lock(&j->lock);
    if (i < atomic_load(&j->failed)) {
        atomic_store(&j->failed, i);
        *j->err = *e;
    }
    pthread_mutex_unlock(&j->lock);
}

/* Chunks are handed out in rising order and finished up to the lowest failure known, so the lowest
 * failure of all is always found. */
static void *work(void *p) {
    worker *w = p;
    job *j = w->job;
    for (;;) {
        int64_t first = atomic_fetch_add(&j->next, j->chunk), last = first + j->chunk;
        if (last > j->n) last = j->n;
        for (int64_t i = first; i < last; i++) {
            if (i >= atomic_load(&j->failed)) return NULL;
            mn_error e = {0};
            if (j->task(j->arg, w->number, i, &e)) {
                if (!e.status) mn_fail(&e, MN_ERR_MEMORY, "out of memory");
                record_failure(j, i, &e);
                return NULL;
            }
        }
        if (first >= j->n) return NULL;
        if (w->number == 0) mn__note(j->opt, first, j->n, "%s", j->what);
    }
}

mn_status mn__parallel(int64_t n, const mn_open_opt *opt, const char *what, mn__task task, void *arg, mn_error *err) {
    mn_error first = {0};
    job j = {.n = n, .task = task, .arg = arg, .opt = opt, .what = what, .err = &first};
    atomic_init(&j.next, 0);
    atomic_init(&j.failed, INT64_MAX);
    pthread_mutex_init(&j.lock, NULL);
    worker w[MN__MAX_THREADS];
    int threads = mn__threads(opt), started = 1;
    if (threads > n) threads = n < 1 ? 1 : (int)n;
    j.chunk = n / (threads * 16) < 1 ? 1 : n / (threads * 16) > 64 ? 64 : n / (threads * 16);
    for (int k = 0; k < threads; k++) w[k] = (worker){.job = &j, .number = k};
    /* Fewer threads than wanted is slower, not wrong. */
    while (started < threads && pthread_create(&w[started].thread, NULL, work, &w[started]) == 0) started++;
    work(&w[0]);
    for (int k = 1; k < started; k++) pthread_join(w[k].thread, NULL);
    pthread_mutex_destroy(&j.lock);
    if (first.status) return mn_fail(err, first.status, "%s", first.text);
    mn__note(opt, n, n, "%s", what);
    return MN_OK;
}
