/* NumPy's .npy files: a signature, a Python dictionary that says type and shape, the numbers.
 * Format: numpy.lib.format, versions 1.0, 2.0 and 3.0. */
#include "data/internal.h"
#include "layers/internal.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_LIMIT = 65536, PIECE = 64 }; /* the numbers begin at a multiple of PIECE */

void mn_array_free(mn_array *a) {
    mn_free(a->name);
    mn_free(a->data);
    *a = (mn_array){0};
}

/* ---- types: as files say them, and as they are in memory ---- */

static const struct type {
    const char *code;
    char kind;
    int size;
    mn_dtype dtype;
} types[] = {{"f4", 'f', 4, MN_F32}, {"f8", 'f', 8, MN_F64}, {"f2", 'h', 2, MN_F32}, {"i4", 'i', 4, MN_I32},
             {"i8", 'i', 8, MN_I32}, {"u1", 'u', 1, MN_U8},  {"b1", 'u', 1, MN_U8}};

float mn__half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, m = h & 1023, bits;
    if (exponent == 31)
        bits = sign | 0x7f800000 | m << 13;
    else if (exponent)
        bits = sign | (exponent + 112) << 23 | m << 13;
    else { /* a subnormal number: m times 2^-24 */
        float f = (float)m * 0x1p-24f;
        return sign ? -f : f;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* n numbers from the file's order and size into memory's. */
static mn_status convert(const struct type *t, bool big, const uint8_t *from, int64_t n, void *to, mn_error *err) {
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = 0;
        for (int k = 0; k < t->size; k++) bits |= (uint64_t)from[i * t->size + k] << 8 * (big ? t->size - 1 - k : k);
        if (t->dtype == MN_U8)
            ((uint8_t *)to)[i] = (uint8_t)bits;
        else if (t->kind == 'h')
            ((float *)to)[i] = mn__half((uint16_t)bits);
        else if (t->dtype == MN_F64)
            memcpy((double *)to + i, &bits, 8);
        else if (t->size == 8 && ((int64_t)bits < INT32_MIN || (int64_t)bits > INT32_MAX))
            return mn_fail(err, MN_ERR_UNSUPPORTED, "element %lld is %lld; wanted at most 32 bits", (long long)i,
                           (long long)(int64_t)bits);
        else {
            uint32_t word = (uint32_t)bits;
            memcpy((char *)to + 4 * i, &word, 4);
        }
    }
    return MN_OK;
}

/* ---- the dictionary ---- */

typedef struct header {
    const struct type *type;
    bool big, fortran;
    mn_shape shape;
} header;

static const char *after(const char *text, const char *key) {
    const char *p = strstr(text, key);
    if (!p) return NULL;
    p += strlen(key);
    while (*p == ' ') p++;
    if (*p++ != ':') return NULL;
    while (*p == ' ') p++;
    return p;
}

static mn_status read_type(const char *p, header *h, mn_error *err) {
    h->type = NULL;
    if (p && (*p == '\'' || *p == '"') && strchr("<>|=", p[1]) && p[1])
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            if (!strncmp(p + 2, types[i].code, 2) && p[4] == *p) h->type = &types[i];
    if (!h->type)
        return mn_fail(err, MN_ERR_UNSUPPORTED, "the numbers' type (descr) is %.20s; wanted f2, f4, f8, i4, i8, u1 or b1",
                       p ? p : "missing");
    h->big = p[1] == '>';
    return MN_OK;
}

static mn_status read_shape(const char *p, header *h, int64_t *count, mn_error *err) {
    h->shape = (mn_shape){0};
    *count = 1;
    if (!p || *p++ != '(') return mn_fail(err, MN_ERR_FORMAT, "the header has no shape");
    for (;;) {
        while (*p == ' ' || *p == ',') p++;
        if (*p == ')') return MN_OK;
        char *end;
        if (!isdigit((unsigned char)*p)) return mn_fail(err, MN_ERR_FORMAT, "the shape in the header is not understood");
        long long d = strtoll(p, &end, 10);
        if (h->shape.ndim == MN_MAX_DIMS)
            return mn_fail(err, MN_ERR_UNSUPPORTED, "the array has more than %d dimensions", MN_MAX_DIMS);
        if (__builtin_mul_overflow(*count, d, count) || *count > (int64_t)1 << 40)
            return mn_fail(err, MN_ERR_FORMAT, "the shape in the header is impossible");
        h->shape.dim[h->shape.ndim++] = d;
        p = end;
    }
}

/* Reads the header; *at: where the numbers begin. */
static mn_status read_header(const uint8_t *b, size_t size, header *h, size_t *at, int64_t *count, mn_error *err) {
    char text[HEADER_LIMIT + 1];
    if (size < 10 || memcmp(b, "\x93NUMPY", 6)) return mn_fail(err, MN_ERR_FORMAT, "is no .npy file");
    if (b[6] < 1 || b[6] > 3) return mn_fail(err, MN_ERR_UNSUPPORTED, "has version %d.%d; wanted 1 to 3", b[6], b[7]);
    size_t start = b[6] == 1 ? 10 : 12, n = b[8] | (size_t)b[9] << 8;
    if (b[6] > 1 && size >= 12) n |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (size < start || n > size - start || n > HEADER_LIMIT) return mn_fail(err, MN_ERR_FORMAT, "the header is cut off");
    memcpy(text, b + start, n);
    text[n] = 0;
    const char *order = after(text, "'fortran_order'");
    if (!order || (strncmp(order, "True", 4) && strncmp(order, "False", 5)))
        return mn_fail(err, MN_ERR_FORMAT, "the header has no fortran_order");
    h->fortran = *order == 'T';
    mn_status s = read_type(after(text, "'descr'"), h, err);
    if (s == MN_OK) s = read_shape(after(text, "'shape'"), h, count, err);
    *at = start + n;
    return s;
}

/* From the first dimension running fastest to the last. */
static void transpose(const char *from, char *to, mn_shape s, size_t size) {
    int64_t at[MN_MAX_DIMS] = {0}, n = mn_shape_count(s), step[MN_MAX_DIMS];
    int64_t place = 0, rest = 1;
    for (int d = 0; d < s.ndim; d++) step[d] = rest, rest *= s.dim[d];
    for (int64_t i = 0; i < n; i++) {
        memcpy(to + (size_t)i * size, from + (size_t)place * size, size);
        for (int d = s.ndim - 1; d >= 0; d--) {
            place += step[d];
            if (++at[d] < s.dim[d]) break;
            place -= at[d] * step[d], at[d] = 0;
        }
    }
}

mn_status mn__npy_decode(const uint8_t *bytes, size_t size, mn_array *out, mn_error *err) {
    header h;
    size_t at;
    int64_t count;
    *out = (mn_array){0};
    mn_status s = read_header(bytes, size, &h, &at, &count, err);
    if (s) return s;
    if ((uint64_t)count * (uint64_t)h.type->size != size - at)
        return mn_fail(err, MN_ERR_FORMAT, "%zu bytes follow the header; the shape says %lld", size - at,
                       (long long)count * h.type->size);
    size_t memory = (size_t)count * mn_dtype_size(h.type->dtype);
    bool turn = h.fortran && h.shape.ndim > 1;
    void *p = mn_alloc(memory + 1), *q = turn ? mn_alloc(memory + 1) : NULL;
    s = p && (q || !turn) ? convert(h.type, h.big, bytes + at, count, turn ? q : p, err)
                          : mn_fail(err, MN_ERR_MEMORY, "no memory for %lld numbers", (long long)count);
    if (s == MN_OK && turn) transpose(q, p, h.shape, mn_dtype_size(h.type->dtype));
    mn_free(q);
    if (s)
        mn_free(p);
    else
        *out = (mn_array){.dtype = h.type->dtype, .shape = h.shape, .data = p};
    return s;
}

mn_status mn_npy_load(const char *path, mn_array *out, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    uint8_t *bytes;
    size_t size;
    *out = (mn_array){0};
    mn_status s = mn__read_file(path, (size_t)1 << 36, &bytes, &size, e);
    if (s) return s;
    s = mn__npy_decode(bytes, size, out, e);
    mn_free(bytes);
    if (s) mn_error_prefix(e, "%s", path);
    return s;
}

/* ---- writing ---- */

/* Numbers in the file's order, a piece at a time where it is not the machine's. */
bool mn__write_numbers(FILE *f, const void *data, size_t count, size_t size) {
    char piece[4096];
    for (size_t done = 0; done < count;) {
        size_t n = count - done < sizeof piece / size ? count - done : sizeof piece / size;
        memcpy(piece, (const char *)data + done * size, n * size);
        mn__little_endian(piece, n, size);
        if (fwrite(piece, size, n, f) != n) return false;
        done += n;
    }
    return true;
}

mn_status mn_npy_save(const char *path, mn_dtype dtype, mn_shape shape, const void *data, mn_error *err) {
    static const char *const codes[MN_DTYPE_COUNT] = {"<f4", "<f8", "<i4", "|u1"};
    char text[4 * PIECE];
    mn__replace r;
    mn_status s = mn__replace_begin(&r, path, err);
    if (s) return s;
    memcpy(text, "\x93NUMPY\x01\x00", 8);
    int n = 10 + snprintf(text + 10, sizeof text - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (", codes[dtype]);
    for (int d = 0; d < shape.ndim; d++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%lld", d ? ", " : "", (long long)shape.dim[d]);
    n += snprintf(text + n, sizeof text - (size_t)n, "%s), }", shape.ndim == 1 ? "," : "");
    int whole = (n + PIECE) / PIECE * PIECE;
    memset(text + n, ' ', (size_t)(whole - n - 1));
    text[whole - 1] = '\n';
    text[8] = (char)((whole - 10) & 255), text[9] = (char)((whole - 10) >> 8);
    if (fwrite(text, 1, (size_t)whole, r.f) == (size_t)whole &&
        mn__write_numbers(r.f, data, (size_t)mn_shape_count(shape), mn_dtype_size(dtype)))
        return mn__replace_commit(&r, err);
    mn__replace_abort(&r);
    return mn_fail(err, MN_ERR_IO, "%s: cannot be written; hint: is the disk full?", path);
}
