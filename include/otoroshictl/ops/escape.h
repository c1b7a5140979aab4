/* Text of unknown origin made fit for a terminal and a log line. */
#ifndef OTOROSHICTL_OPS_ESCAPE_H
#define OTOROSHICTL_OPS_ESCAPE_H

#include <stddef.h>

/* Copies `length` bytes of `text` to `out`; control characters (C0, DEL and the C1 set of
 * Unicode) and bytes that are not UTF-8 become \xNN. Stops before the first character that does
 * not fit `capacity` (at least 1) with the terminating NUL. Returns the bytes written. */
size_t escape_text(char *out, size_t capacity, const char *text, size_t length);

#endif
