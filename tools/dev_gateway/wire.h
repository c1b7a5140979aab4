/* WebSocket frames as a server sees them (RFC 6455, section 5): reads masked frames, writes
 * unmasked ones. Pure. The library answers pings by itself and tells nobody; here every ping
 * matters, since it uses up a label. */
#ifndef DEV_GATEWAY_WIRE_H
#define DEV_GATEWAY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "byte_queue.h"

enum wire_opcode {
    WIRE_CONTINUATION = 0x0,
    WIRE_TEXT = 0x1,
    WIRE_BINARY = 0x2,
    WIRE_CLOSE = 0x8,
    WIRE_PING = 0x9,
    WIRE_PONG = 0xA,
};

enum {
    WIRE_MESSAGE_MAX_BYTES = 1048576,
    WIRE_HEADER_MAX_BYTES = 14,
    WIRE_REPLY_HEADER_MAX_BYTES = 10, /* no mask */
    WIRE_STATUS_NORMAL = 1000,
    WIRE_STATUS_PROTOCOL_ERROR = 1002,
    WIRE_STATUS_TOO_BIG = 1009,
};

struct wire_reader { /* all zero at the start */
    struct byte_queue fragments;
    enum wire_opcode message_opcode;
    bool in_message;
};

enum wire_kind {
    WIRE_KIND_MORE,    /* no whole frame; `size` bytes in all would let it go on */
    WIRE_KIND_NOTHING, /* a fragment was set aside: go on */
    WIRE_KIND_MESSAGE, /* opcode is WIRE_TEXT or WIRE_BINARY */
    WIRE_KIND_CONTROL, /* opcode is WIRE_PING, WIRE_PONG or WIRE_CLOSE */
    WIRE_KIND_BREACH,  /* `status` to close with: 1002, or 1009 above WIRE_MESSAGE_MAX_BYTES */
};

struct wire_event {
    enum wire_kind kind;
    enum wire_opcode opcode;
    uint16_t status;
    uint8_t *data; /* unmasked in place; valid until the next call */
    size_t size;
};

/* Looks at `size` unread bytes, sets *event, returns how many bytes are used up. */
size_t wire_read(struct wire_reader *reader, uint8_t *bytes, size_t size, struct wire_event *event);

void wire_reader_fini(struct wire_reader *reader);

/* Bytes of an unmasked header (2, 4 or 10), and the header of a whole message. */
size_t wire_header_size(size_t payload_size);
void wire_header_write(uint8_t *out, enum wire_opcode opcode, size_t payload_size);

#endif
