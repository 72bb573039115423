/* mien devices: what there is to compute on, and why something is not used. */
#include "apps/device.h"
#include <string.h>

static const char doc[] = "Lists what mien can compute on, and says why something is not used."
                          "\vA command computes on the CPU unless --device says otherwise: cuda is the first GPU of this "
                          "list, and a sentence with exit status 1 where it cannot be used; auto takes the CPU then. "
                          "CUDA_VISIBLE_DEVICES=1 hides all GPUs but number 1.\n\n"
                          "Examples:\n"
                          "  mien devices\n"
                          "  mien bench --device cuda\n";

static error_t parse(int key, char *arg, struct argp_state *s) {
    if (key == ARGP_KEY_ARG) argp_error(s, "\"%s\" is one word too many", arg);
    return key == ARGP_KEY_ARG ? 0 : ARGP_ERR_UNKNOWN;
}
static const struct argp argp = {NULL, parse, NULL, doc, NULL, NULL, NULL};

/* A sentence in lines of at most 70 characters, each after nine blanks. */
static void print_sentence(const char *text) {
    int column = 0;
    for (const char *p = text; *p;) {
        int word = (int)strcspn(p, " ");
        if (column + word > 70) column = 0;
        printf("%s%.*s", column ? " " : "\n         ", word, p);
        column += word + 1;
        p += word + (p[word] == ' ');
    }
}

int cmd_devices(int argc, char **argv) {
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    mn_device_info all[16];
    int n = mn_device_list(all, 16);
    for (int i = 0; i < n; i++) {
        const mn_device_info *d = &all[i];
        printf("%-7s  %s", d->device == MN_CPU ? "cpu" : "cuda", d->name);
        if (d->detail[0]) printf("\n         %s", d->detail);
        if (d->memory)
            printf("\n         %.1f GiB of memory, %.1f free", (double)d->memory / (1 << 30), (double)d->memory_free / (1 << 30));
        if (!d->usable) print_sentence(d->why);
        putchar('\n');
    }
    return APP_OK;
}
