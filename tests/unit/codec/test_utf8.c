/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/utf8.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Judged in a heap block of exactly its size, so that a read past the end is seen. */
static bool valid(const char *text, size_t size)
{
    uint8_t *const copy = malloc(size + 1);
    assert_non_null(copy);
    uint8_t *const exact = copy + 1;
    memcpy(exact, text, size);
    const bool result = utf8_valid(exact, size);
    free(copy);
    return result;
}

struct row {
    const char *what;
    const char *text;
};

static void text_of_every_length_of_character_is_valid(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"empty", ""},
        {"ASCII", "plain ASCII, longer than a machine word"},
        {"last of one byte", "\x7F"},
        {"first of two bytes", "\xC2\x80"},
        {"last of two bytes", "\xDF\xBF"},
        {"first of three bytes", "\xE0\xA0\x80"},
        {"last before the surrogates", "\xED\x9F\xBF"},
        {"first after the surrogates", "\xEE\x80\x80"},
        {"last of three bytes", "\xEF\xBF\xBF"},
        {"first of four bytes", "\xF0\x90\x80\x80"},
        {"last code point", "\xF4\x8F\xBF\xBF"},
        {"characters after a word of ASCII", "12345678\xE2\x82\xAC"
                                             "12345678\xF0\x9F\x98\x80z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!valid(rows[i].text, strlen(rows[i].text)))
            fail_msg("refused: %s", rows[i].what);
}

static void everything_else_is_invalid(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"lone continuation", "\x80"},
        {"overlong two bytes C0", "\xC0\x80"},
        {"overlong two bytes C1", "\xC1\xBF"},
        {"overlong three bytes", "\xE0\x9F\xBF"},
        {"first surrogate", "\xED\xA0\x80"},
        {"last surrogate", "\xED\xBF\xBF"},
        {"overlong four bytes", "\xF0\x8F\xBF\xBF"},
        {"above U+10FFFF", "\xF4\x90\x80\x80"},
        {"lead byte F5", "\xF5\x80\x80\x80"},
        {"lead byte FF", "\xFF"},
        {"two bytes cut short", "\xC2"},
        {"three bytes cut short", "\xE2\x82"},
        {"four bytes cut short", "\xF0\x9F\x98"},
        {"ASCII as second byte", "\xC2\x41"},
        {"ASCII as third byte", "\xE2\x82\x41"},
        {"lead byte as fourth byte", "\xF0\x9F\x98\xC2"},
        {"bad byte after a word of ASCII", "12345678\xFF"},
        {"bad byte inside a word of ASCII", "1234\xFF"
                                            "5678"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (valid(rows[i].text, strlen(rows[i].text)))
            fail_msg("accepted: %s", rows[i].what);
}

static size_t encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    const size_t size = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i > 0; i--, code_point >>= 6)
        out[i] = (char)(0x80 | (code_point & 0x3F));
    out[0] = (char)(lead[size] | code_point);
    return size;
}

static void every_code_point_but_the_surrogates_is_valid(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point <= 0x10FFFF; code_point++) {
        char text[4];
        const size_t size = encode(code_point, text);
        const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
        if (utf8_valid((const uint8_t *)text, size) == surrogate)
            fail_msg("U+%04X", (unsigned)code_point);
    }
}

static void nul_is_a_character(void **state)
{
    (void)state;
    assert_true(valid("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_every_length_of_character_is_valid),
        cmocka_unit_test(everything_else_is_invalid),
        cmocka_unit_test(every_code_point_but_the_surrogates_is_valid),
        cmocka_unit_test(nul_is_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
