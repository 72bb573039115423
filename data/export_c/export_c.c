/* A network as one C file. */
#include "data/export_c/export_c.h"

static mn_status export(mn__export *x, const char *path, mn_export_c_report *report) {
    enum { A_LAYER = 8 }; /* buffers, at most */
    size_t n = (size_t)x->m->n_layers;
    x->buffer = mn_alloc_zero(n, sizeof *x->buffer);
    x->absorbed = mn_alloc_zero(n, sizeof *x->absorbed);
    x->size = mn_alloc_zero(A_LAYER * n + 1, sizeof *x->size);
    x->place = mn_alloc_zero(A_LAYER * n + 1, sizeof *x->place);
    if (!x->buffer || !x->absorbed || !x->size || !x->place)
        return mn_fail(x->err, MN_ERR_MEMORY, "out of host memory for the exported network");
    int64_t bytes = 0;
    mn_status s = mn__export_plan(x);
    if (s == MN_OK) s = mn__export_arena(x);
    if (s == MN_OK) s = mn__export_write(x, path, &bytes);
    if (s == MN_OK && report)
        *report = (mn_export_c_report){.source_bytes = bytes,
                                       .arena_bytes = x->arena * 4,
                                       .prepared_bytes = x->points * 4,
                                       .weights = x->weights.n,
                                       .weight_bytes = x->weights.n * (x->opt->int8 ? 1 : 4) + x->numbers.n * 4};
    return s;
}

mn_status mn_model_export_c(mn_model *m, const mn_model_info *info, const mn_export_c_opt *opt, const char *path,
                            mn_export_c_report *report, mn_error *err) {
    static const mn_export_c_opt plain;
    mn_error own = {0};
    mn__export x = {.m = m, .info = info, .opt = opt ? opt : &plain, .err = err ? err : &own};
    if (!m || m->status || !m->built) return mn_fail(x.err, MN_ERR_ARG, "the model is not built: it cannot be exported");
    if (mn_model_fold_batch_norm(m) < 0) return mn_fail(x.err, m->ctx->error.status, "%s", m->ctx->error.text);
    mn_status s = export(&x, path, report);
    mn__orders_free(&x.orders);
    mn_free(x.calls.text);
    mn_free(x.first_call.text);
    mn_free(x.weights.at);
    mn_free(x.numbers.at);
    mn_free(x.buffer);
    mn_free(x.absorbed);
    mn_free(x.size);
    mn_free(x.place);
    return s;
}
