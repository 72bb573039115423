/* The model card as Markdown, from the JSON texts of a model file. See card.h. */
#include "apps/card.h"
#include "apps/app.h"
#include "apps/progress.h"
#include <stdlib.h>
#include <string.h>

char *card_path(const char *model) {
    size_t n = strlen(model);
    if (n > 3 && !strcmp(model + n - 3, ".h5")) n -= 3;
    return app_text("%.*s.card.md", (int)n, model);
}

#if MN_HAVE_JSON
#include <jansson.h>
#include <math.h>

/* ---- values; what is missing is "-" ---- */

static double real(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}
static int64_t whole(const json_t *j, const char *key) { return json_integer_value(json_object_get(j, key)); }
static const char *text(const json_t *j, const char *key) {
    const char *t = json_string_value(json_object_get(j, key));
    return t ? t : "-";
}

/* Names and commands come from files: nothing in them may break out of a table cell. */
static void cell_text(FILE *f, const char *t) {
    for (; *t; t++) {
        if (strchr("|\\`*_<>[]", *t)) fputc('\\', f);
        if ((unsigned char)*t >= 32) fputc(*t, f);
    }
}

static void percent(FILE *f, double v) { isnan(v) ? fputs(" - |", f) : fprintf(f, " %.2f %% |", 100 * v); }
static void number(FILE *f, double v) { isnan(v) ? fputs(" - |", f) : fprintf(f, " %.4f |", v); }
static void count(FILE *f, int64_t v) { fprintf(f, " %lld |", (long long)v); }
static void interval(FILE *f, const json_t *pair, bool as_percent) {
    double lo = json_number_value(json_array_get(pair, 0)), hi = json_number_value(json_array_get(pair, 1));
    if (!json_is_number(json_array_get(pair, 0)))
        fputs(" - |", f);
    else if (as_percent)
        fprintf(f, " %.2f to %.2f |", 100 * lo, 100 * hi);
    else
        fprintf(f, " %.4f to %.4f |", lo, hi);
}

static const mn_head *find_head(const mn_model_info *info, const char *name) {
    for (int h = 0; h < info->n_heads; h++)
        if (!strcmp(info->head[h].name, name)) return &info->head[h];
    return NULL;
}

/* ---- what it is ---- */

static void write_heads(FILE *f, const mn_model_info *info) {
    for (int h = 0; h < info->n_heads; h++) {
        const mn_head *head = &info->head[h];
        const mn_calibration *c = &info->calibration[h];
        fputs("| predicts | ", f);
        cell_text(f, head->name);
        fprintf(f, ": %d classes", head->n_classes);
        for (int k = 0; k < head->n_classes && k < 24; k++) fputs(k ? ", " : ": ", f), cell_text(f, head->class_name[k]);
        fputs(head->n_classes > 24 ? ", ... |\n" : " |\n", f);
        if (c->temperature <= 0 && c->unsure <= 0) continue;
        fputs("| calibration | ", f);
        cell_text(f, head->name);
        fprintf(f, ": temperature %.3f, \"unsure\" where no class reaches %.9g, both from validation rows |\n",
                c->temperature > 0 ? c->temperature : 1, c->unsure);
    }
}

static void write_what(FILE *f, const char *name, const mn_model_stats *k, const mn_model_info *info, const json_t *tests) {
    const mn_preprocess *p = &info->preprocess;
    char n[24], steps[80];
    const json_t *speed = json_object_get(json_array_get(tests, json_array_size(tests) - 1), "latency");
    fputs("## What it is\n\n| | |\n|---|---|\n| network | ", f);
    cell_text(f, name);
    fprintf(f, ", %s parameters, %.1f M multiply-adds a picture |\n", progress_number(n, sizeof n, k->parameters),
            (double)k->macs / 1e6);
    fprintf(f, "| size | %.2f MB of weights |\n", (double)k->parameters * 4e-6);
    fprintf(f, "| pictures | %d x %d, %s%s", p->width, p->height, p->channels == 3 ? "RGB" : "grey",
            p->standardize ? ", each less its mean, divided by its deviation" : "");
    fprintf(f, "; pipeline: %s |\n", mn_pipeline_text(p, steps, sizeof steps));
    write_heads(f, info);
    if (json_is_object(speed)) {
        fprintf(f, "| latency | %.3g ms a picture (99 %%: %.3g), %lld threads, ", real(speed, "p50_ms"), real(speed, "p99_ms"),
                (long long)whole(speed, "threads"));
        cell_text(f, text(speed, "device"));
        fputs(" |\n", f);
    }
}

/* ---- training ---- */

/* What is known of the licences of pictures; what a folder holds, only its owner knows. */
static const char *licence_of(const char *spec) {
    static const struct {
        const char *kind, *licence;
    } known[] = {
        {"rendered:", "drawn by mien, free of rights of others"},
        {"fer2013:", "pictures from the web, published for research; not to be passed on"},
        {"utkface:", "pictures from the web, for non-commercial research only; rights stay with their owners"},
        {"ckplus:", "by agreement with its authors, for research only; not to be passed on"},
        {"affectnet:", "by agreement with its authors, for research only; not to be passed on"},
        {"adience:", "Flickr albums, for research; rights stay with their owners"},
        {"jaffe:", "for non-commercial research only; not to be passed on"},
        {"kdef:", "for non-commercial research only; not to be passed on"},
        {"imdbwiki:", "pictures from the web, for research only"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(spec, known[i].kind, strlen(known[i].kind))) return known[i].licence;
    return "not known to mien: whoever gave the pictures knows";
}

static void write_data(FILE *f, const json_t *data, bool training) {
    size_t i;
    json_t *part;
    fputs(training ? "| data | pictures | fingerprint | use | licence of the pictures |\n|---|---|---|---|---|\n"
                   : "| data | pictures | fingerprint |\n|---|---|---|\n",
          f);
    json_array_foreach(data, i, part) {
        fputs("| ", f);
        cell_text(f, text(part, "spec"));
        fprintf(f, " | %lld | ", (long long)whole(part, "pictures"));
        cell_text(f, text(part, "fingerprint"));
        if (training) {
            fputs(" | ", f);
            cell_text(f, text(part, "use"));
            fprintf(f, " | %s", licence_of(text(part, "spec")));
        }
        fputs(" |\n", f);
    }
}

static void write_leaks(FILE *f, const json_t *leaks) {
    if (!json_is_object(leaks)) return;
    if (json_is_true(json_object_get(leaks, "allowed")))
        fprintf(f,
                "\n**The split leaks and was used nevertheless (`--allow-leak`)**: %lld of the validation "
                "rows have a copy or their subject "
                "among the training rows, %lld subjects of test rows train. Scores say more than is true.\n",
                (long long)whole(leaks, "valid"), (long long)whole(leaks, "test_subjects"));
    else
        fprintf(f,
                "\nNo validation row has a copy or its subject among the training rows (%lld training rows "
                "that had one were left out).\n",
                (long long)whole(leaks, "dropped"));
    if (whole(leaks, "test_copies"))
        fprintf(f,
                "%lld test rows are identical to training rows, as the files have it: scores are given with "
                "and without them.\n",
                (long long)whole(leaks, "test_copies"));
}

/* Whose answers it learnt, and whether they had seen what it is scored on. */
static void write_teachers(FILE *f, const json_t *r) {
    size_t i;
    json_t *t;
    json_array_foreach(json_object_get(r, "teachers"), i, t) {
        const char *saw = text(t, "held_out");
        fputs(i ? "- " : "\nIts targets are in part what other models answer about the training rows:\n\n- ", f);
        cell_text(f, text(t, "file")), fputs(" (", f), cell_text(f, text(t, "network")), fputs(", weights ", f);
        cell_text(f, text(t, "weights"));
        fputs(!strcmp(saw, "apart")     ? "): none of these validation and test rows trained it\n"
              : !strcmp(saw, "unknown") ? "): whether it saw these validation and test rows is not known\n"
                                        : "): **it saw validation or test rows; scores say more than is true**\n",
              f);
    }
    if (i)
        fprintf(f, "\nA target is %.3g of their mean answer at temperature %.3g%s, and %.3g of the label.\n",
                real(r, "teacher_weight"), real(r, "teacher_temperature"),
                json_is_true(json_object_get(r, "teacher_mirrored")) ? " to the picture and its mirror image" : "",
                1 - real(r, "teacher_weight"));
}

static void write_training(FILE *f, const json_t *r) {
    const json_t *rows = json_object_get(r, "rows");
    fputs("\n## How it was trained\n\n    ", f);
    for (const char *c = text(r, "command"); *c; c++) fputc((unsigned char)*c < 32 ? ' ' : *c, f);
    fputs("\n\n", f);
    write_data(f, json_object_get(r, "data"), true);
    fprintf(f, "\n%lld training rows, %lld validation rows, %lld test rows that nothing read. ", (long long)whole(rows, "train"),
            (long long)whole(rows, "valid"), (long long)whole(rows, "test"));
    fprintf(f, "%s, learning rate %g, schedule ", text(r, "optimizer"), real(r, "lr"));
    cell_text(f, text(r, "schedule"));
    fputs(", augmentation ", f);
    cell_text(f, text(r, "augment"));
    if (real(r, "sample_balance") > 0) fprintf(f, ", balanced sampling %.3g", real(r, "sample_balance"));
    fprintf(f, ", batches of %lld, %lld epochs, seed %lld (one run: another seed gives another score), mien %s.\n",
            (long long)whole(r, "batch"), (long long)whole(r, "epochs_run"), (long long)whole(r, "seed"), text(r, "mien"));
    write_teachers(f, r);
    write_leaks(f, json_object_get(r, "leaks"));
}

/* ---- scores ---- */

static void write_overall(FILE *f, const json_t *heads) {
    const char *name;
    json_t *s;
    fputs("| head | pictures | right | 95 % | macro F1 | 95 % | weighted F1 | loss | calibration error | "
          "logistic regression |\n"
          "|---|---|---|---|---|---|---|---|---|---|\n",
          f);
    json_object_foreach((json_t *)heads, name, s) {
        fputs("| ", f), cell_text(f, name), fputs(" |", f);
        count(f, whole(s, "n"));
        percent(f, real(s, "accuracy")), interval(f, json_object_get(s, "accuracy_95"), true);
        number(f, real(s, "macro_f1")), interval(f, json_object_get(s, "macro_f1_95"), false);
        number(f, real(s, "weighted_f1")), number(f, real(s, "loss")), number(f, real(s, "calibration_error"));
        percent(f, real(json_object_get(s, "logistic_regression"), "accuracy"));
        fputc('\n', f);
    }
    json_object_foreach((json_t *)heads, name, s) if (json_is_integer(json_object_get(s, "subjects"))) {
        fputs("\nThe interval of ", f), cell_text(f, name);
        fprintf(f, " is by bootstrap over %lld people.\n", (long long)whole(s, "subjects"));
    }
}

static void write_classes(FILE *f, const char *name, const json_t *s) {
    size_t i;
    json_t *c;
    fputs("\n**", f), cell_text(f, name),
        fputs("**, class by class:\n\n| class | precision | recall | F1 | pictures |\n|---|---|---|---|---|\n", f);
    json_array_foreach(json_object_get(s, "classes"), i, c) {
        fputs("| ", f), cell_text(f, text(c, "name")), fputs(" |", f);
        number(f, real(c, "precision")), number(f, real(c, "recall")), number(f, real(c, "f1"));
        count(f, whole(c, "support"));
        fputc('\n', f);
    }
}

/* Parts of the pictures: those answered, those that copy nothing, each group. */
static void write_part(FILE *f, const char *by, const char *value, int64_t n, double accuracy, const json_t *pair) {
    fputs("| ", f), cell_text(f, by), fputs(" | ", f), cell_text(f, value), fputs(" |", f);
    count(f, n), percent(f, accuracy), interval(f, pair, true);
    fputc('\n', f);
}

static void write_parts(FILE *f, const char *name, const json_t *s) {
    const json_t *unsure = json_object_get(s, "unsure"), *without = json_object_get(s, "without_copies");
    const char *trait;
    json_t *list, *g;
    size_t i;
    fputs("\n**", f), cell_text(f, name),
        fputs("**, for parts of the pictures:\n\n| by | value | pictures | right | 95 % "
              "|\n|---|---|---|---|---|\n",
              f);
    if (real(unsure, "below") > 0 && whole(unsure, "answered"))
        write_part(f, "answer", "not unsure", whole(unsure, "answered"), real(unsure, "right") / real(unsure, "answered"), NULL);
    if (whole(without, "identical") + whole(without, "near"))
        write_part(f, "copy", "no copy of a training picture", whole(without, "n"), real(without, "accuracy"),
                   json_object_get(without, "accuracy_95"));
    json_object_foreach(json_object_get(s, "groups"), trait, list) json_array_foreach(list, i, g)
        write_part(f, trait, text(g, "value"), whole(g, "n"), real(g, "accuracy"), json_object_get(g, "accuracy_95"));
}

static void write_scores(FILE *f, const json_t *heads) {
    const char *name;
    json_t *s;
    write_overall(f, heads);
    json_object_foreach((json_t *)heads, name, s) {
        if (json_array_size(json_object_get(s, "classes")) <= 100) write_classes(f, name, s);
        write_parts(f, name, s);
    }
}

static bool same_rows(const json_t *a, const json_t *b) {
    const json_t *da = json_object_get(a, "data"), *db = json_object_get(b, "data");
    bool same = json_array_size(da) == json_array_size(db) && json_equal(json_object_get(a, "rows"), json_object_get(b, "rows"));
    for (size_t i = 0; i < json_array_size(da) && same; i++)
        same = json_equal(json_object_get(json_array_get(da, i), "fingerprint"),
                          json_object_get(json_array_get(db, i), "fingerprint"));
    return same;
}

/* The latest scores of each set of rows; how often they were looked at. */
static void write_tests(FILE *f, const json_t *tests) {
    size_t n = json_array_size(tests);
    fputs("\n## Scores on pictures that chose nothing\n\n", f);
    if (!n) fputs("None yet: `mien eval` scores test rows and writes them here.\n", f);
    for (size_t i = 0; i < n; i++) {
        const json_t *t = json_array_get(tests, i);
        size_t times = 1;
        bool latest = true;
        for (size_t k = 0; k < n; k++) {
            if (k == i || !same_rows(t, json_array_get(tests, k))) continue;
            times++;
            latest = latest && k < i;
        }
        if (!latest) continue;
        fprintf(f, "### Test %zu: %s rows, %lld pictures, %.10s\n\n", i + 1, text(t, "rows"), (long long)whole(t, "n"),
                text(t, "date"));
        write_data(f, json_object_get(t, "data"), false);
        fprintf(f, "\nScored %zu time%s%s%s\n\n", times, times == 1 ? "" : "s; these are the last ones",
                json_is_true(json_object_get(t, "flip")) ? "; probabilities are means over each picture and its mirror image"
                                                         : "",
                json_is_true(json_object_get(t, "trained_on")) ? "." : "; the model was not trained on this data.");
        write_scores(f, json_object_get(t, "heads"));
        fputc('\n', f);
    }
}

static void write_log(FILE *f, const json_t *tests) {
    size_t i;
    json_t *t, *s;
    const char *name;
    if (!json_array_size(tests)) return;
    fputs("## Each time that such rows were opened\n\n| date | data | rows | head | pictures | right | 95 % "
          "|\n|---|---|---|---|---|---|---|\n",
          f);
    json_array_foreach(tests, i, t) json_object_foreach(json_object_get(t, "heads"), name, s) {
        fprintf(f, "| %s | ", text(t, "date"));
        for (size_t k = 0; k < json_array_size(json_object_get(t, "data")); k++) {
            if (k) fputs(" + ", f);
            cell_text(f, text(json_array_get(json_object_get(t, "data"), k), "spec"));
        }
        fprintf(f, " | %s | ", text(t, "rows"));
        cell_text(f, name), fputs(" |", f);
        count(f, whole(s, "n")), percent(f, real(s, "accuracy")), interval(f, json_object_get(s, "accuracy_95"), true);
        fputc('\n', f);
    }
    fputs("\nThe best of several scores on the same rows is partly luck on these rows.\n", f);
}

/* ---- what it is for ---- */

static void write_use(FILE *f, const mn_model_info *info) {
    bool emotion = find_head(info, "emotion"), gender = find_head(info, "gender");
    fputs("\n## Intended use\n\nTeaching and research on how such networks work; comparing methods; "
          "labelling one's own pictures for fun with the "
          "words below beside them.\n",
          f);
    if (emotion)
        fputs("\n*emotion* is the **apparent expression** in a picture, in the words of the people who "
              "labelled the training pictures. Faces do "
              "not reliably show what people feel (Barrett et al. 2019); the labels of such data sets are "
              "noisy, and people agree on "
              "about two of three of FER2013's.\n",
              f);
    if (gender)
        fputs("\n*gender* is **the model's label**, learnt from pictures that others sorted into two classes "
              "by their looks. It is no statement "
              "about a person, has no word for many people, and is wrong more often for some groups than for "
              "others: see the tables by group.\n",
              f);
    fputs("\n## Not to be used\n\n- to decide anything about a person: hiring, credit, insurance, policing, "
          "health, attention, grades;\n"
          "- to infer emotions of people at work or in education, which the EU's AI Act (Art. 5(1)(f)) "
          "forbids;\n"
          "- on people who have not been told (Art. 50(3)), or in secret;\n"
          "- on pictures unlike those it was tested on, as if the scores above held there.\n",
          f);
    fputs("\n## Limits\n\nScores hold for pictures like the test rows, found and cut out in the same way. "
          "Intervals cover the choice of test pictures, "
          "not of the training run. A group with few pictures has a wide interval: that is not proof of "
          "equal treatment. \"Unsure\" leaves "
          "out what the model itself finds hard; it can be sure and wrong.\n",
          f);
}

char *card_write(const char *name, const mn_model_stats *stats, const mn_model_info *info) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    if (!f) app_alloc(SIZE_MAX, 1);
    json_t *record = info->training ? json_loads(info->training, 0, NULL) : NULL,
           *tests = info->tests ? json_loads(info->tests, 0, NULL) : NULL;
    fputs("# Model card: ", f);
    cell_text(f, name);
    fputs("\n\nWritten by mien from what is in the model file.\n\n", f);
    write_what(f, name, stats, info, tests);
    if (json_is_object(record)) write_training(f, record);
    const json_t *valid = json_object_get(record, "validation");
    if (json_object_size(valid)) {
        fputs("\n## Scores on validation rows\n\nThese rows chose the epoch, the temperature and the "
              "threshold: they flatter the model.\n\n",
              f);
        write_overall(f, valid);
    }
    write_tests(f, tests);
    write_log(f, tests);
    write_use(f, info);
    json_decref(record);
    json_decref(tests);
    fclose(f);
    return out;
}
#else
char *card_write(const char *name, const mn_model_stats *stats, const mn_model_info *info) {
    (void)stats, (void)info;
    return app_text("# Model card: %s\n", name);
}
#endif
