/* mien bench: how fast a network trains and runs on this machine. */
#include "apps/bench_ladder.h"
#include "apps/bench_layers.h"
#include "apps/device.h"
#include "apps/peak.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct options {
    const char *net;
    bool infer, json, ladder, layers;
    int batch, threads, size, channels;
    double seconds;
    device_choice device;
    size_t memory_limit;
    mn_precision precision;
} options;

enum {
    OPT_MODE = 256,
    OPT_THREADS,
    OPT_JSON,
    OPT_SECONDS,
    OPT_SIZE,
    OPT_CHANNELS,
    OPT_DEVICE,
    OPT_LIMIT,
    OPT_PRECISION,
    OPT_LADDER,
    OPT_LAYERS
};
static const struct argp_option table[] = {
    {"net", 'n', "NAME|FILE", 0, "The network (default seed2)", 1},
    {"mode", OPT_MODE, "train|infer", 0,
     "A training step (forward, backward, SGD with momentum), or forward alone with batch norm folded "
     "(default train)",
     1},
    {"batch", 'b', "N", 0, "Pictures at a time (default 32)", 1},
    {"threads", OPT_THREADS, "N", 0, "Processors (default: all)", 1},
    {"size", OPT_SIZE, "N", 0, "Input size (default: the network's)", 1},
    {"channels", OPT_CHANNELS, "1|3", 0, "Grey or RGB (default: the network's)", 1},
    {"device", OPT_DEVICE, "cpu|cuda|auto", 0, DEVICE_DOC, 1},
    {"precision", OPT_PRECISION, "HOW", 0, DEVICE_PRECISION_DOC, 1},
    {"memory-limit", OPT_LIMIT, "MIB", 0, DEVICE_LIMIT_DOC, 1},
    {"ladder", OPT_LADDER, 0, 0,
     "The teaching kernels of docs/ladder.md on the GPU instead of a network; --size is the product's", 1},
    {"seconds", OPT_SECONDS, "S", 0, "How long to measure (default 3)", 2},
    {"layers", OPT_LAYERS, 0, 0, "Where the time goes, layer by layer, as shares of the peak and of memory", 2},
    {"json", OPT_JSON, 0, 0, "One line of JSON", 2},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'n':
        o->net = arg;
        return 0;
    case OPT_MODE:
        o->infer = app_parse_word(s, "--mode", arg, (const char *[]){"train", "infer"}, 2);
        return 0;
    case 'b':
        o->batch = (int)app_parse_int(s, "--batch", arg, 1, 65536);
        return 0;
    case OPT_THREADS:
        o->threads = (int)app_parse_int(s, "--threads", arg, 0, 1024);
        return 0;
    case OPT_SIZE:
        o->size = (int)app_parse_int(s, "--size", arg, 8, 8192);
        return 0;
    case OPT_CHANNELS:
        o->channels = app_parse_word(s, "--channels", arg, (const char *[]){"1", "3"}, 2) ? 3 : 1;
        return 0;
    case OPT_DEVICE:
        o->device = device_parse(s, arg);
        return 0;
    case OPT_PRECISION:
        o->precision = device_parse_precision(s, arg);
        return 0;
    case OPT_LIMIT:
        o->memory_limit = device_parse_limit(s, arg);
        return 0;
    case OPT_SECONDS:
        o->seconds = app_parse_real(s, "--seconds", arg, 0.01, 3600);
        return 0;
    case OPT_LADDER:
        o->ladder = true;
        return 0;
    case OPT_LAYERS:
        o->layers = true;
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(s, "\"%s\" is not an option; the network is given with --net", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] = "Measures training steps or forward passes on random pictures: the median and the "
                          "best of all steps after three to warm up."
                          "\vGFLOP/s count two operations a multiply-add of the direct algorithm, and the "
                          "backward pass as twice the forward one; the peak is "
                          "measured with multiply-adds from registers on as many threads. Memory is the most "
                          "that the process had.\n\n"
                          "Examples:\n"
                          "  mien bench\n"
                          "  mien bench --net mini-xception --mode infer --batch 1 --threads 1\n"
                          "  mien bench --net vgg --batch 128 --json\n";
static const struct argp argp = {table, parse, NULL, doc, NULL, NULL, NULL};

typedef struct bench {
    const options *o;
    mn_context *c;
    mn_model *m;
    mn_optim *optim;
    mn_shape in;
    float *x;
    int32_t *label;
    mn_feed *feed;
    mn_tally *tally;
    mn_tally_sum *sum; /* of each output */
    int block;         /* steps that are timed together */
    double cpu;        /* the least processor time of a step, of all threads together: what a busy machine leaves comparable */
} bench;

static mn_status infer(void *arg) {
    bench *b = arg;
    mn_tensor *x = mn_feed_tensor(b->feed, 0);
    mn_no_grad_begin(b->c);
    mn_status s = mn_model_forward(b->m, &x, false);
    mn_no_grad_end(b->c);
    return s;
}

static mn_status train(void *arg) {
    bench *b = arg;
    mn_tensor *x = mn_feed_tensor(b->feed, 0), *label = mn_feed_tensor(b->feed, 1), *loss = NULL;
    mn_status s = mn_model_forward(b->m, &x, true);
    for (int h = 0; h < mn_model_outputs(b->m) && !s; h++) {
        mn_tensor *l = mn_tally_cross_entropy(b->tally, h, mn_model_result(b->m, h), label, NULL, NULL, (mn_cross_entropy_opt){0});
        loss = loss ? mn_add(loss, l) : l;
    }
    if (!s) s = mn_backward(b->c, loss);
    return s ? s : mn_optim_step(b->optim);
}

/* So many steps one after the other, then waits for the end of the last: a host that waited for each would measure the way to
 * the GPU and back. */
static mn_status steps(bench *b, int n) {
    mn_status s = MN_OK;
    for (int i = 0; i < n && !s; i++) {
        s = mn_feed_put(b->feed, b->o->batch, (const void *const[]){b->x, b->label});
        if (!s) s = mn_step_run(b->c, b->feed, b->o->infer ? infer : train, b);
    }
    return s ? s : mn_tally_read(b->tally, b->sum);
}

static mn_status set_up(bench *b, mn_error *err) {
    const options *o = b->o;
    mn_context_opt opt = {.threads = o->threads, .seed = 1, .memory_limit = o->memory_limit, .precision = o->precision};
    if (!(b->c = device_open(o->device, &opt, err))) return err->status;
    b->m = mn_net_open(b->c, o->net, &(mn_net_opt){.channels = o->channels, .height = o->size, .width = o->size});
    int n = 0;
    mn_tensor **w = b->m ? mn_model_parameters(b->m, &n, NULL) : NULL;
    if (b->m && !o->infer) b->optim = mn_optim_create(b->c, w, n, (mn_optim_opt){.lr = 1e-4, .momentum = 0.9});
    if (!b->m || (!o->infer && !b->optim) || (o->infer && mn_model_compile(b->m) < 0))
        return mn_fail(err, mn_context_error(b->c)->status, "%s", mn_context_error(b->c)->text);
    b->in = mn_model_input_shape(b->m, 0);
    if (b->in.ndim != 3) return mn_fail(err, MN_ERR_SHAPE, "%s does not take pictures", o->net);
    int64_t count = o->batch * mn_shape_count(b->in);
    b->x = app_alloc((size_t)count, sizeof *b->x);
    b->label = app_alloc((size_t)o->batch, sizeof *b->label);
    const mn_feed_part part[] = {{MN_F32, b->in}, {MN_I32, {0}}};
    b->feed = mn_feed_create(b->c, part, 2, o->batch);
    b->tally = mn_tally_create(b->c, mn_model_outputs(b->m));
    b->sum = app_alloc((size_t)mn_model_outputs(b->m), sizeof *b->sum);
    if (!b->feed || !b->tally) return mn_fail(err, mn_context_error(b->c)->status, "%s", mn_context_error(b->c)->text);
    mn_rng r = mn_rng_create(1, 1);
    for (int64_t i = 0; i < count; i++) b->x[i] = (float)mn_rng_uniform(&r, 0, 1);
    for (int i = 0; i < o->batch; i++)
        b->label[i] = (int32_t)mn_rng_below(&r, (uint64_t)mn_shape_count(mn_model_output_shape(b->m, 0)));
    return MN_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { WARM = 3, RECORDED = 8, MOST = 100 }; /* steps: until memory is in place; until each of two batches has its graph */

/* What is timed at once: a step on the CPU, some hundredths of a second on a GPU. */
static mn_status choose_block(bench *b) {
    b->block = 1;
    mn_status s = steps(b, WARM);
    if (s || mn_context_device(b->c) == MN_CPU) return s;
    double t0 = app_seconds();
    if ((s = steps(b, 1)) || app_seconds() - t0 > 0.02) return s;
    s = steps(b, RECORDED);
    t0 = app_seconds();
    if (!s) s = steps(b, 1);
    double n = 0.02 / (app_seconds() - t0);
    b->block = n < 1 ? 1 : n > MOST ? MOST : (int)n;
    return s;
}

/* Sorted times of a step, each the mean of a block, for o->seconds and at least five blocks. */
static mn_status measure(bench *b, double **time, int *n, mn_error *err) {
    int capacity = 1024;
    *time = app_alloc((size_t)capacity, sizeof **time);
    *n = 0;
    mn_status s = choose_block(b);
    for (double begun = app_seconds(); !s && (*n < 5 || app_seconds() - begun < b->o->seconds);) {
        if (*n == capacity) {
            double *more = app_alloc(2 * (size_t)capacity, sizeof *more);
            memcpy(more, *time, (size_t)capacity * sizeof *more);
            free(*time);
            *time = more, capacity *= 2;
        }
        double t0 = app_seconds(), cpu0 = processor_seconds();
        s = steps(b, b->block);
        (*time)[(*n)++] = (app_seconds() - t0) / b->block;
        double cpu = (processor_seconds() - cpu0) / b->block;
        if (*n == 1 || cpu < b->cpu) b->cpu = cpu;
    }
    qsort(*time, (size_t)*n, sizeof **time, by_value);
    return s ? mn_fail(err, s, "%s", mn_context_error(b->c)->text) : MN_OK;
}

/* Memory of the device that tensors take. */
static double tensor_bytes(const mn_context *c) {
    mn_memory_stats m = mn_context_memory(c);
    return (double)(m.model_bytes + m.step_bytes + m.workspace_bytes);
}

static void print(const bench *b, const double *time, int n) {
    const options *o = b->o;
    mn_model_stats k = mn_model_count(b->m);
    double median = n % 2 ? time[n / 2] : (time[n / 2 - 1] + time[n / 2]) / 2, best = time[0];
    double flop = 2.0 * (double)k.macs * o->batch * (o->infer ? 1 : 3) / 1e9;
    bool cpu = mn_context_device(b->c) == MN_CPU;
    double peak = cpu ? peak_gflops(mn_context_threads(b->c)) : 0; /* a GPU's is not measured here */
    mn_device_info device = device_info(mn_context_device(b->c));
    if (o->json) {
        printf("{\"net\":\"%s\",\"device\":\"%s\",\"mode\":\"%s\",\"batch\":%d,\"threads\":%d,\"steps\":%d,\"median_ms\":%.4f,"
               "\"best_ms\":%.4f,\"cpu_ms\":%.4f,"
               "\"median_images_per_second\":%.2f,\"best_images_per_second\":%.2f,\"median_gflops\":%.2f,"
               "\"best_gflops\":%.2f,"
               "\"peak_gflops\":%.1f,\"peak_rss_mb\":%.1f}\n",
               mn_model_name(b->m), device.name, o->infer ? "infer" : "train", o->batch, mn_context_threads(b->c), n * b->block,
               1e3 * median, 1e3 * best, 1e3 * b->cpu, o->batch / median, o->batch / best, flop / median, flop / best, peak,
               peak_memory() / 1e6);
        return;
    }
    printf("%s, %s, batch %d of %d x %d x %d, %d threads, %d steps\n", mn_model_name(b->m), o->infer ? "inference" : "training",
           o->batch, (int)b->in.dim[0], (int)b->in.dim[1], (int)b->in.dim[2], mn_context_threads(b->c), n * b->block);
    printf("device    %s, tensors %.1f MB\n", device.name, tensor_bytes(b->c) / 1e6);
    printf("          images/s   ms a step     GFLOP/s%s\n", cpu ? "   of peak" : "");
    for (int i = 0; i < 2; i++) {
        double t = i ? best : median;
        printf("%-8s %9.1f  %10.3f  %10.1f", i ? "best" : "median", o->batch / t, 1e3 * t, flop / t);
        if (cpu) printf("   %5.1f %%", 100 * flop / t / peak);
        putchar('\n');
    }
    if (cpu) printf("peak      %.1f GFLOP/s, memory %.1f MB\n", peak, peak_memory() / 1e6);
}

/* Some more steps, each operation by itself. */
static mn_status profile(bench *b, int n, mn_error *err) {
    mn_profile *p = app_alloc(1, sizeof *p);
    int count = n < 20 ? n : 20;
    double begun = mn__profile_clock();
    mn_profile_begin(p);
    mn_status s = steps(b, count);
    mn_profile_end();
    double seconds = mn__profile_clock() - begun, peak = 0, bandwidth = 0;
    bool cpu = mn_context_device(b->c) == MN_CPU;
    if (cpu)
        peak = peak_gflops(mn_context_threads(b->c)), bandwidth = peak_bandwidth();
    else if (!s)
        s = bench_gpu_peak(b->c, &peak, &bandwidth);
    if (s)
        mn_fail(err, s, "%s", mn_context_error(b->c)->text);
    else
        bench_layers(stdout, p, count, cpu ? seconds : 0, peak, bandwidth);
    free(p);
    return s;
}

int cmd_bench(int argc, char **argv) {
    options o = {.net = "seed2", .batch = 32, .seconds = 3};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.ladder) return bench_ladder(o.size, o.seconds);
    bench b = {.o = &o};
    mn_error err = {0};
    double *time = NULL;
    int n;
    mn_status s = set_up(&b, &err);
    if (!s) s = measure(&b, &time, &n, &err);
    if (!s) print(&b, time, n);
    if (!s && o.layers && !o.json) s = profile(&b, n, &err);
    free(time);
    free(b.x);
    free(b.label);
    free(b.sum);
    mn_context_destroy(b.c);
    return s ? app_fail(&err) : APP_OK;
}
