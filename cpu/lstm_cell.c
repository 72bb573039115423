/* lstm_cell: with i, f, o = gate(z_i), gate(z_f), gate(z_o) and g = act(z_c), for every sample and channel
 *   c' = f c + i g        h' = o act(c')                   where the mask is 0: h' = h, c' = c
 * backward, from dh' and dc':
 *   e = dc' + dh' o act'(c')                               all that reaches c'
 *   dz_i = e g gate'    dz_f = e c gate'    dz_c = e i act'    dz_o = dh' act(c') gate'      dc = e f
 * z (N,4,P), state and result (N,2,P), P = U times the positions; saved: i, f, g, o. Derivatives are functions of
 * the values. Samples in parallel, one pass. */
#include "cpu/kernel.h"

static inline REAL gate(REAL z, bool hard) {
    if (!hard) return 1 / (1 + exp(-z));
    const REAL y = R(0.2) * z + R(0.5);
    return y < 0 ? R(0) : y > 1 ? R(1) : y;
}
static inline REAL gate_slope(REAL y, bool hard) {
    if (!hard) return y * (1 - y);
    return y > 0 && y < 1 ? R(0.2) : R(0);
}
static inline REAL act(REAL z, bool relu) { return !relu ? tanh(z) : z > 0 ? z : R(0); }
static inline REAL act_slope(REAL y, bool relu) { return !relu ? 1 - y * y : y > 0 ? R(1) : R(0); }

static bool masked(const mn_node *n, int64_t sample) {
    const REAL *mask = in(n, 2);
    return mask && mask[sample * n->in[2]->shape.dim[1] + ((const mn_lstm_cell_opt *)n->opt)->step] == 0;
}

/* One sample. `old` and `saved` may be NULL. */
static void step(const mn_lstm_cell_opt *o, int64_t P, const REAL *z, const REAL *old, REAL *new, REAL *saved) {
    for (int64_t p = 0; p < P; p++) {
        const REAL i = gate(z[p], o->hard_sigmoid), f = gate(z[P + p], o->hard_sigmoid);
        const REAL g = act(z[2 * P + p], o->relu), out = gate(z[3 * P + p], o->hard_sigmoid);
        const REAL c = (old ? f * old[P + p] : 0) + i * g;
        new[p] = out * act(c, o->relu);
        new[P + p] = c;
        if (saved) saved[p] = i, saved[P + p] = f, saved[2 * P + p] = g, saved[3 * P + p] = out;
    }
}

mn_status FWD(lstm_cell)(mn_node *n);
mn_status FWD(lstm_cell)(mn_node *n) {
    int64_t N = n->out->shape.dim[0], P = N ? n->out->count / (2 * N) : 0;
    const REAL *z = in(n, 0), *old = in(n, 1);
    REAL *y = out(n), *saved = n->saved[0] ? n->saved[0]->data : NULL;
#pragma omp parallel for num_threads(n->ctx->threads) if (N * P > MN__PARALLEL_MIN / 8)
    for (int64_t k = 0; k < N; k++) {
        const REAL *before = old ? old + k * 2 * P : NULL;
        REAL *after = y + k * 2 * P;
        if (!masked(n, k)) step(n->opt, P, z + k * 4 * P, before, after, saved ? saved + k * 4 * P : NULL);
        else if (before) memcpy(after, before, (size_t)(2 * P) * sizeof *after);
        else memset(after, 0, (size_t)(2 * P) * sizeof *after);
    }
    return MN_OK;
}

static inline void put(REAL *to, bool add, REAL v) { *to = add ? *to + v : v; }

/* One sample of backward: i, f, g, o stand in `saved`; dz and dold may be NULL. */
static void step_back(const mn_lstm_cell_opt *o, int64_t P, const REAL *saved, const REAL *old, const REAL *new,
                      const REAL *dnew, REAL *dz, bool add_z, REAL *dold, bool add_old) {
    for (int64_t p = 0; p < P; p++) {
        const REAL i = saved[p], f = saved[P + p], g = saved[2 * P + p], out = saved[3 * P + p];
        const REAL a = act(new[P + p], o->relu), e = dnew[P + p] + dnew[p] * out * act_slope(a, o->relu);
        if (dz) {
            put(dz + p, add_z, e * g * gate_slope(i, o->hard_sigmoid));
            put(dz + P + p, add_z, old ? e * old[P + p] * gate_slope(f, o->hard_sigmoid) : 0);
            put(dz + 2 * P + p, add_z, e * i * act_slope(g, o->relu));
            put(dz + 3 * P + p, add_z, dnew[p] * a * gate_slope(out, o->hard_sigmoid));
        }
        if (dold) {
            put(dold + p, add_old, 0); /* h reaches the new state only by way of z */
            put(dold + P + p, add_old, e * f);
        }
    }
}

mn_status BWD(lstm_cell)(mn_node *n);
mn_status BWD(lstm_cell)(mn_node *n) {
    int64_t N = n->out->shape.dim[0], P = N ? n->out->count / (2 * N) : 0;
    const REAL *old = in(n, 1), *y = out(n), *dy = out_grad(n), *saved = n->saved[0]->data;
    REAL *dz = in_grad(n, 0), *dold = in_grad(n, 1);
    const bool add_z = mn__adds(n, 0), add_old = mn__adds(n, 1);
#pragma omp parallel for num_threads(n->ctx->threads) if (N * P > MN__PARALLEL_MIN / 8)
    for (int64_t k = 0; k < N; k++) {
        const int64_t at = k * 2 * P;
        REAL *to_z = dz ? dz + 2 * at : NULL, *to_old = dold ? dold + at : NULL;
        if (!masked(n, k)) {
            step_back(n->opt, P, saved + 2 * at, old ? old + at : NULL, y + at, dy + at, to_z, add_z, to_old, add_old);
            continue;
        }
        for (int64_t p = 0; to_z && p < 4 * P; p++) put(to_z + p, add_z, 0);
        for (int64_t p = 0; to_old && p < 2 * P; p++) put(to_old + p, add_old, dy[at + p]);
    }
    return MN_OK;
}
