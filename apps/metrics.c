/* Accuracy, F1, calibration. See metrics.h; tests/test_metrics.c has the numbers worked by hand. */
#include "apps/metrics.h"
#include "apps/app.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int metrics_argmax(const float *x, int classes) {
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

void metrics_softmax(float *x, int64_t n, int classes, double temperature) {
    double T = temperature > 0 ? temperature : 1;
    for (int64_t i = 0; i < n; i++, x += classes) {
        double largest = x[metrics_argmax(x, classes)], sum = 0;
        for (int k = 0; k < classes; k++) sum += exp((x[k] - largest) / T);
        for (int k = 0; k < classes; k++) x[k] = (float)(exp((x[k] - largest) / T) / sum);
    }
}

/* (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z the 97.5 % point of the normal distribution */
void metrics_wilson(int64_t hits, int64_t n, double *lo, double *hi) {
    if (n <= 0) {
        *lo = *hi = NAN;
        return;
    }
    const double z = 1.959963984540054;
    double N = (double)n, p = (double)hits / N, q = z * z / N;
    double middle = p + q / 2, half = z * sqrt(p * (1 - p) / N + q / (4 * N));
    *lo = hits == 0 ? 0 : (middle - half) / (1 + q);
    *hi = hits == n ? 1 : (middle + half) / (1 + q);
}

/* a / b, where 0 of 0 has no value */
static double share(double a, double b) { return b > 0 ? a / b : NAN; }

void metrics_bins(const float *p, const int32_t *label, int64_t n, int classes, metrics_bin *bin) {
    for (int b = 0; b < METRICS_BINS; b++) bin[b] = (metrics_bin){0};
    for (int64_t i = 0; i < n; i++) {
        if (label[i] < 0) continue;
        int k = metrics_argmax(p + i * classes, classes);
        double c = p[i * classes + k];
        int b = (int)ceil(c * METRICS_BINS) - 1;
        b = b < 0 ? 0 : b >= METRICS_BINS ? METRICS_BINS - 1 : b;
        bin[b].n++;
        bin[b].confidence += c;
        bin[b].accuracy += k == label[i];
    }
    for (int b = 0; b < METRICS_BINS; b++) {
        bin[b].confidence = share(bin[b].confidence, (double)bin[b].n);
        bin[b].accuracy = share(bin[b].accuracy, (double)bin[b].n);
    }
}

/* How far confidence is from being right: the mean over samples of |accuracy - mean confidence| of their bin
 * (Guo et al. 2017, "On calibration of modern neural networks"). */
static double calibration_error(const float *p, const int32_t *label, int64_t n, int classes) {
    metrics_bin bin[METRICS_BINS];
    metrics_bins(p, label, n, classes, bin);
    double error = 0, total = 0;
    for (int b = 0; b < METRICS_BINS; b++) {
        if (bin[b].n) error += (double)bin[b].n * fabs(bin[b].accuracy - bin[b].confidence);
        total += (double)bin[b].n;
    }
    return share(error, total);
}

/* Per class from the confusion matrix: precision = TP/(TP+FP), recall = TP/(TP+FN), F1 = 2TP/(2TP+FP+FN). */
static void class_scores(metrics *m) {
    int K = m->classes, seen = 0;
    double macro = 0, weighted = 0;
    for (int k = 0; k < K; k++) {
        double hit = (double)m->confusion[k * K + k], predicted = 0;
        for (int t = 0; t < K; t++) predicted += (double)m->confusion[t * K + k];
        m->precision[k] = share(hit, predicted);
        m->recall[k] = share(hit, (double)m->support[k]);
        m->f1[k] = share(2 * hit, predicted + (double)m->support[k]);
        if (isnan(m->f1[k])) continue;
        seen++;
        macro += m->f1[k];
        weighted += m->f1[k] * (double)m->support[k];
    }
    m->macro_f1 = share(macro, seen);
    m->weighted_f1 = share(weighted, (double)m->n);
}

void metrics_compute(metrics *m, const float *p, const int32_t *label, int64_t n, int classes) {
    size_t K = (size_t)classes;
    *m = (metrics){.classes = classes};
    m->confusion = app_alloc(K * K, sizeof *m->confusion);
    m->support = app_alloc(K, sizeof *m->support);
    m->precision = app_alloc(3 * K, sizeof *m->precision);
    m->recall = m->precision + K;
    m->f1 = m->recall + K;
    double loss = 0;
    int64_t hits = 0;
    for (int64_t i = 0; i < n; i++) {
        if (label[i] < 0) continue;
        const float *row = p + i * classes;
        int k = metrics_argmax(row, classes);
        m->confusion[label[i] * classes + k]++;
        m->support[label[i]]++;
        hits += k == label[i];
        m->n++;
        loss -= log(fmax(row[label[i]], 1e-30)); /* a float's probability may round to 0 */
    }
    m->loss = share(loss, (double)m->n);
    m->accuracy = share((double)hits, (double)m->n);
    metrics_wilson(hits, m->n, &m->accuracy_lo, &m->accuracy_hi);
    m->ece = calibration_error(p, label, n, classes);
    class_scores(m);
}

void metrics_free(metrics *m) {
    free(m->confusion);
    free(m->support);
    free(m->precision);
    *m = (metrics){0};
}
