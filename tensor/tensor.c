/* Shapes and tensors. */
#include "tensor/internal.h"
#include "tensor/philox.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

int64_t mn_shape_count(mn_shape s) {
    if (s.ndim < 0 || s.ndim > MN_MAX_DIMS) return -1;
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++) {
        if (s.dim[i] < 0 || __builtin_mul_overflow(n, s.dim[i], &n)) return -1;
        if (n > INT64_MAX / 16) return -1; /* so that the size in bytes fits as well */
    }
    return n;
}

bool mn_shape_equal(mn_shape a, mn_shape b) {
    if (a.ndim != b.ndim) return false;
    for (int i = 0; i < a.ndim; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

const char *mn_shape_text(mn_shape s, char *buf, size_t size) {
    int n = snprintf(buf, size, "(");
    for (int i = 0; i < s.ndim && i < MN_MAX_DIMS && n >= 0 && (size_t)n < size; i++)
        n += snprintf(buf + n, size - (size_t)n, "%s%lld", i ? "," : "", (long long)s.dim[i]);
    if (n >= 0 && (size_t)n < size) snprintf(buf + n, size - (size_t)n, ")");
    return buf;
}

size_t mn_dtype_size(mn_dtype d) {
    switch (d) {
    case MN_F32:
        return 4;
    case MN_F64:
        return 8;
    case MN_I32:
        return 4;
    case MN_U8:
        return 1;
    default:
        return 0;
    }
}

const char *mn_dtype_name(mn_dtype d) {
    static const char *const names[] = {"f32", "f64", "i32", "u8"};
    return (unsigned)d < MN_DTYPE_COUNT ? names[d] : "unknown type";
}

mn_tensor *mn__tensor_shell(mn_context *c, mn_lifetime life, mn_dtype dtype, mn_shape shape) {
    int64_t count = mn_shape_count(shape);
    char text[64];
    if (count < 0) {
        MN__FAIL(c, MN_ERR_SHAPE, "a tensor cannot have the shape %s", mn_shape_text(shape, text, sizeof text));
        return NULL;
    }
    mn_tensor *t = mn__host(c, life, sizeof *t);
    if (t) *t = (mn_tensor){.ctx = c, .dtype = dtype, .shape = shape, .count = count, .lifetime = life};
    return t;
}

mn_tensor *mn_tensor_create(mn_context *c, mn_lifetime life, mn_dtype dtype, mn_shape shape) {
    mn_tensor *t = mn__tensor_shell(c, life, dtype, shape);
    if (!t) return NULL;
    t->data = mn__device_memory(c, life, (size_t)t->count * mn_dtype_size(dtype));
    return t->data ? t : NULL;
}

mn_tensor *mn_parameter(mn_context *c, const char *name, mn_shape shape) {
    mn_tensor *t = mn_tensor_create(c, MN_MODEL, c->dtype, shape);
    if (!t) return NULL;
    if (name) {
        char *copy = mn__host(c, MN_MODEL, strlen(name) + 1);
        if (!copy) return NULL;
        t->name = strcpy(copy, name);
    }
    t->requires_grad = true;
    return mn_fill(t, 0) == MN_OK ? t : NULL;
}

mn_tensor *mn_input(mn_context *c, mn_shape shape, const float *host) {
    mn_tensor *t = mn_tensor_create(c, MN_STEP, c->dtype, shape);
    if (!t || !host) return t;
    if (c->dtype == MN_F32) return mn_set(t, host) == MN_OK ? t : NULL;
    double *wide = mn_alloc((size_t)t->count * sizeof *wide);
    if (!wide) return MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for an input"), NULL;
    for (int64_t i = 0; i < t->count; i++) wide[i] = host[i];
    mn_status s = mn_set(t, wide);
    mn_free(wide);
    return s == MN_OK ? t : NULL;
}

mn_tensor *mn_labels(mn_context *c, int64_t n, const int32_t *host) {
    mn_tensor *t = mn_tensor_create(c, MN_STEP, MN_I32, MN_SHAPE(n));
    return t && host && mn_set(t, host) != MN_OK ? NULL : t;
}

static size_t bytes_of(const mn_tensor *t) { return (size_t)t->count * mn_dtype_size(t->dtype); }

mn_status mn_set(mn_tensor *t, const void *host) {
    if (!t) return MN_ERR_ARG;
    return t->ctx->device->upload(t->ctx->device_state, t->data, host, bytes_of(t), &t->ctx->error);
}

mn_status mn_get(const mn_tensor *t, void *host) {
    if (!t) return MN_ERR_ARG;
    return t->ctx->device->download(t->ctx->device_state, host, t->data, bytes_of(t), &t->ctx->error);
}

static bool is_float(const mn_tensor *t) { return t->dtype == MN_F32 || t->dtype == MN_F64; }

mn_status mn_set_f64(mn_tensor *t, const double *host) {
    if (!t || !is_float(t)) return MN_ERR_ARG;
    if (t->dtype == MN_F64) return mn_set(t, host);
    float *narrow = mn_alloc(bytes_of(t));
    if (!narrow) return MN__FAIL(t->ctx, MN_ERR_MEMORY, "out of host memory for a copy");
    for (int64_t i = 0; i < t->count; i++) narrow[i] = (float)host[i];
    mn_status s = mn_set(t, narrow);
    mn_free(narrow);
    return s;
}

mn_status mn_get_f64(const mn_tensor *t, double *host) {
    if (!t || !is_float(t)) return MN_ERR_ARG;
    mn_status s = mn_get(t, host);
    if (s == MN_OK && t->dtype == MN_F32) /* widen in place, from the end */
        for (int64_t i = t->count; i-- > 0;) {
            float v;
            memcpy(&v, (char *)host + i * 4, 4);
            host[i] = v;
        }
    return s;
}

double mn_item(const mn_tensor *t, int64_t i) {
    if (!t || i < 0 || i >= t->count) return NAN;
    union {
        float f;
        double d;
        int32_t i;
        uint8_t u;
    } v = {0};
    size_t size = mn_dtype_size(t->dtype);
    if (t->ctx->device->download(t->ctx->device_state, &v, (char *)t->data + (size_t)i * size, size, &t->ctx->error)) return NAN;
    switch (t->dtype) {
    case MN_F32:
        return v.f;
    case MN_F64:
        return v.d;
    case MN_I32:
        return v.i;
    default:
        return v.u;
    }
}

mn_status mn_copy(mn_tensor *dst, const mn_tensor *src) {
    if (!dst || !src) return MN_ERR_ARG;
    if (dst->ctx != src->ctx || dst->dtype != src->dtype || dst->count != src->count)
        return MN__FAIL(dst->ctx, MN_ERR_ARG, "copy: the tensors differ in context, type or number of elements");
    return dst->ctx->device->copy(dst->ctx->device_state, dst->data, src->data, bytes_of(dst), &dst->ctx->error);
}

/* Element i of a tensor's memory on the host. */
static void put_element(void *to, mn_dtype dtype, int64_t i, double v) {
    switch (dtype) {
    case MN_F32:
        ((float *)to)[i] = (float)v;
        break;
    case MN_F64:
        ((double *)to)[i] = v;
        break;
    case MN_I32:
        ((int32_t *)to)[i] = (int32_t)v;
        break;
    default:
        ((uint8_t *)to)[i] = (uint8_t)v;
    }
}

/* Fills element by element on the host, through a buffer of a few thousand, so that every device sees
 * the same numbers. */
typedef double (*element_fn)(void *arg, int64_t i);
static mn_status fill_by(mn_tensor *t, element_fn f, void *arg) {
    if (!t) return MN_ERR_ARG;
    enum { CHUNK = 2048 };
    double buffer[CHUNK];
    size_t size = mn_dtype_size(t->dtype);
    for (int64_t at = 0; at < t->count; at += CHUNK) {
        int64_t n = t->count - at < CHUNK ? t->count - at : CHUNK;
        for (int64_t i = 0; i < n; i++) put_element(buffer, t->dtype, i, f(arg, at + i));
        mn_status s = t->ctx->device->upload(t->ctx->device_state, (char *)t->data + (size_t)at * size, buffer, (size_t)n * size,
                                             &t->ctx->error);
        if (s) return s;
    }
    return MN_OK;
}

mn_status mn_fill(mn_tensor *t, double value) {
    if (!t) return MN_ERR_ARG;
    if (value == 0 && !signbit(value)) return t->ctx->device->zero(t->ctx->device_state, t->data, bytes_of(t), &t->ctx->error);
    double element;
    put_element(&element, t->dtype, 0, value);
    return t->ctx->device->fill(t->ctx->device_state, t->data, &element, mn_dtype_size(t->dtype), t->count, &t->ctx->error);
}

typedef struct draw {
    uint64_t seed, stream;
    double a, b;
} draw;
static double uniform_element(void *arg, int64_t i) {
    draw *d = arg;
    uint32_t w[4];
    mn__philox(d->seed, d->stream, (uint64_t)i, w);
    return d->a + (d->b - d->a) * ((double)w[0] * (1.0 / 4294967296.0));
}
static double normal_element(void *arg, int64_t i) {
    draw *d = arg;
    uint32_t w[4];
    mn__philox(d->seed, d->stream, (uint64_t)i, w);
    double u = 1.0 - (double)w[0] * (1.0 / 4294967296.0), v = (double)w[1] * (1.0 / 4294967296.0);
    return d->a + d->b * sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
mn_status mn_fill_uniform(mn_tensor *t, uint64_t stream, double lo, double hi) {
    return t ? fill_by(t, uniform_element, &(draw){t->ctx->seed, stream, lo, hi}) : MN_ERR_ARG;
}
mn_status mn_fill_normal(mn_tensor *t, uint64_t stream, double mean, double deviation) {
    return t ? fill_by(t, normal_element, &(draw){t->ctx->seed, stream, mean, deviation}) : MN_ERR_ARG;
}
