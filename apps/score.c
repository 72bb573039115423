/* Scores of a head, see score.h. */
#include "apps/score.h"
#include "apps/app.h"
#include "apps/calibrate.h"
#include "apps/progress.h"
#include "apps/report.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GROUPS = 24 }; /* of a trait: a hundred names are no groups */

/* ---- what is known of the pictures ---- */

typedef struct entry {
    uint64_t group;
    int64_t row;
} entry;

static int by_group(const void *pa, const void *pb) {
    const entry *a = pa, *b = pb;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static void number_clusters(score_rows *r, entry *e) {
    qsort(e, (size_t)r->n, sizeof *e, by_group);
    for (int64_t i = 0; i < r->n; i++) {
        if (i && e[i].group != e[i - 1].group) r->clusters++;
        r->cluster[e[i].row] = r->clusters;
    }
    r->clusters += r->n > 0;
}

mn_status score_rows_create(score_rows *r, const mn_dataset *rows, mn_error *err) {
    size_t n = (size_t)rows->length;
    int width = rows->n_traits + rows->n_heads;
    *r = (score_rows){.n = rows->length, .n_traits = width};
    r->cluster = app_alloc(n, sizeof *r->cluster);
    r->subject = app_alloc(n, sizeof *r->subject);
    r->trait = app_alloc(n * (size_t)width, sizeof *r->trait);
    for (int k = 0; k < width; k++)
        snprintf(r->trait_name[k], sizeof r->trait_name[k], "%s",
                 k < rows->n_traits ? rows->trait_name[k] : rows->head[k - rows->n_traits].name);
    entry *e = app_alloc(n, sizeof *e);
    mn_status s = MN_OK;
    for (int64_t i = 0; i < r->n && !s; i++) {
        mn_sample_info info;
        if ((s = rows->info(rows, i, &info, err))) break;
        e[i] = (entry){info.group, i};
        r->subject[i] = info.subject;
        for (int k = 0; k < rows->n_traits; k++) r->trait[i * width + k] = info.trait[k];
        for (int h = 0; h < rows->n_heads; h++)
            if (info.label[h] >= 0) r->trait[i * width + rows->n_traits + h] = rows->head[h].class_name[info.label[h]];
    }
    if (!s) number_clusters(r, e);
    free(e);
    return s;
}

void score_rows_free(score_rows *r) {
    free(r->cluster);
    free(r->subject);
    free(r->copy);
    free(r->trait);
    *r = (score_rows){0};
}

/* ---- groups ---- */

/* Numbers by size, then words: "0-3" "4-12" "13-19" "yes". */
static int by_value(const void *pa, const void *pb) {
    const char *a = *(const char *const *)pa, *b = *(const char *const *)pb;
    bool number_a = isdigit((unsigned char)*a), number_b = isdigit((unsigned char)*b);
    if (number_a && number_b && strtol(a, NULL, 10) != strtol(b, NULL, 10))
        return strtol(a, NULL, 10) < strtol(b, NULL, 10) ? -1 : 1;
    return number_a != number_b ? number_b - number_a : strcmp(a, b);
}

/* The distinct values of trait k among labelled rows; 0 when there are too many. */
static int list_values(const score_rows *r, int k, const int32_t *label, const char **value) {
    int n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const char *v = label[i] >= 0 ? r->trait[i * r->n_traits + k] : NULL;
        int at = 0;
        while (v && at < n && strcmp(value[at], v) != 0) at++;
        if (!v || at < n) continue;
        if (n == MOST_GROUPS) return 0;
        value[n++] = v;
    }
    qsort(value, (size_t)n, sizeof *value, by_value);
    return n;
}

static void compute_trait(score *s, const score_rows *r, int k, const float *p, const int32_t *label) {
    const char *value[MOST_GROUPS];
    int n = list_values(r, k, label, value);
    if (n < 2) return; /* one group is the whole */
    score_trait *t = &s->trait[s->n_traits++];
    *t = (score_trait){.name = r->trait_name[k], .n = n, .group = app_alloc((size_t)n, sizeof *t->group)};
    int32_t *own = app_alloc((size_t)r->n, sizeof *own);
    for (int g = 0; g < n; g++) {
        for (int64_t i = 0; i < r->n; i++) {
            const char *v = r->trait[i * r->n_traits + k];
            own[i] = v && !strcmp(v, value[g]) ? label[i] : -1;
        }
        t->group[g].value = value[g];
        metrics_compute(&t->group[g].m, p, own, r->n, s->m.classes);
    }
    free(own);
}

/* ---- the whole ---- */

static int32_t *predictions(const float *p, int64_t n, int classes) {
    int32_t *out = app_alloc((size_t)n, sizeof *out);
    for (int64_t i = 0; i < n; i++) out[i] = metrics_argmax(p + i * classes, classes);
    return out;
}

/* Clusters with a labelled picture, if all of these are people; else 0. */
static int64_t count_subjects(const score_rows *r, const int32_t *label) {
    bool *seen = app_alloc((size_t)r->clusters, sizeof *seen), all = true;
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (label[i] < 0) continue;
        all = all && r->subject[i];
        n += !seen[r->cluster[i]];
        seen[r->cluster[i]] = true;
    }
    free(seen);
    return all ? n : 0;
}

static void find_intervals(score *s, const score_rows *r, const float *p, const int32_t *label) {
    int32_t *said = predictions(p, r->n, s->m.classes);
    answers a = {r->n, s->m.classes, label, said, r->cluster, r->clusters};
    interval over_subjects;
    intervals_bootstrap(&a, &over_subjects, &s->macro_f1);
    s->subjects = count_subjects(r, label);
    s->accuracy = (interval){s->m.accuracy_lo, s->m.accuracy_hi};
    if (s->subjects && over_subjects.lo < over_subjects.hi)
        s->accuracy = over_subjects;
    else if (s->subjects) /* all right or all wrong: resampling cannot see how few people these are */
        metrics_wilson(s->m.accuracy > 0.5 ? s->subjects : 0, s->subjects, &s->accuracy.lo, &s->accuracy.hi);
    s->m.accuracy_lo = s->accuracy.lo, s->m.accuracy_hi = s->accuracy.hi;
    free(said);
}

static void leave_out_copies(score *s, const score_rows *r, const float *p, const int32_t *label) {
    int32_t *kept = app_alloc((size_t)r->n, sizeof *kept);
    for (int64_t i = 0; i < r->n; i++) {
        kept[i] = r->copy[i] ? -1 : label[i];
        s->identical += label[i] >= 0 && r->copy[i] == COPY_IDENTICAL;
        s->near += label[i] >= 0 && r->copy[i] == COPY_NEAR;
    }
    s->copies_known = true;
    metrics_compute(&s->without_copies, p, kept, r->n, s->m.classes);
    free(kept);
}

void score_compute(score *s, const score_rows *r, const char *head, const float *p, const int32_t *label, int classes,
                   mn_calibration applied) {
    int64_t points;
    *s = (score){.applied = applied};
    metrics_compute(&s->m, p, label, r->n, classes);
    metrics_bins(p, label, r->n, classes, s->bin);
    find_intervals(s, r, p, label);
    calibrate_answered(p, label, r->n, classes, applied.unsure, &s->answered, &s->answered_right);
    free(calibrate_risk(p, label, r->n, classes, &points, &s->risk_area));
    for (int k = 0; k < r->n_traits; k++)
        if (strcmp(r->trait_name[k], head) != 0) compute_trait(s, r, k, p, label);
    if (r->copy) leave_out_copies(s, r, p, label);
}

void score_set_baseline(score *s, const float *baseline, const int32_t *label, int64_t n) {
    metrics_compute(&s->baseline, baseline, label, n, s->m.classes);
    s->has_baseline = true;
}

void score_free(score *s) {
    metrics_free(&s->m);
    metrics_free(&s->without_copies);
    metrics_free(&s->baseline);
    for (int t = 0; t < s->n_traits; t++) {
        for (int g = 0; g < s->trait[t].n; g++) metrics_free(&s->trait[t].group[g].m);
        free(s->trait[t].group);
    }
    *s = (score){0};
}

/* ---- as text ---- */

static void print_answers(FILE *out, const score *s) {
    double lo, hi;
    metrics_wilson(s->answered_right, s->answered, &lo, &hi);
    fprintf(out, "  \"unsure\" below %.2f: answers %.1f %% of the pictures", s->applied.unsure,
            100 * (double)s->answered / (double)s->m.n);
    if (s->answered)
        fprintf(out, ", %.1f %% of those right\n                      (95 %%: %.1f to %.1f)",
                100 * (double)s->answered_right / (double)s->answered, 100 * lo, 100 * hi);
    fputc('\n', out);
}

static void print_copies(FILE *out, const score *s) {
    char text[64], n[24];
    fprintf(out, "  without the %s pictures that copy a training picture", progress_number(n, sizeof n, s->identical + s->near));
    if (s->near) fprintf(out, " (%lld nearly)", (long long)s->near);
    fprintf(out, ":\n    %s\n", report_accuracy(text, sizeof text, &s->without_copies));
}

static void print_trait(FILE *out, const score_trait *t) {
    fprintf(out, "\n  by %-21.21s %9s %9s %16s %9s\n", t->name, "pictures", "right", "95 %", "macro F1");
    for (int g = 0; g < t->n; g++) {
        const metrics *m = &t->group[g].m;
        char n[24];
        fprintf(out, "  %-24.24s %9s %7.1f %%   %5.1f to %5.1f %9.3f\n", t->group[g].value, progress_number(n, sizeof n, m->n),
                100 * m->accuracy, 100 * m->accuracy_lo, 100 * m->accuracy_hi, m->macro_f1);
    }
}

void score_print(FILE *out, const mn_head *head, const score *s) {
    char text[64], n[24];
    report_print(out, head, &s->m);
    if (!s->m.n) return;
    fputc('\n', out);
    if (s->subjects) fprintf(out, "  intervals by bootstrap over %s people\n", progress_number(n, sizeof n, s->subjects));
    fprintf(out, "  macro F1 95 %%: %.3f to %.3f\n", s->macro_f1.lo, s->macro_f1.hi);
    if (s->applied.temperature > 0) fprintf(out, "  temperature %.3f, from the validation rows\n", s->applied.temperature);
    if (s->applied.unsure > 0) print_answers(out, s);
    if (s->identical + s->near) print_copies(out, s);
    if (s->has_baseline)
        fprintf(out, "  logistic regression on the same rows: %s\n", report_accuracy(text, sizeof text, &s->baseline));
    for (int t = 0; t < s->n_traits; t++) print_trait(out, &s->trait[t]);
}

/* ---- as JSON ---- */

#if MN_HAVE_JSON
static json_t *pair_json(double lo, double hi) {
    json_t *j = json_array();
    json_array_append_new(j, report_number(lo));
    json_array_append_new(j, report_number(hi));
    return j;
}

static json_t *brief_json(const metrics *m) {
    json_t *j = json_object();
    json_object_set_new(j, "n", json_integer(m->n));
    json_object_set_new(j, "accuracy", report_number(m->accuracy));
    json_object_set_new(j, "accuracy_95", pair_json(m->accuracy_lo, m->accuracy_hi));
    json_object_set_new(j, "macro_f1", report_number(m->macro_f1));
    return j;
}

static json_t *groups_json(const score *s) {
    json_t *traits = json_object();
    for (int t = 0; t < s->n_traits; t++) {
        json_t *list = json_array();
        for (int g = 0; g < s->trait[t].n; g++) {
            json_t *j = brief_json(&s->trait[t].group[g].m);
            json_object_set_new(j, "value", json_string(s->trait[t].group[g].value));
            json_array_append_new(list, j);
        }
        json_object_set_new(traits, s->trait[t].name, list);
    }
    return traits;
}

static json_t *bins_json(const score *s) {
    json_t *list = json_array();
    for (int b = 0; b < METRICS_BINS; b++) {
        json_t *j = json_object();
        json_object_set_new(j, "n", json_integer(s->bin[b].n));
        json_object_set_new(j, "confidence", report_number(s->bin[b].confidence));
        json_object_set_new(j, "accuracy", report_number(s->bin[b].accuracy));
        json_array_append_new(list, j);
    }
    return list;
}

json_t *score_json(const mn_head *head, const score *s) {
    json_t *j = report_json(head, &s->m), *unsure = json_object();
    json_object_set_new(j, "macro_f1_95", pair_json(s->macro_f1.lo, s->macro_f1.hi));
    json_object_set_new(j, "subjects", s->subjects ? json_integer(s->subjects) : json_null());
    json_object_set_new(j, "temperature", report_number(s->applied.temperature > 0 ? s->applied.temperature : 1));
    json_object_set_new(unsure, "below", report_number(s->applied.unsure));
    json_object_set_new(unsure, "answered", json_integer(s->answered));
    json_object_set_new(unsure, "right", json_integer(s->answered_right));
    json_object_set_new(j, "unsure", unsure);
    json_object_set_new(j, "risk_area", report_number(s->risk_area));
    json_object_set_new(j, "reliability", bins_json(s));
    json_object_set_new(j, "groups", groups_json(s));
    if (s->copies_known) {
        json_t *without = brief_json(&s->without_copies);
        json_object_set_new(without, "identical", json_integer(s->identical));
        json_object_set_new(without, "near", json_integer(s->near));
        json_object_set_new(j, "without_copies", without);
    }
    if (s->has_baseline) json_object_set_new(j, "logistic_regression", brief_json(&s->baseline));
    return j;
}
#endif
