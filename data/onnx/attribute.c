/* Attributes of ONNX nodes. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <string.h>

const Onnx__AttributeProto *mn__onnx_attribute(const mn__onnx_reader *r, const char *name) {
    for (size_t i = 0; i < r->node->n_attribute; i++)
        if (r->node->attribute[i]->name && !strcmp(r->node->attribute[i]->name, name)) return r->node->attribute[i];
    return NULL;
}

int64_t mn__onnx_get_int(const mn__onnx_reader *r, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, name);
    return a && a->has_i ? a->i : otherwise;
}

double mn__onnx_get_real(const mn__onnx_reader *r, const char *name, double otherwise) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, name);
    return a && a->has_f ? a->f : otherwise;
}

bool mn__onnx_is_word(const mn__onnx_reader *r, const char *name, const char *word, const char *otherwise) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, name);
    if (!a || !a->has_s) return !strcmp(word, otherwise);
    return a->s.len == strlen(word) && !memcmp(a->s.data, word, a->s.len);
}

mn_status mn__onnx_get_ints(mn__onnx_reader *r, const char *name, int n, int otherwise, int *out) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, name);
    for (int i = 0; i < n; i++) out[i] = otherwise;
    if (!a) return MN_OK;
    if (a->n_ints != (size_t)n)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "%s has %zu numbers; wanted %d, for an image", name, a->n_ints, n);
    for (int i = 0; i < n; i++) {
        if (a->ints[i] < 0 || a->ints[i] > 65536)
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "%s is %lld; wanted 0 to 65536", name, (long long)a->ints[i]);
        out[i] = (int)a->ints[i];
    }
    return MN_OK;
}

mn_status mn__onnx_list(mn__onnx_reader *r, const char *name, size_t i, int64_t *out, int *n) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, name);
    mn__onnx_value *v = mn__onnx_in(r, i);
    *n = -1;
    if (!a && !v) return MN_OK;
    if (!a && !(v = mn__onnx_constant(r, i))) return r->err->status;
    const double *p = a ? NULL : mn__onnx_numbers(r, v);
    int64_t count = a ? (int64_t)a->n_ints : mn__onnx_count(v);
    if (!a && !p) return r->err->status;
    if (count > MN__ONNX_MAX_RANK)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "%s has %lld numbers; wanted at most %d", name, (long long)count,
                             MN__ONNX_MAX_RANK);
    for (int64_t k = 0; k < count; k++) { /* "to the end" is written as the largest number there is */
        const double limit = 4e15;
        if (a)
            out[k] = a->ints[k] > (int64_t)limit ? (int64_t)limit : a->ints[k] < (int64_t)-limit ? (int64_t)-limit : a->ints[k];
        else if (p[k] != p[k] || p[k] == MN__ONNX_BATCH)
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "%s depends on the number of samples", name);
        else
            out[k] = (int64_t)(p[k] > limit ? limit : p[k] < -limit ? -limit : p[k]);
    }
    *n = (int)count;
    return MN_OK;
}
#endif
