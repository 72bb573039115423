/* FER+ votes (Barsoum et al. 2016): ten people each said what a FER2013 face shows. Two tasks differ: their majority
 * agrees with FER2013's own label on two rows of three. So the votes v are first translated into that label's terms:
 *
 *   p(label | v) = softmax(W f(v) + b),   f(v) = (v/10, sqrt(v/10)),   10 kinds of votes, 7 labels
 *
 * fitted on the training rows by maximum likelihood, and a training row's target becomes a mixture of what its label
 * says and what is usual for such votes:   t = (1 - mix) onehot(label) + mix p(. | v). Test rows keep their label alone. */
#include "data/internal.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = 10, FEATURES = 2 * KINDS + 1, LABELS = 7, STEPS = 300 };

static const char *const kind_names[KINDS] = {"neutral", "happiness", "surprise", "sadness",  "anger",
                                              "disgust", "fear",      "contempt", "unknown", "NF"};

/* f(v) and a one for b, from the fields of a row. */
static mn_status features(const mn__csv_record *r, const int column[KINDS], int64_t line, double f[FEATURES], mn_error *err) {
    double sum = 0;
    for (int k = 0; k < KINDS; k++) {
        const char *word = r->field[column[k]];
        if (strspn(word, "0123456789") != strlen(word) || !*word || strlen(word) > 2)
            return mn_fail(err, MN_ERR_FORMAT, "line %lld: \"%.20s\" votes for %s; wanted 0 to 99", (long long)line, word,
                           kind_names[k]);
        sum += f[k] = atoi(word);
    }
    for (int k = 0; k < KINDS; k++) {
        f[k] = sum > 0 ? f[k] / sum : 0;
        f[KINDS + k] = sqrt(f[k]);
    }
    f[FEATURES - 1] = 1;
    return MN_OK;
}

/* The votes of every row of *s, in the same order. f is (samples, FEATURES). */
static mn_status read_votes(const mn__samples *s, char *at, char *end, double *f, mn_error *err) {
    mn__csv_record r;
    int column[KINDS];
    const char *why = mn__csv_split(&at, end, &r);
    if (why) return mn_fail(err, MN_ERR_FORMAT, "line 1: %s", why);
    int n_columns = r.n;
    for (int k = 0; k < KINDS; k++)
        if ((column[k] = mn__csv_find(&r, kind_names[k])) < 0)
            return mn_fail(err, MN_ERR_FORMAT, "line 1: no column named %s; hint: this should be FER+'s fer2013new.csv",
                           kind_names[k]);
    int64_t row = 0;
    for (int64_t line = 2; at < end; line++) {
        if ((why = mn__csv_split(&at, end, &r))) return mn_fail(err, MN_ERR_FORMAT, "line %lld: %s", (long long)line, why);
        if (r.n == 1 && !*r.field[0]) continue;
        if (r.n != n_columns)
            return mn_fail(err, MN_ERR_FORMAT, "line %lld: has %d fields, the header has %d", (long long)line, r.n, n_columns);
        if (row < s->set.length) {
            mn_status st = features(&r, column, line, f + row * FEATURES, err);
            if (st) return st;
        }
        row++;
    }
    if (row == s->set.length) return MN_OK;
    return mn_fail(err, MN_ERR_FORMAT, "has votes on %lld faces, %s has %lld faces; wanted a row of votes for each face",
                   (long long)row, s->set.name, (long long)s->set.length);
}

/* p = softmax(W f) */
static void translate(const double W[LABELS][FEATURES], const double *f, double p[LABELS]) {
    double most = -INFINITY, sum = 0;
    for (int k = 0; k < LABELS; k++) {
        p[k] = 0;
        for (int j = 0; j < FEATURES; j++) p[k] += W[k][j] * f[j];
        most = fmax(most, p[k]);
    }
    for (int k = 0; k < LABELS; k++) sum += p[k] = exp(p[k] - most);
    for (int k = 0; k < LABELS; k++) p[k] /= sum;
}

/* Gradient descent with Nesterov's momentum on the mean loss of the training rows: 300 steps leave it within 1e-3 of its
 * least value. */
static void fit(const mn__samples *s, const double *f, double W[LABELS][FEATURES]) {
    double ahead[LABELS][FEATURES] = {{0}}, g[LABELS][FEATURES];
    memset(W, 0, sizeof ahead);
    for (int step = 0; step < STEPS; step++) {
        int64_t n = 0;
        memset(g, 0, sizeof g);
        for (int64_t i = 0; i < s->set.length; i++) {
            double p[LABELS];
            int32_t label = s->sample[i].label[0];
            if (s->sample[i].split != MN_SPLIT_TRAIN || label < 0) continue;
            translate(ahead, f + i * FEATURES, p);
            p[label] -= 1;
            for (int k = 0; k < LABELS; k++)
                for (int j = 0; j < FEATURES; j++) g[k][j] += p[k] * f[i * FEATURES + j];
            n++;
        }
        for (int k = 0; n && k < LABELS; k++)
            for (int j = 0; j < FEATURES; j++) {
                double next = ahead[k][j] - 1.0 * g[k][j] / (double)n; /* rate 1: the loss is no steeper */
                ahead[k][j] = next + (step / (step + 3.0)) * (next - W[k][j]);
                W[k][j] = next;
            }
    }
}

static mn_status add_votes(mn__samples *s, const char *csv, double mix, mn_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    int64_t n = s->set.length;
    double *f = mn_alloc((size_t)n * FEATURES * sizeof *f), W[LABELS][FEATURES];
    s->soft = mn_alloc((size_t)n * LABELS * sizeof *s->soft);
    mn_status st = f && s->soft ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "out of memory for the votes on %lld faces", (long long)n);
    if (!st) st = mn__read_file(csv, (size_t)1 << 28, &bytes, &size, err);
    if (!st) st = read_votes(s, (char *)bytes, (char *)bytes + size, f, err);
    if (!st) {
        fit(s, f, W);
        for (int64_t i = 0; i < n; i++) {
            double p[LABELS];
            translate(W, f + i * FEATURES, p);
            for (int k = 0; k < LABELS; k++)
                s->soft[i * LABELS + k] = (float)(mix * p[k] + (1 - mix) * (k == s->sample[i].label[0]));
        }
    }
    mn_free(bytes);
    mn_free(f);
    return st;
}

mn_status mn__fer2013_votes(mn__samples *s, const char *text, mn_error *err) {
    double mix = 0.5;
    char *csv = mn_strdup(text), *comma, *end;
    if (!csv) return mn_fail(err, MN_ERR_MEMORY, "votes: out of memory");
    if ((comma = strstr(csv, ",mix="))) {
        *comma = 0;
        mix = strtod(comma + 5, &end);
        if (end == comma + 5 || *end || !(mix >= 0 && mix <= 1)) {
            mn_status st = mn_fail(err, MN_ERR_ARG, "votes: mix is \"%.20s\"; wanted 0 (labels alone) to 1 (votes alone)", comma + 5);
            mn_free(csv);
            return st;
        }
    }
    mn_status st = add_votes(s, csv, mix, err);
    if (st) mn_error_prefix(err, "%s", csv);
    mn_free(csv);
    return st;
}
