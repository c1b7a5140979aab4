/* Filling in a struct reason; shared by the readers of values. */
#ifndef OTOROSHICTL_SRC_CLI_REASON_H
#define OTOROSHICTL_SRC_CLI_REASON_H

#include <stdbool.h>

#include "otoroshictl/cli/values.h"

/* Always false, so that a check can `return refuse(..)`. */
bool refuse(struct reason *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
