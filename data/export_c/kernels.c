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

/*@ points */
/* Winograd's F(4x4, 3x3): four results in a row of a 3-tap filter are the product of two polynomials, which six of its
 * values determine. Each value is one multiplication, so that 16 pixels of a 3x3 convolution cost 36 products, not 144.
 * The six points are 0, +-POINT_A, +-POINT_B and infinity; other points round worse. */
#define POINT_A 0.625f
#define POINT_B 1.5f
#define AA (POINT_A * POINT_A)
#define BB (POINT_B * POINT_B)

/* The values at the six points of three weights `from` apart, divided by what the other transforms leave out. */
static void weights_at_points(const float *g, size_t from, float *u, size_t to) {
    const float a = 1 / (2 * AA * (AA - BB)), b = 1 / (2 * BB * (BB - AA)), g0 = g[0], g1 = g[from], g2 = g[2 * from];
    u[0] = g0 / (AA * BB);
    u[to] = a * (g0 + AA * g2 + POINT_A * g1);
    u[2 * to] = a * (g0 + AA * g2 - POINT_A * g1);
    u[3 * to] = b * (g0 + BB * g2 + POINT_B * g1);
    u[4 * to] = b * (g0 + BB * g2 - POINT_B * g1);
    u[5 * to] = g2;
}

/* All weights of a layer at the 36 points: both are blocks of 16 filters (the last one of 8, where 8 are left). */
static void prepare_points(const weight *w, int channels, int filters, float *u) {
    const size_t point = (size_t)channels * (size_t)filters;
    int k, i, r;
    for (k = 0; k < filters; k += 16) {
        const int n = channels * (filters - k > 8 ? 16 : 8);
        for (i = 0; i < n; i++) {
            float rows[18];
            for (r = 0; r < 3; r++) weights_at_points(w + r * 3 * n + i, (size_t)n, rows + r * 6, 1);
            for (r = 0; r < 6; r++) weights_at_points(rows + r, 6, u + (size_t)r * point + i, 6 * point);
        }
        w += 9 * n, u += n;
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

/*@ winograd */
/* Eight channels side by side: six pixels `from` apart to their values at the six points. */
TARGET INLINE void KERNEL(to_points)(const float *d, int from, float *v, int to) {
    int l;
    for (l = 0; l < 8; l++) {
        const float d0 = d[l], d1 = d[from + l], d2 = d[2 * from + l], d3 = d[3 * from + l], d4 = d[4 * from + l];
        const float even_a = d4 - BB * d2, odd_a = POINT_A * (d3 - BB * d1);
        const float even_b = d4 - AA * d2, odd_b = POINT_B * (d3 - AA * d1);
        v[l] = AA * BB * d0 - (AA + BB) * d2 + d4;
        v[to + l] = even_a + odd_a;
        v[2 * to + l] = even_a - odd_a;
        v[3 * to + l] = even_b + odd_b;
        v[4 * to + l] = even_b - odd_b;
        v[5 * to + l] = AA * BB * d1 - (AA + BB) * d3 + d[5 * from + l];
    }
}

/* And back: six products to four pixels. */
TARGET INLINE void KERNEL(from_points)(const float *m, int from, float *y, int to) {
    int l;
    for (l = 0; l < 8; l++) {
        const float m1 = m[from + l], m2 = m[2 * from + l], m3 = m[3 * from + l], m4 = m[4 * from + l];
        const float sum_a = m1 + m2, odd_a = POINT_A * (m1 - m2), sum_b = m3 + m4, odd_b = POINT_B * (m3 - m4);
        y[l] = m[l] + sum_a + sum_b;
        y[to + l] = odd_a + odd_b;
        y[2 * to + l] = AA * sum_a + BB * sum_b;
        y[3 * to + l] = AA * odd_a + BB * odd_b + m[5 * from + l];
    }
}

/* The 6x6 pixels that a tile of 4x4 sees, n channels, to 36 points `to` apart. */
TARGET static void KERNEL(tile_to_points)(const float *x, int row, int n, float *v, int to) {
    int c, i;
    for (c = 0; c < n; c += 8) {
        float half[6 * 6 * 8], whole[6 * 6 * 8];
        for (i = 0; i < 6; i++) KERNEL(to_points)(x + i * n + c, row, half + i * 8, 48);
        for (i = 0; i < 6; i++) KERNEL(to_points)(half + i * 48, 8, whole + i * 48, 8);
        for (i = 0; i < 36; i++) memcpy(v + i * to + c, whole + i * 8, 8 * sizeof *v);
    }
}

/* y = max(low, pixels + bias) of one tile; down and right: how much of it lies in the image. */
TARGET static void KERNEL(tile_from_points)(const float *m, int from, const float *bias, float low, int n, float *y,
                                            int row, int down, int right) {
    int k, i, j, l;
    for (k = 0; k < n; k += 8) {
        float half[4 * 6 * 8], whole[4 * 4 * 8];
        for (i = 0; i < 6; i++) KERNEL(from_points)(m + i * from + k, 6 * from, half + i * 8, 48);
        for (i = 0; i < 4; i++) KERNEL(from_points)(half + i * 48, 8, whole + i * 32, 8);
        for (i = 0; i < down; i++)
            for (j = 0; j < right; j++)
                for (l = 0; l < 8; l++) {
                    const float v = whole[i * 32 + j * 8 + l] + bias[k + l];
                    y[i * row + j * n + k + l] = v > low ? v : low;
                }
    }
}

/* A 3x3 convolution, `block` tiles at a time: to points, 36 products of matrices, back. x has its padding around it, and
 * more on the right and below where the size is no multiple of 4; behind the bias lie as many zeros. */
TARGET static void KERNEL(winograd)(const float *x, int height, int width, int channels, int filters, const float *u,
                                    const float *bias, float low, int block, float *work, float *y) {
    const int across = (width + 3) / 4, tiles = (height + 3) / 4 * across, row = (4 * across + 2) * channels;
    const int apart = block * channels + 16, out_apart = block * filters + 16; /* 16: not all points in one place of a cache */
    float *products = work + 36 * apart;
    int first, t, p;
    for (first = 0; first < tiles; first += block) {
        const int n = tiles - first < block ? tiles - first : block;
        window s = {0};
        s.right = s.run = channels, s.runs_y = s.runs_x = s.height = 1, s.width = n, s.filters = s.channels = filters;
        for (t = 0; t < n; t++) {
            const int down = (first + t) / across * 4, right = (first + t) % across * 4;
            KERNEL(tile_to_points)(x + (size_t)down * (size_t)row + right * channels, row, channels, work + t * channels, apart);
        }
        for (p = 0; p < 36; p++)
            KERNEL(conv)(work + p * apart, &s, u + (size_t)p * (size_t)channels * (size_t)filters, bias + filters, -FLT_MAX,
                         products + p * out_apart);
        for (t = 0; t < n; t++) {
            const int down = (first + t) / across * 4, right = (first + t) % across * 4;
            KERNEL(tile_from_points)(products + t * filters, out_apart, bias, low, filters,
                                     y + ((size_t)down * (size_t)width + (size_t)right) * (size_t)filters, width * filters,
                                     height - down < 4 ? height - down : 4, width - right < 4 ? width - right : 4);
        }
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
