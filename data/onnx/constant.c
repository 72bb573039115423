/* Constants of an ONNX graph: what the file holds, and the operators that are computed while reading. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <math.h>
#include <string.h>

/* ---- tensors of the file ---- */

static size_t type_size(int type) {
    switch (type) {
    case MN__ONNX_UINT8:
    case MN__ONNX_INT8:
    case MN__ONNX_BOOL:
        return 1;
    case MN__ONNX_FLOAT16:
        return 2;
    case MN__ONNX_FLOAT:
    case MN__ONNX_INT32:
        return 4;
    case MN__ONNX_INT64:
    case MN__ONNX_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

static const char *name_of(const Onnx__TensorProto *t) { return t->name && *t->name ? t->name : "(constant)"; }

/* Does the message hold `count` numbers of its type? */
static bool holds(const Onnx__TensorProto *t, int64_t count) {
    if (t->has_raw_data) return t->raw_data.len == (size_t)count * type_size(t->data_type);
    switch (t->data_type) {
    case MN__ONNX_FLOAT:
        return t->n_float_data == (size_t)count;
    case MN__ONNX_DOUBLE:
        return t->n_double_data == (size_t)count;
    case MN__ONNX_INT64:
        return t->n_int64_data == (size_t)count;
    default:
        return t->n_int32_data == (size_t)count;
    }
}

mn_status mn__onnx_constant_set(mn__onnx_reader *r, mn__onnx_value *v, const Onnx__TensorProto *t) {
    int64_t count = 1;
    if (t->has_data_location && t->data_location)
        return mn_fail(r->err, MN_ERR_UNSUPPORTED, "the tensor \"%.100s\" lies in another file; hint: save the model as one file",
                       name_of(t));
    if (!type_size(t->data_type))
        return mn_fail(r->err, MN_ERR_UNSUPPORTED,
                       "the tensor \"%.100s\" has data type %d; wanted float, double, float16 or "
                       "whole numbers",
                       name_of(t), t->data_type);
    if (t->n_dims > MN__ONNX_MAX_RANK)
        return mn_fail(r->err, MN_ERR_FORMAT, "the tensor \"%.100s\" has %zu dimensions; wanted at most %d", name_of(t),
                       t->n_dims, MN__ONNX_MAX_RANK);
    for (size_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] < 0 || __builtin_mul_overflow(count, t->dims[i], &count) || count > MN__MAX_PARAMETERS)
            return mn_fail(r->err, MN_ERR_FORMAT, "the tensor \"%.100s\" has an impossible shape", name_of(t));
    if (!holds(t, count))
        return mn_fail(r->err, MN_ERR_FORMAT, "the tensor \"%.100s\" does not hold the %lld numbers that its shape says",
                       name_of(t), (long long)count);
    bool real = t->data_type == MN__ONNX_FLOAT || t->data_type == MN__ONNX_DOUBLE || t->data_type == MN__ONNX_FLOAT16;
    v->kind = MN__ONNX_CONSTANT, v->tensor = t, v->whole = !real, v->rank = (int)t->n_dims;
    for (int i = 0; i < v->rank; i++) v->dim[i] = t->dims[i];
    return MN_OK;
}

static double raw(const uint8_t *p, int type) {
    uint64_t bits = 0;
    for (size_t k = type_size(type); k-- > 0;) bits = bits << 8 | p[k];
    switch (type) {
    case MN__ONNX_FLOAT: {
        uint32_t b = (uint32_t)bits;
        float f;
        memcpy(&f, &b, sizeof f);
        return f;
    }
    case MN__ONNX_DOUBLE: {
        double d;
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    case MN__ONNX_FLOAT16:
        return mn__half((uint16_t)bits);
    case MN__ONNX_INT8:
        return (int8_t)bits;
    case MN__ONNX_INT32:
        return (int32_t)bits;
    case MN__ONNX_INT64:
        return (double)(int64_t)bits;
    default:
        return (double)bits;
    }
}

static double element(const Onnx__TensorProto *t, int64_t i) {
    if (t->has_raw_data) return raw(t->raw_data.data + (size_t)i * type_size(t->data_type), t->data_type);
    switch (t->data_type) {
    case MN__ONNX_FLOAT:
        return t->float_data[i];
    case MN__ONNX_DOUBLE:
        return t->double_data[i];
    case MN__ONNX_INT64:
        return (double)t->int64_data[i];
    case MN__ONNX_FLOAT16:
        return mn__half((uint16_t)t->int32_data[i]);
    default:
        return t->int32_data[i];
    }
}

/* ---- numbers ---- */

int64_t mn__onnx_count(const mn__onnx_value *v) {
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->dim[i];
    return n;
}

double *mn__onnx_new_numbers(mn__onnx_reader *r, int64_t count) {
    if (r->err->status) return NULL;
    size_t bytes = (size_t)count * sizeof(double);
    if (bytes > r->budget) {
        mn_fail(r->err, MN_ERR_FORMAT, "the constants of the graph are many times the file's size");
        return NULL;
    }
    r->budget -= bytes;
    double *p = mn_alloc(bytes + sizeof *p);
    if (!p) mn_fail(r->err, MN_ERR_MEMORY, "out of host memory for the constants of the graph");
    return p;
}

/* The reader frees it at the end. */
static double *keep(mn__onnx_reader *r, double *p) {
    if (p && r->n_owned == r->owned_room) {
        size_t room = r->owned_room ? 2 * r->owned_room : 64;
        double **list = mn_realloc(r->owned, r->owned_room * sizeof *list, room * sizeof *list);
        if (!list) {
            mn_free(p);
            return mn_fail(r->err, MN_ERR_MEMORY, "out of host memory for the constants of the graph"), NULL;
        }
        r->owned = list, r->owned_room = room;
    }
    if (p) r->owned[r->n_owned++] = p;
    return p;
}

double *mn__onnx_numbers_copy(mn__onnx_reader *r, mn__onnx_value *v) {
    int64_t count = mn__onnx_count(v);
    double *p = mn__onnx_new_numbers(r, count);
    if (p && v->number) memcpy(p, v->number, (size_t)count * sizeof *p);
    for (int64_t i = 0; p && !v->number && i < count; i++) p[i] = element(v->tensor, i);
    return p;
}

const double *mn__onnx_numbers(mn__onnx_reader *r, mn__onnx_value *v) {
    if (!v->number) v->number = keep(r, mn__onnx_numbers_copy(r, v));
    return v->number;
}

mn_status mn__onnx_constant_own(mn__onnx_reader *r, mn__onnx_value *v, bool whole, int rank, int64_t n, double *number) {
    if (!(number = keep(r, number))) return r->err->status;
    v->kind = MN__ONNX_CONSTANT, v->whole = whole, v->rank = rank, v->dim[0] = n, v->number = number;
    return MN_OK;
}

mn_status mn__onnx_set_weight(mn__onnx_reader *r, mn_sym x, int k, double *number, int64_t count) {
    if (x >= 0 && number && mn_shape_count(r->m->layer[x]->weight[k].shape) != count)
        mn__onnx_fail(r, MN_ERR_SHAPE, "the weight \"%s\" has %lld numbers; wanted %lld", r->m->layer[x]->weight[k].name,
                      (long long)count, (long long)mn_shape_count(r->m->layer[x]->weight[k].shape));
    if (r->err->status || x < 0 || !number) {
        mn_free(number);
        return mn__onnx_fail(r, MN_ERR_FORMAT, "%s", r->c->error.text);
    }
    if (r->n_pending == r->pending_room) {
        size_t room = r->pending_room ? 2 * r->pending_room : 64;
        mn__onnx_pending *list = mn_realloc(r->pending, r->pending_room * sizeof *list, room * sizeof *list);
        if (!list) {
            mn_free(number);
            return mn_fail(r->err, MN_ERR_MEMORY, "out of host memory for the list of weights");
        }
        r->pending = list, r->pending_room = room;
    }
    r->pending[r->n_pending++] = (mn__onnx_pending){x, k, number};
    return MN_OK;
}

/* ---- operators among constants ---- */

/* Output 0 as a constant of v's type with room for its numbers. */
static double *begin(mn__onnx_reader *r, bool whole, int rank, const int64_t *dim) {
    mn__onnx_value *y = mn__onnx_out(r, 0);
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(count, dim[i], &count) || count > MN__MAX_PARAMETERS)
            return mn__onnx_fail(r, MN_ERR_FORMAT, "the result has an impossible shape"), NULL;
    y->kind = MN__ONNX_CONSTANT, y->whole = whole, y->rank = rank, y->tensor = NULL;
    memcpy(y->dim, dim, (size_t)rank * sizeof *dim);
    y->number = keep(r, mn__onnx_new_numbers(r, count));
    if (!y->number) y->kind = MN__ONNX_NOTHING;
    return y->number;
}

/* The same numbers under another shape. */
static mn_status same_numbers(mn__onnx_reader *r, const mn__onnx_value *v, int rank, const int64_t *dim) {
    mn__onnx_value *y = mn__onnx_out(r, 0);
    mn__onnx_value own = *y;
    int64_t copy[MN__ONNX_MAX_RANK], count = 1; /* dim may be v's */
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(count, copy[i] = dim[i], &count))
            return mn__onnx_fail(r, MN_ERR_FORMAT, "the result has an impossible shape");
    if (count != mn__onnx_count(v)) return mn__onnx_fail(r, MN_ERR_SHAPE, "the number of elements changes");
    *y = *v;
    y->name = own.name, y->readers = own.readers, y->rank = rank;
    memcpy(y->dim, copy, (size_t)rank * sizeof *copy);
    return MN_OK;
}

static mn_status reshape(mn__onnx_reader *r, mn__onnx_value *v) {
    mn__onnx_value *shape = mn__onnx_constant(r, 1);
    const double *s = shape ? mn__onnx_numbers(r, shape) : NULL;
    int64_t dim[MN__ONNX_MAX_RANK], n = s ? mn__onnx_count(shape) : 0, known = 1, open = -1;
    if (!s) return r->err->status;
    if (n > MN__ONNX_MAX_RANK) return mn__onnx_fail(r, MN_ERR_FORMAT, "the shape has %lld dimensions", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (!(s[i] >= -1 && s[i] <= 1e15))
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a constant would get the batch as a dimension");
        dim[i] = (int64_t)s[i];
        if (dim[i] == 0 && i < v->rank) dim[i] = v->dim[i];
        if (dim[i] < 0)
            open = i;
        else if (__builtin_mul_overflow(known, dim[i], &known))
            return mn__onnx_fail(r, MN_ERR_FORMAT, "the shape is impossible");
    }
    if (open >= 0) dim[open] = known ? mn__onnx_count(v) / known : 0;
    return same_numbers(r, v, (int)n, dim);
}

static mn_status squeeze(mn__onnx_reader *r, mn__onnx_value *v, bool un) {
    int64_t axis[MN__ONNX_MAX_RANK], dim[MN__ONNX_MAX_RANK];
    int n, rank = 0, total;
    bool chosen[MN__ONNX_MAX_RANK] = {false};
    if (mn__onnx_list(r, "axes", 1, axis, &n)) return r->err->status;
    total = un ? v->rank + n : v->rank;
    if (total > MN__ONNX_MAX_RANK) return mn__onnx_fail(r, MN_ERR_FORMAT, "the result has %d dimensions", total);
    for (int i = 0; i < n; i++) {
        int a = mn__onnx_axis(r, axis[i], total);
        if (a < 0) return r->err->status;
        chosen[a] = true;
    }
    for (int i = 0, from = 0; i < total; i++) {
        if (un)
            dim[rank++] = chosen[i] ? 1 : from < v->rank ? v->dim[from++] : 1;
        else if (n < 0 ? v->dim[i] != 1 : !chosen[i])
            dim[rank++] = v->dim[i];
    }
    return same_numbers(r, v, rank, dim);
}

static mn_status transpose(mn__onnx_reader *r, mn__onnx_value *v) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, "perm");
    int64_t dim[MN__ONNX_MAX_RANK], step[MN__ONNX_MAX_RANK], at[MN__ONNX_MAX_RANK] = {0}, stride[MN__ONNX_MAX_RANK];
    unsigned seen = 0;
    if (a && a->n_ints != (size_t)v->rank)
        return mn__onnx_fail(r, MN_ERR_FORMAT, "perm has %zu numbers; wanted %d", a->n_ints, v->rank);
    int64_t rest = 1;
    for (int i = v->rank - 1; i >= 0; i--) step[i] = rest, rest *= v->dim[i];
    for (int i = 0; i < v->rank; i++) {
        int64_t p = a ? a->ints[i] : v->rank - 1 - i;
        if (p < 0 || p >= v->rank || seen >> p & 1) return mn__onnx_fail(r, MN_ERR_FORMAT, "perm is no permutation");
        seen |= 1u << p;
        dim[i] = v->dim[p], stride[i] = step[p];
    }
    const double *from = mn__onnx_numbers(r, v);
    double *to = from ? begin(r, v->whole, v->rank, dim) : NULL;
    if (!to) return r->err->status;
    for (int64_t i = 0, n = mn__onnx_count(v), place = 0; i < n; i++) {
        to[i] = from[place];
        for (int d = v->rank - 1; d >= 0; d--) {
            place += stride[d];
            if (++at[d] < dim[d]) break;
            place -= at[d] * stride[d], at[d] = 0;
        }
    }
    return MN_OK;
}

/* Rows of dimension `axis` of v, each `inner` numbers, `outer` times. */
static void strides(const mn__onnx_value *v, int axis, int64_t *outer, int64_t *inner) {
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++) *outer *= v->dim[i];
    for (int i = axis + 1; i < v->rank; i++) *inner *= v->dim[i];
}

static mn_status take(mn__onnx_reader *r, mn__onnx_value *v, int axis, const int64_t *index, int64_t n, bool drop) {
    int64_t dim[MN__ONNX_MAX_RANK], outer, inner, k = v->dim[axis];
    int rank = 0;
    for (int i = 0; i < v->rank; i++)
        if (i != axis)
            dim[rank++] = v->dim[i];
        else if (!drop)
            dim[rank++] = n;
    strides(v, axis, &outer, &inner);
    const double *from = mn__onnx_numbers(r, v);
    double *to = from ? begin(r, v->whole, rank, dim) : NULL;
    for (int64_t o = 0; to && o < outer; o++)
        for (int64_t i = 0; i < n; i++)
            memcpy(to + (o * n + i) * inner, from + (o * k + index[i]) * inner, (size_t)inner * sizeof *to);
    return r->err->status;
}

static mn_status gather(mn__onnx_reader *r, mn__onnx_value *v) {
    enum { MOST = 64 };
    mn__onnx_value *indices = mn__onnx_constant(r, 1);
    const double *p = indices ? mn__onnx_numbers(r, indices) : NULL;
    int axis = p ? mn__onnx_axis(r, mn__onnx_get_int(r, "axis", 0), v->rank) : -1;
    int64_t index[MOST], n = p ? mn__onnx_count(indices) : 0;
    if (axis < 0) return r->err->status;
    if (n > MOST || indices->rank > 1) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "indices of that shape are not supported");
    for (int64_t i = 0; i < n; i++) {
        double k = p[i] < 0 ? p[i] + (double)v->dim[axis] : p[i];
        if (!(k >= 0 && k < (double)v->dim[axis]))
            return mn__onnx_fail(r, MN_ERR_FORMAT, "index %g is outside of the constant", p[i]);
        index[i] = (int64_t)k;
    }
    return take(r, v, axis, index, n, indices->rank == 0);
}

/* A start or an end among n rows; a negative one counts from the end. */
static int64_t place_among(int64_t at, int64_t n, int64_t lo, int64_t hi) {
    at = at < 0 ? at + n : at;
    return at < lo ? lo : at > hi ? hi : at;
}

static mn_status slice(mn__onnx_reader *r, mn__onnx_value *v) {
    enum { MOST = 64 };
    int64_t start[MN__ONNX_MAX_RANK], end[MN__ONNX_MAX_RANK], axes[MN__ONNX_MAX_RANK], steps[MN__ONNX_MAX_RANK], index[MOST],
        taken = 0;
    int ns, ne, na, nt;
    if (mn__onnx_list(r, "starts", 1, start, &ns) || mn__onnx_list(r, "ends", 2, end, &ne) ||
        mn__onnx_list(r, "axes", 3, axes, &na) || mn__onnx_list(r, "steps", 4, steps, &nt))
        return r->err->status;
    int64_t step = nt == 1 ? steps[0] : 1;
    if (ns != 1 || ne != 1 || na > 1 || nt > 1 || !step || step > MOST || step < -MOST)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a slice of a constant along several dimensions, or with large steps");
    int axis = mn__onnx_axis(r, na == 1 ? axes[0] : 0, v->rank);
    if (axis < 0) return r->err->status;
    int64_t n = v->dim[axis], lo = step > 0 ? 0 : -1, hi = step > 0 ? n : n - 1;
    int64_t from = place_among(start[0], n, lo, hi), to = place_among(end[0], n, lo, hi);
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step) {
        if (taken == MOST) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a slice of more than %d rows of a constant", MOST);
        index[taken++] = i;
    }
    return take(r, v, axis, index, taken, false);
}

static mn_status concat(mn__onnx_reader *r) {
    mn__onnx_value *v = mn__onnx_constant(r, 0);
    int axis = v ? mn__onnx_axis(r, mn__onnx_get_int(r, "axis", 0), v->rank) : -1;
    int64_t dim[MN__ONNX_MAX_RANK], outer, inner, at = 0;
    if (axis < 0) return r->err->status;
    memcpy(dim, v->dim, sizeof dim);
    dim[axis] = 0;
    for (size_t i = 0; i < r->node->n_input; i++) {
        mn__onnx_value *k = mn__onnx_constant(r, i);
        if (!k) return r->err->status;
        bool fits = k->rank == v->rank;
        for (int d = 0; d < v->rank && fits; d++) fits = d == axis || k->dim[d] == v->dim[d];
        if (!fits || __builtin_add_overflow(dim[axis], k->dim[axis], &dim[axis]))
            return mn__onnx_fail(r, MN_ERR_SHAPE, "the constants do not fit together");
    }
    double *to = begin(r, v->whole, v->rank, dim);
    strides(mn__onnx_out(r, 0), axis, &outer, &inner);
    for (size_t i = 0; to && i < r->node->n_input; i++) {
        mn__onnx_value *k = mn__onnx_constant(r, i);
        const double *from = mn__onnx_numbers(r, k);
        int64_t rows = k->dim[axis] * inner;
        for (int64_t o = 0; from && o < outer; o++)
            memcpy(to + o * dim[axis] * inner + at, from + o * rows, (size_t)rows * sizeof *to);
        at += rows;
    }
    return r->err->status;
}

/* The number of samples takes part in no sum: a result that would depend on it is NaN. */
static double combine(char op, double a, double b, bool whole) {
    bool batch = a == MN__ONNX_BATCH || b == MN__ONNX_BATCH;
    if (batch && op == '*' && (a == 1 || b == 1)) return MN__ONNX_BATCH;
    if (batch && op == '/' && b == 1) return a;
    if (batch) return (double)NAN;
    switch (op) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    default:
        return whole ? (b != 0 ? trunc(a / b) : (double)NAN) : a / b;
    }
}

static mn_status arithmetic(mn__onnx_reader *r, char op) {
    mn__onnx_value *a = mn__onnx_constant(r, 0), *b = mn__onnx_constant(r, 1);
    if (!a || !b) return r->err->status;
    int64_t na = mn__onnx_count(a), nb = mn__onnx_count(b);
    const mn__onnx_value *large = na >= nb ? a : b;
    if (na != nb && na != 1 && nb != 1) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "constants of different shapes");
    const double *p = mn__onnx_numbers(r, a), *q = p ? mn__onnx_numbers(r, b) : NULL;
    double *y = q ? begin(r, a->whole && b->whole, large->rank, large->dim) : NULL;
    for (int64_t i = 0; y && i < (na > nb ? na : nb); i++)
        y[i] = combine(op, p[na == 1 ? 0 : i], q[nb == 1 ? 0 : i], a->whole && b->whole);
    return r->err->status;
}

static mn_status unary(mn__onnx_reader *r, mn__onnx_value *v, double (*f)(double)) {
    const double *p = mn__onnx_numbers(r, v);
    double *y = p ? begin(r, v->whole, v->rank, v->dim) : NULL;
    for (int64_t i = 0; y && i < mn__onnx_count(v); i++) y[i] = p[i] == MN__ONNX_BATCH ? p[i] : f(p[i]);
    return r->err->status;
}

static double negative(double x) { return -x; }

static mn_status cast(mn__onnx_reader *r, mn__onnx_value *v) {
    mn_status s = same_numbers(r, v, v->rank, v->dim);
    int64_t to = mn__onnx_get_int(r, "to", MN__ONNX_FLOAT);
    bool whole = to != MN__ONNX_FLOAT && to != MN__ONNX_DOUBLE && to != MN__ONNX_FLOAT16;
    if (s || !whole || v->whole) {
        mn__onnx_out(r, 0)->whole = whole;
        return s;
    }
    s = unary(r, v, trunc);
    mn__onnx_out(r, 0)->whole = true;
    return s;
}

/* ConstantOfShape. Where the number of samples is in the shape, only zeros can be said. */
static mn_status filled(mn__onnx_reader *r) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, "value");
    mn__onnx_value *shape = mn__onnx_constant(r, 0), *y = mn__onnx_out(r, 0), fill = {0};
    const double *p = shape ? mn__onnx_numbers(r, shape) : NULL;
    int64_t dim[MN__ONNX_MAX_RANK], n = p ? mn__onnx_count(shape) : 0;
    double number = 0;
    if (!p || (a && a->t && mn__onnx_constant_set(r, &fill, a->t))) return r->err->status;
    if (a && a->t && mn__onnx_count(&fill) == 1) number = element(a->t, 0);
    bool known = n <= MN__ONNX_MAX_RANK;
    for (int64_t i = 0; i < n && known; i++) {
        known = p[i] >= 0 && p[i] <= 1e9;
        if (known) dim[i] = (int64_t)p[i];
    }
    if (!known && number != 0) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a constant other than 0 for every sample");
    if (!known) return y->kind = MN__ONNX_ZEROS, MN_OK;
    double *to = begin(r, fill.whole, (int)n, dim);
    for (int64_t i = 0; to && i < mn__onnx_count(y); i++) to[i] = number;
    return r->err->status;
}

/* Zeros of a shape that is not known stay zeros, whatever is done to their shape. */
static bool stays_zero(mn__onnx_reader *r, const char *op) {
    static const char *const shapers[] = {"Expand",    "Slice",   "Concat",   "Transpose", "Squeeze",
                                          "Unsqueeze", "Reshape", "Identity", "Cast",      "Gather"};
    mn__onnx_value *v = mn__onnx_in(r, 0);
    bool zero = v && v->kind == MN__ONNX_ZEROS, found = false;
    const double *p = v && v->kind == MN__ONNX_CONSTANT && !strcmp(op, "Expand") ? mn__onnx_numbers(r, v) : NULL;
    for (int64_t i = 0; p && i < mn__onnx_count(v); i++)
        if (p[i] != 0) p = NULL;
    for (size_t i = 0; i < sizeof shapers / sizeof *shapers; i++) found |= !strcmp(op, shapers[i]);
    for (size_t i = 1; i < r->node->n_input && !strcmp(op, "Concat"); i++)
        zero = zero && mn__onnx_in(r, i) && mn__onnx_in(r, i)->kind == MN__ONNX_ZEROS;
    return p || (zero && found);
}

bool mn__onnx_is_constant_node(mn__onnx_reader *r) {
    for (size_t i = 0; i < r->node->n_input; i++) {
        const mn__onnx_value *v = mn__onnx_in(r, i);
        if (v && v->kind == MN__ONNX_LAYER) return false;
    }
    return r->node->n_input > 0;
}

mn_status mn__onnx_fold(mn__onnx_reader *r) {
    static const struct {
        const char *op;
        double (*f)(double);
    } functions[] = {{"Floor", floor}, {"Ceil", ceil}, {"Sqrt", sqrt}, {"Neg", negative}};
    static const struct {
        const char *op;
        char sign;
    } signs[] = {{"Add", '+'}, {"Sub", '-'}, {"Mul", '*'}, {"Div", '/'}};
    const char *op = r->node->op_type;
    mn__onnx_value *v = mn__onnx_in(r, 0);
    if (!strcmp(op, "ConstantOfShape")) return filled(r);
    if (stays_zero(r, op)) return mn__onnx_out(r, 0)->kind = MN__ONNX_ZEROS, MN_OK;
    if (!(v = mn__onnx_constant(r, 0))) return r->err->status;
    if (!strcmp(op, "Identity")) return same_numbers(r, v, v->rank, v->dim);
    if (!strcmp(op, "Cast")) return cast(r, v);
    if (!strcmp(op, "Reshape")) return reshape(r, v);
    if (!strcmp(op, "Squeeze") || !strcmp(op, "Unsqueeze")) return squeeze(r, v, *op == 'U');
    if (!strcmp(op, "Transpose")) return transpose(r, v);
    if (!strcmp(op, "Gather")) return gather(r, v);
    if (!strcmp(op, "Slice")) return slice(r, v);
    if (!strcmp(op, "Concat")) return concat(r);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (!strcmp(op, signs[i].op)) return arithmetic(r, signs[i].sign);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(op, functions[i].op)) return unary(r, v, functions[i].f);
    return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "of constants is not supported");
}
#endif
