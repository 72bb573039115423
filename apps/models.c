/* The models that come with mien, by name. */
#include "apps/app.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef MIEN_MODELS
#define MIEN_MODELS "/usr/local/share/mien/models" /* where `make install` puts them */
#endif

/* folder/name.h5 if it can be read, else NULL; free it. */
static char *within(const char *folder, const char *name) {
    char *path = app_text("%s/%s.h5", folder, name);
    if (access(path, R_OK) == 0) return path;
    free(path);
    return NULL;
}

/* Beside a program that runs from where it was built, build/mien: apps/models. */
static char *in_source_tree(const char *name) {
    char *program = app_folder();
    if (!program) return NULL;
    char *folder = app_text("%s/../apps/models", program), *path = within(folder, name);
    free(folder);
    free(program);
    return path;
}

const char *app_model_path(const char *name) {
    static struct {
        const char *name;
        char *path;
    } found[16]; /* kept until the program ends: command lines name few models */
    static int n_found;
    for (int i = 0; i < n_found; i++)
        if (!strcmp(found[i].name, name)) return found[i].path;
    const char *folder = getenv("MIEN_MODELS");
    if (!*name || strpbrk(name, "/.") || access(name, F_OK) == 0 || n_found == 16) return name;
    char *path = folder ? within(folder, name) : NULL;
    if (!path) path = in_source_tree(name);
    if (!path) path = within(MIEN_MODELS, name);
    if (!path) return name;
    found[n_found].name = name, found[n_found].path = path;
    return found[n_found++].path;
}
