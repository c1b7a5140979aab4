/* The grammar of RFC 8259, checked before a text reaches cJSON, which takes more than JSON:
 * numbers such as 01, control characters as white space and inside strings, \u0000 (which cuts a
 * string short), bytes that are not UTF-8. Iterative, in constant memory. */
#ifndef OTOROSHICTL_CODEC_JSON_SCAN_H
#define OTOROSHICTL_CODEC_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Values of a text, nested ones included; so it is also the deepest nesting. A frame has
     * four. Bounds what cJSON allocates and how deep it recurses. */
    JSON_MAX_VALUES = 256,
    /* Characters of a number: cJSON before 1.7.18 reads no more. */
    JSON_MAX_NUMBER_LENGTH = 63,
};

struct json_text {
    const uint8_t *start; /* of the value, white space left out */
    size_t size;
    bool is_object;
    bool at_end; /* nothing but white space follows */
    /* For each member of the object, in order: its value is a number written as a plain
     * non-negative integer, 0 or [1-9][0-9]*. A parsed tree can't tell 53 from 53.0 or 5.3e1. */
    bool plain_integer[JSON_MAX_VALUES];
};

/* Finds the JSON value at the start of a text. False where there is none, or one that passes the
 * limits above. What follows the value is not looked at, but for `at_end`. */
bool json_scan(struct json_text *out, const uint8_t *text, size_t size);

#endif
