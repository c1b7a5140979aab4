#include "wire.h"

#include <string.h>

enum {
    BIT_FINAL = 0x80,
    BITS_RESERVED = 0x70,
    BITS_OPCODE = 0x0F,
    BIT_CONTROL = 0x08,
    BIT_MASK = 0x80,
    BITS_LENGTH = 0x7F,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
    CONTROL_MAX_BYTES = 125,
    MASK_BYTES = 4,
};

struct header {
    enum wire_opcode opcode;
    bool final;
    size_t size;
    uint64_t payload_size;
};

static uint64_t read_big_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

static size_t length_bytes(uint8_t second)
{
    if ((second & BITS_LENGTH) == LENGTH_64)
        return 8;
    return (second & BITS_LENGTH) == LENGTH_16 ? 2 : 0;
}

/* Bytes still missing to read the header, 0 when *header is filled in. */
static size_t read_header(struct header *header, const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 2;
    const size_t extended = length_bytes(bytes[1]);
    header->size = 2 + extended + ((bytes[1] & BIT_MASK) != 0 ? MASK_BYTES : 0);
    if (size < header->size)
        return header->size;
    header->opcode = (enum wire_opcode)(bytes[0] & BITS_OPCODE);
    header->final = (bytes[0] & BIT_FINAL) != 0;
    header->payload_size =
        extended > 0 ? read_big_endian(bytes + 2, extended) : (bytes[1] & BITS_LENGTH);
    return 0;
}

static bool control_is_legal(const struct header *header)
{
    return header->final && header->payload_size <= CONTROL_MAX_BYTES &&
           header->opcode <= WIRE_PONG;
}

static bool data_is_legal(const struct wire_reader *reader, const struct header *header)
{
    if (header->opcode == WIRE_CONTINUATION)
        return reader->in_message;
    return header->opcode <= WIRE_BINARY && !reader->in_message;
}

/* The status to close with, or 0. */
static uint16_t find_breach(const struct wire_reader *reader, const struct header *header,
                            const uint8_t *bytes)
{
    const bool control = (header->opcode & BIT_CONTROL) != 0;

    if ((bytes[0] & BITS_RESERVED) != 0 || (bytes[1] & BIT_MASK) == 0)
        return WIRE_STATUS_PROTOCOL_ERROR;
    if (control ? !control_is_legal(header) : !data_is_legal(reader, header))
        return WIRE_STATUS_PROTOCOL_ERROR;
    if (!control && header->payload_size >
                        WIRE_MESSAGE_MAX_BYTES - (uint64_t)byte_queue_size(&reader->fragments))
        return WIRE_STATUS_TOO_BIG;
    return 0;
}

static void unmask(uint8_t *data, size_t size, const uint8_t mask[MASK_BYTES])
{
    uint64_t wide_mask = 0;
    size_t i = 0;

    memcpy(&wide_mask, mask, MASK_BYTES);
    memcpy((uint8_t *)&wide_mask + MASK_BYTES, mask, MASK_BYTES);
    for (; i + sizeof(wide_mask) <= size; i += sizeof(wide_mask)) {
        uint64_t chunk = 0;
        memcpy(&chunk, data + i, sizeof(chunk));
        chunk ^= wide_mask;
        memcpy(data + i, &chunk, sizeof(chunk));
    }
    for (; i < size; i++)
        data[i] ^= mask[i % MASK_BYTES];
}

static void breach(struct wire_event *event, uint16_t status)
{
    event->kind = WIRE_KIND_BREACH;
    event->status = status;
}

static void set_aside(struct wire_reader *reader, struct wire_event *event)
{
    if (byte_queue_append(&reader->fragments, event->data, event->size) != 0)
        breach(event, WIRE_STATUS_TOO_BIG);
    else
        event->kind = WIRE_KIND_NOTHING;
}

static void deliver_fragments(struct wire_reader *reader, struct wire_event *event)
{
    set_aside(reader, event);
    if (event->kind == WIRE_KIND_BREACH)
        return;
    event->kind = WIRE_KIND_MESSAGE;
    event->data = byte_queue_front(&reader->fragments);
    event->size = byte_queue_size(&reader->fragments);
    byte_queue_consume(&reader->fragments, event->size);
    reader->in_message = false;
}

static void read_data(struct wire_reader *reader, const struct header *header,
                      struct wire_event *event)
{
    if (header->opcode != WIRE_CONTINUATION)
        reader->message_opcode = header->opcode;
    event->opcode = reader->message_opcode;
    if (header->opcode != WIRE_CONTINUATION && header->final) {
        event->kind = WIRE_KIND_MESSAGE;
        return;
    }
    reader->in_message = true;
    if (header->final)
        deliver_fragments(reader, event);
    else
        set_aside(reader, event);
}

size_t wire_read(struct wire_reader *reader, uint8_t *bytes, size_t size, struct wire_event *event)
{
    struct header header;

    memset(event, 0, sizeof(*event));
    event->size = read_header(&header, bytes, size);
    if (event->size > 0)
        return 0;
    const uint16_t status = find_breach(reader, &header, bytes);
    if (status != 0) {
        breach(event, status);
        return 0;
    }
    const size_t frame_size = header.size + (size_t)header.payload_size;
    if (size < frame_size) {
        event->size = frame_size;
        return 0;
    }
    event->data = bytes + header.size;
    event->size = (size_t)header.payload_size;
    unmask(event->data, event->size, event->data - MASK_BYTES);
    if ((header.opcode & BIT_CONTROL) != 0) {
        event->kind = WIRE_KIND_CONTROL;
        event->opcode = header.opcode;
    } else {
        read_data(reader, &header, event);
    }
    return frame_size;
}

void wire_reader_fini(struct wire_reader *reader)
{
    byte_queue_fini(&reader->fragments);
}

size_t wire_header_size(size_t payload_size)
{
    if (payload_size > UINT16_MAX)
        return 10;
    return payload_size >= LENGTH_16 ? 4 : 2;
}

void wire_header_write(uint8_t *out, enum wire_opcode opcode, size_t payload_size)
{
    const size_t extended = wire_header_size(payload_size) - 2;

    out[0] = (uint8_t)(BIT_FINAL | opcode);
    if (extended == 0)
        out[1] = (uint8_t)payload_size;
    else
        out[1] = extended == 2 ? LENGTH_16 : LENGTH_64;
    for (size_t i = 0; i < extended; i++)
        out[2 + i] = (uint8_t)((uint64_t)payload_size >> (8 * (extended - 1 - i)));
}
