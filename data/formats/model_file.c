/* Model files: HDF5 in the layout of Keras 2 (docs/model-files.md). */
#include "data/formats/model_file.h"
#include "data/formats/model_config.h"
#include "data/formats/model_info.h"
#include <string.h>

mn_status mn__model_files_missing(mn_error *err) {
    return mn_fail(err, MN_ERR_UNSUPPORTED,
                   "this mien was built without %s: it has no model files; hint: install %s and build "
                   "again",
                   MN_HAVE_HDF5 ? "JSON" : "HDF5", MN_HAVE_HDF5 ? "libjansson-dev" : "libhdf5-dev");
}

#if MN_HAVE_HDF5 && MN_HAVE_JSON

/* ---- one weight ---- */

/* Moves elements of `size` bytes between our order and Keras's. */
static void reorder(const mn__weight *w, const int32_t *order, size_t size, const char *from, char *to, bool to_keras) {
    for (int64_t i = 0; i < w->t->count; i++) {
        int64_t place = mn__keras_place(w, i, order), a = to_keras ? i : place, b = to_keras ? place : i;
        memcpy(to + (size_t)b * size, from + (size_t)a * size, size);
    }
}

/* Two buffers of the weight's size, in one allocation. */
static char *two_buffers(const mn__weight *w, mn_error *err) {
    char *p = mn_alloc(2 * (size_t)w->t->count * mn_dtype_size(w->t->dtype));
    if (!p) mn_fail(err, MN_ERR_MEMORY, "out of host memory for the weight \"%s\"", w->t->name);
    return p;
}

static mn_status from_context(const mn_tensor *t, mn_status s, mn_error *err) {
    return s == MN_OK ? s : mn_fail(err, s, "%s", t->ctx->error.text);
}

static mn_status put_weight(hid_t group, const mn__weight *w, const int32_t *order, const char *name, mn_error *err) {
    size_t size = mn_dtype_size(w->t->dtype);
    char *ours = two_buffers(w, err), *keras = ours + (size_t)w->t->count * size;
    if (!ours) return MN_ERR_MEMORY;
    mn_status s = from_context(w->t, mn_get(w->t, ours), err);
    if (s == MN_OK) {
        reorder(w, order, size, ours, keras, true);
        s = mn__h5_put_data(group, name, w->t->dtype, mn__keras_shape(w), keras, err);
    }
    mn_free(ours);
    return s;
}

static mn_status get_weight(hid_t group, const mn__weight *w, const int32_t *order, const char *name, mn_error *err) {
    size_t size = mn_dtype_size(w->t->dtype);
    char *keras = two_buffers(w, err), *ours = keras + (size_t)w->t->count * size;
    if (!keras) return MN_ERR_MEMORY;
    mn_status s = mn__h5_get_data(group, name, w->t->dtype, mn__keras_shape(w), keras, err);
    if (s == MN_OK) {
        reorder(w, order, size, keras, ours, false);
        s = from_context(w->t, mn_set(w->t, ours), err);
    }
    mn_free(keras);
    return s;
}

/* ---- writing ---- */

static mn_status add_text(mn__texts *t, const char *text, mn_error *err) {
    char **grown = mn_realloc(t->text, (size_t)t->n * sizeof *grown, (size_t)(t->n + 1) * sizeof *grown);
    if (grown) t->text = grown;
    char *copy = grown ? mn_strdup(text) : NULL;
    if (!copy) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for a list of names");
    t->text[t->n++] = copy;
    return MN_OK;
}

static mn_status put_layer(hid_t weights, const mn__layer *l, const int32_t *order, mn_error *err) {
    hid_t group = mn__h5_group_create(weights, l->name, err);
    if (group < 0) return MN_ERR_MEMORY;
    mn__texts names = {0};
    mn_status s = MN_OK;
    for (int k = 0; k < l->n_weights && s == MN_OK; k++) {
        const mn__weight *w = &l->weight[k];
        char name[MN__H5_MAX_NAME];
        if (w->absent) continue;
        snprintf(name, sizeof name, "%s/%s:0", l->name, w->name);
        s = add_text(&names, name, err);
        if (s == MN_OK) s = put_weight(group, w, order, name, err);
    }
    if (s == MN_OK) s = mn__h5_put_texts(group, "weight_names", &names, err);
    mn__texts_free(&names);
    H5Gclose(group);
    return s;
}

static mn_status put_keras_words(hid_t at, mn_error *err) {
    mn_status s = mn__h5_put_text(at, "keras_version", "2.13.1", err);
    return s ? s : mn__h5_put_text(at, "backend", "tensorflow", err);
}

static mn_status put_weights(hid_t file, const mn_model *m, const mn_model_info *info, mn_error *err) {
    mn__orders orders;
    mn_sym *order;
    int n;
    mn_status s = mn__keras_layer_order(m, info, &order, &n, err);
    if (s == MN_OK) s = mn__orders_create(&orders, m, err);
    if (s) {
        mn_free(order);
        return s;
    }
    hid_t weights = mn__h5_group_create(file, "model_weights", err);
    mn__texts names = {0};
    if (weights < 0) s = MN_ERR_MEMORY;
    for (int i = 0; i < n && s == MN_OK; i++) {
        const mn__layer *l = m->layer[order[i]];
        s = add_text(&names, l->name, err);
        if (s == MN_OK) s = put_layer(weights, l, l->n_in ? orders.order[l->in[0]] : NULL, err);
    }
    if (s == MN_OK) s = mn__h5_put_texts(weights, "layer_names", &names, err);
    if (s == MN_OK) s = put_keras_words(weights, err);
    if (weights >= 0) H5Gclose(weights);
    mn__texts_free(&names);
    mn__orders_free(&orders);
    mn_free(order);
    return s;
}

static mn_status put_info(hid_t file, const mn_model_info *info, mn_error *err) {
    mn_status s = mn__h5_put_int(file, "mien_version", MN__FILE_VERSION, err);
    char *text = s == MN_OK && info ? mn__info_write(info, err) : NULL;
    if (s == MN_OK && info) s = text ? mn__h5_put_text(file, "mien_info", text, err) : err->status;
    mn_free(text);
    if (s == MN_OK && info && info->training) s = mn__h5_put_text(file, "mien_training", info->training, err);
    if (s == MN_OK && info && info->tests) s = mn__h5_put_text(file, "mien_tests", info->tests, err);
    if (s == MN_OK && info && info->card) s = mn__h5_put_text(file, "mien_card", info->card, err);
    return s;
}

mn_status mn__model_put(hid_t file, mn_model *m, const mn_model_info *info, mn_error *err) {
    if (m->status || !m->built) return mn_fail(err, MN_ERR_ARG, "the model \"%s\" is not built: it cannot be saved", m->name);
    if (m->folded)
        return mn_fail(err, MN_ERR_ARG,
                       "the model \"%s\" has its batch normalisation folded away: it cannot be saved as it was; "
                       "hint: save before folding",
                       m->name);
    char *config = mn__config_write(m, info, err);
    mn_status s = config ? mn__h5_put_text(file, "model_config", config, err) : MN_ERR_MEMORY;
    mn_free(config);
    if (s == MN_OK) s = put_keras_words(file, err);
    if (s == MN_OK) s = put_info(file, info, err);
    return s ? s : put_weights(file, m, info, err);
}

mn_status mn__h5_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    mn__h5_begin();
    hid_t file = mn__h5_create(e);
    mn_status s = file < 0 ? MN_ERR_MEMORY : mn__model_put(file, m, info, e);
    if (s == MN_OK)
        s = mn__h5_store(file, path, e);
    else if (file >= 0)
        H5Fclose(file);
    mn__h5_end();
    return s;
}

/* ---- reading ---- */

static int weights_of(const mn__layer *l) {
    int n = 0;
    for (int k = 0; k < l->n_weights; k++) n += !l->weight[k].absent;
    return n;
}

/* The group of a layer's weights and the names in it. One of a model inside the model, OUTER.INNER, has them in OUTER's group. */
static hid_t open_group(hid_t weights, const char *layer, mn__texts *names, bool *inside, mn_error *err) {
    enum { MOST = 64, MOST_INSIDE = 4096 };
    char outer[MN__MAX_NAME + 1];
    *inside = strchr(layer, '.') && !mn__h5_has_group(weights, layer);
    snprintf(outer, sizeof outer, "%.*s", *inside ? (int)strcspn(layer, ".") : MN__MAX_NAME, layer);
    hid_t group = mn__h5_group_open(weights, outer, err);
    if (group < 0 || mn__h5_get_texts(group, "weight_names", *inside ? MOST_INSIDE : MOST, names, err) == MN_OK) return group;
    H5Gclose(group);
    return -1;
}

/* Does the layer's name, a.b.c, end in the path dir[0..n): "c", "b/c" or "a/b/c"? */
static bool ends_in(const char *layer, const char *dir, size_t n) {
    size_t all = strlen(layer);
    if (n == 0 || n > all || (n < all && layer[all - n - 1] != '.')) return false;
    for (size_t i = 0; i < n; i++)
        if (layer[all - n + i] != (dir[i] == '/' ? '.' : dir[i])) return false;
    return true;
}

/* Among the names of all weights of a model, PATH/WORD or PATH/CELL/WORD, with or without ":0": the one whose path says most of
 * the layer's name. Keras 2 gives the layer alone, Keras 3 the models around it, too. NULL: none. */
static const char *find_name(const mn__texts *names, const char *layer, const char *word) {
    const char *best = NULL;
    size_t n = strlen(word), longest = 0;
    for (int i = 0; i < names->n; i++) {
        const char *name = names->text[i], *last = strrchr(name, '/');
        if (!last || strncmp(last + 1, word, n) != 0 || (last[1 + n] && last[1 + n] != ':')) continue;
        size_t path = (size_t)(last - name), cell = path;
        while (cell && name[cell - 1] != '/') cell--;
        if (!ends_in(layer, name, path)) path = cell && ends_in(layer, name, cell - 1) ? cell - 1 : 0;
        if (path > longest) longest = path, best = name;
    }
    return best;
}

/* Checks (set: false) or reads (set: true) the weights of one layer. */
static mn_status layer_weights(hid_t weights, const mn__layer *l, const int32_t *order, bool set, mn_error *err) {
    int wanted = weights_of(l);
    if (!wanted) return MN_OK;
    mn__texts names = {0};
    bool inside;
    hid_t group = open_group(weights, l->name, &names, &inside, err);
    mn_status s = group < 0 ? err->status : MN_OK;
    if (s == MN_OK && !inside && names.n != wanted)
        s = mn_fail(err, MN_ERR_FORMAT, "the file has %d weights; wanted %d", names.n, wanted);
    for (int k = 0, n = 0; k < l->n_weights && s == MN_OK; k++) {
        const mn__weight *w = &l->weight[k];
        if (w->absent) continue;
        const char *name = inside ? find_name(&names, l->name, w->name) : names.text[n++];
        mn_shape is, want = mn__keras_shape(w);
        char a[64], b[64];
        if (!name) {
            s = mn_fail(err, MN_ERR_FORMAT, "the weight \"%s\" is missing", w->name);
        } else if (set) {
            s = get_weight(group, w, order, name, err);
        } else if ((s = mn__h5_data_shape(group, name, &is, err)) == MN_OK && !mn_shape_equal(is, want)) {
            s = mn_fail(err, MN_ERR_SHAPE, "the weight \"%s\" is %s in the file; wanted %s", w->name,
                        mn_shape_text(is, a, sizeof a), mn_shape_text(want, b, sizeof b));
        }
    }
    if (group >= 0) H5Gclose(group);
    mn__texts_free(&names);
    if (s) mn_error_prefix(err, "%s \"%s\"", l->class->name, l->name);
    return s;
}

mn_status mn__model_get_weights(hid_t file, mn_model *m, mn_error *err) {
    mn__orders orders;
    mn_status s = mn__orders_create(&orders, m, err);
    if (s) return s;
    hid_t weights = mn__h5_has_group(file, "model_weights") ? mn__h5_group_open(file, "model_weights", err)
                                                            : H5Gopen2(file, "/", H5P_DEFAULT);
    if (weights < 0) s = mn_fail(err, MN_ERR_FORMAT, "the group \"model_weights\" is missing");
    for (int set = 0; set < 2; set++)
        for (int i = 0; i < m->n_layers && s == MN_OK; i++) {
            const mn__layer *l = m->layer[i];
            s = layer_weights(weights, l, l->n_in ? orders.order[l->in[0]] : NULL, set, err);
        }
    if (weights >= 0) H5Gclose(weights);
    mn__orders_free(&orders);
    return s;
}

static mn_status optional_text(hid_t file, const char *name, char **out, mn_error *err) {
    return mn__h5_has_attr(file, name) ? mn__h5_get_text(file, name, out, err) : MN_OK;
}

mn_status mn__model_get_info(hid_t file, const mn_model *m, mn_model_info *info, mn_error *err) {
    *info = (mn_model_info){0};
    int64_t version = 0;
    char *text = NULL;
    if (!mn__h5_has_attr(file, "mien_version") || !mn__h5_has_attr(file, "mien_info")) return mn__info_default(m, info, err);
    mn_status s = mn__h5_get_int(file, "mien_version", &version, err);
    if (s == MN_OK) s = mn__h5_get_text(file, "mien_info", &text, err);
    if (s == MN_OK) s = mn__info_read(text, m, info, err);
    mn_free(text);
    if (s == MN_OK) s = optional_text(file, "mien_training", &info->training, err);
    if (s == MN_OK) s = optional_text(file, "mien_tests", &info->tests, err);
    if (s == MN_OK) s = optional_text(file, "mien_card", &info->card, err);
    if (s) mn_model_info_free(info);
    return s;
}

static mn_status check_version(hid_t file, mn_error *err) {
    int64_t version = 0;
    if (!mn__h5_has_attr(file, "mien_version")) return MN_OK;
    if (mn__h5_get_int(file, "mien_version", &version, err)) return MN_ERR_FORMAT;
    if (version >= 1 && version <= MN__FILE_VERSION) return MN_OK;
    return mn_fail(err, MN_ERR_UNSUPPORTED, "the file has version %lld, this mien knows versions 1 to %d; hint: a newer mien",
                   (long long)version, MN__FILE_VERSION);
}

/* The weights cannot be larger than the file that holds them: so says this before they are allocated. */
static mn_status check_claim(const mn_model *m, size_t file_size, mn_error *err) {
    enum { PACKED = 64 }; /* compressed files may hold that many times their size */
    mn_model_stats s = mn_model_count(m);
    if ((double)s.parameters * 4 <= (double)file_size * PACKED) return MN_OK;
    return mn_fail(err, MN_ERR_FORMAT, "the network has %lld parameters, which do not fit into a file of %zu bytes",
                   (long long)s.parameters, file_size);
}

mn_model *mn__model_read(mn_context *c, hid_t file, size_t size, mn_model_info *info, mn_error *err) {
    char *config = NULL;
    *info = (mn_model_info){0};
    if (check_version(file, err)) return NULL;
    if (!mn__h5_has_attr(file, "model_config"))
        return mn_fail(err, MN_ERR_FORMAT, "there is no model_config: these are weights alone; hint: save the whole model"), NULL;
    mn_model *m = mn__h5_get_text(file, "model_config", &config, err) == MN_OK ? mn__config_read(c, config, err) : NULL;
    mn_free(config);
    if (!m || check_claim(m, size, err)) return NULL;
    if (mn_model_build(m)) return mn_fail(err, c->error.status, "%s", c->error.text), NULL;
    if (mn__model_get_weights(file, m, err) || mn__model_get_info(file, m, info, err)) return NULL;
    return m;
}

mn_model *mn__h5_load(mn_context *c, const char *path, mn_model_info *info, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    mn_model_info unused;
    if (!c) return NULL;
    if (c->error.status) return mn_fail(e, c->error.status, "%s", c->error.text), NULL;
    *(info ? info : &unused) = (mn_model_info){0};
    mn__h5_begin();
    size_t size = 0;
    hid_t file = mn__h5_open(path, &size, e);
    mn_model *m = file < 0 ? NULL : mn__model_read(c, file, size, info ? info : &unused, e);
    if (file >= 0 && !m) mn_error_prefix(e, "%s", path);
    if (file >= 0) H5Fclose(file);
    mn__h5_end();
    if (!info) mn_model_info_free(&unused);
    if (!m) mn_error_clear(&c->error); /* the sentence is the caller's; the context goes on */
    return m;
}

#else

mn_status mn__h5_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err) {
    (void)m, (void)info, (void)path;
    return mn__model_files_missing(err);
}
mn_model *mn__h5_load(mn_context *c, const char *path, mn_model_info *info, mn_error *err) {
    (void)c, (void)path, (void)info;
    mn__model_files_missing(err);
    return NULL;
}
#endif
