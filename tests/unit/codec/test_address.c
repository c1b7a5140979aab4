/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/address.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* From a heap block of exactly the text's size: no NUL to lean on. */
static bool parse(struct address *out, const char *text, size_t length)
{
    char *const copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy + 1, text, length);
    const bool valid = address_parse(out, copy + 1, length);
    free(copy);
    return valid;
}

static void ipv4_literals_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t ip[4];
    } rows[] = {
        {"127.0.0.1", {127, 0, 0, 1}},
        {"0.0.0.0", {0, 0, 0, 0}},
        {"255.255.255.255", {255, 255, 255, 255}},
        {"1.20.100.209", {1, 20, 100, 209}},
        {"10.99.101.9", {10, 99, 101, 9}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct address address;
        char text[ADDRESS_TEXT_SIZE];
        assert_true(parse(&address, rows[i].text, strlen(rows[i].text)));
        assert_int_equal(address.family, ADDRESS_IPV4);
        assert_memory_equal(address.ip, rows[i].ip, 4);
        assert_memory_equal(address.ip + 4, (uint8_t[12]){0}, 12);
        assert_int_equal(address.port, 0);
        assert_int_equal(address.scope_id, 0);
        assert_int_equal(address_format(&address, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

/* The examples of RFC 5952, sections 1, 4 and 5, and its corners. */
static void ipv6_literals_are_written_as_rfc_5952_says(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
        {"0:1:1:1:1:1:1:1", "0:1:1:1:1:1:1:1"},
        {"1:1:1:1:1:1:1:0", "1:1:1:1:1:1:1:0"},
        {"1:1:1:1:1:1:0:0", "1:1:1:1:1:1::"},
        {"::1:1:1:1:1:1", "::1:1:1:1:1:1"},
        {"1:0:0:1:0:0:1:0", "1::1:0:0:1:0"},
        {"FE80::ABCD", "fe80::abcd"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        /* where glibc's inet_ntop would write a dotted quad */
        {"::1.2.3.4", "::102:304"},
        {"::12:0", "::12:0"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct address address;
        char text[ADDRESS_TEXT_SIZE];
        if (!parse(&address, rows[i][0], strlen(rows[i][0])))
            fail_msg("refused: %s", rows[i][0]);
        assert_int_equal(address.family, ADDRESS_IPV6);
        assert_int_equal(address_format(&address, text), strlen(rows[i][1]));
        assert_string_equal(text, rows[i][1]);
    }
}

static void ipv4_mapped_ipv6_becomes_ipv4(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "::ffff:192.0.2.7",
        "::FFFF:c000:207",
        "0:0:0:0:0:ffff:192.0.2.7",
    };
    struct address expected;
    assert_true(parse(&expected, "192.0.2.7", 9));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct address address;
        assert_true(parse(&address, rows[i], strlen(rows[i])));
        assert_true(address_equal(&address, &expected));
    }
}

static void a_mapped_address_kept_as_ipv6_is_written_with_a_dotted_quad(void **state)
{
    (void)state;
    const struct address address = {
        .family = ADDRESS_IPV6,
        .ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 7},
    };
    char text[ADDRESS_TEXT_SIZE];
    assert_int_equal(address_format(&address, text), 16);
    assert_string_equal(text, "::ffff:192.0.2.7");
}

static void what_is_not_an_ip_literal_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        ".",
        ":",
        ":::",
        "1",
        "1.2",
        "1.2.3",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4.",
        "1.2.3.4.5",
        "256.0.0.1",
        "1.2.3.256",
        "1.2.3.999",
        "01.2.3.4",
        "1.2.3.04",
        "00.0.0.0",
        "1.2.3.0004",
        "0x1.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "+1.2.3.4",
        "-1.2.3.4",
        "1.2.3.a",
        "1,2,3,4",
        "127.1",
        "2130706433",
        "localhost",
        "example.com",
        "[::1]",
        "::1%eth0",
        "fe80::1%2",
        "fe80::1%",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "12345::",
        "g::",
        "::1.2.3",
        "::1.2.3.256",
        "::1.2.3.04",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        ":1::",
        "1::2:",
        "::ffff:1.2.3.4/96",
        "10.0.0.0/8",
        "1.2.3.4:53",
        "::1\n",
        "0000:0000:0000:0000:0000:0000:0000:00000",
        "0000:0000:0000:0000:0000:ffff:192.168.100.1000",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct address address;
        if (parse(&address, rows[i], strlen(rows[i])))
            fail_msg("accepted: '%s'", rows[i]);
    }
}

static void embedded_nul_is_refused(void **state)
{
    (void)state;
    struct address address;
    assert_false(parse(&address, "127.0.0.1\0", 10));
    assert_false(parse(&address, "::1\0", 4));
    assert_false(parse(&address, "::1\0x", 5));
    assert_false(parse(&address, "\0::1", 4));
}

static void three_hundred_bytes_are_refused(void **state)
{
    (void)state;
    char text[300];
    struct address address;
    memset(text, '1', sizeof(text));
    assert_false(parse(&address, text, sizeof(text)));
    memset(text, ':', sizeof(text));
    assert_false(parse(&address, text, sizeof(text)));
}

static void the_longest_literals_fit(void **state)
{
    (void)state;
    struct address address;
    static const char longest[] = "0000:0000:0000:0000:0000:ffff:255.255.255.255";
    assert_int_equal(strlen(longest), ADDRESS_TEXT_SIZE - 1);
    assert_true(parse(&address, longest, strlen(longest)));
}

/* An independent reader, the C library's, must get the same bytes back. */
static void what_is_written_reads_back_to_the_same_address(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int i = 0; i < 20000; i++) {
        struct address address = {.family = ADDRESS_IPV6};
        for (size_t group = 0; group < 8; group++) {
            random = random * 1664525 + 1013904223;
            const uint32_t bits = random >> 8;
            /* Half of the groups are zero, so that all kinds of runs come up. */
            address.ip[2 * group] = bits & 0x10000 ? (uint8_t)(bits >> 8) & 0x1F : 0;
            address.ip[2 * group + 1] = bits & 0x10000 ? (uint8_t)bits : 0;
        }
        char text[ADDRESS_TEXT_SIZE];
        uint8_t ip[16];
        struct address back;
        const size_t length = address_format(&address, text);
        assert_int_equal(inet_pton(AF_INET6, text, ip), 1);
        assert_memory_equal(ip, address.ip, 16);
        assert_true(parse(&back, text, length));
        assert_true(address_equal(&back, &address));
    }
}

static void addresses_are_told_apart_by_family_ip_and_port_but_not_scope(void **state)
{
    (void)state;
    const struct address address = {.family = ADDRESS_IPV6, .ip = {[15] = 1}, .port = 53};
    struct address other = address;
    assert_true(address_equal(&address, &other));
    other.scope_id = 2;
    assert_true(address_equal(&address, &other));
    other.port = 54;
    assert_false(address_equal(&address, &other));
    other = address;
    other.family = ADDRESS_IPV4;
    assert_false(address_equal(&address, &other));
    other = address;
    other.ip[15] = 2;
    assert_false(address_equal(&address, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_literals_are_read_and_written),
        cmocka_unit_test(ipv6_literals_are_written_as_rfc_5952_says),
        cmocka_unit_test(ipv4_mapped_ipv6_becomes_ipv4),
        cmocka_unit_test(a_mapped_address_kept_as_ipv6_is_written_with_a_dotted_quad),
        cmocka_unit_test(what_is_not_an_ip_literal_is_refused),
        cmocka_unit_test(embedded_nul_is_refused),
        cmocka_unit_test(three_hundred_bytes_are_refused),
        cmocka_unit_test(the_longest_literals_fit),
        cmocka_unit_test(what_is_written_reads_back_to_the_same_address),
        cmocka_unit_test(addresses_are_told_apart_by_family_ip_and_port_but_not_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
