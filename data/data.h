/* mien data: images, preprocessing, data sets, splits, loaders, augmentation, rendered faces.
 *
 * A data set is a length and a get; a loader is an order and batches. Pixels are 8-bit until the last
 * moment; one function (mn_preprocess_apply) turns them into a network's floats in training, evaluation
 * and prediction alike. Everything read from outside is checked before it is used. */
#ifndef MIEN_DATA_H
#define MIEN_DATA_H

#include "tensor/tensor.h"
#include "layers/layers.h"
#include "optim/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- images ------------------------------------------------------------------------------------- */

/* 8-bit pixels, row by row, channels interleaved: pixels[(y*width + x)*channels + c]; RGB order.
 * Zero-initialise; the buffer is reused from call to call; free with mn_image_free. */
typedef struct mn_image {
    int width, height, channels; /* channels: 1 grey, 3 RGB */
    uint8_t *pixels;
    size_t capacity; /* bytes allocated */
} mn_image;

/* Gives the image this size (contents undefined), growing the buffer when needed. Sides 1..32768. */
mn_status mn_image_reserve(mn_image *im, int width, int height, int channels, mn_error *err);
void mn_image_free(mn_image *im);
/* Reads PNG or JPEG, told apart by content. Alpha is dropped, palettes and 16 bit become 8-bit grey or RGB, a
 * JPEG is turned upright as its EXIF data say. Sides up to 32768, up to 100 megapixels; cut or damaged files
 * and CMYK are refused. On failure the image's contents are undefined, and it can be used again. */
mn_status mn_image_load(mn_image *im, const char *path, mn_error *err);
mn_status mn_image_decode(mn_image *im, const void *bytes, size_t size, mn_error *err);
/* Atomic (temporary file, then rename). */
mn_status mn_image_save_png(const mn_image *im, const char *path, mn_error *err);
/* dst = the rectangle (x,y,w,h) of src; parts outside repeat the border. dst is another image than src, here
 * and below. */
mn_status mn_image_crop(mn_image *dst, const mn_image *src, int x, int y, int w, int h, mn_error *err);
/* The same, turned clockwise by `degrees` about its centre, which is (x + w/2, y + h/2) and need not be whole; bilinear. */
mn_status mn_image_cut(mn_image *dst, const mn_image *src, double x, double y, double w, double h, double degrees, mn_error *err);
/* Area average when shrinking, bilinear when enlarging (pixel centres at +0.5). */
mn_status mn_image_resize(mn_image *dst, const mn_image *src, int width, int height, mn_error *err);

typedef enum mn_grey { MN_GREY_BT601 = 0, MN_GREY_MEAN } mn_grey; /* .299R+.587G+.114B, or (R+G+B)/3 */
mn_status mn_image_convert(mn_image *dst, const mn_image *src, int channels, mn_grey grey, mn_error *err);

/* ---- preprocessing: a property of the model, stored in its file ---------------------------------- */

/* photograph -> [detect: the face, cut out with margin, turned to level eyes] -> channels (grey formula) -> resize
 *   -> [equalize] -> [ellipse] -> [augment, in training] -> numbers:
 *   v = lo + pixel/255 * (hi - lo), then (v - mean[c]) / deviation[c],
 *   or, with standardize: (pixel - mean of the image) / (deviation of the image + standardize_eps).
 * The first arrow needs a detector: apps/crop.h does it; all others are done here. */
typedef struct mn_preprocess {
    int channels, height, width;
    mn_grey grey;
    double lo, hi;                /* both 0 means 0..1 */
    double mean[3], deviation[3]; /* deviation 0 means 1 */
    bool standardize;
    double standardize_eps; /* in grey levels; RECIPE: 8 */
    bool detect;            /* pictures are photographs: the largest face is looked for and cut out */
    double margin;          /* the cut's side is larger by this share: -0.3..1 */
    bool align;             /* the cut is turned so that the eyes are level */
    bool equalize;          /* grey levels spread by their histogram; of RGB the luma's */
    bool ellipse;           /* outside the inscribed ellipse: the mean of what is inside */
    int steps;              /* T: a clip, a strip of 1 to T frames below each other, each height/T high; where frames are missing
                             * at the end the numbers are 0, and nothing else depends on how many are missing. 0: a picture */
} mn_preprocess;

/* The steps from detect to ellipse as text: "detect,margin=0.1,align,equalize,ellipse"; "none". Parsing sets these
 * five members and leaves the others; margin or align imply detect. */
mn_status mn_pipeline_parse(const char *text, mn_preprocess *p, mn_error *err);
/* Writes that text, at most `size` bytes with the 0 (80 suffice); returns out. */
const char *mn_pipeline_text(const mn_preprocess *p, char *out, size_t size);
/* Histogram equalisation in place (Gonzalez and Woods, Digital Image Processing, 3.3): level v becomes 255 times the
 * share of pixels at or below v, stretched so that the lowest level that occurs becomes 0. Of RGB, the luma is
 * equalised and all three channels move by as much. With `ellipse` only pixels inside count. One level only: as it was. */
mn_status mn_image_equalize(mn_image *im, bool ellipse, mn_error *err);
/* Pixels whose centre lies outside the ellipse get the mean of those inside, channel by channel. Centre of the picture,
 * half axes 0.46 of the width and 0.56 of the height: corners go, hair and chin of a crop stay. In place. */
mn_status mn_image_ellipse(mn_image *im, mn_error *err);

/* The 8-bit half: grey, size, equalisation, ellipse. `scratch` is a reusable buffer. */
mn_status mn_preprocess_pixels(const mn_preprocess *p, const mn_image *in, mn_image *out, mn_image *scratch, mn_error *err);
/* The float half: out is (channels,height,width), planar. `in` must have the model's size. */
mn_status mn_preprocess_floats(const mn_preprocess *p, const mn_image *in, float *out, mn_error *err);
/* Both halves: what prediction calls. */
mn_status mn_preprocess_apply(const mn_preprocess *p, const mn_image *in, float *out, mn_error *err);

/* ---- data sets ---------------------------------------------------------------------------------- */

#define MN_MAX_HEADS 4
#define MN_MAX_CLASSES 1000
#define MN_MAX_TRAITS 4

/* One thing to predict. A sample that lacks it has label -1. */
typedef struct mn_head {
    char name[32]; /* "emotion", "gender", "label" */
    int n_classes;
    char **class_name; /* n_classes strings, owned by the data set */
} mn_head;

typedef enum mn_split { MN_SPLIT_TRAIN = 0, MN_SPLIT_VALID, MN_SPLIT_TEST, MN_SPLIT_NONE } mn_split;

typedef struct mn_sample_info {
    int32_t label[MN_MAX_HEADS];      /* class, or -1 */
    const float *soft[MN_MAX_HEADS];  /* class probabilities, or NULL */
    uint64_t group;                   /* equal for samples that must stay on one side of a split */
    bool subject;                     /* group is whose picture it is, not only a hash that copies share */
    mn_split split;                   /* what the files say; MN_SPLIT_NONE if they say nothing */
    const char *trait[MN_MAX_TRAITS]; /* "20-29", "Asian"; NULL: not known */
    const char *id;                   /* file name or row, for messages and tables; never NULL */
} mn_sample_info;

typedef struct mn_dataset mn_dataset;
struct mn_dataset {
    int64_t length;
    int n_heads;
    mn_head head[MN_MAX_HEADS];
    int n_traits;
    char trait_name[MN_MAX_TRAITS]
                   [32]; /* "age", "race": what is known of the pictures beside what is to be learnt, for scores by group */
    char name[128];      /* the SPEC or what it stands for */
    int steps;           /* clips of 1 to so many frames (mn_preprocess); 0: pictures, or clips of one length */
    bool ready;          /* pixels have passed mn_preprocess_pixels (mn_dataset_cache): a loader does not apply it again */
    /* Fills *info; strings and soft labels live as long as the data set. Thread-safe. */
    mn_status (*info)(const mn_dataset *d, int64_t i, mn_sample_info *info, mn_error *err);
    /* Decodes the pixels into *im (its buffer is reused). Thread-safe for different *im. */
    mn_status (*pixels)(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err);
    void (*destroy)(mn_dataset *d);
    void *impl;
};
void mn_dataset_destroy(mn_dataset *d);

/* Called from the opening thread now and then; total < 0 when it is not known. May be NULL. */
typedef void (*mn_progress)(void *user, const char *what, int64_t done, int64_t total);

typedef struct mn_open_opt {
    int threads; /* for parsing and hashing; 0: all */
    mn_progress progress;
    void *user;
} mn_open_opt;

/* What the kinds have in common: `info` of a sample gives a `group` that equal pictures share (a hash of the
 * pixels or of the file), the `split` that the files state, and an `id` to find the sample by. Nothing is
 * decoded on opening a folder of pictures, but every file is read once for its hash. What is left out
 * (files of other kinds, names that give no label) is counted and said through opt->progress with total -1.
 *
 * Opens  fer2013:FILE.csv  folder:DIR  utkface:DIR  ckplus:DIR  list:FILE.csv  idx:DIR
 * rendered:COUNT[,size=..,seed=..]
 * (docs/data.md describes each). NULL on failure, the sentence in *err. `opt` may be NULL. */
mn_dataset *mn_dataset_open(const char *spec, const mn_open_opt *opt, mn_error *err);
/* "FILE.csv", or "FILE.csv,votes=FER+.csv[,mix=0.5]": training rows get soft labels, (1-mix) label + mix what is usual
 * for such votes (Barsoum et al. 2016; votes.c). */
mn_dataset *mn_dataset_fer2013(const char *spec, const mn_open_opt *opt, mn_error *err);
mn_dataset *mn_dataset_folder(const char *dir, const mn_open_opt *opt, mn_error *err);
/* "DIR": in FER2013's geometry, a window 14 % wider; "DIR,crop=asis": as the files are. */
mn_dataset *mn_dataset_utkface(const char *spec, const mn_open_opt *opt, mn_error *err);
mn_dataset *mn_dataset_ckplus(const char *dir, const mn_open_opt *opt, mn_error *err); /* group: the person */
mn_dataset *mn_dataset_list(const char *csv, const mn_open_opt *opt, mn_error *err);
mn_dataset *mn_dataset_idx(const char *dir, const mn_open_opt *opt, mn_error *err);

mn_dataset *mn_dataset_affectnet(const char *dir, const mn_open_opt *opt, mn_error *err);
mn_dataset *mn_dataset_adience(const char *dir, const mn_open_opt *opt,
                               mn_error *err);                                        /* group: the person; DIR,fold=2: a test */
mn_dataset *mn_dataset_jaffe(const char *dir, const mn_open_opt *opt, mn_error *err); /* group: the person, like the following */
mn_dataset *mn_dataset_kdef(const char *dir, const mn_open_opt *opt, mn_error *err); /* DIR,angles=all: not only from the front */
mn_dataset *mn_dataset_imdbwiki(const char *csv, const mn_open_opt *opt, mn_error *err);

/* The set with its expressions seen through another list: "angry,happy,sad+disgust" (joined), or by name 6, 6n, 7, 7c, 8
 * (docs/data.md). Expressions are found by any of their usual names (anger, happiness, ...). Samples whose class is not in the
 * list lose their label for this head. A set without a head "emotion" (or one other head that is not "gender", which becomes it)
 * is returned as it is. Takes ownership of d, also when it fails. */
mn_dataset *mn_dataset_classes(mn_dataset *d, const char *list, mn_error *err);

/* Several data sets as one; heads are matched by name. The first part that has a head gives its class list;
 * the classes of later parts must be among them, in any order (in the same one if there are soft labels).
 * Takes ownership of the parts, also when it fails. */
mn_dataset *mn_dataset_concat(mn_dataset **part, int n, mn_error *err);
/* The samples index[0..n-1] of d, which must outlive the subset; index is copied. */
mn_dataset *mn_dataset_subset(const mn_dataset *d, const int64_t *index, int64_t n, mn_error *err);
/* The samples of d that its files put into `split` (MN_SPLIT_TEST, say): a subset. */
mn_dataset *mn_dataset_part(const mn_dataset *d, mn_split split, mn_error *err);
/* All of d decoded once, in parallel, through mn_preprocess_pixels, and kept in memory (8-bit).
 * d must outlive it (labels and names are d's). Fails on the first unreadable picture, naming it. */
mn_dataset *mn_dataset_cache(const mn_dataset *d, const mn_preprocess *p, const mn_open_opt *opt, mn_error *err);

/* ---- splits ------------------------------------------------------------------------------------- */

/* Index lists; free with mn_free. */
typedef struct mn_split_lists {
    int64_t *index[3]; /* by mn_split: train, valid, test */
    int64_t count[3];
} mn_split_lists;

/* Honours what the files say; where they say no valid part, carves `valid_fraction` of train out by
 * whole groups, keeping class shares (stratified by the first head that has a label), decided by `seed`.
 * Where they say nothing at all, carves `test_fraction` first, then `valid_fraction` of what is left; samples
 * that say nothing but copy one that does go where it goes. All this head by head, so that in a concatenation
 * each head gets its parts. Fractions 0 to below 1. The same arguments give the same lists, in rising order;
 * which group goes where does not depend on the order of files. */
mn_status mn_dataset_split(const mn_dataset *d, double valid_fraction, double test_fraction, uint64_t seed, mn_split_lists *out,
                           mn_error *err);
void mn_split_lists_free(mn_split_lists *s);

/* ---- pictures that look alike: copies that a split must not put on both sides ------------------------- */

#define MN_LOOK_SIDE 24
/* What a picture looks like, in grey and small. */
typedef struct mn_look {
    uint64_t exact;        /* equal for equal pixels (as grey) and size */
    uint64_t hash, mirror; /* difference hash of the picture and of its mirror image: few bits differ between copies */
    float deviation;       /* of the grey levels; below 1 the picture is blank */
    float small[MN_LOOK_SIDE * MN_LOOK_SIDE]; /* thumbnail: mean 0, length 1 */
} mn_look;
/* Fills look[0 .. d->length-1], in parallel. */
mn_status mn_dataset_looks(const mn_dataset *d, mn_look *look, const mn_open_opt *opt, mn_error *err);
/* -1..1, of the thumbnails; `mirrored`: b is mirrored first. */
double mn_look_correlation(const mn_look *a, const mn_look *b, bool mirrored);
/* Called once for every pair a, b (places in `look`) that is alike; `mirrored`: more so as mirror images. */
typedef void (*mn_alike)(void *user, int64_t a, int64_t b, bool mirrored, double likeness);
/* The pairs among look[row[0..n-1]] whose hashes differ in at most `distance` bits (0..15) and whose thumbnails
 * correlate with at least `likeness`. Time grows little faster than n while few hashes are equal: leave out
 * blank pictures and all but one of identical ones. */
mn_status mn_looks_alike(const mn_look *look, const int64_t *row, int64_t n, int distance, double likeness, mn_alike found,
                         void *user, mn_error *err);

/* ---- augmentation (training data only) ------------------------------------------------------------ */

/* All ranges are symmetric; zero turns a part off. One bilinear warp does the geometry. */
typedef struct mn_augment {
    double flip;               /* probability of a horizontal mirror image */
    double rotate;             /* degrees */
    double shift;              /* share of the side */
    double zoom;               /* scale e^(+-zoom) */
    double aspect;             /* width/height times e^(+-aspect) */
    double crop_lo, crop_hi;   /* random resized crop: share of the area; 0,0 off */
    double brightness;         /* added, share of 255 */
    double contrast;           /* factor 1 +- contrast about the mean */
    double gamma;              /* exponent e^(+-gamma) */
    double noise;              /* deviation of Gaussian noise, share of 255 */
    double erase;              /* probability of one rectangle filled with a grey near the mean */
    double erase_lo, erase_hi; /* its sides, share of the side; both 0: 1/6, 1/3 */
} mn_augment;
/* "flip,rotate=10,shift=0.1,zoom=0.1,erase=0.25"; "none"; "default". See docs/data.md. */
mn_status mn_augment_parse(const char *text, mn_augment *out, mn_error *err);
/* dst from src, same size; every random choice comes from *r. */
mn_status mn_augment_apply(const mn_augment *a, const mn_image *src, mn_image *dst, mn_rng *r, mn_error *err);

/* ---- loader ------------------------------------------------------------------------------------- */

typedef struct mn_loader mn_loader;
typedef struct mn_loader_opt {
    int batch;      /* default 32 */
    bool shuffle;   /* a new order each epoch, a function of (seed, epoch) */
    bool drop_last; /* leave out a last, smaller batch */
    double balance; /* 0: every sample once an epoch. Above 0 to 1: samples of rare classes more often, those of common ones
                     * less: a class of n is drawn in proportion to n^(1-balance), see data/sampling.c. Needs shuffle */
    unsigned balance_heads; /* bit h: head h counts for that; 0: all do */
    uint64_t seed;
    int workers;               /* threads that prepare batches; 0: prepare in the caller */
    int prefetch;              /* batches prepared ahead; default 2 per worker */
    const mn_augment *augment; /* NULL: none; copied */
} mn_loader_opt;

typedef struct mn_batch {
    int64_t n;                          /* samples in it, <= opt.batch */
    const float *x;                     /* (n, C, H, W) */
    const int32_t *label[MN_MAX_HEADS]; /* n each; -1: none */
    const float *soft[MN_MAX_HEADS];    /* (n, classes) or NULL when no sample of the set has any; a sample
                                         * without: 1 for its label, or all 0 */
    const int64_t *index;               /* of the samples in the data set */
} mn_batch;

/* d must outlive the loader. The contents of a batch depend on (seed, epoch, position) alone, never on
 * the number of workers. */
mn_loader *mn_loader_create(const mn_dataset *d, const mn_preprocess *p, mn_loader_opt opt, mn_error *err);
void mn_loader_destroy(mn_loader *l);
int64_t mn_loader_batches(const mn_loader *l); /* per epoch */
/* Starts an epoch at batch `first` (0; higher when resuming inside one). */
mn_status mn_loader_begin(mn_loader *l, int64_t epoch, int64_t first);
/* 1: *b is the next batch, valid until the next call; 0: the epoch is over; -1: failed, reason in *err. */
int mn_loader_next(mn_loader *l, mn_batch *b, mn_error *err);

/* ---- rendered faces ------------------------------------------------------------------------------- */

/* Drawn faces: a picture is a function of the fields of mn_face, so that everything runs without a
 * download and a class works without other people's faces (docs/rendered-faces.md). */

/* The seven apparent expressions, in FER2013's order, and the two genders, in UTKFace's order. */
extern const char *const mn_expression_names[7]; /* angry disgust fear happy sad surprise neutral */
extern const char *const mn_gender_names[2];     /* man woman */

#define MN_RENDER_MIN_SIZE 8
#define MN_RENDER_MAX_SIZE 1024

enum {
    MN_HAIR_SHAVED = 0,
    MN_HAIR_CROP,
    MN_HAIR_PARTED,
    MN_HAIR_CURLY,
    MN_HAIR_LONG,
    MN_HAIR_BOB,
    MN_HAIR_TIED,
    MN_HAIR_WAVY,
    MN_HAIR_COVERED,
    MN_HAIR_STYLES
}; /* covered: a headscarf */
enum { MN_BEARD_NONE = 0, MN_BEARD_STUBBLE, MN_BEARD_MOUSTACHE, MN_BEARD_GOATEE, MN_BEARD_FULL, MN_BEARDS };
enum { MN_GLASSES_NONE = 0, MN_GLASSES_ROUND, MN_GLASSES_SQUARE, MN_GLASSES_KINDS };
enum { MN_OCCLUSION_NONE = 0, MN_OCCLUSION_HAND, MN_OCCLUSION_SCARF, MN_OCCLUSION_BAR, MN_OCCLUSION_SUNGLASSES, MN_OCCLUSIONS };

/* Everything that is drawn. Fill by mn_face_random, then change what you like. Values 0..1 unless said. */
typedef struct mn_face {
    int expression;   /* index into mn_expression_names */
    double intensity; /* 0 neutral .. 1 apex */
    double variation; /* 0: the textbook expression; 1: as people differ (decided by `texture`) */
    int gender;       /* gender presentation; 1 draws lashes, the rest follows from the fields below */
    /* identity */
    double skin;                                                       /* dark .. light */
    double head_width, head_height, jaw;                               /* narrow, short, pointed .. wide, long, square */
    double hair_tone, hair_length;                                     /* black, brown, red, blond .. white; short .. long */
    double brow_thickness, eye_size, eye_distance, eye_tilt, eye_tone; /* tilt: outer corners down .. up */
    double nose_length, nose_width, mouth_width, lip_fullness;
    double age; /* 20 .. 80 years */
    double makeup;
    double resting_brow, resting_mouth; /* 0.5: straight; the face at rest looks 0 stern .. 1 friendly */
    int hair_style, glasses, beard;     /* MN_HAIR_, MN_GLASSES_, MN_BEARD_ */
    int earrings;                       /* 0 or 1 */
    /* picture */
    double yaw, pitch, roll;             /* degrees: to the right, down, clockwise; up to +-35, +-25, +-45 */
    double gaze_x, gaze_y;               /* -1..1: right, down */
    double scale, shift_x, shift_y;      /* 1, 0, 0: eyes at 36 % of the height and 36 % of the width apart */
    double light_angle, light, contrast; /* degrees from above, clockwise; 0.5 is the middle of the others */
    double background, noise, blur;
    int occlusion;    /* MN_OCCLUSION_ */
    uint64_t person;  /* seed of what a person keeps: locks of hair, frame of the glasses */
    uint64_t texture; /* seed of what a picture has: background, noise, clothes, how the face moves */
} mn_face;

/* Facial action units (Ekman and Friesen 1978) that the drawing knows; their numbers are the standard's. */
typedef enum mn_au {
    MN_AU1 = 0,
    MN_AU2,
    MN_AU4,
    MN_AU5,
    MN_AU6,
    MN_AU7,
    MN_AU9,
    MN_AU10,
    MN_AU12,
    MN_AU15,
    MN_AU16,
    MN_AU17,
    MN_AU20,
    MN_AU23,
    MN_AU24,
    MN_AU25,
    MN_AU26,
    MN_AU27,
    MN_AU_COUNT
} mn_au;
extern const char *const mn_au_names[MN_AU_COUNT]; /* "AU1 inner brow raiser", ... */
/* How strongly each acts in this face: 0 .. 1. */
void mn_face_action_units(const mn_face *f, double au[MN_AU_COUNT]);

/* A face that is a function of (seed, identity, picture): the same `identity` (asked for with the same
 * gender) is the same person. expression 0..6, gender 0..1; intensity is drawn from 0.7 .. 1. */
void mn_face_random(mn_face *f, uint64_t seed, uint64_t identity, uint64_t picture, int expression, int gender);
/* The same person photographed well: facing the camera in even light, nothing in the way, no noise. */
void mn_face_pose_plain(mn_face *f);
/* Sets the field of that name ("yaw", "beard", ...), refusing what mn_face_render would. */
mn_status mn_face_set(mn_face *f, const char *field, double value, mn_error *err);
/* The name, range and kind of field i; false past the last one. */
typedef struct mn_face_field {
    const char *name;
    double lo, hi;
    bool whole; /* a choice: 0, 1, 2, ... hi */
} mn_face_field;
bool mn_face_field_at(int i, mn_face_field *out);
/* Draws it: size x size (8..1024), 1 or 3 channels; a grey picture is the luma of the RGB one. The same bytes
 * for the same arguments; on another machine's mathematical library within one grey level. */
mn_status mn_face_render(const mn_face *f, int size, int channels, mn_image *out, mn_error *err);

/* One picture of many: a row a person, a column an expression (or a frame from onset to apex). */
typedef struct mn_sheet_opt {
    int rows;     /* people; default 6 */
    int size;     /* of a cell; default 96 */
    int channels; /* default 3 */
    int frames;   /* > 1: columns are frames, and row r shows expression r modulo 6 */
    int gap;      /* white above each cell, pixels; a quarter of it stands to the right */
    uint64_t seed;
    double scale; /* of the faces; default 0.86: a little more hair than a data set's crop shows */
    bool natural; /* pose, light and noise as in a data set, instead of plain */
} mn_sheet_opt;
/* `opt` may be NULL. Cells touch each other unless there is a gap; column e of a row is the expression mn_expression_names[e]. */
mn_status mn_face_sheet(const mn_sheet_opt *opt, mn_image *out, mn_error *err);

typedef struct mn_rendered_opt {
    int64_t count; /* pictures, or sequences */
    int size;      /* side; default 48 */
    int channels;  /* default 1 */
    uint64_t seed;
    int identities; /* people; default count/7 (at least 1): the group of a sample is its identity */
    int frames;     /* > 1: sequences of this many frames from onset to apex, count sequences */
} mn_rendered_opt;
/* Heads "emotion" and "gender", every class equally often; rendered on demand. With frames, sample i is
 * frame i % frames of sequence i / frames, and its label the expression of the apex. No split. */
mn_dataset *mn_dataset_rendered(const mn_rendered_opt *opt, mn_error *err);

/* ---- model files --------------------------------------------------------------------------------------
 * HDF5 in the layout that Keras 2 writes (model_config, model_weights, per-layer groups, kernels in its order),
 * with mien's own attributes beside it (docs/model-files.md), or, by a path that ends in .onnx, ONNX (docs/onnx.md).
 * Writing is atomic. */

/* How a head's logits become an answer; all 0: as they are. */
typedef struct mn_calibration {
    double temperature; /* probabilities are softmax(logits / temperature); 0: 1 */
    double unsure;      /* a largest probability below this is no answer but "unsure" */
} mn_calibration;

typedef struct mn_model_info {
    mn_preprocess preprocess;
    int n_heads;
    mn_head head[MN_MAX_HEADS]; /* in the order of the model's outputs */
    mn_calibration calibration[MN_MAX_HEADS];
    bool plain[MN_MAX_HEADS]; /* the head's numbers are no logits of classes: files that are written get no softmax behind it */
    char *training;           /* the training record, JSON text; NULL: none */
    char *tests;              /* each time that test rows were scored, a JSON array, oldest first; NULL: never */
    char *card;               /* the model card, Markdown; NULL: none */
} mn_model_info;
void mn_model_info_free(mn_model_info *info);
/* Deep copy of a head's names. */
mn_status mn_head_copy(mn_head *to, const mn_head *from, mn_error *err);
void mn_head_free(mn_head *h);

mn_status mn_model_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err);
/* A new, built model in `c`; *info is filled and must be freed. Files of foreign origin without mien's
 * attributes give a preprocess with the input's shape and range 0..1, and heads with class names "0", "1", ..., which are
 * plain where no softmax ends them. */
mn_model *mn_model_load(mn_context *c, const char *path, mn_model_info *info, mn_error *err);

/* Adds `entry`, a JSON object, to the list of tests of a model file of anybody's and leaves everything else in it as it is.
 * Atomic; of several programs that do so at the same time none is forgotten. *list: the whole list, free with mn_free
 * (NULL: not wanted). */
mn_status mn_model_log_test(const char *path, const char *entry, char **list, mn_error *err);
/* Replaces the model card of a file in the same way. */
mn_status mn_model_set_card(const char *path, const char *card, mn_error *err);

/* ---- a network as one C file (docs/export.md) ---- */

typedef struct mn_export_c_opt {
    const char *name; /* of the functions: NAME_predict; NULL: the file's */
    bool int8;        /* kernels as 8-bit numbers with one scale a filter */
    bool constants;   /* floats as constants, which stay in flash, instead of text that the first call decodes: larger */
} mn_export_c_opt;
typedef struct mn_export_c_report {
    int64_t source_bytes, arena_bytes, weights, weight_bytes;
    int64_t prepared_bytes; /* memory for what the first call makes of the weights of 3x3 convolutions */
} mn_export_c_report;
/* Folds batch normalisation into m (which cannot be saved or trained afterwards) and writes self-contained C99.
 * `info` (may be NULL): preprocessing and classes; `opt`, `report` may be NULL. Layers that have no C form are named. */
mn_status mn_model_export_c(mn_model *m, const mn_model_info *info, const mn_export_c_opt *opt, const char *path,
                            mn_export_c_report *report, mn_error *err);
/* Folds, and rounds every kernel to what int8 stores: the same outputs as that C file's, for measuring. */
mn_status mn_model_round_int8(mn_model *m);

/* ---- arrays in files: .npy and safetensors --------------------------------------------------------------
 * Little-endian, rows one after the other. Every length and shape is checked against the file before memory is taken. */

typedef struct mn_array {
    char *name; /* in a safetensors file; NULL in .npy */
    mn_dtype dtype;
    mn_shape shape;
    void *data;
} mn_array;
void mn_array_free(mn_array *a);
/* Types f2, f4, f8, i4, i8, u1, b1 of either byte order, in C's or Fortran's order; f2 becomes f32, i8 must fit 32 bits. */
mn_status mn_npy_load(const char *path, mn_array *out, mn_error *err);
mn_status mn_npy_save(const char *path, mn_dtype dtype, mn_shape shape, const void *data, mn_error *err);
/* *array: n arrays, free with mn_arrays_free. F16 and BF16 become f32; F32, F64, I32, U8 stay. */
mn_status mn_safetensors_load(const char *path, mn_array **array, int *n, mn_error *err);
mn_status mn_safetensors_save(const char *path, const mn_array *array, int n, mn_error *err);
void mn_arrays_free(mn_array *array, int n);
/* A model's parameters as a safetensors file, under their names ("conv2d/kernel"). */
mn_status mn_weights_save(mn_model *m, const char *path, mn_error *err);
/* Sets those whose name and shape the file has; PyTorch's names ("conv2d.weight", "norm.running_mean") count as well.
 * Returns how many, -1 on failure. `all`: one that the file lacks is a failure, and none is changed. */
int mn_weights_load(mn_model *m, const char *path, bool all, mn_error *err);

/* The network that the graph of an ONNX file describes, what other programs see of it; mn_model_load prefers the description
 * that mien puts beside the graph, as long as the graph is unchanged. */
mn_model *mn_onnx_load_graph(mn_context *c, const char *path, mn_model_info *info, mn_error *err);

/* A training checkpoint: model file plus optimiser state, averages, best weights, and a JSON text of the
 * caller's (epoch, random numbers, schedule, options). Written atomically; resumes to the bit. */
typedef struct mn_checkpoint {
    mn_model *model;
    mn_optim *optim; /* may be NULL, like the following */
    mn_ema *ema;
    mn_snapshot *best;
    mn_model_info *info;
    char *state; /* JSON text; load: allocated, free with mn_free */
} mn_checkpoint;
mn_status mn_checkpoint_save(const mn_checkpoint *k, const char *path, mn_error *err);
/* Reads the JSON text alone, to know what to build. */
mn_status mn_checkpoint_peek(const char *path, char **state, mn_error *err);
/* Fills the given, already built objects; their shapes must fit. */
mn_status mn_checkpoint_load(mn_checkpoint *k, const char *path, mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
