/* mien tensor: errors, contexts, memory, tensors, random numbers.
 *
 * A *context* owns everything made in it: tensors, parameters, the tape. Nothing is freed one by one;
 * mn_context_destroy frees all. Two lifetimes exist inside a context:
 *   MN_MODEL  lives until the context is destroyed: parameters, their gradients, optimiser state;
 *   MN_STEP   lives until the next mn_step_begin: inputs, activations, their gradients.
 * A context computes on one device in one floating-point type and is used by one thread at a time.
 * Two contexts share nothing and may be used by two threads.
 *
 * The library never exits, aborts or prints. Functions return mn_status, or a pointer that is NULL on
 * failure; the sentence that says why stands in an mn_error. */
#ifndef MIEN_TENSOR_H
#define MIEN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ------------------------------------------------------------------------------------- */

typedef enum mn_status {
    MN_OK = 0,
    MN_ERR_ARG,         /* an argument out of its range */
    MN_ERR_SHAPE,       /* shapes that do not fit each other */
    MN_ERR_MEMORY,      /* out of memory, or above the context's limit */
    MN_ERR_IO,          /* a file that cannot be opened, read or written */
    MN_ERR_FORMAT,      /* a file whose content is broken or not understood */
    MN_ERR_NUMERIC,     /* NaN or infinity where a number was needed */
    MN_ERR_UNSUPPORTED, /* not implemented here, or built without the library that does it */
    MN_ERR_DEVICE       /* the device failed or is not there */
} mn_status;

/* The first failure and its sentence. Zero-initialise; later failures do not replace the first. */
typedef struct mn_error {
    mn_status status;
    char text[1000];
} mn_error;

#if defined(__GNUC__)
#define MN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define MN_PRINTF(fmt, args)
#endif

/* Records a failure in *err (which may be NULL) unless one stands there already. Returns `status`.
 * A good sentence says what was given, what was wanted and what to try ("...; hint: ..."). */
mn_status mn_fail(mn_error *err, mn_status status, const char *format, ...) MN_PRINTF(3, 4);
/* Puts "<prefix>: " before the sentence of an error that stands in *err; does nothing without one. */
void mn_error_prefix(mn_error *err, const char *format, ...) MN_PRINTF(2, 3);
/* Forgets the failure, so that work can go on. */
void mn_error_clear(mn_error *err);
/* A short name: "ok", "shape error", ... Never NULL. */
const char *mn_status_name(mn_status status);

/* ---- host memory -------------------------------------------------------------------------------- */

/* Where all host memory of the library comes from. `alloc` returns `bytes` bytes at a multiple of
 * `align` (a power of two), or NULL. Tests use it to make the n-th allocation fail. */
typedef struct mn_allocator {
    void *(*alloc)(size_t bytes, size_t align, void *user);
    void (*release)(void *p, void *user);
    void *user;
} mn_allocator;
/* NULL restores the default (aligned_alloc, free). Process-wide: set it before the first context. */
void mn_set_allocator(const mn_allocator *a);
/* The library's own allocation: NULL when out of memory; contents undefined / zero. Free with mn_free. */
void *mn_alloc(size_t bytes);
void *mn_alloc_zero(size_t count, size_t size);
void *mn_realloc(void *p, size_t old_bytes, size_t new_bytes);
char *mn_strdup(const char *s);
void mn_free(void *p);
/* Allocations made since the program began: a training step in the steady state adds none. */
int64_t mn_allocation_count(void);

/* ---- context ------------------------------------------------------------------------------------ */

typedef struct mn_context mn_context;

typedef enum mn_device { MN_CPU = 0, MN_CUDA, MN_DEVICE_COUNT } mn_device;
typedef enum mn_dtype { MN_F32 = 0, MN_F64, MN_I32, MN_U8, MN_DTYPE_COUNT } mn_dtype;

/* How the GPU's tensor cores may round the factors of matrix products and convolutions in f32. Sums, all other operations,
 * f64, the CPU and GPUs older than Ampere compute as MN_PRECISE whatever is given here. */
typedef enum mn_precision {
    MN_PRECISE = 0, /* not at all: ordinary f32 */
    MN_TF32X3,      /* each factor as a sum of two tf32, three products: about as exact as f32 */
    MN_TF32,        /* to 11 significant bits: an error of 2^-11 a factor */
    MN_BF16,        /* to 8 significant bits: 2^-8 a factor; what is stored stays f32 */
    MN_PRECISION_COUNT
} mn_precision;

/* What there is to compute on. */
typedef struct mn_device_info {
    mn_device device;
    char name[96], detail[96];  /* "NVIDIA H200"; "compute capability 9.0, 132 multiprocessors" */
    size_t memory, memory_free; /* bytes; 0: not known */
    bool usable;                /* would a context of this device compute on it? */
    char why[1000];             /* where not: the reason, a sentence */
} mn_device_info;
/* The CPU, then the GPUs of this machine, or one entry that says why there is none. Fills at most `most`; returns how
 * many. */
int mn_device_list(mn_device_info *out, int most);

typedef struct mn_context_opt {
    mn_device device;       /* default MN_CPU */
    mn_dtype dtype;         /* MN_F32 (default) or MN_F64; f64 is for checking gradients */
    int threads;            /* CPU threads; 0: as many as the machine has */
    uint64_t seed;          /* of every random number drawn in this context */
    size_t memory_limit;    /* bytes of tensor memory; 0: no limit */
    mn_precision precision; /* default MN_PRECISE */
} mn_context_opt;

/* NULL on failure, with the reason in *err. `opt` may be NULL (all defaults). */
mn_context *mn_context_create(const mn_context_opt *opt, mn_error *err);
/* Frees the context and everything made in it. NULL is allowed. */
void mn_context_destroy(mn_context *c);
/* The context's error: never NULL, its status is MN_OK while nothing failed. */
mn_error *mn_context_error(mn_context *c);
mn_device mn_context_device(const mn_context *c);
mn_dtype mn_context_dtype(const mn_context *c);
int mn_context_threads(const mn_context *c);
uint64_t mn_context_seed(const mn_context *c);
mn_precision mn_context_precision(const mn_context *c);
/* Steps begun so far; part of the key of every random number. Set it when resuming a run. */
uint64_t mn_context_step(const mn_context *c);
void mn_context_set_step(mn_context *c, uint64_t step);

typedef struct mn_memory_stats {
    size_t model_bytes, step_bytes, workspace_bytes; /* reserved from the device */
    size_t step_used, step_peak;                     /* used in this step; most of any step */
} mn_memory_stats;
mn_memory_stats mn_context_memory(const mn_context *c);

/* ---- tensors ------------------------------------------------------------------------------------ */

#define MN_MAX_DIMS 5

typedef struct mn_shape {
    int ndim; /* 0..MN_MAX_DIMS; 0 is a scalar (one element) */
    int64_t dim[MN_MAX_DIMS];
} mn_shape;
/* MN_SHAPE(32, 1, 48, 48); the scalar is (mn_shape){0}. C only: in C++ fill the struct. */
#define MN_SHAPE(...) ((mn_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})

int64_t mn_shape_count(mn_shape s); /* number of elements; -1 if negative or not representable */
bool mn_shape_equal(mn_shape a, mn_shape b);
/* "(32,1,48,48)" into buf; returns buf. 64 bytes are always enough to be useful. */
const char *mn_shape_text(mn_shape s, char *buf, size_t size);

typedef enum mn_lifetime { MN_STEP = 0, MN_MODEL } mn_lifetime;
struct mn_node; /* autograd: the operation that made a tensor */

/* Contiguous, row-major; images are (N,C,H,W). Fields are to be read, not written, except `name`. */
typedef struct mn_tensor {
    mn_context *ctx;
    mn_dtype dtype;
    mn_shape shape;
    int64_t count;          /* elements */
    void *data;             /* device memory; use mn_set / mn_get from the host */
    struct mn_tensor *grad; /* d loss / d this, same shape; NULL before the first backward pass */
    struct mn_node *node;   /* the operation that made it; NULL for a leaf */
    uint64_t grad_pass;     /* number of the backward pass that last wrote grad; 0: none yet */
    bool requires_grad;     /* take part in backward */
    bool retain_grad;       /* keep the gradient of an intermediate tensor for reading */
    mn_lifetime lifetime;
    const char *name; /* for messages and drawings; NULL or a string that lives as long */
} mn_tensor;

/* A tensor with undefined contents. NULL on failure, the reason in the context's error. */
mn_tensor *mn_tensor_create(mn_context *c, mn_lifetime life, mn_dtype dtype, mn_shape shape);
/* A zero-filled MN_MODEL tensor of the context's dtype that requires gradients. `name` is copied. */
mn_tensor *mn_parameter(mn_context *c, const char *name, mn_shape shape);
/* An MN_STEP tensor of the context's dtype, filled from `count` floats on the host (NULL: undefined). */
mn_tensor *mn_input(mn_context *c, mn_shape shape, const float *host);
/* An MN_STEP tensor of int32: class labels. */
mn_tensor *mn_labels(mn_context *c, int64_t n, const int32_t *host);

/* Copies between host and tensor, all elements, in the tensor's dtype. Synchronous. */
mn_status mn_set(mn_tensor *t, const void *host);
mn_status mn_get(const mn_tensor *t, void *host);
/* The same, converting from and to double, for any floating-point tensor. */
mn_status mn_set_f64(mn_tensor *t, const double *host);
mn_status mn_get_f64(const mn_tensor *t, double *host);
/* Element `i` as a double (0 <= i < count); NaN on failure. A device round trip: for losses and tests. */
double mn_item(const mn_tensor *t, int64_t i);
mn_status mn_fill(mn_tensor *t, double value);
/* dst = src; both of one context, dtype and element count. */
mn_status mn_copy(mn_tensor *dst, const mn_tensor *src);
size_t mn_dtype_size(mn_dtype d);
const char *mn_dtype_name(mn_dtype d);

/* ---- feeding --------------------------------------------------------------------------------------
 * Batches on their way to the device while it still computes on the one before. A feed has room for two batches, in turn:
 * mn_feed_put copies a batch from the host's memory, which may be used again at once, and starts its way to the device;
 * mn_feed_tensor gives it as a tensor. On the CPU it is one copy. */

typedef struct mn_feed mn_feed;
typedef struct mn_feed_part {
    mn_dtype dtype; /* MN_F32: floats on the host, the context's type as a tensor; MN_I32 */
    mn_shape each;  /* of one sample */
} mn_feed_part;
/* For batches of at most `most` samples, each with `n` parts. Owned by the context. */
mn_feed *mn_feed_create(mn_context *c, const mn_feed_part *part, int n, int64_t most);
/* The next batch: `n` samples, host[i] the numbers of part i. It replaces the one before the last. */
mn_status mn_feed_put(mn_feed *f, int64_t n, const void *const *host);
/* Part i of the batch that was put last: an MN_STEP tensor (n, each...). */
mn_tensor *mn_feed_tensor(mn_feed *f, int i);

/* ---- random numbers ------------------------------------------------------------------------------
 * Counter-based (Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):
 * a number is a function of (seed, stream, index), never of what was drawn before. */

/* Four 32-bit numbers for block `index` of `stream`. */
void mn_random_u32x4(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);

/* A convenient sequence over one stream, for host-side code (shuffling, augmentation, rendering). */
typedef struct mn_rng {
    uint64_t seed, stream, index;
    uint32_t word[4];
    int left;
} mn_rng;
mn_rng mn_rng_create(uint64_t seed, uint64_t stream);
uint32_t mn_rng_u32(mn_rng *r);
double mn_rng_uniform(mn_rng *r, double lo, double hi); /* [lo, hi) */
double mn_rng_normal(mn_rng *r);                        /* mean 0, deviation 1 */
uint64_t mn_rng_below(mn_rng *r, uint64_t n);           /* 0..n-1, unbiased; 0 for n = 0 */

/* Fills from the context's seed and `stream`, element i from index i: the same on every device. */
mn_status mn_fill_uniform(mn_tensor *t, uint64_t stream, double lo, double hi);
mn_status mn_fill_normal(mn_tensor *t, uint64_t stream, double mean, double deviation);

#ifdef __cplusplus
}
#endif
#endif
