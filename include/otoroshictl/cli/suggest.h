/* "Did you mean": the known word nearest to a mistyped one. */
#ifndef OTOROSHICTL_CLI_SUGGEST_H
#define OTOROSHICTL_CLI_SUGGEST_H

#include <stddef.h>

/* The candidate at the least edit distance (insert, delete, replace, swap of neighbours), or NULL
 * where none is near enough (more than a third of the longer word, at least 2). Words above 64
 * bytes have no neighbour. */
const char *suggest_nearest(const char *word, const char *const *candidates, size_t count);

#endif
