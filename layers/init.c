/* Initialisers. Every number is a function of the context's seed, the stream and its index. */
#include "layers/internal.h"
#include <math.h>

mn_init mn__init_for(mn_init asked, mn_activation next) {
    if (asked != MN_INIT_DEFAULT) return asked;
    switch (next) {
    case MN_ACT_RELU:
    case MN_ACT_LEAKY_RELU:
    case MN_ACT_ELU:
    case MN_ACT_GELU:
    case MN_ACT_SILU:
    case MN_ACT_SOFTPLUS:
        return MN_INIT_HE_NORMAL;
    default:
        return MN_INIT_XAVIER_UNIFORM;
    }
}

/* Makes the n rows of `length` numbers orthonormal (Gram and Schmidt, twice, so that rounding does not
 * matter). Rows that vanish are left as they are: random rows of enough length do not. */
static void orthonormalize(double *a, int64_t n, int64_t length) {
    for (int64_t i = 0; i < n; i++) {
        double *row = a + i * length, norm = 0;
        for (int twice = 0; twice < 2; twice++)
            for (int64_t k = 0; k < i; k++) {
                const double *other = a + k * length;
                double dot = 0;
                for (int64_t j = 0; j < length; j++) dot += row[j] * other[j];
                for (int64_t j = 0; j < length; j++) row[j] -= dot * other[j];
            }
        for (int64_t j = 0; j < length; j++) norm += row[j] * row[j];
        norm = norm > 0 ? 1 / sqrt(norm) : 0;
        for (int64_t j = 0; j < length; j++) row[j] *= norm;
    }
}

/* The (dim0, rest) matrix gets orthonormal rows, or columns where there are more rows than columns. */
static mn_status fill_orthogonal(mn_tensor *w, double gain, uint64_t stream) {
    int64_t rows = w->shape.ndim ? w->shape.dim[0] : 1, columns = rows ? w->count / rows : 0;
    bool turned = rows > columns;
    int64_t n = turned ? columns : rows, length = turned ? rows : columns;
    if (w->count == 0) return MN_OK;
    double *a = mn_alloc((size_t)w->count * 2 * sizeof *a), *out = a + w->count;
    if (!a) return MN__FAIL(w->ctx, MN_ERR_MEMORY, "out of host memory for an orthogonal initialiser");
    mn_status s = mn_fill_normal(w, stream, 0, 1);
    if (s == MN_OK) s = mn_get_f64(w, a);
    if (s == MN_OK) {
        orthonormalize(a, n, length);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < length; j++) out[turned ? j * columns + i : i * length + j] = gain * a[i * length + j];
        s = mn_set_f64(w, out);
    }
    mn_free(a);
    return s;
}

mn_status mn_init_fill(mn_tensor *w, mn_init how, int64_t fan_in, int64_t fan_out, double gain, uint64_t stream) {
    if (!w) return MN_ERR_ARG;
    if (fan_in < 1) fan_in = 1;
    if (fan_out < 1) fan_out = 1;
    if (gain == 0) gain = 1;
    double he = gain * sqrt(2.0 / (double)fan_in), xavier = gain * sqrt(2.0 / (double)(fan_in + fan_out));
    double side = sqrt(3.0); /* a uniform number in +-a has the deviation a/sqrt(3) */
    switch (how) {
    case MN_INIT_HE_NORMAL:
        return mn_fill_normal(w, stream, 0, he);
    case MN_INIT_HE_UNIFORM:
        return mn_fill_uniform(w, stream, -side * he, side * he);
    case MN_INIT_XAVIER_NORMAL:
        return mn_fill_normal(w, stream, 0, xavier);
    case MN_INIT_DEFAULT:
    case MN_INIT_XAVIER_UNIFORM:
        return mn_fill_uniform(w, stream, -side * xavier, side * xavier);
    case MN_INIT_ORTHOGONAL:
        return fill_orthogonal(w, gain, stream);
    case MN_INIT_ZEROS:
        return mn_fill(w, 0);
    case MN_INIT_ONES:
        return mn_fill(w, 1);
    }
    return MN__FAIL(w->ctx, MN_ERR_ARG, "init_fill: %d is no mn_init", (int)how);
}
