/* Model files: HDF5 without a checksum. libhdf5 itself may die on one, in the child process that reads first. */
#include "tests/fuzz/fuzz.h"
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/time.h>
#include <unistd.h>

/* One in which libhdf5 loops costs five seconds of processor time there, and the fuzzer keeps it and makes more of its kind: here
 * it costs a tenth. One in which libhdf5 dies there is no finding: that is what the child is for. */
static void in_child(void) {
    setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {.tv_usec = 100000}}, NULL);
    __sanitizer_set_death_callback(NULL);
}

enum { CHECKSUM = 24 }; /* mien's own, behind the HDF5 data */
static uint8_t *valid;
static size_t valid_size;
static char path[64];

static void make_valid(void) {
    static char *names[] = {"a", "b"};
    mn_model_info info = {.preprocess = {.channels = 1, .height = 3, .width = 3, .hi = 1}, .n_heads = 1};
    info.head[0] = (mn_head){.name = "h", .n_classes = 2, .class_name = names};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, NULL);
    mn_model *m = mn_model_create(c, "n");
    mn_sym x = mn_model_input(m, "i", MN_SHAPE(1, 3, 3));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.name = "c", .filters = 2, .kernel_size = {2, 2}});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "h", .units = 2}));
    snprintf(path, sizeof path, "/dev/shm/mien-fuzz-%d.h5", (int)getpid());
    if (mn_model_build(m) || mn_model_save(m, &info, path, NULL) || mn__read_file(path, 1 << 20, &valid, &valid_size, NULL))
        abort();
    valid_size -= CHECKSUM;
    pthread_atfork(NULL, NULL, in_child);
    mn_context_destroy(c);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    if (!valid) make_valid();
    if (seed % 4 == 0 && valid_size <= max) memcpy(data, valid, size = valid_size);
    for (int i = 0; seed % 4 == 0 && i < 1 + (int)(seed >> 4) % 3; i++) /* most of a file must be right to be read at all */
        data[(seed * 2654435761u >> (3 + i)) % size] = (uint8_t)(seed >> (8 + 5 * i));
    return fuzz_mutate(data, size, max, seed | 1, valid, valid_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!valid) make_valid();
    mn_error err = {0};
    mn_model_info info;
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size) abort();
    fclose(f);
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1, .memory_limit = 64 << 20}, NULL);
    mn_model *m = mn_model_load(c, path, &info, &err);
    if (m)
        mn_model_info_free(&info);
    else if (!err.text[0] || info.n_heads)
        abort();
    mn_context_destroy(c);
    unlink(path);
    return 0;
}
