/* Errors: the first failure and its sentence. */
#include "tensor/tensor.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mn_status mn_fail(mn_error *err, mn_status status, const char *format, ...) {
    if (err && err->status == MN_OK) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        err->status = status;
    }
    return status;
}

void mn_error_prefix(mn_error *err, const char *format, ...) {
    if (!err || err->status == MN_OK) return;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof err->text) return;
    int room = (int)sizeof err->text - n - 3; /* beside ": " and the end */
    if (room > 0) snprintf(err->text + n, sizeof err->text - (size_t)n, ": %.*s", room, old);
}

void mn_error_clear(mn_error *err) {
    if (err) {
        err->status = MN_OK;
        err->text[0] = 0;
    }
}

const char *mn_status_name(mn_status status) {
    switch (status) {
    case MN_OK:
        return "ok";
    case MN_ERR_ARG:
        return "argument error";
    case MN_ERR_SHAPE:
        return "shape error";
    case MN_ERR_MEMORY:
        return "out of memory";
    case MN_ERR_IO:
        return "file error";
    case MN_ERR_FORMAT:
        return "format error";
    case MN_ERR_NUMERIC:
        return "numeric error";
    case MN_ERR_UNSUPPORTED:
        return "not supported";
    case MN_ERR_DEVICE:
        return "device error";
    }
    return "unknown status";
}
