/* Arrays in files: .npy and safetensors, and the weights of a model in the latter. */
#include "data/internal.h"
#include "tests/data_help.h"
#include "tests/op_test.h"

/* ---- .npy ---- */

START_TEST(test_npy_round_trip) {
    static const mn_dtype dtypes[] = {MN_F32, MN_F64, MN_I32, MN_U8};
    static const double values[12] = {0, 1, 2, 3, 4, 5, 6, 7, 250, 9, 10, 11};
    const mn_shape shapes[] = {{0}, MN_SHAPE(12), MN_SHAPE(3, 4), MN_SHAPE(2, 1, 3, 1, 2)};
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < 4; k++) {
            float f[12];
            int32_t w[12];
            uint8_t b[12];
            for (int i = 0; i < 12; i++) f[i] = (float)values[i], w[i] = (int32_t)values[i], b[i] = (uint8_t)values[i];
            const void *data[] = {f, values, w, b};
            mn_error err = {0};
            mn_array a;
            ASSERT_OK(mn_npy_save(test_path("a.npy"), dtypes[t], shapes[k], data[t], &err), &err);
            ASSERT_OK(mn_npy_load(test_path("a.npy"), &a, &err), &err);
            ck_assert(a.dtype == dtypes[t] && mn_shape_equal(a.shape, shapes[k]) && !a.name);
            ck_assert_mem_eq(a.data, data[t], (size_t)mn_shape_count(shapes[k]) * mn_dtype_size(dtypes[t]));
            mn_array_free(&a);
        }
    size_t n;
    char *bytes = test_read_file(test_path("a.npy"), &n);
    ck_assert_msg((n - 12) % 64 == 0, "the numbers do not begin at a multiple of 64 bytes");
    free(bytes);
}
END_TEST

static size_t npy(char *file, const char *header, const void *data, size_t bytes) {
    size_t n = strlen(header);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (char)n, file[9] = (char)(n >> 8);
    memcpy(file + 10, header, n);
    memcpy(file + 10 + n, data, bytes);
    return 10 + n + bytes;
}

/* Fortran's order, the other byte order, halves. */
START_TEST(test_npy_kinds) {
    char file[300];
    mn_array a;
    mn_error err = {0};
    static const uint8_t columns[] = {1, 4, 2, 5, 3, 6};
    size_t n = npy(file, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}\n", columns, 6);
    ASSERT_OK(mn__npy_decode((uint8_t *)file, n, &a, &err), &err);
    ck_assert_mem_eq(a.data, ((uint8_t[]){1, 2, 3, 4, 5, 6}), 6);
    mn_array_free(&a);
    n = npy(file, "{'shape': (1,), 'fortran_order': False, 'descr': '>f4'}\n", "\x3f\x80\x00\x00", 4);
    ASSERT_OK(mn__npy_decode((uint8_t *)file, n, &a, &err), &err);
    ck_assert(((float *)a.data)[0] == 1);
    mn_array_free(&a);
    n = npy(file, "{'descr': '<f2', 'fortran_order': False, 'shape': (4,)}\n", "\x00\x3c\x01\x00\x00\xfc\x00\xc0", 8);
    ASSERT_OK(mn__npy_decode((uint8_t *)file, n, &a, &err), &err);
    const float *f = a.data;
    ck_assert(f[0] == 1 && f[1] == 0x1p-24f && f[2] == -INFINITY && f[3] == -2);
    mn_array_free(&a);
    n = npy(file, "{'descr': '<i8', 'fortran_order': False, 'shape': ()}\n", "\xfe\xff\xff\xff\xff\xff\xff\xff", 8);
    ASSERT_OK(mn__npy_decode((uint8_t *)file, n, &a, &err), &err);
    ck_assert(((int32_t *)a.data)[0] == -2 && a.shape.ndim == 0);
    mn_array_free(&a);
}
END_TEST

static void npy_refused(const char *header, size_t bytes, mn_status status, const char *words) {
    char file[400], data[64] = {0};
    mn_array a;
    mn_error err = {0};
    memset(data, 127, sizeof data);
    ck_assert_int_ne(mn__npy_decode((uint8_t *)file, npy(file, header, data, bytes), &a, &err), MN_OK);
    ck_assert_ptr_null(a.data);
    ASSERT_FAILS(err, status, words);
}

START_TEST(test_npy_refused) {
    npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 8, MN_ERR_FORMAT,
                "8 bytes follow the header; the shape says 12");
    npy_refused("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8, MN_ERR_UNSUPPORTED, "descr");
    npy_refused("{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", 8, MN_ERR_UNSUPPORTED, "wanted at most 32 bits");
    npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999)}", 8, MN_ERR_FORMAT, "impossible");
    npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 2)}", 8, MN_ERR_UNSUPPORTED,
                "more than 5 dimensions");
    npy_refused("{'descr': '<f4', 'fortran_order': False}", 8, MN_ERR_FORMAT, "no shape");
    npy_refused("{'descr': '<f4', 'shape': (2,)}", 8, MN_ERR_FORMAT, "fortran_order");
    char file[300];
    size_t n = npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "01234567", 8);
    for (size_t at = 0; at < n; at++) {
        mn_array a;
        mn_error err = {0};
        uint8_t *copy = malloc(at + 1);
        memcpy(copy, file, at);
        ck_assert(mn__npy_decode(copy, at, &a, &err) != MN_OK && err.text[0]);
        free(copy);
    }
    mn_array a;
    mn_error err = {0};
    ck_assert_int_ne(mn_npy_load("/nowhere/a.npy", &a, &err), MN_OK);
}
END_TEST

/* ---- safetensors ---- */

#if MN_HAVE_JSON

START_TEST(test_weights) {
    mn_context *c = op_context(MN_F32, 1), *d = op_context(MN_F32, 2), *e = op_context(MN_F64, 3);
    mn_error err = {0};
    mn_model *m = mn_net_create(c, "tiny", &(mn_net_opt){.height = 20, .width = 20}),
             *k = mn_net_create(d, "tiny", &(mn_net_opt){.height = 20, .width = 20});
    mn_model *other = mn_net_create(e, "tiny", &(mn_net_opt){.channels = 3, .height = 20, .width = 20});
    int n;
    mn_tensor **p = mn_model_parameters(m, NULL, &n), **q = mn_model_parameters(k, NULL, NULL);
    for (int i = 0; i < n; i++) mn_fill_uniform(p[i], 90 + (uint64_t)i, -1, 1);
    ASSERT_OK(mn_weights_save(m, test_path("w.safetensors"), &err), &err);
    ck_assert_msg(mn_weights_load(k, test_path("w.safetensors"), true, &err) == n, "%s", err.text);
    for (int i = 0; i < n; i++) {
        double *a = op_values(p[i]), *b = op_values(q[i]);
        ck_assert_mem_eq(a, b, (size_t)p[i]->count * sizeof *a);
        free(a), free(b);
    }
    ck_assert_int_eq(mn_weights_load(other, test_path("w.safetensors"), false, &err), n - 1); /* all but the first kernel */
    ck_assert_int_eq(mn_weights_load(other, test_path("w.safetensors"), true, &err), -1);
    ASSERT_FAILS(err, MN_ERR_FORMAT, "has no array \"conv2d/kernel\" of shape");
    mn_error_clear(&err);
    ck_assert_ptr_null(mn_model_load(c, test_path("w.safetensors"), NULL, &err));
    ASSERT_FAILS(err, MN_ERR_ARG, "holds weights alone");
    mn_context_destroy(c);
    mn_context_destroy(d);
    mn_context_destroy(e);
}
END_TEST

/* PyTorch's names and halves. */
START_TEST(test_torch_names) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    mn_model *m = mn_model_create(c, "m");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(2));
    x = mn_layer_dense(m, x, (mn_dense_layer){.name = "fc", .units = 1});
    mn_model_output(m, mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.name = "bn"}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    float w[2] = {3, -4}, one[3] = {5, 6, 7};
    mn_array a[] = {{(char *)"fc.weight", MN_F32, MN_SHAPE(1, 2), w},
                    {(char *)"fc.bias", MN_F32, MN_SHAPE(1), one},
                    {(char *)"bn.running_var", MN_F32, MN_SHAPE(1), one + 1},
                    {(char *)"bn.weight", MN_F32, MN_SHAPE(1), one + 2},
                    {(char *)"bn.bias", MN_F32, MN_SHAPE(2), w}};
    ASSERT_OK(mn_safetensors_save(test_path("t.safetensors"), a, 5, &err), &err);
    ck_assert_int_eq(mn_weights_load(m, test_path("t.safetensors"), false, &err), 4);
    static const struct {
        const char *name;
        double want;
    } values[] = {{"fc/kernel", 3}, {"fc/bias", 5}, {"bn/moving_variance", 6}, {"bn/gamma", 7}, {"bn/beta", 0}};
    for (int i = 0; i < 5; i++) {
        double *v = op_values(mn_model_parameter(m, values[i].name));
        ASSERT_CLOSE(v[0], values[i].want, 0);
        free(v);
    }
    mn_context_destroy(c);
}
END_TEST

static size_t tensors(char *file, const char *header, size_t bytes) {
    size_t n = strlen(header);
    for (int k = 0; k < 8; k++) file[k] = (char)(n >> 8 * k);
    memcpy(file + 8, header, n);
    memset(file + 8 + n, 0x3f, bytes);
    return 8 + n + bytes;
}

static void refused(const char *header, size_t bytes, mn_status status, const char *words) {
    char file[500];
    mn_array *a;
    int n;
    mn_error err = {0};
    ck_assert_int_ne(mn__safetensors_decode((uint8_t *)file, tensors(file, header, bytes), &a, &n, &err), MN_OK);
    ck_assert(!a && !n);
    ASSERT_FAILS(err, status, words);
}

START_TEST(test_refused) {
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, MN_ERR_FORMAT, "data_offsets do not fit");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 8, MN_ERR_FORMAT, "data_offsets do not fit");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 12, MN_ERR_FORMAT,
            "the arrays have 8 bytes; the file has 12");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_"
            "offsets\":[0,4]}}",
            4, MN_ERR_FORMAT, "the arrays have 8 bytes; the file has 4");
    refused("{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, MN_ERR_UNSUPPORTED, "the type I64");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}", 8, MN_ERR_FORMAT,
            "larger than the file");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", 8, MN_ERR_FORMAT, "larger than the file");
    refused("{\"a\":3}", 8, MN_ERR_UNSUPPORTED, "the type (none)");
    refused("{\"a\"", 8, MN_ERR_FORMAT, "the header");
    char file[500];
    size_t size =
        tensors(file, "{\"__metadata__\":{\"a\":\"b\"},\"a\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[0,4]}}", 4);
    mn_array *a;
    int n;
    mn_error err = {0};
    ASSERT_OK(mn__safetensors_decode((uint8_t *)file, size, &a, &n, &err), &err);
    uint32_t bits;
    memcpy(&bits, a[0].data, 4);
    ck_assert(n == 1 && a[0].dtype == MN_F32 && bits == 0x3f3f0000);
    mn_arrays_free(a, n);
    for (size_t at = 0; at < size; at++) {
        uint8_t *copy = malloc(at + 1);
        memcpy(copy, file, at);
        mn_error_clear(&err);
        ck_assert(mn__safetensors_decode(copy, at, &a, &n, &err) != MN_OK && err.text[0] && !a);
        free(copy);
    }
}
END_TEST

TEST_SUITE(safetensors, test_npy_round_trip, test_npy_kinds, test_npy_refused, test_weights, test_torch_names, test_refused)
#else
TEST_SUITE(safetensors, test_npy_round_trip, test_npy_kinds, test_npy_refused)
#endif
