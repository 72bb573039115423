/* mien gradcheck [OP...]: every operation's built-in cases against five-point differences, in double
 * precision. */
#include "apps/app.h"
#include <string.h>

typedef struct options {
    const char *op[256];
    int n_ops;
} options;

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    const char *names[1024];
    int n = 0;
    for (; n < mn_op_count() && n < 1024; n++) names[n] = mn_op_name(n);
    if (o->n_ops == 256) argp_error(state, "at most 256 operations can be named");
    o->op[o->n_ops++] = names[app_parse_word(state, "the list of operations", arg, names, n)];
    return 0;
}

static const char doc[] =
    "Compares what backward computes with what finite differences of forward say, for every element of every "
    "input of the operations named (all of them when none is named). It computes in double precision; a "
    "relative difference above 1e-6 fails."
    "\vColumns: cases and elements compared, and the largest relative difference seen.\n\n"
    "Examples:\n"
    "  mien gradcheck\n"
    "  mien gradcheck conv2d max_pool2d\n\n"
    "The check proves that forward and backward agree, not that forward is right: tests/ compares every "
    "operation with a naive reference as well.";
static const struct argp argp = {NULL, parse, "[OP...]", doc, NULL, NULL, NULL};

static bool wanted(const options *o, const char *name) {
    for (int i = 0; i < o->n_ops; i++)
        if (!strcmp(o->op[i], name)) return true;
    return o->n_ops == 0;
}

/* All cases of one operation, in a context of its own: a failure of one does not hide the next. */
static bool check(int op, mn_error *err) {
    mn_context *c = mn_context_create(&(mn_context_opt){.dtype = MN_F64, .seed = 5}, err);
    if (!c) return false;
    int cases = 0;
    int64_t elements = 0;
    double worst = 0;
    mn_status s = MN_OK;
    for (bool more = true; more && !s; cases += more && !s) {
        mn_gradcheck_result r = {0};
        s = mn_gradcheck_op(c, op, cases, &more, &r);
        elements += r.elements;
        if (!(r.worst <= worst)) worst = r.worst;
    }
    printf("%-24s %6d %9lld %12.1e  %s\n", mn_op_name(op), cases, (long long)elements, worst, s ? "FAILED" : "ok");
    if (s) printf("    %s\n", mn_context_error(c)->text);
    fflush(stdout);
    mn_context_destroy(c);
    return s == MN_OK;
}

int cmd_gradcheck(int argc, char **argv) {
    options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    printf("%-24s %6s %9s %12s\n", "operation", "cases", "elements", "worst");
    int checked = 0, failed = 0;
    for (int op = 0; op < mn_op_count(); op++) {
        if (!wanted(&o, mn_op_name(op))) continue;
        mn_error err = {0};
        checked++;
        failed += !check(op, &err);
        if (err.status) return app_fail(&err);
    }
    printf("%d operations, %d failed\n", checked, failed);
    return failed ? APP_FAILED : APP_OK;
}
