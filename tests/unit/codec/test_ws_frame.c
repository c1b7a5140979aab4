/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/ws_frame.h"

enum { LIMIT = 128 * 1024, FINAL = 0x80 };

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Bytes that a server would send, put together frame by frame. */
struct bytes {
    size_t size;
    uint8_t data[256 * 1024];
};

static struct bytes *bytes_new(void)
{
    struct bytes *const bytes = calloc(1, sizeof(*bytes));
    assert_non_null(bytes);
    return bytes;
}

static void add(struct bytes *bytes, const void *data, size_t size)
{
    assert_true(size <= sizeof(bytes->data) - bytes->size);
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

/* The first byte is given whole, so that any flags can be set. */
static void add_frame(struct bytes *bytes, unsigned first, const void *payload, size_t size)
{
    uint8_t header[10] = {(uint8_t)first};
    size_t header_size = 2;
    if (size <= 125) {
        header[1] = (uint8_t)size;
    } else {
        const size_t extended = size <= UINT16_MAX ? 2 : 8;
        header[1] = extended == 2 ? 126 : 127;
        for (size_t i = 0; i < extended; i++)
            header[2 + i] = (uint8_t)((uint64_t)size >> (8 * (extended - 1 - i)));
        header_size += extended;
    }
    add(bytes, header, header_size);
    add(bytes, payload, size);
}

static void add_text(struct bytes *bytes, unsigned first, const char *text)
{
    add_frame(bytes, first, text, strlen(text));
}

/* One event of the bytes, which lie in a heap block of their size. */
static struct ws_event first_event(const void *data, size_t size)
{
    struct ws_parser *const parser = ws_parser_new(LIMIT);
    uint8_t *const copy = malloc(size + 1);
    assert_non_null(parser);
    assert_non_null(copy);
    memcpy(copy + 1, data, size);
    struct ws_event event;
    ws_parser_next(parser, copy + 1, size, &event);
    free(copy);
    ws_parser_free(parser);
    return event;
}

static void assert_breach(const void *data, size_t size, uint16_t status, const char *why)
{
    const struct ws_event event = first_event(data, size);
    if (event.kind != WS_EVENT_BREACH || event.status != status)
        fail_msg("%s: event %d, status %d", why, (int)event.kind, event.status);
    assert_string_equal(event.why, why);
}

/* Writing */

static void header_has_the_shortest_length_and_the_mask(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    static const struct {
        size_t payload_size;
        size_t size;
        uint8_t header[WS_HEADER_MAX_BYTES];
    } rows[] = {
        {0, 6, {0x82, 0x80, 0x11, 0x22, 0x33, 0x44}},
        {1, 6, {0x82, 0x81, 0x11, 0x22, 0x33, 0x44}},
        {125, 6, {0x82, 0xFD, 0x11, 0x22, 0x33, 0x44}},
        {126, 8, {0x82, 0xFE, 0x00, 0x7E, 0x11, 0x22, 0x33, 0x44}},
        {127, 8, {0x82, 0xFE, 0x00, 0x7F, 0x11, 0x22, 0x33, 0x44}},
        {65535, 8, {0x82, 0xFE, 0xFF, 0xFF, 0x11, 0x22, 0x33, 0x44}},
        {65536, 14, {0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 0x11, 0x22, 0x33, 0x44}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t header[WS_HEADER_MAX_BYTES] = {0};
        assert_int_equal(ws_header_size(rows[i].payload_size), rows[i].size);
        assert_int_equal(ws_header_write(header, WS_BINARY, rows[i].payload_size, mask),
                         rows[i].size);
        assert_memory_equal(header, rows[i].header, sizeof(header));
    }
}

static void opcode_is_in_the_first_byte(void **state)
{
    (void)state;
    static const enum ws_opcode opcodes[] = {WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING, WS_PONG};
    static const uint8_t mask[4] = {0};
    for (size_t i = 0; i < COUNT(opcodes); i++) {
        uint8_t header[WS_HEADER_MAX_BYTES];
        ws_header_write(header, opcodes[i], 0, mask);
        assert_int_equal(header[0], FINAL | opcodes[i]);
    }
}

static void masked_hello_of_rfc_6455_comes_out(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    static const uint8_t expected[] = {0x7F, 0x9F, 0x4D, 0x51, 0x58};
    uint8_t data[] = {'H', 'e', 'l', 'l', 'o'};
    ws_mask(data, sizeof(data), mask);
    assert_memory_equal(data, expected, sizeof(data));
}

static void mask_covers_every_size_at_every_alignment(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {0x01, 0x20, 0x83, 0xF4};
    for (size_t offset = 0; offset < 8; offset++) {
        for (size_t size = 0; size <= 40; size++) {
            uint8_t *const block = malloc(offset + size + 1);
            assert_non_null(block);
            uint8_t *const data = block + 1 + offset;
            memset(data, 0x5A, size);
            ws_mask(data, size, mask);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(data[i], 0x5A ^ mask[i % 4]);
            free(block);
        }
    }
}

/* Reading: events, written down one after the other so that runs can be compared */

static void record_number(struct bytes *record, uint64_t number)
{
    add(record, &number, sizeof(number));
}

static void record_event(struct bytes *record, const struct ws_event *event)
{
    record_number(record, event->kind);
    record_number(record, event->opcode);
    record_number(record, event->status);
    record_number(record, event->size);
    add(record, event->data, event->size);
}

/* A caller's receive buffer, as ws_frame.h describes it: what is unread moves to its front.
 * Each unread part is judged in a heap block of its size. */
struct receiver {
    struct ws_parser *parser;
    struct bytes *record;
    size_t need;
    size_t unread_size;
    uint8_t unread[WS_HEADER_MAX_BYTES + LIMIT];
};

static struct receiver *receiver_new(void)
{
    struct receiver *const receiver = calloc(1, sizeof(*receiver));
    assert_non_null(receiver);
    receiver->parser = ws_parser_new(LIMIT);
    assert_non_null(receiver->parser);
    receiver->record = bytes_new();
    receiver->need = 2;
    return receiver;
}

static void receiver_free(struct receiver *receiver)
{
    ws_parser_free(receiver->parser);
    free(receiver->record);
    free(receiver);
}

/* False once there is nothing further to be had from what is unread. */
static bool take_event(struct receiver *receiver)
{
    uint8_t *const block = malloc(receiver->unread_size + 1);
    assert_non_null(block);
    uint8_t *const exact = block + 1;
    memcpy(exact, receiver->unread, receiver->unread_size);
    struct ws_event event;
    const size_t used = ws_parser_next(receiver->parser, exact, receiver->unread_size, &event);
    assert_true(used <= receiver->unread_size);
    receiver->unread_size -= used;
    memmove(receiver->unread, receiver->unread + used, receiver->unread_size);
    const bool more = event.kind == WS_EVENT_MORE;
    const bool final = event.kind == WS_EVENT_BREACH || event.kind == WS_EVENT_CLOSE;
    if (more) {
        assert_true(event.need > receiver->unread_size);
        assert_true(event.need <= sizeof(receiver->unread));
        receiver->need = event.need;
    } else {
        record_event(receiver->record, &event);
    }
    free(block);
    return !more && !final;
}

static void receive(struct receiver *receiver, const uint8_t *data, size_t size)
{
    assert_true(size <= sizeof(receiver->unread) - receiver->unread_size);
    memcpy(receiver->unread + receiver->unread_size, data, size);
    receiver->unread_size += size;
    while (take_event(receiver))
        ;
}

static void assert_same_record(const struct receiver *receiver, const struct bytes *expected)
{
    assert_int_equal(receiver->record->size, expected->size);
    assert_memory_equal(receiver->record->data, expected->data, expected->size);
}

static void expect(struct bytes *record, enum ws_event_kind kind, enum ws_opcode opcode,
                   const void *data, size_t size)
{
    const struct ws_event event = {.kind = kind, .opcode = opcode, .data = data, .size = size};
    record_event(record, &event);
}

static void assert_events(const struct bytes *input, const struct bytes *expected)
{
    struct receiver *const receiver = receiver_new();
    receive(receiver, input->data, input->size);
    assert_same_record(receiver, expected);
    receiver_free(receiver);
}

static void frames_of_every_length_are_reported_in_place(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 125, 126, 127, 65535, 65536, LIMIT};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct bytes *const input = bytes_new();
        uint8_t *const payload = malloc(LIMIT);
        assert_non_null(payload);
        memset(payload, 0xA5, LIMIT);
        add_frame(input, FINAL | WS_BINARY, payload, sizes[i]);
        struct ws_parser *const parser = ws_parser_new(LIMIT);
        struct ws_event event;
        assert_int_equal(ws_parser_next(parser, input->data, input->size, &event), input->size);
        assert_int_equal(event.kind, WS_EVENT_MESSAGE);
        assert_int_equal(event.opcode, WS_BINARY);
        assert_int_equal(event.size, sizes[i]);
        assert_ptr_equal(event.data, input->data + input->size - sizes[i]);
        assert_int_equal(ws_parser_next(parser, input->data, 0, &event), 0);
        assert_int_equal(event.kind, WS_EVENT_MORE);
        assert_int_equal(event.need, 2);
        ws_parser_free(parser);
        free(payload);
        free(input);
    }
}

static void examples_of_rfc_6455_section_5_7_are_read(void **state)
{
    (void)state;
    static const uint8_t examples[] = {
        0x81, 0x05, 'H', 'e', 'l', 'l', 'o', /* a single-frame text message */
        0x01, 0x03, 'H', 'e', 'l',           /* the same in two fragments */
        0x80, 0x02, 'l', 'o',                /* */
        0x89, 0x05, 'H', 'e', 'l', 'l', 'o', /* a ping */
        0x8A, 0x05, 'H', 'e', 'l', 'l', 'o', /* and its pong */
    };
    struct bytes *const input = bytes_new();
    struct bytes *const expected = bytes_new();
    add(input, examples, sizeof(examples));
    expect(expected, WS_EVENT_MESSAGE, WS_TEXT, "Hello", 5);
    expect(expected, WS_EVENT_MESSAGE, WS_TEXT, "Hello", 5);
    expect(expected, WS_EVENT_PING, WS_PING, "Hello", 5);
    expect(expected, WS_EVENT_PONG, WS_PONG, "Hello", 5);
    assert_events(input, expected);
    free(expected);
    free(input);
}

/* One of everything that a server may send. */
static struct bytes *varied_sequence(void)
{
    struct bytes *const input = bytes_new();
    char medium[300];
    memset(medium, 'm', sizeof(medium));
    add_text(input, FINAL | WS_BINARY, "first");
    add_text(input, FINAL | WS_PING, "ping");
    add_text(input, WS_TEXT, "caf\xC3");
    add_text(input, FINAL | WS_PING, "");
    add_text(input, WS_CONTINUATION, "");
    add_frame(input, WS_CONTINUATION, "\xA9 ", 2);
    add_text(input, FINAL | WS_PONG, "between");
    add_text(input, FINAL | WS_CONTINUATION, "ok");
    add_text(input, FINAL | WS_TEXT, "");
    add_frame(input, FINAL | WS_BINARY, medium, sizeof(medium));
    add_frame(input, WS_BINARY, medium, 126);
    add_frame(input, FINAL | WS_CONTINUATION, medium, 127);
    add_text(input, WS_BINARY, "");
    add_text(input, FINAL | WS_CONTINUATION, "");
    add_text(input, FINAL | WS_CLOSE,
             "\x03\xE8"
             "bye");
    return input;
}

static struct bytes *varied_events(void)
{
    struct bytes *const expected = bytes_new();
    char medium[300];
    memset(medium, 'm', sizeof(medium));
    expect(expected, WS_EVENT_MESSAGE, WS_BINARY, "first", 5);
    expect(expected, WS_EVENT_PING, WS_PING, "ping", 4);
    expect(expected, WS_EVENT_PING, WS_PING, "", 0);
    expect(expected, WS_EVENT_PONG, WS_PONG, "between", 7);
    expect(expected, WS_EVENT_MESSAGE, WS_TEXT, "caf\xC3\xA9 ok", 8);
    expect(expected, WS_EVENT_MESSAGE, WS_TEXT, "", 0);
    expect(expected, WS_EVENT_MESSAGE, WS_BINARY, medium, sizeof(medium));
    expect(expected, WS_EVENT_MESSAGE, WS_BINARY, medium, 253);
    expect(expected, WS_EVENT_MESSAGE, WS_BINARY, "", 0);
    const struct ws_event close = {.kind = WS_EVENT_CLOSE,
                                   .status = WS_STATUS_NORMAL,
                                   .data = (const uint8_t *)"bye",
                                   .size = 3};
    record_event(expected, &close);
    return expected;
}

static void events_are_the_same_at_every_split_point(void **state)
{
    (void)state;
    struct bytes *const input = varied_sequence();
    struct bytes *const expected = varied_events();
    for (size_t split = 0; split <= input->size; split++) {
        struct receiver *const receiver = receiver_new();
        receive(receiver, input->data, split);
        if (split < input->size)
            receive(receiver, input->data + split, input->size - split);
        assert_same_record(receiver, expected);
        receiver_free(receiver);
    }
    free(expected);
    free(input);
}

static void events_are_the_same_byte_by_byte(void **state)
{
    (void)state;
    struct bytes *const input = varied_sequence();
    struct bytes *const expected = varied_events();
    struct receiver *const receiver = receiver_new();
    for (size_t i = 0; i < input->size; i++)
        receive(receiver, input->data + i, 1);
    assert_same_record(receiver, expected);
    receiver_free(receiver);
    free(expected);
    free(input);
}

/* A caller who waits for exactly what is needed each time gets on, and never waits for a byte
 * that belongs to the next frame. */
static void need_is_never_more_than_the_sequence_has(void **state)
{
    (void)state;
    struct bytes *const input = varied_sequence();
    struct bytes *const expected = varied_events();
    struct receiver *const receiver = receiver_new();
    for (size_t at = 0; at < input->size;) {
        const size_t size = receiver->need - receiver->unread_size;
        assert_true(size <= input->size - at);
        receive(receiver, input->data + at, size);
        at += size;
    }
    assert_same_record(receiver, expected);
    receiver_free(receiver);
    free(expected);
    free(input);
}

static void need_names_header_then_whole_frame(void **state)
{
    (void)state;
    struct bytes *const input = bytes_new();
    uint8_t payload[200] = {0};
    add_frame(input, FINAL | WS_BINARY, payload, sizeof(payload));
    static const struct {
        size_t size;
        size_t need;
    } rows[] = {{0, 2}, {1, 2}, {2, 4}, {3, 4}, {4, 204}, {5, 204}, {203, 204}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_parser *const parser = ws_parser_new(LIMIT);
        struct ws_event event;
        assert_int_equal(ws_parser_next(parser, input->data, rows[i].size, &event), 0);
        assert_int_equal(event.kind, WS_EVENT_MORE);
        assert_int_equal(event.need, rows[i].need);
        ws_parser_free(parser);
    }
    const uint8_t long_form[] = {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0};
    assert_int_equal(first_event(long_form, 2).need, 10);
    assert_int_equal(first_event(long_form, 9).need, 10);
    assert_int_equal(first_event(long_form, 10).need, 10 + 65536);
    free(input);
}

static void unfinished_fragment_is_set_aside(void **state)
{
    (void)state;
    static const uint8_t input[] = {WS_BINARY, 5, 'a', 'b', 'c', 'd', 'e'};
    struct ws_parser *const parser = ws_parser_new(LIMIT);
    struct ws_event event;
    assert_int_equal(ws_parser_next(parser, input, 4, &event), 4);
    assert_int_equal(event.kind, WS_EVENT_MORE);
    assert_int_equal(event.need, 3);
    assert_int_equal(ws_parser_next(parser, input + 4, 3, &event), 3);
    assert_int_equal(event.kind, WS_EVENT_MORE);
    assert_int_equal(event.need, 2);
    ws_parser_free(parser);
}

static void message_of_ten_thousand_one_byte_fragments_is_delivered(void **state)
{
    (void)state;
    struct bytes *const input = bytes_new();
    struct bytes *const expected = bytes_new();
    static uint8_t message[10000];
    for (size_t i = 0; i < sizeof(message); i++) {
        message[i] = (uint8_t)(i * 7);
        const unsigned opcode = i == 0 ? WS_BINARY : WS_CONTINUATION;
        add_frame(input, i == sizeof(message) - 1 ? FINAL | opcode : opcode, &message[i], 1);
        if (i % 1000 == 500) {
            add_text(input, FINAL | WS_PING, "still there?");
            expect(expected, WS_EVENT_PING, WS_PING, "still there?", 12);
        }
    }
    expect(expected, WS_EVENT_MESSAGE, WS_BINARY, message, sizeof(message));
    assert_events(input, expected);

    struct receiver *const receiver = receiver_new();
    for (size_t i = 0; i < input->size; i++)
        receive(receiver, input->data + i, 1);
    assert_same_record(receiver, expected);
    receiver_free(receiver);
    free(expected);
    free(input);
}

static void fragmented_messages_of_every_size_follow_one_another(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1023, 1024, 1025, 4096, 4097, 3, 70000, 5, LIMIT, 0};
    uint8_t *const payload = malloc(LIMIT);
    assert_non_null(payload);
    for (size_t i = 0; i < LIMIT; i++)
        payload[i] = (uint8_t)(i * 13 + i / 256);
    struct receiver *const receiver = receiver_new();
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct bytes *const input = bytes_new();
        struct bytes *const expected = bytes_new();
        const size_t half = sizes[i] / 2;
        add_frame(input, WS_BINARY, payload, half);
        receive(receiver, input->data, input->size);
        input->size = 0;
        add_frame(input, FINAL | WS_CONTINUATION, payload + half, sizes[i] - half);
        receive(receiver, input->data, input->size);
        expect(expected, WS_EVENT_MESSAGE, WS_BINARY, payload, sizes[i]);
        assert_same_record(receiver, expected);
        receiver->record->size = 0;
        free(expected);
        free(input);
    }
    receiver_free(receiver);
    free(payload);
}

/* Breaches */

static void frames_that_break_the_protocol_are_breaches_with_1002(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint8_t bytes[2];
    } rows[] = {
        {"reserved bits set without an extension", {0xC2, 0}},
        {"reserved bits set without an extension", {0xA2, 0}},
        {"reserved bits set without an extension", {0x92, 0}},
        {"masked frame from the server", {0x82, 0x80}},
        {"masked frame from the server", {0x89, 0x81}},
        {"unknown opcode", {0x83, 0}},
        {"unknown opcode", {0x87, 0}},
        {"unknown opcode", {0x8B, 0}},
        {"unknown opcode", {0x8F, 0}},
        {"fragmented control frame", {0x09, 0}},
        {"fragmented control frame", {0x08, 2}},
        {"control frame above 125 bytes", {0x89, 126}},
        {"control frame above 125 bytes", {0x8A, 127}},
        {"control frame above 125 bytes", {0x88, 126}},
        {"continuation of no message", {0x80, 0}},
        {"continuation of no message", {0x00, 5}},
        {"invalid close code", {0x88, 1}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const uint8_t bytes[3] = {rows[i].bytes[0], rows[i].bytes[1], 0};
        assert_breach(bytes, sizeof(bytes), WS_STATUS_PROTOCOL_ERROR, rows[i].why);
    }
}

static void new_message_inside_a_fragmented_one_is_a_breach(void **state)
{
    (void)state;
    static const uint8_t binary[] = {WS_BINARY, 1, 'x', FINAL | WS_BINARY, 1, 'y'};
    static const uint8_t text[] = {WS_TEXT, 1, 'x', WS_TEXT, 1, 'y'};
    assert_breach(binary, sizeof(binary), 1002, "new message inside a fragmented one");
    assert_breach(text, sizeof(text), 1002, "new message inside a fragmented one");
}

static void continuation_after_a_finished_message_is_a_breach(void **state)
{
    (void)state;
    static const uint8_t input[] = {0x02, 1, 'x', 0x80, 1, 'y', 0x80, 0};
    struct ws_parser *const parser = ws_parser_new(LIMIT);
    struct ws_event event;
    assert_int_equal(ws_parser_next(parser, input, sizeof(input), &event), 6);
    assert_int_equal(event.kind, WS_EVENT_MESSAGE);
    ws_parser_next(parser, input + 6, 2, &event);
    assert_int_equal(event.kind, WS_EVENT_BREACH);
    assert_string_equal(event.why, "continuation of no message");
    ws_parser_free(parser);
}

static void length_not_in_its_shortest_form_is_a_breach(void **state)
{
    (void)state;
    static const uint8_t rows[][10] = {
        {0x82, 126, 0, 0},
        {0x82, 126, 0, 125},
        {0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0},
        {0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_breach(rows[i], sizeof(rows[i]), 1002, "length not in its shortest form");
}

static void length_above_63_bits_is_a_breach(void **state)
{
    (void)state;
    static const uint8_t lowest[] = {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t highest[] = {0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    assert_breach(lowest, sizeof(lowest), 1002, "length above 2^63");
    assert_breach(highest, sizeof(highest), 1002, "length above 2^63");
}

static void message_above_the_limit_is_a_breach_as_soon_as_its_header_says_so(void **state)
{
    (void)state;
    static const uint8_t by_one[] = {0x82, 127, 0, 0, 0, 0, 0, 2, 0, 1};
    static const uint8_t by_far[] = {0x01, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    assert_breach(by_one, sizeof(by_one), WS_STATUS_TOO_BIG, "message above the limit");
    assert_breach(by_far, sizeof(by_far), WS_STATUS_TOO_BIG, "message above the limit");
}

static void fragments_that_together_pass_the_limit_are_a_breach(void **state)
{
    (void)state;
    static const uint8_t input[] = {WS_BINARY, 3,   'a',   'b', 'c', WS_CONTINUATION,
                                    1,         'd', FINAL, 1,   'e'};
    struct ws_parser *const parser = ws_parser_new(4);
    struct ws_event event;
    ws_parser_next(parser, input, sizeof(input), &event);
    assert_int_equal(event.kind, WS_EVENT_BREACH);
    assert_int_equal(event.status, WS_STATUS_TOO_BIG);
    ws_parser_free(parser);
}

static void fragments_that_together_reach_the_limit_are_delivered(void **state)
{
    (void)state;
    static const uint8_t input[] = {WS_BINARY, 3, 'a', 'b', 'c', FINAL, 1, 'd'};
    struct ws_parser *const parser = ws_parser_new(4);
    struct ws_event event;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_parser_next(parser, input, sizeof(input), &event), sizeof(input));
        assert_int_equal(event.kind, WS_EVENT_MESSAGE);
        assert_int_equal(event.size, 4);
        assert_memory_equal(event.data, "abcd", 4);
    }
    ws_parser_free(parser);
}

static void control_frames_do_not_count_towards_the_limit(void **state)
{
    (void)state;
    static const uint8_t input[] = {FINAL | WS_PING, 5, 'H', 'e', 'l', 'l', 'o'};
    struct ws_parser *const parser = ws_parser_new(4);
    struct ws_event event;
    assert_int_equal(ws_parser_next(parser, input, sizeof(input), &event), sizeof(input));
    assert_int_equal(event.kind, WS_EVENT_PING);
    ws_parser_free(parser);
}

static void text_that_is_not_utf8_is_a_breach_with_1007(void **state)
{
    (void)state;
    static const uint8_t whole[] = {FINAL | WS_TEXT, 2, 'a', 0xFF};
    static const uint8_t cut[] = {FINAL | WS_TEXT, 1, 0xC3};
    static const uint8_t fragmented[] = {WS_TEXT, 1, 0xC3, FINAL, 1, 'x'};
    assert_breach(whole, sizeof(whole), WS_STATUS_BAD_UTF8, "text message is not UTF-8");
    assert_breach(cut, sizeof(cut), WS_STATUS_BAD_UTF8, "text message is not UTF-8");
    assert_breach(fragmented, sizeof(fragmented), WS_STATUS_BAD_UTF8, "text message is not UTF-8");
}

static void binary_message_may_hold_any_bytes(void **state)
{
    (void)state;
    static const uint8_t input[] = {FINAL | WS_BINARY, 2, 0xC3, 0xFF};
    assert_int_equal(first_event(input, sizeof(input)).kind, WS_EVENT_MESSAGE);
}

static void close_codes_are_judged_as_the_registry_says(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        const bool legal =
            (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
            (code >= 3000 && code <= 4999);
        const uint8_t input[] = {FINAL | WS_CLOSE, 2, (uint8_t)(code >> 8), (uint8_t)code};
        struct ws_parser *const parser = ws_parser_new(LIMIT);
        struct ws_event event;
        ws_parser_next(parser, input, sizeof(input), &event);
        ws_parser_free(parser);
        if (event.kind != (legal ? WS_EVENT_CLOSE : WS_EVENT_BREACH))
            fail_msg("close code %u", code);
        assert_int_equal(event.status, legal ? code : WS_STATUS_PROTOCOL_ERROR);
    }
}

static void close_without_a_code_has_status_1005(void **state)
{
    (void)state;
    static const uint8_t input[] = {FINAL | WS_CLOSE, 0};
    const struct ws_event event = first_event(input, sizeof(input));
    assert_int_equal(event.kind, WS_EVENT_CLOSE);
    assert_int_equal(event.status, WS_STATUS_NONE);
    assert_int_equal(event.size, 0);
}

static void close_reason_that_is_not_utf8_is_a_breach_with_1007(void **state)
{
    (void)state;
    static const uint8_t input[] = {FINAL | WS_CLOSE, 3, 0x03, 0xE8, 0xC3};
    assert_breach(input, sizeof(input), WS_STATUS_BAD_UTF8, "close reason is not UTF-8");
}

static void close_is_reported_again_even_when_the_buffer_is_gone(void **state)
{
    (void)state;
    uint8_t input[2 + WS_CONTROL_MAX_BYTES] = {FINAL | WS_CLOSE, WS_CONTROL_MAX_BYTES, 0x03, 0xF4};
    memset(input + 4, 'r', WS_CONTROL_MAX_BYTES - 2);
    struct ws_parser *const parser = ws_parser_new(LIMIT);
    struct ws_event event;
    assert_int_equal(ws_parser_next(parser, input, sizeof(input), &event), sizeof(input));
    memset(input, 0, sizeof(input));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(event.kind, WS_EVENT_CLOSE);
        assert_int_equal(event.status, 1012);
        assert_int_equal(event.size, 123);
        for (size_t at = 0; at < event.size; at++)
            assert_int_equal(event.data[at], 'r');
        assert_int_equal(ws_parser_next(parser, input, sizeof(input), &event), 0);
    }
    ws_parser_free(parser);
}

static void breach_is_final(void **state)
{
    (void)state;
    static const uint8_t bad[] = {0x83, 0};
    static const uint8_t good[] = {FINAL | WS_BINARY, 1, 'x'};
    struct ws_parser *const parser = ws_parser_new(LIMIT);
    struct ws_event event;
    ws_parser_next(parser, bad, sizeof(bad), &event);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_parser_next(parser, good, sizeof(good), &event), 0);
        assert_int_equal(event.kind, WS_EVENT_BREACH);
        assert_int_equal(event.status, WS_STATUS_PROTOCOL_ERROR);
        assert_string_equal(event.why, "unknown opcode");
    }
    ws_parser_free(parser);
}

static void parser_dropped_in_the_middle_of_a_message_leaks_nothing(void **state)
{
    (void)state;
    static const uint8_t input[] = {WS_BINARY, 5, 'a', 'b'};
    struct ws_parser *const parser = ws_parser_new(LIMIT);
    struct ws_event event;
    ws_parser_next(parser, input, sizeof(input), &event);
    ws_parser_free(parser);
    ws_parser_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_has_the_shortest_length_and_the_mask),
        cmocka_unit_test(opcode_is_in_the_first_byte),
        cmocka_unit_test(masked_hello_of_rfc_6455_comes_out),
        cmocka_unit_test(mask_covers_every_size_at_every_alignment),
        cmocka_unit_test(frames_of_every_length_are_reported_in_place),
        cmocka_unit_test(examples_of_rfc_6455_section_5_7_are_read),
        cmocka_unit_test(events_are_the_same_at_every_split_point),
        cmocka_unit_test(events_are_the_same_byte_by_byte),
        cmocka_unit_test(need_is_never_more_than_the_sequence_has),
        cmocka_unit_test(need_names_header_then_whole_frame),
        cmocka_unit_test(unfinished_fragment_is_set_aside),
        cmocka_unit_test(message_of_ten_thousand_one_byte_fragments_is_delivered),
        cmocka_unit_test(fragmented_messages_of_every_size_follow_one_another),
        cmocka_unit_test(frames_that_break_the_protocol_are_breaches_with_1002),
        cmocka_unit_test(new_message_inside_a_fragmented_one_is_a_breach),
        cmocka_unit_test(continuation_after_a_finished_message_is_a_breach),
        cmocka_unit_test(length_not_in_its_shortest_form_is_a_breach),
        cmocka_unit_test(length_above_63_bits_is_a_breach),
        cmocka_unit_test(message_above_the_limit_is_a_breach_as_soon_as_its_header_says_so),
        cmocka_unit_test(fragments_that_together_pass_the_limit_are_a_breach),
        cmocka_unit_test(fragments_that_together_reach_the_limit_are_delivered),
        cmocka_unit_test(control_frames_do_not_count_towards_the_limit),
        cmocka_unit_test(text_that_is_not_utf8_is_a_breach_with_1007),
        cmocka_unit_test(binary_message_may_hold_any_bytes),
        cmocka_unit_test(close_codes_are_judged_as_the_registry_says),
        cmocka_unit_test(close_without_a_code_has_status_1005),
        cmocka_unit_test(close_reason_that_is_not_utf8_is_a_breach_with_1007),
        cmocka_unit_test(close_is_reported_again_even_when_the_buffer_is_gone),
        cmocka_unit_test(breach_is_final),
        cmocka_unit_test(parser_dropped_in_the_middle_of_a_message_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
