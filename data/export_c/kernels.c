/* What `mien export --c` puts into every file it writes. Not compiled here: a line "section NAME" in a comment of
 * its own begins a part that is written when a network needs it, and the words NAME_, KERNEL, TARGET and TILE are
 * explained where they are used. Sections below `window` are written twice: for any processor, and for AVX2. */
/*@ decode */
/* Five characters are one number in base 85, which is the bits of a float; "x" and "y" stand for the two
 * characters that a C string would change. */
static void decode(void) {
    const size_t pieces = sizeof packed / sizeof *packed;
    size_t n = 0, i, k;
    for (i = 0; i < pieces; i++) {
        const char *p = packed[i];
        for (; *p; p += 5) {
            uint32_t bits = 0;
            for (k = 0; k < 5; k++) bits = bits * 85 + (uint32_t)((p[k] == 'x' ? '\\' : p[k] == 'y' ? '\?' : p[k]) - '#');
            memcpy(&weights[n++], &bits, sizeof bits);
        }
    }
}

/*@ vectors */
/* Eight numbers at once. GCC and Clang have a type for them on every processor; elsewhere it is an array. `a` is
 * a variable of that type; x is one number, p points to eight of them, w to eight weights. */
#if defined(__GNUC__) && !defined(NAME_PLAIN)
typedef float eight __attribute__((vector_size(32)));
typedef int eight_masks __attribute__((vector_size(32)));
typedef float eight_in_memory __attribute__((vector_size(32), aligned(4), may_alias));
typedef signed char eight_bytes __attribute__((vector_size(8), aligned(1), may_alias));
#define EIGHT(p) (*(const eight_in_memory *)(p))
#if WEIGHT_BYTES == 1
#define WEIGHTS(w) __builtin_convertvector(__builtin_convertvector(*(const eight_bytes *)(w), eight_masks), eight)
#else
#define WEIGHTS(w) EIGHT(w)
#endif
#define SAME(x) {(x), (x), (x), (x), (x), (x), (x), (x)}
#define CLEAR(a) ((a) = (eight){0})
#define ADD_TIMES(a, x, w)                                                                                   \
    do {                                                                                                     \
        const eight x_ = SAME(x);                                                                            \
        (a) += x_ * WEIGHTS(w);                                                                              \
    } while (0)
#define ADD_PRODUCT(a, p, w) ((a) += EIGHT(p) * WEIGHTS(w))
#define SCALE(a, p) ((a) *= EIGHT(p))
#define ADD(a, p) ((a) += EIGHT(p))
#define AT_LEAST(a, low)                                                                                     \
    do {                                                                                                     \
        const eight low_ = SAME(low);                                                                        \
        const eight_masks above_ = (a) > low_;                                                               \
        (a) = (eight)((above_ & (eight_masks)(a)) | (~above_ & (eight_masks)low_));                          \
    } while (0)
#define PUT(p, a) (*(eight_in_memory *)(p) = (a))
#define INLINE static inline __attribute__((always_inline))
#else
typedef struct eight {
    float at[8];
} eight;
#define EACH(statement)                                                                                      \
    do {                                                                                                     \
        int l_;                                                                                              \
        for (l_ = 0; l_ < 8; l_++) statement;                                                                \
    } while (0)
#define CLEAR(a) EACH((a).at[l_] = 0)
#define ADD_TIMES(a, x, w) EACH((a).at[l_] += (x) * (float)(w)[l_])
#define ADD_PRODUCT(a, p, w) EACH((a).at[l_] += (p)[l_] * (float)(w)[l_])
#define SCALE(a, p) EACH((a).at[l_] *= (p)[l_])
#define ADD(a, p) EACH((a).at[l_] += (p)[l_])
#define AT_LEAST(a, low) EACH(if ((a).at[l_] < (low))(a).at[l_] = (low))
#define PUT(p, a) EACH((p)[l_] = (a).at[l_])
#define INLINE static inline
#endif

/*@ window */
/* A window that slides over an image (height, width, channels) which has its padding around it already. */
typedef struct window {
    int down, right;      /* numbers from one place of the window to the next */
    int runs_y, runs_x;   /* the window in pieces that lie in a row: how many, below and beside each other, */
    int step_y, step_x;   /* how far apart, */
    int run;              /* and how long each is */
    int height, width;    /* of the output */
    int filters, channels; /* of the output: those made here, and all that lie side by side */
} window;

/*@ any */
/* Everything from here to `run` is there twice: for any processor, and for x86 processors with AVX2. */
#if defined(__AVX2__) || defined(__aarch64__)
#define TILE 6 /* pixels at once: 12 registers of eight numbers */
#else
#define TILE 3
#endif
#if defined(__GNUC__) && !defined(__clang__)
#define TARGET __attribute__((optimize("fp-contract=fast")))
#else
#define TARGET
#endif
#define KERNEL(name) name##_any

/*@ avx2 */
#undef TILE
#undef TARGET
#undef KERNEL
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__AVX2__)
#define TILE 6
#if defined(__clang__)
#define TARGET __attribute__((target("avx2,fma")))
#else
#define TARGET __attribute__((target("avx2,fma"), optimize("fp-contract=fast")))
#endif
#define KERNEL(name) name##_avx2
/*@ end */
#define RUN(in, out)                                                                                         \
    (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? run_avx2(in, out) : run_any(in, out))
#else
#define RUN(in, out) run_any(in, out)
#endif
/*@ pad */
/* x (height, width, channels) into the middle of zeros. */
static void KERNEL(pad)(const float *x, int height, int row, int top, int bottom, int left, int right, float *y) {
    int i;
    for (i = -top; i < height + bottom; i++, y += left + row + right) {
        if (i < 0 || i >= height) {
            memset(y, 0, (size_t)(left + row + right) * sizeof *y);
            continue;
        }
        memset(y, 0, (size_t)left * sizeof *y);
        memcpy(y + left, x + (size_t)i * (size_t)row, (size_t)row * sizeof *y);
        memset(y + left + row, 0, (size_t)right * sizeof *y);
    }
}

/*@ conv */
/* TILE pixels of the output times 8 or 16 filters, in registers. The weights of 16 filters lie side by side. */
TARGET INLINE void KERNEL(tile)(const window *s, const float *const *x, const weight *w, const float *bias,
                                float low, int halves, float *const *y, int n) {
    eight a[TILE][2];
    float last[16];
    int i, h, r, v, j;
    for (i = 0; i < TILE; i++)
        for (h = 0; h < halves; h++) CLEAR(a[i][h]);
    for (r = 0; r < s->runs_y; r++)
        for (v = 0; v < s->runs_x; v++) {
            const int at = r * s->step_y + v * s->step_x;
            for (j = at; j < at + s->run; j++, w += 8 * halves)
                for (i = 0; i < TILE; i++)
                    for (h = 0; h < halves; h++) ADD_TIMES(a[i][h], x[i][j], w + 8 * h);
        }
    for (i = 0; i < TILE; i++)
        for (h = 0; h < halves; h++) {
#if WEIGHT_BYTES == 1
            SCALE(a[i][h], bias + BLOCK(s->filters) + 8 * h);
#endif
            ADD(a[i][h], bias + 8 * h);
            AT_LEAST(a[i][h], low);
            if (n == 8 * halves) {
                PUT(y[i] + 8 * h, a[i][h]);
            } else {
                PUT(last + 8 * h, a[i][h]);
                if (h == halves - 1) memcpy(y[i], last, (size_t)n * sizeof *last);
            }
        }
}

/* y = max(low, conv(x, w) + bias), sixteen filters after the other; the last pixel of the image may be computed
 * more than once. */
TARGET static void KERNEL(conv)(const float *x, const window *s, const weight *w, const float *bias, float low,
                                float *y) {
    const int pixels = s->height * s->width, length = s->runs_y * s->runs_x * s->run;
    int k, t, i;
    for (k = 0; k < s->filters; k += 16) {
        const int n = s->filters - k < 16 ? s->filters - k : 16;
        const float *at = x, *row = x;
        float *next = y + k;
        int left = s->width, p = 0;
        for (t = 0; t < pixels; t += TILE) {
            const float *from[TILE];
            float *to[TILE];
            for (i = 0; i < TILE; i++) {
                from[i] = at, to[i] = next;
                if (++p >= pixels) continue;
                next += s->channels, at += s->right;
                if (--left == 0) at = row += s->down, left = s->width;
            }
            if (n > 8) KERNEL(tile)(s, from, w, bias + k, low, 2, to, n);
            else KERNEL(tile)(s, from, w, bias + k, low, 1, to, n);
        }
        w += (size_t)length * (n > 8 ? 16 : 8);
    }
}

/*@ depthwise */
/* Every channel with a window of its own: y[c] = max(low, sum of x[place][c] * w[place][c] + bias[c]). */
TARGET static void KERNEL(depthwise)(const float *x, const window *s, const weight *w, const float *bias, float low,
                                     float *y) {
    const int n = s->channels, whole = n - n % 8;
    int py, px, r, v, c;
    for (py = 0; py < s->height; py++)
        for (px = 0; px < s->width; px++, y += n) {
            const float *at = x + (size_t)py * (size_t)s->down + (size_t)px * (size_t)s->right;
            for (c = 0; c < whole; c += 8) {
                const weight *u = w + c;
                eight a;
                CLEAR(a);
                for (r = 0; r < s->runs_y; r++)
                    for (v = 0; v < s->runs_x; v++, u += n)
                        ADD_PRODUCT(a, at + r * s->step_y + v * s->step_x + c, u);
#if WEIGHT_BYTES == 1
                SCALE(a, bias + n + c);
#endif
                ADD(a, bias + c);
                AT_LEAST(a, low);
                PUT(y + c, a);
            }
            for (c = whole; c < n; c++) {
                const weight *u = w + c;
                float a = 0;
                for (r = 0; r < s->runs_y; r++)
                    for (v = 0; v < s->runs_x; v++, u += n) a += at[r * s->step_y + v * s->step_x + c] * (float)*u;
#if WEIGHT_BYTES == 1
                a *= bias[n + c];
#endif
                a += bias[c];
                y[c] = a > low ? a : low;
            }
        }
}

/*@ depthwise_more */
/* The same with several windows a channel: output c*times + m is made of channel c. */
TARGET static void KERNEL(depthwise_more)(const float *x, const window *s, int times, const weight *w, const float *bias,
                                          float low, float *y) {
    const int n = s->channels;
    int py, px, r, v, c;
    for (py = 0; py < s->height; py++)
        for (px = 0; px < s->width; px++, y += n) {
            const float *at = x + (size_t)py * (size_t)s->down + (size_t)px * (size_t)s->right;
            for (c = 0; c < n; c++) {
                const weight *u = w + c;
                float a = 0;
                for (r = 0; r < s->runs_y; r++)
                    for (v = 0; v < s->runs_x; v++, u += n)
                        a += at[r * s->step_y + v * s->step_x + c / times] * (float)*u;
#if WEIGHT_BYTES == 1
                a *= bias[n + c];
#endif
                a += bias[c];
                y[c] = a > low ? a : low;
            }
        }
}

/*@ dense */
/* y[k] = max(low, sum of x[j] * w[j][k] + bias[k]), sixteen k after the other. Four sums side by side keep the
 * processor busy. */
TARGET INLINE void KERNEL(dense_block)(const float *x, int in, const weight *w, const float *bias, const float *scale,
                                       float low, int halves, float *y, int n) {
    eight a[4][2];
    const int whole = in - in % 4;
    float part[16], sum[16];
    int i, h, j, k;
    for (i = 0; i < 4; i++)
        for (h = 0; h < halves; h++) CLEAR(a[i][h]);
    for (j = 0; j < whole; j += 4, w += 32 * halves)
        for (i = 0; i < 4; i++)
            for (h = 0; h < halves; h++) ADD_TIMES(a[i][h], x[j + i], w + 8 * (i * halves + h));
    for (j = whole; j < in; j++, w += 8 * halves)
        for (h = 0; h < halves; h++) ADD_TIMES(a[0][h], x[j], w + 8 * h);
    for (k = 0; k < 16; k++) sum[k] = 0;
    for (i = 0; i < 4; i++) {
        for (h = 0; h < halves; h++) PUT(part + 8 * h, a[i][h]);
        for (k = 0; k < 8 * halves; k++) sum[k] += part[k];
    }
    for (k = 0; k < n; k++) {
        float v = sum[k] * (scale ? scale[k] : 1) + bias[k];
        y[k] = v > low ? v : low;
    }
}

TARGET static void KERNEL(dense)(const float *x, int in, const weight *w, const float *bias, float low,
                                 float *y, int units) {
    int k;
    for (k = 0; k < units; k += 16) {
        const int n = units - k < 16 ? units - k : 16;
        const float *scale = WEIGHT_BYTES == 1 ? bias + BLOCK(units) + k : NULL;
        if (n > 8) KERNEL(dense_block)(x, in, w, bias + k, scale, low, 2, y + k, n);
        else KERNEL(dense_block)(x, in, w, bias + k, scale, low, 1, y + k, n);
        w += (size_t)in * (n > 8 ? 16 : 8);
    }
}

/*@ scale */
/* y[c] = x[c] * factor[c] + offset[c] for every pixel: a batch normalisation that no convolution takes in. */
TARGET static void KERNEL(scale)(const float *x, int pixels, int n, const float *factor, const float *offset, float *y) {
    int p, c;
    for (p = 0; p < pixels; p++, x += n, y += n)
        for (c = 0; c < n; c++) y[c] = x[c] * factor[c] + offset[c];
}

/*@ rescale */
TARGET static void KERNEL(rescale)(const float *x, int n, float factor, float offset, float *y) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] * factor + offset;
}

/*@ add */
TARGET static void KERNEL(add)(const float *a, const float *b, int n, float low, float *y) {
    int i;
    for (i = 0; i < n; i++) {
        const float v = a[i] + b[i];
        y[i] = v > low ? v : low;
    }
}

/*@ join */
/* Pieces of `n` numbers, `from` apart in x and `to` apart in y. */
TARGET static void KERNEL(join)(const float *x, int pieces, int n, int to, float *y) {
    int i;
    for (i = 0; i < pieces; i++) memcpy(y + (size_t)i * (size_t)to, x + (size_t)i * (size_t)n, (size_t)n * sizeof *y);
}

/*@ pool */
/* The largest number (mean: the mean) of each window of the image, channel by channel; its padding does not count. */
TARGET static void KERNEL(pool)(const float *x, int height, int width, int n, const int size[2], const int stride[2],
                                int top, int left, int out_height, int out_width, int mean, float *y) {
    int py, px, r, v, c;
    for (py = 0; py < out_height; py++)
        for (px = 0; px < out_width; px++, y += n) {
            const int y0 = py * stride[0] - top, x0 = px * stride[1] - left;
            const int r0 = y0 < 0 ? 0 : y0, r1 = y0 + size[0] < height ? y0 + size[0] : height;
            const int v0 = x0 < 0 ? 0 : x0, v1 = x0 + size[1] < width ? x0 + size[1] : width;
            const float share = 1 / (float)((r1 - r0) * (v1 - v0));
            memcpy(y, x + ((size_t)r0 * (size_t)width + (size_t)v0) * (size_t)n, (size_t)n * sizeof *y);
            for (r = r0; r < r1; r++)
                for (v = v0; v < v1; v++) {
                    const float *at = x + ((size_t)r * (size_t)width + (size_t)v) * (size_t)n;
                    if (r == r0 && v == v0) continue;
                    if (mean) for (c = 0; c < n; c++) y[c] += at[c];
                    else for (c = 0; c < n; c++) y[c] = at[c] > y[c] ? at[c] : y[c];
                }
            if (mean) for (c = 0; c < n; c++) y[c] *= share;
        }
}

/*@ activate */
/* One function of every number. */
TARGET static void KERNEL(activate)(const float *x, int n, int function, float alpha, float *y) {
    int i;
    for (i = 0; i < n; i++) {
        const float v = x[i];
        switch (function) {
        case RELU: y[i] = v > 0 ? v : 0; break;
        case LEAKY_RELU: y[i] = v > 0 ? v : alpha * v; break;
        case ELU: y[i] = v > 0 ? v : alpha * expm1f(v); break;
        case SIGMOID: y[i] = 1 / (1 + expf(-v)); break;
        case TANH: y[i] = tanhf(v); break;
        case GELU: y[i] = 0.5f * v * (1 + erff(v * 0.70710678f)); break;
        case SILU: y[i] = v / (1 + expf(-v)); break;
        default: y[i] = (v > 0 ? v : 0) + log1pf(expf(-fabsf(v))); break; /* SOFTPLUS */
        }
    }
}

/*@ softmax */
TARGET static void KERNEL(softmax)(const float *x, int n, float *y) {
    float high = x[0], sum = 0;
    int i;
    for (i = 1; i < n; i++) high = x[i] > high ? x[i] : high;
    for (i = 0; i < n; i++) sum += y[i] = expf(x[i] - high);
    for (i = 0; i < n; i++) y[i] /= sum;
}

/*@ lstm_cell */
/* One step of `units` cells at each of `places`. z: the gates i, f, c, o side by side, less what the cells' own
 * outputs add to them, which is in `more` (NULL: nothing yet). */
TARGET static void KERNEL(lstm_cell)(const float *z, const float *more, int places, int units, int hard, int relu,
                                     float *cell, float *h) {
    float gate[4];
    int p, k, g;
    for (p = 0; p < places; p++)
        for (k = 0; k < units; k++) {
            const int at = p * units + k;
            for (g = 0; g < 4; g++) {
                const int from = (p * 4 + g) * units + k;
                const float v = z[from] + (more ? more[from] : 0);
                if (g == 2) gate[g] = !relu ? tanhf(v) : v > 0 ? v : 0;
                else if (!hard) gate[g] = 1 / (1 + expf(-v));
                else gate[g] = v < -2.5f ? 0 : v > 2.5f ? 1 : 0.2f * v + 0.5f;
            }
            cell[at] = (more ? gate[1] * cell[at] : 0) + gate[0] * gate[2];
            h[at] = gate[3] * (!relu ? tanhf(cell[at]) : cell[at] > 0 ? cell[at] : 0);
        }
}
