#include "json_scan.h"

#include <string.h>

#include "otoroshictl/codec/utf8.h"

struct scan {
    const uint8_t *at;
    const uint8_t *end;
    struct json_text *out;
    size_t values;                   /* begun so far */
    size_t members;                  /* of the outermost container, begun so far */
    size_t depth;                    /* containers open */
    uint8_t closer[JSON_MAX_VALUES]; /* of each open container: '}' or ']' */
};

/* The next byte, or 0, which is no part of JSON, at the end. */
static uint8_t peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : 0;
}

static bool take(struct scan *scan, uint8_t byte)
{
    if (peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

static void skip_space(struct scan *scan)
{
    while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\n' || peek(scan) == '\r')
        scan->at++;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hex_digit(uint8_t byte)
{
    const uint8_t lower = byte | 0x20;
    return is_digit(byte) || (lower >= 'a' && lower <= 'f');
}

/* After "\u". That surrogates come in pairs is cJSON's to check. */
static bool scan_hex_escape(struct scan *scan)
{
    bool zero = true;
    for (int i = 0; i < 4; i++, scan->at++) {
        if (!is_hex_digit(peek(scan)))
            return false;
        zero = zero && *scan->at == '0';
    }
    return !zero;
}

static bool scan_escape(struct scan *scan)
{
    const uint8_t kind = peek(scan);
    if (kind == 0 || strchr("\"\\/bfnrtu", kind) == NULL)
        return false;
    scan->at++;
    return kind != 'u' || scan_hex_escape(scan);
}

static bool scan_string(struct scan *scan)
{
    if (!take(scan, '"'))
        return false;
    while (!take(scan, '"')) {
        if (peek(scan) < 0x20)
            return false;
        if (*scan->at++ == '\\' && !scan_escape(scan))
            return false;
    }
    return true;
}

static bool scan_digits(struct scan *scan)
{
    const uint8_t *const start = scan->at;
    while (is_digit(peek(scan)))
        scan->at++;
    return scan->at > start;
}

static bool scan_fraction(struct scan *scan)
{
    return !take(scan, '.') || scan_digits(scan);
}

static bool scan_exponent(struct scan *scan)
{
    if (!take(scan, 'e') && !take(scan, 'E'))
        return true;
    if (!take(scan, '+'))
        (void)take(scan, '-');
    return scan_digits(scan);
}

static bool scan_number(struct scan *scan)
{
    const uint8_t *const start = scan->at;
    const bool negative = take(scan, '-');
    if (!take(scan, '0') && !scan_digits(scan))
        return false;
    const uint8_t *const integer_end = scan->at;
    if (!scan_fraction(scan) || !scan_exponent(scan))
        return false;
    if (scan->depth == 1)
        scan->out->plain_integer[scan->members - 1] = !negative && scan->at == integer_end;
    return scan->at - start <= JSON_MAX_NUMBER_LENGTH;
}

static bool scan_word(struct scan *scan, const char *word)
{
    while (*word != '\0')
        if (!take(scan, (uint8_t)*word++))
            return false;
    return true;
}

static bool scan_scalar(struct scan *scan)
{
    switch (peek(scan)) {
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        return scan_number(scan);
    }
}

/* What comes before a value inside a container: nothing in an array, `"key":` in an object. */
static bool scan_key(struct scan *scan)
{
    skip_space(scan);
    if (scan->closer[scan->depth - 1] == ']')
        return true;
    if (!scan_string(scan))
        return false;
    skip_space(scan);
    return take(scan, ':');
}

enum next {
    NEXT_INVALID,
    NEXT_VALUE,     /* a value is to follow */
    NEXT_VALUE_END, /* a value ended here */
};

static enum next scan_open(struct scan *scan, uint8_t closer)
{
    scan->closer[scan->depth++] = closer;
    skip_space(scan);
    if (take(scan, closer)) {
        scan->depth--;
        return NEXT_VALUE_END;
    }
    return scan_key(scan) ? NEXT_VALUE : NEXT_INVALID;
}

static enum next scan_value(struct scan *scan)
{
    skip_space(scan);
    if (scan->values++ == JSON_MAX_VALUES)
        return NEXT_INVALID;
    if (scan->depth == 1)
        scan->members++;
    if (take(scan, '{'))
        return scan_open(scan, '}');
    if (take(scan, '['))
        return scan_open(scan, ']');
    return scan_scalar(scan) ? NEXT_VALUE_END : NEXT_INVALID;
}

/* After a value inside a container: a comma and the next one, or the container's own end. */
static enum next scan_after_value(struct scan *scan)
{
    skip_space(scan);
    if (take(scan, ','))
        return scan_key(scan) ? NEXT_VALUE : NEXT_INVALID;
    return take(scan, scan->closer[--scan->depth]) ? NEXT_VALUE_END : NEXT_INVALID;
}

static bool scan_whole_value(struct scan *scan)
{
    enum next next = NEXT_VALUE;
    while (next == NEXT_VALUE || (next == NEXT_VALUE_END && scan->depth > 0))
        next = next == NEXT_VALUE ? scan_value(scan) : scan_after_value(scan);
    return next == NEXT_VALUE_END;
}

bool json_scan(struct json_text *out, const uint8_t *text, size_t size)
{
    struct scan scan = {.at = text, .end = text + size, .out = out};
    *out = (struct json_text){0};
    skip_space(&scan);
    out->start = scan.at;
    out->is_object = peek(&scan) == '{';
    if (!scan_whole_value(&scan))
        return false;
    out->size = (size_t)(scan.at - out->start);
    skip_space(&scan);
    out->at_end = scan.at == scan.end;
    return utf8_valid(out->start, out->size);
}
