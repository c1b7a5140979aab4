#include "otoroshictl/codec/ws_frame.h"

#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/utf8.h"

enum {
    FINAL_BIT = 0x80,
    RESERVED_BITS = 0x70,
    OPCODE_BITS = 0x0F,
    CONTROL_BIT = 0x08,
    MASK_BIT = 0x80,
    LENGTH_BITS = 0x7F,

    /* What the seven bits of length say (section 5.2). */
    LENGTH_SHORT_MAX = 125,
    LENGTH_IN_TWO_BYTES = 126,
    LENGTH_IN_EIGHT_BYTES = 127,

    MASK_BYTES = 4,
    HEADER_MIN_BYTES = 2,

    /* Reassembly buffers: the first size, and the largest that is kept for the next message. */
    MESSAGE_BUFFER_MIN_BYTES = 1024,
    MESSAGE_BUFFER_KEPT_BYTES = 4096,
};

/* Writing */

static size_t length_bytes(size_t payload_size)
{
    if (payload_size <= LENGTH_SHORT_MAX)
        return 0;
    return payload_size <= UINT16_MAX ? 2 : 8;
}

static void put_big_endian(uint8_t *out, uint64_t value, size_t size)
{
    for (; size > 0; size--, value >>= 8)
        out[size - 1] = (uint8_t)value;
}

static uint64_t get_big_endian(const uint8_t *in, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | in[i];
    return value;
}

size_t ws_header_size(size_t payload_size)
{
    return HEADER_MIN_BYTES + length_bytes(payload_size) + MASK_BYTES;
}

size_t ws_header_write(uint8_t *out, enum ws_opcode opcode, size_t payload_size,
                       const uint8_t mask[4])
{
    static const uint8_t escape[] = {[2] = LENGTH_IN_TWO_BYTES, [8] = LENGTH_IN_EIGHT_BYTES};
    const size_t extended = length_bytes(payload_size);
    const size_t length = extended == 0 ? payload_size : escape[extended];
    out[0] = (uint8_t)(FINAL_BIT | opcode);
    out[1] = (uint8_t)(MASK_BIT | length);
    put_big_endian(out + HEADER_MIN_BYTES, payload_size, extended);
    memcpy(out + HEADER_MIN_BYTES + extended, mask, MASK_BYTES);
    return HEADER_MIN_BYTES + extended + MASK_BYTES;
}

void ws_mask(uint8_t *data, size_t size, const uint8_t mask[4])
{
    uint64_t wide_mask;
    uint64_t word;
    memcpy(&wide_mask, mask, MASK_BYTES);
    memcpy((uint8_t *)&wide_mask + MASK_BYTES, mask, MASK_BYTES);
    size_t at = 0;
    for (; size - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, data + at, sizeof(word));
        word ^= wide_mask;
        memcpy(data + at, &word, sizeof(word));
    }
    for (; at < size; at++)
        data[at] ^= mask[at % MASK_BYTES];
}

/* Reading */

struct header {
    bool final;
    uint8_t opcode;
    size_t size; /* of the header itself */
    uint64_t payload_size;
};

struct ws_parser {
    size_t message_limit;

    /* A fragmented message under way, or the one last reported out of `message`. */
    bool assembling;
    enum ws_opcode opcode;
    uint8_t *message;
    size_t message_size;
    size_t message_capacity;

    /* The fragment whose payload is being set aside. */
    bool in_fragment;
    bool fragment_final;
    size_t fragment_left;

    /* Once set, `last` is reported for ever; its reason for closing lies in `reason`. */
    bool stopped;
    struct ws_event last;
    uint8_t reason[WS_CONTROL_MAX_BYTES];
};

/* What is unread of the caller's bytes, while one event is looked for. */
struct input {
    const uint8_t *at;
    size_t left;
};

struct ws_parser *ws_parser_new(size_t message_limit)
{
    struct ws_parser *const parser = calloc(1, sizeof(*parser));
    if (parser != NULL)
        parser->message_limit = message_limit;
    return parser;
}

void ws_parser_free(struct ws_parser *parser)
{
    if (parser == NULL)
        return;
    free(parser->message);
    free(parser);
}

static void consume(struct input *input, size_t size)
{
    input->at += size;
    input->left -= size;
}

/* The steps of the parser say whether they found an event. */
enum step {
    STEP_AGAIN,
    STEP_EVENT,
};

static enum step need_more(struct ws_event *event, size_t need)
{
    *event = (struct ws_event){.kind = WS_EVENT_MORE, .need = need};
    return STEP_EVENT;
}

static enum step stop(struct ws_parser *parser, struct ws_event *event)
{
    parser->stopped = true;
    parser->last = *event;
    return STEP_EVENT;
}

static enum step breach(struct ws_parser *parser, struct ws_event *event, enum ws_status status,
                        const char *why)
{
    *event = (struct ws_event){.kind = WS_EVENT_BREACH, .status = (uint16_t)status, .why = why};
    return stop(parser, event);
}

static bool is_control(uint8_t opcode)
{
    return (opcode & CONTROL_BIT) != 0;
}

/* Why the first two bytes of a header are a breach, or NULL. */
static const char *first_bytes_breach(const struct ws_parser *parser, const uint8_t bytes[2])
{
    const uint8_t opcode = bytes[0] & OPCODE_BITS;
    if (bytes[0] & RESERVED_BITS)
        return "reserved bits set without an extension";
    if (bytes[1] & MASK_BIT)
        return "masked frame from the server";
    if (is_control(opcode)) {
        if (opcode > WS_PONG)
            return "unknown opcode";
        if (!(bytes[0] & FINAL_BIT))
            return "fragmented control frame";
        return (bytes[1] & LENGTH_BITS) > WS_CONTROL_MAX_BYTES ? "control frame above 125 bytes"
                                                               : NULL;
    }
    if (opcode > WS_BINARY)
        return "unknown opcode";
    if (opcode == WS_CONTINUATION && !parser->assembling)
        return "continuation of no message";
    if (opcode != WS_CONTINUATION && parser->assembling)
        return "new message inside a fragmented one";
    return NULL;
}

static size_t header_size(uint8_t length)
{
    if (length == LENGTH_IN_TWO_BYTES)
        return HEADER_MIN_BYTES + 2;
    return length == LENGTH_IN_EIGHT_BYTES ? HEADER_MIN_BYTES + 8 : HEADER_MIN_BYTES;
}

static void read_header(struct header *header, const uint8_t *bytes, size_t size)
{
    const size_t extended = size - HEADER_MIN_BYTES;
    header->final = (bytes[0] & FINAL_BIT) != 0;
    header->opcode = bytes[0] & OPCODE_BITS;
    header->size = size;
    header->payload_size =
        extended == 0 ? bytes[1] & LENGTH_BITS : get_big_endian(bytes + HEADER_MIN_BYTES, extended);
}

/* The shortest form is required (section 5.2). */
static bool length_is_minimal(const struct header *header)
{
    if (header->size == HEADER_MIN_BYTES)
        return true;
    return header->payload_size >
           (header->size == HEADER_MIN_BYTES + 2 ? LENGTH_SHORT_MAX : UINT16_MAX);
}

static size_t message_room(const struct ws_parser *parser)
{
    return parser->message_limit - (parser->assembling ? parser->message_size : 0);
}

/* Why the length is a breach, or NULL; `status` is the code to close with. */
static const char *length_breach(const struct ws_parser *parser, const struct header *header,
                                 enum ws_status *status)
{
    *status = WS_STATUS_PROTOCOL_ERROR;
    if (!length_is_minimal(header))
        return "length not in its shortest form";
    if (header->payload_size > INT64_MAX)
        return "length above 2^63";
    *status = WS_STATUS_TOO_BIG;
    if (!is_control(header->opcode) && header->payload_size > message_room(parser))
        return "message above the limit";
    return NULL;
}

/* Section 7.4 and the IANA registry: 1004 to 1006 and 1015 never travel. */
static bool close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum step close_event(struct ws_parser *parser, const uint8_t *payload, size_t size,
                             struct ws_event *event)
{
    *event = (struct ws_event){.kind = WS_EVENT_CLOSE, .status = WS_STATUS_NONE};
    if (size == 0)
        return stop(parser, event);
    const unsigned code = size >= 2 ? (unsigned)get_big_endian(payload, 2) : 0;
    if (!close_code_valid(code))
        return breach(parser, event, WS_STATUS_PROTOCOL_ERROR, "invalid close code");
    if (!utf8_valid(payload + 2, size - 2))
        return breach(parser, event, WS_STATUS_BAD_UTF8, "close reason is not UTF-8");
    memcpy(parser->reason, payload + 2, size - 2);
    event->status = (uint16_t)code;
    event->data = parser->reason;
    event->size = size - 2;
    return stop(parser, event);
}

static enum step control_event(struct ws_parser *parser, uint8_t opcode, const uint8_t *payload,
                               size_t size, struct ws_event *event)
{
    if (opcode == WS_CLOSE)
        return close_event(parser, payload, size, event);
    *event = (struct ws_event){
        .kind = opcode == WS_PING ? WS_EVENT_PING : WS_EVENT_PONG,
        .opcode = (enum ws_opcode)opcode,
        .data = payload,
        .size = size,
    };
    return STEP_EVENT;
}

static enum step message_event(struct ws_parser *parser, enum ws_opcode opcode,
                               const uint8_t *message, size_t size, struct ws_event *event)
{
    if (opcode == WS_TEXT && !utf8_valid(message, size))
        return breach(parser, event, WS_STATUS_BAD_UTF8, "text message is not UTF-8");
    *event = (struct ws_event){
        .kind = WS_EVENT_MESSAGE, .opcode = opcode, .data = message, .size = size};
    return STEP_EVENT;
}

static void begin_fragment(struct ws_parser *parser, const struct header *header)
{
    if (!parser->assembling) {
        parser->assembling = true;
        parser->opcode = (enum ws_opcode)header->opcode;
        parser->message_size = 0;
    }
    parser->in_fragment = true;
    parser->fragment_final = header->final;
    parser->fragment_left = (size_t)header->payload_size;
}

/* Room for what has arrived, not for what a header announces, doubled up to the limit. */
static bool reserve(struct ws_parser *parser, size_t size)
{
    if (parser->message != NULL && size <= parser->message_capacity)
        return true;
    size_t capacity = MESSAGE_BUFFER_MIN_BYTES;
    while (capacity < size)
        capacity = capacity < parser->message_limit / 2 ? 2 * capacity : parser->message_limit;
    uint8_t *const message = realloc(parser->message, capacity);
    if (message == NULL)
        return false;
    parser->message = message;
    parser->message_capacity = capacity;
    return true;
}

/* A large buffer goes back once its message has been dealt with. */
static void release_message(struct ws_parser *parser)
{
    if (parser->assembling || parser->message_capacity <= MESSAGE_BUFFER_KEPT_BYTES)
        return;
    free(parser->message);
    parser->message = NULL;
    parser->message_capacity = 0;
}

static enum step end_fragment(struct ws_parser *parser, struct ws_event *event)
{
    parser->in_fragment = false;
    if (!parser->fragment_final)
        return STEP_AGAIN;
    parser->assembling = false;
    return message_event(parser, parser->opcode, parser->message, parser->message_size, event);
}

static enum step fragment_step(struct ws_parser *parser, struct input *input,
                               struct ws_event *event)
{
    const size_t size = input->left < parser->fragment_left ? input->left : parser->fragment_left;
    if (!reserve(parser, parser->message_size + size))
        return breach(parser, event, WS_STATUS_TOO_BIG, "no memory for a fragmented message");
    memcpy(parser->message + parser->message_size, input->at, size);
    parser->message_size += size;
    parser->fragment_left -= size;
    consume(input, size);
    return parser->fragment_left > 0 ? need_more(event, parser->fragment_left)
                                     : end_fragment(parser, event);
}

/* A frame that is reported where it lies, once all of it is there. */
static enum step frame_in_place(struct ws_parser *parser, const struct header *header,
                                struct input *input, struct ws_event *event)
{
    const size_t payload_size = (size_t)header->payload_size;
    const size_t frame_size = header->size + payload_size;
    if (input->left < frame_size)
        return need_more(event, frame_size);
    const uint8_t *const payload = input->at + header->size;
    consume(input, frame_size);
    if (is_control(header->opcode))
        return control_event(parser, header->opcode, payload, payload_size, event);
    return message_event(parser, (enum ws_opcode)header->opcode, payload, payload_size, event);
}

static enum step frame_step(struct ws_parser *parser, struct input *input, struct ws_event *event)
{
    if (input->left < HEADER_MIN_BYTES)
        return need_more(event, HEADER_MIN_BYTES);
    const char *why = first_bytes_breach(parser, input->at);
    if (why != NULL)
        return breach(parser, event, WS_STATUS_PROTOCOL_ERROR, why);
    const size_t size = header_size(input->at[1] & LENGTH_BITS);
    if (input->left < size)
        return need_more(event, size);

    struct header header;
    enum ws_status status;
    read_header(&header, input->at, size);
    why = length_breach(parser, &header, &status);
    if (why != NULL)
        return breach(parser, event, status, why);
    const bool whole_message = header.final && header.opcode != WS_CONTINUATION;
    if (whole_message)
        return frame_in_place(parser, &header, input, event);
    begin_fragment(parser, &header);
    consume(input, size);
    return STEP_AGAIN;
}

size_t ws_parser_next(struct ws_parser *parser, const uint8_t *data, size_t size,
                      struct ws_event *event)
{
    if (parser->stopped) {
        *event = parser->last;
        return 0;
    }
    release_message(parser);
    struct input input = {.at = data, .left = size};
    enum step step = STEP_AGAIN;
    while (step == STEP_AGAIN)
        step = parser->in_fragment ? fragment_step(parser, &input, event)
                                   : frame_step(parser, &input, event);
    return size - input.left;
}
