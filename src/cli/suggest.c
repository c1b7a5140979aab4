#include "otoroshictl/cli/suggest.h"

#include <string.h>

enum { WORD_MAX_BYTES = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Three rows of the matrix of distances between the words' beginnings. */
struct rows {
    size_t before[WORD_MAX_BYTES + 1];
    size_t previous[WORD_MAX_BYTES + 1];
    size_t current[WORD_MAX_BYTES + 1];
};

/* Optimal string alignment: insert, delete, replace, swap of neighbours, each at 1. */
static void fill_row(struct rows *rows, const char *a, size_t i, const char *b, size_t b_length)
{
    rows->current[0] = i;
    for (size_t j = 1; j <= b_length; j++) {
        size_t replaced = rows->previous[j - 1] + (a[i - 1] != b[j - 1]);
        size_t shifted = least(rows->previous[j], rows->current[j - 1]) + 1;

        rows->current[j] = least(replaced, shifted);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            rows->current[j] = least(rows->current[j], rows->before[j - 2] + 1);
    }
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    struct rows rows = {.before = {0}};

    for (size_t j = 0; j <= b_length; j++)
        rows.previous[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        fill_row(&rows, a, i, b, b_length);
        memcpy(rows.before, rows.previous, sizeof(rows.before));
        memcpy(rows.previous, rows.current, sizeof(rows.previous));
    }
    return rows.previous[b_length];
}

const char *suggest_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t length = strnlen(word, WORD_MAX_BYTES + 1);
    const char *nearest = NULL;
    size_t nearest_distance = WORD_MAX_BYTES;

    for (size_t i = 0; i < count && length <= WORD_MAX_BYTES; i++) {
        size_t other = strnlen(candidates[i], WORD_MAX_BYTES + 1);
        size_t limit = most(most(length, other) / 3, 2);
        size_t edits;

        if (other > WORD_MAX_BYTES)
            continue;
        edits = distance(word, length, candidates[i], other);
        /* As many edits as the word has letters would make any word of it. */
        if (edits <= limit && edits < least(length, other) && edits < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = edits;
        }
    }
    return nearest;
}
