/* conv2d: the choice between the ways of computing it, and the bias gradient that they share.
 *
 *   y[n,k,p,q]  = b[k] + sum_{c,r,s} x[n, c, p*stride-top+r*dilation, q*stride-left+s*dilation] w[k,c,r,s]
 *   dx[n,c,h,w] (+)= sum over the (k,p,q,r,s) that read x[n,c,h,w] of dy[n,k,p,q] w[k,c,r,s]
 *   dw[k,c,r,s] (+)= sum_{n,p,q} dy[n,k,p,q] x[n, c, p*stride-top+r*dilation, q*stride-left+s*dilation]
 *   db[k]       (+)= sum_{n,p,q} dy[n,k,p,q]
 * x (N,C,H,W), w (K,C/groups,R,S), b (K), y (N,K,P,Q); what is read outside of x is 0. y is overwritten,
 * gradients are added to or overwritten. 2*N*K*P*Q*(C/groups)*R*S flop forward, twice that backward.
 *
 *   conv2d_implicit.cu   any shape: a product of matrices that are never written down
 *   conv2d_direct.cu     one input channel a group (grey images, depthwise): too little work a number for tiles */
#include "cuda/conv2d.cuh"
#include "cuda/conv2d_pool.cuh"
#include "cuda/ends_in_relu.cuh"
#include "cuda/reduce.cuh"

static bool direct(const mn__window &g) { return g.C == g.groups; }

/* Kernels count pixels of a batch and numbers of an image in 32 bits. */
static mn_status check_size(mn_node *n, const mn__window &g) {
    const int64_t N = g.N ? g.N : 1;
    /* the last row and column that a window reaches, counted from the padding's edge */
    const int64_t down = (g.P - 1) * g.stride_h + (g.R - 1) * g.dilation_h, right = (g.Q - 1) * g.stride_w + (g.S - 1) * g.dilation_w;
    if (fits_32(down) && fits_32(right) && fits_32(g.top) && fits_32(g.left) &&
        fits_32(g.C * g.H * g.W) && fits_32(g.K * g.P * g.Q) && fits_32(N * g.P * g.Q) && fits_32(N * g.H * g.W) &&
        fits_32(g.C * g.R * g.S) && fits_32(g.K * g.R * g.S))
        return MN_OK;
    return mn__op_fail(n, MN_ERR_SHAPE, "%lld images of %lldx%lld pixels are too many for one pass on the GPU; wanted fewer "
                       "than 2^31 pixels; hint: a smaller batch", (long long)g.N, (long long)g.H, (long long)g.W);
}

template <class T> static mn_status forward(mn_node *n) {
    const mn__window g = mn__conv2d_window(n);
    const mn__conv2d_opt *o = options<mn__conv2d_opt>(n);
    const conv2d_job<T> j = {n->ctx, g, in<T>(n, 0), in<T>(n, 1), in<T>(n, 2), nullptr, out<T>(n), nullptr, nullptr, false, false,
                             o->relu, o->measured ? &n->saved[0] : nullptr, o->pooled, saved<uint8_t>(n, 1)};
    const mn_status s = check_size(n, g);
    if (s || n->out->count == 0) return s;
    return direct(g) ? conv2d_direct_forward(j) : conv2d_implicit_forward(j);
}

/* Term s = (n,i) of the sum over channel c: dy[n,c,i]. */
template <class T> struct channel_term {
    const T *dy;
    int64_t C, I;
    __device__ __forceinline__ double operator()(int64_t c, int64_t s) const {
        return (double)dy[(s / I * C + c) * I + s % I];
    }
};

template <class T> static mn_status backward(mn_node *n) {
    const mn__window g = mn__conv2d_window(n);
    T *dx = in_grad<T>(n, 0), *dw = in_grad<T>(n, 1), *db = in_grad<T>(n, 2);
    const mn__conv2d_opt *o = options<mn__conv2d_opt>(n);
    const pooled_gradient<T> of_windows(n, g, o->pooled, o->relu);
    const relu_gradient<T> of_relu(n, o->relu && !o->pooled);
    const T *const dy = o->pooled ? of_windows.dz : of_relu.dy;
    auto gradient = [&](T *of_x, T *of_w) {
        const conv2d_job<T> j = {n->ctx, g, in<T>(n, 0), in<T>(n, 1), nullptr, dy, nullptr, of_x, of_w,
                                 mn__adds(n, 0), mn__adds(n, 1)};
        return direct(g) ? conv2d_direct_backward(j) : conv2d_implicit_backward(j);
    };
    auto weights = [&] {
        const mn_status s = dw ? gradient(nullptr, dw) : MN_OK;
        const int64_t pixels = g.P * g.Q;
        const channel_term<T> term = {dy, g.K, pixels};
        return s || !db ? s : reduce(n->ctx, ACROSS, term, g.K, g.N * pixels, 1, mn__adds(n, 2), db);
    };
    auto data = [&] { return gradient(dx, nullptr); };
    mn_status s = of_windows.status ? of_windows.status : of_relu.status ? of_relu.status : check_size(n, g);
    if (!s && dx && dx != dw) return side_by_side(n, 1, data, weights);
    if (!s && dx) s = data(); /* one tensor in both places: one after the other */
    return s ? s : weights();
}
MN__EXPORT(conv2d, forward, backward)
