/* HDF5 with every step checked: the small part of libhdf5 that model files need. Only for data/.
 *
 * Files are read into memory first and opened there, so that nothing changes under our feet; links to other
 * files are refused. libhdf5 is not made for threads: mn__h5_begin and mn__h5_end enclose all use of it. */
#ifndef MIEN_DATA_HDF5_H
#define MIEN_DATA_HDF5_H
#include "data/internal.h"

#if MN_HAVE_HDF5
#include <hdf5.h>

#define MN__H5_MAX_TEXT ((size_t)64 << 20) /* of one string */
#define MN__H5_MAX_NAME 512

/* Takes the lock and silences libhdf5's own messages; always followed by mn__h5_end. */
void mn__h5_begin(void);
void mn__h5_end(void);

/* What files in memory are called: libhdf5 refuses a name that a file on the disk has, and this one cannot exist. */
#define MN__H5_IN_MEMORY "/dev/null/memory"

/* A new file in memory; -1 on failure. */
hid_t mn__h5_create(mn_error *err);
/* Writes the finished file under its name, atomically, with a checksum behind it; closes it. */
mn_status mn__h5_store(hid_t file, const char *path, mn_error *err);
/* Opens what a file holds; checks the checksum where there is one. *size: bytes of the file. -1 on failure. */
hid_t mn__h5_open(const char *path, size_t *size, mn_error *err);
/* The same, to be changed in memory and given to mn__h5_store. */
hid_t mn__h5_edit(const char *path, mn_error *err);

/* Reads all of it in a child process first; a sentence when that does not survive (data/formats/hdf5_probe.c). */
mn_status mn__h5_probe(const char *path, const void *bytes, size_t size, mn_error *err);

hid_t mn__h5_group_create(hid_t at, const char *name, mn_error *err);
/* A group by name, a component at a time; a missing one, or a link elsewhere, is -1 and a sentence. */
hid_t mn__h5_group_open(hid_t at, const char *name, mn_error *err);
bool mn__h5_has_group(hid_t at, const char *name);
bool mn__h5_has_attr(hid_t at, const char *name);

/* Text attributes. Reading accepts fixed and variable length; *out: free with mn_free. */
mn_status mn__h5_put_text(hid_t at, const char *name, const char *text, mn_error *err);
mn_status mn__h5_get_text(hid_t at, const char *name, char **out, mn_error *err);
mn_status mn__h5_put_int(hid_t at, const char *name, int64_t value, mn_error *err);
mn_status mn__h5_get_int(hid_t at, const char *name, int64_t *value, mn_error *err);

/* Lists of texts, as Keras writes them: long ones in pieces name0, name1, ... */
typedef struct mn__texts {
    char **text;
    int n;
} mn__texts;
mn_status mn__h5_put_texts(hid_t at, const char *name, const mn__texts *list, mn_error *err);
mn_status mn__h5_get_texts(hid_t at, const char *name, int limit, mn__texts *out, mn_error *err);
void mn__texts_free(mn__texts *t);

/* Numbers: `dtype` MN_F32 or MN_F64 in memory, shape as given; reading converts from any real type. */
mn_status mn__h5_put_data(hid_t at, const char *name, mn_dtype dtype, mn_shape shape, const void *data, mn_error *err);
/* The shape of a data set of real numbers inside the file; a sentence otherwise. */
mn_status mn__h5_data_shape(hid_t at, const char *name, mn_shape *shape, mn_error *err);
mn_status mn__h5_get_data(hid_t at, const char *name, mn_dtype dtype, mn_shape want, void *data, mn_error *err);
#endif

#endif
