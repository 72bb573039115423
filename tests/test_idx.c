/* idx files as they are and packed, in whole and broken. */
#include "data/internal.h"
#include "tests/data_help.h"
#include <unistd.h>
#if MN_HAVE_ZLIB
#include <zlib.h>
#endif

/* An idx file of n pictures (rank 3) or n labels (rank 1), pixel = f(position). Returns its length. */
static size_t make_idx(uint8_t *out, int rank, int n, int h, int w, int salt) {
    const int dim[3] = {n, h, w};
    size_t at = 4, total = 1;
    out[0] = out[1] = 0, out[2] = 8, out[3] = (uint8_t)rank;
    for (int k = 0; k < rank; k++, at += 4) {
        for (int b = 0; b < 4; b++) out[at + (size_t)b] = (uint8_t)(dim[k] >> (24 - 8 * b));
        total *= (size_t)dim[k];
    }
    for (size_t i = 0; i < total; i++) out[at + i] = (uint8_t)(rank == 1 ? i % 10 : i * 13 + (size_t)salt);
    return at + total;
}

static void write_gz(const char *path, const uint8_t *bytes, size_t n) {
#if MN_HAVE_ZLIB
    gzFile f = gzopen(path, "wb");
    gzwrite(f, bytes, (unsigned)n);
    gzclose(f);
#else
    (void)path, (void)bytes, (void)n;
#endif
}

static void put(const char *dir, const char *name, int rank, int n, int h, int w, int salt, bool packed) {
    static uint8_t bytes[1 << 16];
    char path[512];
    snprintf(path, sizeof path, "%s/%s%s", dir, name, packed ? ".gz" : "");
    size_t size = make_idx(bytes, rank, n, h, w, salt);
    if (packed)
        write_gz(path, bytes, size);
    else
        test_write_file(path, bytes, size);
}

START_TEST(test_reads) {
    for (int packed = 0; packed <= MN_HAVE_ZLIB; packed++) {
        const char *dir = help_folder(packed ? "packed" : "plain");
        put(dir, "train-images-idx3-ubyte", 3, 20, 7, 5, 0, packed);
        put(dir, "train-labels-idx1-ubyte", 1, 20, 0, 0, 0, packed);
        put(dir, "t10k-images.idx3-ubyte", 3, 12, 7, 5, 1, packed);
        put(dir, "t10k-labels.idx1-ubyte", 1, 12, 0, 0, 0, packed);
        mn_error e = {0};
        mn_dataset *d = mn_dataset_idx(dir, NULL, &e);
        ck_assert_msg(d != NULL, "%s", e.text);
        ck_assert_int_eq(d->length, 32);
        ck_assert_int_eq(d->head[0].n_classes, 10);
        ck_assert_str_eq(d->head[0].class_name[9], "9");
        mn_image im = {0};
        for (int i = 0; i < 32; i++) {
            mn_sample_info s;
            ASSERT_OK(d->info(d, i, &s, &e), &e);
            ASSERT_OK(d->pixels(d, i, &im, &e), &e);
            int k = i < 20 ? i : i - 20;
            ck_assert_int_eq(s.label[0], k % 10);
            ck_assert_int_eq(s.split, i < 20 ? MN_SPLIT_TRAIN : MN_SPLIT_TEST);
            ck_assert(im.width == 5 && im.height == 7 && im.channels == 1);
            for (int p = 0; p < 35; p++) ck_assert_int_eq(im.pixels[p], (uint8_t)((k * 35 + p) * 13 + (i >= 20)));
        }
        mn_sample_info s;
        ASSERT_OK(d->info(d, 21, &s, &e), &e);
        ck_assert_str_eq(s.id, "t10k 1");
        mn_image_free(&im);
        mn_dataset_destroy(d);
    }
}
END_TEST

static void decode(const uint8_t *bytes, size_t n, int rank, mn_error *e) {
    uint32_t dim[3];
    uint8_t *out;
    mn__idx_decode(bytes, n, rank, dim, &out, e);
    mn_free(out);
}

START_TEST(test_cut_anywhere) {
    uint8_t bytes[400];
    size_t n = make_idx(bytes, 3, 4, 9, 8, 3), size = n;
    char *packed = NULL;
    for (int way = 0; way <= MN_HAVE_ZLIB; way++) {
        if (way) {
            write_gz(test_path("x.gz"), bytes, n);
            packed = test_read_file(test_path("x.gz"), &size);
        }
        for (size_t k = 0; k <= size; k++) {
            mn_error e = {0};
            uint8_t *part = malloc(k + 1);
            memcpy(part, way ? (uint8_t *)packed : bytes, k);
            decode(part, k, 3, &e);
            ck_assert_msg(k == size ? e.status == MN_OK : e.status == MN_ERR_FORMAT, "cut to %zu: %s", k, e.text);
            if (k == size && !way) { /* one byte too many */
                part[k] = 0;
                decode(part, k + 1, 3, &e);
                ASSERT_FAILS(e, MN_ERR_FORMAT, "but 289 follow");
            }
            free(part);
        }
        for (size_t k = 0; k < size; k++) { /* any byte changed: never worse than an error */
            uint8_t *part = malloc(size);
            memcpy(part, way ? (uint8_t *)packed : bytes, size);
            part[k] ^= 0xff;
            decode(part, size, 3, NULL);
            free(part);
        }
    }
    free(packed);
}
END_TEST

START_TEST(test_hostile_headers) {
    static const struct {
        uint8_t head[16];
        const char *words;
    } bad[] = {
        {{0, 0, 8, 1, 0, 0, 0, 1}, "begins with 00000801; wanted 00000803"},
        {{0, 0, 0x0d, 3, 0, 0, 0, 1}, "begins with 00000d03"},
        {{0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, "size 1 is 0"},
        {{0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1}, "size 1 is 4294967295"},
        {{0, 0, 8, 3, 0, 0, 0, 1, 0xff, 0, 0, 0, 0, 0, 0, 1}, "size 2 is 4278190080"},
        {{0, 0, 8, 3, 5, 0, 0, 0, 0, 0, 15, 0, 0, 0, 15, 0}, "asks for"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        decode(bad[k].head, 16, 3, &e);
        ASSERT_FAILS(e, MN_ERR_FORMAT, bad[k].words);
#if MN_HAVE_ZLIB
        write_gz(test_path("h.gz"), bad[k].head, 16);
        size_t n;
        char *packed = test_read_file(test_path("h.gz"), &n);
        mn_error_clear(&e);
        decode((uint8_t *)packed, n, 3, &e);
        ASSERT_FAILS(e, MN_ERR_FORMAT, bad[k].words);
        free(packed);
#endif
    }
}
END_TEST

START_TEST(test_folder_errors) {
    mn_error e = {0};
    const char *dir = help_folder("broken");
    ck_assert_ptr_null(mn_dataset_idx(dir, NULL, &e));
    ASSERT_FAILS(e, MN_ERR_IO, "holds no idx files; wanted train-images-idx3-ubyte");
    mn_error_clear(&e);
    put(dir, "train-images-idx3-ubyte", 3, 5, 4, 4, 0, false);
    ck_assert_ptr_null(mn_dataset_idx(dir, NULL, &e));
    ASSERT_FAILS(e, MN_ERR_IO, "has train-images but no train-labels");
    mn_error_clear(&e);
    put(dir, "train-labels-idx1-ubyte", 1, 6, 0, 0, 0, false);
    ck_assert_ptr_null(mn_dataset_idx(dir, NULL, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "holds 5 pictures, train-labels 6 labels");
    mn_error_clear(&e);
    put(dir, "train-labels-idx1-ubyte", 1, 5, 0, 0, 0, false);
    put(dir, "t10k-images-idx3-ubyte", 3, 5, 3, 4, 0, false);
    put(dir, "t10k-labels-idx1-ubyte", 1, 5, 0, 0, 0, false);
    ck_assert_ptr_null(mn_dataset_idx(dir, NULL, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "train pictures have 4x4 pixels, t10k pictures 4x3");
    mn_error_clear(&e);
    help_write_text(test_path("broken/t10k-images-idx3-ubyte"), "abc");
    ck_assert_ptr_null(mn_dataset_idx(dir, NULL, &e));
    ASSERT_FAILS(e, MN_ERR_FORMAT, "t10k-images-idx3-ubyte: ends inside its header (3 of 16 bytes)");
}
END_TEST

START_TEST(test_out_of_memory) {
    const char *dir = help_folder("memory");
    put(dir, "train-images-idx3-ubyte", 3, 5, 4, 4, 0, false);
    put(dir, "train-labels-idx1-ubyte", 1, 5, 0, 0, 0, false);
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        mn_error e = {0};
        int64_t live;
        test_fail_allocation(n);
        mn_dataset *d = mn_dataset_idx(dir, NULL, &e);
        bool opened = d != NULL;
        mn_dataset_destroy(d);
        failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_msg(failed ? !opened && e.status == MN_ERR_MEMORY : opened, "%s", e.text);
    }
}
END_TEST

START_TEST(test_fashion_mnist) {
    const char *dir = "/usr/share/datasets/fashion-mnist";
    if (access(dir, R_OK) != 0) {
        test_skip("idx: Fashion-MNIST (install dataset-fashion-mnist)");
        return;
    }
    mn_error e = {0};
    mn_dataset *d = mn_dataset_idx(dir, NULL, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    ck_assert_int_eq(d->length, 70000);
    ck_assert_str_eq(d->head[0].class_name[9], "ankle boot");
    int count[10] = {0};
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        ASSERT_OK(d->info(d, i, &s, &e), &e);
        count[s.label[0]]++;
    }
    for (int k = 0; k < 10; k++) ck_assert_int_eq(count[k], 7000);
    mn_dataset_destroy(d);
}
END_TEST

TEST_SUITE(idx, test_reads, test_cut_anywhere, test_hostile_headers, test_folder_errors, test_out_of_memory, test_fashion_mnist)
