/* --input-range, --grey, --class-names: what files of other programs do not say. */
#include "apps/foreign.h"
#include <stdlib.h>
#include <string.h>

enum { OPT_RANGE = 0x3000, OPT_GREY, OPT_CLASSES };
static const struct argp_option table[] = {
    {0, 0, 0, 0, "Model files of other programs do not say how they want their pictures:", 8},
    {"input-range", OPT_RANGE, "LO,HI", 0, "What black and white become (default: what the file says, else 0,1)", 8},
    {"grey", OPT_GREY, "bt601|mean", 0, "How colours become grey: 0.299 R + 0.587 G + 0.114 B, or their mean", 8},
    {"class-names", OPT_CLASSES, "[HEAD:]NAME,...", 0,
     "The names of a head's classes in their order, and of the head; given again for the next head", 8},
    {0},
};

static void parse_range(foreign *f, const char *arg, struct argp_state *s) {
    char *end = NULL;
    f->lo = strtod(arg, &end);
    bool ok = end != arg && *end == ',';
    const char *second = end + 1;
    if (ok) f->hi = strtod(second, &end), ok = end != second && !*end;
    if (!ok || !(f->lo >= -1e6 && f->hi <= 1e6 && f->lo < f->hi))
        argp_error(s, "--input-range is \"%s\"; wanted two numbers, the smaller first: -1,1", arg);
    f->range = true;
}

static error_t parse(int key, char *arg, struct argp_state *s) {
    static const char *const greys[] = {"bt601", "mean"};
    foreign *f = s->input;
    switch (key) {
    case OPT_RANGE:
        parse_range(f, arg, s);
        return 0;
    case OPT_GREY:
        f->grey = greys[app_parse_word(s, "--grey", arg, greys, 2)];
        return 0;
    case OPT_CLASSES:
        if (f->n_heads == MN_MAX_HEADS) argp_error(s, "--class-names is given more than %d times", MN_MAX_HEADS);
        f->classes[f->n_heads++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
const struct argp foreign_argp = {table, parse, NULL, NULL, NULL, NULL, NULL};

mn_status foreign_head(const char *text, const char *name, mn_head *out, mn_error *err) {
    const char *equals = strpbrk(text, ":="), *own = equals ? text : name ? name : "";
    size_t length = equals ? (size_t)(equals - text) : strlen(own);
    char *word[MN_MAX_CLASSES], *rest = mn_strdup(equals ? equals + 1 : text), *at = rest;
    mn_head named = {.class_name = word};
    if (!rest) return mn_fail(err, MN_ERR_MEMORY, "out of memory for the names of classes");
    while (at && named.n_classes < MN_MAX_CLASSES) word[named.n_classes++] = strsep(&at, ",");
    mn_status s = at ? mn_fail(err, MN_ERR_ARG, "--class-names names more than %d classes", MN_MAX_CLASSES) : MN_OK;
    for (int k = 0; k < named.n_classes && !s; k++)
        if (!*word[k]) s = mn_fail(err, MN_ERR_ARG, "--class-names has an empty name at place %d", k + 1);
    if (!s && (length == 0 || length >= sizeof named.name))
        s = mn_fail(err, MN_ERR_ARG, "--class-names is \"%.60s\"; wanted HEAD:A,B,.. with a head's name of 1 to %zu characters",
                    text, sizeof named.name - 1);
    if (!s) {
        memcpy(named.name, own, length);
        s = mn_head_copy(out, &named, err);
    }
    mn_free(rest);
    return s;
}

/* The classes in `text` into a head that has that many. */
static mn_status name_classes(const char *text, mn_head *h, mn_error *err) {
    mn_head named = {0};
    mn_status s = foreign_head(text, h->name, &named, err);
    if (!s && named.n_classes != h->n_classes)
        s = mn_fail(err, MN_ERR_ARG, "--class-names names %d classes, the model's head \"%s\" has %d", named.n_classes, h->name,
                    h->n_classes);
    mn_head_free(s ? &named : h);
    if (!s) *h = named;
    return s;
}

mn_status foreign_apply(const foreign *f, mn_model_info *info, mn_error *err) {
    mn_preprocess *p = &info->preprocess;
    if (f->range)
        *p = (mn_preprocess){
            .channels = p->channels, .height = p->height, .width = p->width, .grey = p->grey, .lo = f->lo, .hi = f->hi};
    if (f->grey) p->grey = strcmp(f->grey, "mean") ? MN_GREY_BT601 : MN_GREY_MEAN;
    if (f->n_heads > info->n_heads)
        return mn_fail(err, MN_ERR_ARG, "--class-names is given for %d heads, the model has %d", f->n_heads, info->n_heads);
    mn_status s = MN_OK;
    for (int h = 0; h < f->n_heads && !s; h++) {
        s = name_classes(f->classes[h], &info->head[h], err);
        info->plain[h] = false; /* its numbers are logits of these classes */
    }
    return s;
}
