/* Resampling and counting. See intervals.h; tests/test_intervals.c has exact distributions to compare with.
 */
#include "apps/intervals.h"
#include "apps/app.h"
#include "tensor/tensor.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- clusters as lists of rows ---- */

typedef struct lists {
    int64_t n;            /* clusters with a labelled row */
    int64_t *first, *row; /* cluster k has rows row[first[k]] .. row[first[k+1]-1] */
} lists;

static lists make_lists(const answers *a) {
    int64_t most = a->cluster ? a->clusters : a->n;
    int64_t *count = app_alloc((size_t)most + 1, sizeof *count);
    lists l = {.first = app_alloc((size_t)most + 1, sizeof(int64_t)), .row = app_alloc((size_t)a->n, sizeof(int64_t))};
    for (int64_t i = 0; i < a->n; i++)
        if (a->label[i] >= 0) count[a->cluster ? a->cluster[i] : i]++;
    int64_t used = 0;
    for (int64_t k = 0; k < most; k++) {
        int64_t size = count[k];
        count[k] = used; /* from now on: where its next row goes */
        if (size) l.first[l.n++] = used;
        used += size;
    }
    l.first[l.n] = used;
    for (int64_t i = 0; i < a->n; i++)
        if (a->label[i] >= 0) l.row[count[a->cluster ? a->cluster[i] : i]++] = i;
    free(count);
    return l;
}

static void free_lists(lists *l) { free(l->first), free(l->row); }

static int by_value(const void *pa, const void *pb) {
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* The 2.5 and 97.5 % points of `draws` values, which are sorted. */
static interval percentiles(double *value) {
    int cut = INTERVALS_DRAWS / 40;
    qsort(value, INTERVALS_DRAWS, sizeof *value, by_value);
    return (interval){value[cut], value[INTERVALS_DRAWS - 1 - cut]};
}

/* ---- accuracy and macro F1 ---- */

/* Counts of one resample: of each class, how often labelled, predicted, and both. */
typedef struct counts {
    int64_t n, hits, *support, *predicted, *both;
} counts;

static double macro_f1(const counts *c, int classes) {
    double sum = 0;
    int seen = 0;
    for (int k = 0; k < classes; k++) {
        int64_t of = c->support[k] + c->predicted[k];
        if (of) sum += 2 * (double)c->both[k] / (double)of, seen++;
    }
    return sum / seen;
}

static void resample(const answers *a, const lists *l, mn_rng *r, counts *c) {
    memset(c->support, 0, 3 * (size_t)a->classes * sizeof *c->support);
    c->n = c->hits = 0;
    for (int64_t k = 0; k < l->n; k++) {
        int64_t drawn = (int64_t)mn_rng_below(r, (uint64_t)l->n);
        for (int64_t i = l->first[drawn]; i < l->first[drawn + 1]; i++) {
            int32_t label = a->label[l->row[i]], predicted = a->predicted[l->row[i]];
            c->support[label]++, c->predicted[predicted]++;
            c->both[label] += label == predicted, c->hits += label == predicted;
            c->n++;
        }
    }
}

void intervals_bootstrap(const answers *a, interval *accuracy, interval *f1) {
    lists l = make_lists(a);
    *accuracy = *f1 = (interval){NAN, NAN};
    if (l.n) {
        size_t K = (size_t)a->classes;
        counts c = {.support = app_alloc(3 * K, sizeof(int64_t))};
        c.predicted = c.support + K, c.both = c.predicted + K;
        double *value[2] = {app_alloc(INTERVALS_DRAWS, sizeof(double)), app_alloc(INTERVALS_DRAWS, sizeof(double))};
        mn_rng r = mn_rng_create(1, 0);
        for (int d = 0; d < INTERVALS_DRAWS; d++) {
            resample(a, &l, &r, &c);
            value[0][d] = (double)c.hits / (double)c.n;
            value[1][d] = macro_f1(&c, a->classes);
        }
        *accuracy = percentiles(value[0]), *f1 = percentiles(value[1]);
        free(value[0]), free(value[1]), free(c.support);
    }
    free_lists(&l);
}

/* ---- two models ---- */

interval intervals_difference(const answers *a, const int32_t *predicted_b) {
    lists l = make_lists(a);
    interval out = {NAN, NAN};
    if (l.n) {
        double *value = app_alloc(INTERVALS_DRAWS, sizeof *value);
        mn_rng r = mn_rng_create(1, 1);
        for (int d = 0; d < INTERVALS_DRAWS; d++) {
            int64_t gain = 0, n = 0;
            for (int64_t k = 0; k < l.n; k++) {
                int64_t drawn = (int64_t)mn_rng_below(&r, (uint64_t)l.n);
                for (int64_t i = l.first[drawn]; i < l.first[drawn + 1]; i++, n++) {
                    int64_t row = l.row[i];
                    gain += (predicted_b[row] == a->label[row]) - (a->predicted[row] == a->label[row]);
                }
            }
            value[d] = (double)gain / (double)n;
        }
        out = percentiles(value);
        free(value);
    }
    free_lists(&l);
    return out;
}

double intervals_sign_test(int64_t b, int64_t c) {
    int64_t n = b + c, k = b < c ? b : c;
    double sum = 0;
    for (int64_t i = 0; i <= k; i++) /* C(n,i) / 2^n, through logarithms: n may be large */
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) - (double)n * log(2));
    return fmin(1, 2 * sum);
}

mcnemar intervals_mcnemar(const answers *a, const int32_t *predicted_b) {
    mcnemar m = {0};
    for (int64_t i = 0; i < a->n; i++) {
        if (a->label[i] < 0) continue;
        bool right_a = a->predicted[i] == a->label[i], right_b = predicted_b[i] == a->label[i];
        m.n++;
        m.both += right_a && right_b;
        m.only_a += right_a && !right_b;
        m.only_b += right_b && !right_a;
    }
    m.p = intervals_sign_test(m.only_a, m.only_b);
    return m;
}
