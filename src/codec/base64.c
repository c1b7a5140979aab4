#include "otoroshictl/codec/base64.h"

#include <string.h>

/* clang-format off */

/* Two characters for each value of twelve bits: "AAABAC..", so that those of n are at 2 * n. */
#define PAIRS(c) \
    c "A" c "B" c "C" c "D" c "E" c "F" c "G" c "H" \
    c "I" c "J" c "K" c "L" c "M" c "N" c "O" c "P" \
    c "Q" c "R" c "S" c "T" c "U" c "V" c "W" c "X" \
    c "Y" c "Z" c "a" c "b" c "c" c "d" c "e" c "f" \
    c "g" c "h" c "i" c "j" c "k" c "l" c "m" c "n" \
    c "o" c "p" c "q" c "r" c "s" c "t" c "u" c "v" \
    c "w" c "x" c "y" c "z" c "0" c "1" c "2" c "3" \
    c "4" c "5" c "6" c "7" c "8" c "9" c "+" c "/"
static const char pairs[] =
    PAIRS("A") PAIRS("B") PAIRS("C") PAIRS("D") PAIRS("E") PAIRS("F") PAIRS("G") PAIRS("H")
    PAIRS("I") PAIRS("J") PAIRS("K") PAIRS("L") PAIRS("M") PAIRS("N") PAIRS("O") PAIRS("P")
    PAIRS("Q") PAIRS("R") PAIRS("S") PAIRS("T") PAIRS("U") PAIRS("V") PAIRS("W") PAIRS("X")
    PAIRS("Y") PAIRS("Z") PAIRS("a") PAIRS("b") PAIRS("c") PAIRS("d") PAIRS("e") PAIRS("f")
    PAIRS("g") PAIRS("h") PAIRS("i") PAIRS("j") PAIRS("k") PAIRS("l") PAIRS("m") PAIRS("n")
    PAIRS("o") PAIRS("p") PAIRS("q") PAIRS("r") PAIRS("s") PAIRS("t") PAIRS("u") PAIRS("v")
    PAIRS("w") PAIRS("x") PAIRS("y") PAIRS("z") PAIRS("0") PAIRS("1") PAIRS("2") PAIRS("3")
    PAIRS("4") PAIRS("5") PAIRS("6") PAIRS("7") PAIRS("8") PAIRS("9") PAIRS("+") PAIRS("/");
#undef PAIRS

/* What a character adds to its group of 24 bits, by its place in the group. A character of the
 * alphabet also adds VALID, so that four of them add up to 4 in the top byte and no others do. */
#define VALID (UINT32_C(1) << 24)
#define PLACED(AT) { \
    AT('A',  0), AT('B',  1), AT('C',  2), AT('D',  3), AT('E',  4), AT('F',  5), \
    AT('G',  6), AT('H',  7), AT('I',  8), AT('J',  9), AT('K', 10), AT('L', 11), \
    AT('M', 12), AT('N', 13), AT('O', 14), AT('P', 15), AT('Q', 16), AT('R', 17), \
    AT('S', 18), AT('T', 19), AT('U', 20), AT('V', 21), AT('W', 22), AT('X', 23), \
    AT('Y', 24), AT('Z', 25), AT('a', 26), AT('b', 27), AT('c', 28), AT('d', 29), \
    AT('e', 30), AT('f', 31), AT('g', 32), AT('h', 33), AT('i', 34), AT('j', 35), \
    AT('k', 36), AT('l', 37), AT('m', 38), AT('n', 39), AT('o', 40), AT('p', 41), \
    AT('q', 42), AT('r', 43), AT('s', 44), AT('t', 45), AT('u', 46), AT('v', 47), \
    AT('w', 48), AT('x', 49), AT('y', 50), AT('z', 51), AT('0', 52), AT('1', 53), \
    AT('2', 54), AT('3', 55), AT('4', 56), AT('5', 57), AT('6', 58), AT('7', 59), \
    AT('8', 60), AT('9', 61), AT('+', 62), AT('/', 63) }
#define PLACE_0(character, sextet) [character] = (VALID | (UINT32_C(sextet) << 18))
#define PLACE_1(character, sextet) [character] = (VALID | (UINT32_C(sextet) << 12))
#define PLACE_2(character, sextet) [character] = (VALID | (UINT32_C(sextet) << 6))
#define PLACE_3(character, sextet) [character] = (VALID | (UINT32_C(sextet)))
static const uint32_t placed[4][256] = {
    PLACED(PLACE_0), PLACED(PLACE_1), PLACED(PLACE_2), PLACED(PLACE_3)};

/* clang-format on */

static void encode_group(char out[4], uint32_t bits)
{
    memcpy(out, pairs + (size_t)2 * (bits >> 12), 2);
    memcpy(out + 2, pairs + (size_t)2 * (bits & 0xFFF), 2);
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
