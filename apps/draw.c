/* Rectangles, and letters made of strokes. */
#include "apps/draw.h"
#include <math.h>

static void blend(mn_image *im, int x, int y, draw_colour c, double a) {
    uint8_t *p = im->pixels + ((size_t)y * (size_t)im->width + (size_t)x) * 3;
    p[0] = (uint8_t)(p[0] + (c.r - p[0]) * a + 0.5);
    p[1] = (uint8_t)(p[1] + (c.g - p[1]) * a + 0.5);
    p[2] = (uint8_t)(p[2] + (c.b - p[2]) * a + 0.5);
}

static int clip(double v, int hi) { return v <= 0 ? 0 : v >= hi ? hi : (int)v; }

void draw_fill(mn_image *im, double x, double y, double w, double h, draw_colour c, double opacity) {
    int x0 = clip(round(x), im->width), x1 = clip(round(x + w), im->width);
    int y0 = clip(round(y), im->height), y1 = clip(round(y + h), im->height);
    for (int j = y0; j < y1; j++)
        for (int i = x0; i < x1; i++) blend(im, i, j, c, opacity);
}

void draw_frame(mn_image *im, double x, double y, double w, double h, double t, draw_colour c) {
    t = fmax(1, round(t));
    draw_fill(im, x, y, w, t, c, 1);
    draw_fill(im, x, y + h - t, w, t, c, 1);
    draw_fill(im, x, y + t, t, h - 2 * t, c, 1);
    draw_fill(im, x + w - t, y + t, t, h - 2 * t, c, 1);
}

draw_colour draw_readable_on(draw_colour c) {
    double luma = 0.299 * c.r + 0.587 * c.g + 0.114 * c.b;
    return luma > 140 ? (draw_colour){0, 0, 0} : (draw_colour){255, 255, 255};
}

/* clang-format off */
/* ---- letters ----
 * A glyph is a list of strokes separated by spaces; a stroke is a list of points, each two
 * digits: x 0 (left) .. 4, y 0 (top) .. 6 (base line) .. 8. A stroke of one point twice is a dot. */
static const char *const glyphs[128] = {
    ['A'] = "062046 1434", ['B'] = "0006 003041423303 3344453606", ['C'] = "4130100105163645",
    ['D'] = "00063645413000", ['E'] = "40000646 0333", ['F'] = "400006 0333",
    ['G'] = "41301001051636454323", ['H'] = "0006 4046 0343", ['I'] = "0020 1016 0626",
    ['J'] = "4045361605", ['K'] = "0006 400346", ['L'] = "000646", ['M'] = "0600234046", ['N'] = "06004640",
    ['O'] = "103041453616050110", ['P'] = "06003041423303", ['Q'] = "103041453616050110 2446",
    ['R'] = "06003041423303 2346", ['S'] = "413010010213334445361605", ['T'] = "0040 2026",
    ['U'] = "000516364540", ['V'] = "002640", ['W'] = "0016233640", ['X'] = "0046 4006",
    ['Y'] = "002340 2326", ['Z'] = "00400646", ['a'] = "12324346 441405163645",
    ['b'] = "0006 0312324345361605", ['c'] = "4332120305163645", ['d'] = "4046 4332120305163645",
    ['e'] = "04444332120305163645", ['f'] = "30201116 0222", ['g'] = "4247381807 4332120305163645",
    ['h'] = "0006 0312324346", ['i'] = "0206 0000", ['j'] = "121708 1010", ['k'] = "0006 320436",
    ['l'] = "000516", ['m'] = "0206 03122326 23324346", ['n'] = "0206 0312324346",
    ['o'] = "123243453616050312", ['p'] = "0208 0312324345361605", ['q'] = "4248 4332120305163645",
    ['r'] = "0206 031232", ['s'] = "43321203143445361605", ['t'] = "10152636 0232",
    ['u'] = "0205163645 4246", ['v'] = "022642", ['w'] = "0216233642", ['x'] = "0246 4206",
    ['y'] = "0226 4218", ['z'] = "02420646", ['0'] = "103041453616050110", ['1'] = "011016 0626",
    ['2'] = "01103041420646", ['3'] = "01103041423313 334445361605", ['4'] = "36300444",
    ['5'] = "40000312324345361605", ['6'] = "3010010516364544331304", ['7'] = "004016",
    ['8'] = "103041423313020110 1304051636454433", ['9'] = "1636454130100102133342",
    ['%'] = "0010110100 4006 3545463635", ['.'] = "0606", [','] = "1507", [':'] = "0303 0606",
    ['-'] = "0434", ['+'] = "0444 2226", ['/'] = "4006", ['_'] = "0747", ['('] = "10010516",
    [')'] = "00111506", ['\''] = "0002", ['?'] = "01103041422324 2626", ['!'] = "0004 0606",
    ['#'] = "1016 3036 0242 0444", ['='] = "0343 0545", [' '] = ""};
/* clang-format on */

static const char *glyph_of(char c) {
    const char *g = (unsigned char)c < 128 ? glyphs[(unsigned char)c] : NULL;
    return g ? g : glyphs['?'];
}
/* The second and later bytes of a UTF-8 character are not printed. */
static bool continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static const double glyph_gap = 1.6; /* between letters */

static int glyph_width(const char *g) {
    int width = *g ? 0 : 2;
    for (; *g; g += g[0] == ' ' ? 1 : 2)
        if (*g != ' ' && *g - '0' > width) width = *g - '0';
    return width;
}

double draw_text_width(double height, const char *text) {
    double units = 0;
    for (; *text; text++)
        if (!continues(*text)) units += glyph_width(glyph_of(*text)) + glyph_gap;
    return units > 0 ? (units - glyph_gap) * height / 6 : 0;
}

/* A line with round ends, `half` thick on both sides; edges are smoothed over one pixel. */
static void draw_line(mn_image *im, double ax, double ay, double bx, double by, double half, draw_colour c) {
    double dx = bx - ax, dy = by - ay, length2 = dx * dx + dy * dy, reach = half + 1;
    int x0 = clip(fmin(ax, bx) - reach, im->width), x1 = clip(fmax(ax, bx) + reach + 1, im->width);
    int y0 = clip(fmin(ay, by) - reach, im->height), y1 = clip(fmax(ay, by) + reach + 1, im->height);
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            double px = x + 0.5 - ax, py = y + 0.5 - ay, t = length2 > 0 ? (px * dx + py * dy) / length2 : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            double cover = half + 0.5 - hypot(px - t * dx, py - t * dy);
            if (cover > 0) blend(im, x, y, c, cover < 1 ? cover : 1);
        }
}

static void draw_glyph(mn_image *im, double x, double y, double unit, double half, draw_colour c, const char *g) {
    for (; *g; g += g[2] == ' ' ? 3 : 2) {
        if (!g[2] || g[2] == ' ') continue; /* the last point of a stroke */
        double ax = x + (g[0] - '0') * unit;
        double ay = y + (g[1] - '0') * unit;
        draw_line(im, ax, ay, x + (g[2] - '0') * unit, y + (g[3] - '0') * unit, half, c);
    }
}

double draw_text(mn_image *im, double x, double y, double height, draw_colour c, const char *text) {
    double unit = height / 6, start = x, half = fmax(0.55, height * 0.075);
    for (; *text; text++) {
        if (continues(*text)) continue;
        const char *g = glyph_of(*text);
        draw_glyph(im, x, y, unit, half, c, g);
        x += (glyph_width(g) + glyph_gap) * unit;
    }
    return fmax(0, x - start - glyph_gap * unit);
}
