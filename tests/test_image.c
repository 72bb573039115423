/* Images: reading, writing, cropping, resizing, colour, hostile files. */
#include "tests/data_help.h"
#include <sys/stat.h>
#include <unistd.h>
#if MN_HAVE_PNG
#include <png.h>
#endif

static bool same(const mn_image *a, const mn_image *b) {
    return a->width == b->width && a->height == b->height && a->channels == b->channels &&
           !memcmp(a->pixels, b->pixels, (size_t)(a->width * a->height * a->channels));
}

START_TEST(test_png_roundtrip) {
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    const struct { int w, h, c; } sizes[] = {{1, 1, 1}, {1, 7, 3}, {48, 48, 1}, {37, 53, 3}, {1000, 2, 1}};
    const char *path = test_path("a.png");
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        help_picture(&a, sizes[k].w, sizes[k].h, sizes[k].c, (int)k);
        ASSERT_OK(mn_image_save_png(&a, path, &e), &e);
        ASSERT_OK(mn_image_load(&b, path, &e), &e);
        ck_assert(same(&a, &b));
    }
    struct stat st;
    ck_assert(stat(path, &st) == 0 && (st.st_mode & 0200) && !(st.st_mode & 0111));
    ck_assert_int_eq(mn_image_save_png(&a, test_path("no/such/folder/a.png"), &e), MN_ERR_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "does the folder exist"));
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

/* A failed write leaves what stood there, and no temporary file. */
START_TEST(test_png_write_is_atomic) {
    mn_image a = {0};
    mn_error e = {0};
    help_picture(&a, 9, 9, 1, 0);
    const char *dir = help_folder("atomic/taken.png"); /* a folder of that name: rename fails */
    help_write_text(test_path("atomic/taken.png/x"), "x");
    ck_assert_int_eq(mn_image_save_png(&a, dir, &e), MN_ERR_IO);
    ck_assert_int_eq(rmdir(test_path("atomic")), -1);
    ck_assert_int_eq(unlink(test_path("atomic/taken.png/x")), 0);
    ck_assert_int_eq(rmdir(dir), 0);
    ck_assert_int_eq(rmdir(test_path("atomic")), 0); /* nothing else was left in it */
    mn_image_free(&a);
}
END_TEST

#if MN_HAVE_PNG
/* Writes a PNG of any kind with libpng itself. rows: bytes as the file has them. */
static void raw_png(const char *path, int w, int h, int depth, int type, bool interlaced, const uint8_t *rows, size_t row) {
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, depth, type, interlaced, 0, 0);
    png_color colours[4] = {{10, 20, 30}, {200, 100, 0}, {255, 255, 255}, {0, 0, 0}};
    png_byte alpha[2] = {128, 0};
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, colours, 4), png_set_tRNS(png, info, alpha, 2, NULL);
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    for (int p = 0; p < passes; p++)
        for (int y = 0; y < h; y++) png_write_row(png, rows + (size_t)y * row);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(f);
}

START_TEST(test_png_kinds) {
    mn_image b = {0};
    mn_error e = {0};
    const char *path = test_path("kind.png");
    /* 2-bit palette with transparency: indices 0 1 2 3 / 3 2 1 0 */
    raw_png(path, 4, 2, 2, PNG_COLOR_TYPE_PALETTE, false, (uint8_t[]){0x1b, 0xe4}, 1);
    ASSERT_OK(mn_image_load(&b, path, &e), &e);
    ck_assert(b.width == 4 && b.height == 2 && b.channels == 3);
    ck_assert(!memcmp(b.pixels, (uint8_t[]){10, 20, 30, 200, 100, 0, 255, 255, 255, 0, 0, 0}, 12));
    /* 16-bit grey: rounded to 8 */
    raw_png(path, 3, 1, 16, PNG_COLOR_TYPE_GRAY, false, (uint8_t[]){0, 0, 0x01, 0xc0, 0xff, 0xff}, 6);
    ASSERT_OK(mn_image_load(&b, path, &e), &e);
    ck_assert(b.channels == 1 && b.pixels[0] == 0 && b.pixels[1] == 2 && b.pixels[2] == 255);
    /* grey with alpha, 1-bit grey */
    raw_png(path, 2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, false, (uint8_t[]){7, 0, 9, 255}, 4);
    ASSERT_OK(mn_image_load(&b, path, &e), &e);
    ck_assert(b.channels == 1 && b.pixels[0] == 7 && b.pixels[1] == 9);
    raw_png(path, 8, 1, 1, PNG_COLOR_TYPE_GRAY, false, (uint8_t[]){0xa5}, 1);
    ASSERT_OK(mn_image_load(&b, path, &e), &e);
    ck_assert(!memcmp(b.pixels, (uint8_t[]){255, 0, 255, 0, 0, 255, 0, 255}, 8));
    /* RGBA, interlaced, against the same rows not interlaced */
    uint8_t rgba[11 * 13 * 4];
    for (size_t i = 0; i < sizeof rgba; i++) rgba[i] = (uint8_t)(i * 37);
    raw_png(path, 11, 13, 8, PNG_COLOR_TYPE_RGB_ALPHA, true, rgba, 44);
    ASSERT_OK(mn_image_load(&b, path, &e), &e);
    ck_assert(b.width == 11 && b.height == 13 && b.channels == 3);
    for (int i = 0; i < 11 * 13; i++) ck_assert(!memcmp(b.pixels + 3 * i, rgba + 4 * i, 3));
    mn_image_free(&b);
}
END_TEST

/* IHDR with sizes that ask for a lot, its checksum right. */
START_TEST(test_png_hostile_sizes) {
    mn_image b = {0};
    mn_error e = {0};
    const struct {
        uint32_t w, h;
        const char *words;
    } bad[] = {
        {0, 10, "broken PNG"},       {100000, 10, "broken PNG"},           {0xffffffff, 1, "broken PNG"},
        {32768, 32768, "megapixel"}, {30000, 3000, "cannot stand in the"},
    };
    const char *path = test_path("size.png");
    help_write_png(path, 2, 2, 1, 0);
    size_t n;
    char *bytes = test_read_file(path, &n);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        uint8_t *p = (uint8_t *)bytes + 12; /* "IHDR", then width and height */
        for (int i = 0; i < 4; i++)
            p[4 + i] = (uint8_t)(bad[k].w >> (24 - 8 * i)), p[8 + i] = (uint8_t)(bad[k].h >> (24 - 8 * i));
        uint32_t crc = 0xffffffff; /* of type and data */
        for (int i = 0; i < 17; i++) {
            crc ^= p[i];
            for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
        for (int i = 0; i < 4; i++) p[17 + i] = (uint8_t)(~crc >> (24 - 8 * i));
        mn_error_clear(&e);
        ck_assert_int_ne(mn_image_decode(&b, bytes, n, &e), MN_OK);
        ASSERT_FAILS(e, MN_ERR_FORMAT, bad[k].words);
    }
    ck_assert_uint_eq(b.capacity, 0); /* nothing was reserved for any of them */
    free(bytes);
}
END_TEST
#endif

static void truncate_everywhere(const char *path) {
    mn_image b = {0};
    size_t n;
    char *bytes = test_read_file(path, &n);
    for (size_t k = 0; k < n; k++) {
        mn_error e = {0};
        char *part = malloc(k ? k : 1); /* of exactly this size: a sanitizer sees any step beyond */
        memcpy(part, bytes, k);
        mn_status s = mn_image_decode(&b, part, k, &e);
        ck_assert_msg(s == MN_ERR_FORMAT && e.text[0], "%s cut to %zu of %zu bytes: %s %s", path, k, n, mn_status_name(s),
                      e.text);
        free(part);
    }
    for (size_t k = 0; k < n; k++) { /* any byte changed: read or refused, never worse */
        char old = bytes[k];
        bytes[k] = (char)~old;
        mn_image_decode(&b, bytes, n, NULL);
        bytes[k] = old;
    }
    mn_error e = {0};
    ASSERT_OK(mn_image_decode(&b, bytes, n, &e), &e);
    if (!memcmp(bytes, "\xff\xd8", 2)) { /* the end's marker in the middle of a JPEG's data */
        memcpy(bytes + n - 40, "\xff\xd9", 2);
        ck_assert_int_eq(mn_image_decode(&b, bytes, n, &e), MN_ERR_FORMAT);
    }
    free(bytes);
    mn_image_free(&b);
}

START_TEST(test_cut_png) {
    const char *path = test_path("cut.png");
    help_write_png(path, 13, 11, 3, 1);
    truncate_everywhere(path);
}
END_TEST

START_TEST(test_jpeg) {
#if MN_HAVE_JPEG
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    const char *path = test_path("a.jpg");
    for (int channels = 1; channels <= 3; channels += 2)
        for (int progressive = 0; progressive < 2; progressive++) {
            help_picture(&a, 61, 35, channels, 3);
            help_write_jpeg(path, &a, 97, progressive, false);
            ASSERT_OK(mn_image_load(&b, path, &e), &e);
            ck_assert(b.width == 61 && b.height == 35 && b.channels == channels);
            double sum = 0;
            for (int i = 0; i < 61 * 35 * channels; i++) sum += abs(a.pixels[i] - b.pixels[i]);
            ASSERT_CLOSE(sum / (61 * 35 * channels), 0, channels == 1 ? 2.0 : 6.0);
        }
    help_write_jpeg(path, &a, 90, false, true);
    ck_assert_int_eq(mn_image_load(&b, path, &e), MN_ERR_UNSUPPORTED);
    ASSERT_FAILS(e, MN_ERR_UNSUPPORTED, "CMYK");
    ck_assert_ptr_nonnull(strstr(e.text, path));
    size_t n;
    char *bytes = test_read_file(path, &n);
    for (size_t i = 0; i + 9 < n; i++)
        if ((uint8_t)bytes[i] == 0xff && (uint8_t)bytes[i + 1] == 0xc0) memcpy(bytes + i + 5, "\x20\x00\x0b\x00", 4);
    mn_error_clear(&e);
    mn_image_decode(&b, bytes, n, &e); /* its header now says 2816x8192 */
    ASSERT_FAILS(e, MN_ERR_FORMAT, "2816x8192 pixels cannot stand in");
    free(bytes);
    mn_image_free(&a), mn_image_free(&b);
#else
    test_skip("JPEG: built without libjpeg");
#endif
}
END_TEST

START_TEST(test_cut_jpeg) {
#if MN_HAVE_JPEG
    mn_image a = {0};
    const char *path = test_path("cut.jpg");
    for (int progressive = 0; progressive < 2; progressive++) {
        help_picture(&a, 21, 13, 3, 1);
        help_write_jpeg(path, &a, 50, progressive, false);
        truncate_everywhere(path);
    }
    mn_image_free(&a);
#endif
}
END_TEST

/* Each orientation against its definition (EXIF 2.32): where the stored row 0 and column 0 are seen. */
START_TEST(test_orientation) {
#if MN_HAVE_JPEG
    static const struct {
        int orientation;
        const char *corner; /* where the stored top left corner is seen, and whether sides are exchanged */
        bool turned;
    } want[] = {{1, "top left", false}, {2, "top right", false}, {3, "bottom right", false}, {4, "bottom left", false},
                {5, "top left", true},  {6, "top right", true},  {7, "bottom right", true},  {8, "bottom left", true}};
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    ASSERT_OK(mn_image_reserve(&a, 48, 32, 1, &e), &e);
    for (int i = 0; i < 48 * 32; i++) a.pixels[i] = i % 48 < 16 && i / 48 < 16 ? 250 : i / 48 < 16 ? 120 : 10;
    const char *path = test_path("turned.jpg");
    help_write_jpeg(path, &a, 95, false, false);
    size_t n;
    char *plain = test_read_file(path, &n), *turned = malloc(n + 100);
    for (int big = 0; big < 2; big++)
        for (size_t k = 0; k < 8; k++) {
            /* SOI, then an APP1 of one entry: tag 0x0112, type 3, count 1, value */
            uint8_t app1[] = {0xff,
                              0xe1,
                              0,
                              34,
                              'E',
                              'x',
                              'i',
                              'f',
                              0,
                              0,
                              'I',
                              'I',
                              42,
                              0,
                              8,
                              0,
                              0,
                              0,
                              1,
                              0,
                              0x12,
                              1,
                              3,
                              0,
                              1,
                              0,
                              0,
                              0,
                              (uint8_t)want[k].orientation,
                              0,
                              0,
                              0,
                              0,
                              0,
                              0,
                              0};
            uint8_t motorola[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, (uint8_t)want[k].orientation};
            if (big) memcpy(app1 + 10, motorola, sizeof motorola);
            memcpy(turned, plain, 2);
            memcpy(turned + 2, app1, sizeof app1);
            memcpy(turned + 2 + sizeof app1, plain + 2, n - 2);
            ASSERT_OK(mn_image_decode(&b, turned, n + sizeof app1, &e), &e);
            ck_assert(b.width == (want[k].turned ? 32 : 48) && b.height == (want[k].turned ? 48 : 32));
            int right = b.width - 1, bottom = b.height - 1;
            int x = strstr(want[k].corner, "right") ? right : 0, y = strstr(want[k].corner, "bottom") ? bottom : 0;
            ASSERT_CLOSE(b.pixels[y * b.width + x], 250, 6);
            /* the stored top right corner is 120: along the row, or down the column if turned */
            ASSERT_CLOSE(b.pixels[want[k].turned ? (bottom - y) * b.width + x : y * b.width + right - x], 120, 6);
            ASSERT_CLOSE(b.pixels[want[k].turned ? y * b.width + right - x : (bottom - y) * b.width + x], 10, 6);
            for (size_t i = 2; i < 2 + sizeof app1; i++) { /* damaged EXIF data never matter */
                turned[i] ^= 0x55;
                mn_image_decode(&b, turned, n + sizeof app1, NULL);
                turned[i] ^= 0x55;
            }
        }
    free(plain), free(turned);
    mn_image_free(&a), mn_image_free(&b);
#endif
}
END_TEST

START_TEST(test_load_errors) {
    mn_image b = {0};
    mn_error e = {0};
    mn_image_load(&b, test_path("absent.png"), &e);
    ASSERT_FAILS(e, MN_ERR_IO, "cannot be opened");
    mn_error_clear(&e);
    mn_image_load(&b, test_tmpdir(), &e);
    ASSERT_FAILS(e, MN_ERR_IO, "folder");
    mn_error_clear(&e);
    const char *path = test_path("text.png");
    help_write_text(path, "hello");
    mn_image_load(&b, path, &e);
    ASSERT_FAILS(e, MN_ERR_FORMAT, "neither PNG nor JPEG");
    mn_error_clear(&e);
    help_write_text(path, "");
    mn_image_load(&b, path, &e);
    ASSERT_FAILS(e, MN_ERR_FORMAT, "empty");
    mn_error_clear(&e);
    const char *pipe_path = test_path("pipe");
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    mn_image_load(&b, pipe_path, &e); /* must not wait for a writer */
    ASSERT_FAILS(e, MN_ERR_IO, "is not a file");
    mn_error_clear(&e);
    ck_assert_int_eq(mn_image_reserve(&b, 0, 5, 1, &e), MN_ERR_ARG);
    mn_error_clear(&e);
    ck_assert_int_eq(mn_image_reserve(&b, 40000, 5, 1, &e), MN_ERR_ARG);
    mn_error_clear(&e);
    ck_assert_int_eq(mn_image_reserve(&b, 5, 5, 4, &e), MN_ERR_ARG);
    mn_error_clear(&e);
    ck_assert_int_eq(mn_image_save_png(&b, test_path("none.png"), &e), MN_ERR_ARG);
}
END_TEST

START_TEST(test_crop) {
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    help_picture(&a, 12, 9, 3, 5);
    const int boxes[][4] = {{0, 0, 12, 9}, {3, 2, 4, 5}, {-4, -3, 20, 20}, {11, 8, 5, 5}, {-50, -50, 3, 3}, {100, 0, 2, 9}};
    for (size_t k = 0; k < sizeof boxes / sizeof *boxes; k++) {
        const int *q = boxes[k];
        ASSERT_OK(mn_image_crop(&b, &a, q[0], q[1], q[2], q[3], &e), &e);
        for (int y = 0; y < q[3]; y++)
            for (int x = 0; x < q[2]; x++)
                for (int c = 0; c < 3; c++) {
                    int sx = (int)fmax(0, fmin(11, q[0] + x)), sy = (int)fmax(0, fmin(8, q[1] + y));
                    ck_assert_int_eq(b.pixels[(y * q[2] + x) * 3 + c], a.pixels[(sy * 12 + sx) * 3 + c]);
                }
    }
    ck_assert_int_eq(mn_image_crop(&b, &a, 0, 0, 0, 4, &e), MN_ERR_ARG);
    mn_error_clear(&e);
    ck_assert_int_eq(mn_image_crop(&b, &a, 2000000000, 0, 4, 4, &e), MN_ERR_ARG);
    mn_error_clear(&e);
    ck_assert_int_eq(mn_image_crop(&a, &a, 0, 0, 4, 4, &e), MN_ERR_ARG);
    mn_image_free(&a), mn_image_free(&b);
}
END_TEST

/* The weight of input pixel i in output pixel o, by definition; every pixel is looked at. */
static double weight(int n_in, int n_out, int o, int i) {
    double r = (double)n_in / n_out;
    if (n_out < n_in) return fmax(0, fmin((o + 1) * r, i + 1) - fmax(o * r, i)) / r;
    double x = fmin(fmax((o + 0.5) * r - 0.5, 0), n_in - 1);
    return fmax(0, 1 - fabs(x - i));
}

START_TEST(test_resize) {
    mn_image a = {0}, b = {0};
    mn_error e = {0};
    const int sizes[][4] = {{5, 7, 5, 7}, {10, 10, 5, 5}, {13, 11, 7, 3}, {3, 4, 11, 9},   {17, 5, 4, 12},
                            {1, 1, 6, 6}, {40, 40, 1, 1}, {2, 9, 9, 2},   {64, 48, 48, 48}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int channels = 1; channels <= 3; channels += 2) {
            int w = sizes[k][0], h = sizes[k][1], W = sizes[k][2], H = sizes[k][3];
            help_picture(&a, w, h, channels, (int)k);
            ASSERT_OK(mn_image_resize(&b, &a, W, H, &e), &e);
            ck_assert(b.width == W && b.height == H && b.channels == channels);
            for (int o = 0; o < W * H * channels; o++) {
                int c = o % channels, X = o / channels % W, Y = o / channels / W;
                double sum = 0;
                for (int y = 0; y < h; y++)
                    for (int x = 0; x < w; x++)
                        sum += weight(h, H, Y, y) * weight(w, W, X, x) * a.pixels[(y * w + x) * channels + c];
                ASSERT_CLOSE(b.pixels[o], sum, 0.501);
            }
        }
    mn_image white = {0};
    ASSERT_OK(mn_image_reserve(&white, 97, 89, 1, &e), &e);
    memset(white.pixels, 255, 97 * 89);
    ASSERT_OK(mn_image_resize(&b, &white, 48, 48, &e), &e);
    for (int i = 0; i < 48 * 48; i++) ck_assert_int_eq(b.pixels[i], 255);
    ck_assert_int_eq(mn_image_resize(&b, &a, 0, 4, &e), MN_ERR_ARG);
    mn_error_clear(&e);
    ck_assert_int_eq(mn_image_resize(&b, &(mn_image){0}, 4, 4, &e), MN_ERR_ARG);
    ASSERT_FAILS(e, MN_ERR_ARG, "empty");
    mn_image_free(&a), mn_image_free(&b), mn_image_free(&white);
}
END_TEST

START_TEST(test_convert) {
    mn_image a = {0}, b = {0}, c = {0};
    mn_error e = {0};
    help_picture(&a, 31, 17, 3, 2);
    for (int grey = 0; grey < 2; grey++) {
        ASSERT_OK(mn_image_convert(&b, &a, 1, (mn_grey)grey, &e), &e);
        for (int i = 0; i < 31 * 17; i++) {
            const uint8_t *p = a.pixels + 3 * i;
            double want = grey ? (p[0] + p[1] + p[2]) / 3.0 : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            ASSERT_CLOSE(b.pixels[i], want, 0.51);
        }
    }
    ASSERT_OK(mn_image_convert(&c, &b, 3, MN_GREY_BT601, &e), &e);
    for (int i = 0; i < 31 * 17 * 3; i++) ck_assert_int_eq(c.pixels[i], b.pixels[i / 3]);
    memset(a.pixels, 255, 31 * 17 * 3);
    ASSERT_OK(mn_image_convert(&b, &a, 1, MN_GREY_BT601, &e), &e);
    ck_assert_int_eq(b.pixels[0], 255);
    ck_assert_int_eq(mn_image_convert(&b, &a, 2, MN_GREY_BT601, &e), MN_ERR_ARG);
    mn_image_free(&a), mn_image_free(&b), mn_image_free(&c);
}
END_TEST

START_TEST(test_out_of_memory) {
    const char *path = test_path("memory.png");
    help_write_png(path, 20, 20, 3, 0);
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        mn_image a = {0}, b = {0}, c = {0};
        mn_error e = {0};
        int64_t live;
        test_fail_allocation(n);
        mn_status s = mn_image_load(&a, path, &e);
        if (!s) s = mn_image_resize(&b, &a, 9, 7, &e);
        if (!s) s = mn_image_convert(&c, &b, 1, MN_GREY_MEAN, &e);
        if (!s) s = mn_image_save_png(&c, test_path("out.png"), &e);
        mn_image_free(&a), mn_image_free(&b), mn_image_free(&c);
        failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_int_eq(s, failed ? MN_ERR_MEMORY : MN_OK);
        ck_assert_int_lt(n, 100);
    }
}
END_TEST

#if MN_HAVE_PNG
TEST_SUITE(image, test_png_roundtrip, test_png_write_is_atomic, test_png_kinds, test_png_hostile_sizes, test_cut_png, test_jpeg,
           test_cut_jpeg, test_orientation, test_load_errors, test_crop, test_resize, test_convert, test_out_of_memory)
#else
TEST_SUITE(image, test_jpeg, test_cut_jpeg, test_orientation, test_load_errors, test_crop, test_resize, test_convert)
#endif
