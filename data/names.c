/* The names that everything here agrees on. */
#include "data/internal.h"
#include <strings.h>

const char *const mn_expression_names[7] = {"angry", "disgust",  "fear",   "happy",
                                            "sad",   "surprise", "neutral"};
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
