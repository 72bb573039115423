/* The arithmetic of optimisers: one pass over weight w, gradient g and state per parameter.
 *
 * Every kernel takes a list of parameters (mn__update). Each parameter is cut into chunks, chunks are shared
 * out to threads; an element is touched by one thread alone, and sums are formed chunk by chunk in order, so
 * the result does not depend on the number of threads. Bytes moved an element: sgd 3 to 5, adam 7, rmsprop 5
 * to 7 times sizeof(REAL). */
#include "cpu/kernel.h"
#include "optim/internal.h"

enum { CHUNK = 8192 };
static int64_t chunks_of(const mn__update_part *p) { return (p->count + CHUNK - 1) / CHUNK; }

/* What one pass works on: elements 0 .. n-1 of a chunk, and the numbers of its parameter. */
typedef struct chunk {
    REAL *restrict w;
    const REAL *restrict g;
    REAL *restrict s, *restrict v; /* state[0], state[1] */
    int64_t n;
    REAL lr, decay, scale, limit; /* limit: clip_value, or the largest number */
    double t;
    bool first;
} chunk;

/* The gradient as the rule sees it: clipped by norm, then by value, then + decay*w. */
static inline REAL gradient(const chunk *c, int64_t i) {
    REAL g = c->g[i] * c->scale;
    g = g > c->limit ? c->limit : g < -c->limit ? -c->limit : g;
    return g + c->decay * c->w[i];
}

/* w -= lr * g */
static void sgd_chunk(const chunk *c) {
#pragma omp simd
    for (int64_t i = 0; i < c->n; i++) c->w[i] -= c->lr * gradient(c, i);
}

/* v = momentum*v + (1-dampening)*g, v = g at first;  w -= lr * (nesterov ? g + momentum*v : v) */
static void momentum_chunk(const chunk *c, const mn_optim_opt *o) {
    const REAL momentum = c->first ? 0 : (REAL)o->momentum, take = c->first ? 1 : (REAL)(1 - o->dampening);
    const REAL of_v = o->nesterov ? (REAL)o->momentum : 1, of_g = o->nesterov ? 1 : 0;
#pragma omp simd
    for (int64_t i = 0; i < c->n; i++) {
        const REAL g = gradient(c, i), v = momentum * c->s[i] + take * g;
        c->s[i] = v;
        c->w[i] -= c->lr * (of_g * g + of_v * v);
    }
}

/* m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g^2;  w -= lr/(1-b1^t) * m / (sqrt(v/(1-b2^t)) + eps) */
static void adam_chunk(const chunk *c, const mn_optim_opt *o) {
    const REAL b1 = (REAL)o->beta1, b2 = (REAL)o->beta2, new1 = (REAL)(1 - o->beta1),
               new2 = (REAL)(1 - o->beta2);
    const REAL eps = (REAL)o->eps, rate = (REAL)((double)c->lr / (1 - pow(o->beta1, c->t)));
    const REAL root = (REAL)sqrt(1 - pow(o->beta2, c->t));
#pragma omp simd
    for (int64_t i = 0; i < c->n; i++) {
        const REAL g = gradient(c, i), m = b1 * c->s[i] + new1 * g, v = b2 * c->v[i] + new2 * g * g;
        c->s[i] = m;
        c->v[i] = v;
        c->w[i] -= rate * m / (sqrt(v) / root + eps);
    }
}

/* w -= lr*decay*w, before and apart from Adam's step */
static void adamw_chunk(const chunk *c, const mn_optim_opt *o) {
    const REAL keep = 1 - c->lr * c->decay;
#pragma omp simd
    for (int64_t i = 0; i < c->n; i++) c->w[i] *= keep;
    chunk plain = *c;
    plain.decay = 0;
    adam_chunk(&plain, o);
}

/* s = alpha*s + (1-alpha)*g^2;  v = momentum*v + g/(sqrt(s)+eps);  w -= lr*v. Without momentum v is not kept.
 */
static void rmsprop_chunk(const chunk *c, const mn_optim_opt *o) {
    const REAL alpha = (REAL)o->alpha, fresh = (REAL)(1 - o->alpha), eps = (REAL)o->eps,
               momentum = (REAL)o->momentum;
    if (!c->v) {
#pragma omp simd
        for (int64_t i = 0; i < c->n; i++) {
            const REAL g = gradient(c, i), s = c->s[i] = alpha * c->s[i] + fresh * g * g;
            c->w[i] -= c->lr * g / (sqrt(s) + eps);
        }
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < c->n; i++) {
        const REAL g = gradient(c, i), s = c->s[i] = alpha * c->s[i] + fresh * g * g;
        const REAL v = c->v[i] = momentum * c->v[i] + g / (sqrt(s) + eps);
        c->w[i] -= c->lr * v;
    }
}

static void sgd_either(const chunk *c, const mn_optim_opt *o) {
    if (c->s)
        momentum_chunk(c, o);
    else
        sgd_chunk(c);
}

/* ---- sharing out ---- */

static int64_t elements(const mn__update *u) {
    int64_t n = 0;
    for (int i = 0; i < u->n; i++) n += u->part[i].count;
    return n;
}

static chunk chunk_of(const mn__update *u, const mn__update_part *p, int64_t k) {
    int64_t at = k * CHUNK, n = p->count - at < CHUNK ? p->count - at : CHUNK;
    const mn_optim_opt *o = u->opt;
    return (chunk){.w = (REAL *)p->w + at,
                   .g = (const REAL *)p->g + at,
                   .n = n,
                   .s = p->state[0] ? (REAL *)p->state[0] + at : NULL,
                   .v = p->state[1] ? (REAL *)p->state[1] + at : NULL,
                   .lr = (REAL)p->lr,
                   .decay = (REAL)p->weight_decay,
                   .t = (double)p->t,
                   .first = p->t == 1,
                   .scale = u->norm2 ? (REAL)mn__clip_factor(*u->norm2, o->clip_norm) : 1,
                   .limit = o && o->clip_value > 0 ? (REAL)o->clip_value : (REAL)INFINITY};
}

static mn_status for_chunks(const mn__update *u, void (*f)(const chunk *, const mn_optim_opt *)) {
    if (u->norm2 && !(*u->norm2 <= 1e300)) return MN_OK; /* NaN or infinite: such gradients change nothing */
#pragma omp parallel num_threads(u->ctx->threads) if (elements(u) > MN__PARALLEL_MIN)
    for (int i = 0; i < u->n; i++) {
        const mn__update_part *p = &u->part[i];
#pragma omp for schedule(static) nowait
        for (int64_t k = 0; k < chunks_of(p); k++) {
            chunk c = chunk_of(u, p, k);
            f(&c, u->opt);
        }
    }
    return MN_OK;
}

static mn_status sgd_update(const mn__update *u) { return for_chunks(u, sgd_either); }
static mn_status adam_update(const mn__update *u) { return for_chunks(u, adam_chunk); }
static mn_status adamw_update(const mn__update *u) { return for_chunks(u, adamw_chunk); }
static mn_status rmsprop_update(const mn__update *u) { return for_chunks(u, rmsprop_chunk); }

/* *norm2 = sum over all parameters of g[i]^2, in double: one partial sum a chunk, then the chunks in order.
 */
static mn_status square_sum(const mn__update *u) {
    int64_t chunks = 0;
    for (int i = 0; i < u->n; i++) chunks += chunks_of(&u->part[i]);
    double *partial = mn__workspace(u->ctx, (size_t)chunks * sizeof *partial), sum = 0;
    if (!partial) return u->ctx->error.status;
    int64_t first = 0;
    for (int i = 0; i < u->n; first += chunks_of(&u->part[i++])) {
        const mn__update_part *p = &u->part[i];
#pragma omp parallel for num_threads(u->ctx->threads) if (p->count > MN__PARALLEL_MIN)
        for (int64_t k = 0; k < chunks_of(p); k++) {
            const REAL *g = (const REAL *)p->g + k * CHUNK;
            int64_t n = p->count - k * CHUNK < CHUNK ? p->count - k * CHUNK : CHUNK;
            double s = 0;
#pragma omp simd reduction(+ : s)
            for (int64_t j = 0; j < n; j++) s += (double)g[j] * (double)g[j];
            partial[first + k] = s;
        }
    }
    for (int64_t k = 0; k < chunks; k++) sum += partial[k];
    *u->norm2 = sum;
    return MN_OK;
}

/* average = decay*average + (1-decay)*weight, written so that equal ones stay equal */
static mn_status average(const mn__update *u) {
    const REAL step = (REAL)(1 - u->decay);
    for (int i = 0; i < u->n; i++) {
        const mn__update_part *p = &u->part[i];
        REAL *a = p->w;
        const REAL *w = p->g;
#pragma omp parallel for simd num_threads(u->ctx->threads) if (p->count > MN__PARALLEL_MIN)
        for (int64_t k = 0; k < p->count; k++) a[k] += step * (w[k] - a[k]);
    }
    return MN_OK;
}

/* Exchanges w and state[0]. */
static mn_status swap(const mn__update *u) {
    for (int i = 0; i < u->n; i++) {
        const mn__update_part *p = &u->part[i];
        REAL *a = p->w, *b = p->state[0];
#pragma omp parallel for simd num_threads(u->ctx->threads) if (p->count > MN__PARALLEL_MIN)
        for (int64_t k = 0; k < p->count; k++) {
            const REAL t = a[k];
            a[k] = b[k];
            b[k] = t;
        }
    }
    return MN_OK;
}

extern const mn__update_kernels LOCAL(updates);
const mn__update_kernels LOCAL(updates) = {
#define OPTIM(name) .step[MN__OPTIM_##name] = name##_update,
#include "optim/optim.def"
#undef OPTIM
    .square_sum = square_sum, .average = average, .swap = swap};
