/* What is written into a model file after its training: a log of test scores, the model card. Only these
 * attributes change; weights and what other programs have put there stay. */
#include "data/formats/model_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#if MN_HAVE_HDF5 && MN_HAVE_JSON
#include "layers/json.h"
#include <stdlib.h>

/* A lock on the file that has this name now: writing replaces the file, and then the lock is on a nameless
 * one. -1 and a sentence on failure. */
static int lock_file(const char *path, mn_error *err) {
    for (;;) {
        struct stat mine, named;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) return mn_fail(err, MN_ERR_IO, "%s: %s", path, strerror(errno)), -1;
        while (flock(fd, LOCK_EX) && errno == EINTR) {} /* a file system without locks goes on without one */
        if (fstat(fd, &mine) || stat(path, &named) || (mine.st_dev == named.st_dev && mine.st_ino == named.st_ino)) return fd;
        close(fd);
    }
}

/* The old list (NULL: none) with the new entry at its end; from mn_alloc. */
static char *appended(const char *list, const char *entry, mn_error *err) {
    json_t *all = list ? json_loads(list, 0, NULL) : json_array();
    json_t *last = mn__json_parse("the entry", entry, strlen(entry), err);
    char *dump = NULL, *text = NULL;
    if (last && json_array_append(all, last))
        mn_fail(err, MN_ERR_FORMAT, "mien_tests: is no list");
    else if (last && !((dump = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(9))) && (text = mn_strdup(dump))))
        mn_fail(err, MN_ERR_MEMORY, "out of host memory for the list of tests");
    free(dump);
    json_decref(last);
    json_decref(all);
    return text;
}

static mn_status replace_text(hid_t file, const char *name, const char *text, mn_error *err) {
    if (mn__h5_has_attr(file, name) && H5Adelete(file, name) < 0)
        return mn_fail(err, MN_ERR_FORMAT, "the attribute \"%s\" cannot be replaced", name);
    return mn__h5_put_text(file, name, text, err);
}

/* The list of an open file with the entry added to it. */
static mn_status append_entry(hid_t file, const char *entry, char **list, mn_error *err) {
    char *old = NULL;
    mn_status s = mn__h5_has_attr(file, "mien_tests") ? mn__h5_get_text(file, "mien_tests", &old, err) : MN_OK;
    if (s == MN_OK && !(*list = appended(old, entry, err))) s = err->status;
    mn_free(old);
    return s ? s : replace_text(file, "mien_tests", *list, err);
}

static mn_status change(const char *path, const char *entry, char **list, const char *card, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    struct stat st;
    if (access(path, W_OK)) return mn_fail(e, MN_ERR_IO, "%s: cannot be changed: %s", path, strerror(errno));
    if (!stat(path, &st) && !(st.st_mode & 0222)) /* which root might overlook */
        return mn_fail(e, MN_ERR_IO, "%s: cannot be changed: it is for reading only", path);
    int lock = lock_file(path, e);
    if (lock < 0) return e->status;
    mn__h5_begin();
    hid_t file = mn__h5_edit(path, e);
    mn_status s = file < 0 ? e->status : entry ? append_entry(file, entry, list, e) : replace_text(file, "mien_card", card, e);
    if (s == MN_OK)
        s = mn__h5_store(file, path, e);
    else if (file >= 0)
        H5Fclose(file);
    mn__h5_end();
    close(lock);
    return s;
}

mn_status mn_model_log_test(const char *path, const char *entry, char **list, mn_error *err) {
    char *all = NULL;
    mn_status s = change(path, entry, &all, NULL, err);
    if (list) *list = s ? NULL : all;
    if (s || !list) mn_free(all);
    return s;
}

mn_status mn_model_set_card(const char *path, const char *card, mn_error *err) { return change(path, NULL, NULL, card, err); }

#else
mn_status mn_model_log_test(const char *path, const char *entry, char **list, mn_error *err) {
    (void)path, (void)entry;
    if (list) *list = NULL;
    return mn__model_files_missing(err);
}
mn_status mn_model_set_card(const char *path, const char *card, mn_error *err) {
    (void)path, (void)card;
    return mn__model_files_missing(err);
}
#endif
