// vision.h by OpenCV 4: the only C++ of the program, and a shared library of its own, which vision.c loads. It takes
// mn_fail, mn_image_reserve and face_merge from the program. OpenCV's exceptions end here, as sentences.
#include "apps/vision.h"
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>
#include <opencv2/videoio.hpp>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/stat.h>
#include <vector>

// OpenCV and FFmpeg report on stderr what comes back as an error as well: once is enough.
static void be_quiet() {
    static bool done = false;
    if (done) return;
    done = true;
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
    setenv("OPENCV_VIDEOIO_DEBUG", "0", 0);
}

// Runs a function that may throw; what it threw becomes the sentence.
template <class F> static mn_status guarded(const char *what, mn_error *err, F f) {
    be_quiet();
    try {
        return f();
    } catch (const cv::Exception &e) {
        return mn_fail(err, MN_ERR_UNSUPPORTED, "%s: OpenCV says: %s", what, e.err.c_str());
    } catch (const std::exception &e) { return mn_fail(err, MN_ERR_MEMORY, "%s: %s", what, e.what()); }
}

// A picture of ours as a matrix, without a copy.
static cv::Mat view(const mn_image *im) {
    return cv::Mat(im->height, im->width, im->channels == 3 ? CV_8UC3 : CV_8UC1, im->pixels);
}

static mn_status take(const cv::Mat &bgr, mn_image *im, mn_error *err) {
    mn_status s = mn_image_reserve(im, bgr.cols, bgr.rows, 3, err);
    if (s != MN_OK) return s;
    cv::Mat rgb = view(im);
    cv::cvtColor(bgr, rgb,
                 bgr.channels() == 3   ? cv::COLOR_BGR2RGB
                 : bgr.channels() == 4 ? cv::COLOR_BGRA2RGB
                                       : cv::COLOR_GRAY2RGB);
    return MN_OK;
}

// ---- faces ----

struct vision_detector {
    cv::CascadeClassifier cascade, eyes; // eyes: loaded when they are first asked for
    cv::Ptr<cv::FaceDetectorYN> yunet;
};

static bool is_file(const std::string &path) {
    struct stat st;
    return stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

// Where opencv-data puts cascades, in the order in which they are tried.
static std::vector<std::string> installed(const char *file) {
    std::vector<std::string> all;
    for (const char *dir : {"/usr/share/opencv4", "/usr/local/share/opencv4", "/usr/share/opencv", "/opt/opencv/share/opencv4"})
        all.push_back(std::string(dir) + "/haarcascades/" + file);
    return all;
}

static std::vector<std::string> cascade_paths(const char *given) {
    const char *variable = std::getenv("MIEN_CASCADE");
    if (given) return {given};
    if (variable && *variable) return {variable};
    return installed("haarcascade_frontalface_alt2.xml");
}

static mn_status open_cascade(vision_detector *d, const char *given, mn_error *err) {
    std::string tried;
    for (const std::string &path : cascade_paths(given)) {
        tried += (tried.empty() ? "" : ", ") + path;
        if (!is_file(path)) continue;
        bool loaded = false;
        try {
            loaded = d->cascade.load(path);
        } catch (const cv::Exception &) { // broken XML
        }
        if (loaded) return MN_OK;
        return mn_fail(err, MN_ERR_FORMAT, "%s: is no cascade that OpenCV can read", path.c_str());
    }
    return mn_fail(err, MN_ERR_IO,
                   "no face detector was found; tried: %s; hint: install opencv-data, or give --cascade FILE.xml, "
                   "--face X,Y,W,H or --whole",
                   tried.c_str());
}

vision_detector *vision_detector_open(const char *cascade, const char *yunet, mn_error *err) {
    vision_detector *d = nullptr;
    mn_status s = guarded(yunet ? yunet : "the face detector", err, [&] {
        d = new vision_detector;
        if (!yunet) return open_cascade(d, cascade, err);
        if (!is_file(yunet)) return mn_fail(err, MN_ERR_IO, "%s: there is no such file; wanted an .onnx file of YuNet", yunet);
        d->yunet = cv::FaceDetectorYN::create(yunet, "", cv::Size(320, 320), 0.7f);
        return MN_OK;
    });
    if (s == MN_OK) return d;
    delete d;
    return nullptr;
}
void vision_detector_close(vision_detector *d) { delete d; }

// docs/predict.md says how these were chosen.
static const double scale_step = 1.1;
static const int min_neighbours = 3;

static void detect_haar(vision_detector *d, const cv::Mat &picture, int min_side, std::vector<face_box> &found) {
    cv::Mat grey;
    if (picture.channels() == 3)
        cv::cvtColor(picture, grey, cv::COLOR_RGB2GRAY);
    else
        grey = picture;
    std::vector<cv::Rect> rects;
    std::vector<int> neighbours;
    d->cascade.detectMultiScale(grey, rects, neighbours, scale_step, min_neighbours, 0, cv::Size(min_side, min_side));
    for (size_t i = 0; i < rects.size(); i++) {
        face_box b = {};
        b.x = rects[i].x, b.y = rects[i].y, b.w = rects[i].width, b.h = rects[i].height, b.score = neighbours[i];
        found.push_back(b);
    }
}

// Rows of the result: x y w h, five points (right eye first, as the person sees it), score.
static void detect_yunet(vision_detector *d, const cv::Mat &picture, int min_side, std::vector<face_box> &found) {
    cv::Mat bgr, rows;
    cv::cvtColor(picture, bgr, picture.channels() == 3 ? cv::COLOR_RGB2BGR : cv::COLOR_GRAY2BGR);
    d->yunet->setInputSize(bgr.size());
    d->yunet->detect(bgr, rows);
    for (int i = 0; i < rows.rows; i++) {
        const float *r = rows.ptr<float>(i);
        if (r[2] < (float)min_side) continue;
        face_box b = {};
        b.x = r[0], b.y = r[1], b.w = r[2], b.h = r[3], b.score = r[14], b.has_eyes = true;
        int left = r[4] <= r[6] ? 4 : 6, right = 10 - left;
        b.eye[0][0] = r[left], b.eye[0][1] = r[left + 1];
        b.eye[1][0] = r[right], b.eye[1][1] = r[right + 1];
        found.push_back(b);
    }
}

mn_status vision_detect(vision_detector *d, const mn_image *im, int min_side, face_box *box, int max, int *n, mn_error *err) {
    *n = 0;
    return guarded("the face detector", err, [&] {
        std::vector<face_box> found;
        if (d->yunet)
            detect_yunet(d, view(im), min_side, found);
        else
            detect_haar(d, view(im), min_side, found);
        int kept = face_merge(found.data(), (int)found.size());
        *n = std::min(kept, max);
        std::copy(found.begin(), found.begin() + *n, box);
        return MN_OK;
    });
}

static mn_status open_eyes(vision_detector *d, mn_error *err) {
    for (const std::string &path : installed("haarcascade_eye_tree_eyeglasses.xml"))
        if (is_file(path) && d->eyes.load(path)) return MN_OK;
    return mn_fail(err, MN_ERR_IO,
                   "eyes cannot be looked for: haarcascade_eye_tree_eyeglasses.xml was not found; hint: install "
                   "opencv-data, or give --detector YUNET.onnx, which knows them");
}

// The surest eye in a part of the picture: its centre.
static bool find_eye(vision_detector *d, const cv::Mat &grey, const cv::Rect &where, double eye[2]) {
    cv::Rect part = where & cv::Rect(0, 0, grey.cols, grey.rows);
    if (part.width < 12 || part.height < 12) return false;
    std::vector<cv::Rect> found;
    std::vector<int> neighbours;
    int least = std::max(8, part.width / 4);
    d->eyes.detectMultiScale(grey(part), found, neighbours, 1.05, 2, 0, cv::Size(least, least));
    size_t best = 0;
    for (size_t i = 1; i < found.size(); i++)
        if (neighbours[i] > neighbours[best]) best = i;
    if (found.empty()) return false;
    eye[0] = part.x + found[best].x + found[best].width / 2.0, eye[1] = part.y + found[best].y + found[best].height / 2.0;
    return true;
}

mn_status vision_find_eyes(vision_detector *d, const mn_image *im, face_box *box, mn_error *err) {
    if (box->has_eyes) return MN_OK;
    return guarded("the eye detector", err, [&] {
        if (d->eyes.empty() && open_eyes(d, err) != MN_OK) return err->status;
        // At least 120 pixels a face, or the cascade's window does not fit an eye.
        double zoom = std::max(1.0, 120 / box->w);
        cv::Mat part, grey;
        cv::Rect face = cv::Rect((int)box->x, (int)box->y, (int)box->w, (int)box->h) & cv::Rect(0, 0, im->width, im->height);
        if (face.empty()) return MN_OK;
        part = view(im)(face);
        if (im->channels == 3)
            cv::cvtColor(part, grey, cv::COLOR_RGB2GRAY);
        else
            grey = part.clone();
        cv::resize(grey, grey, cv::Size(), zoom, zoom, cv::INTER_LINEAR);
        int w = grey.cols, h = grey.rows;
        double eye[2][2];
        bool both = find_eye(d, grey, cv::Rect(0, h / 6, w * 55 / 100, h * 45 / 100), eye[0]) &&
                    find_eye(d, grey, cv::Rect(w * 45 / 100, h / 6, w - w * 45 / 100, h * 45 / 100), eye[1]);
        double dx = both ? eye[1][0] - eye[0][0] : 0, dy = both ? eye[1][1] - eye[0][1] : 0;
        if (dx < 0.2 * w || dx > 0.65 * w || std::abs(dy) > 0.6 * dx) return MN_OK; // no pair of eyes
        for (int k = 0; k < 2; k++) box->eye[k][0] = face.x + eye[k][0] / zoom, box->eye[k][1] = face.y + eye[k][1] / zoom;
        box->has_eyes = true;
        return MN_OK;
    });
}

// ---- video ----

struct vision_video {
    cv::VideoCapture source;
    cv::Mat frame;
};

static void describe(vision_video *v, vision_video_info *info) {
    double fps = v->source.get(cv::CAP_PROP_FPS), frames = v->source.get(cv::CAP_PROP_FRAME_COUNT);
    info->width = (int)v->source.get(cv::CAP_PROP_FRAME_WIDTH);
    info->height = (int)v->source.get(cv::CAP_PROP_FRAME_HEIGHT);
    info->fps = fps > 0.1 && fps < 1000 ? fps : 25;
    info->frames = frames >= 1 && frames < 1e12 ? (int64_t)frames : -1;
}

vision_video *vision_video_open(const char *path, vision_video_info *info, mn_error *err) {
    vision_video *v = nullptr;
    mn_status s = guarded(path, err, [&] {
        v = new vision_video;
        if (!is_file(path)) return mn_fail(err, MN_ERR_IO, "%s: there is no such file", path);
        if (!v->source.open(path))
            return mn_fail(err, MN_ERR_FORMAT, "%s: is neither a PNG or JPEG picture nor a video that OpenCV can read", path);
        describe(v, info);
        return MN_OK;
    });
    if (s == MN_OK) return v;
    delete v;
    return nullptr;
}

/* Linux has its cameras from V4L2; left to choose, OpenCV would also ask every device on the USB bus whether it is one. */
#ifdef __linux__
static const int CAMERA = cv::CAP_V4L2;
#else
static const int CAMERA = cv::CAP_ANY;
#endif

/* A number, a path like /dev/video2, or what OpenCV knows otherwise, like the address of a stream. */
static bool open_camera(cv::VideoCapture &source, const char *which) {
    char *end;
    long number = std::strtol(which, &end, 10);
    if (*which && !*end) return number >= 0 && number < 1024 && source.open((int)number, CAMERA);
    return source.open(which, std::strncmp(which, "/dev/", 5) == 0 ? CAMERA : (int)cv::CAP_ANY);
}

vision_video *vision_camera_open(const char *which, vision_video_info *info, mn_error *err) {
    vision_video *v = nullptr;
    mn_status s = guarded("the camera", err, [&] {
        v = new vision_video;
        if (!open_camera(v->source, which))
            return mn_fail(err, MN_ERR_DEVICE,
                           "camera %s cannot be opened; hint: `mien predict --list-cameras` names those that "
                           "can; is it plugged in, used by another program, and are you in the group \"video\"?",
                           which);
        describe(v, info);
        info->frames = -1;
        return MN_OK;
    });
    if (s == MN_OK) return v;
    delete v;
    return nullptr;
}

void vision_video_close(vision_video *v) { delete v; }

mn_status vision_video_read(vision_video *v, bool skip, mn_image *im, bool *end, mn_error *err) {
    *end = false;
    return guarded("the video", err, [&] {
        *end = skip ? !v->source.grab() : !v->source.read(v->frame) || v->frame.empty();
        return *end || skip ? MN_OK : take(v->frame, im, err);
    });
}

int vision_list_cameras(FILE *out, int most) {
    int found = 0;
    for (int i = 0; i < most; i++)
        guarded("the camera", nullptr, [&] {
            cv::VideoCapture source;
            cv::Mat frame;
            struct stat st;
            if (stat(("/dev/video" + std::to_string(i)).c_str(), &st) != 0) return MN_OK;
            if (!source.open(i, CAMERA) || !source.read(frame)) return MN_OK;
            fprintf(out, "camera:%d  %dx%d, %g frames a second\n", i, frame.cols, frame.rows, source.get(cv::CAP_PROP_FPS));
            found++;
            return MN_OK;
        });
    return found;
}

struct vision_writer {
    cv::VideoWriter file;
    cv::Mat bgr;
    cv::Size size;
};

static int codec_for(const char *path) {
    const char *dot = std::strrchr(path, '.');
    std::string e = dot ? dot + 1 : "";
    for (char &c : e) c = (char)std::tolower((unsigned char)c);
    if (e == "mp4" || e == "mkv") return cv::VideoWriter::fourcc('m', 'p', '4', 'v');
    return e == "avi" ? cv::VideoWriter::fourcc('M', 'J', 'P', 'G') : 0;
}

vision_writer *vision_writer_open(const char *path, int width, int height, double fps, mn_error *err) {
    vision_writer *w = nullptr;
    mn_status s = guarded(path, err, [&] {
        w = new vision_writer;
        int codec = codec_for(path);
        if (!codec) return mn_fail(err, MN_ERR_ARG, "%s: a video is written as .mp4, .mkv or .avi", path);
        w->size = cv::Size(width, height);
        if (!w->file.open(path, codec, fps, w->size)) return mn_fail(err, MN_ERR_IO, "%s: the video cannot be written", path);
        return MN_OK;
    });
    if (s == MN_OK) return w;
    delete w;
    return nullptr;
}

mn_status vision_writer_write(vision_writer *w, const mn_image *im, mn_error *err) {
    return guarded("the video", err, [&] {
        cv::cvtColor(view(im), w->bgr, im->channels == 3 ? cv::COLOR_RGB2BGR : cv::COLOR_GRAY2BGR);
        if (w->bgr.size() != w->size) cv::resize(w->bgr, w->bgr, w->size);
        w->file.write(w->bgr);
        return MN_OK;
    });
}
void vision_writer_close(vision_writer *w) { delete w; }

// ---- a window ----

mn_status vision_check_screen(mn_error *err) {
    for (const char *name : {"DISPLAY", "WAYLAND_DISPLAY"}) {
        const char *value = std::getenv(name);
        if (value && *value) return MN_OK;
    }
    return mn_fail(err, MN_ERR_DEVICE,
                   "--show needs a screen, and neither DISPLAY nor WAYLAND_DISPLAY is set; hint: write the "
                   "picture with --annotate OUT");
}

mn_status vision_show(const char *title, const mn_image *im, int wait_ms, bool *quit, mn_error *err) {
    mn_status s = vision_check_screen(err);
    if (s != MN_OK) return s;
    return guarded("the window", err, [&] {
        cv::Mat bgr;
        cv::cvtColor(view(im), bgr, im->channels == 3 ? cv::COLOR_RGB2BGR : cv::COLOR_GRAY2BGR);
        cv::imshow(title, bgr);
        int key = cv::waitKey(wait_ms) & 255;
        *quit = key == 'q' || key == 27 || cv::getWindowProperty(title, cv::WND_PROP_VISIBLE) < 1;
        return MN_OK;
    });
}

extern "C" __attribute__((visibility("default"))) const vision_calls vision_opencv = {
    vision_detector_open, vision_detector_close, vision_detect, vision_find_eyes,
    vision_video_open, vision_camera_open, vision_video_close, vision_video_read, vision_list_cameras,
    vision_writer_open, vision_writer_write, vision_writer_close,
    vision_check_screen, vision_show};
