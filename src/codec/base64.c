#include "otoroshictl/codec/base64.h"

#include <string.h>

/* clang-format off */

/* The tables are written by the preprocessor: REPEAT_n(M, i) is M(i), M(i + 1) ... M(i + n - 1). */
#define REPEAT_4(M, i)    M(i), M((i) + 1), M((i) + 2), M((i) + 3)
#define REPEAT_16(M, i)   REPEAT_4(M, i), REPEAT_4(M, (i) + 4),                                    \
                          REPEAT_4(M, (i) + 8), REPEAT_4(M, (i) + 12)
#define REPEAT_64(M, i)   REPEAT_16(M, i), REPEAT_16(M, (i) + 16),                                 \
                          REPEAT_16(M, (i) + 32), REPEAT_16(M, (i) + 48)
#define REPEAT_256(M, i)  REPEAT_64(M, i), REPEAT_64(M, (i) + 64),                                 \
                          REPEAT_64(M, (i) + 128), REPEAT_64(M, (i) + 192)
#define REPEAT_1024(M, i) REPEAT_256(M, i), REPEAT_256(M, (i) + 256),                              \
                          REPEAT_256(M, (i) + 512), REPEAT_256(M, (i) + 768)
#define REPEAT_4096(M, i) REPEAT_1024(M, i), REPEAT_1024(M, (i) + 1024),                           \
                          REPEAT_1024(M, (i) + 2048), REPEAT_1024(M, (i) + 3072)

#define CHARACTER(sextet)                                                                          \
    (char)((sextet) < 26 ? (sextet) + 'A' :                                                        \
           (sextet) < 52 ? (sextet) - 26 + 'a' :                                                   \
           (sextet) < 62 ? (sextet) - 52 + '0' :                                                   \
           (sextet) == 62 ? '+' : '/')

#define SEXTET(character)                                                                          \
    ((character) >= 'A' && (character) <= 'Z' ? (character) - 'A' :                                \
     (character) >= 'a' && (character) <= 'z' ? (character) - 'a' + 26 :                           \
     (character) >= '0' && (character) <= '9' ? (character) - '0' + 52 :                           \
     (character) == '+' ? 62 :                                                                     \
     (character) == '/' ? 63 : -1)

/* Two characters for each value of twelve bits. */
#define PAIR(bits) {CHARACTER((bits) >> 6), CHARACTER((bits) & 63)}
static const char pairs[4096][2] = {REPEAT_4096(PAIR, 0)};

/* What a character adds to its group of 24 bits, by its place in the group. A character of the
 * alphabet also adds VALID, so that four of them add up to 4 in the top byte and no others do. */
#define VALID (UINT32_C(1) << 24)
#define PLACED(character, left)                                                                    \
    (SEXTET(character) < 0 ? 0 : VALID | (uint32_t)SEXTET(character) << (left))
#define PLACE_0(character) PLACED(character, 18)
#define PLACE_1(character) PLACED(character, 12)
#define PLACE_2(character) PLACED(character, 6)
#define PLACE_3(character) PLACED(character, 0)
static const uint32_t placed[4][256] = {
    {REPEAT_256(PLACE_0, 0)},
    {REPEAT_256(PLACE_1, 0)},
    {REPEAT_256(PLACE_2, 0)},
    {REPEAT_256(PLACE_3, 0)},
};

/* clang-format on */

static void encode_group(char out[4], uint32_t bits)
{
    memcpy(out, pairs[bits >> 12], 2);
    memcpy(out + 2, pairs[bits & 0xFFF], 2);
}

/* The one or two bytes after the last whole group, with their padding. */
static void encode_rest(char out[4], const uint8_t *data, size_t size)
{
    encode_group(out, (uint32_t)data[0] << 16 | (size == 2 ? (uint32_t)data[1] << 8 : 0));
    out[3] = '=';
    if (size == 1)
        out[2] = '=';
}

size_t base64_encode(char *out, const uint8_t *data, size_t size)
{
    char *const start = out;
    for (; size >= 3; size -= 3, data += 3, out += 4)
        encode_group(out, (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2]);
    if (size > 0) {
        encode_rest(out, data, size);
        out += 4;
    }
    return (size_t)(out - start);
}

/* The 24 bits of four characters, with 4 in the top byte where all are of the alphabet. */
static uint32_t decode_group(const char text[4])
{
    return placed[0][(uint8_t)text[0]] + placed[1][(uint8_t)text[1]] + placed[2][(uint8_t)text[2]] +
           placed[3][(uint8_t)text[3]];
}

static bool group_valid(uint32_t group)
{
    return group >> 24 == 4;
}

static void store_group(uint8_t out[3], uint32_t group)
{
    out[0] = (uint8_t)(group >> 16);
    out[1] = (uint8_t)(group >> 8);
    out[2] = (uint8_t)group;
}

/* The last four characters, of which up to two may be padding. Returns how many bytes they hold,
 * 0 where they are not base64. */
static size_t decode_last(uint8_t out[3], const char text[4])
{
    char group[4];
    memcpy(group, text, sizeof(group));
    size_t size = 3;
    for (; size > 1 && group[size] == '='; size--)
        group[size] = 'A';
    const uint32_t bits = decode_group(group);
    const uint32_t unused = UINT32_C(0xFFFFFF) >> (8 * size);
    if (!group_valid(bits) || (bits & unused) != 0)
        return 0;
    store_group(out, bits);
    return size;
}

bool base64_decode(uint8_t *out, size_t *out_size, const char *text, size_t length)
{
    *out_size = 0;
    if (length % 4 != 0)
        return false;
    if (length == 0)
        return true;
    uint8_t *const start = out;
    const char *const last = text + length - 4;
    for (; text < last; text += 4, out += 3) {
        const uint32_t group = decode_group(text);
        if (!group_valid(group))
            return false;
        store_group(out, group);
    }
    const size_t rest = decode_last(out, last);
    *out_size = (size_t)(out - start) + rest;
    return rest > 0;
}
