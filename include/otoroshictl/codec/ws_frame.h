/* WebSocket frames, client side (RFC 6455, section 5): writing headers and masks, and reading
 * what a server sends. Pure: bytes in, events out; no socket, no clock. No extensions. */
#ifndef OTOROSHICTL_CODEC_WS_FRAME_H
#define OTOROSHICTL_CODEC_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xA,
};

/* Status codes of RFC 6455, section 7.4.1, that the client sends or treats apart. */
enum ws_status {
    WS_STATUS_NORMAL = 1000,
    WS_STATUS_PROTOCOL_ERROR = 1002,
    WS_STATUS_NONE = 1005, /* never sent: the peer's close frame had no code */
    WS_STATUS_BAD_UTF8 = 1007,
    WS_STATUS_TOO_BIG = 1009,
};

enum {
    WS_HEADER_MAX_BYTES = 14, /* 2 + 8 (length) + 4 (mask) */
    WS_CONTROL_MAX_BYTES = 125,
};

/* Bytes of a masked header for a payload of this size: 6, 8 or 14. */
size_t ws_header_size(size_t payload_size);

/* Writes the header of an unfragmented, masked frame. Returns ws_header_size(). */
size_t ws_header_write(uint8_t *out, enum ws_opcode opcode, size_t payload_size,
                       const uint8_t mask[4]);

/* XORs `size` bytes with the mask in place, the first byte with mask[0]. */
void ws_mask(uint8_t *data, size_t size, const uint8_t mask[4]);

/* Reading. The caller owns one linear receive buffer and offers what is unread in it. */
struct ws_parser;

/* `message_limit`: most payload bytes of one message, all its fragments together.
 * NULL when out of memory. */
struct ws_parser *ws_parser_new(size_t message_limit);
void ws_parser_free(struct ws_parser *parser);

enum ws_event_kind {
    WS_EVENT_MORE,    /* no whole frame left; `need` bytes in all would let it go on */
    WS_EVENT_MESSAGE, /* opcode, data, size: a whole message (WS_TEXT is valid UTF-8) */
    WS_EVENT_PING,    /* data, size <= 125: to be echoed */
    WS_EVENT_PONG,
    WS_EVENT_CLOSE,  /* status, data/size: the reason, valid UTF-8 */
    WS_EVENT_BREACH, /* status to close with (1002, 1007, 1009) and `why` for the log; final */
};

struct ws_event {
    enum ws_event_kind kind;
    enum ws_opcode opcode;
    uint16_t status;
    const char *why;
    const uint8_t *data; /* in the caller's buffer or the parser's; valid until the next call */
    size_t size;
    size_t need;
};

/* Looks at `size` unread bytes at `data`, sets *event, and returns how many bytes are used up
 * (with WS_EVENT_MORE possibly some: fragments or parts of one that were set aside; `need` counts
 * from the first byte that was not used up).
 * To be called again with what follows until WS_EVENT_MORE. Frames that are whole in `data`
 * and unfragmented are reported in place, without a copy. The caller's buffer must hold
 * WS_HEADER_MAX_BYTES + message_limit.
 *
 * Breaches: reserved bits, unknown opcode, masked frame, control frame fragmented or above 125
 * bytes, continuation without start, start inside a message, length not in its shortest form or
 * above 2^63, close payload of one byte or with a code that may not be sent (RFC 6455 section
 * 7.4, 1012-1014 are legal), all 1002; text or close reason not UTF-8, 1007; message above the
 * limit, 1009, as soon as a header says so (or where memory for its fragments runs out). After a
 * breach or a close frame the parser stays there and reports it again. */
size_t ws_parser_next(struct ws_parser *parser, const uint8_t *data, size_t size,
                      struct ws_event *event);

#endif
