/* The data sets of the literature, on trees of their documented layouts that the test makes itself. */
#include "data/internal.h"
#include "tests/data_help.h"
#include <sys/stat.h>

static char notes[8][300];
static int n_notes;
static void note(void *user, const char *what, int64_t done, int64_t total) {
    (void)user, (void)done;
    if (total < 0 && n_notes < 8) snprintf(notes[n_notes++], sizeof notes[0], "%s", what);
}
static const mn_open_opt noting = {.threads = 2, .progress = note};
static bool noted(const char *words) {
    for (int k = 0; k < n_notes; k++)
        if (strstr(notes[k], words)) return true;
    return false;
}

static void png(const char *folder, const char *name, int w, int h) {
    help_folder(folder);
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    help_write_png(test_path(path), w, h, 1, (int)strlen(name));
}
static void text(const char *folder, const char *name, const char *what) {
    help_folder(folder);
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    help_write_text(test_path(path), what);
}

/* "id=class/split[trait]" of all samples; heads with commas. */
static const char *summary(const mn_dataset *d) {
    static char out[6000];
    size_t at = 0;
    *out = 0;
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        mn_error e = {0};
        ASSERT_OK(d->info(d, i, &s, &e), &e);
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s=", i ? " " : "", s.id);
        for (int h = 0; h < d->n_heads; h++)
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%s", h ? "," : "",
                                   s.label[h] < 0 ? "-" : d->head[h].class_name[s.label[h]]);
        at += (size_t)snprintf(out + at, sizeof out - at, "/%d", (int)s.split);
        if (d->n_traits) at += (size_t)snprintf(out + at, sizeof out - at, "[%s]", s.trait[0] ? s.trait[0] : "");
    }
    return out;
}
static uint64_t group(const mn_dataset *d, int64_t i) {
    mn_sample_info s;
    mn_error e = {0};
    ASSERT_OK(d->info(d, i, &s, &e), &e);
    ck_assert(s.subject);
    return s.group;
}
static mn_dataset *open_set(const char *kind, const char *path, const char *tail) {
    char spec[700];
    mn_error e = {0};
    snprintf(spec, sizeof spec, "%s:%s%s", kind, test_path(path), tail);
    n_notes = 0;
    mn_dataset *d = mn_dataset_open(spec, &noting, &e);
    ck_assert_msg(d != NULL, "%s", e.text);
    return d;
}
static void refuse(const char *kind, const char *path, const char *tail, const char *words) {
    char spec[700];
    mn_error e = {0};
    snprintf(spec, sizeof spec, "%s:%s%s", kind, test_path(path), tail);
    ck_assert_ptr_null(mn_dataset_open(spec, NULL, &e));
    ck_assert_msg(strstr(e.text, words) != NULL, "\"%s\" lacks \"%s\"", e.text, words);
}

START_TEST(test_jaffe) {
    png("j", "KA.AN1.39.png", 9, 9), png("j", "KA.NE2.27.png", 9, 9), png("j", "YM.SU3.60.png", 9, 9);
    text("j", "README_FIRST.txt", "x");
    mn_dataset *d = open_set("jaffe", "j", "");
    ck_assert_str_eq(summary(d), "KA.AN1.39.png=angry/3 KA.NE2.27.png=neutral/3 YM.SU3.60.png=surprise/3");
    ck_assert(group(d, 0) == group(d, 1) && group(d, 0) != group(d, 2));
    ck_assert(noted("left out 1 files not named like JAFFE's"));
    mn_dataset_destroy(d);
    text("j2", "KA.AN1.39.tiff", "II*");
    refuse("jaffe", "j2", "", "convert them to PNG");
    help_folder("j3");
    refuse("jaffe", "j3", "", "named like JAFFE's");
}
END_TEST

START_TEST(test_kdef) {
    png("k/AF01", "AF01ANS.PNG", 9, 9), png("k/AF01", "AF01AFFL.png", 9, 9), png("k/BF01", "BF01SUS.png", 9, 9);
    png("k/AM01", "AM01NES.png", 9, 9), png("k/AM31", "AM31H.png", 9, 9);
    mn_dataset *d = open_set("kdef", "k", "");
    ck_assert_str_eq(summary(d), "AF01/AF01ANS.PNG=angry,woman/3[straight] AM01/AM01NES.png=neutral,man/3[straight] "
                                 "BF01/BF01SUS.png=surprise,woman/3[straight]");
    ck_assert(group(d, 0) == group(d, 2) && group(d, 0) != group(d, 1)); /* both sessions are one person */
    ck_assert(noted("left out 1 pictures from the side") && noted("the first AM31H.png"));
    mn_dataset_destroy(d);
    d = open_set("kdef", "k", ",angles=all");
    ck_assert(d->length == 4 && strstr(summary(d), "AF01/AF01AFFL.png=fear,woman/3[full left]"));
    mn_dataset_destroy(d);
    help_folder("k2");
    refuse("kdef", "k2", "", "named like KDEF's");
    refuse("kdef", "absent", "", "cannot be opened");
}
END_TEST

/* 68 points with the eyes' at given places. */
static void landmarks(const char *folder, const char *name, double lx, double ly, double rx, double ry) {
    char all[8000];
    int at = 0;
    for (int k = 0; k < 68; k++)
        at += snprintf(all + at, sizeof all - (size_t)at, "   %.7e   %.7e \n",
                       k >= 42 && k < 48   ? rx
                       : k >= 36 && k < 42 ? lx
                                           : 5,
                       k >= 42 && k < 48   ? ry
                       : k >= 36 && k < 42 ? ly
                                           : 7);
    text(folder, name, all);
}

START_TEST(test_ckplus) {
    char name[60];
    for (int k = 1; k <= 6; k++) {
        snprintf(name, sizeof name, "S005_001_%08d.png", k);
        png("c/cohn-kanade-images/S005/001", name, 64, 49);
        snprintf(name, sizeof name, "S010_002_%08d.png", k);
        if (k < 4) png("c/cohn-kanade-images/S010/002", name, 64, 49);
        png("c/cohn-kanade-images/S010/004", name, 64, 49); /* no label */
    }
    text("c/Emotion/S005/001", "S005_001_00000006_emotion.txt", "   3.0000000e+00\n");
    text("c/Emotion/S010/002", "S010_002_00000003_emotion.txt", "2");
    help_folder("c/Emotion/S010/004");
    mn_dataset *d = open_set("ckplus", "c", "");
    ck_assert_str_eq(
        summary(d),
        "cohn-kanade-images/S005/001/S005_001_00000001.png=neutral/3 cohn-kanade-images/S005/001/S005_001_00000004.png=disgust/3 "
        "cohn-kanade-images/S005/001/S005_001_00000005.png=disgust/3 cohn-kanade-images/S005/001/S005_001_00000006.png=disgust/3 "
        "cohn-kanade-images/S010/002/S010_002_00000001.png=contempt/3 "
        "cohn-kanade-images/S010/002/S010_002_00000002.png=contempt/3 "
        "cohn-kanade-images/S010/002/S010_002_00000003.png=contempt/3");
    ck_assert(group(d, 0) == 5 && group(d, 4) == 10 && noted("left out 1 sequences without an emotion label"));
    mn_dataset_destroy(d);
    /* With landmarks the eyes come to 36 % of the height, 36 % of the side apart, level. */
    for (int k = 1; k <= 6; k++) {
        snprintf(name, sizeof name, "S005_001_%08d_landmarks.txt", k);
        if (k != 5) landmarks("c/Landmarks/S005/001", name, 20, 20, 38, 20);
    }
    d = open_set("ckplus", "c", "");
    const float *cut = ((mn__samples *)d->impl)->sample[0].cut;
    ASSERT_CLOSE(cut[2], 50, 1e-3);
    ASSERT_CLOSE(cut[0], 29 - 25, 1e-3);
    ASSERT_CLOSE(cut[1], 20 - 18, 1e-3);
    ck_assert(cut[4] == 0 && noted("4 landmark files that are missing"));
    mn_image im = {0};
    mn_error e = {0};
    ASSERT_OK(d->pixels(d, 0, &im, &e), &e);
    ck_assert(im.width == 50 && im.height == 50);
    ASSERT_OK(d->pixels(d, 2, &im, &e), &e);
    ck_assert(im.width == 64 && im.height == 49);
    mn_image_free(&im);
    mn_dataset_destroy(d);
    text("c/Landmarks/S005/001", "S005_001_00000001_landmarks.txt", "1 2 3");
    refuse("ckplus", "c", "", "number 4 of 136");
    text("c/Landmarks/S005/001", "S005_001_00000001_landmarks.txt", "1e999 2 3");
    refuse("ckplus", "c", "", "too large");
    landmarks("c/Landmarks/S005/001", "S005_001_00000001_landmarks.txt", 20, 20, 21, 20);
    refuse("ckplus", "c", "", "less than 4 pixels apart");
    text("c/Emotion/S005/001", "S005_001_00000006_emotion.txt", "8");
    refuse("ckplus", "c", "", "wanted one number of 0 to 7");
    png("c2/cohn-kanade-images/S005/001", "S005_001_00000001.png", 9, 9);
    refuse("ckplus", "c2", "", "no folder Emotion");
    help_folder("c2/Emotion");
    refuse("ckplus", "c2", "", "no labelled sequence");
}
END_TEST

#define ADIENCE_HEAD "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\ttilt_ang\tfiducial_yaw_angle\tfiducial_score\n"
START_TEST(test_adience) {
    png("a/aligned/30601258@N03", "landmark_aligned_face.1.10399646885_67c7d20df9_o.jpg", 9, 9);
    png("a/aligned/30601258@N03", "landmark_aligned_face.2.10424815813_e94629b1ec_o.jpg", 9, 9);
    png("a/aligned/7153718@N04", "landmark_aligned_face.2282.1.jpg", 9, 9);
    text("a", "fold_0_data.txt",
         ADIENCE_HEAD "30601258@N03\t10399646885_67c7d20df9_o.jpg\t1\t(25, 32)\tf\t0\t414\t1086\t1383\t-115\t30\t17\r\n"
                      "30601258@N03\t10424815813_e94629b1ec_o.jpg\t2\tNone\tm\t301\t105\t640\t641\t0\t0\t94\n"
                      "30601258@N03\tgone.jpg\t2\t35\tm\t301\t105\t640\t641\t0\t0\t94\n\n"
                      "30601258@N03\tgone.jpg\t2\t35\tu\t301\t105\t640\t641\t0\t0\t94\n");
    text("a", "fold_1_data.txt", ADIENCE_HEAD "7153718@N04\t1.jpg\t2282\t3\tf\t0\t0\t1\t1\t0\t0\t1");
    for (int k = 2; k < 5; k++)
        text("a", (char[]){'f', 'o', 'l', 'd', '_', (char)('0' + k), '_', 'd', 'a', 't', 'a', '.', 't', 'x', 't', 0},
             ADIENCE_HEAD);
    mn_dataset *d = open_set("adience", "a", ",fold=1");
    ck_assert_str_eq(summary(d), "aligned/30601258@N03/landmark_aligned_face.1.10399646885_67c7d20df9_o.jpg=woman/0[25-32] "
                                 "aligned/30601258@N03/landmark_aligned_face.2.10424815813_e94629b1ec_o.jpg=man/0[] "
                                 "aligned/7153718@N04/landmark_aligned_face.2282.1.jpg=woman/2[3]");
    ck_assert(group(d, 0) == group(d, 1) && group(d, 0) != group(d, 2));
    ck_assert(noted("1 faces without a gender") && noted("1 faces whose file is not there"));
    mn_dataset_destroy(d);
    d = open_set("adience", "a", "");
    ck_assert(strstr(summary(d), "/3[25-32]"));
    mn_dataset_destroy(d);
    refuse("adience", "a", ",fold=5", "wanted fold=0 to fold=4");
    text("a", "fold_2_data.txt", ADIENCE_HEAD "30601258@N03\t1.jpg\t1\t3\tf\t0\t0\t1\t1\t0\t0\t1");
    refuse("adience", "a", "", "is in fold 0 as well");
    const char *bad[][2] = {{"../x\t1.jpg\t1\t3\tf", "wanted a user_id"},
                            {"u\t../../x\t1\t3\tf", "wanted a user_id"},
                            {"u\t1.jpg\tx\t3\tf", "wanted a user_id"},
                            {"u\t1.jpg\t1\t3\tfemale", "wanted m, f, u"},
                            {"u\t1.jpg", "was the file cut?"}};
    for (int k = 0; k < 5; k++) {
        char all[400];
        snprintf(all, sizeof all, ADIENCE_HEAD "%s\n", bad[k][0]);
        text("a", "fold_2_data.txt", all);
        refuse("adience", "a", "", bad[k][1]);
        refuse("adience", "a", "", "fold_2_data.txt: line 2");
    }
    text("a", "fold_2_data.txt", "user_id\tage\n");
    refuse("adience", "a", "", "no column named original_image");
    help_folder("a2");
    refuse("adience", "a2", "", "neither a folder aligned nor");
}
END_TEST

static void npy(const char *folder, const char *name, const char *descr, const char *data, size_t n) {
    char file[300] = "\x93NUMPY\x01", header[120];
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (), }%-20s\n", descr, "");
    size_t length = strlen(header);
    file[8] = (char)length;
    memcpy(file + 10, header, length);
    memcpy(file + 10 + length, data, n);
    help_folder(folder);
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(test_path(path), "wb");
    ck_assert(f && fwrite(file, 1, 10 + length + n, f) == 10 + length + n && !fclose(f));
}

START_TEST(test_affectnet) {
    png("t/Manually_Annotated_Images/689", "a.png", 40, 30), png("t/Manually_Annotated_Images/12", "b.png", 40, 30);
    text("t", "training.csv",
         "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
         "689/a.png,4,3,20,22,1;2;3;4,1,0.7,-0.03\n12/x.png,NULL,NULL,NULL,NULL,,9,-2,-2\n");
    text("t", "validation.csv",
         "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n12/"
         "b.png,0,0,40,30,,7,0,0\n");
    mn_dataset *d = open_set("affectnet", "t", "");
    ck_assert_str_eq(summary(d), "Manually_Annotated_Images/689/a.png=happy/0 Manually_Annotated_Images/12/b.png=contempt/2");
    ck_assert(d->head[0].n_classes == 8 && noted("1 pictures without one of the eight"));
    mn_image im = {0};
    mn_error e = {0};
    ASSERT_OK(d->pixels(d, 0, &im, &e), &e);
    ck_assert(im.width == 20 && im.height == 22);
    mn_image_free(&im);
    mn_dataset_destroy(d);
    const char *bad[][2] = {
        {"689/a.png,4,3,20,22,,11,0,0", "wanted 0 to 10"}, {"689/a.png,4,3,20,22,,happy,0,0", "wanted 0 to 10"},
        {"../../a.png,4,3,20,22,,1,0,0", "no path below"}, {"689/a.png,4,3,0,22,,1,0,0", "wanted pixels"},
        {"689/a.png,4,nan,9,22,,1,0,0", "wanted pixels"},  {"689/a.png,4", "was the file cut?"},
        {"gone.png,4,3,20,22,,1,0,0", "gone.png"}};
    for (int k = 0; k < 7; k++) {
        char all[500];
        snprintf(all, sizeof all,
                 "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n%s\n",
                 bad[k][0]);
        text("t", "training.csv", all);
        refuse("affectnet", "t", "", bad[k][1]);
    }
    png("u/train_set/images", "0.png", 9, 9), png("u/train_set/images", "1.png", 9, 9), png("u/train_set/images", "2.png", 9, 9),
        png("u/val_set/images", "3.png", 9, 9);
    npy("u/train_set/annotations", "0_exp.npy", "<U1", "6\0\0\0", 4);
    npy("u/train_set/annotations", "1_exp.npy", "|S2", "10", 2);
    npy("u/train_set/annotations", "2_exp.npy", "<i8", "\2\0\0\0\0\0\0\0", 8);
    npy("u/val_set/annotations", "3_exp.npy", "<U1", "0\0\0\0", 4);
    d = open_set("affectnet", "u", "");
    ck_assert_str_eq(summary(d), "train_set/images/0.png=angry/0 train_set/images/2.png=sad/0 val_set/images/3.png=neutral/2");
    mn_dataset_destroy(d);
    const char *damaged[] = {"", "\x93NUMPY\x01", "\x93NUMPY\x01\x01\xff\xff{'descr': '<U1'"};
    for (int k = 0; k < 3; k++) {
        text("u/train_set/annotations", "0_exp.npy", damaged[k]);
        refuse("affectnet", "u", "", "in NumPy's format");
    }
    npy("u/train_set/annotations", "0_exp.npy", "<f8", "\0\0\0\0\0\0\0\0", 8);
    refuse("affectnet", "u", "", "in NumPy's format");
    npy("u/train_set/annotations", "0_exp.npy", "<U1", "x\0\0\0", 4);
    refuse("affectnet", "u", "", "in NumPy's format");
    png("v/train/3", "a.png", 9, 9), png("v/val/Anger", "b.png", 9, 9), png("v/train/9", "c.png", 9, 9);
    d = open_set("affectnet", "v", "");
    ck_assert_str_eq(summary(d), "train/3/a.png=surprise/0 val/Anger/b.png=angry/2");
    mn_dataset_destroy(d);
    help_folder("w");
    refuse("affectnet", "w", "", "no picture of AffectNet");
}
END_TEST

START_TEST(test_imdbwiki) {
    png("i/00", "nm0000100_rm1_1955-1-6_2003.jpg", 9, 9), png("i/00", "nm0000100_rm2_1955-1-6_1960.jpg", 9, 9),
        png("i/01", "10110600_1985-09-17_2012.jpg", 9, 9);
    text("i", "all.csv",
         "full_path,gender,face_score,second_face_score\n00/nm0000100_rm1_1955-1-6_2003.jpg,1.0,3.1,nan\n00/"
         "nm0000100_rm2_1955-1-6_1960.jpg,1,2.0,\n"
         "01/10110600_1985-09-17_2012.jpg,0,1.5,nan\nx.jpg,nan,3,\ny.jpg,1,-inf,\nz.jpg,1,4,2.5\n");
    mn_dataset *d = open_set("imdbwiki", "i/all.csv", "");
    ck_assert_str_eq(summary(d), "00/nm0000100_rm1_1955-1-6_2003.jpg=man/3[40-49] 00/nm0000100_rm2_1955-1-6_1960.jpg=man/3[4-12] "
                                 "01/10110600_1985-09-17_2012.jpg=woman/3[20-29]");
    ck_assert(group(d, 0) == group(d, 1) && group(d, 0) != group(d, 2));
    ck_assert(noted("1 pictures without a gender") && noted("2 pictures without a face or with two"));
    mn_dataset_destroy(d);
    text("i", "bad.csv", "path,gender\nx.jpg,3\n");
    refuse("imdbwiki", "i/bad.csv", "", "line 2: gender is 3");
    text("i", "bad.csv", "path,gender\n../x.jpg,1\n");
    refuse("imdbwiki", "i/bad.csv", "", "no path below");
    text("i", "bad.csv", "name,gender\nx.jpg,1\n");
    refuse("imdbwiki", "i/bad.csv", "", "no column named path or full_path");
    text("i", "imdb.mat", "MATLAB");
    refuse("imdbwiki", "i/imdb.mat", "", "lines of Python");
}
END_TEST

/* A clip is a strip: frames below each other, evenly from the first to the last, however many there are. */
START_TEST(test_clips) {
    char name[40];
    for (int k = 0; k < 5; k++) {
        snprintf(name, sizeof name, "%d.png", k);
        png("q/happy/anna", name, 16, 16);
        if (k < 2) png("q/sad/bob", name, 16, 16);
    }
    text("q/happy/anna", "notes.txt", "x");
    help_folder("q/sad/empty");
    mn_dataset *d = open_set("clips", "q", ",frames=3,size=16");
    ck_assert_str_eq(summary(d), "happy/anna=happy/3 sad/bob=sad/3");
    mn_image strip = {0}, frame = {0};
    mn_error e = {0};
    const int want[2][3] = {{0, 2, 4}, {0, 1, 1}};
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(d->pixels(d, i, &strip, &e), &e);
        ck_assert(strip.width == 16 && strip.height == 48 && strip.channels == 1);
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "q/%s/%d.png", i ? "sad/bob" : "happy/anna", want[i][k]);
            ASSERT_OK(mn_image_load(&frame, test_path(name), &e), &e);
            ck_assert_msg(!memcmp(strip.pixels + k * 256, frame.pixels, 256), "clip %d, frame %d", i, k);
        }
    }
    mn_dataset_destroy(d);
    refuse("clips", "q", ",frames=1", "wanted frames=2..200");
    refuse("clips", "q", ",pace=3", "is not understood");
    help_folder("q2");
    refuse("clips", "q2", "", "no clips; wanted a folder for each class");
    /* Drawn: the first frame is the face at rest, the last shows most; alone, each frame is what it is in the strip. */
    mn_dataset *clips = mn_dataset_open("rendered-clips:14,frames=4,size=16,seed=3,peak=60", NULL, &e);
    mn_dataset *frames = mn_dataset_open("rendered-clips:14,frames=4,size=16,seed=3,peak=60,single=1", NULL, &e);
    ck_assert_msg(clips && frames && clips->length == 14 && frames->length == 56, "%s", e.text);
    for (int64_t i = 0; i < 56; i++) {
        mn_sample_info a, b;
        ASSERT_OK(clips->info(clips, i / 4, &a, &e), &e);
        ASSERT_OK(frames->info(frames, i, &b, &e), &e);
        ck_assert(a.label[0] == b.label[0] && a.group == b.group);
        ASSERT_OK(clips->pixels(clips, i / 4, &strip, &e), &e);
        ASSERT_OK(frames->pixels(frames, i, &frame, &e), &e);
        ck_assert(!memcmp(strip.pixels + i % 4 * 256, frame.pixels, 256));
        if (i % 28 == 24) ck_assert(!memcmp(strip.pixels, strip.pixels + 768, 256) == (a.label[0] == 6)); /* neutral stays */
    }
    mn_image_free(&strip), mn_image_free(&frame);
    mn_dataset_destroy(clips);
    mn_dataset_destroy(frames);
    e = (mn_error){0};
    ck_assert_ptr_null(mn_dataset_open("rendered-clips:0", NULL, &e));
    ASSERT_FAILS(e, MN_ERR_ARG, "wanted rendered-clips:COUNT");
}
END_TEST

/* What happens to a class without a counterpart: its rows lose the label. */
START_TEST(test_classes) {
    png("f/anger", "1.png", 9, 9), png("f/Happiness", "2.png", 9, 9), png("f/neutral", "3.png", 9, 9),
        png("f/contempt", "4.png", 9, 9), png("f/sadness", "5.png", 9, 9);
    const struct {
        const char *list, *classes, *want;
    } all[] = {
        {"7", "7 angry",
         "Happiness/2.png=happy/3 anger/1.png=angry/3 contempt/4.png=-/3 neutral/3.png=neutral/3 sadness/5.png=sad/3"},
        {"6", "6 angry", "Happiness/2.png=happy/3 anger/1.png=angry/3 contempt/4.png=-/3 neutral/3.png=-/3 sadness/5.png=sad/3"},
        {"8", "8 angry",
         "Happiness/2.png=happy/3 anger/1.png=angry/3 contempt/4.png=contempt/3 neutral/3.png=neutral/3 sadness/5.png=sad/3"},
        {"happy,angry+contempt+sad", "2 happy",
         "Happiness/2.png=happy/3 anger/1.png=angry/3 contempt/4.png=angry/3 neutral/3.png=-/3 sadness/5.png=angry/3"}};
    for (int k = 0; k < 4; k++) {
        mn_error e = {0};
        mn_dataset *d = mn_dataset_classes(open_set("folder", "f", ""), all[k].list, &e);
        ck_assert_msg(d != NULL, "%s", e.text);
        char got[60];
        snprintf(got, sizeof got, "%d %s", d->head[0].n_classes, d->head[0].class_name[0]);
        ck_assert_str_eq(got, all[k].classes);
        ck_assert_str_eq(d->head[0].name, "emotion");
        ck_assert_str_eq(summary(d), all[k].want);
        mn_dataset_destroy(d);
    }
    const char *bad[][2] = {{"", "wanted words"},
                            {"happy,", "wanted words"},
                            {"happy,,sad", "wanted words"},
                            {"happy,joy", "named twice"},
                            {"cat,dog", "none of them is in"}};
    for (int k = 0; k < 5; k++) {
        mn_error e = {0};
        ck_assert_ptr_null(mn_dataset_classes(open_set("folder", "f", ""), bad[k][0], &e));
        ASSERT_FAILS(e, MN_ERR_ARG, bad[k][1]);
    }
    mn_error e = {0}; /* rendered faces have both heads; gender stays */
    mn_dataset *d = mn_dataset_classes(mn_dataset_open("rendered:14", NULL, &e), "6", &e);
    ck_assert(d && d->n_heads == 2 && d->head[0].n_classes == 6 && d->head[1].n_classes == 2);
    mn_dataset_destroy(d);
}
END_TEST

/* Every allocation fails once: a sentence, nothing kept. */
START_TEST(test_no_memory) {
    png("m/00", "1_1955-1-6_2003.jpg", 9, 9);
    text("m", "all.csv", "path,gender\n00/1_1955-1-6_2003.jpg,1\n");
    png("mj", "KA.AN1.39.png", 9, 9);
    png("mv/train/3", "a.png", 9, 9);
    const char *specs[][2] = {{"imdbwiki", "m/all.csv"}, {"jaffe", "mj"}, {"affectnet", "mv"}};
    for (int k = 0; k < 3; k++)
        for (int64_t n = 1;; n++) {
            char spec[700];
            int64_t live;
            mn_error e = {0};
            snprintf(spec, sizeof spec, "%s:%s", specs[k][0], test_path(specs[k][1]));
            test_fail_allocation(n);
            mn_open_opt one = {.threads = 1};
            mn_dataset *d = mn_dataset_open(spec, &one, &e);
            if (d) d = mn_dataset_classes(d, "7", &e);
            ck_assert_msg(d || e.text[0], "%s: no sentence", spec);
            mn_dataset_destroy(d);
            bool failed = test_allocations_end(&live);
            ck_assert_msg(live == 0, "%s, allocation %lld: %lld blocks are left", spec, (long long)n, (long long)live);
            if (!failed) break;
        }
}
END_TEST

TEST_SUITE(sets, test_jaffe, test_kdef, test_ckplus, test_adience, test_affectnet, test_imdbwiki, test_clips, test_classes,
           test_no_memory)
