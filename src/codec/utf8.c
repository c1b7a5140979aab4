#include "otoroshictl/codec/utf8.h"

#include <string.h>

/* Most text is ASCII: eight bytes at a time until one has its high bit set. */
static size_t ascii_run(const uint8_t *text, size_t size)
{
    size_t run = 0;
    uint64_t word;
    while (size - run >= sizeof(word)) {
        memcpy(&word, text + run, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
        run += sizeof(word);
    }
    while (run < size && text[run] < 0x80)
        run++;
    return run;
}

static bool in_range(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

/* The second byte carries all the exceptions (RFC 3629, section 4): overlong forms after E0 and
 * F0, surrogates after ED, what lies beyond U+10FFFF after F4. */
static bool second_byte_valid(uint8_t lead, uint8_t second)
{
    switch (lead) {
    case 0xE0:
        return in_range(second, 0xA0, 0xBF);
    case 0xED:
        return in_range(second, 0x80, 0x9F);
    case 0xF0:
        return in_range(second, 0x90, 0xBF);
    case 0xF4:
        return in_range(second, 0x80, 0x8F);
    default:
        return in_range(second, 0x80, 0xBF);
    }
}

/* Bytes that a lead byte announces; 0 where it can't begin a character. */
static size_t sequence_size(uint8_t lead)
{
    if (in_range(lead, 0xC2, 0xDF))
        return 2;
    if (in_range(lead, 0xE0, 0xEF))
        return 3;
    return in_range(lead, 0xF0, 0xF4) ? 4 : 0;
}

/* The size of the multi-byte character at the start of `text`, or 0. */
static size_t multibyte_character(const uint8_t *text, size_t size)
{
    const size_t length = sequence_size(text[0]);
    if (length == 0 || length > size || !second_byte_valid(text[0], text[1]))
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!in_range(text[i], 0x80, 0xBF))
            return 0;
    return length;
}

bool utf8_valid(const uint8_t *text, size_t size)
{
    size_t at = ascii_run(text, size);
    while (at < size) {
        const size_t length = multibyte_character(text + at, size - at);
        if (length == 0)
            return false;
        at += length;
        at += ascii_run(text + at, size - at);
    }
    return true;
}
