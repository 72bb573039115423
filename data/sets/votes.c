/* FER+ votes (Barsoum et al. 2016): ten people each said what a FER2013 face shows. Two tasks differ: their majority
 * agrees with FER2013's own label on two rows of three. So the votes v are first translated into that label's terms:
 *
 *   p(label | v) = softmax(W f(v) + b),   f(v) = (v, sqrt(v)),   v: shares of 10 kinds of votes, 7 labels
 *
 * fitted on the training rows by maximum likelihood, and a training row's target becomes a mixture of what its label
 * says and what is usual for such votes:   t = (1 - mix) onehot(label) + mix p(. | v). Test rows keep their label alone. */
#include "data/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KINDS = 10, FEATURES = 2 * KINDS + 1, LABELS = 7, STEPS = 300 };
#define LEAST_AGREEMENT 0.4

static const char *const kind_names[KINDS] = {"neutral", "happiness", "surprise", "sadness", "anger",
                                              "disgust", "fear",      "contempt", "unknown", "NF"};
/* FER2013's label of the first seven kinds. */
static const int label_of[LABELS] = {6, 3, 5, 4, 0, 1, 2};

typedef struct ballot {
    double share[KINDS];  /* of the votes; all 0: none */
    bool train, numbered; /* numbered: its name, ferNNNNNNN.png, is the number of its row */
} ballot;

/* Where things stand in the csv. */
typedef struct columns {
    int kind[KINDS], usage, name, n;
} columns;

static mn_status parse_ballot(const mn__csv_record *r, const columns *c, int64_t line, ballot *b, mn_error *err) {
    double sum = 0;
    for (int k = 0; k < KINDS; k++) {
        const char *word = r->field[c->kind[k]];
        if (strspn(word, "0123456789") != strlen(word) || !*word || strlen(word) > 2)
            return mn_fail(err, MN_ERR_FORMAT, "line %lld: \"%.20s\" votes for %s; wanted 0 to 99", (long long)line, word,
                           kind_names[k]);
        sum += b->share[k] = atoi(word);
    }
    for (int k = 0; k < KINDS; k++) b->share[k] = sum > 0 ? b->share[k] / sum : 0;
    const char *name = r->field[c->name];
    b->train = !strcasecmp(r->field[c->usage], "Training");
    b->numbered = !strncmp(name, "fer", 3) && strtoll(name + 3, NULL, 10) == line - 2;
    return MN_OK;
}

static mn_status find_columns(const mn__csv_record *r, columns *c, mn_error *err) {
    c->n = r->n;
    for (int k = 0; k < KINDS + 2; k++) {
        const char *name = k < KINDS ? kind_names[k] : k == KINDS ? "Usage" : "Image name";
        int *at = k < KINDS ? &c->kind[k] : k == KINDS ? &c->usage : &c->name;
        if ((*at = mn__csv_find(r, name)) < 0)
            return mn_fail(err, MN_ERR_FORMAT, "line 1: no column named %s; hint: this should be FER+'s fer2013new.csv", name);
    }
    return MN_OK;
}

/* A ballot for each face of *s. */
static mn_status read_ballots(const mn__samples *s, char *at, char *end, ballot *b, mn_error *err) {
    mn__csv_record r;
    columns c;
    const char *why = mn__csv_split(&at, end, &r);
    if (why) return mn_fail(err, MN_ERR_FORMAT, "line 1: %s", why);
    mn_status st = find_columns(&r, &c, err);
    int64_t row = 0;
    for (int64_t line = 2; at < end && !st; line++) {
        if ((why = mn__csv_split(&at, end, &r))) return mn_fail(err, MN_ERR_FORMAT, "line %lld: %s", (long long)line, why);
        if (r.n == 1 && !*r.field[0]) continue;
        if (r.n != c.n)
            return mn_fail(err, MN_ERR_FORMAT, "line %lld: has %d fields, the header has %d", (long long)line, r.n, c.n);
        if (row < s->set.length) st = parse_ballot(&r, &c, line, &b[row], err);
        row++;
    }
    if (st || row == s->set.length) return st;
    return mn_fail(err, MN_ERR_FORMAT, "has votes on %lld faces, %s has %lld faces; wanted a row of votes for each face",
                   (long long)row, s->set.name, (long long)s->set.length);
}

/* Whose ballot is whose: two orders circulate. In the published files row i votes on row i. Copies that were put together
 * from FER+'s pictures hold the faces in the order of the numbered rows, those voted "not a face" (which have no number)
 * behind them. of[i] becomes the row of face i, or -1. */
static void pair_up(const mn__samples *s, const ballot *b, bool numbered, int64_t *of) {
    int64_t row = 0;
    for (int64_t i = 0; i < s->set.length; i++) {
        of[i] = numbered ? -1 : i;
        if (!numbered || s->sample[i].split != MN_SPLIT_TRAIN) continue;
        while (row < s->set.length && !(b[row].train && b[row].numbered)) row++;
        if (row < s->set.length) of[i] = row++;
    }
}

/* Share of the training faces whose label most people chose. */
static double agreement(const mn__samples *s, const ballot *b, const int64_t *of) {
    int64_t n = 0, same = 0;
    for (int64_t i = 0; i < s->set.length; i++) {
        if (s->sample[i].split != MN_SPLIT_TRAIN || of[i] < 0) continue;
        int most = 0;
        for (int k = 1; k < LABELS; k++)
            if (b[of[i]].share[k] > b[of[i]].share[most]) most = k;
        n++, same += label_of[most] == s->sample[i].label[0];
    }
    return n ? (double)same / (double)n : 0;
}

static mn_status match(const mn__samples *s, const ballot *b, int64_t *of, mn_error *err) {
    pair_up(s, b, true, of);
    double numbered = agreement(s, b, of);
    pair_up(s, b, false, of);
    double by_row = agreement(s, b, of);
    if (numbered > by_row) pair_up(s, b, true, of);
    double best = numbered > by_row ? numbered : by_row;
    if (best >= LEAST_AGREEMENT) return MN_OK;
    return mn_fail(err, MN_ERR_FORMAT,
                   "most votes agree with the label on only %.0f %% of the training faces (the real ones on 60 %% and more); "
                   "hint: are these the votes on these faces, in the same order?",
                   100 * best);
}

/* (v, sqrt(v), 1) */
static void features(const ballot *b, double f[FEATURES]) {
    for (int k = 0; k < KINDS; k++) f[k] = b->share[k], f[KINDS + k] = sqrt(b->share[k]);
    f[FEATURES - 1] = 1;
}
static bool voted(const double f[FEATURES]) {
    for (int k = 0; k < KINDS; k++)
        if (f[k] > 0) return true;
    return false;
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
            if (s->sample[i].split != MN_SPLIT_TRAIN || !voted(f + i * FEATURES)) continue;
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

/* s->soft, from a ballot for each face. f: (samples, FEATURES). */
static void set_targets(mn__samples *s, const ballot *b, const int64_t *of, double *f, double mix) {
    static const ballot none;
    double W[LABELS][FEATURES];
    for (int64_t i = 0; i < s->set.length; i++) features(of[i] < 0 ? &none : &b[of[i]], f + i * FEATURES);
    fit(s, f, W);
    for (int64_t i = 0; i < s->set.length; i++) {
        double p[LABELS], share = voted(f + i * FEATURES) ? mix : 0;
        translate(W, f + i * FEATURES, p);
        for (int k = 0; k < LABELS; k++)
            s->soft[i * LABELS + k] = (float)(share * p[k] + (1 - share) * (k == s->sample[i].label[0]));
    }
}

static mn_status add_votes(mn__samples *s, const char *csv, double mix, mn_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0, n = (size_t)s->set.length;
    ballot *b = mn_alloc_zero(n, sizeof *b);
    int64_t *of = mn_alloc(n * sizeof *of);
    double *f = mn_alloc(n * FEATURES * sizeof *f);
    s->soft = mn_alloc(n * LABELS * sizeof *s->soft);
    bool room = b && of && f && s->soft;
    mn_status st = room ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "out of memory for the votes on %zu faces", n);
    if (!st) st = mn__read_file(csv, (size_t)1 << 28, &bytes, &size, err);
    if (!st) st = read_ballots(s, (char *)bytes, (char *)bytes + size, b, err);
    if (!st) st = match(s, b, of, err);
    if (!st) set_targets(s, b, of, f, mix);
    mn_free(bytes), mn_free(b), mn_free(of), mn_free(f);
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
            mn_status st =
                mn_fail(err, MN_ERR_ARG, "votes: mix is \"%.20s\"; wanted 0 (labels alone) to 1 (votes alone)", comma + 5);
            mn_free(csv);
            return st;
        }
    }
    mn_status st = add_votes(s, csv, mix, err);
    if (st) mn_error_prefix(err, "%s", csv);
    mn_free(csv);
    return st;
}
