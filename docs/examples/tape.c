/* z = w x + w, L = (z-5)^2: prints dL/dw and dL/dx, and the tape as a graph (dot -Tsvg) when asked to. */
#include "autograd/autograd.h"

int main(int argc, char **argv) {
    (void)argv;
    mn_context *c = mn_context_create(NULL, NULL);
    if (!c) return 1;
    mn_tensor *w = mn_parameter(c, "w", MN_SHAPE(1)), *x = mn_parameter(c, "x", MN_SHAPE(1));
    mn_fill(w, 3), mn_fill(x, 2);
    mn_tensor *z = mn_add(mn_mul(w, x), w);
    mn_tensor *loss = mn_square(mn_shift(z, -5));
    mn_status s = mn_backward(c, loss);
    if (s == MN_OK && argc > 1) s = mn_tape_dot(c, stdout);
    if (s)
        fprintf(stderr, "%s\n", mn_context_error(c)->text);
    else if (argc == 1)
        printf("dw = %g, dx = %g\n", mn_item(w->grad, 0), mn_item(x->grad, 0));
    mn_context_destroy(c);
    return s != MN_OK;
}
