/* The canvas of the rendered faces: see canvas.h. */
#include "data/render/canvas.h"
#include <math.h>

static float minf(float a, float b) { return a < b ? a : b; }
static float maxf(float a, float b) { return a > b ? a : b; }
static float clampf(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }
static int clampi(float v, int lo, int hi) { return v <= (float)lo ? lo : v >= (float)hi ? hi : (int)v; }

mn_status mn__canvas_create(mn__canvas *c, int size, int channels, mn_error *err) {
    size_t plane = (size_t)size * (size_t)size, edge = (size_t)size * (size_t)(size + 2);
    *c = (mn__canvas){.size = size, .channels = channels};
    float *m = mn_alloc_zero(plane * (size_t)(channels + 1) + edge, sizeof(float));
    if (!m) return mn_fail(err, MN_ERR_MEMORY, "render: out of memory for a canvas of %dx%d pixels", size, size);
    c->memory = m;
    for (int k = 0; k < channels; k++, m += plane) c->plane[k] = m;
    c->mask = m;
    c->edge = m + plane;
    c->detail = clampi((float)size / 16, 3, 10);
    return MN_OK;
}

void mn__canvas_destroy(mn__canvas *c) {
    mn_free(c->memory);
    *c = (mn__canvas){0};
}

/* ---- outlines ------------------------------------------------------------------------------------- */

static void push(mn__path *p, float x, float y) {
    if (p->n < MN__PATH_MAX) p->p[p->n++] = (mn__point){x, y};
}

/* The Catmull-Rom spline from b to c with neighbours a and d, at t in 0..1. */
static float spline(float a, float b, float c, float d, float t) {
    return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

void mn__path_curve(mn__path *p, const mn__canvas *c, const mn__point *control, int n, bool closed) {
    int last = closed ? n : n - 1;
    for (int i = 0; i < last; i++) {
        mn__point b = control[i], e = control[(i + 1) % n];
        mn__point a = i > 0 ? control[i - 1] : closed ? control[n - 1] : b;
        mn__point d = i + 2 < n ? control[i + 2] : closed ? control[(i + 2) % n] : e;
        for (int k = 0; k < c->detail; k++) {
            float t = (float)k / (float)c->detail;
            push(p, spline(a.x, b.x, e.x, d.x, t), spline(a.y, b.y, e.y, d.y, t));
        }
    }
    if (!closed) push(p, control[n - 1].x, control[n - 1].y);
}

void mn__path_ellipse(mn__path *p, mn__point centre, float rx, float ry, float turn) {
    int n = clampi(3 * sqrtf(maxf(rx, ry)) + 8, 10, 64);
    float cs = cosf(turn), sn = sinf(turn);
    for (int i = 0; i < n; i++) {
        float a = 6.2831853f * (float)i / (float)n, x = rx * cosf(a), y = ry * sinf(a);
        push(p, centre.x + cs * x - sn * y, centre.y + sn * x + cs * y);
    }
}

/* ---- coverage -------------------------------------------------------------------------------------
 * edge[y][x] holds by how much the covered share of pixel x differs from that of x-1 (Levien 2016,
 * "Inside the fastest font renderer in the world"): a running sum along the row is the coverage. */

/* One row: the edge runs from x0 to x1 over a height of |d|, d > 0 downwards. */
static void add_row(float *row, float x0, float x1, float d) {
    float left = floorf(minf(x0, x1)), hi = maxf(x0, x1), lo = minf(x0, x1);
    int i0 = (int)left, i1 = (int)ceilf(hi);
    if (i1 <= i0 + 1) {
        float part = d * (0.5f * (x0 + x1) - left);
        row[i0] += d - part, row[i0 + 1] += part;
        return;
    }
    float s = 1 / (hi - lo), before = 0;
    for (int i = i0; i < i1; i++) {
        /* the share of the height that lies left of pixel i's right side, averaged over the pixel */
        float a = maxf(lo, (float)i), b = minf(hi, (float)(i + 1));
        float covered = s * (b - a) * ((float)(i + 1) - 0.5f * (a + b)) + s * (a - lo);
        row[i] += d * (covered - before);
        before = covered;
    }
    row[i1] += d * (1 - before);
}

static void add_edge(mn__canvas *c, mn__point a, mn__point b) {
    float direction = 1, limit = (float)c->size;
    if (a.y > b.y) {
        mn__point t = a;
        a = b, b = t, direction = -1;
    }
    if (!(b.y > 0) || !(a.y < limit) || !(b.y > a.y)) return;
    float slope = (b.x - a.x) / (b.y - a.y);
    int end = clampi(ceilf(b.y), 0, c->size);
    for (int y = clampi(floorf(a.y), 0, c->size); y < end; y++) {
        float y0 = maxf(a.y, (float)y), y1 = minf(b.y, (float)(y + 1));
        float x0 = clampf(a.x + slope * (y0 - a.y), 0, limit), x1 = clampf(a.x + slope * (y1 - a.y), 0, limit);
        add_row(c->edge + (size_t)y * (size_t)(c->size + 2), x0, x1, direction * (y1 - y0));
    }
}

static mn__box bounds(const mn__canvas *c, const mn__path *p) {
    float x0 = 1e9f, y0 = 1e9f, x1 = -1e9f, y1 = -1e9f;
    for (int i = 0; i < p->n; i++) {
        x0 = minf(x0, p->p[i].x), x1 = maxf(x1, p->p[i].x);
        y0 = minf(y0, p->p[i].y), y1 = maxf(y1, p->p[i].y);
    }
    int s = c->size;
    return (mn__box){clampi(floorf(x0), 0, s), clampi(floorf(y0), 0, s), clampi(ceilf(x1) + 1, 0, s), clampi(ceilf(y1), 0, s)};
}

static mn__box clip_box(const mn__canvas *c, mn__box b) {
    if (!c->clipped) return b;
    mn__box k = c->clip;
    return (mn__box){b.x0 > k.x0 ? b.x0 : k.x0, b.y0 > k.y0 ? b.y0 : k.y0, b.x1 < k.x1 ? b.x1 : k.x1, b.y1 < k.y1 ? b.y1 : k.y1};
}

static mn__box trace(mn__canvas *c, const mn__path *p) {
    for (int i = 0; i < p->n; i++) add_edge(c, p->p[i], p->p[i + 1 < p->n ? i + 1 : 0]);
    return bounds(c, p);
}

/* The coverage of row y, left to right from b.x0; clears the differences that it has read. */
static void coverage(mn__canvas *c, int y, mn__box b, float *out) {
    float *row = c->edge + (size_t)y * (size_t)(c->size + 2), sum = 0;
    for (int x = b.x0; x < b.x1; x++) {
        sum += row[x];
        out[x] = minf(fabsf(sum), 1);
        row[x] = 0;
    }
    row[b.x1] = row[b.x1 + 1] = 0;
}

void mn__clip(mn__canvas *c, const mn__path *outline) {
    c->clip = trace(c, outline);
    c->clipped = true;
    for (int y = c->clip.y0; y < c->clip.y1; y++) coverage(c, y, c->clip, c->mask + (size_t)y * (size_t)c->size);
}

void mn__unclip(mn__canvas *c) { c->clipped = false; }

/* ---- painting ------------------------------------------------------------------------------------- */

/* BT.601, as in mn_image_convert. */
static float component(const mn__canvas *c, int k, mn__rgb colour) {
    if (c->channels == 1) return 0.299f * colour.r + 0.587f * colour.g + 0.114f * colour.b;
    return k == 0 ? colour.r : k == 1 ? colour.g : colour.b;
}

/* Pixels x0..x1-1 of row y move towards the colour by weight[x], times the mask where one is set. */
static void blend(mn__canvas *c, int y, int x0, int x1, float *weight, mn__rgb colour) {
    size_t at = (size_t)y * (size_t)c->size;
    if (c->clipped)
        for (int x = x0; x < x1; x++) weight[x] *= c->mask[at + (size_t)x];
    for (int k = 0; k < c->channels; k++) {
        float *p = c->plane[k] + at, v = component(c, k, colour);
        for (int x = x0; x < x1; x++) p[x] += weight[x] * (v - p[x]);
    }
}

void mn__gradient(mn__canvas *c, mn__rgb top, mn__rgb bottom) {
    for (int y = 0; y < c->size; y++) {
        mn__rgb colour = mn__mix(top, bottom, ((float)y + 0.5f) / (float)c->size);
        for (int k = 0; k < c->channels; k++) {
            float *p = c->plane[k] + (size_t)y * (size_t)c->size, v = component(c, k, colour);
            for (int x = 0; x < c->size; x++) p[x] = v;
        }
    }
}

void mn__fill(mn__canvas *c, const mn__path *outline, mn__rgb colour, float alpha) {
    if (!(alpha > 0) || outline->n < 3) return;
    float weight[MN_RENDER_MAX_SIZE];
    mn__box b = trace(c, outline), k = clip_box(c, b);
    for (int y = b.y0; y < b.y1; y++) {
        coverage(c, y, b, weight);
        if (y < k.y0 || y >= k.y1) continue;
        for (int x = k.x0; x < k.x1; x++) weight[x] *= alpha;
        blend(c, y, k.x0, k.x1, weight, colour);
    }
}

/* The outline of a line with round-ish ends whose width follows the pen. */
static void outline_of(mn__path *out, const mn__path *line, mn__pen pen, float wider) {
    int n = line->n;
    out->n = 0;
    mn__point back[MN__PATH_MAX];
    for (int i = 0; i < n; i++) {
        mn__point a = line->p[i > 0 ? i - 1 : 0], b = line->p[i + 1 < n ? i + 1 : n - 1], p = line->p[i];
        float t = n > 1 ? (float)i / (float)(n - 1) : 0, dx = b.x - a.x, dy = b.y - a.y;
        float width = t < 0.5f ? pen.w0 + 2 * t * (pen.w1 - pen.w0) : pen.w1 + (2 * t - 1) * (pen.w2 - pen.w1);
        float k = 0.5f * wider * width / maxf(sqrtf(dx * dx + dy * dy), 1e-6f);
        push(out, p.x - k * dy, p.y + k * dx);
        back[i] = (mn__point){p.x + k * dy, p.y - k * dx};
    }
    for (int i = n - 1; i >= 0; i--) push(out, back[i].x, back[i].y);
}

void mn__stroke(mn__canvas *c, const mn__point *control, int n, mn__pen pen, mn__rgb colour, float alpha) {
    if (!(alpha > 0.004f)) return;
    mn__path line = {.n = 0}, out;
    mn__path_curve(&line, c, control, n, false);
    if (line.n > MN__PATH_MAX / 2) line.n = MN__PATH_MAX / 2;
    if (!(pen.soft > 0)) {
        outline_of(&out, &line, pen, 1);
        mn__fill(c, &out, colour, alpha);
        return;
    }
    const int layers = 3;
    for (int i = 0; i < layers; i++) {
        outline_of(&out, &line, pen, 1 + pen.soft * ((float)i - 1) * 0.8f);
        mn__fill(c, &out, colour, alpha / (float)layers * 1.3f);
    }
}

/* The box around an ellipse with its axis turned. */
static mn__box ellipse_box(const mn__canvas *c, mn__point o, float rx, float ry, float cs, float sn) {
    float w = sqrtf(rx * rx * cs * cs + ry * ry * sn * sn), h = sqrtf(rx * rx * sn * sn + ry * ry * cs * cs);
    mn__box b = {clampi(floorf(o.x - w), 0, c->size), clampi(floorf(o.y - h), 0, c->size), clampi(ceilf(o.x + w) + 1, 0, c->size),
                 clampi(ceilf(o.y + h) + 1, 0, c->size)};
    return clip_box(c, b);
}

void mn__spot(mn__canvas *c, mn__point o, float rx, float ry, float turn, mn__rgb colour, float alpha) {
    if (!(alpha > 0.004f) || !(rx > 0) || !(ry > 0)) return;
    float weight[MN_RENDER_MAX_SIZE], cs = cosf(turn), sn = sinf(turn);
    /* A spot smaller than a pixel is spread over one, with the same total. */
    float least = 0.9f, wide = maxf(rx, least), high = maxf(ry, least);
    alpha *= rx * ry / (wide * high);
    mn__box b = ellipse_box(c, o, wide, high, cs, sn);
    for (int y = b.y0; y < b.y1; y++) {
        float dy = (float)y + 0.5f - o.y;
        for (int x = b.x0; x < b.x1; x++) {
            float dx = (float)x + 0.5f - o.x, u = (cs * dx + sn * dy) / wide, v = (cs * dy - sn * dx) / high;
            float k = maxf(1 - u * u - v * v, 0);
            weight[x] = alpha * k * k;
        }
        blend(c, y, b.x0, b.x1, weight, colour);
    }
}

void mn__shade(mn__canvas *c, mn__point o, float rx, float ry, float turn, const mn__light *light) {
    float cs = cosf(turn), sn = sinf(turn);
    mn__box b = clip_box(c, (mn__box){0, 0, c->size, c->size});
    for (int y = b.y0; y < b.y1; y++) {
        size_t at = (size_t)y * (size_t)c->size;
        float dy = (float)y + 0.5f - o.y;
        for (int x = b.x0; x < b.x1; x++) {
            float dx = (float)x + 0.5f - o.x, u = (cs * dx + sn * dy) / rx, v = (cs * dy - sn * dx) / ry;
            float w = sqrtf(maxf(1 - u * u - v * v, 0.04f)), length = sqrtf(u * u + v * v + w * w);
            float nx = cs * u - sn * v, ny = sn * u + cs * v;
            float lit = maxf((nx * light->x + ny * light->y + w * light->z) / length, 0);
            float gain = light->ambient + light->diffuse * lit, cover = c->clipped ? c->mask[at + (size_t)x] : 1;
            for (int k = 0; k < c->channels; k++) c->plane[k][at + (size_t)x] *= 1 + cover * (gain - 1);
        }
    }
}

/* ---- the finished picture ------------------------------------------------------------------------- */

/* Mean over `2 r + 1` pixels with fractional r, borders repeated; `step` is the distance of neighbours. */
static void box_line(const float *in, size_t step, int n, float r, float *out) {
    int whole = (int)r;
    float part = r - (float)whole, scale = 1 / (2 * r + 1), sum = 0;
    for (int i = -whole; i <= whole; i++) sum += in[(size_t)(i < 0 ? 0 : i >= n ? n - 1 : i) * step];
    for (int i = 0; i < n; i++) {
        int before = i - whole - 1, after = i + whole + 1, oldest = i - whole;
        float a = in[(size_t)(before < 0 ? 0 : before) * step], b = in[(size_t)(after >= n ? n - 1 : after) * step];
        out[i] = scale * (sum + part * (a + b));
        sum += b - in[(size_t)(oldest < 0 ? 0 : oldest) * step];
    }
}

static void blur_line(float *line, size_t step, int n, float r) {
    float once[MN_RENDER_MAX_SIZE], twice[MN_RENDER_MAX_SIZE];
    box_line(line, step, n, r, once);
    box_line(once, 1, n, r, twice);
    for (int i = 0; i < n; i++) line[(size_t)i * step] = twice[i];
}

void mn__blur(mn__canvas *c, float radius) {
    if (!(radius > 0.01f)) return;
    float r = minf(radius, (float)c->size / 8);
    for (int k = 0; k < c->channels; k++)
        for (int i = 0; i < c->size; i++) blur_line(c->plane[k] + (size_t)i * (size_t)c->size, 1, c->size, r);
    for (int k = 0; k < c->channels; k++)
        for (int i = 0; i < c->size; i++) blur_line(c->plane[k] + i, (size_t)c->size, c->size, r);
}

/* The sum of four bytes is nearly normal: mean 510, deviation 147.8. */
static float bell(uint32_t w) {
    uint32_t sum = (w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24);
    return ((float)sum - 510) * (1 / 147.8f);
}

void mn__develop(const mn__canvas *c, float gain, float offset, float noise, uint64_t seed, uint8_t *out) {
    size_t pixels = (size_t)c->size * (size_t)c->size;
    for (size_t first = 0; first < pixels; first += 4) {
        uint32_t word[4] = {0};
        if (noise > 0) mn_random_u32x4(seed, 77, first / 4, word);
        for (size_t i = first; i < pixels && i < first + 4; i++) {
            float shift = offset + (noise > 0 ? noise * bell(word[i - first]) : 0);
            for (int k = 0; k < c->channels; k++) {
                float v = 255 * (gain * c->plane[k][i] + shift);
                out[i * (size_t)c->channels + (size_t)k] = (uint8_t)(clampf(v, 0, 255) + 0.5f);
            }
        }
    }
}
