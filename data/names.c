/* The class names that everything here agrees on. */
#include "data/data.h"

const char *const mn_expression_names[7] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
const char *const mn_gender_names[2] = {"man", "woman"};
