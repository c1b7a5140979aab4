/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "otoroshictl/codec/http_response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- the head ------------------------------------------------------------------------------- */

/* Reads what lies in a heap block of its size, so that the sanitizer sees any byte too many. */
static enum http_result read_head(struct http_response *response, size_t *used, const char *head,
                                  size_t size)
{
    static char *block;
    free(block);
    block = malloc(size == 0 ? 1 : size);
    assert_non_null(block);
    memcpy(block, head, size);
    return http_response_read(response, used, (const uint8_t *)block, size);
}

static void assert_text(const struct http_text *text, const char *expected)
{
    assert_int_equal(text->size, strlen(expected));
    if (text->size > 0)
        assert_memory_equal(text->text, expected, text->size);
}

static const char upgraded[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                               "\r\n";

static void headers_are_read_in_any_case_and_order(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc=\r\n"
        "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Protocol: y\r\nLocation: /z\r\n"
        "Retry-After: 3\r\n\r\n",
        "HTTP/1.1 101\r\n"
        "retry-after:3\r\nlocation:/z\r\nsec-websocket-protocol:y\r\n"
        "sec-websocket-extensions:x\r\nsec-websocket-accept:abc=\r\nconnection:Upgrade\r\n"
        "upgrade:websocket\r\n\r\n",
        "HTTP/1.1 101 \r\n"
        "Date: now\r\nSEC-WEBSOCKET-ACCEPT: \t abc= \t\r\nX:\r\nUPGRADE:websocket \r\n"
        "LOCATION:\t/z\r\nCONNECTION: Upgrade\r\nReTrY-aFtEr: 3\r\n"
        "Sec-Websocket-Extensions: x\r\nSec-Websocket-Protocol: y\r\nServer: a: b\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_response response;
        size_t used;
        assert_int_equal(read_head(&response, &used, rows[i], strlen(rows[i])), HTTP_WHOLE);
        assert_int_equal(used, strlen(rows[i]));
        assert_int_equal(response.status, 101);
        assert_text(&response.upgrade, "websocket");
        assert_text(&response.connection, "Upgrade");
        assert_text(&response.accept, "abc=");
        assert_text(&response.extensions, "x");
        assert_text(&response.subprotocol, "y");
        assert_text(&response.location, "/z");
        assert_text(&response.retry_after, "3");
    }
}

static void missing_and_empty_headers_have_no_bytes(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 101 x\r\nUpgrade:\r\nLocation: \t \r\nXUpgrade: a\r\n"
                               "Upgrade2: b\r\n\r\n";
    struct http_response response;
    size_t used;
    assert_int_equal(read_head(&response, &used, head, sizeof head - 1), HTTP_WHOLE);
    assert_text(&response.upgrade, "");
    assert_text(&response.connection, "");
    assert_text(&response.accept, "");
    assert_text(&response.extensions, "");
    assert_text(&response.subprotocol, "");
    assert_text(&response.location, "");
    assert_text(&response.retry_after, "");
}

static void head_in_parts_asks_for_more_until_it_is_whole(void **state)
{
    (void)state;
    static const char *const rows[] = {upgraded, "HTTP/1.0 200\r\n\r\n",
                                       "HTTP/1.1 503 a\r\nb: c\r\n\r\n"};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t size = 0; size <= strlen(rows[i]); size++) {
            struct http_response response;
            size_t used = 1;
            const bool whole = size == strlen(rows[i]);
            assert_int_equal(read_head(&response, &used, rows[i], size),
                             whole ? HTTP_WHOLE : HTTP_MORE);
            assert_int_equal(used, whole ? size : 0);
        }
}

static void bytes_behind_the_head_are_left_alone(void **state)
{
    (void)state;
    static const char *const rows[] = {"\x82\x01x", "\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
                                       "bad"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char data[sizeof upgraded + 64];
        struct http_response response;
        size_t used;
        const int size = snprintf(data, sizeof data, "%s%s", upgraded, rows[i]);
        assert_int_equal(read_head(&response, &used, data, (size_t)size), HTTP_WHOLE);
        assert_int_equal(used, sizeof upgraded - 1);
        assert_text(&response.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}

static void status_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum http_result result;
        uint16_t status;
    } rows[] = {
        {"HTTP/1.1 101 Switching Protocols", HTTP_WHOLE, 101},
        {"HTTP/1.0 200 OK", HTTP_WHOLE, 200},
        {"HTTP/1.9 200 OK", HTTP_WHOLE, 200},
        {"HTTP/1.1 403", HTTP_WHOLE, 403},
        {"HTTP/1.1 403 ", HTTP_WHOLE, 403},
        {"HTTP/1.1 404 Not: Found", HTTP_WHOLE, 404},
        {"HTTP/1.1 500  \xC3\xA9\xFF", HTTP_WHOLE, 500},
        {"HTTP/1.1 100 Continue", HTTP_WHOLE, 100},
        {"HTTP/1.1 103 Early Hints", HTTP_WHOLE, 103},
        {"HTTP/1.1 999 x", HTTP_WHOLE, 999},
        {"", HTTP_BAD, 0},
        {"HTTP/1.1", HTTP_BAD, 0},
        {"HTTP/1.1 ", HTTP_BAD, 0},
        {"HTTP/1.1101 OK", HTTP_BAD, 0},
        {"HTTP/1.1\t101 OK", HTTP_BAD, 0},
        {"HTTP/1.1  101 OK", HTTP_BAD, 0},
        {"HTTP/1.1 10 OK", HTTP_BAD, 0},
        {"HTTP/1.1 10", HTTP_BAD, 0},
        {"HTTP/1.1 1010 OK", HTTP_BAD, 0},
        {"HTTP/1.1 1010", HTTP_BAD, 0},
        {"HTTP/1.1 101\tOK", HTTP_BAD, 0},
        {"HTTP/1.1 101x", HTTP_BAD, 0},
        {"HTTP/1.1 099 OK", HTTP_BAD, 0},
        {"HTTP/1.1 000 OK", HTTP_BAD, 0},
        {"HTTP/1.1 -10 OK", HTTP_BAD, 0},
        {"HTTP/1.1 1e2 OK", HTTP_BAD, 0},
        {"HTTP/1.10 101 OK", HTTP_BAD, 0},
        {"HTTP/1.x 101 OK", HTTP_BAD, 0},
        {"HTTP/1. 101 OK", HTTP_BAD, 0},
        {"HTTP/1 101 OK", HTTP_BAD, 0},
        {"HTTP/2 101 OK", HTTP_BAD, 0},
        {"HTTP/2.0 101 OK", HTTP_BAD, 0},
        {"http/1.1 101 OK", HTTP_BAD, 0},
        {" HTTP/1.1 101 OK", HTTP_BAD, 0},
        {"\r\nHTTP/1.1 101 OK", HTTP_BAD, 0},
        {"SSH-2.0-OpenSSH_9.2", HTTP_BAD, 0},
        {"\x15\x03\x01", HTTP_BAD, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char head[128];
        struct http_response response;
        size_t used;
        const int size = snprintf(head, sizeof head, "%s\r\nUpgrade: a\r\n\r\n", rows[i].line);
        const enum http_result result = read_head(&response, &used, head, (size_t)size);
        if (result != rows[i].result)
            fail_msg("\"%s\": %d instead of %d", rows[i].line, (int)result, (int)rows[i].result);
        if (result == HTTP_BAD)
            continue;
        assert_int_equal(response.status, rows[i].status);
        assert_int_equal(used, (size_t)size);
    }
}

/* A server of another protocol need not send an empty line before it is known as one. */
static void garbage_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    static const char begin[] = "HTTP/1.";
    struct http_response response;
    size_t used;
    assert_int_equal(read_head(&response, &used, "\x15", 1), HTTP_BAD);
    assert_int_equal(read_head(&response, &used, "\0", 1), HTTP_BAD);
    for (size_t i = 0; i < sizeof begin - 1; i++) {
        char head[sizeof begin];
        memcpy(head, begin, sizeof begin);
        head[i] ^= 1;
        assert_int_equal(read_head(&response, &used, head, i + 1), HTTP_BAD);
    }
}

static void bad_header_lines_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum http_result result;
    } rows[] = {
        {"a: b", HTTP_WHOLE},
        {"a:b", HTTP_WHOLE},
        {"a:", HTTP_WHOLE},
        {"a: b\r\n c", HTTP_BAD}, /* folded */
        {"a: b\r\n\tc: d", HTTP_BAD},
        {" a: b", HTTP_BAD},
        {"a", HTTP_BAD},
        {"a b", HTTP_BAD},
        {":", HTTP_BAD},
        {": b", HTTP_BAD},
        {"a : b", HTTP_BAD},
        {"a\t: b", HTTP_BAD},
        {"a: b\r\nc", HTTP_BAD},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char head[128];
        struct http_response response;
        size_t used;
        const int size = snprintf(head, sizeof head, "HTTP/1.1 101 x\r\n%s\r\n\r\n", rows[i].lines);
        const enum http_result result = read_head(&response, &used, head, (size_t)size);
        if (result != rows[i].result)
            fail_msg("\"%s\": %d instead of %d", rows[i].lines, (int)result, (int)rows[i].result);
    }
}

static void nul_is_refused_anywhere_in_the_head(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 101 x\r\nab: cd\r\n\r\n";
    for (size_t i = 0; i < sizeof head - 1; i++) {
        char data[sizeof head];
        struct http_response response;
        size_t used;
        memcpy(data, head, sizeof head);
        if (data[i] == '\r' || data[i] == '\n')
            continue;
        data[i] = '\0';
        assert_int_equal(read_head(&response, &used, data, sizeof head - 1), HTTP_BAD);
    }
}

static void first_of_two_headers_holds(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 101 x\r\n"
                               "Upgrade: one\r\nupgrade: two\r\nUPGRADE:\r\n"
                               "Location:\r\nLocation: later\r\n\r\n";
    struct http_response response;
    size_t used;
    assert_int_equal(read_head(&response, &used, head, sizeof head - 1), HTTP_WHOLE);
    assert_text(&response.upgrade, "one");
    assert_text(&response.location, "");
}

/* A head of `size` bytes, of which its last four are its end. */
static void fill_head(char *data, size_t size)
{
    static const char begin[] = "HTTP/1.1 101 x\r\na: ";
    memset(data, 'b', size);
    memcpy(data, begin, sizeof begin - 1);
    memcpy(data + size - 4, "\r\n\r\n", 4);
}

static void head_of_16384_bytes_is_the_largest(void **state)
{
    (void)state;
    static char data[HTTP_RESPONSE_MAX_BYTES + 100];
    struct http_response response;
    size_t used;
    assert_int_equal(HTTP_RESPONSE_MAX_BYTES, 16384);
    memset(data, 'x', sizeof data);
    fill_head(data, 16384);
    assert_int_equal(read_head(&response, &used, data, 16383), HTTP_MORE);
    assert_int_equal(read_head(&response, &used, data, 16384), HTTP_WHOLE);
    assert_int_equal(used, 16384);
    assert_int_equal(read_head(&response, &used, data, sizeof data), HTTP_WHOLE);
    assert_int_equal(used, 16384);
    fill_head(data, 16385);
    assert_int_equal(read_head(&response, &used, data, 16383), HTTP_MORE);
    assert_int_equal(read_head(&response, &used, data, 16384), HTTP_BAD);
    assert_int_equal(read_head(&response, &used, data, 16385), HTTP_BAD);
    assert_int_equal(read_head(&response, &used, data, sizeof data), HTTP_BAD);
}

/* The caller reads on behind it. */
static void interim_response_is_a_head_of_its_own(void **state)
{
    (void)state;
    static const char hints[] = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    char data[sizeof hints + sizeof upgraded];
    struct http_response response;
    size_t used;
    const size_t size = (size_t)snprintf(data, sizeof data, "%s%s", hints, upgraded);
    assert_int_equal(read_head(&response, &used, data, size), HTTP_WHOLE);
    assert_int_equal(response.status, 103);
    assert_int_equal(used, sizeof hints - 1);
    assert_text(&response.upgrade, "");
    assert_int_equal(read_head(&response, &used, data + used, size - used), HTTP_WHOLE);
    assert_int_equal(response.status, 101);
    assert_int_equal(used, sizeof upgraded - 1);
}

/* ---- tokens --------------------------------------------------------------------------------- */

static void tokens_are_found_in_lists(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool found;
    } rows[] = {
        {"upgrade", true},
        {"Upgrade", true},
        {"UPGRADE", true},
        {"keep-alive, Upgrade", true},
        {"Upgrade, keep-alive", true},
        {"a,upgrade,b", true},
        {"a ,\t upgrade \t, b", true},
        {",,upgrade", true},
        {"upgrade,", true},
        {" upgrade ", true},
        {"", false},
        {" ", false},
        {",", false},
        {", ,", false},
        {"close", false},
        {"upgrade2", false},
        {"xupgrade", false},
        {"upgrad", false},
        {"up grade", false},
        {"up,grade", false},
        {"upgrade;q=1", false},
        {"upgrade b", false},
        {"\"upgrade\"", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct http_text list = {rows[i].list, strlen(rows[i].list)};
        if (http_has_token(&list, "upgrade") != rows[i].found)
            fail_msg("\"%s\": %s", rows[i].list, rows[i].found ? "not found" : "found");
    }
}

static void list_that_is_missing_has_no_token(void **state)
{
    (void)state;
    const struct http_text none = {NULL, 0};
    const struct http_text cut = {"upgrade", 3};
    assert_false(http_has_token(&none, "upgrade"));
    assert_false(http_has_token(&cut, "upgrade"));
    assert_true(http_has_token(&cut, "upg"));
}

/* ---- Retry-After ---------------------------------------------------------------------------- */

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
        cmocka_unit_test(headers_are_read_in_any_case_and_order),
        cmocka_unit_test(missing_and_empty_headers_have_no_bytes),
        cmocka_unit_test(head_in_parts_asks_for_more_until_it_is_whole),
        cmocka_unit_test(bytes_behind_the_head_are_left_alone),
        cmocka_unit_test(status_lines),
        cmocka_unit_test(garbage_is_refused_at_its_first_byte),
        cmocka_unit_test(bad_header_lines_are_refused),
        cmocka_unit_test(nul_is_refused_anywhere_in_the_head),
        cmocka_unit_test(first_of_two_headers_holds),
        cmocka_unit_test(head_of_16384_bytes_is_the_largest),
        cmocka_unit_test(interim_response_is_a_head_of_its_own),
        cmocka_unit_test(tokens_are_found_in_lists),
        cmocka_unit_test(list_that_is_missing_has_no_token),
        cmocka_unit_test(seconds_are_read),
        cmocka_unit_test(date_is_the_time_until_it),
        cmocka_unit_test(date_now_or_in_the_past_asks_for_nothing),
        cmocka_unit_test(what_does_not_read_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
