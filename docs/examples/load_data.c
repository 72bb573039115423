/* From a SPEC to batches, step by step, with the time that each step takes.
 *     make examples && build/examples/load_data fer2013:fer2013.csv [AUGMENTATION] [WORKERS] */
#include "data/data.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(void *user, const char *what, int64_t done, int64_t total) {
    (void)user, (void)done;
    if (total < 0) printf("  note: %s\n", what); /* files that were left out */
}

/* One epoch; returns its samples, -1 on failure. */
static int64_t run_epoch(mn_loader *l, int64_t epoch, mn_error *err) {
    mn_batch b;
    int64_t n = 0;
    int got;
    if (mn_loader_begin(l, epoch, 0)) return -1;
    while ((got = mn_loader_next(l, &b, err)) == 1) n += b.n; /* b.x is (n,C,H,W): give it to mn_input */
    return got < 0 ? -1 : n;
}

int main(int argc, char **argv) {
    mn_error err = {0};
    mn_open_opt opt = {.progress = say};
    mn_preprocess p = {.channels = 1, .height = 48, .width = 48, .standardize = true, .standardize_eps = 8};
    mn_augment augment = {0};
    mn_split_lists split = {0};
    mn_dataset *files = NULL, *cache = NULL, *train = NULL;
    mn_loader *loader = NULL;
    double start = seconds();

    if (argc < 2) return fprintf(stderr, "usage: load_data SPEC [AUGMENTATION] [WORKERS]\n"), 2;
    if (mn_augment_parse(argc > 2 ? argv[2] : "default", &augment, &err)) goto end;
    if (!(files = mn_dataset_open(argv[1], &opt, &err))) goto end;
    printf("open   %8.2f s   %lld samples\n", seconds() - start, (long long)files->length);

    if (mn_dataset_split(files, 0.1, 0.1, 1, &split, &err)) goto end;
    printf("split              train %lld, valid %lld, test %lld\n", (long long)split.count[MN_SPLIT_TRAIN],
           (long long)split.count[MN_SPLIT_VALID], (long long)split.count[MN_SPLIT_TEST]);

    start = seconds();
    if (!(cache = mn_dataset_cache(files, &p, &opt, &err))) goto end;
    printf("decode %8.2f s   %.3f ms a picture\n", seconds() - start, 1e3 * (seconds() - start) / (double)files->length);

    if (!(train = mn_dataset_subset(cache, split.index[MN_SPLIT_TRAIN], split.count[MN_SPLIT_TRAIN], &err))) goto end;
    loader = mn_loader_create(
        train, &p,
        (mn_loader_opt){.batch = 32, .shuffle = true, .seed = 1, .workers = argc > 3 ? atoi(argv[3]) : 0, .augment = &augment},
        &err);
    if (!loader) goto end;
    for (int epoch = 0; epoch < 3; epoch++) {
        start = seconds();
        int64_t n = run_epoch(loader, epoch, &err);
        if (n < 0) goto end;
        printf("epoch  %8.2f s   %.1f us a sample\n", seconds() - start, 1e6 * (seconds() - start) / (double)n);
    }
end:
    mn_loader_destroy(loader); /* in the opposite order: each one uses the one before */
    mn_dataset_destroy(train);
    mn_dataset_destroy(cache);
    mn_dataset_destroy(files);
    mn_split_lists_free(&split);
    if (err.status) fprintf(stderr, "load_data: %s\n", err.text);
    return err.status ? 1 : 0;
}
