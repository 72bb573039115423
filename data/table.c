/* A table in a text file: a header that names the columns, and rows. */
#include "data/internal.h"
#include <string.h>
#include <strings.h>

/* Fields between tabs; nothing is quoted. */
static const char *split_tabs(char **at, char *end, mn__csv_record *r) {
    char *p = *at, *stop = memchr(p, '\n', (size_t)(end - p));
    *at = stop ? stop + 1 : end;
    if (!stop) stop = end;
    if (stop > p && stop[-1] == '\r') stop--;
    if (memchr(p, 0, (size_t)(stop - p))) return "the line holds a zero byte; is this a text file?";
    *stop = 0; /* on the line's end, or the 0 behind the file */
    for (r->n = 0; r->n < MN__CSV_FIELDS; p++) {
        r->field[r->n++] = p;
        if (!(p = strchr(p, '\t'))) return NULL;
        *p = 0;
    }
    return "the line has more than 64 fields";
}

static const char *split(char separator, char **at, char *end, mn__csv_record *r) {
    return separator == '\t' ? split_tabs(at, end, r) : mn__csv_split(at, end, r);
}

static mn_status find_columns(const mn__csv_record *header, const char *const *name, int n, int *column, mn_error *err) {
    for (int k = 0; k < n; k++) {
        size_t length = strlen(name[k]);
        bool optional = name[k][length - 1] == '?';
        column[k] = -1;
        for (int i = 0; i < header->n && column[k] < 0; i++)
            if (strlen(header->field[i]) == length - optional && !strncasecmp(header->field[i], name[k], length - optional))
                column[k] = i;
        if (column[k] < 0 && !optional) return mn_fail(err, MN_ERR_FORMAT, "line 1: no column named %s", name[k]);
    }
    return MN_OK;
}

static mn_status read_rows(char *at, char *end, char separator, const char *const *name, int n, mn__row each, void *arg,
                           mn_error *err) {
    mn__csv_record r;
    int column[MN__TABLE_COLUMNS], wanted;
    const char *why = split(separator, &at, end, &r);
    if (why) return mn_fail(err, MN_ERR_FORMAT, "line 1: %s", why);
    mn_status s = find_columns(&r, name, n, column, err);
    wanted = r.n;
    for (long line = 2; at < end && !s; line++) {
        if ((why = split(separator, &at, end, &r))) return mn_fail(err, MN_ERR_FORMAT, "line %ld: %s", line, why);
        if (r.n == 1 && !r.field[0][0]) continue;
        if (r.n < wanted && separator != '\t')
            return mn_fail(err, MN_ERR_FORMAT, "line %ld: has %d fields, the header has %d; hint: was the file cut?", line, r.n,
                           wanted);
        for (int k = 0; k < n && !s; k++)
            if (column[k] >= r.n)
                s = mn_fail(err, MN_ERR_FORMAT, "line %ld: has %d fields, none for %s; hint: was the file cut?", line, r.n,
                            name[k]);
        if (!s && (s = each(arg, &r, column, line, err))) mn_error_prefix(err, "line %ld", line);
    }
    return s;
}

mn_status mn__table_read(const char *path, char separator, const char *const *name, int n, mn__row each, void *arg,
                         mn_error *err) {
    uint8_t *bytes;
    size_t size;
    mn_status s = mn__read_file(path, (size_t)4 << 30, &bytes, &size, err);
    if (s) return s;
    size_t skip = size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3) ? 3 : 0; /* byte-order mark */
    if ((s = read_rows((char *)bytes + skip, (char *)bytes + size, separator, name, n, each, arg, err)))
        mn_error_prefix(err, "%s", path);
    mn_free(bytes);
    return s;
}
