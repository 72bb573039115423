/* conv2d as a product of matrices that are never written down ("implicit GEMM"; Chetlur et al. 2014, cuDNN). With a tap
 * (c,r,s) of the kernel, a pixel (n,p,q) of the result, and window(tap, pixel) = the number of x that meets there:
 *
 *   y  (K, pixels)  = w (K, taps)    * window (taps, pixels)
 *   dw (K, taps)    = dy (K, pixels) * window (taps, pixels)^T        split along the pixels
 *   dx (C, pixels)  = w^T            * window over dy instead of x
 *
 * cuda/gemm.cuh multiplies; the operands below compute where a number stands in the moment in which it is needed, by
 * two divisions (as multiplications), half of them once a thread. Groups are blocks of their own: blockIdx.z.
 *
 * The gradient of x with stride s: pixel h is reached from window p by tap r where p*s = h + top - r*dilation. Of the
 * pixels with the same remainder (h + top) mod s all are reached by the same taps, every so many of them. So each of
 * these "phases" is a convolution of dy with stride 1 by some of the taps, and no product with a zero is ever formed:
 * h = first + i*s and r = r0 + j*step give p = p0 + i - j*(step*dilation/s), and the same for columns.
 * 2*N*K*P*Q*(C/groups)*R*S flop each. */
#include "cuda/conv2d.cuh"
#include "cuda/conv2d_pool.cuh"
#include "cuda/gemm.cuh"

/* window(tap, pixel) over images (N,C,H,W): tap (c,r,s) of pixel (n,p,q) is
 * image[n, c, p*step_h + r*tap_h + from_h, q*step_w + s*tap_w + from_w], 0 outside. */
struct conv_geometry {
    int H, W;
    int64_t image, group; /* numbers between images, between groups */
    int step_h, step_w, tap_h, tap_w, from_h, from_w;
    divisor pq, q, rs, s; /* to take pixels and taps apart */
};
template <class T> struct conv_pixel {
    const T *image;
    int h, w;
};
struct conv_tap {
    int plane, h, w;
};
template <class T, bool PIXELS_ARE_LINES> struct conv_window;

template <class T> struct conv_window_at {
    const T *x;
    conv_geometry g;
    __device__ __forceinline__ void select(int group) { x += group * g.group; }
    __device__ __forceinline__ conv_pixel<T> pixel(int i) const {
        const int n = g.pq.take(i), p = g.q.take(i);
        return {x + n * g.image, p * g.step_h + g.from_h, i * g.step_w + g.from_w};
    }
    __device__ __forceinline__ conv_tap tap(int k) const {
        const int c = g.rs.take(k), r = g.s.take(k);
        return {c * g.H * g.W, r * g.tap_h, k * g.tap_w};
    }
    __device__ __forceinline__ T read(const conv_pixel<T> &p, const conv_tap &t) const {
        const int h = p.h + t.h, w = p.w + t.w;
        return (unsigned)h < (unsigned)g.H && (unsigned)w < (unsigned)g.W ? p.image[t.plane + h * g.W + w] : T(0);
    }
};
/* As B of y and dx: neighbouring threads at neighbouring pixels. */
template <class T> struct conv_window<T, true> : conv_window_at<T> {
    static constexpr bool ALONG_K = false;
    typedef conv_pixel<T> line;
    typedef conv_tap step;
    __device__ __forceinline__ line line_of(int i) const { return this->pixel(i); }
    __device__ __forceinline__ step step_of(int k) const { return this->tap(k); }
    __device__ __forceinline__ T at(const line &l, const step &s) const { return this->read(l, s); }
};
/* As B of a y that is pooled: pixels in the order of windows, four of a 2x2 window side by side. `pq`, `q` count windows. */
template <class T> struct conv_window_of_pool : conv_window<T, true> {
    __device__ __forceinline__ conv_pixel<T> line_of(int i) const {
        const int place = i % 4;
        i /= 4;
        const conv_geometry &m = this->g;
        const int n = m.pq.take(i), p = m.q.take(i) * 2 + place / 2, q = i * 2 + place % 2;
        return {this->x + n * m.image, p * m.step_h + m.from_h, q * m.step_w + m.from_w};
    }
};
/* As B of dw: K runs over the pixels. */
template <class T> struct conv_window<T, false> : conv_window_at<T> {
    static constexpr bool ALONG_K = true;
    typedef conv_tap line;
    typedef conv_pixel<T> step;
    __device__ __forceinline__ line line_of(int i) const { return this->tap(i); }
    __device__ __forceinline__ step step_of(int k) const { return this->pixel(k); }
    __device__ __forceinline__ T at(const line &l, const step &s) const { return this->read(s, l); }
};

/* A of y: row k of w is the taps of output channel k. */
template <class T> struct conv_weights {
    static constexpr bool ALONG_K = true;
    typedef const T *line;
    typedef int step;
    const T *w;
    int64_t taps, group;
    __device__ __forceinline__ void select(int g) { w += g * group; }
    __device__ __forceinline__ line line_of(int i) const { return w + i * taps; }
    __device__ __forceinline__ step step_of(int k) const { return k; }
    __device__ __forceinline__ T at(line l, step s) const { return l[s]; }
};
/* A of dx: row c, tap (k,i,j) is w[k, c, r0 + i*step_r, s0 + j*step_s]. */
template <class T> struct conv_weights_back {
    static constexpr bool ALONG_K = true;
    typedef const T *line;
    typedef int64_t step;
    const T *w; /* at tap (r0,s0) */
    int64_t taps, group;
    int RS, row, column; /* numbers between channels, between rows and columns of taps */
    divisor per_channel, per_row;
    __device__ __forceinline__ void select(int g) { w += g * group; }
    __device__ __forceinline__ line line_of(int c) const { return w + (int64_t)c * RS; }
    __device__ __forceinline__ step step_of(int k) const {
        const int channel = per_channel.take(k), i = per_row.take(k);
        return channel * taps + i * row + k * column;
    }
    __device__ __forceinline__ T at(line l, step s) const { return l[s]; }
};
/* A of dw: row k is channel k of dy, in all images one after another. */
template <class T> struct conv_outputs {
    static constexpr bool ALONG_K = true;
    typedef int64_t line;
    typedef const T *step;
    const T *dy;
    int64_t image, group;
    divisor pixels;
    __device__ __forceinline__ void select(int g) { dy += g * group; }
    __device__ __forceinline__ line line_of(int k) const { return (int64_t)k * pixels.d; }
    __device__ __forceinline__ step step_of(int i) const {
        const int n = pixels.take(i);
        return dy + n * image + i;
    }
    __device__ __forceinline__ T at(line l, step s) const { return s[l]; }
};

/* Results: row i is channel i of images, column (n,p,q) the pixel (p*step_h, q*step_w) of image n. */
template <class T> struct conv_result {
    static constexpr bool MEASURED = false;
    static constexpr int AT_ONCE = 1;
    typedef T *column;
    T *y;
    int64_t image, group, plane;
    int row, step; /* numbers between rows and columns of pixels */
    divisor pq, q;
    const T *bias; /* of channel i, or NULL */
    int channels;
    bool add, relu;
    __device__ __forceinline__ void select(int g) {
        y += g * group;
        if (bias) bias += g * channels;
    }
    __device__ __forceinline__ column column_of(int j) const {
        const int n = pq.take(j), p = q.take(j);
        return y + n * image + (int64_t)p * row + (int64_t)j * step;
    }
    __device__ __forceinline__ T put(int i, column at, T v) const {
        T *const to = at + i * plane;
        const T sum = (add ? *to : bias ? bias[i] : T(0)) + v;
        return *to = relu && !(sum > 0) ? T(0) : sum;
    }
};
/* y, and the statistics of its channels where somebody wants them (conv2d_job.measured). */
template <class T> struct conv_measured_result : conv_result<T> {
    static constexpr bool MEASURED = true;
    strips<T> measure;
    mn_tensor **kept; /* on the host; NULL: nobody does */
    int64_t all;      /* channels of all groups */
    conv_measured_result(const conv_result<T> &r, mn_tensor **to, int64_t K) : conv_result<T>(r), measure{}, kept(to), all(K) {}
    mn_status reserve(mn_context *c, int strips_of_a_row) {
        if (!kept) return MN_OK;
        *kept = mn_tensor_create(c, MN_STEP, c->dtype, MN_SHAPE(all, strips_of_a_row, 3));
        measure = {*kept ? (T *)(*kept)->data : nullptr, strips_of_a_row};
        return *kept ? MN_OK : c->error.status;
    }
    __device__ __forceinline__ void select(int g) {
        conv_result<T>::select(g);
        if (measure.at) measure.at += (int64_t)g * this->channels * measure.count * 3;
    }
};
/* The largest of each window, and which it is: row i is channel i, columns 4j to 4j+3 are window j, (n,p,q) of (N,P/2,Q/2). */
template <class T> struct conv_pooled_result {
    static constexpr bool MEASURED = false;
    static constexpr int AT_ONCE = 4;
    typedef int64_t column;
    T *y;
    uint8_t *index; /* or NULL */
    int64_t image, group, plane;
    divisor windows; /* of a plane */
    const T *bias;   /* or NULL */
    int channels;
    bool relu;
    __device__ __forceinline__ void select(int g) {
        y += g * group;
        if (index) index += g * group;
        if (bias) bias += g * channels;
    }
    __device__ __forceinline__ column column_of(int j) const {
        int window = j / 4;
        const int n = windows.take(window);
        return n * image + window;
    }
    __device__ __forceinline__ void put(int i, column at, const T (&v)[4]) const {
        window_best<T> best;
#pragma unroll
        for (int place = 0; place < 4; place++) {
            const T z = v[place] + (bias ? bias[i] : T(0));
            best.see(place, relu && !(z > 0) ? T(0) : z);
        }
        y[at + i * plane] = best.value;
        if (index) index[at + i * plane] = (uint8_t)best.place;
    }
};
/* dw lies in memory as the matrix that it is. */
template <class T> struct conv_weight_gradient {
    static constexpr bool MEASURED = false;
    static constexpr int AT_ONCE = 1;
    typedef T *column;
    T *dw;
    int64_t taps, group;
    bool add;
    __device__ __forceinline__ void select(int g) { dw += g * group; }
    __device__ __forceinline__ column column_of(int j) const { return dw + j; }
    __device__ __forceinline__ T put(int i, column at, T v) const {
        T *const to = at + i * taps;
        return *to = add ? *to + v : v;
    }
};

/* ---- the three products ---- */

static conv_geometry windows_of(const mn__window &g) {
    conv_geometry m = {};
    m.H = (int)g.H, m.W = (int)g.W, m.image = g.C * g.H * g.W, m.group = m.image / g.groups;
    m.step_h = (int)g.stride_h, m.step_w = (int)g.stride_w, m.tap_h = (int)g.dilation_h, m.tap_w = (int)g.dilation_w;
    m.from_h = (int)-g.top, m.from_w = (int)-g.left;
    m.pq = divide_by(g.P * g.Q), m.q = divide_by(g.Q), m.rs = divide_by(g.R * g.S), m.s = divide_by(g.S);
    return m;
}

template <class T> static mn_status pooled_forward(const conv2d_job<T> &j) {
    const mn__window &g = j.g;
    const int64_t K = g.K / g.groups, taps = g.C / g.groups * g.R * g.S, windows = g.P / 2 * (g.Q / 2);
    conv_window_of_pool<T> window;
    window.x = j.x, window.g = windows_of(g);
    window.g.pq = divide_by(windows), window.g.q = divide_by(g.Q / 2);
    const conv_pooled_result<T> y = {j.y, j.index, g.K * windows, K * windows, windows, divide_by(windows), j.b, (int)K, j.relu};
    return gemm_any<T>(j.c, (int)g.groups, K, g.N * windows * 4, taps, conv_weights<T>{j.w, taps, K * taps}, window, y);
}

template <class T> mn_status conv2d_implicit_forward(const conv2d_job<T> &j) {
    if (j.pooled) return pooled_forward(j);
    const mn__window &g = j.g;
    const int64_t K = g.K / g.groups, taps = g.C / g.groups * g.R * g.S, pixels = g.P * g.Q;
    conv_window<T, true> window;
    window.x = j.x, window.g = windows_of(g);
    const conv_result<T> y = {j.y, g.K * pixels, K * pixels, pixels, (int)g.Q, 1, divide_by(pixels), divide_by(g.Q), j.b,
                              (int)K, false, j.relu};
    return gemm_any<T>(j.c, (int)g.groups, K, g.N * pixels, taps, conv_weights<T>{j.w, taps, K * taps}, window,
                       conv_measured_result<T>(y, j.measured, g.K));
}

template <class T> static mn_status weight_gradient(const conv2d_job<T> &j) {
    const mn__window &g = j.g;
    const int64_t K = g.K / g.groups, taps = g.C / g.groups * g.R * g.S, pixels = g.P * g.Q;
    conv_window<T, false> window;
    window.x = j.x, window.g = windows_of(g);
    return gemm_any<T>(j.c, (int)g.groups, K, taps, g.N * pixels,
                       conv_outputs<T>{j.dy, g.K * pixels, K * pixels, divide_by(pixels)}, window,
                       conv_weight_gradient<T>{j.dw, taps, K * taps, j.add_dw});
}

/* One dimension of a phase; see the top. `taps` may be 0: pixels that no window reads. */
struct conv_phase {
    int64_t first, count;       /* pixels first, first + stride, ... */
    int64_t r0, step, taps;     /* taps r0, r0 + step, ... */
    int64_t p0, back;           /* pixel i is reached from window p0 + i - j*back by tap j */
};
static conv_phase phase_of(int64_t remainder, int64_t size, int64_t window, int64_t stride, int64_t dilation, int64_t before) {
    conv_phase f = {};
    f.first = ((remainder - before) % stride + stride) % stride;
    f.count = f.first < size ? (size - f.first + stride - 1) / stride : 0;
    int64_t a = stride, b = dilation; /* their greatest common divisor */
    while (b) {
        const int64_t rest = a % b;
        a = b, b = rest;
    }
    f.step = stride / a, f.back = dilation / a;
    while (f.r0 < f.step && f.r0 * dilation % stride != remainder) f.r0++;
    f.taps = f.r0 < f.step && f.r0 < window ? (window - f.r0 + f.step - 1) / f.step : 0;
    f.p0 = f.taps ? (f.first + before - f.r0 * dilation) / stride : 0;
    return f;
}

template <class T> static mn_status data_gradient(const conv2d_job<T> &j, const conv_phase &v, const conv_phase &h) {
    const mn__window &g = j.g;
    const int64_t C = g.C / g.groups, K = g.K / g.groups, RS = g.R * g.S, pixels = v.count * h.count, taps = v.taps * h.taps;
    if (pixels == 0 || (taps == 0 && j.add_dx)) return MN_OK;
    const divisor rs = divide_by(taps ? taps : 1), s = divide_by(taps ? h.taps : 1);
    conv_window<T, true> window;
    window.x = j.dy;
    conv_geometry &m = window.g;
    m.H = (int)g.P, m.W = (int)g.Q, m.image = g.K * g.P * g.Q, m.group = K * g.P * g.Q;
    m.step_h = m.step_w = 1, m.tap_h = (int)-v.back, m.tap_w = (int)-h.back, m.from_h = (int)v.p0, m.from_w = (int)h.p0;
    m.pq = divide_by(pixels), m.q = divide_by(h.count), m.rs = rs, m.s = s;
    const conv_weights_back<T> w = {j.w + v.r0 * g.S + h.r0, C * RS, K * C * RS, (int)RS, (int)(v.step * g.S), (int)h.step, rs, s};
    const conv_result<T> dx = {j.dx + v.first * g.W + h.first, g.C * g.H * g.W, C * g.H * g.W, g.H * g.W,
                               (int)(g.stride_h * g.W), (int)g.stride_w, m.pq, m.q, nullptr, 0, j.add_dx, false};
    return gemm_any<T>(j.c, (int)g.groups, C, g.N * pixels, K * taps, w, window, dx);
}

template <class T> mn_status conv2d_implicit_backward(const conv2d_job<T> &j) {
    const mn__window &g = j.g;
    mn_status status = MN_OK;
    for (int64_t a = 0; j.dx && a < g.stride_h; a++)
        for (int64_t b = 0; b < g.stride_w && !status; b++)
            status = data_gradient(j, phase_of(a, g.H, g.R, g.stride_h, g.dilation_h, g.top),
                                   phase_of(b, g.W, g.S, g.stride_w, g.dilation_w, g.left));
    return status || !j.dw ? status : weight_gradient(j);
}

template mn_status conv2d_implicit_forward(const conv2d_job<float> &);
template mn_status conv2d_implicit_forward(const conv2d_job<double> &);
template mn_status conv2d_implicit_backward(const conv2d_job<float> &);
template mn_status conv2d_implicit_backward(const conv2d_job<double> &);
