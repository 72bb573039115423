/* A small file of every format, cut at every byte: a sentence or what is there, all memory given back, and never more of it
 * than the whole file takes. */
#include "data/formats/model_config.h"
#include "data/onnx/onnx.h"
#include "tests/data_help.h"
#include "tests/op_test.h"
#include <stdatomic.h>

/* ---- memory ---- */

static atomic_size_t live, peak;
enum { HEAD = 64 }; /* in front of each block: its size; keeps the alignment */

static void *counting_alloc(size_t bytes, size_t align, void *user) {
    (void)user;
    size_t head = align > HEAD ? align : HEAD, all = (head + bytes + align - 1) / align * align;
    char *p = aligned_alloc(align > HEAD ? align : HEAD, (all + head - 1) / head * head);
    if (!p) return NULL;
    memcpy(p + head - 2 * sizeof bytes, &bytes, sizeof bytes);
    memcpy(p + head - sizeof head, &head, sizeof head);
    size_t now = atomic_fetch_add(&live, bytes) + bytes, before = atomic_load(&peak);
    while (now > before && !atomic_compare_exchange_weak(&peak, &before, now)) {}
    return p + head;
}

static void counting_release(void *p, void *user) {
    (void)user;
    size_t bytes, head;
    if (!p) return;
    memcpy(&bytes, (char *)p - 2 * sizeof bytes, sizeof bytes);
    memcpy(&head, (char *)p - sizeof head, sizeof head);
    atomic_fetch_sub(&live, bytes);
    free((char *)p - head);
}

/* ---- every reader: true when it took the bytes; no sentence where it should have one fails ---- */

static bool said(mn_status s, const mn_error *err) {
    ck_assert_msg(s == MN_OK || (s == err->status && err->text[0]), "a refusal without a sentence");
    return s == MN_OK;
}

static bool read_idx(const uint8_t *bytes, size_t n) {
    uint32_t dim[3];
    uint8_t *out;
    mn_error err = {0};
    bool ok = said(mn__idx_decode(bytes, n, 3, dim, &out, &err), &err);
    mn_free(out);
    return ok;
}

static bool read_npy(const uint8_t *bytes, size_t n) {
    mn_array a;
    mn_error err = {0};
    bool ok = said(mn__npy_decode(bytes, n, &a, &err), &err);
    mn_array_free(&a);
    return ok;
}

static bool read_safetensors(const uint8_t *bytes, size_t n) {
    mn_array *a;
    int count;
    mn_error err = {0};
    bool ok = said(mn__safetensors_decode(bytes, n, &a, &count, &err), &err);
    mn_arrays_free(a, count);
    return ok;
}

static bool read_picture(const uint8_t *bytes, size_t n) {
    mn_image im = {0};
    mn_error err = {0};
    bool ok = said(mn_image_decode(&im, bytes, n, &err), &err);
    mn_image_free(&im);
    return ok;
}

static bool read_csv(const uint8_t *bytes, size_t n, mn_dataset *(*open)(const char *, const mn_open_opt *, mn_error *)) {
    const char *path = test_path("cut.csv");
    mn_error err = {0};
    test_write_file(path, bytes, n);
    mn_dataset *d = open(path, &(mn_open_opt){.threads = 1}, &err);
    mn_dataset_destroy(d);
    return said(d ? MN_OK : err.status ? err.status : MN_ERR_ARG, &err);
}
static bool read_fer2013(const uint8_t *bytes, size_t n) { return read_csv(bytes, n, mn_dataset_fer2013); }
static bool read_list(const uint8_t *bytes, size_t n) { return read_csv(bytes, n, mn_dataset_list); }

static bool read_network(const uint8_t *bytes, size_t n) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = mn_model_from_json(c, (const char *)bytes, n, NULL);
    bool ok = said(m ? MN_OK : mn_context_error(c)->status, mn_context_error(c));
    mn_context_destroy(c);
    return ok;
}

static bool read_model(const uint8_t *bytes, size_t n, const char *path) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    mn_model_info info;
    test_write_file(path, bytes, n);
    mn_model *m = mn_model_load(c, path, &info, &err);
    bool ok = said(m ? MN_OK : err.status, &err);
    ck_assert(ok || strstr(err.text, path));
    mn_model_info_free(&info);
    mn_context_destroy(c);
    return ok;
}
static bool read_h5(const uint8_t *bytes, size_t n) { return read_model(bytes, n, test_path("cut.h5")); }
static bool read_onnx(const uint8_t *bytes, size_t n) { return read_model(bytes, n, test_path("cut.onnx")); }

/* ---- cutting ---- */

/* Whole, then each beginning of it. From `enough` bytes on a cut file may be read: what it lacks it does without. */
static void cut(const char *what, const void *whole, size_t n, size_t enough, bool (*read)(const uint8_t *, size_t)) {
    atomic_store(&live, 0), atomic_store(&peak, 0);
    mn_set_allocator(&(mn_allocator){counting_alloc, counting_release, NULL});
    ck_assert_msg(read(whole, n), "%s: the whole file is refused", what);
    size_t most = atomic_load(&peak);
    for (size_t k = 0; k < n; k++) {
        uint8_t *part = malloc(k ? k : 1); /* of exactly this size: a sanitizer sees any step beyond */
        memcpy(part, whole, k);
        atomic_store(&peak, 0);
        bool took = read(part, k);
        ck_assert_msg(k >= enough || !took, "%s: %zu of %zu bytes were taken for the whole", what, k, n);
        ck_assert_msg(atomic_load(&live) == 0, "%s cut to %zu bytes: %zu bytes of memory are lost", what, k, atomic_load(&live));
        ck_assert_msg(atomic_load(&peak) <= most + 1024, "%s cut to %zu bytes takes %zu bytes of memory, the whole %zu", what, k,
                      atomic_load(&peak), most);
        free(part);
    }
    mn_set_allocator(NULL);
}

static void cut_file(const char *path, size_t behind, bool (*read)(const uint8_t *, size_t)) {
    size_t n;
    char *bytes = test_read_file(path, &n);
    cut(path, bytes, n, n - behind, read);
    free(bytes);
}

START_TEST(test_arrays) {
    static const uint8_t idx[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    mn_error err = {0};
    static const float v[6] = {1, 2, 3, 4, 5, 6};
    cut("idx", idx, sizeof idx, sizeof idx, read_idx);
    ASSERT_OK(mn_npy_save(test_path("a.npy"), MN_F32, MN_SHAPE(2, 3), v, &err), &err);
    cut_file(test_path("a.npy"), 0, read_npy);
#if MN_HAVE_JSON
    mn_array list[2] = {{.name = (char *)"a", .dtype = MN_F32, .shape = MN_SHAPE(2, 3), .data = (void *)(uintptr_t)v},
                        {.name = (char *)"b", .dtype = MN_F32, .shape = MN_SHAPE(2), .data = (void *)(uintptr_t)v}};
    ASSERT_OK(mn_safetensors_save(test_path("a.safetensors"), list, 2, &err), &err);
    cut_file(test_path("a.safetensors"), 0, read_safetensors);
#endif
}
END_TEST

START_TEST(test_pictures) {
#if MN_HAVE_PNG
    help_write_png(test_path("a.png"), 9, 7, 3, 1);
    cut_file(test_path("a.png"), 0, read_picture);
#endif
#if MN_HAVE_JPEG
    mn_image im = {0};
    help_picture(&im, 17, 9, 3, 1);
    for (int progressive = 0; progressive < 2; progressive++) {
        help_write_jpeg(test_path("a.jpg"), &im, 40, progressive, false);
        cut_file(test_path("a.jpg"), 0, read_picture);
    }
    mn_image_free(&im);
#endif
}
END_TEST

/* Rows end anywhere: a whole row less is a shorter file, so that only crashes, leaks and greed count. */
START_TEST(test_csv) {
    char *text = malloc(48 * 48 * 2 + 100), *p = text + sprintf(text, "emotion,pixels,Usage\n3,");
    for (int i = 0; i < 48 * 48; i++) p += sprintf(p, "%s%d", i ? " " : "", i % 10);
    p += sprintf(p, ",Training\n");
    cut("fer2013", text, (size_t)(p - text), 0, read_fer2013);
    free(text);
    help_write_png(test_path("face.png"), 5, 4, 1, 1);
    static const char list[] = "path,emotion,\"gender\",split,group\nface.png,sad,man,train,a\n\"face.png\",\"a \"\"b\"\"\",,,\n";
    cut("list", list, sizeof list - 1, 0, read_list);
}
END_TEST

/* ---- networks ---- */

#if MN_HAVE_JSON
static char *names[] = {"happy", "sad"};

/* Writes a small model to `path`; its description as JSON. */
static char *little(const char *path) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    mn_model *m = mn_model_create(c, "little");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(1, 3, 3));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 2, .kernel_size = {2, 2}, .name = "conv"});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.units = 2, .name = "mood"}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    mn_model_info info = {.preprocess = {.channels = 1, .height = 3, .width = 3, .hi = 1}, .n_heads = 1};
    info.head[0] = (mn_head){.name = "mood", .n_classes = 2, .class_name = names};
    if (path) ASSERT_OK(mn_model_save(m, &info, path, &err), &err);
    char *text = mn_model_to_json(m, &err);
    ck_assert_ptr_nonnull(text);
    mn_context_destroy(c);
    return text;
}
#endif

START_TEST(test_network) {
#if MN_HAVE_JSON
    char *text = little(NULL);
    cut("network.json", text, strlen(text), strlen(text), read_network);
    mn_free(text);
#else
    test_skip("networks as files: built without jansson");
#endif
}
END_TEST

START_TEST(test_h5) {
#if MN_HAVE_JSON && MN_HAVE_HDF5
    enum { CHECKSUM = 24 }; /* mien's own, behind the HDF5 data: files of other programs have none */
    mn_free(little(test_path("little.h5")));
    cut_file(test_path("little.h5"), CHECKSUM, read_h5);
#else
    test_skip("model files: built without HDF5 or jansson");
#endif
}
END_TEST

START_TEST(test_onnx) {
#if MN_HAVE_JSON && MN_HAVE_PROTOBUF
    mn_free(little(test_path("little.onnx")));
    cut_file(test_path("little.onnx"), 0, read_onnx);
#else
    test_skip("ONNX files: built without protobuf-c or jansson");
#endif
}
END_TEST

TEST_SUITE(truncated, test_arrays, test_pictures, test_csv, test_network, test_h5, test_onnx)
