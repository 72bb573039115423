/* What is told of a training run: the record in the model file, the log, the curves. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/plot.h"
#include "apps/train_json.h"
#include <stdlib.h>
#include <string.h>

/* ---- command lines ---- */

static bool is_plain(const char *word) {
    return *word && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,=+-%@")] == 0;
}

char *train_command(const char *const *word, int n) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return app_text("mien train");
    fputs("mien train", f);
    for (int i = 0; i < n; i++) {
        fputc(' ', f);
        if (is_plain(word[i])) {
            fputs(word[i], f);
            continue;
        }
        fputc('\'', f); /* in single quotes, a quote inside as '\'' */
        for (const char *p = word[i]; *p; p++) *p == '\'' ? (void)fputs("'\\''", f) : (void)fputc(*p, f);
        fputc('\'', f);
    }
    fclose(f);
    return text;
}

/* ---- an epoch as JSON ---- */

json_t *train_epoch_json(const train_run *r, int64_t i) {
    const epoch_record *e = &r->history[i];
    json_t *j = json_object(), *heads = json_object();
    set_int(j, "epoch", i + 1);
    set_real(j, "lr", e->lr);
    set_real(j, "train_loss", e->train_loss);
    set_real(j, "valid_loss", e->valid_loss);
    for (int h = 0; h < r->n_heads; h++) {
        json_t *k = json_object();
        set_real(k, "train_accuracy", e->train_accuracy[h]);
        set_real(k, "valid_accuracy", e->valid_accuracy[h]);
        set_real(k, "valid_macro_f1", e->valid_f1[h]);
        json_object_set_new_nocheck(heads, r->info.head[h].name, k);
    }
    json_object_set_new(j, "heads", heads);
    set_real(j, "seconds", e->seconds);
    set_real(j, "images_per_second", e->images_per_second);
    return j;
}

void train_epoch_from_json(const train_run *r, const json_t *j, epoch_record *e) {
    *e = (epoch_record){.lr = get_real(j, "lr"),
                        .train_loss = get_real(j, "train_loss"),
                        .valid_loss = get_real(j, "valid_loss"),
                        .seconds = get_real(j, "seconds"),
                        .images_per_second = get_real(j, "images_per_second")};
    for (int h = 0; h < r->n_heads; h++) {
        const json_t *k = json_object_get(json_object_get(j, "heads"), r->info.head[h].name);
        e->train_accuracy[h] = get_real(k, "train_accuracy");
        e->valid_accuracy[h] = get_real(k, "valid_accuracy");
        e->valid_f1[h] = get_real(k, "valid_macro_f1");
    }
}

/* ---- the training record, kept in the model file ---- */

json_t *train_data_json(const train_run *r) {
    json_t *list = json_array();
    for (int k = 0; k < r->data.n_parts; k++) {
        const data_part *p = &r->data.part[k];
        json_t *j = json_object();
        char hex[24];
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)p->fingerprint);
        set_text(j, "spec", p->spec);
        set_int(j, "pictures", p->length);
        set_text(j, "fingerprint", hex);
        set_real(j, "valid_share", p->valid);
        set_real(j, "test_share", p->test);
        if (p->near) json_object_set_new(j, "near_together", json_true());
        set_text(j, "use", p->use == USE_VALID ? "validation" : p->use == USE_TRAIN ? "training" : "both");
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *rows_json(const train_run *r) {
    json_t *j = json_object();
    set_int(j, "train", r->data.count[MN_SPLIT_TRAIN]);
    set_int(j, "valid", r->data.count[MN_SPLIT_VALID]);
    set_int(j, "test", r->data.count[MN_SPLIT_TEST]);
    return j;
}

/* Scores of the best epoch on the validation rows. */
static json_t *best_json(const train_run *r) {
    if (!r->stop.started || r->stop.best_epoch >= r->epoch) return json_null();
    json_t *j = train_epoch_json(r, r->stop.best_epoch);
    json_object_del(j, "seconds"); /* the same run gives the same file */
    json_object_del(j, "images_per_second");
    return j;
}

static json_t *leaks_json(const train_run *r) {
    json_t *j = json_object();
    set_int(j, "valid", r->leaks.valid);
    set_int(j, "dropped", r->leaks.dropped);
    set_int(j, "test_copies", r->leaks.test_copies);
    set_int(j, "test_subjects", r->leaks.test_subjects);
    json_object_set_new(j, "allowed", json_boolean(r->leaks.allowed));
    return j;
}

static json_t *record_json(const train_run *r) {
    const train_options *o = &r->o;
    json_t *j = json_object();
    char *command = train_command(o->word, o->n_words);
    set_text(j, "mien", APP_VERSION);
    set_text(j, "command", command);
    free(command);
    set_text(j, "network", mn_model_name(r->m));
    json_object_set_new(j, "data", train_data_json(r));
    json_object_set_new(j, "rows", rows_json(r));
    if (o->classes) set_text(j, "classes", o->classes);
    json_object_set_new(j, "leaks", leaks_json(r));
    set_int(j, "seed", (int64_t)o->seed);
    set_int(j, "threads", mn_context_threads(r->c));
    set_int(j, "batch", o->batch);
    set_int(j, "epochs", o->epochs);
    set_text(j, "optimizer", mn_optim_kind_name(o->optim.kind));
    set_real(j, "lr", o->optim.lr);
    set_text(j, "schedule", o->schedule_text);
    set_text(j, "augment", o->augment_text);
    if (o->sample > 0) set_real(j, "sample_balance", o->sample);
    if (o->init) set_text(j, "init", o->init);
    if (r->teachers) {
        json_object_set(j, "teachers", r->teachers);
        set_real(j, "teacher_temperature", o->teacher_temperature);
        set_real(j, "teacher_weight", o->teacher_weight);
        json_object_set_new(j, "teacher_mirrored", json_boolean(o->augment.flip > 0));
    }
    set_int(j, "epochs_run", r->epoch);
    json_object_set_new(j, "best", best_json(r));
    if (r->validation) json_object_set(j, "validation", r->validation);
    return j;
}

char *train_record(const train_run *r) {
    json_t *j = record_json(r);
    char *text = json_dumps(j, JSON_COMPACT), *copy = text ? mn_strdup(text) : NULL;
    free(text);
    json_decref(j);
    return copy;
}

bool train_recall(const json_t *record, data_part *p) {
    char hex[24];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)p->fingerprint);
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(record, "data"), i, part) {
        const char *known = json_string_value(json_object_get(part, "fingerprint")),
                   *use = json_string_value(json_object_get(part, "use"));
        if (!known || strcmp(known, hex) != 0) continue;
        double valid = json_number_value(json_object_get(part, "valid_share")),
               test = json_number_value(json_object_get(part, "test_share"));
        if (valid >= 0 && valid < 1) p->valid = valid;
        if (test >= 0 && test < 1) p->test = test;
        p->near = get_bool(part, "near_together");
        p->use = use && !strcmp(use, "validation") ? USE_VALID : use && !strcmp(use, "training") ? USE_TRAIN : USE_BOTH;
        return true;
    }
    return false;
}

/* ---- log and curves ---- */

static void log_line(FILE *f, json_t *j) {
    char *line = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (line) fprintf(f, "%s\n", line);
    free(line);
    json_decref(j);
}

/* The whole log each time: a line of what the run is, a line an epoch. */
void train_log(const train_run *r) {
    if (!r->o.log) return;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return;
    json_t *run = record_json(r);
    set_text(run, "event", "run");
    json_object_del(run, "best");
    log_line(f, run);
    for (int64_t i = 0; i < r->epoch; i++) {
        json_t *e = train_epoch_json(r, i);
        set_text(e, "event", "epoch");
        json_object_set_new(e, "best", json_boolean(i == r->stop.best_epoch));
        log_line(f, e);
    }
    fclose(f);
    mn_error err = {0};
    if (app_save(r->o.log, text, size, &err)) fprintf(stderr, "mien: warning: %s\n", err.text);
    free(text);
}

/* Curve c of 2 + 2*n_heads, epoch by epoch. */
static double *curve(const train_run *r, int c, int h) {
    double *y = app_alloc((size_t)r->epoch, sizeof *y);
    for (int64_t i = 0; i < r->epoch; i++) {
        const epoch_record *e = &r->history[i];
        y[i] = c == 0 ? e->train_loss : c == 1 ? e->valid_loss : c == 2 ? e->train_accuracy[h] : e->valid_accuracy[h];
    }
    return y;
}

void train_plot(const train_run *r) {
    if (!r->o.plot || !r->epoch) return;
    plot_panel panel[2] = {{.title = "loss"}, {.title = "accuracy", .percent = true}};
    char *name[2 * MN_MAX_HEADS] = {0};
    panel[0].series[panel[0].n_series++] = (plot_series){"training", curve(r, 0, 0), 0, true};
    if (r->valid) panel[0].series[panel[0].n_series++] = (plot_series){"validation", curve(r, 1, 0), 0, false};
    for (int h = 0; h < r->n_heads; h++) {
        name[2 * h] = app_text("%s, training", r->info.head[h].name);
        panel[1].series[panel[1].n_series++] = (plot_series){name[2 * h], curve(r, 2, h), h, true};
        if (r->valid) panel[1].series[panel[1].n_series++] = (plot_series){r->info.head[h].name, curve(r, 3, h), h, false};
    }
    size_t size;
    char *title = app_text("%s on %s", mn_model_name(r->m), r->data.all->name);
    char *svg = plot_curves(title, panel, 2, (int)r->epoch, r->valid ? (int)r->stop.best_epoch + 1 : 0, &size);
    mn_error err = {0};
    if (app_save(r->o.plot, svg, size, &err)) fprintf(stderr, "mien: warning: %s\n", err.text);
    free(svg);
    free(title);
    for (int p = 0; p < 2; p++)
        for (int s = 0; s < panel[p].n_series; s++) free((void *)panel[p].series[s].y);
    for (int h = 0; h < 2 * MN_MAX_HEADS; h++) free(name[h]);
}
#endif
