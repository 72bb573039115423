/* What the last lane computes for its warp: shuffles, votes, matrix products, matrix loads. */
#include "cuda/emu/internal.h"

static void shuffle(void **in, void **out, const int *arg, unsigned mask, size_t bytes) {
    for (int l = 0; l < 32; l++) {
        if (!(mask >> l & 1)) continue;
        if (mask >> arg[l] & 1)
            memcpy(out[l], in[arg[l]], bytes);
        else
            memset(out[l], 0xff, bytes);
    }
}
void emu_work_shuffle4(void **in, void **out, const int *arg, unsigned mask) {
    shuffle(in, out, arg, mask, 4);
}
void emu_work_shuffle8(void **in, void **out, const int *arg, unsigned mask) {
    shuffle(in, out, arg, mask, 8);
}

void emu_work_syncwarp(void **, void **, const int *, unsigned) {}

void emu_work_ballot(void **in, void **out, const int *, unsigned mask) {
    unsigned bits = 0;
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1 && *(int *)in[l]) bits |= 1u << l;
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1) *(unsigned *)out[l] = bits;
}

void emu_work_reduce_add(void **in, void **out, const int *, unsigned mask) {
    unsigned sum = 0;
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1) sum += *(unsigned *)in[l];
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1) *(unsigned *)out[l] = sum;
}

static float tf32(uint32_t bits) {
    return emu_bits<float>(bits & 0xffffe000u);
} /* the hardware drops 13 bits */
static float bf16(uint32_t pair, int half) { return emu_bits<float>(half ? pair & 0xffff0000u : pair << 16); }

/* d (16x8) = a (16xK) * b (Kx8) + c from the fragments of mn_mma_tf32 (K = 8) and mn_mma_bf16 (K = 16). The
 * sum runs over k in f32; hardware aligns and truncates its addends differently, so compare with a tolerance.
 */
static void mma(void **in, void **out, int K, bool is_bf16) {
    float a[16][16], b[16][8];
    for (int l = 0; l < 32; l++) {
        const emu_mma_operands &f = *(const emu_mma_operands *)in[l];
        int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++) {
            int row = g + i % 2 * 8;
            if (!is_bf16)
                a[row][t + i / 2 * 4] = tf32(f.a[i]);
            else
                for (int h = 0; h < 2; h++) a[row][2 * t + h + i / 2 * 8] = bf16(f.a[i], h);
        }
        for (int i = 0; i < 2; i++) {
            if (!is_bf16)
                b[t + i * 4][g] = tf32(f.b[i]);
            else
                for (int h = 0; h < 2; h++) b[2 * t + h + i * 8][g] = bf16(f.b[i], h);
        }
    }
    for (int l = 0; l < 32; l++) {
        const emu_mma_operands &f = *(const emu_mma_operands *)in[l];
        int g = l / 4, t = l % 4;
        float d[4];
        for (int i = 0; i < 4; i++) {
            int row = g + i / 2 * 8, column = 2 * t + i % 2;
            d[i] = f.c[i];
            for (int k = 0; k < K; k++) d[i] += a[row][k] * b[k][column];
        }
        memcpy(out[l], d, sizeof d);
    }
}
void emu_work_mma_tf32(void **in, void **out, const int *, unsigned) { mma(in, out, 8, false); }
void emu_work_mma_bf16(void **in, void **out, const int *, unsigned) { mma(in, out, 16, true); }

void emu_work_ldmatrix(void **in, void **out, const int *arg, unsigned) {
    int matrices = arg[0] & 7;
    bool transposed = arg[0] & 8;
    for (int m = 0; m < matrices; m++)
        for (int l = 0; l < 32; l++) {
            uint16_t pair[2];
            for (int h = 0; h < 2; h++) {
                int row = transposed ? 2 * (l % 4) + h : l / 4, column = transposed ? l / 4 : 2 * (l % 4) + h;
                memcpy(&pair[h], (const uint16_t *)in[m * 8 + row] + column, 2);
            }
            memcpy((uint32_t *)out[l] + m, pair, 4);
        }
}

void emu_read_row(const void *row, emu_site at) {
    if ((uintptr_t)row % 16)
        emu::fault("misaligned address", "a row of ldmatrix starts at a multiple of 16 bytes", at);
    emu::check_access(row, 16, emu::Access::read, nullptr, at);
}

void emu_needs_sm(int sm, const char *what, emu_site at) {
    if (emu::options.sm >= sm) return;
    char text[120];
    snprintf(text, sizeof text, "%s needs sm_%d, the device is sm_%d", what, sm, emu::options.sm);
    emu::fault("instruction that the device does not have", text, at);
}
