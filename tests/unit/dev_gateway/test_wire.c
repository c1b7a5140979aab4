#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "wire.h"

/* A frame as a client sends it, with the mask 1 2 3 4. Returns its size. */
static size_t make_frame(uint8_t *out, uint8_t first, const char *text)
{
    const size_t size = strlen(text);

    out[0] = first;
    out[1] = (uint8_t)(0x80 | size);
    for (uint8_t i = 0; i < 4; i++)
        out[2 + i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < size; i++)
        out[6 + i] = (uint8_t)(text[i] ^ (char)(i % 4 + 1));
    return 6 + size;
}

static void expect(const struct wire_event *event, enum wire_kind kind, const char *text)
{
    assert_int_equal(event->kind, kind);
    assert_int_equal(event->size, strlen(text));
    assert_memory_equal(event->data, text, strlen(text));
}

static void a_masked_frame_is_read_byte_by_byte(void **state)
{
    struct wire_reader reader = {0};
    struct wire_event event;
    uint8_t bytes[64];
    const size_t size = make_frame(bytes, 0x82, "hello, world");

    (void)state;
    for (size_t have = 0; have < size; have++) {
        assert_int_equal(wire_read(&reader, bytes, have, &event), 0);
        assert_int_equal(event.kind, WIRE_KIND_MORE);
        assert_true(event.size > have && event.size <= size);
    }
    assert_int_equal(wire_read(&reader, bytes, size, &event), size);
    expect(&event, WIRE_KIND_MESSAGE, "hello, world");
    assert_int_equal(event.opcode, WIRE_BINARY);
}

static void fragments_are_joined_around_a_ping(void **state)
{
    static const struct {
        uint8_t first;
        const char *text;
        enum wire_kind kind;
        const char *result;
    } rows[] = {
        {0x01, "ab", WIRE_KIND_NOTHING, NULL},   {0x00, "", WIRE_KIND_NOTHING, NULL},
        {0x89, "p", WIRE_KIND_CONTROL, "p"},     {0x00, "cd", WIRE_KIND_NOTHING, NULL},
        {0x80, "e", WIRE_KIND_MESSAGE, "abcde"}, {0x82, "next", WIRE_KIND_MESSAGE, "next"},
    };
    struct wire_reader reader = {0};
    struct wire_event event;
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const size_t size = make_frame(bytes, rows[i].first, rows[i].text);
        assert_int_equal(wire_read(&reader, bytes, size, &event), size);
        assert_int_equal(event.kind, rows[i].kind);
        if (rows[i].result != NULL)
            expect(&event, rows[i].kind, rows[i].result);
    }
    wire_reader_fini(&reader);
}

static void breaches_are_named_by_status(void **state)
{
    static const struct {
        uint8_t bytes[14];
        uint16_t status;
    } rows[] = {
        {{0x82, 0x01, 'a'}, 1002},                       /* not masked */
        {{0xC2, 0x80}, 1002},                            /* reserved bit */
        {{0x83, 0x80}, 1002},                            /* unknown opcode */
        {{0x80, 0x80}, 1002},                            /* nothing to go on with */
        {{0x09, 0x80}, 1002},                            /* ping in fragments */
        {{0x89, 0xFE, 0, 126}, 1002},                    /* ping of 126 bytes */
        {{0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1}, 1009}, /* 1 MiB and a byte */
        {{0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 1009}, /* 2^64 - 1 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct wire_reader reader = {0};
        struct wire_event event;
        uint8_t bytes[14];
        memcpy(bytes, rows[i].bytes, sizeof(bytes));
        assert_int_equal(wire_read(&reader, bytes, sizeof(bytes), &event), 0);
        assert_int_equal(event.kind, WIRE_KIND_BREACH);
        assert_int_equal(event.status, rows[i].status);
    }
}

static void fragments_share_the_limit_of_a_message(void **state)
{
    const size_t half = WIRE_MESSAGE_MAX_BYTES / 2;
    uint8_t *bytes = calloc(1, WIRE_HEADER_MAX_BYTES + half + 1);
    struct wire_reader reader = {0};
    struct wire_event event;

    (void)state;
    assert_non_null(bytes);
    wire_header_write(bytes, WIRE_BINARY, half);
    bytes[0] = 0x02;
    bytes[1] |= 0x80;
    assert_int_equal(wire_read(&reader, bytes, WIRE_HEADER_MAX_BYTES + half, &event),
                     WIRE_HEADER_MAX_BYTES + half);
    assert_int_equal(event.kind, WIRE_KIND_NOTHING);
    wire_header_write(bytes, WIRE_CONTINUATION, half + 1);
    bytes[1] |= 0x80;
    (void)wire_read(&reader, bytes, WIRE_HEADER_MAX_BYTES, &event);
    assert_int_equal(event.kind, WIRE_KIND_BREACH);
    assert_int_equal(event.status, WIRE_STATUS_TOO_BIG);
    wire_reader_fini(&reader);
    free(bytes);
}

static void headers_have_their_shortest_form(void **state)
{
    static const struct {
        size_t payload;
        size_t header;
    } rows[] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}};
    uint8_t header[WIRE_REPLY_HEADER_MAX_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(wire_header_size(rows[i].payload), rows[i].header);
    wire_header_write(header, WIRE_BINARY, 65536);
    assert_memory_equal(header, "\x82\x7F\0\0\0\0\0\1\0\0", sizeof(header));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_masked_frame_is_read_byte_by_byte),
        cmocka_unit_test(fragments_are_joined_around_a_ping),
        cmocka_unit_test(breaches_are_named_by_status),
        cmocka_unit_test(fragments_share_the_limit_of_a_message),
        cmocka_unit_test(headers_have_their_shortest_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
