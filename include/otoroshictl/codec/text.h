/* A text in a buffer of fixed size that is only ever appended to. What does not fit is cut. */
#ifndef OTOROSHICTL_CODEC_TEXT_H
#define OTOROSHICTL_CODEC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *out; /* always terminated by NUL */
    size_t size;
    size_t used; /* without the NUL */
    bool cut;
};

/* `size`: bytes of `out`, at least 1. */
void text_init(struct text *text, char *out, size_t size);

void text_append(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes (RFC 8259, section 7). A byte that is not UTF-8 becomes U+FFFD. */
void text_append_json_string(struct text *text, const char *string);

#endif
