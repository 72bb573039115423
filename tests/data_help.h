/* Shared by the tests of data/: pictures and files to read. */
#ifndef MIEN_TESTS_DATA_HELP_H
#define MIEN_TESTS_DATA_HELP_H
#include "data/data.h"
#include "tests/tests.h"

/* A smooth picture with some texture, a function of the arguments. */
void help_picture(mn_image *im, int width, int height, int channels, int seed);
/* Deep enough for every format: quality 1..100; `progressive` writes ten scans, `cmyk` four inks. */
void help_write_jpeg(const char *path, const mn_image *im, int quality, bool progressive, bool cmyk);
void help_write_png(const char *path, int width, int height, int channels, int seed);
/* Makes a folder below the test's own (and those above it); its path, in a buffer of test_path's. */
const char *help_folder(const char *name);
void help_write_text(const char *path, const char *text);

/* ck_assert that `err` holds `status` and a sentence with `words` in it. */
#define ASSERT_FAILS(err, code, words)                                                                                           \
    do {                                                                                                                         \
        ck_assert_msg((err).status == (code), "status is %s (%s)", mn_status_name((err).status), (err).text);                    \
        ck_assert_msg(strstr((err).text, words) != NULL, "\"%s\" lacks \"%s\"", (err).text, words);                              \
    } while (0)
#endif
