/* A trial reading in a child process.
 *
 * libhdf5 (1.10, Debian's) can crash or loop on a damaged file: it follows indices of its global heap unchecked.
 * So a child first opens the file's bytes and reads every attribute and data set in it; only when it comes
 * through, within its share of time, and found all of it readable, does this process open them. The child sees the same bytes,
 * writes nothing, and reports with one byte through a pipe. */
#include "data/formats/hdf5.h"
#if MN_HAVE_HDF5
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of processor time: reading takes far less, and a loop in libhdf5 should not cost a minute. */
static rlim_t seconds_for(size_t size) { return 5 + size / ((size_t)20 << 20); }

typedef struct visit {
    size_t limit; /* bytes that one thing may take in memory */
} visit;

/* What is read is thrown away: it is enough to have lived through it. */
static herr_t read_attribute(hid_t at, const char *name, const H5A_info_t *info, void *arg) {
    const visit *v = arg;
    (void)info;
    hid_t a = H5Aopen(at, name, H5P_DEFAULT);
    if (a < 0) return 0;
    hid_t type = H5Aget_type(a), space = H5Aget_space(a);
    hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    size_t size = type < 0 ? 0 : H5Tget_size(type);
    if (n > 0 && size > 0 && (size_t)n <= v->limit / size) {
        void *p = calloc((size_t)n, size + 16);
        if (p && H5Aread(a, type, p) >= 0 && H5Tdetect_class(type, H5T_VLEN) + H5Tis_variable_str(type) > 0)
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, p);
        free(p);
    }
    H5Aclose(a);
    return 0;
}

static void read_data(hid_t d, const visit *v) {
    hid_t type = H5Dget_type(d), space = H5Dget_space(d), make = H5Dget_create_plist(d);
    hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    bool local = make >= 0 && H5Pget_external_count(make) == 0 && H5Pget_layout(make) != H5D_VIRTUAL;
    if (local && type >= 0 && H5Tget_class(type) == H5T_FLOAT && n > 0 && (size_t)n <= v->limit / 8) {
        void *p = malloc((size_t)n * 8);
        if (p) H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, p);
        free(p);
    }
}

static herr_t read_object(hid_t root, const char *name, const H5O_info_t *info, void *arg) {
    (void)info;
    hid_t o = H5Oopen(root, name, H5P_DEFAULT);
    if (o < 0) return 0;
    H5Aiterate2(o, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, read_attribute, arg);
    if (H5Iget_type(o) == H5I_DATASET) read_data(o, arg);
    H5Oclose(o);
    return 0;
}

static void child(const void *bytes, size_t size, int report) {
    const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) signal(deadly[i], SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_CPU, &(struct rlimit){seconds_for(size), seconds_for(size)});
    int quiet = open("/dev/null", O_WRONLY);
    if (quiet >= 0) dup2(quiet, 2), dup2(quiet, 1);
    visit v = {.limit = size > SIZE_MAX / 64 ? size : size * 64};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    if (H5Pset_fapl_core(access, (size_t)1 << 20, false) >= 0 && H5Pset_file_image(access, (void *)(uintptr_t)bytes, size) >= 0)
        file = H5Fopen(MN__H5_IN_MEMORY, H5F_ACC_RDONLY, access);
    bool whole = file >= 0 && H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, read_object, &v) >= 0;
    if (file >= 0 && H5Fclose(file) < 0) whole = false;
    ssize_t told = write(report, whole ? "k" : "b", 1);
    _exit(told == 1 ? 0 : 1);
}

/* The length that an HDF5 file says it has, by its first bytes (superblock versions 0 to 3); 0 where they do not say it. */
static uint64_t claimed_size(const uint8_t *b, size_t size) {
    size_t at = 0;
    if (size < 48) return 0;
    if (b[8] <= 1 && b[13] == 8) at = b[8] ? 44 : 40;
    if ((b[8] == 2 || b[8] == 3) && b[9] == 8) at = 28;
    uint64_t end = 0;
    for (size_t i = 8; at && i-- > 0;) end = end << 8 | b[at + i];
    return end;
}

mn_status mn__h5_probe(const char *path, const void *bytes, size_t size, mn_error *err) {
    int ends[2];
    if (size < 48 || claimed_size(bytes, size) > size) /* an interrupted copy needs no child */
        return mn_fail(err, MN_ERR_FORMAT, "%s: is a broken or incomplete HDF5 file: it ends after %zu bytes", path, size);
    if (pipe2(ends, O_CLOEXEC)) return mn_fail(err, MN_ERR_MEMORY, "%s: no pipe for reading it", path);
    pid_t pid = fork();
    if (pid == 0) child(bytes, size, ends[1]);
    close(ends[1]);
    char answer = 0;
    while (pid > 0 && read(ends[0], &answer, 1) < 0 && errno == EINTR) {}
    close(ends[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    if (pid < 0) return mn_fail(err, MN_ERR_MEMORY, "%s: no process for reading it", path);
    if (answer == 'k') return MN_OK;
    return mn_fail(
        err, MN_ERR_FORMAT,
        answer == 'b' ? "%s: is a broken or incomplete HDF5 file" : "%s: is damaged: libhdf5 does not survive reading it", path);
}
#endif
