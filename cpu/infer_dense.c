/* Compiled fully connected layer: y (N,K) = activation(x (N,C) w^T + b), w (K,C) where the model keeps it. For a few
 * images it is bound by reading w: four rows of it at a time, each number once. For many, y^T = w x^T: w is the factor
 * that GEMM reads as it lies, and only x is packed. The parts share out the rows of w. 2*N*K*C flop. */
#include "cpu/infer.h"

enum { FEW = 6, ROWS = 4 };

/* y[row] for `rows` rows of w, a constant where this is inlined. */
INLINE void dot_rows(int rows, int64_t C, const REAL *w, const REAL *x, REAL *y) {
    vec sum[ROWS][2] = {0};
    int64_t c = 0;
    for (; c + 2 * LANES <= C; c += 2 * LANES) {
        vec x0 = load(x + c), x1 = load(x + c + LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            sum[i][0] += load(w + i * C + c) * x0;
            sum[i][1] += load(w + i * C + c + LANES) * x1;
        }
    }
    for (int i = 0; i < rows; i++) {
        REAL total = sum_lanes(sum[i][0] + sum[i][1]);
        for (int64_t k = c; k < C; k++) total += w[i * C + k] * x[k];
        y[i] = total;
    }
}

static int64_t scratch(const mn__infer_step *s, int64_t images) { return images > FEW ? padded(s->g.K * images) : 0; }

static inline REAL finished(const mn__infer_step *s, int64_t k, REAL v) {
    if (s->b) v += ((const REAL *)s->b)[k];
    return s->activation == MN_ACT_RELU && !(v > 0) ? 0 : v;
}

static void run(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const REAL *w = s->w;
    int64_t C = s->g.C, K = s->g.K, from, to, size = s->x->size;
    chunk_of((K + ROWS - 1) / ROWS, j->parts, j->part, &from, &to);
    from *= ROWS, to = to * ROWS < K ? to * ROWS : K;
    if (from >= to) return;
    if (j->images <= FEW) {
        for (int64_t k = from; k < to; k += ROWS)
            for (int64_t n = 0; n < j->images; n++) {
                REAL *y = job_y(j, n);
                int64_t rows = to - k < ROWS ? to - k : ROWS;
                if (rows == ROWS) dot_rows(ROWS, C, w + k * C, job_x(j, n), y + k);
                else
                    for (int64_t i = 0; i < rows; i++) dot_rows(1, C, w + (k + i) * C, job_x(j, n), y + k + i);
                for (int64_t i = k; i < k + rows; i++) y[i] = finished(s, i, y[i]);
            }
        return;
    }
    REAL *turned = j->scratch; /* (to-from, images) */
    LOCAL(gemm)(false, true, to - from, j->images, C, w + from * C, C, job_x(j, 0), size, 0, turned, j->images);
    for (int64_t k = from; k < to; k++)
        for (int64_t n = 0; n < j->images; n++) job_y(j, n)[k] = finished(s, k, turned[(k - from) * j->images + n]);
}

const mn__infer_way LOCAL(infer_dense) = {NULL, NULL, scratch, run};
