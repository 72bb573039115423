/* What a model file says beside the network: preprocessing, heads and class names, as JSON text. */
#include "data/formats/model_info.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void mn_head_free(mn_head *h) {
    for (int i = 0; h->class_name && i < h->n_classes; i++) mn_free(h->class_name[i]);
    mn_free(h->class_name);
    *h = (mn_head){0};
}

/* A head of n classes without names yet. */
static mn_status make_head(mn_head *h, const char *name, int n, mn_error *err) {
    *h = (mn_head){.n_classes = n, .class_name = mn_alloc_zero((size_t)n + 1, sizeof *h->class_name)};
    snprintf(h->name, sizeof h->name, "%s", name);
    return h->class_name ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "out of host memory for class names");
}

mn_status mn_head_copy(mn_head *to, const mn_head *from, mn_error *err) {
    mn_status s = make_head(to, from->name, from->n_classes, err);
    for (int i = 0; i < from->n_classes && s == MN_OK && from->class_name; i++)
        if (from->class_name[i] && !(to->class_name[i] = mn_strdup(from->class_name[i])))
            s = mn_fail(err, MN_ERR_MEMORY, "out of host memory for class names");
    if (s) mn_head_free(to);
    return s;
}

void mn_model_info_free(mn_model_info *info) {
    if (!info) return;
    for (int i = 0; i < info->n_heads; i++) mn_head_free(&info->head[i]);
    mn_free(info->training);
    mn_free(info->tests);
    mn_free(info->card);
    *info = (mn_model_info){0};
}

bool mn__ends_in_softmax(const mn_model *m, const mn_model_info *info, mn_sym x) {
    for (int i = 0; i < m->n_outputs && info; i++)
        if (m->output[i] == x) return i < info->n_heads && info->head[i].n_classes > 1 && !info->plain[i];
    return false;
}

mn_status mn__info_default(const mn_model *m, mn_model_info *info, mn_error *err) {
    mn_shape s = mn_model_input_shape(m, 0);
    const int64_t *image = s.dim + (s.ndim > 3); /* of a picture, or of a frame of a clip */
    if (s.ndim >= 3)
        info->preprocess = (mn_preprocess){.channels = (int)image[0], .height = (int)image[1], .width = (int)image[2], .hi = 1};
    mn_status status = MN_OK;
    for (int i = 0; i < mn_model_outputs(m) && i < MN_MAX_HEADS && status == MN_OK; i++) {
        mn_shape out = mn_model_output_shape(m, i);
        if (out.ndim != 1 || out.dim[0] > MN_MAX_CLASSES) break;
        info->plain[i] = !m->layer[m->output[i]]->softmax;
        mn_head *h = &info->head[info->n_heads++];
        status = make_head(h, mn_model_output_name(m, i), (int)out.dim[0], err);
        for (int k = 0; k < h->n_classes && status == MN_OK; k++) {
            char number[16];
            snprintf(number, sizeof number, "%d", k);
            if (!(h->class_name[k] = mn_strdup(number)))
                status = mn_fail(err, MN_ERR_MEMORY, "out of host memory for class names");
        }
    }
    if (status) mn_model_info_free(info);
    return status;
}

#if MN_HAVE_JSON

/* ---- writing ---- */

static json_t *head_json(const mn_head *h, const mn_calibration *c, bool plain) {
    json_t *classes = json_array();
    char number[16];
    for (int k = 0; k < h->n_classes; k++) {
        snprintf(number, sizeof number, "%d", k);
        const char *name = h->class_name && h->class_name[k] ? h->class_name[k] : number;
        json_array_append_new(classes, json_stringn(name, strlen(name)));
    }
    json_t *j = json_pack("{s:s,s:o}", "name", h->name, "classes", classes);
    if (c->temperature != 0) json_object_set_new(j, "temperature", json_real(c->temperature));
    if (c->unsure != 0) json_object_set_new(j, "unsure", json_real(c->unsure));
    if (plain) json_object_set_new(j, "plain", json_true());
    return j;
}

char *mn__info_write(const mn_model_info *info, mn_error *err) {
    const mn_preprocess *p = &info->preprocess;
    json_t *heads = json_array();
    bool ok = true;
    for (int i = 0; i < info->n_heads; i++)
        ok &= !json_array_append_new(heads, head_json(&info->head[i], &info->calibration[i], info->plain[i]));
    char steps[80];
    json_t *root = json_pack("{s:{s:s,s:i,s:i,s:i,s:s,s:[f,f],s:[f,f,f],s:[f,f,f],s:b,s:f},s:o}", "preprocess", "pipeline",
                             mn_pipeline_text(p, steps, sizeof steps), "channels", p->channels, "height", p->height, "width",
                             p->width, "grey", p->grey == MN_GREY_MEAN ? "mean" : "bt601", "range", p->lo, p->hi, "mean",
                             p->mean[0], p->mean[1], p->mean[2], "deviation", p->deviation[0], p->deviation[1], p->deviation[2],
                             "standardize", (int)p->standardize, "standardize_eps", p->standardize_eps, "heads", heads);
    if (p->steps) json_object_set_new(json_object_get(root, "preprocess"), "steps", json_integer(p->steps));
    char *dump = ok && root ? json_dumps(root, JSON_COMPACT) : NULL, *text = dump ? mn_strdup(dump) : NULL;
    bool memory = dump && !text;
    free(dump);
    json_decref(root);
    if (memory) mn_fail(err, MN_ERR_MEMORY, "out of host memory for the model's JSON");
    if (!text)
        mn_fail(err, MN_ERR_ARG,
                "the model's preprocessing, heads and class names cannot be stored: a number that is not "
                "finite, a name that is not UTF-8, or no memory");
    return text;
}

/* ---- reading ---- */

static mn_status bad(mn_error *err, const char *what) {
    return mn_fail(err, MN_ERR_FORMAT, "mien_info: \"%s\" is missing or wrong", what);
}

static mn_status get_int(json_t *o, const char *key, int hi, int *out, mn_error *err) {
    json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > hi) return bad(err, key);
    *out = (int)json_integer_value(v);
    return MN_OK;
}

static mn_status get_reals(json_t *o, const char *key, int n, double *out, mn_error *err) {
    json_t *v = json_object_get(o, key);
    if (!json_is_array(v) || json_array_size(v) != (size_t)n) return bad(err, key);
    for (int i = 0; i < n; i++) {
        json_t *x = json_array_get(v, (size_t)i);
        if (!json_is_number(x) || !isfinite(json_number_value(x))) return bad(err, key);
        out[i] = json_number_value(x);
    }
    return MN_OK;
}

static mn_status read_preprocess(json_t *o, mn_preprocess *p, mn_error *err) {
    double range[2];
    const char *grey = json_string_value(json_object_get(o, "grey"));
    json_t *standardize = json_object_get(o, "standardize"), *eps = json_object_get(o, "standardize_eps");
    if (get_int(o, "channels", 64, &p->channels, err) || get_int(o, "height", 32768, &p->height, err) ||
        get_int(o, "width", 32768, &p->width, err) || get_reals(o, "range", 2, range, err) ||
        get_reals(o, "mean", 3, p->mean, err) || get_reals(o, "deviation", 3, p->deviation, err))
        return MN_ERR_FORMAT;
    if (!grey || (strcmp(grey, "mean") && strcmp(grey, "bt601"))) return bad(err, "grey");
    if (!json_is_boolean(standardize) || !json_is_number(eps)) return bad(err, "standardize");
    p->grey = strcmp(grey, "mean") ? MN_GREY_BT601 : MN_GREY_MEAN;
    p->lo = range[0], p->hi = range[1];
    p->standardize = json_is_true(standardize), p->standardize_eps = json_number_value(eps);
    json_t *steps = json_object_get(o, "pipeline"); /* files of older versions have none */
    if (steps && (!json_is_string(steps) || mn_pipeline_parse(json_string_value(steps), p, err))) return bad(err, "pipeline");
    if (json_object_get(o, "steps") && (get_int(o, "steps", 32768, &p->steps, err) || p->height % p->steps))
        return bad(err, "steps");
    return MN_OK;
}

static mn_status read_head(json_t *o, mn_head *h, mn_error *err) {
    const char *name = json_string_value(json_object_get(o, "name"));
    json_t *classes = json_object_get(o, "classes");
    size_t n = json_array_size(classes);
    if (!name || strlen(name) >= sizeof h->name || n < 1 || n > MN_MAX_CLASSES) return bad(err, "heads");
    mn_status s = make_head(h, name, (int)n, err);
    for (size_t k = 0; k < n && s == MN_OK; k++) {
        const char *text = json_string_value(json_array_get(classes, k));
        if (!text)
            s = bad(err, "classes");
        else if (!(h->class_name[k] = mn_strdup(text)))
            s = mn_fail(err, MN_ERR_MEMORY, "out of host memory for class names");
    }
    return s;
}

/* Files without these numbers are older, or of models whose answers are given as they are. */
static mn_status read_calibration(json_t *o, mn_calibration *c, mn_error *err) {
    json_t *t = json_object_get(o, "temperature"), *u = json_object_get(o, "unsure");
    c->temperature = json_number_value(t), c->unsure = json_number_value(u);
    if (t && !(json_is_number(t) && c->temperature >= 1e-3 && c->temperature <= 1e3)) return bad(err, "temperature");
    if (u && !(json_is_number(u) && c->unsure >= 0 && c->unsure <= 1)) return bad(err, "unsure");
    return MN_OK;
}

static mn_status check_against(const mn_model *m, const mn_model_info *info, mn_error *err) {
    mn_shape in = mn_model_input_shape(m, 0);
    const mn_preprocess *p = &info->preprocess;
    if (info->n_heads > mn_model_outputs(m))
        return mn_fail(err, MN_ERR_FORMAT, "mien_info: %d heads for a network of %d outputs", info->n_heads, mn_model_outputs(m));
    for (int i = 0; i < info->n_heads; i++) {
        mn_shape out = mn_model_output_shape(m, i);
        if (out.ndim != 1 || out.dim[0] != info->head[i].n_classes)
            return mn_fail(err, MN_ERR_FORMAT, "mien_info: head \"%s\" has %d classes, the network's output another number",
                           info->head[i].name, info->head[i].n_classes);
    }
    const int64_t *image = in.dim + (in.ndim > 3);
    if (p->channels && in.ndim >= 3 && (p->channels != image[0] || p->height != image[1] || p->width != image[2]))
        return mn_fail(err, MN_ERR_FORMAT,
                       "mien_info: the preprocessing gives %dx%d with %d channels, the network wants another "
                       "size",
                       p->width, p->height, p->channels);
    return MN_OK;
}

mn_status mn__info_read(const char *text, const mn_model *m, mn_model_info *info, mn_error *err) {
    json_t *root = mn__json_parse("mien_info", text, strlen(text), err);
    if (!root) return err ? err->status : MN_ERR_FORMAT;
    json_t *heads = json_object_get(root, "heads");
    mn_status s = read_preprocess(json_object_get(root, "preprocess"), &info->preprocess, err);
    if (s == MN_OK && (!json_is_array(heads) || json_array_size(heads) > MN_MAX_HEADS)) s = bad(err, "heads");
    for (size_t i = 0; s == MN_OK && i < json_array_size(heads); i++) {
        s = read_calibration(json_array_get(heads, i), &info->calibration[i], err);
        info->plain[i] = json_is_true(json_object_get(json_array_get(heads, i), "plain"));
        if (s == MN_OK) s = read_head(json_array_get(heads, i), &info->head[info->n_heads++], err);
    }
    json_decref(root);
    if (s == MN_OK) s = check_against(m, info, err);
    if (s) mn_model_info_free(info);
    return s;
}
#endif
