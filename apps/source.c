/* Inputs: names into lists of pictures, streams of frames. */
#include "apps/source.h"
#include "apps/app.h"
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static void add(source_list *l, source_kind kind, const char *path, const char *input, const char *name, bool named) {
    if (l->n == l->capacity) {
        int capacity = l->capacity ? 2 * l->capacity : 16;
        source_item *more = app_alloc((size_t)capacity, sizeof *more);
        if (l->n) memcpy(more, l->item, (size_t)l->n * sizeof *more);
        free(l->item);
        l->item = more, l->capacity = capacity;
    }
    l->item[l->n++] = (source_item){kind, app_text("%s", path), app_text("%s", input), app_text("%s", name), named};
}

void source_list_free(source_list *l) {
    for (int i = 0; i < l->n; i++) free(l->item[i].path), free(l->item[i].input), free(l->item[i].name);
    free(l->item);
    *l = (source_list){0};
}

static bool has_picture_name(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

/* By its first bytes; a picture's name counts as well, so that a broken picture is reported as one. */
static bool is_picture(const char *path) {
    unsigned char b[3] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, b, 3) : 0;
    if (fd >= 0) close(fd);
    bool png = n == 3 && b[0] == 0x89 && b[1] == 'P' && b[2] == 'N',
         jpeg = n == 3 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff;
    return png || jpeg || has_picture_name(path);
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

static bool is_taken(const source_list *l, const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < l->n; i++)
        if (!strncmp(l->item[i].name, name, n) && (!l->item[i].name[n] || l->item[i].name[n] == '/')) return true;
    return false;
}

/* The name of a file or folder that was given, or "2-name" when another of that name was: annotated copies stand side by
 * side. Free it. */
static char *own_name(const source_list *l, const char *input) {
    const char *last = last_part(input);
    char *name = app_text("%s", last);
    for (int k = 2; *last && is_taken(l, name); k++) {
        free(name);
        name = app_text("%d-%s", k, last);
    }
    return name;
}

static mn_status add_folder(source_list *l, const char *input, mn_error *err) {
    char *root = app_text("%s", input);
    size_t length = strlen(root);
    while (length > 1 && root[length - 1] == '/') root[--length] = 0;
    char *roots[2] = {root, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    int before = l->n;
    char *folder = strcmp(last_part(root), "..") ? own_name(l, root) : app_text("%s", "");
    for (FTSENT *e; tree && (e = fts_read(tree));) {
        if (e->fts_info != FTS_F || !has_picture_name(e->fts_name)) continue;
        const char *rest = e->fts_path + length;
        while (*rest == '/') rest++;
        char *name = *folder ? app_text("%s/%s", folder, rest) : app_text("%s", rest);
        add(l, SOURCE_PICTURE, e->fts_path, e->fts_path, name, false);
        free(name);
    }
    if (tree) fts_close(tree);
    free(root);
    free(folder);
    if (l->n > before) return MN_OK;
    return mn_fail(err, MN_ERR_IO, "%s: no PNG or JPEG picture is in this folder", input);
}

mn_status source_add(source_list *l, const char *input, mn_error *err) {
    struct stat st;
    if (!strncmp(input, "camera:", 7)) {
        if (!input[7]) return mn_fail(err, MN_ERR_ARG, "%s is no camera; wanted camera:0 or camera:/dev/video0", input);
        return add(l, SOURCE_CAMERA, input + 7, input, "camera", true), MN_OK;
    }
    if (!strncmp(input, "test:", 5)) {
        if (strspn(input + 5, "0123456789") != strlen(input + 5) || strlen(input + 5) > 8)
            return mn_fail(err, MN_ERR_ARG, "%s: wanted test: or a number of frames as in test:50", input);
        return add(l, SOURCE_TEST, input + 5, input, "test", true), MN_OK;
    }
    if (stat(input, &st)) return mn_fail(err, MN_ERR_IO, "%s: cannot be opened: %s", input, strerror(errno));
    if (S_ISDIR(st.st_mode)) return add_folder(l, input, err);
    bool camera = S_ISCHR(st.st_mode) && !strncmp(input, "/dev/video", 10);
    if (!camera && !S_ISREG(st.st_mode)) return mn_fail(err, MN_ERR_IO, "%s: is neither a file nor a folder", input);
    source_kind kind = camera ? SOURCE_CAMERA : is_picture(input) ? SOURCE_PICTURE : SOURCE_VIDEO;
    char *name = own_name(l, input);
    add(l, kind, input, input, name, true);
    free(name);
    return MN_OK;
}

/* ---- streams ---- */

enum { TEST_WIDTH = 320, TEST_HEIGHT = 240, TEST_FACE = 200, TEST_PERIOD = 25 };

mn_status source_open(source_stream *s, const source_item *item, mn_error *err) {
    *s = (source_stream){.kind = item->kind};
    if (item->kind == SOURCE_TEST) {
        long long frames = *item->path ? atoll(item->path) : 7 * TEST_PERIOD;
        s->info = (vision_video_info){TEST_WIDTH, TEST_HEIGHT, 25, frames};
        return MN_OK;
    }
    s->video = item->kind == SOURCE_CAMERA ? vision_camera_open(item->path, &s->info, err)
                                           : vision_video_open(item->path, &s->info, err);
    return s->video ? MN_OK : err->status;
}

/* One person a second, an expression rising to its apex and falling again, drifting through the picture. */
static mn_status test_frame(source_stream *s, mn_image *im, mn_error *err) {
    int64_t k = s->next;
    double phase = (double)(k % TEST_PERIOD) / TEST_PERIOD;
    mn_face f;
    mn_face_random(&f, 7, (uint64_t)(k / TEST_PERIOD), 0, (int)(k / TEST_PERIOD % 7), (int)(k / TEST_PERIOD % 2));
    mn_face_pose_plain(&f);
    f.intensity = sin(3.14159265 * phase);
    mn_status status = mn_face_render(&f, TEST_FACE, 3, &s->face, err);
    if (status == MN_OK) status = mn_image_reserve(im, TEST_WIDTH, TEST_HEIGHT, 3, err);
    if (status) return status;
    memset(im->pixels, 96, (size_t)TEST_WIDTH * TEST_HEIGHT * 3);
    int x = (int)((TEST_WIDTH - TEST_FACE) * (0.5 + 0.4 * sin(0.05 * (double)k))), y = (TEST_HEIGHT - TEST_FACE) / 2;
    for (int row = 0; row < TEST_FACE; row++)
        memcpy(im->pixels + ((size_t)(y + row) * TEST_WIDTH + (size_t)x) * 3, s->face.pixels + (size_t)row * TEST_FACE * 3,
               (size_t)TEST_FACE * 3);
    return MN_OK;
}

mn_status source_read(source_stream *s, bool skip, mn_image *im, bool *end, mn_error *err) {
    if (s->kind != SOURCE_TEST) return vision_video_read(s->video, skip, im, end, err);
    *end = s->next >= s->info.frames;
    mn_status status = *end || skip ? MN_OK : test_frame(s, im, err);
    s->next++;
    return status;
}

void source_close(source_stream *s) {
    if (s->video) vision_video_close(s->video);
    mn_image_free(&s->face);
    *s = (source_stream){0};
}
