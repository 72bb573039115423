/* Comma-separated values, one record a line. */
#include "data/internal.h"
#include <string.h>
#include <strings.h>

static bool blank(char c) { return c == ' ' || c == '\t'; }

/* The quoted field behind *at: doubled quotes become one. Returns a sentence, or NULL. */
static const char *quoted(char **at, char *end, char **field) {
    char *p = *at + 1, *out = p;
    *field = out;
    for (;; p++) {
        if (p >= end) return "a quote is opened and not closed on the line";
        if (*p != '"') {
            *out++ = *p;
        } else if (p + 1 < end && p[1] == '"') {
            *out++ = '"', p++;
        } else {
            break;
        }
    }
    for (p++; p < end && blank(*p); p++) {}
    if (p < end && *p != ',') return "text follows a closing quote; wanted a comma";
    *out = 0;
    *at = p;
    return NULL;
}

static void plain(char **at, char *end, char **field) {
    char *p = *at;
    *field = p;
    while (p < end && *p != ',') p++;
    *at = p;
}

const char *mn__csv_split(char **at, char *end, mn__csv_record *r) {
    char *p = *at, *stop = memchr(p, '\n', (size_t)(end - p));
    *at = stop ? stop + 1 : end;
    if (!stop) stop = end;
    if (stop > p && stop[-1] == '\r') stop--;
    *r = (mn__csv_record){0};
    if (memchr(p, 0, (size_t)(stop - p))) return "the line holds a zero byte; is this a text file?";
    for (;;) {
        if (r->n == MN__CSV_FIELDS) return "the line has more than 64 fields";
        while (p < stop && blank(*p)) p++;
        char **field = &r->field[r->n++];
        if (p < stop && *p == '"') {
            const char *why = quoted(&p, stop, field);
            if (why) return why;
        } else {
            plain(&p, stop, field);
            char *last = p;
            while (last > *field && blank(last[-1])) last--;
            bool comma = p < stop;
            *last = 0; /* at the latest on the comma, the line's end or the file's 0 */
            if (!comma) return NULL;
            p++;
            continue;
        }
        if (p >= stop) return NULL;
        p++;
    }
}

int mn__csv_find(const mn__csv_record *header, const char *name) {
    for (int i = 0; i < header->n; i++)
        if (!strcasecmp(header->field[i], name)) return i;
    return -1;
}
