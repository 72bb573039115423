/* mien convert: a model file as one of another kind, with a check that both compute the same. */
#include "apps/foreign.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct options {
    const char *in, *out, *net;
    int channels, size;
    foreign foreign;
} options;

enum { OPT_SIZE = 256, OPT_CHANNELS };
static const struct argp_option table[] = {
    {"net", 'n', "NAME|FILE.json", 0, "The network of a .safetensors file, which holds weights alone", 1},
    {"size", OPT_SIZE, "N", 0, "Input size of --net (default: its own)", 1},
    {"channels", OPT_CHANNELS, "1|3", 0, "Input channels of --net (default: its own)", 1},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case ARGP_KEY_INIT:
        s->child_inputs[0] = &o->foreign;
        return 0;
    case 'n':
        o->net = arg;
        return 0;
    case OPT_SIZE:
        o->size = (int)app_parse_int(s, "--size", arg, 8, 1024);
        return 0;
    case OPT_CHANNELS:
        o->channels = app_parse_word(s, "--channels", arg, (const char *[]){"1", "3"}, 2) ? 3 : 1;
        return 0;
    case ARGP_KEY_ARG:
        if (o->out) argp_error(s, "two files, IN and OUT: \"%s\" is too many", arg);
        *(o->in ? &o->out : &o->in) = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->out) argp_error(s, "wanted two files: mien convert IN OUT");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Turns a model file into one of another kind. The endings say which: .h5 (Keras), .onnx, .safetensors (weights "
    "alone). Then the written file is read again, both networks run on the same random input, and the largest "
    "difference is printed; more than 1e-4 is a failure."
    "\vAn .onnx file is checked by its graph, which is what other programs read. Files of other programs do not say "
    "which classes they predict or what numbers they want; what is said here is written into OUT.\n\n"
    "Examples:\n"
    "  mien convert faces.h5 faces.onnx\n"
    "  mien convert resnet.onnx resnet.h5 --class-names emotion:angry,happy,neutral --input-range -1,1\n"
    "  mien convert --net tiny weights.safetensors tiny.h5\n";
static const struct argp_child children[] = {{&foreign_argp, 0, NULL, 8}, {0}};
static const struct argp argp = {table, parse, "IN OUT", doc, children, NULL, NULL};

static bool ends_in(const char *path, const char *extension) {
    size_t n = strlen(path), m = strlen(extension);
    return n > m && !strcasecmp(path + n - m, extension);
}

/* Another ending would be written as HDF5, and its reader would be misled. */
static mn_status check_ending(const char *path, mn_error *err) {
    static const char *const known[] = {".h5", ".hdf5", ".onnx", ".safetensors"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ends_in(path, known[i])) return MN_OK;
    return mn_fail(err, MN_ERR_ARG, "%s: the ending says nothing of the kind; wanted .h5, .hdf5, .onnx or .safetensors%s", path,
                   ends_in(path, ".keras") ? "; hint: Keras 3 loads .h5 files, too" : "");
}

/* ---- what is said on the command line ---- */

/* The file's own words give way to those of the command line. Files of other programs may name no heads: each output is one. */
static mn_status amend(const options *o, const mn_model *m, mn_model_info *info, mn_error *err) {
    const foreign *f = &o->foreign;
    if (f->n_heads > mn_model_outputs(m))
        return mn_fail(err, MN_ERR_ARG, "--class-names is given %d times; the network has %d outputs", f->n_heads,
                       mn_model_outputs(m));
    for (int i = info->n_heads; i < f->n_heads; i++) {
        mn_shape out = mn_model_output_shape(m, i);
        if (out.ndim != 1)
            return mn_fail(err, MN_ERR_ARG, "--class-names: output %d of the network is no list of numbers, so it has no classes",
                           i);
        info->head[i] = (mn_head){.n_classes = (int)out.dim[0]};
        snprintf(info->head[i].name, sizeof info->head[i].name, "output %d", i);
        info->n_heads = i + 1;
    }
    return foreign_apply(f, info, err);
}

/* ---- reading ---- */

static mn_model *from_context(mn_context *c, mn_model *m, mn_error *err) {
    if (!m) mn_fail(err, mn_context_error(c)->status, "%s", mn_context_error(c)->text);
    return m;
}

/* A .safetensors file in the network of --net. */
static mn_model *open_weights(const options *o, mn_context *c, mn_model_info *info, mn_error *err) {
    if (!o->net) return mn_fail(err, MN_ERR_ARG, "%s holds weights alone; hint: --net NAME says of which network", o->in), NULL;
    mn_head head[MN_MAX_HEADS] = {0};
    mn_net_head net[MN_MAX_HEADS];
    mn_status s = MN_OK;
    for (int i = 0; i < o->foreign.n_heads && !s; i++) {
        s = foreign_head(o->foreign.classes[i], NULL, &head[i], err);
        net[i] = (mn_net_head){head[i].name, head[i].n_classes};
    }
    mn_net_opt opt = {.channels = o->channels,
                      .height = o->size,
                      .width = o->size,
                      .heads = o->foreign.n_heads ? net : NULL,
                      .n_heads = o->foreign.n_heads};
    mn_model *m = s ? NULL : from_context(c, mn_net_open(c, o->net, &opt), err);
    for (int i = 0; i < o->foreign.n_heads; i++) mn_head_free(&head[i]);
    if (!m || mn_weights_load(m, o->in, true, err) < 0) return NULL;
    mn_shape in = mn_model_input_shape(m, 0);
    if (in.ndim >= 3) {
        const int64_t *image = in.dim + in.ndim - 3;
        info->preprocess = (mn_preprocess){.channels = (int)image[0], .height = (int)image[1], .width = (int)image[2], .hi = 1};
    }
    return m;
}

/* The written file as a model again: a .safetensors file in a copy of m. */
static mn_model *read_back(const options *o, mn_model *m, mn_context *c, mn_error *err) {
    if (ends_in(o->out, ".safetensors")) {
        char *text = mn_model_to_json(m, err);
        mn_model *copy = text ? from_context(c, mn_model_from_json(c, text, strlen(text), NULL), err) : NULL;
        mn_free(text);
        return copy && mn_weights_load(copy, o->out, true, err) >= 0 ? copy : NULL;
    }
    if (!ends_in(o->out, ".onnx")) return mn_model_load(c, o->out, NULL, err);
    mn_error graph = {0};
    mn_model *again = mn_onnx_load_graph(c, o->out, NULL, &graph);
    if (again || graph.status != MN_ERR_UNSUPPORTED) {
        if (!again) mn_fail(err, graph.status, "%s", graph.text);
        return again;
    }
    printf("note      the graph cannot be read back, mien's description beside it can (%s)\n", graph.text);
    return mn_model_load(c, o->out, NULL, err);
}

/* ---- comparing ---- */

enum { SAMPLES = 4 };

/* Output i of every sample for a random input, the same for every model; free it. */
static double *run(mn_model *m, int i, int64_t *count, mn_error *err) {
    mn_context *c = mn_model_context(m);
    mn_tensor *in[16] = {0};
    int n = mn_model_inputs(m) < 16 ? mn_model_inputs(m) : 16;
    mn_step_begin(c);
    for (int k = 0; k < n; k++) {
        mn_shape s = mn_model_input_shape(m, k), batch = {.ndim = s.ndim + 1, .dim = {SAMPLES}};
        for (int d = 0; d < s.ndim; d++) batch.dim[d + 1] = s.dim[d];
        float *v = app_alloc((size_t)mn_shape_count(batch), sizeof *v);
        mn_rng r = mn_rng_create(1, (uint64_t)k);
        for (int64_t j = 0; j < mn_shape_count(batch); j++) v[j] = (float)mn_rng_uniform(&r, -1, 1);
        in[k] = mn_input(c, batch, v);
        free(v);
    }
    mn_no_grad_begin(c);
    mn_status s = mn_model_forward(m, in, false);
    mn_no_grad_end(c);
    mn_tensor *y = s ? NULL : mn_model_result(m, i);
    double *out = y ? app_alloc((size_t)y->count, sizeof *out) : NULL;
    *count = y ? y->count : 0;
    if (y && mn_get_f64(y, out) == MN_OK) return out;
    free(out);
    return mn_fail(err, mn_context_error(c)->status, "%s", mn_context_error(c)->text), NULL;
}

static mn_status compare(mn_model *a, mn_model *b, mn_error *err) {
    double worst = 0, largest = 0;
    if (mn_model_outputs(a) != mn_model_outputs(b)) return mn_fail(err, MN_ERR_NUMERIC, "the file has another number of outputs");
    for (int i = 0; i < mn_model_outputs(a); i++) {
        int64_t n, m = 0;
        double *x = run(a, i, &n, err), *y = x ? run(b, i, &m, err) : NULL;
        for (int64_t k = 0; y && n == m && k < n; k++) {
            double d = fabs(x[k] - y[k]);
            if (!(d <= worst)) worst = d; /* NaN counts */
            if (fabs(x[k]) > largest) largest = fabs(x[k]);
        }
        free(x), free(y);
        if (!y) return err->status;
        if (n != m) return mn_fail(err, MN_ERR_NUMERIC, "output %d of the file has another size", i);
    }
    printf("checked   on %d random inputs: outputs up to %.3g differ by at most %.2g\n", SAMPLES, largest, worst);
    if (worst <= 1e-4 * (largest > 1 ? largest : 1)) return MN_OK;
    return mn_fail(err, MN_ERR_NUMERIC, "the written file computes something else: the difference is %.3g", worst);
}

static mn_status convert(const options *o, mn_context *c, mn_context *d, mn_model_info *info, mn_error *err) {
    if (check_ending(o->out, err)) return err->status;
    mn_model *m =
        ends_in(o->in, ".safetensors") ? open_weights(o, c, info, err) : mn_model_load(c, app_model_path(o->in), info, err);
    if (!m) return err->status;
    mn_status s = amend(o, m, info, err);
    for (int i = 0; i < info->n_heads && !s; i++)
        if (info->plain[i] && info->head[i].n_classes > 1)
            printf(
                "note      %s: its %d numbers are written as they are, as no softmax ends them; hint: --class-names if they are "
                "logits\n",
                info->head[i].name, info->head[i].n_classes);
    if (!s) s = mn_model_save(m, info, o->out, err);
    if (s) return s;
    printf("wrote     %s: %d layers, %lld parameters\n", o->out, mn_model_layers(m), (long long)mn_model_count(m).parameters);
    mn_model *again = read_back(o, m, d, err);
    return again ? compare(m, again, err) : err->status;
}

int cmd_convert(int argc, char **argv) {
    options o = {0};
    mn_error err = {0};
    mn_model_info info = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    mn_context *c = mn_context_create(NULL, &err), *d = c ? mn_context_create(NULL, &err) : NULL;
    mn_status s = d ? convert(&o, c, d, &info, &err) : err.status;
    mn_model_info_free(&info);
    mn_context_destroy(c);
    mn_context_destroy(d);
    return s ? app_fail(&err) : APP_OK;
}
