/* Temperature, thresholds, risk and coverage. See calibrate.h; tests/test_calibrate.c has the numbers worked
 * by hand. */
#include "apps/calibrate.h"
#include "apps/app.h"
#include <math.h>
#include <stdlib.h>

/* ---- temperature ---- */

/* The derivative by b of the sum over rows of -sum_k t_k log softmax(b z)_k, z = log p: sum of E[z] - t z.
 * Rises with b. The target t has 1 - spare for the label, the rest for the others in equal parts. */
static double slope(const float *p, const int32_t *label, int64_t n, int classes, double spare, double b) {
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        if (label[i] < 0) continue;
        const float *row = p + i * classes;
        double top = log(fmax(row[metrics_argmax(row, classes)], 1e-30)), sum = 0, mean = 0, all = 0;
        for (int k = 0; k < classes; k++) {
            double z = log(fmax(row[k], 1e-30)), w = exp(b * (z - top));
            sum += w, mean += w * z, all += z;
        }
        double z_label = log(fmax(row[label[i]], 1e-30));
        total += mean / sum - (1 - spare) * z_label - spare * (all - z_label) / (classes - 1);
    }
    return total;
}

double calibrate_temperature(const float *p, const int32_t *label, int64_t n, int classes) {
    double lo = log(0.05), hi = log(20); /* of b = 1/T */
    int64_t labelled = 0;
    for (int64_t i = 0; i < n; i++) labelled += label[i] >= 0;
    if (!labelled || classes < 2) return 1;
    double spare = 1 / ((double)labelled + 2);
    for (int step = 0; step < 40; step++) { /* the loss is convex in b: halve where its slope changes sign */
        double middle = (lo + hi) / 2;
        if (slope(p, label, n, classes, spare, exp(middle)) > 0)
            hi = middle;
        else
            lo = middle;
    }
    return exp(-(lo + hi) / 2);
}

void calibrate_apply(float *p, int64_t n, int classes, double temperature) {
    if (temperature <= 0 || temperature == 1) return;
    for (int64_t i = 0; i < n * classes; i++) p[i] = (float)log(fmax(p[i], 1e-30));
    metrics_softmax(p, n, classes, temperature);
}

/* ---- when to give no answer ---- */

/* The largest probability of a labelled row, and whether it is the label's. */
typedef struct answer {
    float confidence;
    bool right;
} answer;

static int surest_first(const void *pa, const void *pb) {
    float a = ((const answer *)pa)->confidence, b = ((const answer *)pb)->confidence;
    return (a < b) - (a > b);
}

static answer *sorted_answers(const float *p, const int32_t *label, int64_t n, int classes, int64_t *count) {
    answer *a = app_alloc((size_t)n, sizeof *a);
    *count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (label[i] < 0) continue;
        int k = metrics_argmax(p + i * classes, classes);
        a[(*count)++] = (answer){p[i * classes + k], k == label[i]};
    }
    qsort(a, (size_t)*count, sizeof *a, surest_first);
    return a;
}

double calibrate_threshold(const float *p, const int32_t *label, int64_t n, int classes, double share) {
    int64_t count;
    answer *a = sorted_answers(p, label, n, classes, &count);
    int64_t unsure = (int64_t)(share * (double)count);
    double threshold = unsure > 0 ? a[count - 1 - unsure].confidence : 0;
    free(a);
    return threshold;
}

void calibrate_answered(const float *p, const int32_t *label, int64_t n, int classes, double threshold, int64_t *answered,
                        int64_t *right) {
    *answered = *right = 0;
    for (int64_t i = 0; i < n; i++) {
        int k = metrics_argmax(p + i * classes, classes);
        if (label[i] < 0 || p[i * classes + k] < threshold) continue;
        ++*answered;
        *right += k == label[i];
    }
}

double *calibrate_risk(const float *p, const int32_t *label, int64_t n, int classes, int64_t *points, double *area) {
    answer *a = sorted_answers(p, label, n, classes, points);
    double *risk = *points ? app_alloc((size_t)*points, sizeof *risk) : NULL;
    int64_t wrong = 0;
    *area = *points ? 0 : NAN;
    for (int64_t first = 0, next; first < *points; first = next) {
        for (next = first; next < *points && a[next].confidence == a[first].confidence; next++) wrong += !a[next].right;
        for (int64_t i = first; i < next; i++) {
            risk[i] = (double)wrong / (double)next;
            *area += risk[i] / (double)*points;
        }
    }
    free(a);
    return risk;
}
