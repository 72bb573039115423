/* mien bench --layers: where the time of a step goes. */
#include "apps/bench_layers.h"

void bench_layers(FILE *out, const mn_profile *p, int steps, double seconds, double peak, double bandwidth) {
    double sum = 0;
    for (int i = 0; i < p->rows; i++) sum += p->row[i].seconds;
    const bool gpu = seconds <= 0;
    if (gpu) seconds = sum;
    fprintf(out, "%-28s %-14s %-8s %9s %6s %9s %6s %7s %6s\n", "layer", "operation", "", "ms a step", "share", "GFLOP/s", "peak",
            "GB/s", "memory");
    for (int i = 0; i < p->rows; i++) {
        const mn_profile_row *r = &p->row[i];
        double s = r->seconds > 0 ? r->seconds : 1e-9, gflops = r->flop / s / 1e9, gbytes = r->bytes / s / 1e9;
        fprintf(out, "%-28.28s %-14s %-8s %9.3f %4.1f %% ", r->layer ? r->layer : "", r->op, r->backward ? "backward" : "forward",
                1e3 * r->seconds / steps, 100 * r->seconds / seconds);
        if (r->flop > 0)
            fprintf(out, "%9.1f %4.0f %% ", gflops, 100 * gflops / peak);
        else
            fprintf(out, "%9s %6s ", "", "");
        fprintf(out, "%7.1f %4.0f %%\n", gbytes, 100 * gbytes / bandwidth);
    }
    if (gpu) {
        fprintf(out, "%-28s %-14s %-8s %9.3f\n", "together", "", "", 1e3 * sum / steps);
        fprintf(out, "\ntime by the GPU's clock, each operation by itself; peak %.0f GFLOP/s, memory copied at %.0f GB/s\n", peak,
                bandwidth);
        return;
    }
    fprintf(out, "%-28s %-14s %-8s %9.3f %4.1f %%\n", "everything else", "", "", 1e3 * (seconds - sum) / steps,
            100 * (seconds - sum) / seconds);
    fprintf(out,
            "\nprocessor time of the calling thread; peak %.1f GFLOP/s, memory copied at %.1f GB/s (a share above 100 %%: "
            "from the caches)\n",
            peak, bandwidth);
}
