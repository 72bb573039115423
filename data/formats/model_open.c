/* Model files of every kind: which one it is. */
#include "data/formats/model_file.h"
#include "data/onnx/onnx.h"
#include <string.h>
#include <strings.h>

static bool ends_in(const char *path, const char *extension) {
    size_t n = strlen(path), m = strlen(extension);
    return n > m && !strcasecmp(path + n - m, extension);
}

/* An ONNX file has no signature, but begins with its version in all but exotic cases: field 1, a number. HDF5 has one;
 * what is neither goes to the HDF5 reader, whose sentences are the clearer ones. */
static bool is_onnx(const char *path) {
    if (ends_in(path, ".onnx")) return true;
    FILE *f = fopen(path, "rb");
    int first = f ? fgetc(f) : EOF;
    if (f) fclose(f);
    return first == (1 << 3 | 0);
}

static mn_model *load_onnx(mn_context *c, const char *path, bool own_layers, mn_model_info *info, mn_error *err) {
    enum { LIMIT = INT32_MAX }; /* of a protocol buffer */
    uint8_t *bytes;
    size_t size;
    if (mn__read_file(path, LIMIT, &bytes, &size, err)) return NULL;
    mn_model *m = mn__onnx_decode(c, bytes, size, own_layers, info, err);
    mn_free(bytes);
    if (!m) {
        mn_error_prefix(err, "%s", path);
        mn_error_clear(&c->error); /* the sentence is the caller's; the context goes on */
    }
    return m;
}

static mn_model *open_onnx(mn_context *c, const char *path, bool own_layers, mn_model_info *info, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    mn_model_info unused = {0};
    if (!c) return NULL;
    if (c->error.status) return mn_fail(e, c->error.status, "%s", c->error.text), NULL;
    *(info ? info : &unused) = (mn_model_info){0};
    mn_model *m = load_onnx(c, path, own_layers, info ? info : &unused, e);
    mn_model_info_free(&unused);
    return m;
}

mn_model *mn_onnx_load_graph(mn_context *c, const char *path, mn_model_info *info, mn_error *err) {
    return open_onnx(c, path, false, info, err);
}

mn_model *mn_model_load(mn_context *c, const char *path, mn_model_info *info, mn_error *err) {
    if (ends_in(path, ".safetensors"))
        return mn_fail(err, MN_ERR_ARG,
                       "%s: holds weights alone, not the network; hint: --net NAME --init FILE in mien train, or "
                       "mien convert --net NAME",
                       path),
               NULL;
    return c && is_onnx(path) ? open_onnx(c, path, true, info, err) : mn__h5_load(c, path, info, err);
}

mn_status mn_model_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err) {
    mn_error own = {0};
    if (ends_in(path, ".onnx")) return mn__onnx_save(m, info, path, err ? err : &own);
    if (ends_in(path, ".safetensors")) return mn_weights_save(m, path, err);
    return mn__h5_save(m, info, path, err);
}
