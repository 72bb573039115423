/* EMU_COUNT=1 against costs worked out by hand. The program starts itself with the switch and reads its report. */
#include "cuda/mn_cuda.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

constexpr int first_line = __LINE__;
/* One kind of access a line, 32 threads; x, y, z, u, v are apart. */
__global__ void accesses(const float *x, float *y, float *z, float *u, float *v) {
    __shared__ float row[32], column[32][32], padded[32][33];
    int t = threadIdx.x;
    row[t] = x[t];        /* global: a row is 4 sectors; shared: 1 pass */
    column[t][1] = 2;     /* a column of 32 floats is all in one bank */
    padded[t][1] = 3;     /* rows of 33: 1 pass */
    y[32 * t] = 4;        /* a column: a sector for each lane */
    *(float4 *)&z[4 * t] = *(const float4 *)&x[4 * t]; /* 512 bytes: 16 sectors, twice */
    if (t < 8) u[t] = 6;  /* a quarter of a warp: 1 sector */
    __syncwarp();
    v[t] = row[2 * t % 32]; /* 16 words, two lanes each: 1 pass */
    v[t] += column[5][1] + padded[5][1]; /* everybody reads one word: 1 pass; v is read and written */
}

static int run() {
    float *x;
    if (cudaMalloc(&x, 5 * 4096) || cudaMemset(x, 0, 5 * 4096)) return 1;
    if (MN_LAUNCH(accesses, dim3(1), dim3(32), 0, 0, x, x + 1024, x + 2048, x + 3072, x + 4096)) return 1;
    return cudaDeviceSynchronize() || cudaFree(x);
}

int main(int argc, char **argv) {
    static const struct {
        int line; /* after first_line */
        const char *space;
        double cost, least;
    } wanted[] = {{5, "global", 4, 4},   {5, "shared", 1, 1}, {6, "shared", 32, 1}, {7, "shared", 1, 1},  {8, "global", 32, 4},
                  {9, "global", 16, 16}, {10, "global", 1, 1}, {12, "global", 4, 4}, {12, "shared", 1, 1}, {13, "global", 4, 4},
                  {13, "shared", 1, 1}};
    if (argc > 1) return run();
    std::string command = std::string("EMU_COUNT=1 '") + argv[0] + "' run 2>&1";
    char text[400], place[300], space[20], unit[20];
    int bad = 0, found = 0;
    FILE *p = popen(command.c_str(), "r");
    while (p && fgets(text, sizeof text, p)) {
        double requests, cost, least;
        if (sscanf(text, "count: %299s %19s %lf requests, %lf %19s each, least %lf", place, space, &requests, &cost, unit, &least) != 6) continue;
        int line = strrchr(place, ':') ? atoi(strrchr(place, ':') + 1) - first_line : -1;
        for (auto &w : wanted)
            if (w.line == line && !strcmp(w.space, space)) found++, bad += cost != w.cost || least != w.least;
    }
    bool good = p && pclose(p) == 0 && !bad && found == (int)(sizeof wanted / sizeof *wanted);
    printf("  sectors and bank conflicts by line: %d of %d lines, %d wrong  %s\n", found, (int)(sizeof wanted / sizeof *wanted),
           bad, good ? "ok" : "WRONG");
    return !good;
}
