/* Stage timings for --bench. */
#include "apps/stages.h"
#include "apps/app.h"
#include <stdlib.h>
#include <string.h>

void stages_begin(stages *s, const char *const *name) {
    memset(s, 0, sizeof *s);
    s->name = name;
    stages_start(s);
}

void stages_start(stages *s) { s->since = app_seconds(); }

void stages_lap(stages *s, int stage) {
    double now = app_seconds();
    s->lap[stage][s->laps[stage]++ % STAGES_LAPS] = 1e3 * (now - s->since);
    s->since = now;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stages_quantile(const stages *s, int stage, double share) {
    size_t n = (size_t)(s->laps[stage] < STAGES_LAPS ? s->laps[stage] : STAGES_LAPS);
    if (!n) return 0;
    double *sorted = app_alloc(n, sizeof *sorted);
    memcpy(sorted, s->lap[stage], n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    double v = sorted[(size_t)(share * (double)(n - 1) + 0.5)];
    free(sorted);
    return v;
}

void stages_print(const stages *s, FILE *out) {
    fprintf(out, "%-12s %8s %10s %10s\n", "stage", "laps", "p50 ms", "p99 ms");
    for (int i = 0; s->name[i]; i++)
        if (s->laps[i])
            fprintf(out, "%-12s %8lld %10.2f %10.2f\n", s->name[i], (long long)s->laps[i], stages_quantile(s, i, 0.5),
                    stages_quantile(s, i, 0.99));
}
