/* JPEG through libjpeg: reading only. */
#include "data/internal.h"

#if MN_HAVE_JPEG
#include <setjmp.h>
#include <string.h>
/* jpeglib.h wants stdio.h before it (internal.h has it). */
#include <jerror.h>
#include <jpeglib.h>

/* A progressive file may repeat its scans without end; real ones have about ten. */
#define MAX_SCANS 50
/* Huffman coding spends at least a bit on each block of 8x8: more pixels than this in a byte are a lie. */
#define MAX_PIXELS_PER_BYTE 512

/* libjpeg reports a failure by calling error_exit, which must not return. */
typedef struct reader {
    struct jpeg_error_mgr base; /* first, so that cinfo.err leads back here */
    jmp_buf back;
    mn_error err;
} reader;

static void fail(j_common_ptr c) {
    reader *r = (reader *)c->err;
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    mn_fail(&r->err, c->err->msg_code == JERR_OUT_OF_MEMORY ? MN_ERR_MEMORY : MN_ERR_FORMAT, "broken JPEG: %s", text);
    longjmp(r->back, 1);
}

/* libjpeg goes on after broken data with invented pixels. Those warnings are failures here; the others
 * (a superfluous byte between segments, an odd colour marker) do no harm. */
static void warn(j_common_ptr c, int level) {
    if (level >= 0) return;
    switch (c->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
        fail(c);
    }
}
static void silent(j_common_ptr c) { (void)c; }

static void count_scans(j_common_ptr c) {
    if (!c->is_decompressor || ((j_decompress_ptr)c)->input_scan_number <= MAX_SCANS) return;
    reader *r = (reader *)c->err;
    mn_fail(&r->err, MN_ERR_FORMAT, "broken JPEG: more than %d scans", MAX_SCANS);
    longjmp(r->back, 1);
}

static mn_status read_rows(struct jpeg_decompress_struct *c, size_t size, mn_image *im, mn_error *err) {
    jpeg_save_markers(c, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(c, TRUE);
    mn_status s = mn__picture_size(c->image_width, c->image_height, err);
    if (s) return s;
    if (!c->arith_code && (uint64_t)c->image_width * c->image_height / MAX_PIXELS_PER_BYTE > size)
        return mn_fail(err, MN_ERR_FORMAT, "broken JPEG: %ux%u pixels cannot stand in %zu bytes", c->image_width, c->image_height,
                       size);
    if (c->jpeg_color_space == JCS_CMYK || c->jpeg_color_space == JCS_YCCK)
        return mn_fail(err, MN_ERR_UNSUPPORTED,
                       "a CMYK JPEG (made for print); hint: save it as RGB, for example with "
                       "convert IN.jpg -colorspace sRGB OUT.jpg");
    c->out_color_space = c->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(c);
    s = mn_image_reserve(im, (int)c->output_width, (int)c->output_height, c->output_components, err);
    if (s) return s;
    while (c->output_scanline < c->output_height) {
        JSAMPROW row = im->pixels + (size_t)c->output_scanline * (size_t)im->width * (size_t)im->channels;
        jpeg_read_scanlines(c, &row, 1);
    }
    int orientation = c->marker_list ? mn__exif_orientation(c->marker_list->data, c->marker_list->data_length) : 1;
    jpeg_finish_decompress(c);
    return mn__image_orient(im, orientation, err);
}

mn_status mn__jpeg_decode(mn_image *im, const uint8_t *bytes, size_t size, mn_error *err) {
    reader r = {0};
    struct jpeg_progress_mgr progress = {.progress_monitor = count_scans};
    struct jpeg_decompress_struct c = {0};
    c.err = jpeg_std_error(&r.base);
    r.base.error_exit = fail;
    r.base.emit_message = warn;
    r.base.output_message = silent;
    if (!setjmp(r.back)) {
        jpeg_create_decompress(&c);
        c.progress = &progress;
        c.mem->max_memory_to_use = 1 << 30;
        jpeg_mem_src(&c, (unsigned char *)bytes, size);
        read_rows(&c, size, im, &r.err);
    }
    jpeg_destroy_decompress(&c);
    return r.err.status ? mn_fail(err, r.err.status, "%s", r.err.text) : MN_OK;
}

#else
mn_status mn__jpeg_decode(mn_image *im, const uint8_t *bytes, size_t size, mn_error *err) {
    (void)im, (void)bytes, (void)size;
    return mn_fail(err, MN_ERR_UNSUPPORTED, "this build of mien has no JPEG; hint: install libjpeg-dev and build again");
}
#endif
