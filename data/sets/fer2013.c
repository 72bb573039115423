/* FER2013 (Goodfellow et al. 2013): one csv file, a row a face of 48x48 grey levels.
 * Columns in any order, named by the header: emotion (0..6), pixels (2304 numbers), Usage. */
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIDE 48
#define N_PIXELS (SIDE * SIDE)

typedef struct parser {
    mn__samples *s;
    int n_columns, emotion, pixels, usage; /* usage may be -1: then nothing is said about the split */
    const char *data, *end;                /* behind the header */
    const char **part;                     /* parts of the file for the threads, beginning at lines */
    int64_t *first_line, *first_row;       /* of each part; lines count from 1, blank ones included */
} parser;

static const char *line_end(const char *p, const char *end) {
    const char *q = memchr(p, '\n', (size_t)(end - p));
    return q ? q : end;
}
static bool is_blank(const char *p, const char *q) {
    while (p < q && (*p == ' ' || *p == '\r' || *p == '\t')) p++;
    return p == q;
}

/* A field without the spaces and quotes around it. */
static void trim(const char **p, const char **q) {
    while (*p < *q && (**p == ' ' || **p == '"' || **p == '\t')) ++*p;
    while (*p < *q && strchr(" \"\r\t", (*q)[-1])) --*q;
}

/* 2304 numbers of 0..255 with spaces between. */
static mn_status parse_pixels(const char *p, const char *q, uint8_t *out, int64_t line, mn_error *err) {
    int n = 0;
    while (p < q) {
        unsigned value = 0, digits = 0, digit;
        while (p < q && (digit = (unsigned)(*p - '0')) < 10 && digits < 4) value = 10 * value + digit, p++, digits++;
        if (digits == 0)
            return mn_fail(err, MN_ERR_FORMAT, "line %lld: pixel %d is not a number but '%c'", (long long)line, n + 1, *p);
        if (value > 255)
            return mn_fail(err, MN_ERR_FORMAT, "line %lld: pixel %d is %u; wanted 0 to 255", (long long)line, n + 1, value);
        if (n < N_PIXELS) out[n] = (uint8_t)value;
        n++;
        if (p < q && *p != ' ')
            return mn_fail(err, MN_ERR_FORMAT, "line %lld: '%c' follows pixel %d; wanted a space", (long long)line, *p, n);
        while (p < q && *p == ' ') p++;
    }
    if (n != N_PIXELS)
        return mn_fail(err, MN_ERR_FORMAT, "line %lld: has %d pixels; wanted %d (48x48); hint: was the file cut?",
                       (long long)line, n, N_PIXELS);
    return MN_OK;
}

static mn_status parse_usage(const char *p, const char *q, mn_split *split, int64_t line, mn_error *err) {
    static const struct {
        const char *word;
        mn_split split;
    } known[] = {{"Training", MN_SPLIT_TRAIN}, {"PublicTest", MN_SPLIT_TEST}, {"PrivateTest", MN_SPLIT_TEST}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if ((size_t)(q - p) == strlen(known[k].word) && !strncasecmp(p, known[k].word, (size_t)(q - p))) {
            *split = known[k].split;
            return MN_OK;
        }
    return mn_fail(err, MN_ERR_FORMAT, "line %lld: Usage is \"%.*s\"; wanted Training, PublicTest or PrivateTest",
                   (long long)line, q - p > 40 ? 40 : (int)(q - p), p);
}

static mn_status parse_row(parser *r, const char *p, const char *q, int64_t row, int64_t line, mn_error *err) {
    mn__sample *a = &r->s->sample[row];
    uint8_t *out = r->s->pixels + (size_t)row * N_PIXELS;
    int column = 0;
    mn_status s = MN_OK;
    for (bool more = true; more && !s; column++) {
        const char *comma = memchr(p, ',', (size_t)(q - p)), *first = p, *last = comma ? comma : q;
        more = comma != NULL;
        p = last + 1;
        trim(&first, &last);
        if (column == r->pixels) {
            s = parse_pixels(first, last, out, line, err);
        } else if (column == r->usage) {
            s = parse_usage(first, last, &a->split, line, err);
        } else if (column == r->emotion) {
            if (last - first != 1 || *first < '0' || *first > '6')
                s = mn_fail(err, MN_ERR_FORMAT, "line %lld: emotion is \"%.*s\"; wanted 0 to 6", (long long)line,
                            last - first > 40 ? 40 : (int)(last - first), first);
            else
                a->label[0] = *first - '0';
        }
    }
    if (!s && column != r->n_columns)
        s = mn_fail(err, MN_ERR_FORMAT, "line %lld: has %d fields, the header has %d; hint: was the file cut?", (long long)line,
                    column, r->n_columns);
    if (!s) a->group = mn__hash64(out, N_PIXELS);
    return s;
}

static mn_status parse_part(void *arg, int worker, int64_t i, mn_error *err) {
    (void)worker;
    parser *r = arg;
    int64_t line = r->first_line[i], row = r->first_row[i];
    for (const char *p = r->part[i], *q; p < r->part[i + 1]; p = q + 1, line++) {
        q = line_end(p, r->end);
        if (is_blank(p, q)) continue;
        mn_status s = parse_row(r, p, q, row++, line, err);
        if (s) return s;
    }
    return MN_OK;
}

static mn_status count_part(void *arg, int worker, int64_t i, mn_error *err) {
    (void)worker, (void)err;
    parser *r = arg;
    int64_t lines = 0, rows = 0;
    for (const char *p = r->part[i], *q; p < r->part[i + 1]; p = q + 1, lines++) {
        q = line_end(p, r->end);
        rows += !is_blank(p, q);
    }
    r->first_line[i + 1] = lines, r->first_row[i + 1] = rows; /* summed up afterwards */
    return MN_OK;
}

static mn_status parse_header(parser *r, char *bytes, size_t size, mn_error *err) {
    char *at = bytes, *end = bytes + size;
    if (size >= 3 && !memcmp(at, "\xef\xbb\xbf", 3)) at += 3; /* byte-order mark */
    mn__csv_record header;
    const char *why = mn__csv_split(&at, end, &header);
    if (why) return mn_fail(err, MN_ERR_FORMAT, "line 1: %s", why);
    r->emotion = mn__csv_find(&header, "emotion");
    r->pixels = mn__csv_find(&header, "pixels");
    r->usage = mn__csv_find(&header, "Usage");
    r->n_columns = header.n;
    r->data = at, r->end = end;
    if (r->emotion < 0 || r->pixels < 0)
        return mn_fail(err, MN_ERR_FORMAT,
                       "line 1: no column named %s; wanted a header like emotion,pixels,Usage; hint: is this the csv "
                       "of FER2013?",
                       r->emotion < 0 ? "emotion" : "pixels");
    return MN_OK;
}

/* Cuts the file into parts at line ends, many enough that no thread waits long for another. */
static mn_status parse_rows(parser *r, const mn_open_opt *opt, mn_error *err) {
    size_t size = (size_t)(r->end - r->data);
    int64_t n = (int64_t)(size >> 20) + 1;
    size_t room = (size_t)(n + 1);
    r->part = mn_alloc_zero(room, sizeof *r->part);
    r->first_line = mn_alloc_zero(room, sizeof *r->first_line);
    r->first_row = mn_alloc_zero(room, sizeof *r->first_row);
    if (!r->part || !r->first_line || !r->first_row) return mn_fail(err, MN_ERR_MEMORY, "out of memory");
    r->part[0] = r->data, r->part[n] = r->end;
    for (int64_t i = 1; i < n; i++) {
        const char *q = line_end(r->data + ((size_t)i << 20) - 1, r->end);
        r->part[i] = q < r->end ? q + 1 : r->end;
    }
    mn_status s = mn__parallel(n, opt, "counting rows", count_part, r, err);
    if (s) return s;
    r->first_line[0] = 2;
    for (int64_t i = 0; i < n; i++) r->first_line[i + 1] += r->first_line[i], r->first_row[i + 1] += r->first_row[i];
    int64_t rows = r->first_row[n];
    if (rows == 0) return mn_fail(err, MN_ERR_FORMAT, "has a header and no rows");
    s = mn__samples_array(r->s, rows, SIDE, SIDE, 1, err);
    for (int64_t i = 0; i < rows && !s; i++) s = mn__samples_row_id(r->s, i, "row", i + 1, err);
    return s ? s : mn__parallel(n, opt, "reading faces", parse_part, r, err);
}

static mn_dataset *open_csv(const char *csv, const mn_open_opt *opt, mn_error *err) {
    mn__samples *s = mn__samples_create("fer2013", csv, err);
    if (!s) return NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    parser r = {.s = s};
    mn_status st = mn__read_file(csv, (size_t)8 << 30, &bytes, &size, err);
    if (!st) {
        st = mn__samples_head(s, "emotion", 7, mn_expression_names, err);
        if (!st) st = parse_header(&r, (char *)bytes, size, err);
        if (!st) st = parse_rows(&r, opt, err);
        if (st) mn_error_prefix(err, "%s", csv);
    }
    mn_free(bytes);
    mn_free(r.part);
    mn_free(r.first_line);
    mn_free(r.first_row);
    return st ? mn__samples_fail(s) : &s->set;
}

/* "FILE.csv", or "FILE.csv,votes=FER+.csv[,mix=0.5]" */
mn_dataset *mn_dataset_fer2013(const char *spec, const mn_open_opt *opt, mn_error *err) {
    static const char key[] = ",votes=";
    const char *votes = strstr(spec, key);
    if (!votes) return open_csv(spec, opt, err);
    char *csv = mn_strdup(spec);
    if (!csv) return mn_fail(err, MN_ERR_MEMORY, "fer2013: out of memory"), NULL;
    csv[votes - spec] = 0;
    mn_dataset *d = open_csv(csv, opt, err);
    mn_free(csv);
    if (d && mn__fer2013_votes(d->impl, votes + sizeof key - 1, err)) return mn__samples_fail(d->impl);
    return d;
}
