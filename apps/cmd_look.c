/* mien look: pictures of what is inside a network: first kernels, activations, Grad-CAM, guided backpropagation. */
#include "apps/app.h"
#include "apps/crop.h"
#include "apps/device.h"
#include "apps/evaluate.h"
#include "apps/look_draw.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_LAYERS = 16 };
enum { OPT_LAYER = 256, OPT_CLASS, OPT_CAM, OPT_DETECT, OPT_THREADS, OPT_DEVICE };

typedef struct options {
    const char *word[2], *out, *layer[MOST_LAYERS], *class, *cam; /* model, picture */
    int n_words, n_layers, threads;
    bool detect;
    device_choice device;
} options;

static const struct argp_option table[] = {
    {"out", 'o', "FOLDER", 0, "Where the pictures go (default look)", 1},
    {"layer", OPT_LAYER, "NAME", 0,
     "Draw what this layer computes; may be given several times (default: the first and the last with maps)", 1},
    {"cam", OPT_CAM, "NAME", 0, "The layer of Grad-CAM (default: the last with maps)", 1},
    {"class", OPT_CLASS, "WORD", 0, "What speaks for this class (default: for each head's answer)", 1},
    {"detect", OPT_DETECT, 0, 0, "Cut out the largest face first (needs OpenCV); else the picture is taken whole", 1},
    {"threads", OPT_THREADS, "N", 0, "Processors (default: all)", 2},
    {"device", OPT_DEVICE, "cpu|cuda|auto", 0, DEVICE_DOC, 2},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'o':
        o->out = arg;
        return 0;
    case OPT_LAYER:
        if (o->n_layers == MOST_LAYERS) argp_error(s, "--layer is given more than %d times", MOST_LAYERS);
        o->layer[o->n_layers++] = arg;
        return 0;
    case OPT_CLASS:
        o->class = arg;
        return 0;
    case OPT_CAM:
        o->cam = arg;
        return 0;
    case OPT_DETECT:
        o->detect = true;
        return 0;
    case OPT_THREADS:
        o->threads = (int)app_parse_int(s, "--threads", arg, 0, 1024);
        return 0;
    case OPT_DEVICE:
        o->device = device_parse(s, arg);
        return 0;
    case ARGP_KEY_ARG:
        if (o->n_words == 2) argp_error(s, "\"%s\" is too much; wanted MODEL.h5 and one picture", arg);
        o->word[o->n_words++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->n_words < 1) argp_error(s, "wanted a model, and a picture for all but its kernels: MODEL.h5 [PICTURE]");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Draws the inside of a network into a folder: kernels.png, the first kernels; LAYER.png, what layers compute for the "
    "picture; answers.png, for each answer the picture, where Grad-CAM says that it is seen (orange), and guided backpropagation."
    "\vA warm place says that the answer depends on it, not that the answer is right. docs/look.md says what the pictures "
    "mean.\n\n"
    "Examples:\n"
    "  mien look tiny face.png --out inside\n"
    "  mien look faces.h5 photo.jpg --detect --class happy\n"
    "  mien look faces.h5 face.png --layer conv2d_2 --cam add_1\n";
static const struct argp argp = {table, parse, "MODEL.h5 [PICTURE]", doc, NULL, NULL, NULL};

typedef struct looking {
    const options *o;
    mn_context *c;
    mn_model *m;
    mn_model_info info;
    mn_image picture; /* as the network sees it, 8 bits */
    float *x;
} looking;

static mn_status save(const looking *l, const mn_image *sheet, const char *name, mn_error *err) {
    char *path = app_text("%s/%s.png", l->o->out, name);
    for (char *p = path + strlen(l->o->out) + 1; *p; p++)
        if (*p == '/') *p = '-'; /* names of layers come from files */
    mn_status s = mn_image_save_png(sheet, path, err);
    if (!s) printf("wrote     %s\n", path);
    free(path);
    return s;
}

static mn_status open_model(looking *l, mn_error *err) {
    mn_context_opt opt = {.threads = l->o->threads};
    const char *path = app_model_path(l->o->word[0]);
    if (!(l->c = device_open(l->o->device, &opt, err)) || !(l->m = mn_model_load(l->c, path, &l->info, err))) return err->status;
    return evaluation_fits(l->m, &l->info, path, err);
}

static mn_status cut_face(const looking *l, mn_image *im, mn_error *err) {
    mn_preprocess p = l->info.preprocess;
    mn_image face = {0};
    crop_report report;
    p.detect = true;
    cropper *c = cropper_open(&p, NULL, NULL, err);
    mn_status s = c ? cropper_cut(c, im, &face, &report, err) : err->status;
    if (!s && !report.faces && !report.small) printf("note      no face was found: the picture is taken whole\n");
    cropper_close(c);
    if (s) return mn_image_free(&face), s;
    mn_image_free(im);
    *im = face;
    return MN_OK;
}

static mn_status open_picture(looking *l, mn_error *err) {
    const mn_preprocess *p = &l->info.preprocess;
    mn_image im = {0}, scratch = {0};
    mn_status s = mn_image_load(&im, l->o->word[1], err);
    if (!s && (l->o->detect || p->detect)) s = cut_face(l, &im, err);
    if (!s) s = mn_preprocess_pixels(p, &im, &l->picture, &scratch, err);
    l->x = app_alloc((size_t)(p->channels * p->height * p->width), sizeof *l->x);
    if (!s) s = mn_preprocess_floats(p, &l->picture, l->x, err);
    mn_image_free(&im);
    mn_image_free(&scratch);
    return s;
}

static mn_status kernels(const looking *l, mn_error *err) {
    mn_tensor *w = look_first_kernels(l->m);
    char caption[160], shape[64];
    if (!w) return printf("note      the network has no kernels larger than a pixel\n"), MN_OK;
    mn_image sheet = {0};
    snprintf(caption, sizeof caption, "%s %s", w->name, mn_shape_text(w->shape, shape, sizeof shape));
    mn_status s = look_draw_kernels(w, caption, &sheet, err);
    if (!s) s = save(l, &sheet, "kernels", err);
    mn_image_free(&sheet);
    return s;
}

/* What a layer computed in the last run. */
static mn_status activation(const looking *l, const char *layer, mn_error *err) {
    look_maps maps = {0};
    mn_image sheet = {0};
    char caption[160];
    mn_status s = look_activation(l->m, layer, &maps, err);
    if (!s) snprintf(caption, sizeof caption, "%.100s: %d x %d x %d", layer, maps.channels, maps.height, maps.width);
    if (!s) s = look_draw_maps(&maps, caption, &sheet, err);
    if (!s) s = save(l, &sheet, layer, err);
    look_free(&maps);
    mn_image_free(&sheet);
    return s;
}

static const char *first_maps(const mn_model *m) {
    for (int i = 0; i < mn_model_layers(m); i++) {
        mn_layer_look k = mn_model_look(m, i);
        if (k.n_in && k.shape.ndim == 3 && k.shape.dim[1] * k.shape.dim[2] > 1) return k.name;
    }
    return NULL;
}

static mn_status activations(const looking *l, mn_error *err) {
    const char *usual[2] = {first_maps(l->m), look_last_maps(l->m)};
    const char *const *layer = l->o->n_layers ? l->o->layer : usual;
    int n = l->o->n_layers ? l->o->n_layers : !usual[0] ? 0 : usual[0] == usual[1] ? 1 : 2;
    double p[MN_MAX_CLASSES];
    mn_status s = look_answer(l->m, l->x, 0, 0, p, err);
    for (int k = 0; k < n && !s; k++) s = activation(l, layer[k], err);
    return s;
}

/* The class asked for; -1: the head has none of that name, and is left out. */
static int class_of(const looking *l, int h, const double *p) {
    const mn_head *head = &l->info.head[h];
    int best = 0;
    for (int k = 0; k < head->n_classes; k++) {
        if (l->o->class && !strcmp(head->class_name[k], l->o->class)) return k;
        if (p[k] > p[best]) best = k;
    }
    return l->o->class ? -1 : best;
}

static mn_status answer(const looking *l, int h, look_row *row, int *n, mn_error *err) {
    double p[MN_MAX_CLASSES], x, y;
    const mn_head *head = &l->info.head[h];
    const char *layer = l->o->cam ? l->o->cam : look_last_maps(l->m);
    mn_status s = look_answer(l->m, l->x, h, l->info.calibration[h].temperature, p, err);
    int k = s ? -1 : class_of(l, h, p);
    if (k < 0) return s;
    if (!layer) return mn_fail(err, MN_ERR_ARG, "the network has no layer with maps to look at");
    look_row *r = &row[(*n)++];
    s = look_gradcam(l->m, l->x, h, k, layer, &r->cam, err);
    if (!s) s = look_guided(l->m, l->x, h, k, &r->guided, err);
    if (s) return s;
    look_peak(&r->cam, &x, &y);
    snprintf(r->caption, sizeof r->caption, "%s: %.40s %.1f %%", head->name, head->class_name[k], 100 * p[k]);
    printf("%-9s %.40s %.1f %%, seen most at %.0f %% from the left and %.0f %% from the top (%s)\n", head->name,
           head->class_name[k], 100 * p[k], 100 * x, 100 * y, layer);
    return MN_OK;
}

static mn_status answers(const looking *l, mn_error *err) {
    look_row row[MN_MAX_HEADS];
    mn_image sheet = {0};
    int n = 0;
    memset(row, 0, sizeof row);
    mn_status s = MN_OK;
    for (int h = 0; h < l->info.n_heads && !s; h++) s = answer(l, h, row, &n, err);
    if (!s && !n)
        s = mn_fail(err, MN_ERR_ARG, "--class %s: no head has such a class; `mien info %s` lists them", l->o->class,
                    l->o->word[0]);
    if (!s) s = look_draw_answers(&l->picture, row, n, &sheet, err);
    if (!s) s = save(l, &sheet, "answers", err);
    for (int h = 0; h < MN_MAX_HEADS; h++) look_free(&row[h].cam), look_free(&row[h].guided);
    mn_image_free(&sheet);
    return s;
}

int cmd_look(int argc, char **argv) {
    options o = {.out = "look"};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    looking l = {.o = &o};
    mn_error err = {0};
    mn_status s = open_model(&l, &err);
    if (!s && mkdir(o.out, 0777) && errno != EEXIST)
        s = mn_fail(&err, MN_ERR_IO, "%s: cannot be made: %s", o.out, strerror(errno));
    if (!s) s = kernels(&l, &err);
    if (!s && o.word[1]) s = open_picture(&l, &err);
    if (!s && o.word[1]) s = activations(&l, &err);
    if (!s && o.word[1]) s = answers(&l, &err);
    free(l.x);
    mn_image_free(&l.picture);
    mn_model_info_free(&l.info);
    mn_context_destroy(l.c);
    return s ? app_fail(&err) : APP_OK;
}
