/* mien: trains, evaluates and runs small face networks. `mien help` lists the subcommands. */
#include "apps/app.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static int unknown(const char *word) {
    const char *names[64];
    int n = 0;
    while (app_commands[n].name && n < 64) names[n] = app_commands[n].name, n++;
    const char *near = app_nearest(word, names, n);
    fprintf(stderr, "mien: there is no subcommand \"%s\"", word);
    if (near) fprintf(stderr, "; did you mean \"%s\"?", near);
    fprintf(stderr, "\nmien: `mien help` lists them\n");
    return APP_USAGE;
}

int main(int argc, char **argv) {
    argp_err_exit_status = APP_USAGE;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write, which is reported */
    setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
    if (argc < 2) {
        app_print_commands(stderr);
        return APP_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) return puts("mien " APP_VERSION), APP_OK;
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "-?")) word = "help", argc = 2;
    const app_command *c = app_command_find(word);
    if (!c) return unknown(word);
    char name[64]; /* what argp puts before its messages */
    snprintf(name, sizeof name, "mien %s", c->name);
    argv[1] = name;
    return c->run(argc - 1, argv + 1);
}
