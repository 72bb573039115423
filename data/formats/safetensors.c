/* safetensors files: the length of a JSON text, the text, which says name, type, shape and place of every array, and the
 * arrays. Format: https://github.com/huggingface/safetensors, README, "Format". */
#include "data/internal.h"
#include "layers/json.h"
#include <stdlib.h>
#include <string.h>

#if MN_HAVE_JSON

enum { HEADER_LIMIT = 16 << 20, MAX_ARRAYS = 65536 };

static const struct type {
    const char *name;
    int size;
    mn_dtype dtype;
} types[] = {{"F32", 4, MN_F32},  {"F64", 8, MN_F64}, {"F16", 2, MN_F32},
             {"BF16", 2, MN_F32}, {"I32", 4, MN_I32}, {"U8", 1, MN_U8}};

void mn_arrays_free(mn_array *array, int n) {
    for (int i = 0; array && i < n; i++) mn_array_free(&array[i]);
    mn_free(array);
}

/* ---- reading ---- */

/* One array's entry, checked against the bytes that follow the text. */
typedef struct place {
    const struct type *type;
    mn_shape shape;
    size_t begin;
    int64_t count;
} place;

static mn_status bad(mn_error *err, const char *name, const char *what) {
    return mn_fail(err, MN_ERR_FORMAT, "the array \"%.100s\": %s", name, what);
}

static mn_status read_entry(const char *name, json_t *o, size_t size, place *p, mn_error *err) {
    json_t *shape = json_object_get(o, "shape"), *offsets = json_object_get(o, "data_offsets"), *v;
    const char *type = json_string_value(json_object_get(o, "dtype"));
    size_t i;
    *p = (place){.count = 1};
    for (i = 0; type && i < sizeof types / sizeof *types; i++)
        if (!strcmp(type, types[i].name)) p->type = &types[i];
    if (!p->type)
        return mn_fail(err, MN_ERR_UNSUPPORTED, "the array \"%.100s\" has the type %.20s; wanted F16, BF16, F32, F64, I32 or U8",
                       name, type ? type : "(none)");
    if (!json_is_array(shape) || json_array_size(shape) > MN_MAX_DIMS)
        return bad(err, name, "wanted a shape of at most 5 dimensions");
    json_array_foreach(shape, i, v) {
        json_int_t d = json_is_integer(v) ? json_integer_value(v) : -1;
        if (d < 0 || __builtin_mul_overflow(p->count, (int64_t)d, &p->count) || p->count > (int64_t)size)
            return bad(err, name, "the shape is larger than the file");
        p->shape.dim[p->shape.ndim++] = d;
    }
    json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return bad(err, name, "data_offsets is missing");
    json_int_t begin = json_integer_value(from), end = json_integer_value(to);
    if (begin < 0 || end < begin || (uint64_t)end > size ||
        (uint64_t)(end - begin) != (uint64_t)p->count * (uint64_t)p->type->size)
        return bad(err, name, "data_offsets do not fit the shape, or the file");
    p->begin = (size_t)begin;
    return MN_OK;
}

static void copy_numbers(const place *p, const uint8_t *from, void *to) {
    bool half = p->type->size == 2;
    if (!half) memcpy(to, from, (size_t)p->count * (size_t)p->type->size);
    if (!half) mn__little_endian(to, (size_t)p->count, (size_t)p->type->size);
    for (int64_t i = 0; half && i < p->count; i++) {
        uint16_t h = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);
        uint32_t wide = (uint32_t)h << 16; /* BF16 is the upper half of F32 */
        float f;
        memcpy(&f, &wide, sizeof f);
        ((float *)to)[i] = *p->type->name == 'B' ? f : mn__half(h);
    }
}

static mn_status read_array(const char *name, json_t *o, const uint8_t *data, size_t size, mn_array *out, mn_error *err) {
    place p;
    mn_status s = read_entry(name, o, size, &p, err);
    if (s) return s;
    *out = (mn_array){.name = mn_strdup(name),
                      .dtype = p.type->dtype,
                      .shape = p.shape,
                      .data = mn_alloc((size_t)p.count * mn_dtype_size(p.type->dtype) + 1)};
    if (!out->name || !out->data) return mn_fail(err, MN_ERR_MEMORY, "no memory for the array \"%.100s\"", name);
    copy_numbers(&p, data + p.begin, out->data);
    return MN_OK;
}

/* The arrays may not overlap: together they are no larger than the file, and so is the memory for them. */
static mn_status check_total(json_t *root, size_t size, mn_error *err) {
    const char *name;
    json_t *o;
    uint64_t total = 0;
    place p;
    json_object_foreach(root, name, o) {
        if (!strcmp(name, "__metadata__")) continue;
        mn_status s = read_entry(name, o, size, &p, err);
        if (s) return s;
        total += (uint64_t)p.count * (uint64_t)p.type->size;
    }
    return total == size ? MN_OK
                         : mn_fail(err, MN_ERR_FORMAT, "the arrays have %llu bytes; the file has %zu for them",
                                   (unsigned long long)total, size);
}

mn_status mn__safetensors_decode(const uint8_t *bytes, size_t size, mn_array **array, int *n, mn_error *err) {
    uint64_t length = 0;
    *array = NULL, *n = 0;
    for (int k = 7; k >= 0 && size >= 8; k--) length = length << 8 | bytes[k];
    if (size < 10 || length < 2 || length > size - 8 || bytes[8] != '{')
        return mn_fail(err, MN_ERR_FORMAT, "is no safetensors file, or one that is cut off");
    if (length > HEADER_LIMIT)
        return mn_fail(err, MN_ERR_UNSUPPORTED, "the header has %llu bytes; wanted at most %d", (unsigned long long)length,
                       HEADER_LIMIT);
    json_t *root = mn__json_parse("the header", (const char *)bytes + 8, (size_t)length, err), *o;
    if (!root) return err->status;
    const uint8_t *data = bytes + 8 + length;
    size_t rest = size - 8 - (size_t)length;
    const char *name;
    mn_status s = json_object_size(root) <= MAX_ARRAYS ? check_total(root, rest, err)
                                                       : mn_fail(err, MN_ERR_UNSUPPORTED, "has more than %d arrays", MAX_ARRAYS);
    if (s == MN_OK && !(*array = mn_alloc_zero(json_object_size(root) + 1, sizeof **array)))
        s = mn_fail(err, MN_ERR_MEMORY, "no memory for the list of arrays");
    if (s == MN_OK) {
        json_object_foreach(root, name, o) if (s == MN_OK && strcmp(name, "__metadata__")) s =
            read_array(name, o, data, rest, &(*array)[(*n)++], err);
    }
    json_decref(root);
    if (s) {
        mn_arrays_free(*array, *n);
        *array = NULL, *n = 0;
    }
    return s;
}

mn_status mn_safetensors_load(const char *path, mn_array **array, int *n, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    uint8_t *bytes;
    size_t size;
    *array = NULL, *n = 0;
    mn_status s = mn__read_file(path, (size_t)1 << 36, &bytes, &size, e);
    if (s) return s;
    s = mn__safetensors_decode(bytes, size, array, n, e);
    mn_free(bytes);
    if (s) mn_error_prefix(e, "%s", path);
    return s;
}

/* ---- writing ---- */

static const char *type_name(mn_dtype d) { return d == MN_F32 ? "F32" : d == MN_F64 ? "F64" : d == MN_I32 ? "I32" : "U8"; }

/* Padded with spaces to a multiple of eight, so that the arrays are aligned. */
static char *header(const mn_array *array, int n, size_t *length, mn_error *err) {
    json_t *root = json_object();
    uint64_t at = 0;
    bool ok = root != NULL;
    for (int i = 0; i < n && ok; i++) {
        uint64_t end = at + (uint64_t)mn_shape_count(array[i].shape) * mn_dtype_size(array[i].dtype);
        json_t *shape = json_array();
        for (int d = 0; d < array[i].shape.ndim; d++) json_array_append_new(shape, json_integer(array[i].shape.dim[d]));
        ok = !json_object_set_new(root, array[i].name,
                                  json_pack("{s:s,s:o,s:[I,I]}", "dtype", type_name(array[i].dtype), "shape", shape,
                                            "data_offsets", (json_int_t)at, (json_int_t)end));
        at = end;
    }
    size_t size = ok ? json_dumpb(root, NULL, 0, JSON_COMPACT) : 0;
    *length = (size + 7) / 8 * 8;
    char *text = size ? mn_alloc(*length + 1) : NULL;
    if (text) {
        memset(text, ' ', *length);
        json_dumpb(root, text, size, JSON_COMPACT);
    }
    json_decref(root);
    if (!text) mn_fail(err, MN_ERR_MEMORY, "no memory for the header, or a name that is not UTF-8");
    return text;
}

mn_status mn_safetensors_save(const char *path, const mn_array *array, int n, mn_error *err) {
    size_t length;
    uint8_t first[8];
    char *text = header(array, n, &length, err);
    mn__replace r;
    mn_status s = text ? mn__replace_begin(&r, path, err) : MN_ERR_MEMORY;
    if (s == MN_OK) {
        for (int k = 0; k < 8; k++) first[k] = (uint8_t)(length >> 8 * k);
        bool ok = fwrite(first, 1, 8, r.f) == 8 && fwrite(text, 1, length, r.f) == length;
        for (int i = 0; i < n && ok; i++)
            ok = mn__write_numbers(r.f, array[i].data, (size_t)mn_shape_count(array[i].shape), mn_dtype_size(array[i].dtype));
        if (ok)
            s = mn__replace_commit(&r, err);
        else
            mn__replace_abort(&r), s = mn_fail(err, MN_ERR_IO, "%s: cannot be written; hint: is the disk full?", path);
    }
    mn_free(text);
    return s;
}

#else

static mn_status missing(mn_error *err) {
    return mn_fail(err, MN_ERR_UNSUPPORTED,
                   "this mien was built without JSON: it has no safetensors files; hint: install libjansson-dev and build again");
}
void mn_arrays_free(mn_array *array, int n) {
    for (int i = 0; array && i < n; i++) mn_array_free(&array[i]);
    mn_free(array);
}
mn_status mn_safetensors_load(const char *path, mn_array **array, int *n, mn_error *err) {
    (void)path;
    *array = NULL, *n = 0;
    return missing(err);
}
mn_status mn_safetensors_save(const char *path, const mn_array *array, int n, mn_error *err) {
    (void)path, (void)array, (void)n;
    return missing(err);
}
#endif

/* ---- the weights of a model ---- */

/* PyTorch's words for ours; the orders of the numbers are the same. */
static bool same_name(const char *file, const char *ours) {
    static const struct {
        const char *theirs, *ours;
    } words[] = {{".weight", "/kernel"},
                 {".weight", "/gamma"},
                 {".weight", "/depthwise_kernel"},
                 {".bias", "/bias"},
                 {".bias", "/beta"},
                 {".running_mean", "/moving_mean"},
                 {".running_var", "/moving_variance"}};
    if (!strcmp(file, ours)) return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(file), m = strlen(ours), a = strlen(words[i].theirs), b = strlen(words[i].ours);
        if (n > a && m > b && n - a == m - b && !strcmp(file + n - a, words[i].theirs) && !strcmp(ours + m - b, words[i].ours) &&
            !memcmp(file, ours, n - a))
            return true;
    }
    return false;
}

/* The array of that weight, or NULL: none of that name, or of another shape. */
static const mn_array *array_for(const mn_array *array, int n, const mn_tensor *t) {
    for (int i = 0; i < n; i++)
        if (same_name(array[i].name, t->name) && mn_shape_equal(array[i].shape, t->shape) &&
            (array[i].dtype == MN_F32 || array[i].dtype == MN_F64))
            return &array[i];
    return NULL;
}

static mn_status set_values(mn_tensor *t, const mn_array *a, mn_error *err) {
    double *v = mn_alloc((size_t)t->count * sizeof *v);
    if (!v) return mn_fail(err, MN_ERR_MEMORY, "no memory for the weight \"%s\"", t->name);
    for (int64_t i = 0; i < t->count; i++) v[i] = a->dtype == MN_F64 ? ((const double *)a->data)[i] : ((const float *)a->data)[i];
    mn_status s = mn_set_f64(t, v);
    mn_free(v);
    return s ? mn_fail(err, s, "%s", t->ctx->error.text) : MN_OK;
}

int mn_weights_load(mn_model *m, const char *path, bool all, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    mn_array *array;
    int n, n_all, set = 0;
    if (mn_safetensors_load(path, &array, &n, e)) return -1;
    mn_tensor **t = mn_model_parameters(m, NULL, &n_all);
    char text[64];
    for (int i = 0; i < n_all && all; i++)
        if (!array_for(array, n, t[i]))
            mn_fail(e, MN_ERR_FORMAT, "%s: has no array \"%s\" of shape %s", path, t[i]->name,
                    mn_shape_text(t[i]->shape, text, sizeof text));
    for (int i = 0; i < n_all && !e->status; i++) {
        const mn_array *a = array_for(array, n, t[i]);
        if (a && set_values(t[i], a, e) == MN_OK) set++;
    }
    mn_arrays_free(array, n);
    return e->status ? -1 : set;
}

mn_status mn_weights_save(mn_model *m, const char *path, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    int n;
    mn_tensor **t = mn_model_parameters(m, NULL, &n);
    mn_array *array = mn_alloc_zero((size_t)n + 1, sizeof *array);
    mn_status s = array ? MN_OK : mn_fail(e, MN_ERR_MEMORY, "no memory for the list of weights");
    for (int i = 0; i < n && s == MN_OK; i++) {
        array[i] = (mn_array){.name = mn_strdup(t[i]->name),
                              .dtype = t[i]->dtype,
                              .shape = t[i]->shape,
                              .data = mn_alloc((size_t)t[i]->count * mn_dtype_size(t[i]->dtype))};
        if (!array[i].name || !array[i].data)
            s = mn_fail(e, MN_ERR_MEMORY, "no memory for the weight \"%s\"", t[i]->name);
        else if ((s = mn_get(t[i], array[i].data)))
            mn_fail(e, s, "%s", t[i]->ctx->error.text);
    }
    if (s == MN_OK) s = mn_safetensors_save(path, array, n, e);
    mn_arrays_free(array, n);
    return s;
}
