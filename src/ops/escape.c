#include "otoroshictl/ops/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "otoroshictl/codec/utf8.h"

/* Bytes of the UTF-8 sequence that `lead` opens, were it valid. */
static size_t sequence_length(uint8_t lead)
{
    if (lead < 0xC0)
        return 1;
    if (lead < 0xE0)
        return 2;
    return lead < 0xF0 ? 3 : 4;
}

/* U+200E, U+200F, U+202A..U+202E, U+2066..U+2069: they change the direction of what stands around
 * them, so that a line reads as another than it is. */
static bool turns_text(const uint8_t sequence[3])
{
    unsigned code =
        (sequence[0] & 0x0FU) << 12 | (sequence[1] & 0x3FU) << 6 | (sequence[2] & 0x3FU);
    return code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* Bytes of the printable character at `text`, or 0 where its first byte has to be escaped. */
static size_t printable_length(const char *text, size_t available)
{
    uint8_t lead = (uint8_t)text[0];
    size_t length = sequence_length(lead);

    if (length == 1)
        return lead >= 0x20 && lead < 0x7F;
    if (length > available || !utf8_valid((const uint8_t *)text, length))
        return 0;
    /* U+0080..U+009F: C1, where terminals have a second escape character. */
    if (lead == 0xC2 && (uint8_t)text[1] < 0xA0)
        return 0;
    return length == 3 && turns_text((const uint8_t *)text) ? 0 : length;
}

static void write_escaped(char out[4], uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 0x0F];
}

size_t escape_text(char *out, size_t capacity, const char *text, size_t length)
{
    size_t written = 0;
    size_t used;

    for (size_t i = 0; i < length; i += used) {
        size_t printable = printable_length(text + i, length - i);
        size_t needed = printable != 0 ? printable : 4;

        if (written + needed + 1 > capacity)
            break;
        used = printable != 0 ? printable : 1;
        if (printable != 0)
            memcpy(out + written, text + i, printable);
        else
            write_escaped(out + written, (uint8_t)text[i]);
        written += needed;
    }
    out[written] = '\0';
    return written;
}
