/* ONNX operators that join tensors or take them apart. */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <string.h>

typedef mn__onnx_value value;
typedef mn__onnx_reader reader;

/* All inputs, none of them constant, in one order. */
static mn_status collect(reader *r, value **v, mn_sym *x) {
    size_t n = r->node->n_input;
    if (n < 1 || n > MN__MAX_LAYER_INPUTS)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "has %zu inputs; wanted 1 to %d", n, MN__MAX_LAYER_INPUTS);
    for (size_t i = 0; i < n; i++)
        if (!(v[i] = mn__onnx_activation(r, i))) return r->err->status;
    if (mn__onnx_align(r, v, n)) return r->err->status;
    for (size_t i = 0; i < n; i++) x[i] = v[i]->x;
    return MN_OK;
}

/* A product of (C,H,W) and (H,W), in the file's way of counting from the end, is left out. */
mn_status mn__onnx_join(reader *r, char op) {
    value *v[MN__MAX_LAYER_INPUTS];
    mn_sym x[MN__MAX_LAYER_INPUTS], y;
    if (op == '/') return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "divides by something that is not constant");
    if (collect(r, v, x)) return r->err->status;
    int n = (int)r->node->n_input;
    const char *name = mn__onnx_layer_name(r, NULL);
    if (op == '-') x[1] = mn_layer_rescaling(r->m, x[1], (mn_rescaling_layer){.scale = -1});
    if (n == 1)
        y = x[0];
    else
        y = op == '*' ? mn_layer_multiply(r->m, x, n, (mn_plain_layer){name}) : mn_layer_add(r->m, x, n, (mn_plain_layer){name});
    value like = *v[0];
    if (y >= 0) like.view = r->m->layer[y]->shape;
    return mn__onnx_give_like(r, y, &like);
}

/* Where only the part that Flatten or the like has left of it is seen, there is no dimension to take. */
static int stored_axis(reader *r, value *v, int64_t axis) {
    if (v->flat && mn__onnx_plain(r, v, 0) < 0) return -1;
    int a = mn__onnx_axis(r, axis, mn__onnx_rank(v));
    if (a < 0) return -1;
    if (v->order[a] == 0) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "acts along the samples"), -1;
    return a;
}

mn_status mn__onnx_concat(reader *r) {
    value *v[MN__MAX_LAYER_INPUTS];
    mn_sym x[MN__MAX_LAYER_INPUTS];
    if (collect(r, v, x)) return r->err->status;
    int a = stored_axis(r, v[0], mn__onnx_get_int(r, "axis", 1));
    if (a < 0) return r->err->status;
    mn_sym y = mn_layer_concatenate(r->m, x, (int)r->node->n_input,
                                    (mn_concatenate_layer){.name = mn__onnx_layer_name(r, NULL), .axis = v[0]->order[a]});
    value like = *v[0];
    if (y >= 0) like.view = r->m->layer[y]->shape;
    return mn__onnx_give_like(r, y, &like);
}

/* length elements from start on along dimension a of v, in its place. */
static mn_status cut(reader *r, value *v, int a, int64_t start, int64_t length) {
    mn_sym x = mn__onnx_stored(r, v);
    if (x < 0) return r->err->status;
    if (start == 0 && length == v->view.dim[v->order[a] - 1]) return MN_OK;
    if (start < 0 || length < 1 || start + length > v->view.dim[v->order[a] - 1])
        return mn__onnx_fail(r, MN_ERR_FORMAT, "takes %lld elements from %lld on; there are %lld", (long long)length,
                             (long long)start, (long long)v->view.dim[v->order[a] - 1]);
    v->x = mn_layer_slice(
        r->m, x,
        (mn_slice_layer){.name = mn__onnx_layer_name(r, NULL), .axis = v->order[a], .start = (int)start, .length = (int)length});
    if (v->x < 0) return mn__onnx_fail(r, MN_ERR_SHAPE, "%s", r->c->error.text);
    v->view = r->m->layer[v->x]->shape;
    return MN_OK;
}

mn_status mn__onnx_gather(reader *r) {
    value *in = mn__onnx_activation(r, 0), *index = in ? mn__onnx_constant(r, 1) : NULL;
    const double *p = index ? mn__onnx_numbers(r, index) : NULL;
    int a = p ? stored_axis(r, in, mn__onnx_get_int(r, "axis", 0)) : -1;
    if (a < 0) return r->err->status;
    if (mn__onnx_count(index) != 1 || index->rank > 1 || !(*p >= -1e9 && *p <= 1e9))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "gathers other than one element");
    value y = *in;
    if (cut(r, &y, a, (int64_t)*p + (*p < 0 ? in->view.dim[in->order[a] - 1] : 0), 1)) return r->err->status;
    if (index->rank == 0 && y.view.ndim > 1) mn__onnx_remove_dim(&y, a);
    return mn__onnx_give_like(r, y.x, &y);
}

mn_status mn__onnx_slice(reader *r) {
    value *in = mn__onnx_activation(r, 0);
    int64_t start[MN__ONNX_MAX_RANK], end[MN__ONNX_MAX_RANK], axis[MN__ONNX_MAX_RANK], step[MN__ONNX_MAX_RANK];
    int n, n_end, n_axis, n_step;
    if (!in || mn__onnx_list(r, "starts", 1, start, &n) || mn__onnx_list(r, "ends", 2, end, &n_end) ||
        mn__onnx_list(r, "axes", 3, axis, &n_axis) || mn__onnx_list(r, "steps", 4, step, &n_step))
        return r->err->status;
    if (n < 1 || n_end != n || (n_axis >= 0 && n_axis != n) || (n_step >= 0 && n_step != n))
        return mn__onnx_fail(r, MN_ERR_FORMAT, "starts, ends, axes and steps do not agree");
    value y = *in;
    for (int i = 0; i < n; i++) {
        int a = stored_axis(r, &y, n_axis < 0 ? i : axis[i]);
        if (a < 0) return r->err->status;
        if (n_step >= 0 && step[i] != 1)
            return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "a step of %lld; wanted 1", (long long)step[i]);
        int64_t size = y.view.dim[y.order[a] - 1], from = start[i] < 0 ? start[i] + size : start[i],
                to = end[i] < 0 ? end[i] + size : end[i];
        from = from < 0 ? 0 : from;
        to = to > size ? size : to;
        if (cut(r, &y, a, from, to - from)) return r->err->status;
    }
    return mn__onnx_give_like(r, y.x, &y);
}

mn_status mn__onnx_split(reader *r) {
    value *in = mn__onnx_activation(r, 0);
    int64_t size[MN__ONNX_MAX_RANK], at = 0;
    int n;
    int a = in ? stored_axis(r, in, mn__onnx_get_int(r, "axis", 0)) : -1;
    if (a < 0 || mn__onnx_list(r, "split", 1, size, &n)) return r->err->status;
    size_t outputs = r->node->n_output;
    int64_t whole = in->view.dim[in->order[a] - 1], part = (whole + (int64_t)outputs - 1) / (int64_t)outputs;
    if (n >= 0 && (size_t)n != outputs)
        return mn__onnx_fail(r, MN_ERR_FORMAT, "split has %d numbers for %zu outputs", n, outputs);
    for (size_t i = 0; i < outputs; i++) {
        int64_t length = n >= 0 ? size[i] : whole - at < part ? whole - at : part;
        value y = *in, *to = mn__onnx_out(r, i);
        if (cut(r, &y, a, at, length)) return r->err->status;
        at += length;
        if (!to) continue;
        y.name = to->name, y.readers = to->readers;
        *to = y;
    }
    return MN_OK;
}
#endif
