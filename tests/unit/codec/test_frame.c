/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/frame.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { MESSAGE_LIMIT = 128 * 1024 };

struct reading {
    enum frame_result result;
    struct address client;
    size_t size;
    uint8_t *payload;
};

typedef enum frame_result frame_reader(struct address *, uint8_t *, size_t *, const uint8_t *,
                                       size_t);

/* Text and payload lie in heap blocks of the size the contract names. */
static struct reading read_with(frame_reader *reader, const char *text, size_t size)
{
    struct reading reading = {.payload = malloc(DATAGRAM_MAX_BYTES + 3)};
    uint8_t *const copy = malloc(size + 1);
    assert_non_null(reading.payload);
    assert_non_null(copy);
    memcpy(copy + 1, text, size);
    reading.result = reader(&reading.client, reading.payload, &reading.size, copy + 1, size);
    free(copy);
    return reading;
}

static enum frame_result read_canonical(struct address *client, uint8_t *payload,
                                        size_t *payload_size, const uint8_t *text, size_t size)
{
    return frame_read_canonical(client, payload, payload_size, text, size) ? FRAME_OK
                                                                           : FRAME_NOT_JSON;
}

static bool is_canonical(const char *text, size_t size)
{
    const struct reading reading = read_with(read_canonical, text, size);
    free(reading.payload);
    return reading.result == FRAME_OK;
}

static const char *name_of(enum frame_result result)
{
    static const char *const names[] = {[FRAME_OK] = "ok",
#define NAME(name, label, text) [FRAME_##name] = (label),
                                        FRAME_ERRORS(NAME)
#undef NAME
    };
    return names[result];
}

static void assert_refused_sized(const char *text, size_t size, enum frame_result expected)
{
    const struct reading reading = read_with(frame_read, text, size);
    free(reading.payload);
    if (reading.result != expected)
        fail_msg("%.100s: %s, expected %s", text, name_of(reading.result), name_of(expected));
}

static void assert_refused(const char *text, enum frame_result expected)
{
    assert_refused_sized(text, strlen(text), expected);
}

static void assert_reads_as(const char *text, const char *ip, uint16_t port, const char *payload)
{
    const struct reading reading = read_with(frame_read, text, strlen(text));
    if (reading.result != FRAME_OK)
        fail_msg("%s: %s", text, name_of(reading.result));
    char written[ADDRESS_TEXT_SIZE];
    address_format(&reading.client, written);
    assert_string_equal(written, ip);
    assert_int_equal(reading.client.port, port);
    assert_int_equal(reading.size, strlen(payload));
    assert_memory_equal(reading.payload, payload, reading.size);
    free(reading.payload);
}

static struct address ipv4_client(uint16_t port)
{
    return (struct address){.family = ADDRESS_IPV4, .ip = {127, 0, 0, 1}, .port = port};
}

/* Writing */

static void frame_has_its_keys_in_order_and_no_spaces(void **state)
{
    (void)state;
    static const char expected[] =
        "{\"address\":\"127.0.0.1\",\"port\":40001,\"data\":\"aGVsbG8=\"}";
    const struct address client = ipv4_client(40001);
    struct frame_prefix prefix;
    frame_prefix_init(&prefix, &client);
    uint8_t out[sizeof(expected) - 1];
    assert_int_equal(frame_size(&prefix, 5), sizeof(out));
    assert_int_equal(frame_write(out, &prefix, (const uint8_t *)"hello", 5), sizeof(out));
    assert_memory_equal(out, expected, sizeof(out));
}

static void empty_payload_is_written_as_empty_data(void **state)
{
    (void)state;
    static const char expected[] = "{\"address\":\"127.0.0.1\",\"port\":1,\"data\":\"\"}";
    const struct address client = ipv4_client(1);
    struct frame_prefix prefix;
    frame_prefix_init(&prefix, &client);
    uint8_t out[sizeof(expected) - 1];
    assert_int_equal(frame_write(out, &prefix, (const uint8_t *)"", 0), sizeof(out));
    assert_memory_equal(out, expected, sizeof(out));
}

static void the_longest_prefix_fits(void **state)
{
    (void)state;
    struct address client = {.family = ADDRESS_IPV6, .port = 65535};
    memset(client.ip, 0xFF, sizeof(client.ip));
    struct frame_prefix prefix;
    frame_prefix_init(&prefix, &client);
    static const char expected[] = "{\"address\":\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\","
                                   "\"port\":65535,\"data\":\"";
    assert_int_equal(prefix.size, strlen(expected));
    assert_memory_equal(prefix.text, expected, prefix.size);
}

static void assert_round_trip(const struct address *client, size_t size)
{
    struct frame_prefix prefix;
    frame_prefix_init(&prefix, client);
    uint8_t *const payload = malloc(size + 1);
    assert_non_null(payload);
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(i * 31 + i / 251);
    uint8_t *const frame = malloc(frame_size(&prefix, size));
    assert_non_null(frame);
    const size_t written = frame_write(frame, &prefix, payload, size);
    assert_int_equal(written, frame_size(&prefix, size));

    frame_reader *const readers[] = {read_canonical, frame_read_general};
    for (size_t i = 0; i < 2; i++) {
        const struct reading reading = read_with(readers[i], (const char *)frame, written);
        assert_int_equal(reading.result, FRAME_OK);
        assert_true(address_equal(&reading.client, client));
        assert_int_equal(reading.size, size);
        assert_memory_equal(reading.payload, payload, size);
        free(reading.payload);
    }
    free(frame);
    free(payload);
}

static void every_size_of_datagram_survives_the_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,   1,    2,    3,     4,     124,   125,  126,
                                   127, 1400, 1472, 49100, 65505, 65506, 65507};
    const struct address ipv4 = ipv4_client(65535);
    const struct address ipv6 = {.family = ADDRESS_IPV6, .ip = {0xFD, [15] = 1}, .port = 1};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_round_trip(&ipv4, sizes[i]);
        assert_round_trip(&ipv6, sizes[i]);
    }
}

/* Reading: what is delivered */

static void both_canonical_shapes_are_read_without_json(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\"}",
        "{\"port\":53,\"address\":\"10.0.0.1\",\"data\":\"aGk=\"}",
    };
    for (size_t i = 0; i < 2; i++) {
        assert_true(is_canonical(rows[i], strlen(rows[i])));
        assert_reads_as(rows[i], "10.0.0.1", 53, "hi");
    }
}

static void any_other_shape_is_left_to_the_general_reader(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"address\":\"10.0.0.1\",\"data\":\"aGk=\",\"port\":53}",
        "{\"data\":\"aGk=\",\"address\":\"10.0.0.1\",\"port\":53}",
        "{\"data\":\"aGk=\",\"port\":53,\"address\":\"10.0.0.1\"}",
        "{\"port\":53,\"data\":\"aGk=\",\"address\":\"10.0.0.1\"}",
        " {\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\"}",
        "{\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\"}\n",
        "{\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\" }",
        "\t\r\n {\n \"address\" : \"10.0.0.1\" ,\r\n\t\"port\" : 53 , \"data\" : \"aGk=\" } \n",
        "{\"address\":\"10.0.0.1\", \"port\":53,\"data\":\"aGk=\"}",
        "{\"address\":\"10.0.0.1\",\"port\":53, \"data\":\"aGk=\"}",
        "{\"port\": 53,\"address\":\"10.0.0.1\",\"data\":\"aGk=\"}",
        "{\"port\":53, \"address\":\"10.0.0.1\",\"data\":\"aGk=\"}",
        "{\"port\":53,\"address\":\"10.0.0.1\" ,\"data\":\"aGk=\"}",
        "{\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\",\"more\":1}",
        "{\"more\":\"x\",\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\"}",
        "{\"\\u0061ddress\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\"}",
        "{\"address\":\"1\\u0030.0.0.1\",\"port\":53,\"data\":\"aGk=\"}",
        "{\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"\\u0061\\u0047\\u006B=\"}",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_false(is_canonical(rows[i], strlen(rows[i])));
        assert_reads_as(rows[i], "10.0.0.1", 53, "hi");
    }
}

static void escaped_slash_in_data_is_a_slash(void **state)
{
    (void)state;
    assert_reads_as("{\"address\":\"::1\",\"port\":9,\"data\":\"Pz8\\/\"}", "::1", 9, "???");
}

static void empty_data_is_an_empty_datagram(void **state)
{
    (void)state;
    assert_reads_as("{\"port\":53,\"address\":\"::1\",\"data\":\"\"}", "::1", 53, "");
    assert_reads_as("{\"port\":53,\"address\":\"::1\",\"data\" : \"\"}", "::1", 53, "");
}

static void ipv4_mapped_address_is_an_ipv4_client(void **state)
{
    (void)state;
    assert_reads_as("{\"address\":\"::ffff:10.0.0.1\",\"port\":53,\"data\":\"aGk=\"}", "10.0.0.1",
                    53, "hi");
}

static void every_legal_port_is_read(void **state)
{
    (void)state;
    for (unsigned port = 1; port <= UINT16_MAX; port += port < 100 || port > 65400 ? 1 : 997) {
        char text[100];
        snprintf(text, sizeof(text), "{\"address\":\"::1\",\"port\":%u,\"data\":\"\"}", port);
        assert_true(is_canonical(text, strlen(text)));
        assert_reads_as(text, "::1", (uint16_t)port, "");
        snprintf(text, sizeof(text), "{\"address\":\"::1\",\"port\": %u,\"data\":\"\"}", port);
        assert_reads_as(text, "::1", (uint16_t)port, "");
    }
}

/* Of an object with one more member than it needs. */
static void assert_member_ignored(const char *member)
{
    char text[400];
    snprintf(text, sizeof(text), "{\"address\":\"::1\",%s,\"port\":7,\"data\":\"aGk=\"}", member);
    assert_reads_as(text, "::1", 7, "hi");
    snprintf(text, sizeof(text), "{\"address\":\"::1\",\"port\":7,\"data\":\"aGk=\",%s}", member);
    assert_reads_as(text, "::1", 7, "hi");
}

static void unknown_members_of_any_kind_are_ignored(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\"x\":null",
        "\"x\":true",
        "\"x\":false",
        "\"x\":-0",
        "\"x\":0",
        "\"x\":12.5e-3",
        "\"x\":1E+9",
        "\"x\":-7e0",
        "\"x\":[]",
        "\"x\":{}",
        "\"x\":[ ]",
        "\"x\":{ }",
        "\"x\":[1 , [2,[{}]] ,\t\"y\"]",
        "\"x\":{\"a\":{\"b\":[{\"port\":1},2]},\"data\":null}",
        "\"Address\":1",
        "\"PORT\":null",
        "\"Data\":[]",
        "\"\":\"\"",
        "\"port \":2",
        "\"x\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
        "\"\xC3\xA9\xE2\x82\xAC\":\"\xF0\x9F\x98\x80\"",
        "\"x\":\"}\"",
        "\"x\":1,\"y\":2",
        "\"x\":\"\x7F\"",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_member_ignored(rows[i]);
}

/* Reading: what is refused, by reason */

static void assert_not_json(const char *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_refused(rows[i], FRAME_NOT_JSON);
}

static void text_of_broken_structure_is_not_json(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "{",
        "}",
        "{]",
        "[}",
        "[",
        "]",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{a:1}",
        "{1:1}",
        "{'a':1}",
        "{\"a\":1;}",
        "{\"a\":1 \"b\":2}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "[[1]",
        "{\"a\":[}",
        "{/**/\"a\":1}",
    };
    assert_not_json(rows, COUNT(rows));
}

static void several_values_that_are_no_object_are_not_json(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "0,0,0,", "null null", "\"a\" \"b\"", "[] []", "1x",
    };
    assert_not_json(rows, COUNT(rows));
}

static void unknown_words_are_not_json(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "hello", "nul", "nulL", "True", "tru", "falsy", "NaN", "Infinity", "undefined",
    };
    assert_not_json(rows, COUNT(rows));
}

static void numbers_outside_the_grammar_are_not_json(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"a\":01}",  "{\"a\":+1}",  "{\"a\":.5}",    "{\"a\":5.}",   "{\"a\":1e}",
        "{\"a\":1e+}", "{\"a\":-}",   "{\"a\":--1}",   "{\"a\":0x10}", "{\"a\":1.e5}",
        "{\"a\":00}",  "{\"a\":-01}", "{\"a\":1_000}",
    };
    assert_not_json(rows, COUNT(rows));
}

static void strings_with_bad_escapes_or_control_characters_are_not_json(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\"x",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12G4\"}",
        "{\"a\":\"\\u000\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\u",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\x1F\"}",
    };
    assert_not_json(rows, COUNT(rows));
}

static void control_characters_are_not_white_space(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\v\"a\":1}", "{\f\"a\":1}", "{\x01\"a\":1}", "\x1F{\"a\":1}", "\xC2\xA0{}",
    };
    assert_not_json(rows, COUNT(rows));
}

static void text_that_is_not_utf8_is_not_json(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\xEF\xBB\xBF{}",
        "{\"a\":\"\xFF\"}",
        "{\"a\":\"\xC0\x80\"}",
        "{\"\xED\xA0\x80\":1}",
        "{\"a\":\"\xF4\x90\x80\x80\"}",
        "{\"a\":\xC3\xA9}",
    };
    assert_not_json(rows, COUNT(rows));
}

static void escaped_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    assert_refused("{\"address\":\"::1\\u0000\",\"port\":7,\"data\":\"\"}", FRAME_NOT_JSON);
    assert_refused("{\"address\\u0000\":\"::1\",\"port\":7,\"data\":\"\"}", FRAME_NOT_JSON);
    assert_refused("{\"address\":\"::1\",\"port\":7,\"data\":\"\",\"x\":[\"\\u0000\"]}",
                   FRAME_NOT_JSON);
}

static void unpaired_surrogates_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\\uD800", "\\uDC00", "\\uD83Dx", "\\uD83D\\u0041", "\\uDE00\\uD83D",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[100];
        snprintf(text, sizeof(text), "{\"address\":\"::1\",\"port\":7,\"data\":\"\",\"x\":\"%s\"}",
                 rows[i]);
        assert_refused(text, FRAME_NOT_JSON);
    }
}

static void raw_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    static const char frame[] = "{ \"address\": \"::1\", \"port\": 7, \"data\": \"\" }";
    char text[sizeof(frame)];
    for (size_t at = 0; at <= strlen(frame); at++) {
        memcpy(text, frame, at);
        text[at] = '\0';
        memcpy(text + at + 1, frame + at, strlen(frame) - at);
        assert_refused_sized(text, sizeof(frame),
                             at == strlen(frame) ? FRAME_TRAILING_BYTES : FRAME_NOT_JSON);
    }
}

static void json_that_is_not_an_object_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "[]",      "[{\"address\":\"::1\",\"port\":7,\"data\":\"\"}]",
        "null",    " true ",
        "false",   "0",
        "-1.5e3",  "\"text\"",
        "[0,0,0]",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_refused(rows[i], FRAME_NOT_AN_OBJECT);
}

static void bytes_after_the_object_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"x", " x", "{}", "}", ",", "\n[]", "\xFF", "\v", "\""};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[100];
        snprintf(text, sizeof(text), "{\"address\":\"::1\",\"port\":7,\"data\":\"\"}%s", rows[i]);
        assert_refused(text, FRAME_TRAILING_BYTES);
    }
}

static void a_key_given_twice_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\"address\":\"::1\"",
        "\"address\":null",
        "\"port\":7",
        "\"port\":8",
        "\"data\":\"\"",
        "\"data\":{}",
        "\"\\u0061ddress\":\"::1\"",
        "\"p\\u006Frt\":7",
        "\"x\":1,\"x\":2",
        "\"\":1,\"\":2",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[200];
        snprintf(text, sizeof(text), "{\"address\":\"::1\",\"port\":7,%s,\"data\":\"\"}", rows[i]);
        assert_refused(text, FRAME_DUPLICATE_KEY);
        snprintf(text, sizeof(text), "{%s,\"address\":\"::1\",\"port\":7,\"data\":\"\"}", rows[i]);
        assert_refused(text, FRAME_DUPLICATE_KEY);
    }
}

static void an_object_that_lacks_a_key_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{}",
        "{\"port\":7,\"data\":\"\"}",
        "{\"address\":\"::1\",\"data\":\"\"}",
        "{\"address\":\"::1\",\"port\":7}",
        "{\"Address\":\"::1\",\"port\":7,\"data\":\"\"}",
        "{\"address\":\"::1\",\"Port\":7,\"data\":\"\"}",
        "{\"address\":\"::1\",\"port\":7,\"DATA\":\"\"}",
        "{\"x\":{\"address\":\"::1\",\"port\":7,\"data\":\"\"}}",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_refused(rows[i], FRAME_MISSING_KEY);
}

/* A sound frame but for the place of one value. */
struct gap {
    const char *before;
    const char *after;
};

static const struct gap address_gap = {"{\"address\":", ",\"port\":7,\"data\":\"\"}"};
static const struct gap port_gap = {"{\"address\":\"::1\",\"port\":", ",\"data\":\"\"}"};
static const struct gap port_first_gap = {"{\"port\":", ",\"address\":\"::1\",\"data\":\"\"}"};
static const struct gap data_gap = {"{\"address\":\"::1\",\"port\":7,\"data\":", "}"};

static void assert_values_refused(const struct gap *gap, const char *const *values, size_t count,
                                  enum frame_result expected)
{
    for (size_t i = 0; i < count; i++) {
        char text[600];
        snprintf(text, sizeof(text), "%s%s%s", gap->before, values[i], gap->after);
        assert_refused(text, expected);
    }
}

static void address_that_is_not_a_string_is_refused_as_wrong_type(void **state)
{
    (void)state;
    static const char *const rows[] = {"null", "1", "true", "[]", "{}", "[\"::1\"]"};
    assert_values_refused(&address_gap, rows, COUNT(rows), FRAME_WRONG_TYPE);
}

static void reply_with_port_as_string_is_refused_as_wrong_type(void **state)
{
    (void)state;
    static const char *const rows[] = {"\"7\"", "\"\"", "null", "true", "[7]", "{}"};
    assert_values_refused(&port_gap, rows, COUNT(rows), FRAME_WRONG_TYPE);
    assert_values_refused(&port_first_gap, rows, COUNT(rows), FRAME_WRONG_TYPE);
}

static void data_that_is_not_a_string_is_refused_as_wrong_type(void **state)
{
    (void)state;
    static const char *const rows[] = {"null", "0", "false", "[\"aGk=\"]", "{}"};
    assert_values_refused(&data_gap, rows, COUNT(rows), FRAME_WRONG_TYPE);
}

static void port_that_is_not_a_plain_integer_in_range_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "0",
        "-0",
        "-1",
        "-7",
        "65536",
        "65537",
        "70000",
        "99999",
        "100000",
        "4294967303",
        "18446744073709551623",
        "53.7",
        "53.0",
        "7.0",
        "1e3",
        "1E3",
        "7e0",
        "0.7e1",
        "70e-1",
        "1e400",
        "-1e400",
        "1000000000000000000000000000000000000000000000000000000000000",
    };
    assert_values_refused(&port_gap, rows, COUNT(rows), FRAME_BAD_PORT);
    assert_values_refused(&port_first_gap, rows, COUNT(rows), FRAME_BAD_PORT);
}

static void plain_integer_elsewhere_does_not_vouch_for_the_port(void **state)
{
    (void)state;
    assert_refused("{\"a\":5,\"port\":5.0,\"b\":5,\"address\":\"::1\",\"data\":\"\"}",
                   FRAME_BAD_PORT);
    assert_refused("{\"a\":[5,{\"port\":5}],\"port\":5e0,\"address\":\"::1\",\"data\":\"\"}",
                   FRAME_BAD_PORT);
    assert_reads_as("{\"a\":5.5,\"port\":5,\"b\":[1e1],\"address\":\"::1\",\"data\":\"\"}", "::1",
                    5, "");
}

static void port_with_leading_zero_or_sign_is_not_json(void **state)
{
    (void)state;
    static const char *const rows[] = {"07", "00", "+7", "0x7", "7.", "- 7", "7 7", ""};
    assert_values_refused(&port_gap, rows, COUNT(rows), FRAME_NOT_JSON);
}

static void address_that_is_not_an_ip_literal_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\"\"",
        "\"localhost\"",
        "\"dns.example.com\"",
        "\"fe80::1%eth0\"",
        "\"fe80::1%2\"",
        "\"[::1]\"",
        "\"127.1\"",
        "\"127.0.0.01\"",
        "\"256.0.0.1\"",
        "\" ::1\"",
        "\"::1 \"",
        "\"127.0.0.1:53\"",
        "\"1\\t\"",
        "\"\\\"\"",
        "\"\xC3\xA9\"",
    };
    assert_values_refused(&address_gap, rows, COUNT(rows), FRAME_BAD_ADDRESS);
}

static void address_of_three_hundred_bytes_is_refused(void **state)
{
    (void)state;
    char value[303];
    memset(value, '1', sizeof(value));
    value[0] = value[301] = '"';
    value[302] = '\0';
    const char *const rows[] = {value};
    assert_values_refused(&address_gap, rows, COUNT(rows), FRAME_BAD_ADDRESS);
}

static void data_that_is_not_standard_base64_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\"aGk\"",
        "\"aGl=\"",
        "\"a\"",
        "\"====\"",
        "\"aGk=aGk=\"",
        "\"aGk-\"",
        "\"aG_k\"",
        "\"aGk=\\n\"",
        "\"aGVs\\r\\nbG8=\"",
        "\"aGVs bG8\"",
        "\" aGk=\"",
        "\"aGk= \"",
        "\"\xC3\xA9\xC3\xA9\"",
        "\"a\\\\b=\"",
        "\"\\u0022aG=\"",
    };
    assert_values_refused(&data_gap, rows, COUNT(rows), FRAME_BAD_BASE64);
}

static char *frame_with_data_length(size_t length, const char *end)
{
    char *const text = malloc(length + 100);
    assert_non_null(text);
    char *const data = stpcpy(text, "{\"address\":\"::1\",\"port\":7,\"data\":\"");
    memset(data, 'A', length);
    stpcpy(data + length, end);
    return text;
}

static void more_data_than_a_datagram_holds_is_refused_as_oversize(void **state)
{
    (void)state;
    /* 87,344 characters are 65,508 bytes without padding; the following are more still. */
    static const size_t lengths[] = {87344, 87348, 100000, 130000};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        char *const text = frame_with_data_length(lengths[i], "\"}");
        assert_refused(text, FRAME_OVERSIZE);
        free(text);
    }
}

static void the_largest_datagram_is_read_by_the_general_reader_too(void **state)
{
    (void)state;
    char *const text = frame_with_data_length(87343, "=\" }");
    const struct reading reading = read_with(frame_read, text, strlen(text));
    assert_int_equal(reading.result, FRAME_OK);
    assert_int_equal(reading.size, DATAGRAM_MAX_BYTES);
    free(reading.payload);
    free(text);
}

static void text_cut_anywhere_is_not_json(void **state)
{
    (void)state;
    static const char frame[] =
        "{\"address\":\"10.0.0.1\",\"port\":53,\"data\":\"aGk=\",\"x\":[true,{\"y\":-1.5e+2}]}";
    for (size_t size = 0; size < strlen(frame); size++)
        assert_refused_sized(frame, size, FRAME_NOT_JSON);
    static const char canonical[] = "{\"port\":53,\"address\":\"10.0.0.1\",\"data\":\"aGk=\"}";
    for (size_t size = 0; size < strlen(canonical); size++)
        assert_refused_sized(canonical, size, FRAME_NOT_JSON);
}

/* Abuse: bounded memory and stack */

static size_t allocated;

static void *counting_malloc(size_t size)
{
    allocated += size;
    return malloc(size);
}

static void *failing_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void assert_refused_cheaply(const char *text, size_t size, enum frame_result expected)
{
    cJSON_Hooks hooks = {.malloc_fn = counting_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    allocated = 0;
    assert_refused_sized(text, size, expected);
    cJSON_InitHooks(NULL);
    assert_true(allocated < (size_t)2 * MESSAGE_LIMIT);
}

static void nesting_ten_thousand_deep_is_refused_as_not_json(void **state)
{
    (void)state;
    char text[20010];
    memset(text, '[', 10000);
    memset(text + 10000, ']', 10000);
    assert_refused_cheaply(text, 20000, FRAME_NOT_JSON);
    stpcpy(text, "{\"x\":");
    memset(text + 5, '[', 10000);
    memset(text + 10005, ']', 10000);
    text[20005] = '}';
    assert_refused_cheaply(text, 20006, FRAME_NOT_JSON);
}

static void fill(char *text, size_t size, const char *pattern)
{
    const size_t length = strlen(pattern);
    for (size_t i = 0; i < size; i++)
        text[i] = pattern[i % length];
}

static void a_message_full_of_values_costs_no_memory(void **state)
{
    (void)state;
    char *const text = malloc(MESSAGE_LIMIT);
    assert_non_null(text);
    fill(text, MESSAGE_LIMIT, "0,");
    assert_refused_cheaply(text, MESSAGE_LIMIT, FRAME_NOT_JSON);
    text[0] = '[';
    text[1] = ' ';
    text[MESSAGE_LIMIT - 1] = ']';
    assert_refused_cheaply(text, MESSAGE_LIMIT, FRAME_NOT_JSON);
    fill(text, 6, "{\"x\":[");
    fill(text + MESSAGE_LIMIT - 3, 3, "0]}");
    assert_refused_cheaply(text, MESSAGE_LIMIT, FRAME_NOT_JSON);
    fill(text, MESSAGE_LIMIT, "{\"\":0,\"\":");
    assert_refused_cheaply(text, MESSAGE_LIMIT, FRAME_NOT_JSON);
    free(text);
}

static void assert_extra_values(size_t count, enum frame_result expected)
{
    char text[2000];
    size_t size = (size_t)sprintf(text, "{\"address\":\"::1\",\"port\":7,\"data\":\"\",\"x\":[");
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, "%s0", i > 0 ? "," : "");
    size += (size_t)sprintf(text + size, "]}");
    assert_refused_sized(text, size, expected);
}

static void up_to_256_values_are_read_and_no_more(void **state)
{
    (void)state;
    /* the object, its four members and the array's elements */
    assert_extra_values(251, FRAME_OK);
    assert_extra_values(252, FRAME_NOT_JSON);
}

static void numbers_of_up_to_63_characters_are_read_and_no_longer(void **state)
{
    (void)state;
    char member[80] = "\"x\":0.";
    memset(member + 6, '1', 61);
    assert_member_ignored(member);
    member[67] = '1';
    char text[200];
    snprintf(text, sizeof(text), "{\"address\":\"::1\",\"port\":7,\"data\":\"\",%s}", member);
    assert_refused(text, FRAME_NOT_JSON);
}

static void lack_of_memory_refuses_the_frame(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {.malloc_fn = failing_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    assert_refused("{ \"address\":\"::1\",\"port\":7,\"data\":\"\"}", FRAME_NOT_JSON);
    cJSON_InitHooks(NULL);
}

static void canonical_frames_are_read_without_allocation(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {.malloc_fn = failing_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    assert_reads_as("{\"port\":53,\"address\":\"10.0.0.1\",\"data\":\"aGk=\"}", "10.0.0.1", 53,
                    "hi");
    cJSON_InitHooks(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_has_its_keys_in_order_and_no_spaces),
        cmocka_unit_test(empty_payload_is_written_as_empty_data),
        cmocka_unit_test(the_longest_prefix_fits),
        cmocka_unit_test(every_size_of_datagram_survives_the_round_trip),
        cmocka_unit_test(both_canonical_shapes_are_read_without_json),
        cmocka_unit_test(any_other_shape_is_left_to_the_general_reader),
        cmocka_unit_test(escaped_slash_in_data_is_a_slash),
        cmocka_unit_test(empty_data_is_an_empty_datagram),
        cmocka_unit_test(ipv4_mapped_address_is_an_ipv4_client),
        cmocka_unit_test(every_legal_port_is_read),
        cmocka_unit_test(unknown_members_of_any_kind_are_ignored),
        cmocka_unit_test(text_of_broken_structure_is_not_json),
        cmocka_unit_test(several_values_that_are_no_object_are_not_json),
        cmocka_unit_test(unknown_words_are_not_json),
        cmocka_unit_test(numbers_outside_the_grammar_are_not_json),
        cmocka_unit_test(strings_with_bad_escapes_or_control_characters_are_not_json),
        cmocka_unit_test(control_characters_are_not_white_space),
        cmocka_unit_test(text_that_is_not_utf8_is_not_json),
        cmocka_unit_test(escaped_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(unpaired_surrogates_are_refused),
        cmocka_unit_test(raw_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(json_that_is_not_an_object_is_refused),
        cmocka_unit_test(bytes_after_the_object_are_refused),
        cmocka_unit_test(a_key_given_twice_is_refused),
        cmocka_unit_test(an_object_that_lacks_a_key_is_refused),
        cmocka_unit_test(address_that_is_not_a_string_is_refused_as_wrong_type),
        cmocka_unit_test(reply_with_port_as_string_is_refused_as_wrong_type),
        cmocka_unit_test(data_that_is_not_a_string_is_refused_as_wrong_type),
        cmocka_unit_test(port_that_is_not_a_plain_integer_in_range_is_refused),
        cmocka_unit_test(plain_integer_elsewhere_does_not_vouch_for_the_port),
        cmocka_unit_test(port_with_leading_zero_or_sign_is_not_json),
        cmocka_unit_test(address_that_is_not_an_ip_literal_is_refused),
        cmocka_unit_test(address_of_three_hundred_bytes_is_refused),
        cmocka_unit_test(data_that_is_not_standard_base64_is_refused),
        cmocka_unit_test(more_data_than_a_datagram_holds_is_refused_as_oversize),
        cmocka_unit_test(the_largest_datagram_is_read_by_the_general_reader_too),
        cmocka_unit_test(text_cut_anywhere_is_not_json),
        cmocka_unit_test(nesting_ten_thousand_deep_is_refused_as_not_json),
        cmocka_unit_test(a_message_full_of_values_costs_no_memory),
        cmocka_unit_test(up_to_256_values_are_read_and_no_more),
        cmocka_unit_test(numbers_of_up_to_63_characters_are_read_and_no_longer),
        cmocka_unit_test(lack_of_memory_refuses_the_frame),
        cmocka_unit_test(canonical_frames_are_read_without_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
