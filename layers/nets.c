/* Networks by name or by file. */
#include "layers/internal.h"
#include <stdio.h>
#include <string.h>

const char *const mn_net_names[] = {
#define NET(name, stem, side, steps, text) name,
#include "layers/nets.def"
#undef NET
    NULL};

static const struct net {
    const char *name;
    mn__net_fn *make;
    int side, steps;
    const char *text;
} nets[] = {
#define NET(name, stem, side, steps, text) {name, mn__net_##stem, side, steps, text},
#include "layers/nets.def"
#undef NET
};
enum { N_NETS = sizeof nets / sizeof *nets };

static const struct net *find(const char *name) {
    for (int i = 0; i < N_NETS; i++)
        if (!strcmp(nets[i].name, name)) return &nets[i];
    return NULL;
}

const char *mn_net_describe(const char *name) { return find(name) ? find(name)->text : NULL; }

static mn_status range(mn_context *c, const char *what, int value, int hi) {
    if (value >= 1 && value <= hi) return MN_OK;
    return MN__FAIL(c, MN_ERR_ARG, "%s is %d; wanted 1 to %d", what, value, hi);
}

mn_status mn__net_complete(mn_context *c, const mn_net_opt *opt, int channels, int height, int width, mn_net_opt *o) {
    static const mn_net_head emotion = {"emotion", 7};
    *o = opt ? *opt : (mn_net_opt){0};
    if (!o->channels) o->channels = channels;
    if (!o->height) o->height = height;
    if (!o->width) o->width = width;
    if (!o->heads) o->heads = &emotion, o->n_heads = 1;
    if (range(c, "channels", o->channels, 64) || range(c, "height", o->height, 4096) || range(c, "width", o->width, 4096) ||
        range(c, "the number of heads", o->n_heads, 16) || (o->steps && range(c, "steps", o->steps, MN__MAX_STEPS)))
        return MN_ERR_ARG;
    for (int i = 0; i < o->n_heads; i++) {
        if (!o->heads[i].name || !*o->heads[i].name) return MN__FAIL(c, MN_ERR_ARG, "head %d has no name", i);
        if (o->heads[i].classes < 1 || o->heads[i].classes > MN__MAX_UNITS)
            return MN__FAIL(c, MN_ERR_ARG, "head \"%s\" has %d classes; wanted 1 to %d", o->heads[i].name, o->heads[i].classes,
                            MN__MAX_UNITS);
    }
    return MN_OK;
}

void mn__net_heads(mn_model *m, mn_sym x, const mn_net_opt *o) {
    for (int i = 0; i < o->n_heads; i++) {
        mn_dense_layer head = {.name = o->heads[i].name, .units = o->heads[i].classes};
        mn_model_output(m, mn_layer_dense(m, x, head));
    }
}

/* A clip (T,C,H,W), itself or out of a strip. */
static mn_sym clip_input(mn_model *m, const mn_net_opt *o) {
    if (!o->strip) return mn_model_input(m, "input", MN_SHAPE(o->steps, o->channels, o->height, o->width));
    if (o->channels != 1 || o->height % o->steps)
        return MN__FAIL(
                   m->ctx, MN_ERR_SHAPE,
                   "a strip %d high with %d channels for clips of %d frames; wanted grey frames of one height below each other",
                   o->height, o->channels, o->steps),
               -1;
    mn_sym strip = mn_model_input(m, "input", MN_SHAPE(1, o->height, o->width));
    mn_shape clip = MN_SHAPE(o->steps, 1, o->height / o->steps, o->width);
    return mn_layer_reshape(m, strip, (mn_reshape_layer){.target_shape = clip});
}

/* Of a strip whose size is not all said: frames are squares. */
static void complete_strip(const struct net *net, mn_net_opt *o) {
    if (!o->steps) o->steps = o->height >= o->width && o->width ? o->height / o->width : net->steps;
    if (!o->height) o->height = o->steps * (o->width ? o->width : net->side);
    if (!o->width) o->width = o->height / o->steps;
}

mn_model *mn_net_create(mn_context *c, const char *name, const mn_net_opt *opt) {
    if (!c) return NULL;
    const struct net *net = find(name);
    if (!net) {
        char known[200];
        size_t n = 0;
        for (int i = 0; i < N_NETS && n < sizeof known; i++)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", nets[i].name);
        return MN__FAIL(c, MN_ERR_ARG, "there is no network \"%s\"; wanted one of %s, or the path of a .json file", name, known),
               NULL;
    }
    mn_net_opt o = opt ? *opt : (mn_net_opt){0};
    if (net->steps && o.strip) complete_strip(net, &o);
    if (net->steps && !o.steps) o.steps = net->steps;
    if (mn__net_complete(c, &o, 1, net->side, net->side, &o)) return NULL;
    mn_model *m = mn_model_create(c, net->name);
    mn_sym x = net->steps ? clip_input(m, &o) : mn_model_input(m, "input", MN_SHAPE(o.channels, o.height, o.width));
    net->make(m, x, &o);
    if (mn_model_build(m) == MN_OK) return m;
    mn_error_prefix(&c->error, "network \"%s\" on %dx%d", name, o.width, o.height);
    return NULL;
}
