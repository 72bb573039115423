/* HDF5 with every step checked. */
#include "data/formats/hdf5.h"
#if MN_HAVE_HDF5
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static H5E_auto2_t saved_function;
static void *saved_data;

void mn__h5_begin(void) {
    static bool first = true;
    pthread_mutex_lock(&lock);
    if (first) H5dont_atexit(); /* its cleaning up at exit prints */
    first = false;
    H5Eget_auto2(H5E_DEFAULT, &saved_function, &saved_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void mn__h5_end(void) {
    H5Eset_auto2(H5E_DEFAULT, saved_function, saved_data);
    pthread_mutex_unlock(&lock);
}

static mn_status cannot_write(mn_error *err, const char *what) {
    return mn_fail(err, MN_ERR_MEMORY, "libhdf5 could not store %s; hint: is there enough memory?", what);
}

/* ---- files ---- */

/* Behind the HDF5 data, where other readers do not look: a word, the length, and a hash of what is before. */
typedef struct trailer {
    char word[8];
    uint64_t size, hash;
} trailer;
static const char trailer_word[8] = {'m', 'i', 'e', 'n', 'h', 'a', 's', 'h'};

static hid_t memory_access(void) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_core(access, (size_t)4 << 20, false) < 0) {
        H5Pclose(access);
        return -1;
    }
    return access;
}

hid_t mn__h5_create(mn_error *err) {
    hid_t access = memory_access();
    hid_t file = access < 0 ? -1 : H5Fcreate(MN__H5_IN_MEMORY, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0) H5Pclose(access);
    if (file < 0) mn_fail(err, MN_ERR_MEMORY, "libhdf5 could not begin a file in memory");
    return file;
}

mn_status mn__h5_store(hid_t file, const char *path, mn_error *err) {
    ssize_t size = H5Fflush(file, H5F_SCOPE_LOCAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    char *image = size > 0 ? mn_alloc((size_t)size) : NULL;
    mn_status s = image && H5Fget_file_image(file, image, (size_t)size) == size ? MN_OK : cannot_write(err, path);
    mn__replace r;
    if (s == MN_OK) s = mn__replace_begin(&r, path, err);
    if (s == MN_OK) {
        trailer t = {.size = (uint64_t)size, .hash = mn__hash64(image, (size_t)size)};
        memcpy(t.word, trailer_word, sizeof t.word);
        if (fwrite(image, 1, (size_t)size, r.f) == (size_t)size && fwrite(&t, sizeof t, 1, r.f) == 1) {
            s = mn__replace_commit(&r, err);
        } else {
            s = mn_fail(err, MN_ERR_IO, "%s: cannot be written; hint: is the disk full?", path);
            mn__replace_abort(&r);
        }
    }
    mn_free(image);
    H5Fclose(file);
    return s;
}

static mn_status check_hash(const char *path, const uint8_t *bytes, size_t size, mn_error *err) {
    trailer t;
    if (size < sizeof t) return MN_OK;
    memcpy(&t, bytes + size - sizeof t, sizeof t);
    if (memcmp(t.word, trailer_word, sizeof t.word) || t.size != size - sizeof t) return MN_OK;
    if (t.hash == mn__hash64(bytes, size - sizeof t)) return MN_OK;
    return mn_fail(err, MN_ERR_FORMAT, "%s: is damaged: its checksum does not fit its content", path);
}

static hid_t open_file(const char *path, unsigned mode, size_t *size, mn_error *err) {
    static const uint8_t magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    uint8_t *bytes;
    if (mn__read_file(path, (size_t)4 << 30, &bytes, size, err)) return -1;
    hid_t file = -1, access = -1;
    if (*size > 4 && !memcmp(bytes, "PK\3\4", 4)) {
        mn_fail(err, MN_ERR_FORMAT,
                "%s: is a zip archive, as .keras files of Keras 3 and PyTorch's files are; hint: save the model as .h5 in Keras, "
                "or as "
                ".onnx (torch.onnx.export)",
                path);
    } else if (*size < sizeof magic || memcmp(bytes, magic, sizeof magic)) {
        mn_fail(err, MN_ERR_FORMAT, "%s: is not an HDF5 file; wanted a model file (.h5) of mien or Keras", path);
    } else if (check_hash(path, bytes, *size, err) == MN_OK && mn__h5_probe(path, bytes, *size, err) == MN_OK) {
        access = memory_access();
        if (access >= 0 && H5Pset_file_image(access, bytes, *size) >= 0) file = H5Fopen(MN__H5_IN_MEMORY, mode, access);
        if (file < 0) mn_fail(err, MN_ERR_FORMAT, "%s: is a broken or incomplete HDF5 file", path);
    }
    if (access >= 0) H5Pclose(access);
    mn_free(bytes);
    return file;
}

hid_t mn__h5_open(const char *path, size_t *size, mn_error *err) { return open_file(path, H5F_ACC_RDONLY, size, err); }

hid_t mn__h5_edit(const char *path, mn_error *err) {
    size_t size;
    return open_file(path, H5F_ACC_RDWR, &size, err);
}

/* ---- groups ---- */

hid_t mn__h5_group_create(hid_t at, const char *name, mn_error *err) {
    hid_t make = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(make, 1);
    hid_t g = H5Gcreate2(at, name, make, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(make);
    if (g < 0) cannot_write(err, name);
    return g;
}

/* Is every component of the path a hard link, that is, inside this file? */
static bool inside(hid_t at, const char *path) {
    char part[MN__H5_MAX_NAME];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) return false;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        H5L_info_t info;
        if (H5Lexists(at, part, H5P_DEFAULT) <= 0 || H5Lget_info(at, part, &info, H5P_DEFAULT) < 0) return false;
        if (info.type != H5L_TYPE_HARD) return false;
    }
    return true;
}

bool mn__h5_has_group(hid_t at, const char *name) { return H5Lexists(at, name, H5P_DEFAULT) > 0; }
bool mn__h5_has_attr(hid_t at, const char *name) { return H5Aexists(at, name) > 0; }

hid_t mn__h5_group_open(hid_t at, const char *name, mn_error *err) {
    hid_t g = inside(at, name) ? H5Gopen2(at, name, H5P_DEFAULT) : -1;
    if (g < 0) mn_fail(err, MN_ERR_FORMAT, "the group \"%s\" is missing", name);
    return g;
}

/* ---- attributes: one text, one number ---- */

static mn_status put_attr(hid_t at, const char *name, hid_t type, hid_t space, const void *data, mn_error *err) {
    hid_t a = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = a >= 0 && H5Awrite(a, type, data) >= 0;
    if (a >= 0) H5Aclose(a);
    return ok ? MN_OK : cannot_write(err, name);
}

mn_status mn__h5_put_text(hid_t at, const char *name, const char *text, mn_error *err) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    mn_status s = put_attr(at, name, type, space, &text, err);
    H5Sclose(space);
    H5Tclose(type);
    return s;
}

mn_status mn__h5_put_int(hid_t at, const char *name, int64_t value, mn_error *err) {
    hid_t space = H5Screate(H5S_SCALAR);
    mn_status s = put_attr(at, name, H5T_NATIVE_INT64, space, &value, err);
    H5Sclose(space);
    return s;
}

mn_status mn__h5_get_int(hid_t at, const char *name, int64_t *value, mn_error *err) {
    hid_t a = H5Aexists(at, name) > 0 ? H5Aopen(at, name, H5P_DEFAULT) : -1;
    hid_t type = a < 0 ? -1 : H5Aget_type(a), space = a < 0 ? -1 : H5Aget_space(a);
    bool ok = type >= 0 && space >= 0 && H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1 &&
              H5Aread(a, H5T_NATIVE_INT64, value) >= 0;
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (a >= 0) H5Aclose(a);
    return ok ? MN_OK : mn_fail(err, MN_ERR_FORMAT, "the attribute \"%s\" is missing or no whole number", name);
}

/* Texts of an open attribute of `n` elements: appended to out. */
static mn_status read_variable(hid_t a, hid_t type, hid_t space, int n, mn__texts *out) {
    char **list = mn_alloc_zero((size_t)n + 1, sizeof *list);
    if (!list) return MN_ERR_MEMORY;
    mn_status s = H5Aread(a, type, list) < 0 ? MN_ERR_FORMAT : MN_OK;
    for (int i = 0; i < n && s == MN_OK; i++) {
        const char *text = list[i] ? list[i] : "";
        if (strlen(text) > MN__H5_MAX_TEXT)
            s = MN_ERR_FORMAT;
        else if (!(out->text[out->n] = mn_strdup(text)))
            s = MN_ERR_MEMORY;
        else
            out->n++;
    }
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, list);
    mn_free(list);
    return s;
}

static mn_status read_fixed(hid_t a, hid_t type, int n, mn__texts *out) {
    size_t length = H5Tget_size(type);
    if (length == 0 || length > MN__H5_MAX_TEXT || (size_t)n > MN__H5_MAX_TEXT / length) return MN_ERR_FORMAT;
    char *all = mn_alloc((size_t)n * length + 1);
    if (!all) return MN_ERR_MEMORY;
    mn_status s = H5Aread(a, type, all) < 0 ? MN_ERR_FORMAT : MN_OK;
    for (int i = 0; i < n && s == MN_OK; i++) {
        const char *text = all + (size_t)i * length;
        size_t used = strnlen(text, length);
        char *copy = mn_alloc(used + 1);
        if (!copy) {
            s = MN_ERR_MEMORY;
        } else {
            memcpy(copy, text, used);
            copy[used] = 0;
            out->text[out->n++] = copy;
        }
    }
    mn_free(all);
    return s;
}

/* Appends the texts of one attribute, at most `limit` in all. Keras writes an empty list as one of numbers. */
static mn_status append_texts(hid_t at, const char *name, int limit, mn__texts *out) {
    hid_t a = H5Aopen(at, name, H5P_DEFAULT);
    hid_t type = a < 0 ? -1 : H5Aget_type(a), space = a < 0 ? -1 : H5Aget_space(a);
    hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    mn_status s = MN_OK;
    if (type < 0 || n < 0 || n > limit - out->n)
        s = MN_ERR_FORMAT;
    else if (n > 0 && H5Tget_class(type) != H5T_STRING)
        s = MN_ERR_FORMAT;
    else if (n > 0) {
        char **grown = mn_realloc(out->text, (size_t)out->n * sizeof *grown, (size_t)(out->n + n) * sizeof *grown);
        if (!grown) {
            s = MN_ERR_MEMORY;
        } else {
            out->text = grown;
            s = H5Tis_variable_str(type) > 0 ? read_variable(a, type, space, (int)n, out) : read_fixed(a, type, (int)n, out);
        }
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (a >= 0) H5Aclose(a);
    return s;
}

static mn_status not_text(mn_error *err, const char *name, mn_status s) {
    if (s == MN_ERR_MEMORY) return mn_fail(err, s, "out of host memory for the attribute \"%s\"", name);
    return mn_fail(err, s, "the attribute \"%s\" is missing, broken, too large or no text", name);
}

mn_status mn__h5_get_text(hid_t at, const char *name, char **out, mn_error *err) {
    mn__texts t = {0};
    *out = NULL;
    mn_status s = H5Aexists(at, name) > 0 ? append_texts(at, name, 1, &t) : MN_ERR_FORMAT;
    if (s == MN_OK && t.n == 1)
        *out = t.text[0], t.n = 0;
    else if (s == MN_OK)
        s = MN_ERR_FORMAT;
    mn__texts_free(&t);
    return s == MN_OK ? s : not_text(err, name, s);
}

void mn__texts_free(mn__texts *t) {
    for (int i = 0; i < t->n; i++) mn_free(t->text[i]);
    mn_free(t->text);
    *t = (mn__texts){0};
}

mn_status mn__h5_get_texts(hid_t at, const char *name, int limit, mn__texts *out, mn_error *err) {
    *out = (mn__texts){0};
    mn_status s = MN_OK;
    if (H5Aexists(at, name) > 0) {
        s = append_texts(at, name, limit, out);
    } else {
        char piece[64];
        int k = 0;
        while (s == MN_OK && k < limit) {
            snprintf(piece, sizeof piece, "%.40s%d", name, k);
            if (H5Aexists(at, piece) <= 0) break;
            s = append_texts(at, piece, limit, out);
            k++;
        }
        if (k == 0) s = MN_ERR_FORMAT;
    }
    if (s == MN_OK) return s;
    mn__texts_free(out);
    return not_text(err, name, s);
}

/* One attribute from texts first .. first+n-1, each `length` bytes, padded with zeros. */
static mn_status put_piece(hid_t at, const char *name, const mn__texts *list, int first, int n, size_t length, mn_error *err) {
    char *all = mn_alloc_zero((size_t)n + 1, length);
    if (!all) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the attribute \"%s\"", name);
    for (int i = 0; i < n; i++) memcpy(all + (size_t)i * length, list->text[first + i], strlen(list->text[first + i]));
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, (hsize_t[]){(hsize_t)n}, NULL);
    H5Tset_size(type, length);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    mn_status s = put_attr(at, name, type, space, all, err);
    H5Sclose(space);
    H5Tclose(type);
    mn_free(all);
    return s;
}

mn_status mn__h5_put_texts(hid_t at, const char *name, const mn__texts *list, mn_error *err) {
    enum { LIMIT = 64512 }; /* HDF5 takes no attribute above 64 kB; Keras's own limit */
    size_t length = 1;
    for (int i = 0; i < list->n; i++)
        if (strlen(list->text[i]) > length) length = strlen(list->text[i]);
    int per_piece = (int)(LIMIT / length);
    if (list->n <= per_piece) return put_piece(at, name, list, 0, list->n, length, err);
    mn_status s = MN_OK;
    for (int first = 0, k = 0; first < list->n && s == MN_OK; first += per_piece, k++) {
        char piece[64];
        snprintf(piece, sizeof piece, "%.40s%d", name, k);
        s = put_piece(at, piece, list, first, list->n - first < per_piece ? list->n - first : per_piece, length, err);
    }
    return s;
}

/* ---- data sets ---- */

static hid_t memory_type(mn_dtype d) { return d == MN_F64 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT; }

mn_status mn__h5_put_data(hid_t at, const char *name, mn_dtype dtype, mn_shape shape, const void *data, mn_error *err) {
    hsize_t dim[MN_MAX_DIMS] = {0};
    for (int i = 0; i < shape.ndim; i++) dim[i] = (hsize_t)shape.dim[i];
    hid_t space = shape.ndim ? H5Screate_simple(shape.ndim, dim, NULL) : H5Screate(H5S_SCALAR);
    hid_t make = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(make, 1);
    hid_t file_type = dtype == MN_F64 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE;
    hid_t d = H5Dcreate2(at, name, file_type, space, make, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = d >= 0 && H5Dwrite(d, memory_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (d >= 0) H5Dclose(d);
    H5Pclose(make);
    H5Sclose(space);
    return ok ? MN_OK : cannot_write(err, name);
}

/* Opens a data set of real numbers that lies in this file. */
static hid_t open_data(hid_t at, const char *name, mn_error *err) {
    hid_t d = inside(at, name) ? H5Dopen2(at, name, H5P_DEFAULT) : -1;
    if (d < 0) {
        mn_fail(err, MN_ERR_FORMAT, "the data set \"%s\" is missing", name);
        return -1;
    }
    hid_t type = H5Dget_type(d), make = H5Dget_create_plist(d);
    bool real = type >= 0 && H5Tget_class(type) == H5T_FLOAT;
    H5D_layout_t layout = make < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(make);
    bool local = (layout == H5D_CONTIGUOUS || layout == H5D_COMPACT || layout == H5D_CHUNKED) && H5Pget_external_count(make) == 0;
    if (make >= 0) H5Pclose(make);
    if (type >= 0) H5Tclose(type);
    if (real && local) return d;
    H5Dclose(d);
    mn_fail(err, MN_ERR_FORMAT, "the data set \"%s\" %s", name, real ? "lies in another file" : "holds no real numbers");
    return -1;
}

static mn_status shape_of(hid_t d, const char *name, mn_shape *shape, mn_error *err) {
    hid_t space = H5Dget_space(d);
    int ndim = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    hsize_t dim[MN_MAX_DIMS];
    bool ok = ndim >= 0 && ndim <= MN_MAX_DIMS && H5Sget_simple_extent_dims(space, dim, NULL) == ndim;
    *shape = (mn_shape){.ndim = ok ? ndim : 0};
    for (int i = 0; ok && i < ndim; i++) {
        ok = dim[i] <= (hsize_t)INT32_MAX;
        shape->dim[i] = (int64_t)dim[i];
    }
    if (space >= 0) H5Sclose(space);
    return ok ? MN_OK : mn_fail(err, MN_ERR_FORMAT, "the data set \"%s\" has an impossible shape", name);
}

mn_status mn__h5_data_shape(hid_t at, const char *name, mn_shape *shape, mn_error *err) {
    hid_t d = open_data(at, name, err);
    mn_status s = d < 0 ? MN_ERR_FORMAT : shape_of(d, name, shape, err);
    if (d >= 0) H5Dclose(d);
    return s;
}

mn_status mn__h5_get_data(hid_t at, const char *name, mn_dtype dtype, mn_shape want, void *data, mn_error *err) {
    hid_t d = open_data(at, name, err);
    mn_shape is;
    mn_status s = d < 0 ? MN_ERR_FORMAT : shape_of(d, name, &is, err);
    char a[64], b[64];
    if (s == MN_OK && !mn_shape_equal(is, want))
        s = mn_fail(err, MN_ERR_SHAPE, "\"%s\" is %s in the file; wanted %s", name, mn_shape_text(is, a, sizeof a),
                    mn_shape_text(want, b, sizeof b));
    if (s == MN_OK && H5Dread(d, memory_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        s = mn_fail(err, MN_ERR_FORMAT, "the data set \"%s\" cannot be read: the file is damaged", name);
    if (d >= 0) H5Dclose(d);
    return s;
}
#endif
