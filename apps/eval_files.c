/* What mien eval writes: JSON, a row a picture, pictures of matrices and calibration, the entry for the model
 * file. */
#include "apps/eval.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/calibrate.h"
#include "apps/plot.h"
#include "apps/report.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- JSON ---- */

static void set_number(json_t *j, const char *key, double v) { json_object_set_new(j, key, report_number(v)); }
static void set_integer(json_t *j, const char *key, int64_t v) { json_object_set_new(j, key, json_integer(v)); }
static void set_text(json_t *j, const char *key, const char *v) { json_object_set_new(j, key, json_string_nocheck(v)); }

static json_t *heads_json(const eval *e) {
    json_t *heads = json_object();
    for (int h = 0; h < e->info.n_heads; h++)
        if (e->score[h].m.n) json_object_set_new_nocheck(heads, e->info.head[h].name, score_json(&e->info.head[h], &e->score[h]));
    return heads;
}

static json_t *speed_json(const eval *e) {
    json_t *j = json_object();
    set_number(j, "p50_ms", e->speed.p50);
    set_number(j, "p99_ms", e->speed.p99);
    set_integer(j, "threads", e->speed.threads);
    set_text(j, "device", e->speed.device);
    return j;
}

static mn_status write_json(const eval *e, json_t *against, mn_error *err) {
    json_t *j = json_object(), *data = json_array();
    for (int k = 0; k < e->o->n_data; k++) json_array_append_new(data, json_string_nocheck(e->o->data[k]));
    set_text(j, "mien", APP_VERSION);
    set_text(j, "model", e->path);
    json_object_set_new(j, "data", data);
    set_text(j, "rows", eval_part_names[e->part]);
    set_integer(j, "n", e->n);
    json_object_set_new(j, "flip", json_boolean(e->o->flip));
    json_object_set_new(j, "heads", heads_json(e));
    json_object_set_new(j, "latency", speed_json(e));
    if (against) json_object_set(j, "against", against);
    return report_save(j, e->o->json, err);
}

json_t *eval_log_entry(const eval *e) {
    json_t *j = json_object(), *data = json_array();
    char date[32], hex[24];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    for (int k = 0; k < e->data.n_parts; k++) {
        json_t *part = json_object();
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)e->data.part[k].fingerprint);
        set_text(part, "spec", e->data.part[k].spec);
        set_text(part, "fingerprint", hex);
        set_integer(part, "pictures", e->data.part[k].length);
        json_array_append_new(data, part);
    }
    set_text(j, "date", date);
    set_text(j, "mien", APP_VERSION);
    json_object_set_new(j, "data", data);
    json_object_set_new(j, "trained_on", json_boolean(e->trained_on));
    set_text(j, "rows", eval_part_names[e->part]);
    set_integer(j, "n", e->n);
    json_object_set_new(j, "flip", json_boolean(e->o->flip));
    json_object_set_new(j, "heads", heads_json(e));
    json_object_set_new(j, "latency", speed_json(e));
    return j;
}

/* ---- a row a picture ---- */

static void field(FILE *f, const char *format, const char *a, const char *b) {
    char *text = app_text(format, a, b);
    fputc(',', f);
    report_csv_field(f, text);
    free(text);
}

static void csv_header(FILE *f, const eval *e) {
    fputs("id", f);
    for (int h = 0; h < e->info.n_heads; h++) {
        const mn_head *head = &e->info.head[h];
        field(f, "%s%s", head->name, "");
        field(f, "%s%s", head->name, "_predicted");
        for (int k = 0; k < head->n_classes; k++) field(f, "%s_p_%s", head->name, head->class_name[k]);
    }
    fputs(",cluster,person,copy", f);
    for (int k = 0; k < e->about.n_traits; k++) field(f, "%s%s", "by:", e->about.trait_name[k]);
    fputc('\n', f);
}

static void csv_row(FILE *f, const eval *e, int64_t i) {
    static const char *const copies[] = {"no", "identical", "near"};
    for (int h = 0; h < e->info.n_heads; h++) {
        const mn_head *head = &e->info.head[h];
        int32_t label = e->answers.label[h][i];
        const float *p = e->answers.p[h] + i * head->n_classes;
        field(f, "%s%s", label >= 0 ? head->class_name[label] : "", "");
        field(f, "%s%s", head->class_name[metrics_argmax(p, head->n_classes)], "");
        for (int k = 0; k < head->n_classes; k++) fprintf(f, ",%.9g", p[k]);
    }
    fprintf(f, ",%lld,%d,%s", (long long)e->about.cluster[i], e->about.subject[i], e->about.copy ? copies[e->about.copy[i]] : "");
    for (int k = 0; k < e->about.n_traits; k++) {
        const char *value = e->about.trait[i * e->about.n_traits + k];
        field(f, "%s%s", value ? value : "", "");
    }
    fputc('\n', f);
}

static mn_status write_predictions(const eval *e, mn_error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return mn_fail(err, MN_ERR_MEMORY, "%s: out of memory", e->o->predictions);
    csv_header(f, e);
    mn_status s = MN_OK;
    for (int64_t i = 0; i < e->n && !s; i++) {
        mn_sample_info info;
        if ((s = e->rows->info(e->rows, i, &info, err))) break;
        report_csv_field(f, info.id);
        csv_row(f, e, i);
    }
    fclose(f);
    if (!s) s = app_save(e->o->predictions, text, size, err);
    free(text);
    return s;
}

/* ---- pictures ---- */

static char *title_of(const eval *e) {
    const char *slash = strrchr(e->path, '/');
    return app_text("%s, %s", slash ? slash + 1 : e->path, e->what);
}

static mn_status save_plot(const char *path, char *svg, size_t size, char *title, mn_error *err) {
    mn_status s = app_save(path, svg, size, err);
    free(title);
    free(svg);
    return s;
}

static mn_status write_plot(const eval *e, mn_error *err) {
    plot_matrix matrix[MN_MAX_HEADS];
    int n = 0;
    for (int h = 0; h < e->info.n_heads; h++)
        if (e->score[h].m.n) matrix[n++] = (plot_matrix){e->info.head[h].name, &e->score[h].m, e->info.head[h].class_name};
    size_t size;
    char *title = title_of(e), *svg = plot_confusion(title, matrix, n, &size);
    return save_plot(e->o->plot, svg, size, title, err);
}

static mn_status write_calibration(const eval *e, mn_error *err) {
    plot_calibration_head head[MN_MAX_HEADS];
    double *risk[MN_MAX_HEADS] = {0};
    int n = 0;
    for (int h = 0; h < e->info.n_heads; h++) {
        const score *s = &e->score[h];
        if (!s->m.n) continue;
        head[n] = (plot_calibration_head){
            .name = e->info.head[h].name, .m = &s->m, .bin = s->bin, .answered = (double)s->answered / (double)s->m.n};
        if (s->answered) head[n].answered_error = 1 - (double)s->answered_right / (double)s->answered;
        head[n].risk = risk[n] =
            calibrate_risk(e->answers.p[h], e->answers.label[h], e->n, s->m.classes, &head[n].points, &head[n].risk_area);
        n++;
    }
    size_t size;
    char *title = title_of(e), *svg = plot_calibration(title, head, n, &size);
    for (int k = 0; k < n; k++) free(risk[k]);
    return save_plot(e->o->calibration, svg, size, title, err);
}

mn_status eval_write(const eval *e, json_t *against, mn_error *err) {
    mn_status s = e->o->json ? write_json(e, against, err) : MN_OK;
    json_decref(against);
    if (!s && e->o->predictions) s = write_predictions(e, err);
    if (!s && e->o->plot) s = write_plot(e, err);
    if (!s && e->o->calibration) s = write_calibration(e, err);
    return s;
}
#endif
