/* A progress bar on a terminal; nothing where stderr is not one. */
#ifndef MIEN_PROGRESS_H
#define MIEN_PROGRESS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct progress {
    bool live; /* stderr is a terminal that can redraw a line */
    bool drawn;
    int columns;
    char what[48];
    int64_t first, total; /* first: what was done before it began; set it after progress_begin */
    double start, last;
} progress;

/* `total` < 0: not known. The bar appears with the first update. */
void progress_begin(progress *p, const char *what, int64_t total);
/* Will the next update redraw the bar? */
bool progress_due(const progress *p);
/* done of total; `items` images since the beginning (0: no rate); loss NaN: none. Redraws ten times a second.
 */
void progress_update(progress *p, int64_t done, int64_t items, double loss);
/* Takes the bar away, so that a line can be printed. */
void progress_end(progress *p);
/* An mn_progress for opening data; `user` is a zeroed progress. End it with progress_end. */
void progress_data(void *user, const char *what, int64_t done, int64_t total);

/* The line of at most `columns` columns: parts that do not fit are left out, the bar takes what is left.
 * rate (images/s) <= 0, loss NaN, eta (seconds) < 0: left out. Returns buf. */
const char *progress_line(char *buf, size_t size, int columns, const char *what, int64_t done, int64_t total, double rate,
                          double loss, double eta);
/* "0:07", "12:34", "1:02:03" */
const char *progress_time(char *buf, size_t size, double seconds);
/* "1,234,567" */
const char *progress_number(char *buf, size_t size, int64_t n);

#endif
