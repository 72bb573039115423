/* The network of a training run: by name, or going on from a model; what its pictures are; which layers learn. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include <fnmatch.h>
#include <string.h>

/* ---- the model ---- */

/* Has the initial model just the heads that are wanted, class by class? */
static bool same_heads(const train_run *r, const mn_model_info *info) {
    if (info->n_heads != r->n_heads) return false;
    for (int h = 0; h < r->n_heads; h++) {
        const mn_head *a = &info->head[h], *b = &r->data.all->head[r->head[h]];
        if (strcmp(a->name, b->name) != 0 || a->n_classes != b->n_classes) return false;
        for (int k = 0; k < a->n_classes; k++)
            if (strcmp(a->class_name[k], b->class_name[k]) != 0) return false;
    }
    return true;
}

static mn_status create_net(train_run *r, const char *net, mn_error *err) {
    mn_net_head heads[MN_MAX_HEADS];
    for (int h = 0; h < r->n_heads; h++) {
        const mn_head *d = &r->data.all->head[r->head[h]];
        heads[h] = (mn_net_head){.name = d->name, .classes = d->n_classes};
    }
    mn_net_opt opt = {.channels = r->o.channels,
                      .height = r->o.height,
                      .width = r->o.width,
                      .heads = heads,
                      .n_heads = r->n_heads,
                      .strip = true};
    r->m = mn_net_open(r->c, net, &opt);
    return r->m ? MN_OK : mn_fail(err, mn_context_error(r->c)->status, "%s", mn_context_error(r->c)->text);
}

/* --init with weights alone: they go where names and shapes agree. */
static mn_status open_weights(train_run *r, mn_error *err) {
    if (!r->o.net)
        return mn_fail(err, MN_ERR_ARG, "--init %s: holds weights alone; hint: say --net NAME or --net FILE.json", r->o.init);
    mn_status s = create_net(r, r->o.net, err);
    int n_all, set = s ? -1 : mn_weights_load(r->m, r->o.init, false, err);
    if (set < 0) return err->status;
    mn_model_parameters(r->m, NULL, &n_all);
    printf("network   %d of %d weights taken from %s\n", set, n_all, r->o.init);
    return set ? MN_OK : mn_fail(err, MN_ERR_SHAPE, "--init %s: none of its weights fits %s", r->o.init, r->o.net);
}

/* --init: the file's network goes on when its heads and --net fit; else its weights go where names and shapes
 * agree. */
static mn_status open_init(train_run *r, mn_error *err) {
    mn_model_info info = {0};
    size_t length = strlen(r->o.init);
    if (length > 12 && !strcmp(r->o.init + length - 12, ".safetensors")) return open_weights(r, err);
    mn_model *from = mn_model_load(r->c, r->o.init, &info, err);
    if (!from) return err->status;
    mn_status s = MN_OK;
    mn_preprocess *p = &info.preprocess;
    bool same_size = (!r->o.channels || r->o.channels == p->channels) && (!r->o.height || r->o.height == p->height) &&
                     (!r->o.width || r->o.width == p->width);
    r->info.preprocess = *p;
    if (!r->o.channels) r->o.channels = p->channels;
    if (!r->o.height) r->o.height = p->height, r->o.width = p->width;
    if (!r->o.net && same_size && same_heads(r, &info)) {
        r->m = from;
        printf("network   goes on from %s\n", r->o.init);
    } else {
        const char *net = r->o.net ? r->o.net : mn_model_name(from);
        if (!r->o.net && !mn_net_describe(net))
            s = mn_fail(err, MN_ERR_ARG,
                        "--init %s: it predicts other things than the data is labelled with, and its network "
                        "\"%s\" is "
                        "not one that mien can build; hint: say --net NAME or --net FILE.json",
                        r->o.init, net);
        if (!s && !(s = create_net(r, net, err))) {
            int n_all, copied = mn_model_copy_matching(r->m, from);
            mn_model_parameters(r->m, NULL, &n_all);
            printf("network   %d of %d weights taken from %s\n", copied, n_all, r->o.init);
            if (copied <= 0) s = mn_fail(err, MN_ERR_SHAPE, "--init %s: none of its weights fits %s", r->o.init, net);
        }
    }
    mn_model_info_free(&info);
    return s;
}

/* ---- its pictures ---- */

/* The pipeline: as said, else as the data was prepared, else the initial model's. */
static mn_status set_pipeline(train_run *r, mn_error *err) {
    mn_preprocess *p = &r->info.preprocess;
    bool prepared;
    mn_status s = data_pipeline(&r->data, p, &prepared, err);
    if (!s && r->o.pipeline) s = mn_pipeline_parse(r->o.pipeline, p, err);
    if (!s) s = data_crop(&r->data, p, err);
    char text[80];
    if (!s && !r->o.quiet && strcmp(mn_pipeline_text(p, text, sizeof text), "none") != 0)
        printf("pipeline  %s%s\n", text, prepared ? " (the data was prepared so)" : "");
    return s;
}

/* A network with a StepMask reads clips: strips of so many frames, or fewer. */
static int steps_of(const mn_model *m) {
    for (int i = 0; i < mn_model_layers(m); i++) {
        mn_layer_look l = mn_model_look(m, i);
        if (!strncmp(l.kind, "StepMask", 8)) return (int)l.shape.dim[0];
    }
    return 0;
}

static mn_status set_preprocess(train_run *r, mn_error *err) {
    mn_preprocess *p = &r->info.preprocess;
    mn_shape in = mn_model_input_shape(r->m, 0);
    if (mn_model_inputs(r->m) != 1 || in.ndim != 3 || (in.dim[0] != 1 && in.dim[0] != 3))
        return mn_fail(err, MN_ERR_SHAPE, "the network must have one input, a picture of 1 or 3 channels");
    if (mn_model_outputs(r->m) != r->n_heads)
        return mn_fail(err, MN_ERR_SHAPE, "the network has %d outputs, the labels ask for %d; hint: --labels",
                       mn_model_outputs(r->m), r->n_heads);
    p->channels = (int)in.dim[0], p->height = (int)in.dim[1], p->width = (int)in.dim[2], p->steps = steps_of(r->m);
    if (p->steps && p->height % p->steps)
        return mn_fail(err, MN_ERR_SHAPE, "the network masks %d steps, its input is %d high; wanted a strip of so many frames",
                       p->steps, p->height);
    if (r->o.grey >= 0) p->grey = (mn_grey)r->o.grey;
    mn_status s = train_check_clips(r, err);
    if (!s) s = set_pipeline(r, err);
    if (s || r->o.normalize == NORMALIZE_KEEP) return s; /* the initial model's, or 0..1 */
    p->lo = p->hi = p->standardize_eps = 0, p->standardize = false;
    memset(p->mean, 0, sizeof p->mean), memset(p->deviation, 0, sizeof p->deviation);
    if (r->o.normalize == NORMALIZE_SIGNED) p->lo = -1, p->hi = 1;
    if (r->o.normalize == NORMALIZE_IMAGE) p->standardize = true, p->standardize_eps = 8;
    return MN_OK;
}

/* ---- what learns ---- */

static mn_status freeze(train_run *r, mn_error *err) {
    for (int k = 0; k < r->o.n_freeze; k++) {
        int n = mn_model_freeze(r->m, r->o.freeze[k], true);
        if (n <= 0)
            return mn_fail(err, MN_ERR_ARG, "--freeze \"%s\" matches no layer; `mien info %s` lists them", r->o.freeze[k],
                           r->o.init ? r->o.init : r->o.net);
        if (!r->o.quiet) printf("frozen    %d layers match \"%s\"\n", n, r->o.freeze[k]);
    }
    return MN_OK;
}

/* The name of the layer that a weight belongs to: "conv2d_1/kernel" -> "conv2d_1". */
static void layer_of(const mn_tensor *w, char out[128]) { snprintf(out, 128, "%.*s", (int)strcspn(w->name, "/"), w->name); }

bool train_layer_matches(const mn_tensor *w, const char *pattern) {
    char layer[128];
    layer_of(w, layer);
    return !fnmatch(pattern, layer, 0);
}

void train_unfreeze(train_run *r) {
    int n, n_all, stages = 0, stage = 0;
    mn_tensor **w = mn_model_parameters(r->m, &n, &n_all);
    if (!r->o.unfreeze_every) return;
    for (int i = 0; i < n; i++) stages += w[i]->shape.ndim > 1; /* a stage begins with a matrix or kernel */
    int64_t closed = stages - r->n_heads - r->epoch / r->o.unfreeze_every;
    for (int i = 0; i < n; i++) {
        stage += w[i]->shape.ndim > 1;
        char layer[128];
        layer_of(w[i], layer);
        mn_model_freeze(r->m, layer, stage <= closed);
    }
    for (int k = 0; k < r->o.n_freeze; k++) mn_model_freeze(r->m, r->o.freeze[k], true);
}

static mn_status set_dropout(train_run *r, mn_error *err) {
    if (r->o.dropout < 0 || mn_model_set_dropout(r->m, r->o.dropout) > 0) return MN_OK;
    return mn_fail(err, MN_ERR_ARG, "--dropout %g: %s has no Dropout layer", r->o.dropout, mn_model_name(r->m));
}

mn_status train_open_net(train_run *r, mn_error *err) {
    mn_status s = r->o.init ? open_init(r, err) : create_net(r, r->o.net ? r->o.net : "seed2", err);
    if (!s) s = set_preprocess(r, err);
    if (!s) s = set_dropout(r, err);
    if (!s) s = freeze(r, err);
    for (int h = 0; h < r->n_heads && !s; h++)
        s = mn_head_copy(&r->info.head[r->info.n_heads++], &r->data.all->head[r->head[h]], err);
    return s;
}
#endif
