/* What the subcommands share. A subcommand is one line in commands.def and one file cmd_<name>.c. */
#ifndef MIEN_APP_H
#define MIEN_APP_H

#include "data/data.h"
#include <argp.h>
#include <stdio.h>

#define APP_VERSION "0.1.0"

/* Exit statuses. */
enum { APP_OK = 0, APP_FAILED = 1, APP_USAGE = 2 };

#define COMMAND(name, line) int cmd_##name(int argc, char **argv);
#include "apps/commands.def"
#undef COMMAND

typedef struct app_command {
    const char *name, *line;
    int (*run)(int argc, char **argv);
} app_command;
extern const app_command app_commands[]; /* in the order of commands.def, ended by a NULL name */
const app_command *app_command_find(const char *name);
/* What `mien help` prints. */
void app_print_commands(FILE *out);

/* Prints "mien: <sentence>" to stderr; returns APP_FAILED: a command ends in `return app_fail(&err);` */
int app_fail(const mn_error *err);

/* Zeroed memory; ends the program with a sentence and status 1 when there is none. Free with free. */
void *app_alloc(size_t count, size_t size);
/* printf into a new string; free with free. */
char *app_text(const char *format, ...) MN_PRINTF(1, 2);
/* FNV-1a, 64 bits: goes on from h, which begins as APP_HASH. */
#define APP_HASH 0xcbf29ce484222325u
uint64_t app_hash(uint64_t h, const void *bytes, size_t n);
/* The folder of the running program, in a new string; NULL where the system does not say. Free with free. */
char *app_folder(void);
/* Seconds on a clock that only goes forward. */
double app_seconds(void);
/* Writes a whole file: temporary file, fsync, rename. */
mn_status app_save(const char *path, const void *bytes, size_t size, mn_error *err);
/* Fails when a file at `path` could not be written later: before hours of work, not after. */
mn_status app_check_writable(const char *path, mn_error *err);

/* Where the model `name` is: a file of that name, or else one that came with mien ("tiny"), looked for in
 * $MIEN_MODELS, the source tree and where `make install` puts them. `name` itself when there is none. The string lives as
 * long as the program; so must `name`. */
const char *app_model_path(const char *name);

/* What a subcommand says that was built without a library it needs; returns APP_FAILED. */
int app_without(int argc, char **argv, const char *library, const char *package);

/* The word of list[0..n-1] that is nearest to `word` (edit distance at most a third of its length, or a
 * prefix), or NULL: for "did you mean". */
const char *app_nearest(const char *word, const char *const *list, int n);

/* For argp parsers: the value of an option as a number in [lo, hi]. What is not one ends the program with a
 * sentence that names the option, and exit status 2. */
long long app_parse_int(const struct argp_state *s, const char *option, const char *text, long long lo, long long hi);
double app_parse_real(const struct argp_state *s, const char *option, const char *text, double lo, double hi);
/* The position of `text` in words[0..n-1]; else as above, listing the words. */
int app_parse_word(const struct argp_state *s, const char *option, const char *text, const char *const *words, int n);

#endif
