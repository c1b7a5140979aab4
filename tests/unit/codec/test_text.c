/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "otoroshictl/codec/text.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void new_text_is_empty(void **state)
{
    char buffer[4] = "###";
    struct text text;
    (void)state;
    text_init(&text, buffer, sizeof buffer);
    assert_string_equal(buffer, "");
    assert_int_equal(text.used, 0);
    assert_false(text.cut);
}

static void what_is_appended_follows_what_is_there(void **state)
{
    char buffer[16];
    struct text text;
    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_append(&text, "%s=%d", "one", 1);
    text_append(&text, "%s", "");
    text_append(&text, ";");
    assert_string_equal(buffer, "one=1;");
    assert_int_equal(text.used, 6);
    assert_false(text.cut);
}

static void text_that_just_fits_is_whole(void **state)
{
    char buffer[5];
    struct text text;
    (void)state;
    text_init(&text, buffer, sizeof buffer);
    text_append(&text, "1234");
    assert_false(text.cut);
    text_append(&text, "%s", "");
    assert_false(text.cut);
    assert_string_equal(buffer, "1234");
}

static void text_that_does_not_fit_is_cut_and_says_so(void **state)
{
    char buffer[8] = "#######";
    struct text text;
    (void)state;
    text_init(&text, buffer, 4);
    text_append(&text, "12345");
    assert_true(text.cut);
    assert_string_equal(buffer, "123");
    assert_int_equal(text.used, 3);
    text_append(&text, "6");
    assert_true(text.cut);
    assert_string_equal(buffer, "123");
    assert_memory_equal(buffer + 4, "###", 3);
}

static void smallest_text_takes_nothing(void **state)
{
    char buffer[2] = "##";
    struct text text;
    (void)state;
    text_init(&text, buffer, 1);
    text_append(&text, "%s", "");
    assert_false(text.cut);
    text_append(&text, "1");
    assert_true(text.cut);
    assert_int_equal(buffer[0], '\0');
    assert_int_equal(buffer[1], '#');
}

static void json_string_is_valid_whatever_the_bytes(void **state)
{
    static const struct {
        const char *string;
        const char *json;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\x01\n\x1f", "\"\\u0001\\u000a\\u001f\""},
        {"\x7f", "\"\x7f\""},
        {"\xc3\xa9\xe2\x86\x92\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x86\x92\xf0\x9f\x98\x80\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"a\xc3", "\"a\xef\xbf\xbd\""},
        {"\xe2\x86z", "\"\xef\xbf\xbd\xef\xbf\xbdz\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char buffer[64];
        struct text text;
        text_init(&text, buffer, sizeof buffer);
        text_append_json_string(&text, rows[i].string);
        assert_string_equal(buffer, rows[i].json);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_text_is_empty),
        cmocka_unit_test(what_is_appended_follows_what_is_there),
        cmocka_unit_test(text_that_just_fits_is_whole),
        cmocka_unit_test(text_that_does_not_fit_is_cut_and_says_so),
        cmocka_unit_test(smallest_text_takes_nothing),
        cmocka_unit_test(json_string_is_valid_whatever_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
