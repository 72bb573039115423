/* What a model looks like: counts, a table, a drawing. */
#include "layers/internal.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int64_t layer_parameters(const mn__layer *l, bool trainable_only) {
    int64_t n = 0;
    for (int k = 0; k < l->n_weights && !l->folded; k++) {
        const mn__weight *w = &l->weight[k];
        if (!w->absent && !(trainable_only && (w->statistic || l->frozen))) n += mn_shape_count(w->shape);
    }
    return n;
}

mn_model_stats mn_model_count(const mn_model *m) {
    mn_model_stats s = {.layers = m->n_layers};
    for (int i = 0; i < m->n_layers; i++) {
        const mn__layer *l = m->layer[i];
        s.parameters += layer_parameters(l, false);
        s.trainable += layer_parameters(l, true);
        s.macs += l->macs;
        if (!l->class->view && !l->folded) s.activation_bytes += mn_shape_count(l->shape) * (int64_t)mn_dtype_size(m->ctx->dtype);
    }
    return s;
}

/* 1234567 as "1,234,567". */
static const char *grouped(int64_t n, char *buf, size_t size) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    size_t at = 0;
    for (int i = 0; i < length && at + 2 < size; i++) {
        buf[at++] = digits[i];
        if (i + 1 < length && (length - 1 - i) % 3 == 0 && isdigit((unsigned char)digits[i])) buf[at++] = ',';
    }
    buf[at] = 0;
    return buf;
}

/* At most `width` characters; a longer text loses its middle: the end tells layers apart. */
static const char *shortened(const char *text, int width, char *buf, size_t size) {
    int n = (int)strlen(text), tail = width / 3, head = width - tail - 2;
    if (n <= width)
        snprintf(buf, size, "%s", text);
    else
        snprintf(buf, size, "%.*s..%s", head, text, text + n - tail);
    return buf;
}

static const char *class_text(const mn__layer *l, char *buf, size_t size) {
    const mn_activation *a = mn__layer_activation(l);
    if (!strcmp(l->class->name, "Activation"))
        snprintf(buf, size, "%s", mn__activation_name(*a));
    else if (a && *a)
        snprintf(buf, size, "%s, %s", l->class->name, mn__activation_name(*a));
    else
        snprintf(buf, size, "%s%s", l->class->name, l->folded ? " (folded)" : "");
    if (l->each_step) snprintf(buf + strlen(buf), size - strlen(buf), ", steps");
    return buf;
}

/* In a chain a layer reads the line above it; everything else is said. */
static void print_sources(const mn__layer *l, int number, FILE *out, int width) {
    if (l->n_in == 0 || (l->n_in == 1 && l->in[0] == number - 1)) return;
    int column = fprintf(out, "    from");
    for (int k = 0; k < l->n_in; k++) {
        const char *name = l->model->layer[l->in[k]]->name;
        if (k && column + (int)strlen(name) + 2 > width)
            column = fprintf(out, ",\n        ") - 2;
        else if (k)
            column += fprintf(out, ",");
        column += fprintf(out, " %s", name);
    }
    fprintf(out, "\n");
}

mn_status mn_model_summary(const mn_model *m, FILE *out, int width) {
    if (width <= 0) width = 80;
    int fixed = 22 + 13 + 10 + 13 + 4, name_width = width - fixed;
    if (name_width < 10) name_width = 10;
    char name[256], class[256], text[64], parameters[48], macs[48];
    fprintf(out, "%s\n%-*s %-22s %-13s %10s %13s\n", m->name, name_width, "layer", "class", "output", "parameters", "MACs");
    for (int i = 0; i < m->n_layers; i++) {
        const mn__layer *l = m->layer[i];
        class_text(l, text, sizeof text);
        shortened(text, 22, class, sizeof class);
        fprintf(out, "%-*s %-22s %-13s %10s %13s\n", name_width, shortened(l->name, name_width, name, sizeof name), class,
                mn_shape_text(l->shape, text, sizeof text), grouped(layer_parameters(l, false), parameters, sizeof parameters),
                grouped(l->macs, macs, sizeof macs));
        print_sources(l, i, out, width);
    }
    mn_model_stats s = mn_model_count(m);
    fprintf(out, "parameters %s", grouped(s.parameters, parameters, sizeof parameters));
    fprintf(out, " (%s trained)\n", grouped(s.trainable, parameters, sizeof parameters));
    fprintf(out, "of one sample: MACs %s, activations %.1f kB\n", grouped(s.macs, macs, sizeof macs),
            (double)s.activation_bytes / 1e3);
    fprintf(out, "heads:");
    for (int i = 0; i < m->n_outputs; i++)
        fprintf(out, "%s %s %s", i ? "," : "", mn_model_output_name(m, i),
                mn_shape_text(mn_model_output_shape(m, i), text, sizeof text));
    fprintf(out, "\n");
    return ferror(out) ? MN__FAIL(m->ctx, MN_ERR_IO, "the summary could not be written") : MN_OK;
}

mn_layer_look mn_model_look(const mn_model *m, int layer) {
    const mn__layer *l = m->layer[layer];
    mn_layer_look o = {.name = l->name, .shape = l->shape, .parameters = layer_parameters(l, false), .in = l->in, .n_in = l->n_in};
    class_text(l, o.kind, sizeof o.kind);
    for (int k = 0; k < m->n_outputs; k++) o.is_output |= m->output[k] == layer;
    return o;
}

mn_status mn_model_dot(const mn_model *m, FILE *out) {
    char shape[64], class[64];
    fprintf(out,
            "digraph \"%s\" {\n  node [shape=box,style=\"rounded,filled\",fillcolor=\"#e8eef7\","
            "fontname=\"sans-serif\",fontsize=10];\n  edge [fontname=\"sans-serif\",fontsize=9];\n",
            m->name);
    for (int i = 0; i < m->n_layers; i++) {
        const mn__layer *l = m->layer[i];
        bool head = false;
        for (int k = 0; k < m->n_outputs; k++) head |= m->output[k] == i;
        fprintf(out, "  l%d [label=\"%s\\n%s\"%s];\n", i, l->name, class_text(l, class, sizeof class),
                head           ? ",fillcolor=\"#f7e8d8\""
                : l->n_in == 0 ? ",fillcolor=\"#e3f2e1\""
                               : "");
        for (int k = 0; k < l->n_in; k++)
            fprintf(out, "  l%d -> l%d [label=\"%s\"];\n", l->in[k], i,
                    mn_shape_text(m->layer[l->in[k]]->shape, shape, sizeof shape));
    }
    fprintf(out, "}\n");
    return ferror(out) ? MN__FAIL(m->ctx, MN_ERR_IO, "the drawing could not be written") : MN_OK;
}
