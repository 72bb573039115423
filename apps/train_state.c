/* What is written beside the weights: the training record, the state in a checkpoint, the log, the curves. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/plot.h"
#include "apps/report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_FORMAT 1

static void set_real(json_t *j, const char *key, double v) { json_object_set_new(j, key, report_number(v)); }
static void set_int(json_t *j, const char *key, int64_t v) { json_object_set_new(j, key, json_integer(v)); }
static void set_text(json_t *j, const char *key, const char *v) {
    json_object_set_new(j, key, v ? json_string_nocheck(v) : json_null());
}
static double get_real(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}
static int64_t get_int(const json_t *j, const char *key) { return json_integer_value(json_object_get(j, key)); }
static bool get_bool(const json_t *j, const char *key) { return json_is_true(json_object_get(j, key)); }

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

static json_t *epoch_json(const train_run *r, int64_t i) {
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

static void epoch_from_json(const train_run *r, const json_t *j, epoch_record *e) {
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

static json_t *data_json(const train_run *r) {
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
    json_t *j = epoch_json(r, r->stop.best_epoch);
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
    json_object_set_new(j, "data", data_json(r));
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

/* ---- the state in a checkpoint ---- */

static json_t *progress_json(const train_run *r) {
    json_t *j = json_object(), *loss = json_array(), *right = json_array(), *of = json_array();
    set_int(j, "epoch", r->epoch);
    set_int(j, "batch", r->batch);
    set_real(j, "seconds", r->seconds);
    json_object_set_new(j, "ended", json_boolean(r->ended));
    set_int(j, "images", r->tally.images);
    for (int h = 0; h < r->n_heads; h++) {
        json_array_append_new(loss, json_real(r->tally.loss[h]));
        json_array_append_new(right, json_integer(r->tally.hits[h].right));
        json_array_append_new(of, json_integer(r->tally.hits[h].of));
    }
    json_object_set_new(j, "loss", loss);
    json_object_set_new(j, "right", right);
    json_object_set_new(j, "of", of);
    return j;
}

static json_t *rules_json(const train_run *r) {
    json_t *j = json_object();
    set_real(j, "stop_best", r->stop.best);
    set_int(j, "stop_best_epoch", r->stop.best_epoch);
    set_int(j, "stop_bad_epochs", r->stop.bad_epochs);
    json_object_set_new(j, "stop_started", json_boolean(r->stop.started));
    set_real(j, "schedule_best", r->schedule.best);
    set_real(j, "schedule_scale", r->schedule.scale);
    set_int(j, "schedule_bad_epochs", r->schedule.bad_epochs);
    json_object_set_new(j, "schedule_started", json_boolean(r->schedule.started));
    return j;
}

static json_t *state_json(const train_run *r) {
    json_t *j = json_object(), *words = json_array(), *history = json_array();
    char cwd[4096];
    for (int i = 0; i < r->o.n_words; i++) json_array_append_new(words, json_string_nocheck(r->o.word[i]));
    for (int64_t i = 0; i < r->epoch; i++) json_array_append_new(history, epoch_json(r, i));
    set_int(j, "format", STATE_FORMAT);
    set_text(j, "mien", APP_VERSION);
    json_object_set_new(j, "words", words);
    set_text(j, "folder", getcwd(cwd, sizeof cwd));
    set_int(j, "threads", mn_context_threads(r->c));
    json_object_set_new(j, "data", data_json(r));
    if (r->teachers) json_object_set(j, "teachers", r->teachers);
    json_object_set_new(j, "at", progress_json(r));
    json_object_set_new(j, "rules", rules_json(r));
    json_object_set_new(j, "history", history);
    set_int(j, "optimizer_steps", mn_optim_steps(r->optim));
    set_int(j, "ema_updates", r->ema ? mn_ema_updates(r->ema) : 0);
    return j;
}

mn_status train_checkpoint_save(train_run *r, mn_error *err) {
    json_t *j = state_json(r);
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(j);
    if (!text) return mn_fail(err, MN_ERR_MEMORY, "cannot write %s: out of memory", r->checkpoint);
    mn_checkpoint k = {.model = r->m, .optim = r->optim, .ema = r->ema, .best = r->best, .info = &r->info, .state = text};
    mn_status s = mn_checkpoint_save(&k, r->checkpoint, err);
    free(text);
    return s;
}

static json_t *parse_state(const char *path, const char *text, mn_error *err) {
    json_error_t why;
    json_t *j = json_loads(text, 0, &why);
    if (!j || get_int(j, "format") != STATE_FORMAT || !json_is_array(json_object_get(j, "words"))) {
        mn_fail(err, MN_ERR_FORMAT, "%s is not a checkpoint of this version of mien train", path);
        json_decref(j);
        return NULL;
    }
    return j;
}

static mn_status same_data(const train_run *r, const json_t *state, mn_error *err) {
    json_t *now = data_json(r);
    const json_t *then = json_object_get(state, "data");
    mn_status s = MN_OK;
    for (size_t k = 0; k < json_array_size(now) && !s; k++) {
        const json_t *a = json_array_get(now, k), *b = json_array_get(then, k);
        if (!json_equal(json_object_get(a, "fingerprint"), json_object_get(b, "fingerprint")))
            s = mn_fail(err, MN_ERR_FORMAT,
                        "%s has changed since %s was written (%lld pictures then, %lld now): the run cannot "
                        "go on as it "
                        "was; hint: start a new one with --init",
                        r->data.part[k].spec, r->checkpoint, (long long)get_int(b, "pictures"),
                        (long long)get_int(a, "pictures"));
    }
    json_decref(now);
    return s;
}

/* Another teacher would give other targets. */
static mn_status same_teachers(const train_run *r, const json_t *state, mn_error *err) {
    size_t k;
    json_t *now;
    json_array_foreach(r->teachers, k, now) {
        const json_t *then = json_array_get(json_object_get(state, "teachers"), k);
        if (!json_equal(json_object_get(now, "weights"), json_object_get(then, "weights")))
            return mn_fail(err, MN_ERR_FORMAT, "the teacher %s has changed since %s was written: the run cannot go on as it was",
                           r->o.teacher[k], r->checkpoint);
    }
    return MN_OK;
}

static mn_status restore_progress(train_run *r, const json_t *state, mn_error *err) {
    const json_t *at = json_object_get(state, "at"), *history = json_object_get(state, "history");
    int64_t epoch = get_int(at, "epoch"), batch = get_int(at, "batch");
    if (epoch > r->o.epochs)
        return mn_fail(err, MN_ERR_ARG, "%s has done %lld epochs already, --epochs says %d", r->checkpoint, (long long)epoch,
                       r->o.epochs);
    if (epoch < 0 || batch < 0 || batch > r->per_epoch || (int64_t)json_array_size(history) != epoch)
        return mn_fail(err, MN_ERR_FORMAT, "%s is damaged: it stands at epoch %lld, batch %lld", r->checkpoint, (long long)epoch,
                       (long long)batch);
    r->epoch = epoch, r->batch = batch;
    r->seconds = fmax(get_real(at, "seconds"), 0);
    r->tally.images = get_int(at, "images");
    for (int h = 0; h < r->n_heads; h++) {
        r->tally.loss[h] = json_number_value(json_array_get(json_object_get(at, "loss"), (size_t)h));
        r->tally.hits[h].right = json_integer_value(json_array_get(json_object_get(at, "right"), (size_t)h));
        r->tally.hits[h].of = json_integer_value(json_array_get(json_object_get(at, "of"), (size_t)h));
    }
    for (int64_t i = 0; i < epoch; i++) epoch_from_json(r, json_array_get(history, (size_t)i), &r->history[i]);
    return MN_OK;
}

static void restore_rules(train_run *r, const json_t *state) {
    const json_t *j = json_object_get(state, "rules");
    r->stop.best = get_real(j, "stop_best");
    r->stop.best_epoch = get_int(j, "stop_best_epoch");
    r->stop.bad_epochs = (int)get_int(j, "stop_bad_epochs");
    r->stop.started = get_bool(j, "stop_started");
    r->schedule.best = get_real(j, "schedule_best");
    r->schedule.scale = get_real(j, "schedule_scale");
    r->schedule.bad_epochs = (int)get_int(j, "schedule_bad_epochs");
    r->schedule.started = get_bool(j, "schedule_started");
    /* A larger --patience lets a run that had ended go on. */
    r->ended = get_bool(json_object_get(state, "at"), "ended") && r->stop.patience > 0 && r->stop.bad_epochs >= r->stop.patience;
}

mn_status train_checkpoint_load(train_run *r, mn_error *err) {
    mn_checkpoint k = {.model = r->m, .optim = r->optim, .ema = r->ema, .best = r->best};
    char *path = app_text("%s", r->o.resume);
    free(r->checkpoint); /* in the sentences below; restored at the end */
    r->checkpoint = path;
    mn_status s = mn_checkpoint_load(&k, path, err);
    json_t *state = s ? NULL : parse_state(path, k.state, err);
    mn_free(k.state);
    if (!s && !state) s = err->status;
    if (!s) s = same_data(r, state, err);
    if (!s) s = same_teachers(r, state, err);
    if (!s) s = restore_progress(r, state, err);
    if (!s) {
        restore_rules(r, state);
        mn_optim_set_steps(r->optim, get_int(state, "optimizer_steps"));
        if (r->ema) mn_ema_set_updates(r->ema, get_int(state, "ema_updates"));
        if (get_int(state, "threads") != mn_context_threads(r->c))
            printf("note      begun with %lld threads: the end will not be the same to the bit\n",
                   (long long)get_int(state, "threads"));
        printf("resumed   after %lld epochs and %lld batches\n", (long long)r->epoch, (long long)r->batch);
    }
    json_decref(state);
    free(r->checkpoint);
    r->checkpoint = app_text("%s.ckpt", r->o.out);
    return s;
}

char **train_checkpoint_words(const char *path, int *n, int *threads, mn_error *err) {
    char *text = NULL;
    if (mn_checkpoint_peek(path, &text, err)) return NULL;
    json_t *state = parse_state(path, text, err);
    mn_free(text);
    if (!state) return NULL;
    const json_t *words = json_object_get(state, "words");
    size_t count = json_array_size(words);
    char **word = app_alloc(count + 1, sizeof *word);
    for (size_t i = 0; i < count; i++) {
        const char *w = json_string_value(json_array_get(words, i));
        word[i] = app_text("%s", w ? w : "");
    }
    *n = (int)count;
    int64_t t = get_int(state, "threads");
    *threads = t > 0 && t <= 1024 ? (int)t : 0;
    json_decref(state);
    return word;
}

void train_words_free(char **word) {
    for (char **w = word; w && *w; w++) free(*w);
    free(word);
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
        json_t *e = epoch_json(r, i);
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
#endif
