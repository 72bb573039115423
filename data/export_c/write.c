/* The exported C file: its words, its weights, the kernels it needs, and the calls. */
#include "data/export_c/export_c.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* data/export_c/kernels.c as strings: a section's name, its text, the next name, ... (the Makefile makes it). */
static const char *const kernels[] = {
#include "export_c_kernels.inc"
};
enum { N_SECTIONS = sizeof kernels / sizeof *kernels / 2 };

static const char *section(const char *name) {
    for (int i = 0; i < N_SECTIONS; i++)
        if (!strcmp(kernels[2 * i], name)) return kernels[2 * i + 1];
    return "";
}

/* ---- the arena ---- */

/* Which calls a buffer lives through. */
static void life_of(const mn__export *x, int buffer, int *first, int *last) {
    int call = -1;
    *first = -1, *last = -2;
    for (const char *p = x->calls.text; p && *p; p++) {
        if (*p == MN__NEW_CALL) call++;
        if (*p != '@' || atoi(p + 1) != buffer) continue;
        if (*first < 0) *first = call;
        *last = call;
    }
}

static int larger_first(const void *a, const void *b) {
    const int64_t *p = a, *q = b;
    return p[0] != q[0] ? (p[0] < q[0]) - (p[0] > q[0]) : (p[1] > q[1]) - (p[1] < q[1]);
}

/* The lowest place for a buffer that collides with none of the placed ones that live when it does. */
static int64_t lowest_place(const mn__export *x, const int (*life)[2], const int64_t (*order)[2], int placed, int b) {
    int64_t place = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int k = 0; k < placed; k++) {
            int other = (int)order[k][1];
            bool together = life[other][0] <= life[b][1] && life[b][0] <= life[other][1];
            if (!together || x->place[other] >= place + x->size[b] || place >= x->place[other] + x->size[other]) continue;
            place = x->place[other] + x->size[other];
            moved = true;
        }
    }
    return place;
}

mn_status mn__export_arena(mn__export *x) {
    int n = x->n_buffers;
    int(*life)[2] = mn_alloc((size_t)n * sizeof *life);
    int64_t(*order)[2] = mn_alloc((size_t)n * sizeof *order);
    mn_status s = life && order ? MN_OK : mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for the plan of buffers");
    for (int b = 1; b < n && s == MN_OK; b++) {
        life_of(x, b, &life[b][0], &life[b][1]);
        x->size[b] = (x->size[b] + 15) / 16 * 16; /* a cache line */
        order[b - 1][0] = x->size[b], order[b - 1][1] = b;
    }
    if (s == MN_OK && n > 1) qsort(order, (size_t)n - 1, sizeof *order, larger_first);
    for (int k = 0; k + 1 < n && s == MN_OK; k++) {
        int b = (int)order[k][1];
        x->place[b] = lowest_place(x, (const int(*)[2])life, (const int64_t(*)[2])order, k, b);
        if (x->place[b] + x->size[b] > x->arena) x->arena = x->place[b] + x->size[b];
    }
    mn_free(life);
    mn_free(order);
    return s;
}

/* ---- words ---- */

/* Text inside a comment, which it must not end. */
static void put_comment(FILE *f, const char *text) {
    for (; *text; text++) fputc((unsigned char)*text < ' ' || strchr("*/\\?", *text) ? '_' : *text, f);
}

/* A C string; everything but plain ASCII as octal numbers. */
static void put_string(FILE *f, const char *text) {
    fputc('"', f);
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr(" .,:;_+-()", *text))
            fputc(*text, f);
        else
            fprintf(f, "\\%03o", (unsigned char)*text);
    fputc('"', f);
}

/* A word of a name in C: what is no letter or digit becomes a line below. */
static void put_word(FILE *f, const char *text, bool upper) {
    for (; *text; text++)
        fputc(!isalnum((unsigned char)*text) || (unsigned char)*text > 127 ? '_'
              : upper                                                      ? toupper((unsigned char)*text)
                                                                           : *text,
              f);
}

typedef struct out {
    mn__export *x;
    FILE *f;
    char name[64], upper[64];
    bool words; /* weights as text that is decoded at the first call */
} out;

static void put_preprocess(const out *o) {
    const mn_preprocess *p = &o->x->info->preprocess;
    FILE *f = o->f;
    double lo = p->lo, hi = p->lo == 0 && p->hi == 0 ? 1 : p->hi;
    fprintf(f, " * Pictures: %d x %d, %s, 8 bits a number, rows from the top, channels side by side.\n", p->width, p->height,
            p->channels == 3          ? "red, green, blue"
            : p->grey == MN_GREY_MEAN ? "grey = (red + green + blue)/3"
                                      : "grey = 0.299 red + 0.587 green + 0.114 blue");
    if (p->standardize)
        fprintf(f, " * %s_prepare makes numbers of them: (pixel - mean) / (deviation + %.9g), both of the picture.\n", o->name,
                p->standardize_eps);
    else
        fprintf(f, " * %s_prepare makes numbers of them: %.9g for 0 to %.9g for 255", o->name, lo, hi);
    if (p->standardize) return;
    for (int c = 0; c < p->channels; c++)
        if (p->mean[c] != 0 || (p->deviation[c] != 0 && p->deviation[c] != 1))
            fprintf(f, "%s(number - %.9g) / %.9g", c ? ", " : ", then ", p->mean[c], p->deviation[c] != 0 ? p->deviation[c] : 1);
    fprintf(f, ".\n");
}

static bool is_picture(const mn__export *x) {
    return x->info && x->info->preprocess.channels >= 1 && x->info->preprocess.channels <= 3 &&
           mn_model_input_shape(x->m, 0).ndim == 3;
}

static void put_head_comment(const out *o) {
    const mn__export *x = o->x;
    FILE *f = o->f;
    char text[64];
    mn_shape in = mn_model_input_shape(x->m, 0), file = in;
    for (int i = 0; i < in.ndim; i++) file.dim[i] = in.dim[mn__file_dim(in.ndim, i)];
    fprintf(f, "/* The network \"");
    put_comment(f, x->m->name);
    fprintf(f,
            "\", written by `mien export`. C99, no dependencies but the mathematical library:\n"
            " *     cc -std=c99 -O3 -c %s.c\n *\n"
            " * %s_predict(in, out) reads the %lld numbers of `in` %s%s and writes\n"
            " * %s_OUTPUTS numbers: for each head the probabilities of its classes. It returns 0, or 1 when a pointer is NULL.\n"
            " * One call at a time: its memory is static, %lld bytes%s.\n",
            o->name, o->name, (long long)mn_shape_count(in), mn_shape_text(file, text, sizeof text),
            in.ndim >= 3 ? " (height, width, channels last)" : "", o->upper,
            (long long)(x->arena + x->points + (o->words ? x->weights.n : 0)) * 4, o->words ? ", weights included" : "");
    if (is_picture(x)) put_preprocess(o);
    fprintf(f, " * Weights: %lld %s%s. */\n", (long long)x->weights.n,
            x->opt->int8 ? "numbers of 8 bits, one scale a filter" : "floats",
            o->words ? ", as text that the first call decodes" : ", constants");
}

static void put_outputs(const out *o) {
    const mn__export *x = o->x;
    FILE *f = o->f;
    int64_t done = 0;
    for (int i = 0; i < x->m->n_outputs; i++) {
        int64_t n = mn_shape_count(mn_model_output_shape(x->m, i));
        const mn_head *h = x->info && i < x->info->n_heads ? &x->info->head[i] : NULL;
        const char *name = h ? h->name : mn_model_output_name(x->m, i);
        fprintf(f, "#define %s_", o->upper), put_word(f, name, true);
        fprintf(f, "_AT %lld /* where this head's %lld numbers begin in out */\n", (long long)done, (long long)n);
        if (h && h->class_name) {
            fprintf(f, "const char *const %s_", o->name), put_word(f, name, false);
            fprintf(f, "_classes[%d] = {", h->n_classes);
            for (int k = 0; k < h->n_classes; k++) {
                fprintf(f, k % 8 ? ", " : k ? ",\n    " : "\n    ");
                put_string(f, h->class_name[k] ? h->class_name[k] : "");
            }
            fprintf(f, "};\n");
        }
        done += n;
    }
    fprintf(f, "#define %s_OUTPUTS %lld\n\n", o->upper, (long long)done);
}

/* ---- numbers ---- */

/* The shortest decimal that is this float again. */
static void put_float(FILE *f, float v) {
    char text[40];
    int digits = 1;
    do snprintf(text, sizeof text, "%.*g", digits, (double)v);
    while (digits++ < 9 && (float)strtod(text, NULL) != v);
    const char *from = text;
    if (*from == '-') fputc(*from++, f);
    if (from[0] == '0' && from[1] == '.') from++;
    fputs(from, f);
    fputc(',', f);
}

static void put_floats(FILE *f, const char *type, const char *name, const mn__numbers *l, bool whole) {
    fprintf(f, "static const %s %s[%lld] = {", type, name, (long long)(l->n ? l->n : 1));
    for (int64_t i = 0; i < l->n; i++) {
        if (i % (whole ? 24 : 10) == 0) fputc('\n', f);
        if (whole)
            fprintf(f, "%d,", (int)l->at[i]);
        else
            put_float(f, l->at[i]);
    }
    fprintf(f, l->n ? "\n};\n" : "0};\n");
}

/* Base 85, in strings short enough for C99. */
static void put_packed(FILE *f, const mn__numbers *l) {
    enum { A_LINE = 20, A_STRING = 800 };
    fprintf(f, "static const char *const packed[] = {");
    for (int64_t i = 0; i < l->n; i++) {
        uint32_t bits;
        char text[6] = "";
        memcpy(&bits, &l->at[i], sizeof bits);
        for (int k = 4; k >= 0; k--, bits /= 85) text[k] = (char)('#' + bits % 85);
        for (int k = 0; k < 5; k++) text[k] = text[k] == '\\' ? 'x' : text[k] == '?' ? 'y' : text[k];
        fprintf(f, "%s%s", i % A_LINE ? "" : i == 0 ? "\n\"" : i % A_STRING ? "\"\n\"" : "\",\n\"", text);
    }
    fprintf(f, "%s};\n", l->n ? "\"\n" : "\"\"");
}

static void put_weights(const out *o) {
    const mn__export *x = o->x;
    fprintf(o->f, "#define WEIGHT_BYTES %d\ntypedef %s weight;\n", x->opt->int8 ? 1 : 4, x->opt->int8 ? "signed char" : "float");
    if (o->words) {
        fprintf(o->f, "static weight weights[%lld];\n", (long long)x->weights.n);
        put_packed(o->f, &x->weights);
    } else if (strstr(x->calls.text, "weights + ")) {
        put_floats(o->f, "weight", "weights", &x->weights, x->opt->int8);
    }
    if (strstr(x->calls.text, "numbers + ")) put_floats(o->f, "float", "numbers", &x->numbers, false);
}

/* ---- code ---- */

static bool calls(const mn__export *x, const char *name) {
    char text[64];
    if (!strcmp(name, "conv") && x->points) return true; /* Winograd's products */
    snprintf(text, sizeof text, "KERNEL(%s)", name);
    return strstr(x->calls.text, text) != NULL;
}

/* The calls, "@3" replaced by where buffer 3 lies. */
static void put_calls(const out *o) {
    const mn__export *x = o->x;
    for (const char *p = x->calls.text; *p; p++) {
        if (*p == MN__NEW_CALL) continue;
        if (*p != '@') {
            fputc(*p, o->f);
            continue;
        }
        int b = (int)strtol(p + 1, (char **)&p, 10);
        p--;
        if (b == 0)
            fprintf(o->f, "in");
        else
            fprintf(o->f, "arena + %lld", (long long)x->place[b]);
    }
}

static void put_code(const out *o) {
    FILE *f = o->f;
    for (int i = 0; i < N_SECTIONS; i++)
        if (calls(o->x, kernels[2 * i])) fprintf(f, "%s", kernels[2 * i + 1]);
    fprintf(f, "TARGET static void KERNEL(run)(const float *in, float *out) {\n");
    if (strstr(o->x->calls.text, "for (t = 0")) fprintf(f, "    int t;\n");
    put_calls(o);
    fprintf(f, "}\n");
}

static void put_kernels(const out *o) {
    const mn__export *x = o->x;
    bool windows = strstr(x->calls.text, "const window)") || x->points, vectors = windows || calls(x, "dense");
    FILE *f = o->f;
    if (o->words) fprintf(f, "\n%s", section("decode"));
    if (vectors) {
        for (const char *p = section("vectors"); *p; p++)
            if (!strncmp(p, "NAME_", 5))
                fprintf(f, "%s_", o->upper), p += 4;
            else
                fputc(*p, f);
    }
    if (windows) fprintf(f, "%s", section("window"));
    fprintf(f,
            "#define BLOCK(n) (((n) + 7) / 8 * 8)\n"
            "enum { LINEAR, RELU, LEAKY_RELU, ELU, SIGMOID, TANH, GELU, SILU, SOFTPLUS };\n"
            "static float arena[%lld];\n\n",
            (long long)(x->arena ? x->arena : 1));
    if (x->points) fprintf(f, "static float at_points[%lld];\n\n%s", (long long)x->points, section("points"));
    fprintf(f, "%s", section("any"));
    put_code(o);
    fprintf(f, "%s", section("avx2"));
    put_code(o);
    fprintf(f, "%s", section("end"));
}

static void put_entry(const out *o) {
    FILE *f = o->f;
    if (is_picture(o->x)) {
        const mn_preprocess *p = &o->x->info->preprocess;
        int n = p->channels * p->height * p->width;
        fprintf(f, "\nint %s_prepare(const unsigned char *pixels, float *in) {\n    int i;\n", o->name);
        if (p->standardize) {
            fprintf(f,
                    "    double sum = 0, squares = 0, mean, deviation;\n    if (!pixels || !in) return 1;\n"
                    "    for (i = 0; i < %d; i++) sum += pixels[i], squares += (double)pixels[i] * pixels[i];\n"
                    "    mean = sum / %d;\n    deviation = squares / %d - mean * mean;\n"
                    "    deviation = sqrt(deviation > 0 ? deviation : 0) + %.9g;\n"
                    "    for (i = 0; i < %d; i++) in[i] = deviation > 0 ? (float)((pixels[i] - mean) / deviation) : 0;\n",
                    n, n, n, p->standardize_eps, n);
        } else {
            double hi = p->lo == 0 && p->hi == 0 ? 1 : p->hi;
            fprintf(f,
                    "    static const double mean[3] = {%.17g, %.17g, %.17g}, deviation[3] = {%.17g, %.17g, %.17g};\n"
                    "    if (!pixels || !in) return 1;\n"
                    "    for (i = 0; i < %d; i++)\n        in[i] = (float)((%.17g + %.17g * pixels[i] / 255 - mean[i %% %d]) / "
                    "deviation[i %% %d]);\n",
                    p->mean[0], p->mean[1], p->mean[2], p->deviation[0] != 0 ? p->deviation[0] : 1,
                    p->deviation[1] != 0 ? p->deviation[1] : 1, p->deviation[2] != 0 ? p->deviation[2] : 1, n, p->lo, hi - p->lo,
                    p->channels, p->channels);
        }
        fprintf(f, "    return 0;\n}\n");
    }
    fprintf(f, "\nint %s_predict(const float *in, float *out) {\n    if (!in || !out) return 1;\n", o->name);
    if (o->words)
        fprintf(f,
                "    {\n        static int decoded;\n        if (!decoded) {\n            decode();\n%s        }\n        "
                "decoded = 1;\n    }\n",
                o->x->first_call.text ? o->x->first_call.text : "");
    fprintf(f, "    RUN(in, out);\n    return 0;\n}\n");
}

static void name_of(out *o, const char *path) {
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(o->name, sizeof o->name, "%.40s", o->x->opt->name ? o->x->opt->name : base);
    if (!o->x->opt->name && strrchr(o->name, '.') > o->name) *strrchr(o->name, '.') = 0;
    for (char *p = o->name; *p; p++)
        if (!isalnum((unsigned char)*p) || (unsigned char)*p > 127) *p = '_';
    if (!o->name[0] || isdigit((unsigned char)o->name[0])) o->name[0] = '_';
    for (int i = 0; i < (int)sizeof o->name; i++) o->upper[i] = (char)toupper((unsigned char)o->name[i]);
}

mn_status mn__export_write(mn__export *x, const char *path, int64_t *bytes) {
    out o = {.x = x, .words = !x->opt->int8 && !x->opt->constants && x->weights.n > 0};
    mn__replace r;
    name_of(&o, path);
    mn_status s = mn__replace_begin(&r, path, x->err);
    if (s) return s;
    o.f = r.f;
    put_head_comment(&o);
    fprintf(o.f,
            "#include <float.h>\n#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n\n"
            "int %s_predict(const float *in, float *out);\n",
            o.name);
    if (is_picture(x)) fprintf(o.f, "int %s_prepare(const unsigned char *pixels, float *in);\n", o.name);
    put_outputs(&o);
    put_weights(&o);
    put_kernels(&o);
    put_entry(&o);
    *bytes = ftell(o.f);
    if (!ferror(o.f)) return mn__replace_commit(&r, x->err);
    mn__replace_abort(&r);
    return mn_fail(x->err, MN_ERR_IO, "%s: cannot be written; hint: is the disk full?", path);
}
