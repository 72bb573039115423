/* Text, JSON and CSV. The words are chosen with care: a network labels a picture; it does not know a person.
 */
#include "apps/findings.h"
#include <math.h>
#include <string.h>

const char *findings_head_title(const predictor_head *h) {
    if (!strcmp(h->name, "emotion")) return "apparent expression";
    if (!strcmp(h->name, "gender")) return "model's gender label";
    return h->name;
}

/* Whether another model has a head of the same name: then the file is named as well. */
static bool ambiguous(const predictor *p, int head) {
    for (int i = 0; i < p->heads; i++)
        if (i != head && !strcmp(p->head[i].name, p->head[head].name)) return true;
    return false;
}

/* ---- text ---- */

static void write_text_face(FILE *out, const predictor *p, const findings_face *f) {
    for (int i = 0; i < p->heads; i++) {
        const predictor_head *h = &p->head[i];
        int best = predictor_best(h, f->value);
        fprintf(out, "%s%s", i ? ", " : "", findings_head_title(h));
        if (ambiguous(p, i)) fprintf(out, " (%s)", p->model[h->model].path);
        fprintf(out, ": %s%s %.0f %%", predictor_unsure(h, f->value) ? "unsure, " : "", h->class_name[best],
                100 * (double)f->value[h->offset + best]);
    }
    fputc('\n', out);
}

static void write_text(FILE *out, const predictor *p, const findings_picture *r) {
    if (r->error) return;
    if (r->frame < 0) fprintf(out, "%s: %d %s\n", r->input, r->faces, r->faces == 1 ? "face" : "faces");
    for (int i = 0; i < r->faces; i++) {
        const findings_face *f = &r->face[i];
        if (r->frame < 0)
            fprintf(out, "  face %d at %.0f,%.0f %.0fx%.0f: ", i + 1, f->box.x, f->box.y, f->box.w, f->box.h);
        else
            fprintf(out, "%s %.2f s, person %d: ", r->input, r->seconds, f->track);
        write_text_face(out, p, f);
    }
}

/* ---- JSON ---- */

/* The length of the UTF-8 character at s, or 0: overlong forms, surrogates and what is beyond U+10FFFF are
 * none. */
static int utf8_length(const unsigned char *s) {
    int n = s[0] < 0x80                   ? 1
            : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
            : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
            : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                          : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

void findings_json_string(FILE *out, const char *text) {
    fputc('"', out);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = utf8_length(s);
        if (!n)
            fputs("\\ufffd", out);
        else if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(out, "\\u%04x", *s);
        else
            fwrite(s, 1, (size_t)n, out);
        s += n ? n : 1;
    }
    fputc('"', out);
}

static void write_number(FILE *out, double v) {
    if (isfinite(v))
        fprintf(out, "%.6g", v);
    else
        fputs("null", out);
}

static void write_json_head(FILE *out, const predictor *p, const predictor_head *h, const float *value) {
    int best = predictor_best(h, value);
    fputs("{\"name\":", out);
    findings_json_string(out, h->name);
    fputs(",\"model\":", out);
    findings_json_string(out, p->model[h->model].path);
    fputs(",\"label\":", out);
    findings_json_string(out, h->class_name[best]);
    fputs(",\"probability\":", out);
    write_number(out, value[h->offset + best]);
    fprintf(out, ",\"unsure\":%s", predictor_unsure(h, value) ? "true" : "false");
    fputs(",\"probabilities\":{", out);
    for (int k = 0; k < h->classes; k++) {
        if (k) fputc(',', out);
        findings_json_string(out, h->class_name[k]);
        fputc(':', out);
        write_number(out, value[h->offset + k]);
    }
    fputs("}}", out);
}

static void write_json_box(FILE *out, const char *name, const face_box *b) {
    const double v[4] = {b->x, b->y, b->w, b->h};
    fprintf(out, "\"%s\":[", name);
    for (int i = 0; i < 4; i++) {
        if (i) fputc(',', out);
        write_number(out, v[i]);
    }
    fputs("],", out);
}

static void write_json_face(FILE *out, const predictor *p, const findings_face *f) {
    fputc('{', out);
    if (f->track) fprintf(out, "\"track\":%d,", f->track);
    write_json_box(out, "box", &f->box);
    write_json_box(out, "crop", &f->crop);
    fputs("\"score\":", out);
    write_number(out, f->box.score);
    fputs(",\"heads\":[", out);
    for (int i = 0; i < p->heads; i++) {
        if (i) fputc(',', out);
        write_json_head(out, p, &p->head[i], f->value);
    }
    fputs("]}", out);
}

static void write_json(FILE *out, const predictor *p, const findings_picture *r) {
    fputs("{\"schema\":\"" FINDINGS_SCHEMA "\",\"input\":", out);
    findings_json_string(out, r->input);
    if (r->frame >= 0) fprintf(out, ",\"frame\":%lld,\"seconds\":%.3f", (long long)r->frame, r->seconds);
    if (r->error) {
        fputs(",\"error\":", out);
        findings_json_string(out, r->error);
    } else {
        fprintf(out, ",\"width\":%d,\"height\":%d,\"faces\":[", r->width, r->height);
        for (int i = 0; i < r->faces; i++) {
            if (i) fputc(',', out);
            write_json_face(out, p, &r->face[i]);
        }
        fputc(']', out);
    }
    fputs("}\n", out);
}

/* ---- CSV (RFC 4180) ---- */

static void write_field(FILE *out, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void write_csv(FILE *out, const predictor *p, const findings_picture *r) {
    for (int i = 0; i < r->faces && !r->error; i++)
        for (int k = 0; k < p->heads; k++) {
            const predictor_head *h = &p->head[k];
            const findings_face *f = &r->face[i];
            int best = predictor_best(h, f->value);
            write_field(out, r->input);
            if (r->frame >= 0)
                fprintf(out, ",%lld,%.3f,%d", (long long)r->frame, r->seconds, f->track);
            else
                fprintf(out, ",,,");
            fprintf(out, ",%d,%.1f,%.1f,%.1f,%.1f,", i + 1, f->box.x, f->box.y, f->box.w, f->box.h);
            write_field(out, h->name);
            fputc(',', out);
            write_field(out, h->class_name[best]);
            fprintf(out, ",%.4f,", (double)f->value[h->offset + best]);
            write_field(out, p->model[h->model].path);
            fprintf(out, ",%d\n", predictor_unsure(h, f->value));
        }
}

void findings_begin(FILE *out, findings_format f) {
    if (f == FINDINGS_CSV) fputs("input,frame,seconds,track,face,x,y,w,h,head,label,probability,model,unsure\n", out);
}

void findings_write(FILE *out, findings_format f, const predictor *p, const findings_picture *r) {
    if (f == FINDINGS_TEXT)
        write_text(out, p, r);
    else if (f == FINDINGS_JSON)
        write_json(out, p, r);
    else
        write_csv(out, p, r);
}
