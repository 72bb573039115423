/* A training run in a checkpoint: where it stands, and going on from there. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/train_json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_FORMAT 1

/* ---- writing ---- */

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
    for (int64_t i = 0; i < r->epoch; i++) json_array_append_new(history, train_epoch_json(r, i));
    set_int(j, "format", STATE_FORMAT);
    set_text(j, "mien", APP_VERSION);
    json_object_set_new(j, "words", words);
    set_text(j, "folder", getcwd(cwd, sizeof cwd));
    set_int(j, "threads", mn_context_threads(r->c));
    json_object_set_new(j, "data", train_data_json(r));
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

/* ---- reading ---- */

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
    json_t *now = train_data_json(r);
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
    for (int64_t i = 0; i < epoch; i++) train_epoch_from_json(r, json_array_get(history, (size_t)i), &r->history[i]);
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
#endif
