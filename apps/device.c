/* Choosing where to compute. */
#include "apps/device.h"

device_choice device_parse(const struct argp_state *s, const char *text) {
    return (device_choice)app_parse_word(s, "--device", text, (const char *[]){"cpu", "cuda", "auto"}, 3);
}

size_t device_parse_limit(const struct argp_state *s, const char *text) {
    return (size_t)app_parse_int(s, "--memory-limit (in MiB)", text, 1, (long long)1 << 30) << 20;
}

mn_precision device_parse_precision(const struct argp_state *s, const char *text) {
    return (mn_precision)app_parse_word(s, "--precision", text, (const char *[]){"precise", "tf32x3", "tf32", "bf16"}, 4);
}

mn_context *device_open(device_choice choice, mn_context_opt *opt, mn_error *err) {
    mn_error why = {0};
    opt->device = choice == DEVICE_CPU ? MN_CPU : MN_CUDA;
    mn_context *c = mn_context_create(opt, choice == DEVICE_AUTO ? &why : err);
    if (c || choice != DEVICE_AUTO) return c;
    fprintf(stderr, "mien: WARNING: no GPU is used, the CPU computes. %s\n", why.text);
    opt->device = MN_CPU;
    return mn_context_create(opt, err);
}

mn_device_info device_info(mn_device device) {
    mn_device_info all[8];
    int n = mn_device_list(all, 8), i = 0;
    while (i < n - 1 && all[i].device != device) i++;
    return all[i];
}
