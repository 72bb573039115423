/* Shapes and pages as SVG text. */
#include "apps/svg.h"
#include "apps/app.h"
#include <math.h>
#include <stdlib.h>

const char *const svg_palette[7] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};

/* Markup is escaped, control characters are left out. */
static void svg_escape(FILE *f, const char *text) {
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", f);
        else if (*text == '>')
            fputs("&gt;", f);
        else if (*text == '&')
            fputs("&amp;", f);
        else if (*text == '"')
            fputs("&quot;", f);
        else if ((unsigned char)*text >= 32)
            fputc(*text, f);
    }
}

void svg_text(FILE *f, double x, double y, int size, svg_anchor a, const char *colour, const char *text) {
    static const char *const names[] = {"start", "middle", "end"};
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\" fill=\"%s\">", x, y, size, names[a], colour);
    svg_escape(f, text);
    fputs("</text>\n", f);
}

void svg_line(FILE *f, double x1, double y1, double x2, double y2, const char *colour, double width) {
    fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%.1f\"/>\n", x1, y1, x2, y2,
            colour, width);
}

FILE *svg_open(char **text, size_t *size, int width, int height, const char *title) {
    FILE *f = open_memstream(text, size);
    if (!f) app_alloc(SIZE_MAX, 1); /* says that memory is out, and ends */
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n<title>",
            width, height, width, height);
    svg_escape(f, title);
    fprintf(f, "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", width, height);
    return f;
}

char *svg_close(FILE *f, char **text) {
    fputs("</svg>\n", f);
    fclose(f);
    return *text;
}

double svg_step(double range, int parts) {
    double raw = range / parts, power = pow(10, floor(log10(raw)));
    for (int i = 0; i < 3; i++) {
        static const double factor[] = {1, 2, 5};
        if (factor[i] * power >= raw * 0.999) return factor[i] * power;
    }
    return 10 * power;
}
