/* mien prepare: photographs to crops, once, in parallel, with a list of what could not be found. */
#include "apps/app.h"
#include "apps/crop.h"
#include "apps/progress.h"
#include "apps/report.h"
#include "apps/source.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_PIPELINE = 256, OPT_DETECTOR, OPT_CASCADE, OPT_KEEP, OPT_PIXELS, OPT_THREADS, MOST_THREADS = 64 };
static const struct argp_option table[] = {
    {"out", 'o', "DIR", 0, "Where to write: the folders of IN again, with a PNG for each face, prepare.csv and pipeline.txt", 1},
    {"pipeline", OPT_PIPELINE, "LIST", 0, "margin=0.1,align,equalize,ellipse, those that are wanted (default margin=0)", 1},
    {"model", 'm', "MODEL.h5", 0, "The pipeline of this model instead", 1},
    {"size", 's', "N", 0, "Faces of N x N pixels (default: as large as they are in the photograph)", 1},
    {"keep", OPT_KEEP, 0, 0, "Where no face is found, write the picture whole (default: leave it out)", 1},
    {"pixels", OPT_PIXELS, 0, 0,
     "Equalise and mask as well, to look at: training and prediction do this themselves (needs --size)", 1},
    {"detector", OPT_DETECTOR, "YUNET.onnx", 0, "Find faces by YuNet (default: OpenCV's Haar cascade)", 2},
    {"cascade", OPT_CASCADE, "FILE.xml", 0, "Another Haar cascade", 2},
    {"threads", OPT_THREADS, "N", 0, "Pictures at a time (default: all processors)", 2},
    {0},
};

typedef struct options {
    char *in;
    const char *out, *pipeline, *model, *yunet, *cascade;
    int size, threads;
    bool keep, pixels;
} options;

static error_t parse(int key, char *arg, struct argp_state *s) {
    options *o = s->input;
    switch (key) {
    case 'o':
        o->out = arg;
        return 0;
    case 'm':
        o->model = app_model_path(arg);
        return 0;
    case 's':
        o->size = (int)app_parse_int(s, "--size", arg, 8, 4096);
        return 0;
    case OPT_PIPELINE:
        o->pipeline = arg;
        return 0;
    case OPT_KEEP:
        o->keep = true;
        return 0;
    case OPT_PIXELS:
        o->pixels = true;
        return 0;
    case OPT_DETECTOR:
        o->yunet = arg;
        return 0;
    case OPT_CASCADE:
        o->cascade = arg;
        return 0;
    case OPT_THREADS:
        o->threads = (int)app_parse_int(s, "--threads", arg, 1, MOST_THREADS);
        return 0;
    case ARGP_KEY_ARG:
        if (o->in) argp_error(s, "one folder at a time: \"%s\" is the second", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in) argp_error(s, "the folder of photographs is missing");
        if (!o->out) argp_error(s, "where to write is missing: --out DIR");
        if (o->model && o->pipeline) argp_error(s, "--model and --pipeline exclude each other");
        if (o->pixels && !o->size) argp_error(s, "--pixels goes with --size N");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] = "Finds the largest face in every picture of a folder (and the folders in it), cuts it out with a "
                          "margin, turns it so that the eyes "
                          "are level, and writes it under the same name elsewhere. `mien train --data folder:DIR` finds the "
                          "pipeline beside the pictures and "
                          "keeps it in the model, so that `mien predict` cuts faces out in the same way."
                          "\vprepare.csv has a row for every picture: what was found, what was cut out, and what went wrong.\n\n"
                          "Examples:\n"
                          "  mien prepare photos --out faces --pipeline margin=0.1,align\n"
                          "  mien prepare photos --out faces --model own.h5 --keep\n"
                          "  mien prepare photos --out look --pipeline align,equalize,ellipse --size 96 --pixels\n";
static const struct argp argp = {table, parse, "FOLDER", doc, NULL, NULL, NULL};

/* ---- one picture ---- */

typedef enum outcome { NOT_DONE = 0, WRITTEN, NO_FACE, UNREADABLE, FAILED } outcome;
static const char *const outcome_name[] = {"not done", "ok", "no face", "unreadable", "not written"};

typedef struct row {
    outcome what;
    crop_report report;
    char *output; /* relative to the folder; NULL: none */
    char *why;
} row;

typedef struct job {
    const options *o;
    mn_preprocess p;
    cropper *crop;
    source_list list;
    size_t skip; /* bytes of the input folder's own name, left out of outputs */
    row *row;
    atomic_int next, done;
    progress bar;
} job;

static volatile sig_atomic_t stopped;
static void on_signal(int number) { (void)number, stopped = 1; }

/* Makes the folders above `path`. */
static bool make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        bool failed = mkdir(path, 0777) && errno != EEXIST;
        *slash = '/';
        if (failed) return false;
    }
    return true;
}

/* "in/happy/1.jpg" -> "happy/1.jpg.png": the extension stays, so that 1.jpg and 1.png do not become one. */
static char *output_name(const job *j, const source_item *item) {
    const char *dot = strrchr(item->name, '.');
    return app_text("%s%s", item->name + j->skip, dot && !strcmp(dot, ".png") ? "" : ".png");
}

static mn_status write_face(const job *j, mn_image im[3], row *r, const source_item *item, mn_error *err) {
    mn_image *last = &im[1];
    mn_status s = MN_OK;
    mn_preprocess p = j->p;
    p.channels = im[1].channels, p.width = p.height = j->o->size;
    if (j->o->pixels)
        s = mn_preprocess_pixels(&p, &im[1], last = &im[2], &im[0], err);
    else if (j->o->size)
        s = mn_image_resize(last = &im[2], &im[1], j->o->size, j->o->size, err);
    if (s) return s;
    r->output = output_name(j, item);
    char *path = app_text("%s/%s", j->o->out, r->output);
    s = make_folders(path) ? mn_image_save_png(last, path, err)
                           : mn_fail(err, MN_ERR_IO, "%s: its folder cannot be made: %s", path, strerror(errno));
    free(path);
    return s;
}

static void one_picture(job *j, int i, mn_image im[3]) {
    row *r = &j->row[i];
    const source_item *item = &j->list.item[i];
    mn_error err = {0};
    r->what = UNREADABLE;
    mn_status s = mn_image_load(&im[0], item->path, &err);
    if (!s && !(s = cropper_cut(j->crop, &im[0], &im[1], &r->report, &err))) {
        r->what = r->report.faces || r->report.small ? WRITTEN : NO_FACE;
        if ((r->what == WRITTEN || j->o->keep) && (s = write_face(j, im, r, item, &err))) r->what = FAILED;
    }
    if (s) r->why = app_text("%s", err.text);
}

static void *work(void *arg) {
    job *j = arg;
    mn_image im[3] = {{0}};
    for (int i; !stopped && (i = atomic_fetch_add(&j->next, 1)) < j->list.n;) {
        one_picture(j, i, im);
        atomic_fetch_add(&j->done, 1);
    }
    for (int k = 0; k < 3; k++) mn_image_free(&im[k]);
    return NULL;
}

static void run(job *j) {
    pthread_t thread[MOST_THREADS];
    int n = j->o->threads ? j->o->threads : (int)sysconf(_SC_NPROCESSORS_ONLN), started = 0;
    if (n < 1 || n > MOST_THREADS) n = n < 1 ? 1 : MOST_THREADS;
    if (n > j->list.n) n = j->list.n;
    progress_begin(&j->bar, "looking for faces", j->list.n);
    while (started < n && !pthread_create(&thread[started], NULL, work, j)) started++;
    if (!started) work(j);
    while (atomic_load(&j->done) < j->list.n && !stopped && started) {
        progress_update(&j->bar, atomic_load(&j->done), atomic_load(&j->done), NAN);
        usleep(50000);
    }
    for (int k = 0; k < started; k++) pthread_join(thread[k], NULL);
    progress_end(&j->bar);
}

/* ---- what was found ---- */

static mn_status write_table(const job *j, mn_error *err) {
    char *text = NULL, *path = app_text("%s/prepare.csv", j->o->out);
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return free(path), mn_fail(err, MN_ERR_MEMORY, "out of memory for the table");
    fputs("input,output,what,faces,eyes,x,y,side,degrees,why\n", f);
    for (int i = 0; i < j->list.n; i++) {
        const row *r = &j->row[i];
        report_csv_field(f, j->list.item[i].path);
        fputc(',', f);
        report_csv_field(f, r->output ? r->output : "");
        fprintf(f, ",%s,%d,%s", r->report.small ? "small, left whole" : outcome_name[r->what], r->report.faces,
                !j->p.align || !r->report.faces ? ""
                : r->report.eyes                ? "found"
                                                : "not found");
        const face_box *c = &r->report.cut;
        r->report.faces ? fprintf(f, ",%.1f,%.1f,%.1f,%.2f,", c->x, c->y, c->w, c->angle) : fprintf(f, ",,,,,");
        report_csv_field(f, r->why ? r->why : "");
        fputc('\n', f);
    }
    mn_status s = fclose(f) ? mn_fail(err, MN_ERR_MEMORY, "out of memory for the table") : app_save(path, text, size, err);
    free(text);
    free(path);
    return s;
}

/* The pipeline for mien train; not beside pictures that training would equalise a second time. */
static mn_status write_pipeline(const job *j, mn_error *err) {
    char text[80], *path = app_text("%s/pipeline.txt", j->o->out);
    mn_pipeline_text(&j->p, text, sizeof text);
    strcat(text, "\n");
    mn_status s = MN_OK;
    if (j->o->pixels)
        unlink(path);
    else
        s = app_save(path, text, strlen(text), err);
    free(path);
    return s;
}

/* Returns how many pictures were written. */
static int summary(const job *j) {
    int count[5] = {0}, several = 0, blind = 0, small = 0, shown = 0, written = 0;
    for (int i = 0; i < j->list.n; i++) {
        const row *r = &j->row[i];
        count[r->what]++;
        written += r->output && r->what != FAILED;
        several += r->report.faces > 1, small += r->report.small;
        blind += j->p.align && r->report.faces && !r->report.eyes;
        if (r->what <= WRITTEN || shown++ >= 10) continue;
        bool named = r->why && strstr(r->why, j->list.item[i].path);
        fprintf(stderr, "mien: %s%s%s\n", named ? "" : j->list.item[i].path, named ? "" : ": ",
                r->why ? r->why : "no face was found");
    }
    if (shown > 10) fprintf(stderr, "mien: and %d more: see %s/prepare.csv\n", shown - 10, j->o->out);
    printf("wrote     %s: %d of %d pictures\n", j->o->out, written, j->list.n);
    if (count[NO_FACE]) printf("          %d without a face%s\n", count[NO_FACE], j->o->keep ? ", written whole" : ", left out");
    if (count[UNREADABLE] + count[FAILED])
        printf("          %d could not be read or written\n", count[UNREADABLE] + count[FAILED]);
    if (several) printf("          %d with several faces: the largest was taken\n", several);
    if (blind) printf("          %d whose eyes were not found: not turned\n", blind);
    if (small) printf("          %d smaller than %d pixels: taken for crops, left whole\n", small, CROP_SMALLEST);
    return written;
}

static mn_status open_job(job *j, mn_error *err) {
    const options *o = j->o;
    mn_model_info info = {0};
    mn_status s = mn_pipeline_parse(o->pipeline ? o->pipeline : "detect", &j->p, err);
    if (!s && o->model) {
        mn_context *c = mn_context_create(NULL, err);
        if (!c || !mn_model_load(c, o->model, &info, err)) s = err->status;
        if (!s) j->p = info.preprocess;
        mn_model_info_free(&info);
        mn_context_destroy(c);
    }
    if (s) return s;
    j->p.detect = true;
    char *end = o->in + strlen(o->in);
    while (end > o->in + 1 && end[-1] == '/') *--end = 0;
    if ((s = source_add(&j->list, o->in, err))) return s;
    for (int i = 0; i < j->list.n; i++)
        if (j->list.item[i].named || j->list.item[i].kind != SOURCE_PICTURE)
            return mn_fail(err, MN_ERR_ARG, "%s: wanted a folder of pictures", o->in);
    const char *base = strrchr(o->in, '/');
    base = base ? base + 1 : o->in;
    j->skip = strcmp(base, "..") && *base ? strlen(base) + 1 : 0; /* names begin with the folder's own: see source.c */
    if (mkdir(o->out, 0777) && errno != EEXIST)
        return mn_fail(err, MN_ERR_IO, "%s: this folder cannot be made: %s", o->out, strerror(errno));
    struct stat a, b;
    if (!stat(o->in, &a) && !stat(o->out, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return mn_fail(err, MN_ERR_ARG, "--out %s is the folder of the photographs itself", o->out);
    j->row = app_alloc((size_t)j->list.n, sizeof *j->row);
    return (j->crop = cropper_open(&j->p, o->cascade, o->yunet, err)) ? MN_OK : err->status;
}

int cmd_prepare(int argc, char **argv) {
    options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    job j = {.o = &o};
    mn_error err = {0};
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    int written = 0;
    mn_status s = open_job(&j, &err);
    if (!s) {
        sigaction(SIGINT, &a, NULL);
        run(&j);
        if (!(s = write_table(&j, &err))) s = write_pipeline(&j, &err);
        written = summary(&j);
    }
    for (int i = 0; j.row && i < j.list.n; i++) free(j.row[i].output), free(j.row[i].why);
    free(j.row);
    cropper_close(j.crop);
    source_list_free(&j.list);
    return s ? app_fail(&err) : written && !stopped ? APP_OK : APP_FAILED;
}
