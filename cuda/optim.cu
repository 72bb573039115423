/* The arithmetic of optimisers: one pass over weight w, gradient g and state, one launch for all parameters.
 *   sgd      v = momentum*v + (1-dampening)*g (v = g at first);  w -= lr * (nesterov ? g + momentum*v : v)
 *   adam     m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g^2;  w -= lr/(1-b1^t) * m / (sqrt(v/(1-b2^t)) + eps)
 *   adamw    w -= lr*decay*w first, then as adam without decay
 *   rmsprop  s = alpha*s + (1-alpha)*g^2;  v = momentum*v + g/(sqrt(s)+eps);  w -= lr*v
 *   average  a += (1-decay) * (w - a)      swap  exchanges a and w
 * g is the gradient clipped by norm, then by value, then + weight_decay*w (optim/optim.h).
 * A network has a hundred parameters, most of them short: a launch for each would cost more than the work. So
 * the list of parameters travels with the launch, as an argument. Parameters are cut into chunks of 4096
 * elements, chunk k of the list is block k's, and a block finds its parameter by halving the list. An element
 * has one thread. What changes from step to step travels with it too, unless the launch is recorded (cuda/graph.cu) and
 * its arguments stay: then it is read from `later`, where optim_store has put it. Bytes an element, in sizeof(T): sgd 3 to 5, adam 7, rmsprop 5 to 7, average 3, swap 4. */
#include "cuda/reduce.cuh"
#include "optim/internal.h"

constexpr int OPTIM_CHUNK = 4096;

/* What may be another number in the next step. */
template <class T> struct optim_now {
    T lr, decay, root;
    bool first; /* its first update */
};
static_assert(sizeof(optim_now<double>) <= MN__UPDATE_NUMBERS, "mn__update.later has room for it");
/* One parameter of a launch: mn__update_part, and what follows from it for all of its elements. */
template <class T> struct optim_part {
    T *w, *s, *v; /* s, v: state[0], state[1] */
    const T *g;
    int64_t count;
    unsigned chunk; /* the first one */
    optim_now<T> now;
};
/* What all parameters have in common. */
template <class T> struct optim_rule {
    T momentum, take, of_g, of_v; /* sgd: v = momentum*v + take*g;  w -= lr * (of_g*g + of_v*v) */
    T b1, new1, b2, new2, eps;    /* adam; rmsprop: b2 is alpha */
    T limit;                      /* clip_value, or infinity */
    double clip_norm;
    const double *norm2; /* the squared norm of all gradients, or NULL */
};
/* Arguments of a kernel: 4 KB on every GPU and driver, 32 KB from CUDA 12.1 on. A list of at most ROOM. */
template <class T, int ROOM> struct optim_list {
    optim_part<T> part[ROOM];
    int n;
    unsigned chunks;
};
constexpr int OPTIM_FEW = 40, OPTIM_MANY = 160;

/* The parameter that chunk `k` belongs to: the last one that begins at k or before. */
template <class T, int ROOM>
__device__ __forceinline__ int optim_find(const optim_list<T, ROOM> &list, unsigned k) {
    int low = 0, high = list.n;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (list.part[middle].chunk <= k)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- rules: what happens to element i ---- */

template <class T>
__device__ __forceinline__ T optim_gradient(const optim_part<T> &p, const optim_rule<T> &r, T scale,
                                            int64_t i) {
    T g = p.g[i] * scale;
    g = g > r.limit ? r.limit : g < -r.limit ? -r.limit : g;
    return g + p.now.decay * p.w[i];
}
struct optim_sgd {
    template <class T>
    static __device__ __forceinline__ void at(const optim_part<T> &p, const optim_rule<T> &r, T scale,
                                              int64_t i) {
        const T g = optim_gradient(p, r, scale, i);
        if (!p.s) {
            p.w[i] -= p.now.lr * g;
            return;
        }
        const T v = p.now.first ? g : r.momentum * p.s[i] + r.take * g;
        p.s[i] = v;
        p.w[i] -= p.now.lr * (r.of_g * g + r.of_v * v);
    }
};
/* lr stands for lr/(1-b1^t), root for sqrt(1-b2^t). */
struct optim_adam {
    template <class T>
    static __device__ __forceinline__ void at(const optim_part<T> &p, const optim_rule<T> &r, T scale,
                                              int64_t i) {
        const T g = optim_gradient(p, r, scale, i), m = r.b1 * p.s[i] + r.new1 * g,
                v = r.b2 * p.v[i] + r.new2 * g * g;
        p.s[i] = m;
        p.v[i] = v;
        p.w[i] -= p.now.lr * m / (sqrt(v) / p.now.root + r.eps);
    }
};
/* decay stands for 1 - lr*decay. */
struct optim_adamw {
    template <class T>
    static __device__ __forceinline__ void at(const optim_part<T> &p, const optim_rule<T> &r, T scale,
                                              int64_t i) {
        optim_part<T> plain = p;
        plain.now.decay = 0;
        p.w[i] *= p.now.decay;
        optim_adam::at(plain, r, scale, i);
    }
};
struct optim_rmsprop {
    template <class T>
    static __device__ __forceinline__ void at(const optim_part<T> &p, const optim_rule<T> &r, T scale,
                                              int64_t i) {
        const T g = optim_gradient(p, r, scale, i), s = r.b2 * p.s[i] + r.new2 * g * g;
        T v = g / (sqrt(s) + r.eps);
        p.s[i] = s;
        if (p.v) v = p.v[i] = r.momentum * p.v[i] + v;
        p.w[i] -= p.now.lr * v;
    }
};
/* lr stands for 1 - decay: equal ones stay equal. */
struct optim_average {
    template <class T>
    static __device__ __forceinline__ void at(const optim_part<T> &p, const optim_rule<T> &, T, int64_t i) {
        p.w[i] += p.now.lr * (p.g[i] - p.w[i]);
    }
};
struct optim_swap {
    template <class T>
    static __device__ __forceinline__ void at(const optim_part<T> &p, const optim_rule<T> &, T, int64_t i) {
        const T w = p.w[i];
        p.w[i] = p.s[i];
        p.s[i] = w;
    }
};

/* ---- kernels: block k has chunk k ---- */

template <class Rule, class T, int ROOM>
__global__ void optim_update(const __grid_constant__ optim_list<T, ROOM> list,
                             const __grid_constant__ optim_rule<T> rule, const optim_now<T> *later) {
    T scale = 1;
    if (rule.norm2) {
        if (!(*rule.norm2 <= 1e300)) return; /* NaN or infinite: such gradients change nothing */
        scale = (T)mn__clip_factor(*rule.norm2, rule.clip_norm);
    }
    const int k = optim_find(list, blockIdx.x);
    optim_part<T> p = list.part[k];
    if (later) p.now = later[k];
    const int64_t from = (int64_t)(blockIdx.x - p.chunk) * OPTIM_CHUNK;
    const int64_t to = p.count - from < OPTIM_CHUNK ? p.count : from + OPTIM_CHUNK;
    for (int64_t i = from + threadIdx.x; i < to; i += blockDim.x) Rule::at(p, rule, scale, i);
}

/* later[k] = what parameter k's next update needs: launched before a recorded optim_update. */
template <class T, int ROOM>
__global__ void optim_store(const __grid_constant__ optim_list<T, ROOM> list, optim_now<T> *later) {
    const int k = (int)threadIdx.x;
    if (k < list.n) later[k] = list.part[k].now;
}

/* sums[k] = the sum of g^2 over chunk k. */
template <class T, int ROOM>
__global__ void optim_squares(const __grid_constant__ optim_list<T, ROOM> list, double *sums) {
    const optim_part<T> &p = list.part[optim_find(list, blockIdx.x)];
    const int64_t from = (int64_t)(blockIdx.x - p.chunk) * OPTIM_CHUNK;
    const int64_t to = p.count - from < OPTIM_CHUNK ? p.count : from + OPTIM_CHUNK;
    double sum = 0;
    for (int64_t i = from + threadIdx.x; i < to; i += blockDim.x) sum += (double)p.g[i] * (double)p.g[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

/* ---- lists ---- */

static unsigned chunks_of(int64_t count) { return (unsigned)((count + OPTIM_CHUNK - 1) / OPTIM_CHUNK); }

template <class T> static optim_part<T> part_of(const mn__update_part &p, unsigned chunk) {
    return {(T *)p.w, (T *)p.state[0], (T *)p.state[1], (const T *)p.g, p.count, chunk,
            {(T)p.lr, (T)p.weight_decay, T(1), p.t == 1}};
}

/* Calls launch(list) for parameters 0 .. n-1: for all of them at once, unless there are hundreds. Empty ones
 * are left out. change(part, given) may compute what the rule needs. */
template <class T, int ROOM, class Change, class Launch>
static mn_status for_lists(const mn__update *u, Change change, Launch launch) {
    optim_list<T, ROOM> list;
    for (int i = 0; i < u->n;) {
        list.n = 0, list.chunks = 0;
        for (; i < u->n && list.n < ROOM; i++) {
            const mn__update_part &p = u->part[i];
            if (p.count == 0) continue;
            optim_part<T> &to = list.part[list.n++];
            to = part_of<T>(p, list.chunks);
            change(to, p);
            list.chunks += chunks_of(p.count);
        }
        mn_status s = list.n ? launch(list) : MN_OK;
        if (s) return s;
    }
    return MN_OK;
}

template <class T> static optim_rule<T> rule_of(const mn__update *u) {
    static const mn_optim_opt none = {};
    const mn_optim_opt *o = u->opt ? u->opt : &none;
    return {(T)o->momentum,
            (T)(1 - o->dampening),
            T(o->nesterov ? 1 : 0),
            o->nesterov ? (T)o->momentum : T(1),
            (T)o->beta1,
            (T)(1 - o->beta1),
            (T)o->beta2,
            (T)(1 - o->beta2),
            (T)o->eps,
            o->clip_value > 0 ? (T)o->clip_value : (T)INFINITY,
            o->clip_norm,
            u->norm2};
}

template <class Rule, class T, class Change>
static mn_status update(const mn__update *u, const char *name, const optim_rule<T> &rule, Change change) {
    optim_now<T> *later = (optim_now<T> *)u->later;
    auto launch = [&](const auto &list) {
        constexpr int room = sizeof list.part / sizeof *list.part;
        optim_now<T> *const own = later;
        if (later) later += list.n;
        if (u->store) return LAUNCH(u->ctx, (optim_store<T, room>), 1, room, 0, list, own);
        return mn__cuda_launch(u->ctx, name, optim_update<Rule, T, room>, list.chunks, THREADS, 0, list,
                               rule, own);
    };
    return u->n <= OPTIM_FEW ? for_lists<T, OPTIM_FEW>(u, change, launch)
                             : for_lists<T, OPTIM_MANY>(u, change, launch);
}

/* ---- what optim/ calls ---- */

template <class T> static mn_status sgd(const mn__update *u) {
    return update<optim_sgd>(u, "sgd_update", rule_of<T>(u), [](optim_part<T> &, const mn__update_part &) {});
}
template <class T>
static void prepare_adam(const mn_optim_opt *o, optim_part<T> &to, const mn__update_part &p) {
    to.now.lr = (T)(p.lr / (1 - pow(o->beta1, (double)p.t)));
    to.now.root = (T)sqrt(1 - pow(o->beta2, (double)p.t));
}
template <class T> static mn_status adam(const mn__update *u) {
    return update<optim_adam>(
        u, "adam_update", rule_of<T>(u),
        [u](optim_part<T> &to, const mn__update_part &p) { prepare_adam(u->opt, to, p); });
}
template <class T> static mn_status adamw(const mn__update *u) {
    return update<optim_adamw>(u, "adamw_update", rule_of<T>(u),
                               [u](optim_part<T> &to, const mn__update_part &p) {
                                   prepare_adam(u->opt, to, p);
                                   to.now.decay = (T)(1 - p.lr * p.weight_decay);
                               });
}
template <class T> static mn_status rmsprop(const mn__update *u) {
    optim_rule<T> rule = rule_of<T>(u);
    rule.b2 = (T)u->opt->alpha, rule.new2 = (T)(1 - u->opt->alpha);
    return update<optim_rmsprop>(u, "rmsprop_update", rule, [](optim_part<T> &, const mn__update_part &) {});
}
template <class T> static mn_status average(const mn__update *u) {
    return update<optim_average>(
        u, "average", rule_of<T>(u),
        [u](optim_part<T> &to, const mn__update_part &) { to.now.lr = (T)(1 - u->decay); });
}
template <class T> static mn_status swap(const mn__update *u) {
    return update<optim_swap>(u, "swap", rule_of<T>(u), [](optim_part<T> &, const mn__update_part &) {});
}

/* Term: the sum of one chunk. */
struct optim_chunk_sum {
    const double *sum;
    __device__ __forceinline__ double operator()(int64_t, int64_t s) const { return sum[s]; }
};
/* *norm2 = the sum of the squares of all gradients: chunk by chunk, then the chunks in a fixed order. */
template <class T> static mn_status square_sum(const mn__update *u) {
    int64_t chunks = 0;
    for (int i = 0; i < u->n; i++) chunks += chunks_of(u->part[i].count);
    double *sums = (double *)mn__workspace(u->ctx, (size_t)chunks * sizeof *sums), *next = sums;
    if (!sums) return u->ctx->error.status;
    auto launch = [&](const auto &list) {
        constexpr int room = sizeof list.part / sizeof *list.part;
        mn_status s = mn__cuda_launch(u->ctx, "optim_squares", optim_squares<T, room>, list.chunks, THREADS,
                                      0, list, next);
        next += list.chunks;
        return s;
    };
    auto as_given = [](optim_part<T> &, const mn__update_part &) {};
    mn_status s = u->n <= OPTIM_FEW ? for_lists<T, OPTIM_FEW>(u, as_given, launch)
                                    : for_lists<T, OPTIM_MANY>(u, as_given, launch);
    if (s) return s;
    return reduce_launch(u->ctx, ACROSS, optim_chunk_sum{sums}, 1, chunks, chunks, 1,
                         reduce_target<double>{u->norm2, 1, false});
}

#define UPDATES(T)                                                                                           \
    { {sgd<T>, adam<T>, adamw<T>, rmsprop<T>}, square_sum<T>, average<T>, swap<T> }
extern "C" {
extern const mn__update_kernels mn__updates_cuda_f32, mn__updates_cuda_f64;
const mn__update_kernels mn__updates_cuda_f32 = UPDATES(float), mn__updates_cuda_f64 = UPDATES(double);
}
