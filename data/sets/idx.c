/* idx files (LeCun, Cortes, Burges: MNIST): a magic number 0 0 8 rank, `rank` sizes as big-endian 32-bit
 * numbers, then bytes. Plain or packed with gzip. A data set is train-images, train-labels, t10k-images,
 * t10k-labels (either pair may be missing) in one folder. */
#include "data/internal.h"
#include <string.h>
#include <unistd.h>
#if MN_HAVE_ZLIB
#include <zlib.h>
#endif

/* ---- a stream of bytes, unpacked on the way if it is gzip ---- */

typedef struct stream {
    const uint8_t *at;
    size_t left;
    bool packed, ended;
#if MN_HAVE_ZLIB
    z_stream z;
#endif
} stream;

static mn_status stream_begin(stream *s, const uint8_t *bytes, size_t size, mn_error *err) {
    *s = (stream){.at = bytes, .left = size, .packed = size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b};
    if (!s->packed) return MN_OK;
#if MN_HAVE_ZLIB
    if (inflateInit2(&s->z, 16 + MAX_WBITS) != Z_OK) return mn_fail(err, MN_ERR_MEMORY, "no memory to unpack gzip");
    return MN_OK;
#else
    return mn_fail(err, MN_ERR_UNSUPPORTED,
                   "packed with gzip, which this build of mien cannot read; hint: gunzip it, or "
                   "install zlib1g-dev and build again");
#endif
}

static void stream_end(stream *s) {
#if MN_HAVE_ZLIB
    if (s->packed) inflateEnd(&s->z);
#else
    (void)s;
#endif
}

/* Up to n bytes; fewer when the stream ends or is broken. */
static size_t stream_take(stream *s, uint8_t *out, size_t n) {
    if (!s->packed) {
        if (n > s->left) n = s->left;
        memcpy(out, s->at, n);
        s->at += n, s->left -= n;
        s->ended = s->left == 0;
        return n;
    }
    size_t got = 0;
#if MN_HAVE_ZLIB
    while (got < n && !s->ended) { /* zlib counts in 32 bits: at most 1 GB a call */
        uInt in = s->left > 1u << 30 ? 1u << 30 : (uInt)s->left, room = n - got > 1u << 30 ? 1u << 30 : (uInt)(n - got);
        s->z.next_in = (Bytef *)s->at, s->z.avail_in = in;
        s->z.next_out = out + got, s->z.avail_out = room;
        int r = inflate(&s->z, Z_NO_FLUSH);
        s->at += in - s->z.avail_in, s->left -= in - s->z.avail_in;
        got += room - s->z.avail_out;
        s->ended = r == Z_STREAM_END;
        if (r != Z_OK) break;
    }
#endif
    return got;
}

/* ---- one file ---- */

static uint32_t big_endian(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* Checks magic and sizes before anything is allocated. *total: the bytes that must follow. */
static mn_status read_sizes(stream *s, size_t size, int rank, uint32_t dim[3], uint64_t *total, mn_error *err) {
    uint8_t head[16];
    size_t want = 4 + 4 * (size_t)rank, got = stream_take(s, head, want);
    if (got < want) return mn_fail(err, MN_ERR_FORMAT, "ends inside its header (%zu of %zu bytes)", got, want);
    if (head[0] || head[1] || head[2] != 8 || head[3] != rank)
        return mn_fail(err, MN_ERR_FORMAT, "begins with %02x%02x%02x%02x; wanted 000008%02x (idx, bytes, %d sizes)", head[0],
                       head[1], head[2], head[3], rank, rank);
    *total = 1;
    for (int k = 0; k < rank; k++) {
        dim[k] = big_endian(head + 4 + 4 * k);
        if (dim[k] < 1 || (k > 0 && dim[k] > 4096) || dim[k] > 100000000)
            return mn_fail(err, MN_ERR_FORMAT, "size %d is %u; that is not believable", k + 1, dim[k]);
        *total *= dim[k]; /* below 2^27 * 2^12 * 2^12 */
    }
    /* gzip packs at most 1032 bytes into one. */
    if (!s->packed ? *total != s->left : *total / 1032 > size)
        return mn_fail(err, MN_ERR_FORMAT, "its header asks for %llu bytes, %s %zu follow; hint: was the file cut?",
                       (unsigned long long)*total, s->packed ? "at most 1032 times" : "but", s->left);
    return MN_OK;
}

mn_status mn__idx_decode(const uint8_t *bytes, size_t size, int rank, uint32_t dim[3], uint8_t **out, mn_error *err) {
    stream s;
    uint64_t total = 0;
    uint8_t extra;
    *out = NULL;
    mn_status st = stream_begin(&s, bytes, size, err);
    if (st) return st;
    st = read_sizes(&s, size, rank, dim, &total, err);
    if (!st && (total > SIZE_MAX / 2 || !(*out = mn_alloc((size_t)total))))
        st = mn_fail(err, MN_ERR_MEMORY, "no memory for its %llu bytes", (unsigned long long)total);
    if (!st) {
        size_t got = stream_take(&s, *out, (size_t)total);
        if (got < total)
            st =
                mn_fail(err, MN_ERR_FORMAT, "broken or cut: %zu of %llu bytes could be unpacked", got, (unsigned long long)total);
        else if (s.packed && (stream_take(&s, &extra, 1) != 0 || !s.ended || s.left))
            st = mn_fail(err, MN_ERR_FORMAT, "does not end after the %llu bytes that its header asks for",
                         (unsigned long long)total);
    }
    stream_end(&s);
    if (st) mn_free(*out), *out = NULL;
    return st;
}

/* ---- a folder of them ---- */

/* The path of "<stem>-idx<rank>-ubyte", with a dot for the first hyphen as some copies have it, packed or
 * not. "" when there is none. */
static mn_status find_file(const char *dir, const char *stem, int rank, char **path, mn_error *err) {
    for (int way = 0; way < 4; way++) {
        char name[64];
        snprintf(name, sizeof name, "%s%cidx%d-ubyte%s", stem, way & 1 ? '.' : '-', rank, way & 2 ? ".gz" : "");
        if (!(*path = mn__join(dir, name, err))) return MN_ERR_MEMORY;
        if (access(*path, F_OK) == 0) return MN_OK;
        mn_free(*path);
    }
    *path = NULL;
    return MN_OK;
}

static mn_status read_file(const char *path, int rank, uint32_t dim[3], uint8_t **data, mn_error *err) {
    uint8_t *bytes;
    size_t size;
    mn_status s = mn__read_file(path, (size_t)8 << 30, &bytes, &size, err);
    if (s) return s;
    s = mn__idx_decode(bytes, size, rank, dim, data, err);
    mn_free(bytes);
    if (s) mn_error_prefix(err, "%s", path);
    return s;
}

typedef struct pair {
    uint32_t n, height, width;
    uint8_t *pixels, *labels;
} pair;

static mn_status read_pair(const char *dir, const char *part, pair *p, mn_error *err) {
    char stem[32], *images = NULL, *labels = NULL;
    uint32_t dim[3] = {0}, n_labels[3] = {0};
    snprintf(stem, sizeof stem, "%s-images", part);
    mn_status s = find_file(dir, stem, 3, &images, err);
    snprintf(stem, sizeof stem, "%s-labels", part);
    if (!s) s = find_file(dir, stem, 1, &labels, err);
    if (!s && !images != !labels)
        s = mn_fail(err, MN_ERR_IO, "%s: has %s-%s but no %s-%s", dir, part, images ? "images" : "labels", part,
                    images ? "labels" : "images");
    if (!s && images) s = read_file(images, 3, dim, &p->pixels, err);
    if (!s && labels) s = read_file(labels, 1, n_labels, &p->labels, err);
    p->n = dim[0], p->height = dim[1], p->width = dim[2];
    if (!s && dim[0] != n_labels[0])
        s = mn_fail(err, MN_ERR_FORMAT, "%s: %s-images holds %u pictures, %s-labels %u labels", dir, part, dim[0], part,
                    n_labels[0]);
    mn_free(images);
    mn_free(labels);
    return s;
}

static mn_status fill(mn__samples *s, const pair *p, int64_t first, mn_split split, mn_error *err) {
    size_t each = (size_t)s->width * (size_t)s->height;
    if (p->n) memcpy(s->pixels + (size_t)first * each, p->pixels, p->n * each);
    for (int64_t i = 0; i < p->n; i++) {
        mn__sample *a = &s->sample[first + i];
        a->label[0] = p->labels[i], a->split = split;
        a->group = mn__hash64(p->pixels + (size_t)i * each, each);
        mn_status st = mn__samples_row_id(s, first + i, split == MN_SPLIT_TRAIN ? "train" : "t10k", i, err);
        if (st) return st;
    }
    return MN_OK;
}

static mn_status combine(mn__samples *s, const char *dir, const pair *train, const pair *test, mn_error *err) {
    if (train->n == 0 && test->n == 0)
        return mn_fail(err, MN_ERR_IO,
                       "%s: holds no idx files; wanted train-images-idx3-ubyte and train-labels-idx1-ubyte (or "
                       "t10k-...), as they are or with .gz",
                       dir);
    const pair *any = train->n ? train : test;
    if (train->n && test->n && (train->width != test->width || train->height != test->height))
        return mn_fail(err, MN_ERR_FORMAT, "%s: train pictures have %ux%u pixels, t10k pictures %ux%u", dir, train->width,
                       train->height, test->width, test->height);
    mn_status st = mn__samples_array(s, (int64_t)train->n + test->n, (int)any->width, (int)any->height, 1, err);
    int classes = 0;
    for (uint32_t i = 0; i < train->n; i++) classes = train->labels[i] >= classes ? train->labels[i] + 1 : classes;
    for (uint32_t i = 0; i < test->n; i++) classes = test->labels[i] >= classes ? test->labels[i] + 1 : classes;
    static const char *const clothes[10] = {"T-shirt/top", "trouser", "pullover", "dress", "coat",
                                            "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
    bool fashion = classes == 10 && strstr(dir, "fashion");
    if (!st) st = mn__samples_head(s, "label", classes, fashion ? clothes : NULL, err);
    if (!st) st = fill(s, train, 0, MN_SPLIT_TRAIN, err);
    if (!st) st = fill(s, test, train->n, MN_SPLIT_TEST, err);
    return st;
}

mn_dataset *mn_dataset_idx(const char *dir, const mn_open_opt *opt, mn_error *err) {
    (void)opt;
    pair train = {0}, test = {0};
    mn__samples *s = mn__samples_create("idx", dir, err);
    if (!s) return NULL;
    mn_status st = read_pair(dir, "train", &train, err);
    if (!st) st = read_pair(dir, "t10k", &test, err);
    if (!st) st = combine(s, dir, &train, &test, err);
    mn_free(train.pixels), mn_free(train.labels);
    mn_free(test.pixels), mn_free(test.labels);
    return st ? mn__samples_fail(s) : &s->set;
}
