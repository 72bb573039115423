/* Keras's model files, well formed as HDF5: the bytes choose what is in one. fuzz_model changes bytes of the HDF5 itself.
 *
 * The input is the text of model_config, a zero, the text of mien_info, a zero, and a recipe: a byte for each thing that is
 * written, 0 for "as it should be", which is also what follows the recipe's end. Weights have the shapes that the network wants.
 * Half of the mutations are of the JSON's tree, half of the bytes. What can be read is run, written, and read again. Files are
 * in memory, and without the trial reading in a child process: libhdf5 wrote them itself. */
#include "tests/fuzz/fuzz.h"
#include "data/formats/model_config.h"
#include "data/formats/model_file.h"
#include "tests/fuzz/json_tree.h"
#include "tests/fuzz/keras_seeds.h"
#include <math.h>
#include <stdio.h>

/* ---- the recipe ---- */

static const uint8_t *recipe, *recipe_end;
static unsigned take(void) { return recipe < recipe_end ? *recipe++ : 0; }

/* ---- data sets ---- */

enum { ROOM = 1 << 14 }; /* numbers of the largest weight that is written */
static double numbers[ROOM];

static hid_t odd_type(unsigned which) {
    hid_t t = -1, base[] = {H5T_STD_I32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_C_S1, H5T_STD_U8LE, H5T_STD_REF_OBJ, H5T_STD_B8LE};
    if (which < COUNT(base)) return H5Tcopy(base[which]);
    if (which == 7) return H5Tvlen_create(H5T_IEEE_F32LE);
    if (which == 8) return H5Tarray_create2(H5T_IEEE_F32LE, 1, (hsize_t[]){3});
    if (which == 9 && (t = H5Tcreate(H5T_COMPOUND, 8)) >= 0) H5Tinsert(t, "x", 4, H5T_IEEE_F32LE);
    if (which == 10 && (t = H5Tcreate(H5T_OPAQUE, 5)) >= 0) H5Tset_tag(t, "o");
    if (t >= 0) return t;
    t = H5Tcopy(H5T_IEEE_F32LE); /* half precision */
    H5Tset_fields(t, 15, 10, 5, 0, 10);
    H5Tset_size(t, 2);
    H5Tset_ebias(t, 15);
    return t;
}

/* A shape that the reader did not ask for. Sizes without end are claimed, not stored. */
static void odd_shape(unsigned which, hsize_t dim[8], int *ndim) {
    hsize_t first = dim[0];
    int last = *ndim - 1;
    if (which == 0) dim[0]++;
    if (which == 1) dim[(*ndim)++] = 1;
    if (which == 2) dim[0] = dim[last], dim[last] = first;
    if (which == 3) dim[last] = (hsize_t)1 << take() % 63;
    if (which == 4) dim[0] = 0;
    if (which == 5) *ndim = 0;
    if (which == 6)
        for (*ndim = 7, last = 0; last < 7; last++) dim[last] = 1;
    if (which == 7) dim[last] += UINT64_C(1) << 32;
    if (which == 8) dim[0] = UINT32_MAX, dim[last] = UINT32_MAX;
}

static void odd_place(unsigned which, hid_t make, hid_t use, const hsize_t *dim, int ndim) {
    hsize_t chunk[8];
    for (int i = 0; i < ndim; i++) chunk[i] = dim[i] < 4 ? dim[i] + !dim[i] : 3;
    if (which == 0) H5Pset_layout(make, H5D_COMPACT);
    if (which >= 1 && which <= 4 && ndim) H5Pset_chunk(make, ndim, chunk);
    if (which == 2) H5Pset_shuffle(make), H5Pset_deflate(make, 5);
    if (which == 3) H5Pset_fletcher32(make);
    if (which == 4) H5Pset_fill_value(make, H5T_NATIVE_DOUBLE, &(double){NAN});
    if (which == 5) H5Pset_external(make, "/dev/zero", 0, H5F_UNLIMITED);
    if (which == 6) H5Pset_layout(make, H5D_VIRTUAL);
    if (which == 7) H5Pset_char_encoding(use, H5T_CSET_UTF8);
}

static void put_data(hid_t at, const char *name, mn_shape want) {
    unsigned op = take();
    hsize_t dim[8] = {0}, count = 1;
    int ndim = want.ndim;
    for (int i = 0; i < ndim; i++) dim[i] = (hsize_t)want.dim[i];
    unsigned value = op / 4 % 64; /* 0: as it should be */
    bool fill = !(value >= 50);
    if (value == 49) return;
    if (op % 4 == 2) odd_shape(value % 9, dim, &ndim);
    for (int i = 0; i < ndim; i++) count = dim[i] && count > ROOM / dim[i] ? ROOM + 1 : count * dim[i];
    hid_t type = op % 4 == 1 ? odd_type(value % 12) : H5Tcopy(H5T_IEEE_F32LE);
    hid_t space = op == 255 ? H5Screate(H5S_NULL) : ndim ? H5Screate_simple(ndim, dim, NULL) : H5Screate(H5S_SCALAR);
    hid_t make = H5Pcreate(H5P_DATASET_CREATE), use = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(use, 1);
    if (op % 4 == 3)
        odd_place(value % 8, make, use, dim, ndim);
    else if (count > ROOM && ndim)
        odd_place(1, make, use, dim, ndim);
    hid_t d = H5Dcreate2(at, name, type, space, use, make, H5P_DEFAULT);
    if (value == 48) numbers[0] = NAN, numbers[1] = -INFINITY;
    if (d >= 0 && fill && count <= ROOM && H5Tget_class(type) <= H5T_FLOAT)
        H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers);
    numbers[0] = numbers[1] = 0.25;
    if (d >= 0) H5Dclose(d);
    H5Pclose(use), H5Pclose(make);
    if (space >= 0) H5Sclose(space);
    H5Tclose(type);
}

/* ---- names and texts ---- */

/* Texts as an attribute, in one of the ways there are. */
static void put_texts(hid_t at, const char *name, const char *const *text, int n) {
    unsigned op = take();
    size_t longest = 1, i;
    hsize_t dim[2] = {(hsize_t)n, 1};
    char piece[80];
    for (i = 0; i < (size_t)n; i++) longest = strlen(text[i]) > longest ? strlen(text[i]) : longest;
    if (op == 1) return;
    if (op == 2) dim[0] = 100000, longest = 1, n = 0;
    bool variable = op >= 3 && op < 8;
    hid_t type = H5Tcopy(op == 8 ? H5T_STD_I64LE : H5T_C_S1);
    if (op != 8) H5Tset_size(type, variable ? H5T_VARIABLE : longest);
    if (op == 9) H5Tset_strpad(type, H5T_STR_SPACEPAD);
    if (op == 10) H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t space = op == 11             ? H5Screate(H5S_NULL)
                  : n == 1 && (op & 1) ? H5Screate(H5S_SCALAR)
                                       : H5Screate_simple(op == 4 ? 2 : 1, dim, NULL);
    snprintf(piece, sizeof piece, "%s%s", name, op == 12 || op == 6 ? "0" : "");
    hid_t a = H5Acreate2(at, piece, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (a >= 0 && n && variable && op != 7) { /* 7, 8: never written */
        H5Awrite(a, type, text);
    } else if (a >= 0 && n && !variable && op != 8 && op != 11) {
        char *all = calloc((size_t)n + 1, longest);
        for (i = 0; i < (size_t)n; i++) memcpy(all + i * longest, text[i], strlen(text[i]));
        H5Awrite(a, type, all);
        free(all);
    }
    if (a >= 0) H5Aclose(a);
    H5Sclose(space), H5Tclose(type);
}

static void put_version(hid_t at) {
    static const int64_t value[] = {1, 2, 0, -1, INT64_MAX, INT64_MIN};
    hid_t type[] = {H5T_STD_I64LE, H5T_STD_U8LE, H5T_STD_U64BE, H5T_IEEE_F32LE, H5T_C_S1};
    unsigned op = take();
    if (op == 255) return;
    hid_t space = op >= 200 ? H5Screate_simple(1, (hsize_t[]){op - 199}, NULL) : H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(at, "mien_version", type[op / 8 % COUNT(type)], space, H5P_DEFAULT, H5P_DEFAULT);
    int64_t many[64] = {value[op % 8 % COUNT(value)]};
    if (a >= 0) H5Awrite(a, H5T_NATIVE_INT64, many), H5Aclose(a);
    H5Sclose(space);
}

/* What stands in the place of a name of a weight. */
static const char *odd_name(unsigned op, const char *name, char *buf, size_t size) {
    static const char *const other[] = {"/",        ".",        "..",     "",     "a//b", "/model_weights", "model_weights",
                                        "kernel:0", "\xff\xfe", "x/../y", "loop", "away"};
    if (op == 0 || op > 100) return name;
    if (op <= COUNT(other)) return other[op - 1];
    snprintf(buf, size, "%s", name);
    if (op == 50) buf[strcspn(buf, ":")] = 0;
    if (op == 51) memset(buf, 'n', size - 1);
    if (op == 52) buf[strlen(buf) / 2] = '/';
    return buf;
}

/* ---- the file ---- */

/* The weights of all layers whose name has this beginning, in one group: one layer, or a model inside the model. */
static void put_group(hid_t weights, mn_model *m, int from, size_t outer) {
    enum { MOST = 64, LENGTH = 600 };
    static char store[MOST][LENGTH];
    const char *list[MOST], *first = m->layer[from]->name;
    char group_name[MN__MAX_NAME + 2], path[LENGTH];
    unsigned op = take();
    int n = 0;
    snprintf(group_name, sizeof group_name, "%.*s", (int)outer, first);
    if (op == 1) return;
    if (op == 2) H5Lcreate_soft("/model_weights", weights, group_name, H5P_DEFAULT, H5P_DEFAULT);
    if (op == 3) H5Lcreate_external("/dev/null", "/", weights, group_name, H5P_DEFAULT, H5P_DEFAULT);
    if (op == 4) H5Lcreate_hard(weights, ".", weights, group_name, H5P_DEFAULT, H5P_DEFAULT);
    hid_t use = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(use, 1);
    hid_t group = H5Gcreate2(weights, group_name, use, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(use);
    if (group < 0) return;
    if (op == 5) H5Lcreate_hard(group, ".", group, "loop", H5P_DEFAULT, H5P_DEFAULT);
    if (op == 6) H5Lcreate_soft("loop2", group, "loop2", H5P_DEFAULT, H5P_DEFAULT);
    if (op == 7) H5Lcreate_external("/etc/passwd", "/", group, "away", H5P_DEFAULT, H5P_DEFAULT);
    for (int i = from; i < m->n_layers; i++) {
        const mn__layer *l = m->layer[i];
        if (strncmp(l->name, first, outer) || (l->name[outer] && l->name[outer] != '.')) continue;
        snprintf(path, sizeof path, "%s", l->name[outer] ? l->name + outer + 1 : l->name);
        for (char *p = path; l->name[outer] && *p; p++) *p = *p == '.' ? '/' : *p;
        size_t length = strlen(path);
        for (int k = 0; k < l->n_weights && n < MOST; k++) {
            const mn__weight *w = &l->weight[k];
            if (w->absent) continue;
            snprintf(path + length, sizeof path - length, "/%s:0", w->name);
            list[n] = odd_name(take(), path, store[n], LENGTH);
            if (list[n] == path) list[n] = strcpy(store[n], path);
            if (*list[n]) put_data(group, list[n], mn__keras_shape(w));
            n++;
        }
    }
    put_texts(group, "weight_names", list, n);
    H5Gclose(group);
}

static bool is_first(const mn_model *m, int i, size_t outer) {
    for (int k = 0; k < i; k++) {
        const char *other = m->layer[k]->name;
        if (!strncmp(other, m->layer[i]->name, outer) && (!other[outer] || other[outer] == '.')) return false;
    }
    return true;
}

static void put_weights(hid_t file, const char *config) {
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1, .memory_limit = 4 << 20}, NULL);
    mn_model *m = mn__config_read(c, config, &err);
    unsigned op = take(); /* 1: without a group of their own; 2, 3: elsewhere */
    if (op == 2) H5Lcreate_soft("/", file, "model_weights", H5P_DEFAULT, H5P_DEFAULT);
    if (op == 3) H5Lcreate_external("/dev/null", "/", file, "model_weights", H5P_DEFAULT, H5P_DEFAULT);
    hid_t weights =
        op == 1 ? H5Gopen2(file, "/", H5P_DEFAULT) : H5Gcreate2(file, "model_weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; m && weights >= 0 && i < m->n_layers; i++) {
        size_t outer = op == 4 ? strlen(m->layer[i]->name) : strcspn(m->layer[i]->name, ".");
        if (m->layer[i]->n_weights && is_first(m, i, outer)) put_group(weights, m, i, outer);
    }
    if (weights >= 0) H5Gclose(weights);
    mn_context_destroy(c);
}

/* The finished file, opened anew from its bytes. */
static hid_t reopen(hid_t file, size_t *size) {
    ssize_t n = H5Fflush(file, H5F_SCOPE_LOCAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    char *image = n > 0 ? malloc((size_t)n) : NULL;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), again = -1;
    if (image && H5Fget_file_image(file, image, (size_t)n) == n && H5Pset_fapl_core(access, 1 << 16, false) >= 0 &&
        H5Pset_file_image(access, image, (size_t)n) >= 0) {
        H5Fclose(file);
        again = H5Fopen(MN__H5_IN_MEMORY, H5F_ACC_RDONLY, access);
    } else
        H5Fclose(file);
    H5Pclose(access);
    free(image);
    *size = n > 0 ? (size_t)n : 0;
    return again;
}

static hid_t new_file(void) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, false);
    hid_t file = H5Fcreate(MN__H5_IN_MEMORY, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    return file;
}

/* ---- one input ---- */

/* Aborts unless every weight of the copy has the numbers of the original. */
static void compare(mn_model *copy, mn_model *m) {
    int n;
    mn_tensor **p = mn_model_parameters(copy, NULL, &n);
    for (int i = 0; i < n; i++) {
        const mn_tensor *q = mn_model_parameter(m, p[i]->name);
        size_t bytes = (size_t)p[i]->count * sizeof(float);
        float *a = malloc(2 * bytes), *b = a + p[i]->count;
        if (!q || q->count != p[i]->count || mn_get(p[i], a) || mn_get(q, b) || memcmp(a, b, bytes)) abort();
        free(a);
    }
}

/* A model that was read can be run and, where a Keras file can hold it, written and read again. */
static void use(mn_model *m, const mn_model_info *info) {
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1, .memory_limit = 64 << 20}, NULL);
    mn_model_info again;
    size_t size = 0;
    hid_t file = new_file();
    fuzz_run(m);
    if (mn_context_error(mn_model_context(m))->status || mn__model_put(file, m, info, &err)) {
        H5Fclose(file);
    } else if ((file = reopen(file, &size)) >= 0) {
        mn_model *copy = mn__model_read(c, file, size, &again, &err);
        if (!copy) fprintf(stderr, "what was read and written cannot be read: %s\n", err.text), abort();
        if (mn_model_outputs(copy) != mn_model_outputs(m)) abort();
        compare(copy, m);
        mn_model_info_free(&again);
        H5Fclose(file);
    }
    mn_context_destroy(c);
}

/* Up to three parts, each with a zero behind it. */
static void split(const uint8_t *data, size_t size, char *copy, const char **config, const char **info) {
    memcpy(copy, data, size);
    copy[size] = copy[size + 1] = 0;
    *config = copy;
    size_t a = strlen(copy), b = a < size ? a + 1 + strlen(copy + a + 1) : size;
    *info = a < size ? copy + a + 1 : "";
    recipe = data + (b < size ? b + 1 : size), recipe_end = data + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool first = true;
    char *copy = malloc(size + 2);
    const char *config, *text;
    mn_error err = {0};
    mn_model_info info = {0};
    for (int i = 0; first && i < ROOM; i++) numbers[i] = 0.5 + i % 97 / 64.;
    first = false;
    split(data, size, copy, &config, &text);
    mn__h5_begin();
    hid_t file = new_file();
    put_texts(file, "model_config", &config, 1);
    if (*text) put_version(file), put_texts(file, "mien_info", &text, 1);
    if (take() & 1) put_texts(file, "mien_training", &text, 1);
    put_weights(file, config);
    size_t claim = 0;
    file = reopen(file, &claim);
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1, .memory_limit = 64 << 20}, NULL);
    mn_model *m = file < 0 ? NULL : mn__model_read(c, file, claim, &info, &err);
    if (file >= 0 && (m ? err.status != MN_OK : !err.text[0] || info.n_heads || info.training)) abort();
    if (file >= 0) H5Fclose(file);
    if (m) use(m, &info);
    if (H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL)) abort(); /* something was left open */
    mn__h5_end();
    mn_model_info_free(&info);
    mn_context_destroy(c);
    free(copy);
    return 0;
}

/* ---- mutations ---- */

/* One of the seeds as an input. */
static size_t fresh(uint8_t *data, size_t max) {
    unsigned k = tree_next() % KERAS_SEEDS;
    char *config = with_quotes(keras_seed[k]), *info = with_quotes(info_seed[tree_next() % INFO_SEEDS]);
    size_t a = strlen(config) + 1, b = strlen(info) + 1, n = a + b <= max ? a + b : 0;
    if (n) memcpy(data, config, a), memcpy(data + a, info, b);
    free(config), free(info);
    return n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    tree_random = seed;
    if (size < 8 || tree_next() % 256 == 0) size = fresh(data, max);
    return tree_mutate(data, size, max, keras_seed[tree_next() % KERAS_SEEDS]);
}
