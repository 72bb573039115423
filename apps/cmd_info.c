/* mien info: what a model file or a network is. */
#include "apps/app.h"
#include "apps/graph.h"
#include "apps/report.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct options {
    const char *what, *svg;
    bool dot;
    int channels, size;
} options;

enum { OPT_DOT = 256, OPT_SVG, OPT_SIZE, OPT_CHANNELS };
static const struct argp_option table[] = {
    {"dot", OPT_DOT, 0, 0, "The graph for Graphviz instead: mien info --dot NET | dot -Tsvg", 1},
    {"svg", OPT_SVG, "FILE", 0, "The graph as a picture, to look at in a browser", 1},
    {"size", OPT_SIZE, "N", 0, "Input size of a network (default: its own)", 1},
    {"channels", OPT_CHANNELS, "1|3", 0, "Input channels of a network (default: its own)", 1},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case OPT_DOT:
        o->dot = true;
        return 0;
    case OPT_SVG:
        o->svg = arg;
        return 0;
    case OPT_SIZE:
        o->size = (int)app_parse_int(s, "--size", arg, 8, 1024);
        return 0;
    case OPT_CHANNELS:
        o->channels = app_parse_word(s, "--channels", arg, (const char *[]){"1", "3"}, 2) ? 3 : 1;
        return 0;
    case ARGP_KEY_ARG:
        if (o->what)
            argp_error(s, "one model at a time: \"%s\" is too many%s", arg,
                       o->dot ? "; hint: --dot takes no file, it prints" : "");
        o->what = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->svg && (!o->what || o->dot)) argp_error(s, "--svg wants a model or network, and no --dot");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] = "Describes a model file or a network: layers, parameters, multiply-adds (MACs), "
                          "what it predicts, how it wants its pictures, how "
                          "it was trained. Without an argument, lists the networks that have a name."
                          "\vExamples:\n"
                          "  mien info\n"
                          "  mien info seed2\n"
                          "  mien info faces.h5\n"
                          "  mien info --svg net.svg mini-xception\n"
                          "  mien info --dot mini-xception | dot -Tsvg > net.svg\n";
static const struct argp argp = {table, parse, "[MODEL.h5|NET|FILE.json]", doc, NULL, NULL, NULL};

static int list_networks(void) {
    puts("Networks (mien train --net NAME):");
    for (int i = 0; mn_net_names[i]; i++) {
        const char *line = mn_net_describe(mn_net_names[i]);
        printf("  %-14s %s\n", mn_net_names[i], line ? line : "");
    }
    return APP_OK;
}

static bool is_network(const char *what) {
    size_t length = strlen(what);
    if (length > 5 && !strcmp(what + length - 5, ".json")) return true;
    for (int i = 0; mn_net_names[i]; i++)
        if (!strcmp(mn_net_names[i], what)) return true;
    return false;
}

static void print_heads(const mn_model_info *info) {
    for (int h = 0; h < info->n_heads; h++) {
        const mn_head *head = &info->head[h];
        int column = printf("predicts  %s:", head->name);
        for (int k = 0; k < head->n_classes && k < 100; k++) {
            int length = (int)strlen(head->class_name[k]) + 1;
            if (column + length > 79) column = printf("\n         ") - 1;
            column += printf(" %s", head->class_name[k]);
        }
        putchar('\n');
        const mn_calibration *c = &info->calibration[h];
        if (c->temperature > 0 || c->unsure > 0)
            printf("          temperature %.3f, \"unsure\" below %.1f %%\n", c->temperature > 0 ? c->temperature : 1,
                   100 * c->unsure);
    }
}

static void print_preprocess(const mn_preprocess *p) {
    printf("pictures  %d x %d, %s", p->width, p->height,
           p->channels == 3          ? "RGB"
           : p->grey == MN_GREY_MEAN ? "grey (mean of RGB)"
                                     : "grey (BT.601)");
    if (p->standardize)
        printf(", less their mean, divided by their deviation + %g\n", p->standardize_eps);
    else if (p->lo == 0 && p->hi == 0)
        printf(", numbers 0..1");
    else
        printf(", numbers %g..%g", p->lo, p->hi);
    for (int c = 0; c < p->channels && !p->standardize; c++)
        if (p->mean[c] != 0 || (p->deviation[c] != 0 && p->deviation[c] != 1))
            printf("%s%.4g) / %.4g", c ? ", (x - " : ", then (x - ", p->mean[c], p->deviation[c] != 0 ? p->deviation[c] : 1);
    if (!p->standardize) putchar('\n');
    if (p->steps) printf("clips     1 to %d frames of %d x %d, below each other\n", p->steps, p->width, p->height / p->steps);
    char steps[80];
    if (strcmp(mn_pipeline_text(p, steps, sizeof steps), "none") != 0) printf("pipeline  %s\n", steps);
}

#if MN_HAVE_JSON
static const char *text_of(const json_t *j, const char *key) {
    const char *t = json_string_value(json_object_get(j, key));
    return t ? t : "?";
}

static void print_training(const char *text) {
    json_t *j = json_loads(text, 0, NULL), *best = json_object_get(j, "best"), *rows = json_object_get(j, "rows"), *head;
    if (!json_is_object(j)) {
        puts("training  (a record that is not understood)");
        json_decref(j);
        return;
    }
    printf("trained   by mien %s: %s\n", text_of(j, "mien"), text_of(j, "command"));
    printf("          %lld training rows, %lld validation rows, %lld epochs, seed %lld\n",
           (long long)json_integer_value(json_object_get(rows, "train")),
           (long long)json_integer_value(json_object_get(rows, "valid")),
           (long long)json_integer_value(json_object_get(j, "epochs_run")),
           (long long)json_integer_value(json_object_get(j, "seed")));
    if (json_is_object(best)) {
        printf("          best epoch %lld: validation loss %.4f", (long long)json_integer_value(json_object_get(best, "epoch")),
               json_number_value(json_object_get(best, "valid_loss")));
        const char *name;
        json_object_foreach(json_object_get(best, "heads"), name, head)
            printf(", %s %.1f %%", name, 100 * json_number_value(json_object_get(head, "valid_accuracy")));
        putchar('\n');
    }
    json_decref(j);
}
#else
static void print_training(const char *text) { printf("trained   %s\n", text); }
#endif

static mn_status draw(const options *o, const mn_model *m, mn_error *err) {
    size_t size;
    char *svg = graph_svg(m, &size);
    mn_status s = app_save(o->svg, svg, size, err);
    free(svg);
    if (!s) printf("wrote     %s: %d layers\n", o->svg, mn_model_layers(m));
    return s;
}

static int describe(const options *o, mn_context *c, mn_error *err) {
    mn_model_info info = {0};
    bool file = !is_network(o->what);
    struct stat st;
    mn_model *m = NULL;
    if (file && stat(o->what, &st) != 0) {
        int n = 0;
        while (mn_net_names[n]) n++;
        const char *near = app_nearest(o->what, mn_net_names, n);
        mn_fail(err, MN_ERR_IO, "\"%s\" is neither a file nor a network%s%s%s; `mien info` lists the networks", o->what,
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    } else if (file) {
        m = mn_model_load(c, o->what, &info, err);
    } else {
        m = mn_net_open(c, o->what, &(mn_net_opt){.channels = o->channels, .height = o->size, .width = o->size});
        if (!m) mn_fail(err, mn_context_error(c)->status, "%s", mn_context_error(c)->text);
    }
    mn_status s = !m       ? err->status
                  : o->svg ? draw(o, m, err)
                  : o->dot ? mn_model_dot(m, stdout)
                           : mn_model_summary(m, stdout, 79);
    if (m && s && !o->svg) mn_fail(err, s, "%s", mn_context_error(c)->text);
    if (!s && file && !o->dot && !o->svg) {
        putchar('\n');
        print_heads(&info);
        print_preprocess(&info.preprocess);
        if (info.training) print_training(info.training);
        if (info.card) printf("\n%s\n", info.card);
    }
    mn_model_info_free(&info);
    return s ? app_fail(err) : APP_OK;
}

int cmd_info(int argc, char **argv) {
    options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (!o.what) return list_networks();
    mn_error err = {0};
    mn_context *c = mn_context_create(NULL, &err);
    int status = c ? describe(&o, c, &err) : app_fail(&err);
    mn_context_destroy(c);
    return status;
}
