/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "otoroshictl/codec/http_response.h"

#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110. */
enum { NOW_S = 784111777, SECOND = 1000000 };

static void assert_asks(const char *text, int64_t expected_us)
{
    const struct http_text slice = {text, strlen(text)};
    const int64_t got_us = http_retry_after(&slice, NOW_S);
    if (got_us != expected_us)
        fail_msg("\"%s\": %lld us instead of %lld us", text, (long long)got_us,
                 (long long)expected_us);
}

static void seconds_are_read(void **state)
{
    (void)state;
    assert_asks("0", 0);
    assert_asks("1", SECOND);
    assert_asks("120", 120LL * SECOND);
    assert_asks("007", 7LL * SECOND);
    assert_asks("999999999", 999999999LL * SECOND);
}

static void date_is_the_time_until_it(void **state)
{
    (void)state;
    assert_asks("Sun, 06 Nov 1994 08:49:38 GMT", SECOND);
    assert_asks("Sun, 06 Nov 1994 08:50:37 GMT", 60LL * SECOND);
    assert_asks("Mon, 07 Nov 1994 08:49:37 GMT", 86400LL * SECOND);
}

static void date_now_or_in_the_past_asks_for_nothing(void **state)
{
    (void)state;
    assert_asks("Sun, 06 Nov 1994 08:49:37 GMT", 0);
    assert_asks("Sun, 06 Nov 1994 08:49:36 GMT", 0);
    assert_asks("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    assert_asks("Wed, 01 Jan 1902 00:00:00 GMT", 0);
}

static void what_does_not_read_asks_for_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1s",
        "1 ",
        "0x10",
        "1000000000",
        "99999999999999999999999999",
        "soon",
        "Sun, 06 Nov 1994 08:50:37",
        "Sun, 06 Nov 1994 08:50:37 GMT ",
        "Sun, 06 Nov 1994 08:50:37 GMT, 60",
        "Sun, 06 Nov 1994 25:50:37 GMT",
        "Sun, 32 Nov 1994 08:50:37 GMT",
        "Sun, 06 Foo 1994 08:50:37 GMT",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_asks(rows[i], 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_read),
        cmocka_unit_test(date_is_the_time_until_it),
        cmocka_unit_test(date_now_or_in_the_past_asks_for_nothing),
        cmocka_unit_test(what_does_not_read_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
