/* mien help [SUBCOMMAND] */
#include "apps/app.h"
#include <string.h>

static const char doc[] = "Lists the subcommands, or explains one of them.";
static const struct argp argp = {NULL, NULL, "[SUBCOMMAND]", doc, NULL, NULL, NULL};

int cmd_help(int argc, char **argv) {
    int first;
    argp_parse(&argp, argc, argv, 0, &first, NULL);
    if (first >= argc) return app_print_commands(stdout), APP_OK;
    const app_command *c = app_command_find(argv[first]);
    if (!c) {
        fprintf(stderr, "mien help: there is no subcommand \"%s\"; `mien help` lists them\n", argv[first]);
        return APP_USAGE;
    }
    char name[64], help[] = "--help";
    snprintf(name, sizeof name, "mien %s", c->name);
    return c->run(2, (char *[]){name, help, NULL});
}
