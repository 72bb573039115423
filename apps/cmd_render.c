/* mien render: faces drawn from nothing, as a contact sheet, a single picture or a folder of a data set. */
#include "apps/app.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char doc[] =
    "Draws faces: what they show is decided by numbers, so they are nobody's.\v"
    "Examples:\n"
    "  mien render --sheet faces.png --rgb\n"
    "  mien render --sheet onset.png --rgb --sequence 8\n"
    "  mien render --out faces --count 700 --size 48\n"
    "  mien render --face one.png --expression happy --gender woman --set yaw=20,age=70\n"
    "\n"
    "--out makes DIR/<expression>/<id>.png and DIR/list.csv (path,emotion,gender), which `mien train --data "
    "folder:DIR` and `--data list:DIR/list.csv` read. --set FIELD=NUMBER[,...] changes a face; the "
    "fields are listed by `mien render --fields` and described in docs/rendered-faces.md.";

enum {
    OPT_SHEET = 300,
    OPT_FACE,
    OPT_COUNT,
    OPT_SIZE,
    OPT_RGB,
    OPT_SEED,
    OPT_ROWS,
    OPT_GAP,
    OPT_NATURAL,
    OPT_SEQUENCE,
    OPT_EXPRESSION,
    OPT_GENDER,
    OPT_IDENTITY,
    OPT_PICTURE,
    OPT_INTENSITY,
    OPT_YAW,
    OPT_PITCH,
    OPT_ROLL,
    OPT_AGE,
    OPT_SET,
    OPT_FIELDS
};

static const struct argp_option options[] = {
    {0, 0, 0, 0, "What to make (one of these):", 1},
    {"sheet", OPT_SHEET, "FILE.png", 0, "a contact sheet: a row a person, a column an expression", 1},
    {"out", 'o', "DIR", 0, "a folder for each expression, and list.csv", 1},
    {"face", OPT_FACE, "FILE.png", 0, "one face", 1},
    {"fields", OPT_FIELDS, 0, 0, "no picture: the fields that --set knows, with their ranges", 1},
    {0, 0, 0, 0, "How:", 2},
    {"size", OPT_SIZE, "N", 0, "side of a face in pixels, 8 to 1024 (out: 48, sheet: 96, face: 256)", 2},
    {"rgb", OPT_RGB, 0, 0, "in colour instead of grey", 2},
    {"seed", OPT_SEED, "N", 0, "another seed, other people", 2},
    {"sequence", OPT_SEQUENCE, "FRAMES", 0, "every expression as that many frames from onset to apex", 2},
    {"count", OPT_COUNT, "N", 0, "with --out: how many pictures or sequences (70)", 2},
    {"rows", OPT_ROWS, "N", 0, "with --sheet: people (6)", 2},
    {"gap", OPT_GAP, "N", 0, "with --sheet: pixels left white above each face (0)", 2},
    {"natural", OPT_NATURAL, 0, 0, "pose, light, noise and occlusion as in a data set, also in a sheet or a single face", 2},
    {0, 0, 0, 0, "The single face:", 3},
    {"expression", OPT_EXPRESSION, "NAME", 0, "angry, disgust, fear, happy, sad, surprise or neutral (happy)", 3},
    {"gender", OPT_GENDER, "NAME", 0, "gender presentation: man or woman (woman)", 3},
    {"identity", OPT_IDENTITY, "N", 0, "which person (0)", 3},
    {"picture", OPT_PICTURE, "N", 0, "which picture of that person (0)", 3},
    {"intensity", OPT_INTENSITY, "X", 0, "0 neutral to 1 apex (1)", 3},
    {"yaw", OPT_YAW, "DEGREES", 0, "turned to the right; --pitch: down, --roll: clockwise", 3},
    {"pitch", OPT_PITCH, "DEGREES", OPTION_HIDDEN, 0, 3},
    {"roll", OPT_ROLL, "DEGREES", OPTION_HIDDEN, 0, 3},
    {"age", OPT_AGE, "YEARS", 0, "20 to 80", 3},
    {"set", OPT_SET, "FIELD=X,...", 0, "any field of the face", 3},
    {0},
};

enum { MAX_SETS = 64 };

typedef struct arguments {
    const char *sheet, *out, *face;
    bool fields, natural;
    long long count, seed, identity, picture;
    int size, channels, rows, gap, frames, expression, gender, sets;
    struct {
        char field[32];
        double value;
    } set[MAX_SETS];
} arguments;

/* Notes a change of the single face; a wrong name or value is wrong use. */
static void add_set(const struct argp_state *s, arguments *a, const char *field, const char *text) {
    mn_face_field f = {0};
    int i = 0;
    while (mn_face_field_at(i, &f) && strcmp(f.name, field)) i++;
    if (!mn_face_field_at(i, &f)) argp_error(s, "a face has no field \"%s\"; `mien render --fields` lists them", field);
    if (a->sets == MAX_SETS) argp_error(s, "more than %d fields are set", MAX_SETS);
    a->set[a->sets].value = app_parse_real(s, field, text, f.lo, f.hi);
    snprintf(a->set[a->sets].field, sizeof a->set[0].field, "%s", f.name);
    a->sets++;
}

static void add_sets(const struct argp_state *s, arguments *a, char *list) {
    char *rest = NULL;
    for (char *item = strtok_r(list, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(item, '=');
        if (!equals) argp_error(s, "--set wants FIELD=NUMBER, not \"%s\"", item);
        *equals = 0;
        add_set(s, a, item, equals + 1);
    }
}

static error_t parse_end(const struct argp_state *s, const arguments *a) {
    int wanted = (a->sheet != NULL) + (a->out != NULL) + (a->face != NULL) + a->fields;
    if (wanted != 1) argp_error(s, "give one of --sheet FILE.png, --out DIR, --face FILE.png, --fields");
    if (!a->face && a->sets) argp_error(s, "--set, --intensity, --yaw, ... are for --face");
    if (a->face && a->frames) argp_error(s, "--sequence is for --sheet and --out");
    return 0;
}

static error_t parse(int key, char *text, struct argp_state *s) {
    arguments *a = s->input;
    switch (key) {
    case OPT_SHEET:
        a->sheet = text;
        break;
    case 'o':
        a->out = text;
        break;
    case OPT_FACE:
        a->face = text;
        break;
    case OPT_FIELDS:
        a->fields = true;
        break;
    case OPT_SIZE:
        a->size = (int)app_parse_int(s, "--size", text, MN_RENDER_MIN_SIZE, MN_RENDER_MAX_SIZE);
        break;
    case OPT_RGB:
        a->channels = 3;
        break;
    case OPT_SEED:
        a->seed = app_parse_int(s, "--seed", text, 0, INT64_MAX);
        break;
    case OPT_SEQUENCE:
        a->frames = (int)app_parse_int(s, "--sequence", text, 2, 1000);
        break;
    case OPT_COUNT:
        a->count = app_parse_int(s, "--count", text, 1, 20000000);
        break;
    case OPT_ROWS:
        a->rows = (int)app_parse_int(s, "--rows", text, 1, 1000);
        break;
    case OPT_GAP:
        a->gap = (int)app_parse_int(s, "--gap", text, 0, 1024);
        break;
    case OPT_NATURAL:
        a->natural = true;
        break;
    case OPT_EXPRESSION:
        a->expression = app_parse_word(s, "--expression", text, mn_expression_names, 7);
        break;
    case OPT_GENDER:
        a->gender = app_parse_word(s, "--gender", text, mn_gender_names, 2);
        break;
    case OPT_IDENTITY:
        a->identity = app_parse_int(s, "--identity", text, 0, INT64_MAX / 4);
        break;
    case OPT_PICTURE:
        a->picture = app_parse_int(s, "--picture", text, 0, INT64_MAX / 128);
        break;
    case OPT_INTENSITY:
        add_set(s, a, "intensity", text);
        break;
    case OPT_YAW:
        add_set(s, a, "yaw", text);
        break;
    case OPT_PITCH:
        add_set(s, a, "pitch", text);
        break;
    case OPT_ROLL:
        add_set(s, a, "roll", text);
        break;
    case OPT_AGE:
        add_set(s, a, "age", text);
        break;
    case OPT_SET:
        add_sets(s, a, text);
        break;
    case ARGP_KEY_ARG:
        argp_error(s, "\"%s\" is one word too many", text);
        break;
    case ARGP_KEY_END:
        return parse_end(s, a);
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {options, parse, NULL, doc, NULL, NULL, NULL};

static void print_fields(void) {
    mn_face_field f;
    for (int i = 0; mn_face_field_at(i, &f); i++)
        printf("%-16s %g to %g%s\n", f.name, f.lo, f.hi, f.whole ? " (whole numbers)" : "");
}

/* ---- a sheet, a face -------------------------------------------------------------------------------- */

static mn_status make_sheet(const arguments *a, mn_image *im, mn_error *err) {
    mn_sheet_opt o = {.rows = a->rows,
                      .size = a->size,
                      .channels = a->channels,
                      .frames = a->frames,
                      .gap = a->gap,
                      .seed = (uint64_t)a->seed,
                      .natural = a->natural};
    mn_status s = mn_face_sheet(&o, im, err);
    if (s == MN_OK) s = mn_image_save_png(im, a->sheet, err);
    if (s != MN_OK) return s;
    printf("%s: %dx%d pixels; columns:", a->sheet, im->width, im->height);
    for (int k = 0; k < 7 && !a->frames; k++) printf(" %s", mn_expression_names[k]);
    puts(a->frames ? " onset to apex; rows: angry disgust fear happy sad surprise, again and again" : "");
    return MN_OK;
}

static mn_status make_face(const arguments *a, mn_image *im, mn_error *err) {
    mn_face f;
    mn_face_random(&f, (uint64_t)a->seed, (uint64_t)a->identity, (uint64_t)a->picture, a->expression, a->gender);
    if (!a->natural) mn_face_pose_plain(&f), f.intensity = 1;
    mn_status s = MN_OK;
    for (int i = 0; i < a->sets && s == MN_OK; i++) s = mn_face_set(&f, a->set[i].field, a->set[i].value, err);
    if (s == MN_OK) s = mn_face_render(&f, a->size ? a->size : 256, a->channels, im, err);
    if (s == MN_OK) s = mn_image_save_png(im, a->face, err);
    if (s == MN_OK) printf("%s: %s %s\n", a->face, mn_expression_names[f.expression], mn_gender_names[f.gender]);
    return s;
}

/* ---- a folder --------------------------------------------------------------------------------------- */

static mn_status make_folder(const char *path, mn_error *err) {
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return MN_OK;
    return mn_fail(err, MN_ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
}

static mn_status make_folders(const char *out, mn_error *err) {
    mn_status s = make_folder(out, err);
    for (int k = 0; k < 7 && s == MN_OK; k++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%s", out, mn_expression_names[k]);
        s = make_folder(path, err);
    }
    return s;
}

static void show_progress(int64_t done, int64_t total) {
    if (isatty(STDERR_FILENO) && (done % 50 == 0 || done == total))
        fprintf(stderr, "\r%lld of %lld%s", (long long)done, (long long)total, done == total ? "\n" : "");
}

/* One sample to its file, one line to the list. */
static mn_status write_sample(const arguments *a, const mn_dataset *d, int64_t i, mn_image *im, FILE *list, mn_error *err) {
    mn_sample_info info;
    mn_status s = d->info(d, i, &info, err);
    if (s == MN_OK) s = d->pixels(d, i, im, err);
    if (s != MN_OK) return s;
    char name[64], path[4300];
    const char *emotion = mn_expression_names[info.label[0]], *gender = mn_gender_names[info.label[1]];
    if (a->frames)
        snprintf(name, sizeof name, "%08lld_%03lld", (long long)(i / a->frames), (long long)(i % a->frames));
    else
        snprintf(name, sizeof name, "%08lld", (long long)i);
    snprintf(path, sizeof path, "%s/%s/%s.png", a->out, emotion, name);
    s = mn_image_save_png(im, path, err);
    if (s == MN_OK && fprintf(list, "%s/%s.png,%s,%s\n", emotion, name, emotion, gender) < 0)
        s = mn_fail(err, MN_ERR_IO, "cannot write %s/list.csv: %s", a->out, strerror(errno));
    return s;
}

/* The list appears under its name only when it is whole. */
static mn_status write_all(const arguments *a, const mn_dataset *d, mn_image *im, mn_error *err) {
    char path[4200], part[4210];
    snprintf(path, sizeof path, "%s/list.csv", a->out);
    snprintf(part, sizeof part, "%s.part", path);
    FILE *list = fopen(part, "w");
    if (!list) return mn_fail(err, MN_ERR_IO, "cannot write %s: %s", part, strerror(errno));
    mn_status s = MN_OK;
    fputs("path,emotion,gender\n", list);
    for (int64_t i = 0; i < d->length && s == MN_OK; i++) {
        s = write_sample(a, d, i, im, list, err);
        show_progress(i + 1, d->length);
    }
    bool whole = fflush(list) == 0 && fsync(fileno(list)) == 0;
    if (fclose(list) || !whole || (s == MN_OK && rename(part, path)))
        s = mn_fail(err, MN_ERR_IO, "cannot write %s: %s", path, strerror(errno));
    if (s != MN_OK) remove(part);
    return s;
}

static mn_status make_tree(const arguments *a, mn_image *im, mn_error *err) {
    if (strlen(a->out) > 4000) return mn_fail(err, MN_ERR_ARG, "the folder's name is longer than 4000 bytes");
    mn_rendered_opt o = {
        .count = a->count, .size = a->size, .channels = a->channels, .seed = (uint64_t)a->seed, .frames = a->frames};
    mn_dataset *d = mn_dataset_rendered(&o, err);
    if (!d) return err->status;
    mn_status s = make_folders(a->out, err);
    if (s == MN_OK) s = write_all(a, d, im, err);
    if (s == MN_OK) printf("%s: %lld pictures, %s/list.csv\n", a->out, (long long)d->length, a->out);
    mn_dataset_destroy(d);
    return s;
}

int cmd_render(int argc, char **argv) {
    arguments a = {.count = 70, .channels = 1, .seed = -1, .expression = 3, .gender = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.fields) return print_fields(), APP_OK;
    if (a.seed < 0) a.seed = a.sheet ? 4 : 0; /* six people who differ well */
    mn_image im = {0};
    mn_error err = {0};
    mn_status s = a.sheet ? make_sheet(&a, &im, &err) : a.face ? make_face(&a, &im, &err) : make_tree(&a, &im, &err);
    mn_image_free(&im);
    return s == MN_OK ? APP_OK : app_fail(&err);
}
