/* The progress bar: epoch  3/50 [=======>      ]  412/898  1,234 img/s  loss 1.4230  0:12 left */
#include "apps/progress.h"
#include "apps/app.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *progress_time(char *buf, size_t size, double seconds) {
    if (!(seconds >= 0)) seconds = 0;
    if (seconds > 3.6e8) seconds = 3.6e8;
    long s = (long)(seconds + 0.5);
    if (s < 3600)
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return buf;
}

const char *progress_number(char *buf, size_t size, int64_t n) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        buf[used++] = digits[i];
        int left = length - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-') buf[used++] = ',';
    }
    buf[used] = 0;
    return buf;
}

/* Appends text when the line stays within `columns`. */
static void append(char *line, size_t size, int columns, const char *text) {
    size_t used = strlen(line), more = strlen(text);
    if ((int)(used + more) <= columns && used + more < size) memcpy(line + used, text, more + 1);
}

const char *progress_line(char *buf, size_t size, int columns, const char *what, int64_t done, int64_t total, double rate,
                          double loss, double eta) {
    char count[64], n1[24], n2[24], part[64], tail[256] = "";
    if (total >= 0)
        snprintf(count, sizeof count, "%s/%s", progress_number(n1, sizeof n1, done), progress_number(n2, sizeof n2, total));
    else
        snprintf(count, sizeof count, "%s", progress_number(n1, sizeof n1, done));
    int room = columns - (int)strlen(what) - (int)strlen(count) - 1;
    if (eta >= 0)
        snprintf(part, sizeof part, "  %s left", progress_time(n1, sizeof n1, eta)), append(tail, sizeof tail, room, part);
    char front[256] = ""; /* in the order of importance: time, loss, rate; printed the other way round */
    if (!isnan(loss)) {
        snprintf(part, sizeof part, "  loss %.4g", loss);
        append(front, sizeof front, room - (int)strlen(tail), part);
    }
    if (rate > 0) {
        snprintf(part, sizeof part, "  %s img/s", progress_number(n1, sizeof n1, (int64_t)(rate + 0.5)));
        if ((int)(strlen(part) + strlen(front) + strlen(tail)) <= room) {
            memmove(front + strlen(part), front, strlen(front) + 1);
            memcpy(front, part, strlen(part));
        }
    }
    room -= (int)(strlen(front) + strlen(tail));
    char bar[64] = "";
    int width = room - 3 > 30 ? 30 : room - 3; /* a space, brackets */
    if (total > 0 && width >= 5) {
        int full = (int)(width * (done < total ? done : total) / total);
        memset(bar, '=', (size_t)width + 2);
        bar[0] = '[';
        memset(bar + 1 + full, ' ', (size_t)(width - full));
        if (full > 0 && full < width) bar[full] = '>';
        strcpy(bar + width + 1, "] ");
    }
    snprintf(buf, size, "%s %s%s%s%s", what, bar, count, front, tail);
    if (columns >= 0 && (size_t)columns < strlen(buf)) buf[columns] = 0;
    return buf;
}

static int terminal_columns(void) {
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    return 80;
}

void progress_begin(progress *p, const char *what, int64_t total) {
    const char *term = getenv("TERM");
    bool live = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    *p = (progress){.live = live, .columns = live ? terminal_columns() : 80, .total = total, .start = app_seconds()};
    snprintf(p->what, sizeof p->what, "%s", what);
}

bool progress_due(const progress *p) {
    double now = app_seconds();
    return p->live && now - p->start >= 0.3 && now - p->last >= 0.1;
}

void progress_update(progress *p, int64_t done, int64_t items, double loss) {
    if (!progress_due(p)) return;
    double now = app_seconds(), passed = now - p->start;
    p->last = now;
    p->columns = terminal_columns();
    double eta = p->total > 0 && done > p->first ? passed * (double)(p->total - done) / (double)(done - p->first) : -1;
    char line[512];
    /* One column stays free: some terminals wrap when the last one is written. */
    progress_line(line, sizeof line, p->columns - 1, p->what, done, p->total, items > 0 ? (double)items / passed : 0, loss, eta);
    fflush(stdout);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    p->drawn = true;
}

void progress_end(progress *p) {
    if (p->drawn) fputs("\r\033[K", stderr), fflush(stderr);
    p->drawn = false;
}

void progress_data(void *user, const char *what, int64_t done, int64_t total) {
    progress *p = user;
    if (strncmp(p->what, what, sizeof p->what - 1) != 0 || p->total != total || p->start == 0) {
        progress_end(p);
        progress_begin(p, what, total);
    }
    progress_update(p, done, 0, NAN);
}
