/* Mutations of JSON by its tree: values are removed, repeated, replaced. Bytes changed at random are rarely JSON again. */
#ifndef MIEN_TESTS_JSON_TREE_H
#define MIEN_TESTS_JSON_TREE_H
#include "tests/fuzz/fuzz.h"
#include <jansson.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

typedef struct slot {
    json_t *in, *value;
    const char *key;
    size_t at;
} slot;
enum { SLOTS = 2048 };

static int slots(json_t *in, slot *list, int n) {
    const char *key;
    json_t *value;
    size_t at;
    if (json_is_object(in)) {
        json_object_foreach(in, key, value) {
            if (n < SLOTS) list[n++] = (slot){in, value, key, 0};
            n = slots(value, list, n);
        }
    }
    json_array_foreach(in, at, value) {
        if (n < SLOTS) list[n++] = (slot){in, value, NULL, at};
        n = slots(value, list, n);
    }
    return n;
}

static uint32_t tree_random;
static uint32_t tree_next(void) {
    tree_random = tree_random * 1664525u + 1013904223u;
    return tree_random >> 8;
}

static json_t *odd_value(json_t *old) {
    static const json_int_t whole[] = {0, 1, -1, 2, 3, 7, 64, 1000, 65536, INT32_MAX, INT64_MAX, INT64_MIN};
    static const char *const word[] = {"same",    "valid",          "relu",       "softmax",    "leaky_relu",
                                       "sigmoid", "hard_sigmoid",   "tanh",       "elu",        "linear",
                                       "swish",   "channels_first", "Sequential", "Functional", "TimeDistributed",
                                       "LSTM",    "ConvLSTM2D",     "LeakyReLU",  "a.b",        "a/b",
                                       "x"};
    switch (tree_next() % 6) {
    case 0:
        return json_integer(whole[tree_next() % COUNT(whole)]);
    case 1:
        return json_is_integer(old) ? json_integer(json_integer_value(old) ^ (1 << tree_next() % 6)) : json_real(1e300);
    case 2:
        return json_is_boolean(old) ? json_boolean(!json_is_true(old)) : json_null();
    case 3:
        return json_real((tree_next() % 64 - 32.) / 8);
    default:
        return json_string(word[tree_next() % COUNT(word)]);
    }
}

/* Removes, repeats or replaces one value; the new one is odd, or a copy of another of this tree or of `other`. */
static void change(json_t *root, json_t *other) {
    static slot mine[SLOTS], theirs[SLOTS];
    int n = slots(root, mine, 0), k = slots(tree_next() % 2 ? other : root, theirs, 0);
    if (!n || !k) return;
    slot s = mine[tree_next() % (uint32_t)n], t = theirs[tree_next() % (uint32_t)k];
    for (int i = 0; i < 20 && s.key && t.key && strcmp(s.key, t.key); i++) t = theirs[tree_next() % (uint32_t)k];
    unsigned how = tree_next() % 8;
    json_t *value = how < 4 ? odd_value(s.value) : json_deep_copy(how == 4 ? s.value : t.value);
    if (how == 5 && tree_next() % 2)
        s.key ? json_object_del(s.in, s.key) : json_array_remove(s.in, s.at), json_decref(value);
    else if (how == 4 || (how == 6 && !s.key))
        s.key ? json_object_set_new(s.in, "name", value) : json_array_insert_new(s.in, tree_next() % (s.at + 2), value);
    else
        s.key ? json_object_set_new(s.in, t.key && how == 7 ? t.key : s.key, value) : json_array_set_new(s.in, s.at, value);
}

static char *with_quotes(const char *text) {
    char *copy = strdup(text);
    for (char *p = copy; *p; p++) *p = *p == '\'' ? '"' : *p;
    return copy;
}

/* Text up to a zero, or all of the data, is changed as JSON in half of the cases; else any bytes. `other`: a text with ' for ",
 * of which parts may be taken. */
static size_t tree_mutate(uint8_t *data, size_t size, size_t max, const char *other) {
    const uint8_t *end = memchr(data, 0, size);
    json_t *root = tree_next() % 2 ? json_loadb((char *)data, end ? (size_t)(end - data) : size, 0, NULL) : NULL;
    if (!root) return LLVMFuzzerMutate(data, size, max);
    char *quoted = with_quotes(other);
    json_t *donor = json_loads(quoted, 0, NULL);
    for (unsigned i = 1 + tree_next() % 4; i--;) change(root, donor);
    char *text = json_dumps(root, JSON_COMPACT);
    size_t rest = end ? size - (size_t)(end - data) : 0, n = text ? strlen(text) : 0;
    if (n && n + rest <= max) {
        memmove(data + n, end ? end : data, rest);
        memcpy(data, text, n);
        size = n + rest;
    }
    free(text), free(quoted);
    json_decref(donor), json_decref(root);
    return size;
}
#endif
