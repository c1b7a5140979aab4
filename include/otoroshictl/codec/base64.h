/* Standard base64 with padding and no line breaks (RFC 4648, section 4). */
#ifndef OTOROSHICTL_CODEC_BASE64_H
#define OTOROSHICTL_CODEC_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that `size` bytes encode to, padding included. */
static inline size_t base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Bytes that `length` characters decode to at most. */
static inline size_t base64_decoded_size_max(size_t length)
{
    return length / 4 * 3;
}

/* Writes base64_encoded_size(size) characters to `out`, no NUL. Returns their number. */
size_t base64_encode(char *out, const uint8_t *data, size_t size);

/* Strict: the length is a multiple of four, padding only at the end, only the standard alphabet,
 * and the unused bits of the last character are zero (RFC 4648, section 3.5), so that every
 * payload has one text. `out` has room for base64_decoded_size_max(length) bytes and may not
 * overlap `text`. On failure the content of `out` is undefined. */
bool base64_decode(uint8_t *out, size_t *out_size, const char *text, size_t length);

#endif
