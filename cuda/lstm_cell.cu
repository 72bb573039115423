/* lstm_cell: with i, f, o = gate(z_i), gate(z_f), gate(z_o) and g = act(z_c), for every sample and channel
 *   c' = f c + i g        h' = o act(c')                   where the mask is 0: h' = h, c' = c
 * backward, from dh' and dc':
 *   e = dc' + dh' o act'(c')                               all that reaches c'
 *   dz_i = e g gate'    dz_f = e c gate'    dz_c = e i act'    dz_o = dh' act(c') gate'      dc = e f
 * z (N,4,P), state and result (N,2,P), P = U times the positions; saved: i, f, g, o (N,4,P). Result and saved overwritten.
 * Thread map: a thread a channel of a sample; neighbours read neighbours in each of the four gates. 6 reads and 6 writes
 * forward, 9 reads and 6 writes backward. */
#include "cuda/kernel.cuh"

template <class T> struct lstm_functions {
    bool hard_sigmoid, relu;
    __device__ __forceinline__ T gate(T z) const {
        if (!hard_sigmoid) return 1 / (1 + exp(-z));
        const T y = R(0.2) * z + R(0.5);
        return y < 0 ? T(0) : y > 1 ? T(1) : y;
    }
    __device__ __forceinline__ T gate_slope(T y) const {
        if (!hard_sigmoid) return y * (1 - y);
        return y > 0 && y < 1 ? R(0.2) : T(0);
    }
    __device__ __forceinline__ T act(T z) const { return !relu ? tanh(z) : z > 0 ? z : T(0); }
    __device__ __forceinline__ T act_slope(T y) const { return !relu ? 1 - y * y : y > 0 ? T(1) : T(0); }
};
template <class T> static lstm_functions<T> functions_of(const mn_node *n) {
    const mn_lstm_cell_opt *o = options<mn_lstm_cell_opt>(n);
    return {(bool)o->hard_sigmoid, (bool)o->relu};
}

/* Which samples stand still at this step: those where the mask's number is 0. */
template <class T> struct lstm_mask {
    const T *at; /* NULL: none */
    int64_t steps;
    __device__ __forceinline__ bool holds(int64_t sample) const { return at && at[sample * steps] == 0; }
};
template <class T> static lstm_mask<T> mask_of(const mn_node *n) {
    const T *mask = in<T>(n, 2);
    if (!mask) return {nullptr, 0};
    return {mask + options<mn_lstm_cell_opt>(n)->step, n->in[2]->shape.dim[1]};
}

template <class T>
__global__ void lstm_cell_forward(int64_t count, int64_t P, lstm_functions<T> f, lstm_mask<T> mask, const T *z, const T *old,
                                  T *y, T *saved) {
    GRID_STRIDE(k, count) {
        const int64_t sample = k / P, p = k % P, state = sample * 2 * P + p, gates = sample * 4 * P + p;
        const T h0 = old ? old[state] : T(0), c0 = old ? old[state + P] : T(0);
        const T i = f.gate(z[gates]), forget = f.gate(z[gates + P]), g = f.act(z[gates + 2 * P]), o = f.gate(z[gates + 3 * P]);
        const bool still = mask.holds(sample);
        const T c = still ? c0 : (old ? forget * c0 : T(0)) + i * g;
        y[state] = still ? h0 : o * f.act(c);
        y[state + P] = c;
        if (!saved) continue;
        saved[gates] = i, saved[gates + P] = forget, saved[gates + 2 * P] = g, saved[gates + 3 * P] = o;
    }
}

template <class T> static __device__ __forceinline__ void lstm_put(T *to, bool add, T v) { *to = add ? *to + v : v; }

/* dz and dold may be NULL. */
template <class T>
__global__ void lstm_cell_backward(int64_t count, int64_t P, lstm_functions<T> f, lstm_mask<T> mask, const T *saved,
                                   const T *old, const T *y, const T *dy, T *dz, bool add_z, T *dold, bool add_old) {
    GRID_STRIDE(k, count) {
        const int64_t sample = k / P, p = k % P, state = sample * 2 * P + p, gates = sample * 4 * P + p;
        const T i = saved[gates], forget = saved[gates + P], g = saved[gates + 2 * P], o = saved[gates + 3 * P];
        const T dh = dy[state], dc = dy[state + P], a = f.act(y[state + P]);
        const bool still = mask.holds(sample);
        const T e = dc + dh * o * f.act_slope(a);
        if (dz) {
            lstm_put(dz + gates, add_z, still ? T(0) : e * g * f.gate_slope(i));
            lstm_put(dz + gates + P, add_z, still || !old ? T(0) : e * old[state + P] * f.gate_slope(forget));
            lstm_put(dz + gates + 2 * P, add_z, still ? T(0) : e * i * f.act_slope(g));
            lstm_put(dz + gates + 3 * P, add_z, still ? T(0) : dh * a * f.gate_slope(o));
        }
        if (dold) {
            lstm_put(dold + state, add_old, still ? dh : T(0)); /* h reaches the new state only by way of z */
            lstm_put(dold + state + P, add_old, still ? dc : e * forget);
        }
    }
}

/* Channels of all samples: one half of the state. */
static int64_t channels(const mn_node *n) { return n->out->count / 2; }
static int64_t per_sample(const mn_node *n) { return n->out->count ? channels(n) / n->out->shape.dim[0] : 1; }

template <class T> static mn_status forward(mn_node *n) {
    return LAUNCH(n->ctx, lstm_cell_forward<T>, grid_for(channels(n)), THREADS, 0, channels(n), per_sample(n),
                  functions_of<T>(n), mask_of<T>(n), in<T>(n, 0), in<T>(n, 1), out<T>(n), saved<T>(n, 0));
}
template <class T> static mn_status backward(mn_node *n) {
    return LAUNCH(n->ctx, lstm_cell_backward<T>, grid_for(channels(n)), THREADS, 0, channels(n), per_sample(n),
                  functions_of<T>(n), mask_of<T>(n), saved<T>(n, 0), in<T>(n, 1), out<T>(n), out_grad<T>(n),
                  in_grad<T>(n, 0), mn__adds(n, 0), in_grad<T>(n, 1), mn__adds(n, 1));
}
MN__EXPORT(lstm_cell, forward, backward)
