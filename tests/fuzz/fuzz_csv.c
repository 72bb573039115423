/* The csv readers: FER2013 and lists. The first byte chooses. */
#include "tests/fuzz/fuzz.h"
#include <sys/mman.h>
#include <unistd.h>

static char valid[2][12000];

static void make_valid(void) {
    char *p = valid[0] + sprintf(valid[0], "0emotion,pixels,Usage\n3,");
    for (int i = 0; i < 48 * 48; i++) p += sprintf(p, "%s%d", i ? " " : "", i % 256);
    sprintf(p, ",Training\r\n");
    strcpy(valid[1], "1path,emotion,\"gender\",split,group\r\n/dev/null,sad,man,train,a\n\"a \"\"b\"\"\",,woman,,\n");
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    if (!valid[0][0]) make_valid();
    const char *v = valid[seed >> 8 & 1];
    return fuzz_mutate(data, size, max, seed, v, strlen(v));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    int fd = memfd_create("csv", 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data + 1, size - 1) == (ssize_t)size - 1) {
        mn_open_opt one = {.threads = 1};
        mn_error err = {0};
        mn_dataset *d = data[0] & 1 ? mn_dataset_list(path, &one, &err) : mn_dataset_fer2013(path, &one, &err);
        if (!d && (!err.status || !err.text[0])) abort(); /* every failure has its sentence */
        mn_split_lists s;
        if (d && mn_dataset_split(d, 0.1, 0.1, 1, &s, NULL) == MN_OK) mn_split_lists_free(&s);
        mn_dataset_destroy(d);
    }
    close(fd);
    return 0;
}
