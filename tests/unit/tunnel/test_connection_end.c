/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include "otoroshictl/tunnel/connection_end.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const char *describe_for(const struct connection_end *end, enum access_type access_type)
{
    static char text[512];
    memset(text, '#', sizeof text);
    connection_end_describe(end, "gw.test:9999", access_type, text, sizeof text);
    assert_non_null(memchr(text, '\0', sizeof text));
    return text;
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", text, part);
}

static void every_end_names_host_and_cause(void **state)
{
    (void)state;
    static const struct {
        struct connection_end end;
        const char *text;
    } rows[] = {
        {{.kind = END_NAME_LOOKUP, .detail = "no such name"},
         "cannot look up gw.test:9999: no such name; check --host and the name server"},
        {{.kind = END_TCP, .detail = "connection refused"},
         "cannot connect to gw.test:9999: connection refused"},
        {{.kind = END_TLS, .detail = "certificate has expired"},
         "TLS with gw.test:9999 failed: certificate has expired"},
        {{.kind = END_TIMEOUT, .detail = "the TLS handshake"},
         "gw.test:9999 did not finish the TLS handshake within --connect-timeout"},
        {{.kind = END_UPGRADE, .detail = "no Upgrade header"},
         "gw.test:9999 did not answer as a WebSocket server: no Upgrade header; check --host and "
         "--tls"},
        {{.kind = END_LOST, .detail = "reset"}, "lost the connection to gw.test:9999: reset"},
        {{.kind = END_PROTOCOL_BREACH, .status = 1002, .detail = "masked frame"},
         "gw.test:9999 broke the WebSocket protocol (masked frame), closed with 1002"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(describe_for(&rows[i].end, ACCESS_APIKEY), rows[i].text);
}

static void end_without_a_peer_needs_no_host(void **state)
{
    (void)state;
    const struct connection_end by_us = {.kind = END_CLOSED_BY_US};
    const struct connection_end internal = {.kind = END_INTERNAL, .detail = "out of memory"};
    assert_string_equal(describe_for(&by_us, ACCESS_PUBLIC), "closed");
    assert_string_equal(describe_for(&internal, ACCESS_PUBLIC), "out of memory");
}

static void refused_credentials_are_named_by_their_kind(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        enum access_type access_type;
        const char *part;
    } rows[] = {
        {400, ACCESS_APIKEY, "--apikey-client-id"},
        {400, ACCESS_BEARER, "--access-type"},
        {400, ACCESS_SESSION, "--access-type"},
        {400, ACCESS_PUBLIC, "--access-type"},
        {401, ACCESS_APIKEY, "the API key was refused"},
        {401, ACCESS_BEARER, "the bearer token was refused or has expired"},
        {401, ACCESS_SESSION, "the session token was refused"},
        {401, ACCESS_PUBLIC, "the gateway asks for credentials; choose an --access-type"},
        {303, ACCESS_SESSION, "--session-token"},
        {302, ACCESS_APIKEY, "check --host, --tls and --access-type"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct connection_end end = {
            .kind = END_HTTP_STATUS, .status = rows[i].status, .detail = "https://login.test/"};
        assert_contains(describe_for(&end, rows[i].access_type), rows[i].part);
    }
}

static void refused_upgrade_tells_status_host_and_what_it_means(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *part;
    } rows[] = {
        {403, "HTTP 403 from gw.test:9999: these credentials may not use this route"},
        {404, "HTTP 404 from gw.test:9999: no route for this host name"},
        {429, "HTTP 429 from gw.test:9999: a quota or rate limit was reached"},
        {500, "HTTP 500 from gw.test:9999: the gateway refused the WebSocket upgrade"},
        {502, "HTTP 502 from gw.test:9999: the gateway or the route's target is not available"},
        {503, "HTTP 503 from gw.test:9999: the gateway or the route's target is not available"},
        {504, "HTTP 504 from gw.test:9999: the gateway or the route's target is not available"},
        {200, "HTTP 200 from gw.test:9999: the gateway refused the WebSocket upgrade"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct connection_end end = {.kind = END_HTTP_STATUS, .status = rows[i].status};
        assert_contains(describe_for(&end, ACCESS_APIKEY), rows[i].part);
    }
}

static void redirect_names_its_target(void **state)
{
    (void)state;
    static const uint16_t statuses[] = {300, 301, 302, 303, 307, 308, 399};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        const struct connection_end end = {
            .kind = END_HTTP_STATUS, .status = statuses[i], .detail = "https://login.test/"};
        assert_contains(describe_for(&end, ACCESS_APIKEY),
                        "redirected to https://login.test/, which is not followed");
    }
}

static void location_without_a_redirect_is_not_one(void **state)
{
    (void)state;
    static const struct connection_end rows[] = {
        {.kind = END_HTTP_STATUS, .status = 299, .detail = "/x"},
        {.kind = END_HTTP_STATUS, .status = 400, .detail = "/x"},
        {.kind = END_HTTP_STATUS, .status = 302},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_null(strstr(describe_for(&rows[i], ACCESS_APIKEY), "redirected"));
}

static void close_code_is_explained(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *meaning;
    } rows[] = {
        {1000, "normal closure"},   {1001, "going away"},      {1002, "protocol error"},
        {1003, "unsupported data"}, {1005, "no code given"},   {1007, "invalid data"},
        {1008, "policy violation"}, {1009, "message too big"}, {1010, "missing extension"},
        {1011, "internal error"},   {1012, "service restart"}, {1013, "try again later"},
        {1014, "bad gateway"},      {3000, "private code"},    {4999, "private code"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct connection_end end = {.kind = END_CLOSED_BY_PEER, .status = rows[i].status};
        char expected[128];
        snprintf(expected, sizeof expected, "gw.test:9999 closed the connection with %u (%s)",
                 rows[i].status, rows[i].meaning);
        assert_string_equal(describe_for(&end, ACCESS_APIKEY), expected);
    }
}

static void close_reason_is_told(void **state)
{
    (void)state;
    const struct connection_end end = {
        .kind = END_CLOSED_BY_PEER, .status = 1001, .detail = "restarting"};
    assert_string_equal(describe_for(&end, ACCESS_APIKEY),
                        "gw.test:9999 closed the connection with 1001 (going away): restarting");
}

static void text_is_cut_at_its_size(void **state)
{
    (void)state;
    struct connection_end end = {.status = 302};
    memset(end.detail, 'x', sizeof end.detail - 1);
    for (int kind = END_CLOSED_BY_US; kind <= END_INTERNAL; kind++) {
        end.kind = (enum connection_end_kind)kind;
        for (size_t size = 1; size <= 400; size++) {
            char text[401];
            memset(text, '#', sizeof text);
            connection_end_describe(&end, "gw.test:9999", ACCESS_SESSION, text, size);
            assert_true(strnlen(text, size) < size);
            assert_int_equal(text[size], '#');
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_names_host_and_cause),
        cmocka_unit_test(end_without_a_peer_needs_no_host),
        cmocka_unit_test(refused_credentials_are_named_by_their_kind),
        cmocka_unit_test(refused_upgrade_tells_status_host_and_what_it_means),
        cmocka_unit_test(redirect_names_its_target),
        cmocka_unit_test(location_without_a_redirect_is_not_one),
        cmocka_unit_test(close_code_is_explained),
        cmocka_unit_test(close_reason_is_told),
        cmocka_unit_test(text_is_cut_at_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
