/* One training run among many: in this process, quiet, remembered in a log. */
#include "apps/study.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/metrics.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the log ---- */

/* A line that is damaged (the machine went down while it was written) counts as absent. */
static bool recall(const char *log, const char *command, study_result *out) {
    FILE *f = fopen(log, "r");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (f && !found && getline(&line, &room, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        const char *known = json_string_value(json_object_get(j, "command"));
        if ((found = known && !strcmp(known, command)))
            *out = (study_result){.accuracy = json_number_value(json_object_get(j, "valid_accuracy")),
                                  .accuracy_lo = json_number_value(json_object_get(j, "valid_accuracy_lo")),
                                  .accuracy_hi = json_number_value(json_object_get(j, "valid_accuracy_hi")),
                                  .loss = json_is_number(json_object_get(j, "valid_loss"))
                                              ? json_number_value(json_object_get(j, "valid_loss"))
                                              : INFINITY,
                                  .epoch_seconds = json_number_value(json_object_get(j, "epoch_seconds")),
                                  .parameters = json_integer_value(json_object_get(j, "parameters")),
                                  .diverged = json_is_true(json_object_get(j, "diverged")),
                                  .from_log = true};
        json_decref(j);
    }
    free(line);
    if (f) fclose(f);
    return found;
}

static mn_status append(const char *log, const char *command, const study_result *r, mn_error *err) {
    json_t *j = json_pack("{s:s,s:f,s:f,s:f,s:f,s:I,s:b}", "command", command, "valid_accuracy", r->accuracy, "valid_accuracy_lo",
                          r->accuracy_lo, "valid_accuracy_hi", r->accuracy_hi, "epoch_seconds", r->epoch_seconds, "parameters",
                          (json_int_t)r->parameters, "diverged", (int)r->diverged);
    json_object_set_new(j, "valid_loss", isfinite(r->loss) ? json_real(r->loss) : json_null());
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9));
    FILE *f = fopen(log, "a+");
    bool done = text && f;
    if (done && fseek(f, -1, SEEK_END) == 0 && fgetc(f) != '\n') done = fputc('\n', f) != EOF; /* after a cut line */
    if (done) done = fprintf(f, "%s\n", text) > 0 && fflush(f) == 0;
    if (f && (fclose(f) || !done)) done = false;
    json_decref(j);
    free(text);
    return done ? MN_OK : mn_fail(err, MN_ERR_IO, "cannot add to %s: %s", log, strerror(errno));
}

/* ---- the run ---- */

static int by_value(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void measure(const train_run *r, study_result *out) {
    const epoch_record *best = &r->history[r->stop.best_epoch];
    double *seconds = app_alloc((size_t)r->epoch, sizeof *seconds);
    for (int64_t i = 0; i < r->epoch; i++) seconds[i] = r->history[i].seconds;
    qsort(seconds, (size_t)r->epoch, sizeof *seconds, by_value);
    *out = (study_result){
        .loss = best->valid_loss, .epoch_seconds = seconds[r->epoch / 2], .parameters = mn_model_count(r->m).parameters};
    int scored = 0;
    for (int h = 0; h < r->n_heads; h++)
        if (!isnan(best->valid_accuracy[h])) out->accuracy += best->valid_accuracy[h], scored++;
    if (scored) out->accuracy /= scored;
    int64_t n = r->data.count[MN_SPLIT_VALID];
    metrics_wilson(llround(out->accuracy * (double)n), n, &out->accuracy_lo, &out->accuracy_hi);
    free(seconds);
}

static train_end run(const train_options *o, const volatile int *stop, study_result *out, mn_error *err) {
    train_run r;
    mn_status s = train_open(&r, o, err);
    if (!s && !r.valid)
        s = mn_fail(err, MN_ERR_ARG, "no validation rows to choose by; hint: --val 0.1 (test rows choose nothing)");
    train_end end = s ? TRAIN_FAILED : train_loop(&r, stop, err);
    if (end == TRAIN_DONE) measure(&r, out);
    if (end == TRAIN_FAILED && err->status == MN_ERR_NUMERIC) { /* a bad setting, not a broken search */
        *out = (study_result){.loss = INFINITY, .diverged = true, .parameters = mn_model_count(r.m).parameters};
        mn_error_clear(err);
        end = TRAIN_DONE;
    }
    if (r.checkpoint) unlink(r.checkpoint);
    train_close(&r);
    return end;
}

train_end study_run(char *const *word, int n, const char *log, const volatile int *stop, study_result *out, mn_error *err) {
    char *command = train_command((const char *const *)word, n), *model = app_text("%s.trial", log);
    char **line = app_alloc((size_t)n + 4, sizeof *line);
    train_end end = TRAIN_DONE;
    if (!recall(log, command, out)) {
        line[0] = (char[]){"mien train"};
        memcpy(line + 1, word, (size_t)n * sizeof *line);
        line[n + 1] = (char[]){"--out"}, line[n + 2] = model; /* where checkpoints lie while it runs */
        train_options o;
        if (!train_parse(&o, n + 3, line)) end = (mn_fail(err, MN_ERR_ARG, "mien train cannot run: %s", command), TRAIN_FAILED);
        o.quiet = true;
        if (end == TRAIN_DONE) end = run(&o, stop, out, err);
        if (end == TRAIN_DONE && append(log, command, out, err)) end = TRAIN_FAILED;
        train_options_free(&o);
    }
    free(line);
    free(model);
    free(command);
    return end;
}
#endif
