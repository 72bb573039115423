/* Results as tables on the terminal and as JSON. */
#include "apps/report.h"
#include "apps/app.h"
#include "apps/progress.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *report_accuracy(char *buf, size_t size, const metrics *m) {
    if (m->n)
        snprintf(buf, size, "%.1f %% right (95 %%: %.1f to %.1f)", 100 * m->accuracy, 100 * m->accuracy_lo, 100 * m->accuracy_hi);
    else
        snprintf(buf, size, "-");
    return buf;
}

static const char *fixed(char *buf, size_t size, double v) {
    if (isnan(v))
        snprintf(buf, size, "-");
    else
        snprintf(buf, size, "%.3f", v);
    return buf;
}

static void print_matrix(FILE *out, const mn_head *head, const metrics *m) {
    int K = m->classes, width = K <= 6 ? 10 : K <= 8 ? 8 : 6;
    fprintf(out, "\n  %-14s", "labelled \\ as");
    for (int k = 0; k < K; k++) fprintf(out, " %*.*s", width - 1, width - 1, head->class_name[k]);
    fputc('\n', out);
    for (int t = 0; t < K; t++) {
        fprintf(out, "  %-14.14s", head->class_name[t]);
        for (int k = 0; k < K; k++) fprintf(out, " %*lld", width - 1, (long long)m->confusion[t * K + k]);
        fputc('\n', out);
    }
}

void report_print(FILE *out, const mn_head *head, const metrics *m) {
    enum { MOST_ROWS = 100, MOST_COLUMNS = 10 };
    char n[24], accuracy[64], a[4][24];
    fprintf(out, "%s: %s, %s pictures, loss %s\n", head->name, report_accuracy(accuracy, sizeof accuracy, m),
            progress_number(n, sizeof n, m->n), fixed(a[0], sizeof a[0], m->loss));
    if (!m->n) return;
    fprintf(out, "  macro F1 %s, weighted F1 %s, calibration error %s\n\n", fixed(a[0], sizeof a[0], m->macro_f1),
            fixed(a[1], sizeof a[1], m->weighted_f1), fixed(a[2], sizeof a[2], m->ece));
    fprintf(out, "  %-24s %9s %9s %9s %9s\n", "", "precision", "recall", "F1", "pictures");
    for (int k = 0; k < m->classes && k < MOST_ROWS; k++)
        fprintf(out, "  %-24.24s %9s %9s %9s %9s\n", head->class_name[k], fixed(a[0], sizeof a[0], m->precision[k]),
                fixed(a[1], sizeof a[1], m->recall[k]), fixed(a[2], sizeof a[2], m->f1[k]),
                progress_number(n, sizeof n, m->support[k]));
    if (m->classes > MOST_ROWS) fprintf(out, "  and %d more classes\n", m->classes - MOST_ROWS);
    if (m->classes <= MOST_COLUMNS) print_matrix(out, head, m);
}

void report_csv_field(FILE *f, const char *text) {
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

#if MN_HAVE_JSON
json_t *report_number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *class_json(const mn_head *head, const metrics *m, int k) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_string_nocheck(head->class_name[k]));
    json_object_set_new(j, "precision", report_number(m->precision[k]));
    json_object_set_new(j, "recall", report_number(m->recall[k]));
    json_object_set_new(j, "f1", report_number(m->f1[k]));
    json_object_set_new(j, "support", json_integer(m->support[k]));
    return j;
}

json_t *report_json(const mn_head *head, const metrics *m) {
    json_t *j = json_object(), *classes = json_array(), *confusion = json_array(), *interval = json_array();
    json_array_append_new(interval, report_number(m->accuracy_lo));
    json_array_append_new(interval, report_number(m->accuracy_hi));
    json_object_set_new(j, "n", json_integer(m->n));
    json_object_set_new(j, "accuracy", report_number(m->accuracy));
    json_object_set_new(j, "accuracy_95", interval);
    json_object_set_new(j, "loss", report_number(m->loss));
    json_object_set_new(j, "macro_f1", report_number(m->macro_f1));
    json_object_set_new(j, "weighted_f1", report_number(m->weighted_f1));
    json_object_set_new(j, "calibration_error", report_number(m->ece));
    for (int k = 0; k < m->classes; k++) {
        json_t *row = json_array();
        for (int p = 0; p < m->classes; p++) json_array_append_new(row, json_integer(m->confusion[k * m->classes + p]));
        json_array_append_new(confusion, row);
        json_array_append_new(classes, class_json(head, m, k));
    }
    json_object_set_new(j, "classes", classes);
    json_object_set_new(j, "confusion", confusion);
    return j;
}

mn_status report_save(json_t *j, const char *path, mn_error *err) {
    char *text = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(j);
    if (!text) return mn_fail(err, MN_ERR_MEMORY, "cannot write %s: out of memory, or a name that is not UTF-8", path);
    char *line = app_text("%s\n", text);
    free(text);
    mn_status s = app_save(path, line, strlen(line), err);
    free(line);
    return s;
}
#endif
