/* Running a model, its parameters, freezing and copying. */
#include "autograd/internal.h"
#include "layers/compile.h"
#include <fnmatch.h>
#include <string.h>

/* ---- forward ---- */

static mn_status check_input(mn_model *m, int i, const mn_tensor *t) {
    mn_shape want = mn_model_input_shape(m, i);
    const char *name = mn_model_input_name(m, i);
    char a[64], b[64];
    if (!t) return MN__FAIL(m->ctx, MN_ERR_ARG, "input \"%s\" of the model \"%s\" is NULL", name, m->name);
    bool fits = t->shape.ndim == want.ndim + 1 && t->shape.dim[0] > 0;
    for (int d = 0; fits && d < want.ndim; d++) fits = t->shape.dim[d + 1] == want.dim[d];
    if (!fits)
        return MN__FAIL(m->ctx, MN_ERR_SHAPE, "input \"%s\" of the model \"%s\" is %s; wanted (N,) + %s", name, m->name,
                        mn_shape_text(t->shape, a, sizeof a), mn_shape_text(want, b, sizeof b));
    return MN_OK;
}

/* Where the layer runs on each step, the steps are samples like others. */
static mn_tensor *run_steps(mn__layer *l, mn_tensor **in) {
    mn_tensor *folded[MN__MAX_LAYER_INPUTS];
    for (int k = 0; k < l->n_in; k++) folded[k] = mn__fold_steps(in[k]);
    mn_tensor *y = l->class->forward(l, folded);
    return mn__unfold_steps(y, in[0]->shape.dim[1]);
}

static mn_status run_layer(mn__layer *l, bool training) {
    mn_context *c = l->model->ctx;
    mn_tensor *in[MN__MAX_LAYER_INPUTS];
    for (int k = 0; k < l->n_in; k++) in[k] = l->model->layer[l->in[k]]->out;
    l->training = training && !l->frozen;
    c->scope = l->name;
    l->out = l->folded ? in[0] : l->each_step ? run_steps(l, in) : l->class->forward(l, in);
    c->scope = NULL;
    if (l->out) return MN_OK;
    return c->error.status ? c->error.status : MN__FAIL(c, MN_ERR_ARG, "%s \"%s\" gave no result", l->class->name, l->name);
}

/* Do all inputs hold the same number of samples? */
static bool one_batch(const mn_model *m, mn_tensor **in) {
    bool same = true;
    for (int i = 1; i < m->n_inputs; i++) same &= in[i]->shape.dim[0] == in[0]->shape.dim[0];
    return same;
}

mn_status mn_model_forward(mn_model *m, mn_tensor **in, bool training) {
    if (!m) return MN_ERR_ARG;
    mn_context *c = m->ctx;
    if (m->status || c->error.status) return m->status ? m->status : c->error.status;
    if (!m->built) return MN__FAIL(c, MN_ERR_ARG, "the model \"%s\" is not built; hint: mn_model_build", m->name);
    if (training && m->folded)
        return MN__FAIL(c, MN_ERR_ARG,
                        "the model \"%s\" has its batch normalisation folded away: it cannot be trained; "
                        "hint: load it again",
                        m->name);
    m->ran = false;
    for (int i = 0; i < m->n_inputs; i++) {
        if (check_input(m, i, in ? in[i] : NULL)) return c->error.status;
        m->layer[m->input[i]]->out = in[i];
    }
    bool compiled = m->plan && c->no_grad && !training && one_batch(m, in);
    if (compiled && mn__plan_run(m, in)) return c->error.status;
    for (int i = 0; i < m->n_layers && !compiled; i++)
        if (run_layer(m->layer[i], training)) return c->error.status;
    m->ran = true, m->step = c->step;
    return MN_OK;
}

/* Tensors of an earlier step are gone. */
static bool fresh(const mn_model *m) { return m && m->ran && m->step == m->ctx->step; }

/* What a layer computed, computed in truth: batch norm may have left it to its readers. */
static mn_tensor *shown(mn_tensor *t) { return mn__settle(t) == MN_OK ? t : NULL; }

mn_tensor *mn_model_result(mn_model *m, int i) {
    return fresh(m) && i >= 0 && i < m->n_outputs ? shown(m->layer[m->output[i]]->out) : NULL;
}
mn_tensor *mn_model_result_named(mn_model *m, const char *name) {
    for (int i = 0; fresh(m) && i < m->n_outputs; i++)
        if (!strcmp(m->layer[m->output[i]]->name, name)) return shown(m->layer[m->output[i]]->out);
    return NULL;
}
mn_tensor *mn_model_activation(mn_model *m, const char *layer) {
    mn__layer *l = fresh(m) ? mn__layer_named(m, layer) : NULL;
    return l ? shown(l->out) : NULL;
}

/* ---- parameters ---- */

mn_tensor **mn_model_parameters(mn_model *m, int *n_trained, int *n_all) {
    if (n_trained) *n_trained = m->n_trained;
    if (n_all) *n_all = m->n_param;
    return m->param;
}

mn_tensor *mn_model_parameter(mn_model *m, const char *name) {
    for (int i = 0; i < m->n_param; i++)
        if (!strcmp(m->param[i]->name, name)) return m->param[i];
    return NULL;
}

int mn_model_freeze(mn_model *m, const char *pattern, bool frozen) {
    int matched = 0;
    mn__place_changed(m->ctx);
    for (int i = 0; i < m->n_layers; i++) {
        mn__layer *l = m->layer[i];
        if (fnmatch(pattern, l->name, 0)) continue;
        matched++;
        l->frozen = frozen;
        for (int k = 0; k < l->n_weights; k++)
            if (l->weight[k].t) l->weight[k].t->requires_grad = !frozen && !l->weight[k].statistic;
    }
    return matched;
}

/* Through the host, because the two may be of different contexts, types and devices. */
static mn_status copy_values(mn_tensor *to, const mn_tensor *from) {
    if (to->ctx == from->ctx) return mn_copy(to, from);
    double *values = mn_alloc((size_t)to->count * sizeof *values);
    if (!values) return MN__FAIL(to->ctx, MN_ERR_MEMORY, "out of host memory for copying a parameter");
    mn_status s = mn_get_f64(from, values);
    if (s == MN_OK) s = mn_set_f64(to, values);
    mn_free(values);
    return s;
}

int mn_model_copy_matching(mn_model *to, const mn_model *from) {
    int copied = 0;
    for (int i = 0; i < to->n_param; i++)
        for (int k = 0; k < from->n_param; k++) {
            mn_tensor *a = to->param[i], *b = from->param[k];
            if (strcmp(a->name, b->name) || !mn_shape_equal(a->shape, b->shape)) continue;
            if (copy_values(a, b)) return -1;
            copied++;
            break;
        }
    return copied;
}
