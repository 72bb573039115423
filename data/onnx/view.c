/* Shapes and orders: what Reshape, Flatten, Transpose, Squeeze and Unsqueeze do to a value, and what a layer needs of one. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <string.h>

typedef mn__onnx_value value;
typedef mn__onnx_reader reader;

/* Dimension s of (N, view...). */
static int64_t stored_dim(const value *v, int s) { return s == 0 ? 0 : v->view.dim[s - 1]; }

static int dims_before_flat(const value *v, double *dim) {
    for (int d = 0; d <= v->view.ndim; d++) dim[d] = v->order[d] ? (double)stored_dim(v, v->order[d]) : MN__ONNX_BATCH;
    return v->view.ndim + 1;
}

int mn__onnx_dims(const value *v, double *dim) {
    int n = dims_before_flat(v, dim);
    if (!v->flat) return n;
    dim[1] = (double)mn_shape_count(v->view);
    return 2;
}

int mn__onnx_rank(const value *v) { return v->flat ? 2 : v->view.ndim + 1; }

int mn__onnx_axis(reader *r, int64_t axis, int rank) {
    int64_t a = axis < 0 ? axis + rank : axis;
    if (a >= 0 && a < rank) return (int)a;
    mn__onnx_fail(r, MN_ERR_FORMAT, "axis is %lld of a tensor of %d dimensions", (long long)axis, rank);
    return -1;
}

static bool in_order(const value *v) {
    for (int d = 0; d <= v->view.ndim; d++)
        if (v->order[d] != d) return false;
    return true;
}

static void set_view(value *v, mn_shape s) {
    v->view = s, v->flat = false;
    for (int d = 0; d <= MN_MAX_DIMS; d++) v->order[d] = d;
}

/* Where only dimensions of 1 are moved the numbers keep their order: the view can be the file's shape itself. */
static void simplify(value *v) {
    mn_shape s = {.ndim = v->view.ndim};
    int last = 0;
    if (v->order[0] != 0) return;
    for (int d = 1; d <= v->view.ndim; d++) {
        s.dim[d - 1] = stored_dim(v, v->order[d]);
        if (s.dim[d - 1] == 1) continue;
        if (v->order[d] < last) return;
        last = v->order[d];
    }
    set_view(v, v->flat ? MN_SHAPE(mn_shape_count(s)) : s);
}

/* ---- what layers read ---- */

mn_sym mn__onnx_stored(reader *r, value *v) {
    mn_model *m = r->m;
    if (v->x < 0 || mn_shape_equal(m->layer[v->x]->shape, v->view)) return v->x;
    if (v->view.ndim == 1)
        v->x = mn_layer_flatten(m, v->x, (mn_plain_layer){0});
    else
        v->x = mn_layer_reshape(m, v->x, (mn_reshape_layer){.target_shape = v->view});
    if (v->x < 0) mn__onnx_fail(r, MN_ERR_SHAPE, "%s", r->c->error.text);
    return v->x;
}

mn_sym mn__onnx_plain(reader *r, value *v, int ndim) {
    static const char *const kinds[] = {"", "features", "a sequence of features", "an image", "a sequence of images"};
    simplify(v);
    if (ndim && mn__onnx_rank(v) != ndim + 1)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "reads a tensor of %d dimensions; wanted %d, %s of a batch", mn__onnx_rank(v),
                             ndim + 1, ndim < 5 ? kinds[ndim] : "a value"),
               -1;
    if (!in_order(v) || v->flat)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED,
                             "reads a transposed tensor; that is supported where the dimensions are moved back "
                             "before, or before a dense layer"),
               -1;
    return mn__onnx_stored(r, v);
}

mn_status mn__onnx_align(reader *r, value **v, size_t n) {
    bool alike = true;
    for (size_t i = 0; i < n; i++) simplify(v[i]);
    for (size_t i = 1; i < n; i++)
        alike = alike && v[i]->view.ndim == v[0]->view.ndim && v[i]->flat == v[0]->flat &&
                !memcmp(v[i]->order, v[0]->order, sizeof v[0]->order);
    for (size_t i = 0; i < n; i++)
        if ((alike ? mn__onnx_stored(r, v[i]) : mn__onnx_plain(r, v[i], 0)) < 0) return r->err->status;
    return MN_OK;
}

mn_status mn__onnx_feature_places(reader *r, const value *v, int64_t **place) {
    *place = NULL;
    if (!v->flat) return MN_OK;
    int64_t count = mn_shape_count(v->view), step[MN_MAX_DIMS + 1], at[MN_MAX_DIMS + 1] = {0}, next = 0;
    int n = v->view.ndim;
    for (int s = n; s >= 1; s--) step[s] = s == n ? 1 : step[s + 1] * stored_dim(v, s + 1);
    int64_t *p = *place = mn_alloc((size_t)count * sizeof *p);
    if (!p) return mn_fail(r->err, MN_ERR_MEMORY, "out of host memory for the order of features");
    for (int64_t i = 0; i < count; i++) {
        p[i] = next;
        for (int d = n; d >= 1; d--) {
            int s = v->order[d];
            next += step[s];
            if (++at[d] < stored_dim(v, s)) break;
            next -= at[d] * step[s], at[d] = 0;
        }
    }
    return MN_OK;
}

/* ---- operators ---- */

static mn_status give_view(reader *r, const value *v) { return mn__onnx_give_like(r, v->x, v); }

/* (N, all the rest). */
static mn_status to_features(reader *r, value v) {
    simplify(&v);
    if (v.order[0] != 0) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "mixes samples: the batch is not the first dimension");
    if (in_order(&v))
        set_view(&v, MN_SHAPE(mn_shape_count(v.view)));
    else
        v.flat = true;
    return give_view(r, &v);
}

mn_status mn__onnx_flatten(reader *r) {
    value *v = mn__onnx_activation(r, 0);
    int64_t axis = mn__onnx_get_int(r, "axis", 1);
    if (!v) return r->err->status;
    if (axis != 1 && axis != 1 - mn__onnx_rank(v))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "axis is %lld; wanted 1", (long long)axis);
    return to_features(r, *v);
}

/* The sizes of a new shape; -1 among them is what is left. The first must be the batch. */
static mn_status target(reader *r, const value *v, const double *want, int64_t n, mn_shape *s) {
    double old[MN__ONNX_MAX_RANK];
    int rank = mn__onnx_dims(v, old), open = -1;
    int64_t known = 1, count = mn_shape_count(v->view);
    bool keep_zero = mn__onnx_get_int(r, "allowzero", 0) == 0;
    if (n < 1 || n > MN_MAX_DIMS)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the new shape has %lld dimensions; wanted 2 to %d", (long long)n,
                             MN_MAX_DIMS);
    if (n == 1) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the new shape has no dimension for the samples");
    bool batch_open = want[0] == -1, batch = want[0] == MN__ONNX_BATCH || batch_open ||
                                             (want[0] == 0 && old[0] == MN__ONNX_BATCH) ||
                                             (r->batch && want[0] == (double)r->batch);
    if (!batch) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the new shape begins with %g; wanted the batch, -1 or 0", want[0]);
    *s = (mn_shape){.ndim = (int)n - 1};
    for (int i = 1; i < n; i++) {
        double d = want[i] == 0 && keep_zero && i < rank ? old[i] : want[i];
        if (d == -1 && open < 0)
            open = i;
        else if (!(d >= 1 && d <= (double)MN__MAX_SAMPLE))
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "dimension %d of the new shape is %g", i, d);
        else
            s->dim[i - 1] = (int64_t)d;
        if (open != i && (__builtin_mul_overflow(known, s->dim[i - 1], &known) || known > count)) known = count + 1;
    }
    if (open > 0 && batch_open) return mn__onnx_fail(r, MN_ERR_FORMAT, "the new shape has two numbers -1");
    if (open > 0) s->dim[open - 1] = known ? count / known : 0;
    if (known <= count && mn_shape_count(*s) == count) return MN_OK;
    return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "mixes samples: a sample's %lld numbers do not make the new shape",
                         (long long)count);
}

mn_status mn__onnx_reshape(reader *r) {
    value *v = mn__onnx_activation(r, 0), *shape = v ? mn__onnx_constant(r, 1) : NULL;
    const double *want = shape ? mn__onnx_numbers(r, shape) : NULL;
    mn_shape s;
    if (!want || target(r, v, want, mn__onnx_count(shape), &s)) return r->err->status;
    if (s.ndim == 1) return to_features(r, *v);
    value y = *v;
    simplify(&y);
    if (!in_order(&y) || y.flat) {
        if (mn__onnx_plain(r, v, 0) < 0) return r->err->status;
        y = *v;
    }
    set_view(&y, s);
    return give_view(r, &y);
}

mn_status mn__onnx_transpose(reader *r) {
    value *v = mn__onnx_activation(r, 0);
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, "perm");
    unsigned seen = 0;
    if (!v || (v->flat && mn__onnx_plain(r, v, 0) < 0)) return r->err->status;
    value y = *v;
    int rank = mn__onnx_rank(v);
    if (a && a->n_ints != (size_t)rank)
        return mn__onnx_fail(r, MN_ERR_FORMAT, "perm has %zu numbers; wanted %d", a->n_ints, rank);
    for (int d = 0; d < rank; d++) {
        int64_t p = a ? a->ints[d] : rank - 1 - d;
        if (p < 0 || p >= rank || seen >> p & 1) return mn__onnx_fail(r, MN_ERR_FORMAT, "perm is no permutation");
        seen |= 1u << p;
        y.order[d] = v->order[p];
    }
    return give_view(r, &y);
}

void mn__onnx_remove_dim(value *v, int d) {
    int s = v->order[d], n = v->view.ndim;
    for (int i = d; i < n; i++) v->order[i] = v->order[i + 1];
    for (int i = s; i < n; i++) v->view.dim[i - 1] = v->view.dim[i];
    for (int i = 0; i < n; i++) v->order[i] -= v->order[i] > s;
    v->view.ndim = n - 1;
    for (int i = n; i <= MN_MAX_DIMS; i++) v->order[i] = i;
}

mn_status mn__onnx_squeeze(reader *r) {
    value *v = mn__onnx_activation(r, 0);
    int64_t axis[MN__ONNX_MAX_RANK];
    int n;
    bool chosen[MN__ONNX_MAX_RANK] = {false};
    if (!v || (v->flat && mn__onnx_plain(r, v, 0) < 0) || mn__onnx_list(r, "axes", 1, axis, &n)) return r->err->status;
    value y = *v;
    int rank = mn__onnx_rank(v);
    for (int i = 0; i < n; i++) {
        int a = mn__onnx_axis(r, axis[i], rank);
        if (a < 0) return r->err->status;
        chosen[a] = true;
    }
    for (int d = rank - 1; d >= 0; d--) {
        bool one = v->order[d] && stored_dim(v, v->order[d]) == 1;
        if (n >= 0 && chosen[d] && !one) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "dimension %d is not 1", d);
        if ((n < 0 ? one : chosen[d]) && y.view.ndim > 1) mn__onnx_remove_dim(&y, d);
    }
    return give_view(r, &y);
}

mn_status mn__onnx_unsqueeze(reader *r) {
    value *v = mn__onnx_activation(r, 0);
    int64_t axis[MN__ONNX_MAX_RANK];
    int n;
    bool chosen[MN__ONNX_MAX_RANK] = {false};
    if (!v || (v->flat && mn__onnx_plain(r, v, 0) < 0) || mn__onnx_list(r, "axes", 1, axis, &n)) return r->err->status;
    int rank = mn__onnx_rank(v), total = rank + (n > 0 ? n : 0);
    if (n < 1 || total > MN_MAX_DIMS)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the result has %d dimensions; wanted at most %d", total, MN_MAX_DIMS);
    for (int i = 0; i < n; i++) {
        int a = mn__onnx_axis(r, axis[i], total);
        if (a < 0) return r->err->status;
        if (chosen[a]) return mn__onnx_fail(r, MN_ERR_FORMAT, "axis %d is given twice", a);
        chosen[a] = true;
    }
    value y = *v;
    for (int d = 0, from = 0; d < total; d++) {
        if (!chosen[d])
            y.order[d] = v->order[from++];
        else
            y.view.dim[y.view.ndim++] = 1, y.order[d] = y.view.ndim;
    }
    return give_view(r, &y);
}
#endif
