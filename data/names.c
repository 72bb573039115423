/* The names that everything here agrees on. */
#include "data/internal.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const mn_expression_names[7] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
const char *const mn_gender_names[2] = {"man", "woman"};

bool mn__split_named(const char *word, mn_split *split) {
    static const struct {
        const char *word;
        mn_split split;
    } known[] = {{"train", MN_SPLIT_TRAIN},      {"training", MN_SPLIT_TRAIN}, {"valid", MN_SPLIT_VALID},
                 {"validation", MN_SPLIT_VALID}, {"val", MN_SPLIT_VALID},      {"test", MN_SPLIT_TEST}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (strcasecmp(word, known[k].word)) continue;
        *split = known[k].split;
        return true;
    }
    return false;
}

const char *const mn__expression_names8[8] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt"};

int mn__expression_named(const char *word) {
    static const struct {
        const char *word;
        int expression;
    } also[] = {{"anger", 0},     {"disgusted", 1}, {"fearful", 2}, {"afraid", 2},    {"scared", 2},
                {"happiness", 3}, {"joy", 3},       {"sadness", 4}, {"surprised", 5}, {"contemptuous", 7}};
    for (int k = 0; k < 8; k++)
        if (!strcasecmp(word, mn__expression_names8[k])) return k;
    for (size_t k = 0; k < sizeof also / sizeof *also; k++)
        if (!strcasecmp(word, also[k].word)) return also[k].expression;
    return -1;
}

void mn__leave_out(mn__left_out *l, const char *name) {
    if (l->n++ == 0) snprintf(l->first, sizeof l->first, "%.99s", name);
}

void mn__note_left_out(const mn__left_out *l, const char *why, int64_t done, const mn_open_opt *opt) {
    if (l->n) mn__note(opt, done, -1, "left out %lld %s, the first %s", (long long)l->n, why, l->first);
}

bool mn__is_foreign_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (!strcasecmp(dot, ".tif") || !strcasecmp(dot, ".tiff") || !strcasecmp(dot, ".bmp") || !strcasecmp(dot, ".pgm"));
}

uint64_t mn__person(const char *name, size_t length) { return mn__hash64(name, length); }

void mn__age_band(int age, char out[32]) {
    static const int begin[] = {0, 4, 13, 20, 30, 40, 50, 60, 70};
    int k = 8;
    while (k > 0 && age < begin[k]) k--;
    if (k == 8)
        snprintf(out, 32, "70 and over");
    else
        snprintf(out, 32, "%d-%d", begin[k], begin[k + 1] - 1);
}
