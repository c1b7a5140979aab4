/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/base64.h"
#include "otoroshictl/codec/upgrade.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* In a heap block of exactly upgrade_size() bytes; the copy that is returned ends in NUL. */
static char *write_head(const struct upgrade_request *request)
{
    const size_t size = upgrade_size(request);
    char *const exact = malloc(size);
    char *const head = calloc(1, size + 1);
    assert_non_null(exact);
    assert_non_null(head);
    assert_int_equal(upgrade_write(exact, size, request, KEY), size);
    memcpy(head, exact, size);
    free(exact);
    assert_int_equal(strlen(head), size);
    return head;
}

static struct upgrade_request public_request(void)
{
    return (struct upgrade_request){
        .transport = "udp",
        .host_header = "gateway.example.com:9999",
        .credential = UPGRADE_PUBLIC,
    };
}

static void assert_request_line(const struct upgrade_request *request, const char *expected)
{
    char *const head = write_head(request);
    char *const end = strstr(head, "\r\n");
    assert_non_null(end);
    *end = '\0';
    assert_string_equal(head, expected);
    free(head);
}

static void assert_has_line(const struct upgrade_request *request, const char *line, bool expected)
{
    char *const head = write_head(request);
    if ((strstr(head, line) != NULL) != expected)
        fail_msg("%s %s:\n%s", expected ? "lacks" : "has", line, head);
    free(head);
}

static void head_has_its_lines_in_order_and_ends_in_an_empty_line(void **state)
{
    (void)state;
    static const char *const headers[] = {"X-One: 1", "X-Two: two words"};
    struct upgrade_request request = public_request();
    request.credential = UPGRADE_BEARER;
    request.first = "token";
    request.headers = headers;
    request.header_count = 2;
    char *const head = write_head(&request);
    static const char before[] = "GET /.well-known/otoroshi/tunnel?transport=udp HTTP/1.1\r\n"
                                 "Host: gateway.example.com:9999\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Key: " KEY "\r\n"
                                 "Sec-WebSocket-Version: 13\r\n"
                                 "User-Agent: otoroshictl/";
    static const char after[] = "Authorization: Bearer token\r\n"
                                "X-One: 1\r\n"
                                "X-Two: two words\r\n"
                                "\r\n";
    assert_memory_equal(head, before, strlen(before));
    const char *const version = head + strlen(before);
    const char *const version_end = strstr(version, "\r\n");
    assert_non_null(version_end);
    assert_int_equal(strspn(version, "0123456789."), version_end - version);
    assert_string_equal(version_end + 2, after);
    free(head);
}

static void query_parameters_come_in_order(void **state)
{
    (void)state;
    struct upgrade_request request = public_request();
    request.transport = "tcp";
    request.remote_host = "ssh.internal.com";
    request.remote_port = 22;
    request.credential = UPGRADE_SESSION;
    request.first = "abc";
    assert_request_line(&request, "GET /.well-known/otoroshi/tunnel?transport=tcp"
                                  "&remoteHost=ssh.internal.com&remotePort=22&pappsToken=abc"
                                  " HTTP/1.1");
}

static void absent_remote_host_and_port_are_left_out(void **state)
{
    (void)state;
    struct upgrade_request request = public_request();
    static const char bare[] = "GET /.well-known/otoroshi/tunnel?transport=udp HTTP/1.1";
    assert_request_line(&request, bare);
    request.remote_host = "";
    assert_request_line(&request, bare);
    request.remote_port = 65535;
    assert_request_line(&request,
                        "GET /.well-known/otoroshi/tunnel?transport=udp&remotePort=65535 HTTP/1.1");
    request.remote_port = 0;
    request.remote_host = "h";
    assert_request_line(&request,
                        "GET /.well-known/otoroshi/tunnel?transport=udp&remoteHost=h HTTP/1.1");
}

static void all_but_unreserved_characters_of_the_query_are_percent_encoded(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"AZaz09-._~", "AZaz09-._~"},
        {"2001:db8::1", "2001%3Adb8%3A%3A1"},
        {"a b&c=d#e/f?g%h+i", "a%20b%26c%3Dd%23e%2Ff%3Fg%25h%2Bi"},
        {"\r\n\x7F\"'<>", "%0D%0A%7F%22%27%3C%3E"},
        {"\xC3\xA9\xFF", "%C3%A9%FF"},
        {"@[`{:,!*()", "%40%5B%60%7B%3A%2C%21%2A%28%29"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char expected[300];
        struct upgrade_request request = public_request();
        request.remote_host = rows[i][0];
        request.credential = UPGRADE_SESSION;
        request.first = rows[i][0];
        snprintf(expected, sizeof(expected),
                 "GET /.well-known/otoroshi/tunnel?transport=udp&remoteHost=%s&pappsToken=%s "
                 "HTTP/1.1",
                 rows[i][1], rows[i][1]);
        assert_request_line(&request, expected);
    }
}

static void public_and_session_access_send_no_authorization(void **state)
{
    (void)state;
    struct upgrade_request request = public_request();
    request.first = "secret";
    assert_has_line(&request, "Authorization", false);
    assert_has_line(&request, "secret", false);
    request.credential = UPGRADE_SESSION;
    assert_has_line(&request, "Authorization", false);
}

static void missing_credentials_count_as_empty(void **state)
{
    (void)state;
    struct upgrade_request request = public_request();
    request.credential = UPGRADE_SESSION;
    assert_has_line(&request, "&pappsToken= HTTP/1.1\r\n", true);
    request.credential = UPGRADE_BEARER;
    assert_has_line(&request, "\r\nAuthorization: Bearer \r\n", true);
    request.credential = UPGRADE_BASIC;
    assert_has_line(&request, "\r\nAuthorization: Basic Og==\r\n", true);
}

/* The example of RFC 7617, section 2, and its neighbours of other lengths. */
static void basic_credential_is_the_base64_of_id_and_secret(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        {"test", "123\xC2\xA3", "dGVzdDoxMjPCow=="},
        {"a", "", "YTo="},
        {"a", "b", "YTpi"},
        {"", "b", "OmI="},
        {"ab", "c", "YWI6Yw=="},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[100];
        struct upgrade_request request = public_request();
        request.credential = UPGRADE_BASIC;
        request.first = rows[i][0];
        request.second = rows[i][1];
        snprintf(line, sizeof(line), "\r\nAuthorization: Basic %s\r\n", rows[i][2]);
        assert_has_line(&request, line, true);
    }
}

static void credential_of_eight_kilobytes_is_written_whole(void **state)
{
    (void)state;
    char secret[8193];
    memset(secret, 's', sizeof(secret) - 1);
    secret[8192] = '\0';
    char joined[8196];
    const size_t size = (size_t)snprintf(joined, sizeof(joined), "id:%s", secret);
    char *const line = calloc(1, base64_encoded_size(size) + 100);
    assert_non_null(line);
    size_t length = (size_t)sprintf(line, "Authorization: Basic ");
    length += base64_encode(line + length, (const uint8_t *)joined, size);
    stpcpy(line + length, "\r\n");

    struct upgrade_request request = public_request();
    request.credential = UPGRADE_BASIC;
    request.first = "id";
    request.second = secret;
    assert_has_line(&request, line, true);
    free(line);

    request.credential = UPGRADE_BEARER;
    request.first = secret;
    assert_has_line(&request, secret, true);
}

static void host_name_of_253_bytes_and_a_hundred_headers_are_written_whole(void **state)
{
    (void)state;
    char host[254];
    memset(host, 'h', sizeof(host) - 1);
    host[253] = '\0';
    const char *headers[100];
    for (size_t i = 0; i < 100; i++)
        headers[i] = "X-Header: value";
    struct upgrade_request request = public_request();
    request.host_header = host;
    request.headers = headers;
    request.header_count = 100;
    char *const head = write_head(&request);
    char line[300];
    snprintf(line, sizeof(line), "\r\nHost: %s\r\n", host);
    assert_non_null(strstr(head, line));
    size_t count = 0;
    for (const char *at = head; (at = strstr(at, "\r\nX-Header: value")) != NULL; at++)
        count++;
    assert_int_equal(count, 100);
    free(head);
}

static void head_that_passes_the_capacity_is_refused_at_every_size(void **state)
{
    (void)state;
    struct upgrade_request request = public_request();
    request.credential = UPGRADE_BASIC;
    request.first = "id";
    request.second = "secret";
    request.remote_host = "a b";
    const size_t size = upgrade_size(&request);
    for (size_t capacity = 0; capacity <= size + 1; capacity++) {
        char *const block = malloc(capacity + 1);
        assert_non_null(block);
        assert_int_equal(upgrade_write(block + 1, capacity, &request, KEY),
                         capacity < size ? 0 : size);
        free(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_has_its_lines_in_order_and_ends_in_an_empty_line),
        cmocka_unit_test(query_parameters_come_in_order),
        cmocka_unit_test(absent_remote_host_and_port_are_left_out),
        cmocka_unit_test(all_but_unreserved_characters_of_the_query_are_percent_encoded),
        cmocka_unit_test(public_and_session_access_send_no_authorization),
        cmocka_unit_test(missing_credentials_count_as_empty),
        cmocka_unit_test(basic_credential_is_the_base64_of_id_and_secret),
        cmocka_unit_test(credential_of_eight_kilobytes_is_written_whole),
        cmocka_unit_test(host_name_of_253_bytes_and_a_hundred_headers_are_written_whole),
        cmocka_unit_test(head_that_passes_the_capacity_is_refused_at_every_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
