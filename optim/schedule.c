/* Learning rates over time, as functions of the step; plateau alone has a memory. docs/optim.md draws them.
 */
#include "optim/optim.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static double or_default(double value, double fallback) { return value == 0 ? fallback : value; }

/* From a to b along half a cosine wave; share in 0..1. */
static double cosine_between(double a, double b, double share) { return b + (a - b) / 2 * (1 + cos(pi * share)); }

/* Smith and Topin 2018, as PyTorch's OneCycleLR with its defaults: up to the base rate, down to almost none.
 */
static double one_cycle(double base, double rise, double step, double total) {
    double low = base / 25, last = low / 1e4, peak = rise * total - 1, end = total - 1;
    if (step <= peak) return peak > 0 ? cosine_between(low, base, step / peak) : base;
    if (peak < 0) peak = 0;
    return end > peak ? cosine_between(base, last, (step - peak) / (end - peak)) : last;
}

double mn_schedule_lr(const mn_schedule *s, double base_lr, int64_t step, int64_t total, int64_t per_epoch) {
    if (total < 1) total = 1;
    if (step < 0) step = 0;
    if (step >= total) step = total - 1;
    double at = (double)step, all = (double)total, warm = round(s->warmup * all);
    if (s->kind == MN_ONE_CYCLE) return one_cycle(base_lr, or_default(s->rise, 0.3), at, all);
    if (s->kind == MN_PLATEAU) return base_lr * (s->started ? s->scale : 1);
    if (at < warm) return base_lr * (at + 1) / (warm + 1);
    if (s->kind == MN_STEP_DECAY) {
        double epoch = floor(at / (double)(per_epoch > 0 ? per_epoch : 1));
        return base_lr * pow(or_default(s->factor, 0.1), floor(epoch / or_default(s->every, 10)));
    }
    if (s->kind == MN_COSINE) return cosine_between(base_lr, s->floor * base_lr, (at - warm) / (all - warm));
    return base_lr;
}

/* PyTorch's ReduceLROnPlateau, relative threshold. */
void mn_schedule_epoch(mn_schedule *s, double loss) {
    if (s->kind != MN_PLATEAU) return;
    if (!s->started)
        *s = (mn_schedule){.kind = s->kind,
                           .factor = s->factor,
                           .patience = s->patience,
                           .threshold = s->threshold,
                           .best = INFINITY,
                           .scale = 1,
                           .started = true};
    if (loss < s->best - fabs(s->best) * or_default(s->threshold, 1e-4) || (isinf(s->best) && loss < s->best)) {
        s->best = loss;
        s->bad_epochs = 0;
    } else if (++s->bad_epochs > (s->patience ? s->patience : 5)) {
        s->scale *= or_default(s->factor, 0.1);
        s->bad_epochs = 0;
    }
}

/* ---- from text ---- */

static const char *const kind_names[] = {"constant", "step", "cosine", "onecycle", "plateau"};
enum { N_KINDS = sizeof kind_names / sizeof *kind_names };

/* The options of each kind and their ranges. */
typedef struct option {
    const char *name;
    unsigned kinds; /* bit k: kind k has it */
    double lo, hi;  /* inclusive */
    bool whole;
    size_t offset;
} option;
static const option options[] = {
    {"warmup", 1u << MN_CONSTANT | 1u << MN_STEP_DECAY | 1u << MN_COSINE, 0, 0.9, false, offsetof(mn_schedule, warmup)},
    {"factor", 1u << MN_STEP_DECAY | 1u << MN_PLATEAU, 1e-6, 1, false, offsetof(mn_schedule, factor)},
    {"every", 1u << MN_STEP_DECAY, 1, 1e6, true, offsetof(mn_schedule, every)},
    {"floor", 1u << MN_COSINE, 0, 1, false, offsetof(mn_schedule, floor)},
    {"rise", 1u << MN_ONE_CYCLE, 0.01, 0.99, false, offsetof(mn_schedule, rise)},
    {"patience", 1u << MN_PLATEAU, 1, 1e6, true, offsetof(mn_schedule, patience)},
    {"threshold", 1u << MN_PLATEAU, 1e-12, 1, false, offsetof(mn_schedule, threshold)},
};
enum { N_OPTIONS = sizeof options / sizeof *options };

/* "warmup=, floor=": what schedule k takes. */
static const char *options_of(int k, char *buf, size_t size) {
    buf[0] = 0;
    for (int i = 0; i < N_OPTIONS; i++)
        if (options[i].kinds >> k & 1) {
            if (buf[0]) strncat(buf, ", ", size - strlen(buf) - 1);
            strncat(buf, options[i].name, size - strlen(buf) - 1);
        }
    return buf;
}

/* One "name=value" of `length` characters. */
static mn_status parse_option(const char *text, size_t length, mn_schedule *s, mn_error *err) {
    char word[64], known[128];
    if (length >= sizeof word)
        return mn_fail(err, MN_ERR_ARG, "schedule %s: an option has %zu characters", kind_names[s->kind], length);
    memcpy(word, text, length);
    word[length] = 0;
    char *value = strchr(word, '='), *end;
    if (value) *value++ = 0;
    const option *o = NULL;
    for (int i = 0; i < N_OPTIONS && !o; i++)
        if (!strcmp(options[i].name, word) && options[i].kinds >> s->kind & 1) o = &options[i];
    if (!o)
        return mn_fail(err, MN_ERR_ARG, "schedule %s has no option \"%s\"; it takes: %s", kind_names[s->kind], word,
                       options_of((int)s->kind, known, sizeof known));
    double v = value && *value ? strtod(value, &end) : NAN;
    if (!(v >= o->lo && v <= o->hi) || *end || (o->whole && v != floor(v)))
        return mn_fail(err, MN_ERR_ARG, "schedule %s: %s is \"%s\"; wanted a %s from %g to %g", kind_names[s->kind], o->name,
                       value ? value : "", o->whole ? "whole number" : "number", o->lo, o->hi);
    if (o->offset == offsetof(mn_schedule, patience))
        s->patience = (int)v;
    else
        memcpy((char *)s + o->offset, &v, sizeof v);
    return MN_OK;
}

mn_status mn_schedule_parse(const char *text, mn_schedule *out, mn_error *err) {
    size_t length = strcspn(text, ",");
    int kind = 0;
    while (kind < N_KINDS && !(strlen(kind_names[kind]) == length && !memcmp(text, kind_names[kind], length))) kind++;
    if (kind == N_KINDS)
        return mn_fail(err, MN_ERR_ARG,
                       "there is no schedule \"%.*s\"; wanted constant, step, cosine, onecycle or plateau, "
                       "with options such as cosine,warmup=0.05",
                       (int)(length < 40 ? length : 40), text);
    mn_schedule s = {.kind = (mn_schedule_kind)kind};
    for (text += length; *text; text += length) {
        length = strcspn(++text, ",");
        if (parse_option(text, length, &s, err)) return err ? err->status : MN_ERR_ARG;
    }
    *out = s;
    return MN_OK;
}
