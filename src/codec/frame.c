#include "otoroshictl/codec/frame.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "json_scan.h"
#include "otoroshictl/codec/base64.h"

/* The pieces of a frame as it goes over the wire, for the writer and the canonical reader. */
#define ADDRESS_KEY "\"address\":\""
#define PORT_KEY    "\"port\":"
#define DATA_KEY    "\"data\":\""
#define FRAME_END   "\"}"

static_assert(sizeof("{" ADDRESS_KEY "\"," PORT_KEY "65535," DATA_KEY) + ADDRESS_TEXT_SIZE - 1 <=
                  FRAME_PREFIX_MAX_BYTES - 1,
              "the longest prefix fits");
static_assert(sizeof(FRAME_END) - 1 == FRAME_SUFFIX_BYTES, "the suffix has its size");

void frame_prefix_init(struct frame_prefix *prefix, const struct address *client)
{
    char ip[ADDRESS_TEXT_SIZE];
    address_format(client, ip);
    prefix->size = (uint8_t)snprintf(prefix->text, sizeof(prefix->text),
                                     "{" ADDRESS_KEY "%s\"," PORT_KEY "%u," DATA_KEY, ip,
                                     (unsigned)client->port);
}

size_t frame_size(const struct frame_prefix *prefix, size_t payload_size)
{
    return prefix->size + base64_encoded_size(payload_size) + FRAME_SUFFIX_BYTES;
}

size_t frame_write(uint8_t *out, const struct frame_prefix *prefix, const uint8_t *payload,
                   size_t payload_size)
{
    assert(payload_size <= DATAGRAM_MAX_BYTES);
    memcpy(out, prefix->text, prefix->size);
    size_t size = prefix->size;
    size += base64_encode((char *)out + size, payload, payload_size);
    memcpy(out + size, FRAME_END, FRAME_SUFFIX_BYTES);
    return size + FRAME_SUFFIX_BYTES;
}

/* The text's size is checked first, since `payload` has room for one datagram and no more. */
static enum frame_result read_data(uint8_t *payload, size_t *payload_size, const char *text,
                                   size_t length)
{
    if (length > base64_encoded_size(DATAGRAM_MAX_BYTES))
        return FRAME_OVERSIZE;
    if (!base64_decode(payload, payload_size, text, length))
        return FRAME_BAD_BASE64;
    return *payload_size > DATAGRAM_MAX_BYTES ? FRAME_OVERSIZE : FRAME_OK;
}

/* The canonical reader: a straight walk over the text, each step false where the text is not in
 * one of the two shapes. */
struct cursor {
    const char *at;
    const char *end;
};

static bool skip(struct cursor *cursor, const char *literal)
{
    const size_t length = strlen(literal);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, literal, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

static bool walk_address(struct cursor *cursor, struct address *client)
{
    if (!skip(cursor, ADDRESS_KEY))
        return false;
    const char *const quote = memchr(cursor->at, '"', (size_t)(cursor->end - cursor->at));
    if (quote == NULL || !address_parse(client, cursor->at, (size_t)(quote - cursor->at)))
        return false;
    cursor->at = quote + 1;
    return true;
}

static bool walk_port(struct cursor *cursor, uint16_t *port)
{
    if (!skip(cursor, PORT_KEY))
        return false;
    unsigned value = 0;
    const char *const start = cursor->at;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++) {
        value = value * 10 + (unsigned)(*cursor->at - '0');
        if (value == 0 || value > UINT16_MAX)
            return false;
    }
    *port = (uint16_t)value;
    return cursor->at > start;
}

static bool walk_client(struct cursor *cursor, struct address *client)
{
    uint16_t port = 0;
    if (!skip(cursor, "{"))
        return false;
    const bool port_first = cursor->end - cursor->at > 1 && cursor->at[1] == 'p';
    const bool walked =
        port_first ? walk_port(cursor, &port) && skip(cursor, ",") && walk_address(cursor, client)
                   : walk_address(cursor, client) && skip(cursor, ",") && walk_port(cursor, &port);
    client->port = port;
    return walked && skip(cursor, ",");
}

/* The data is whatever lies between its key and the frame's last two bytes: a quote or an escape
 * in between is not base64. */
static bool walk_data(struct cursor *cursor, uint8_t *payload, size_t *payload_size)
{
    if (!skip(cursor, DATA_KEY) || cursor->end - cursor->at < FRAME_SUFFIX_BYTES)
        return false;
    struct cursor suffix = {.at = cursor->end - FRAME_SUFFIX_BYTES, .end = cursor->end};
    const size_t length = (size_t)(suffix.at - cursor->at);
    return skip(&suffix, FRAME_END) &&
           read_data(payload, payload_size, cursor->at, length) == FRAME_OK;
}

int frame_read_canonical(struct address *client, uint8_t *payload, size_t *payload_size,
                         const uint8_t *text, size_t size)
{
    struct cursor cursor = {.at = (const char *)text, .end = (const char *)text + size};
    return walk_client(&cursor, client) && walk_data(&cursor, payload, payload_size);
}

/* The general reader: the grammar by json_scan(), the tree by cJSON, then what a frame must be. */
static bool has_duplicate_key(const cJSON *object)
{
    for (const cJSON *member = object->child; member != NULL; member = member->next)
        for (const cJSON *other = object->child; other != member; other = other->next)
            if (strcmp(member->string, other->string) == 0)
                return true;
    return false;
}

static size_t member_index(const cJSON *object, const cJSON *member)
{
    size_t index = 0;
    for (const cJSON *other = object->child; other != member; other = other->next)
        index++;
    return index;
}

static bool port_valid(const cJSON *object, const cJSON *port, const struct json_text *json)
{
    return json->plain_integer[member_index(object, port)] && port->valuedouble >= 1 &&
           port->valuedouble <= UINT16_MAX;
}

/* The label that the gateway makes of a ping: no client's. */
static bool is_ping_label(const cJSON *address, const cJSON *port)
{
    return port->valuedouble == 0 && strcmp(address->valuestring, "localhost") == 0;
}

static enum frame_result read_label(struct address *client, const cJSON *object,
                                    const struct json_text *json)
{
    const cJSON *const address = cJSON_GetObjectItemCaseSensitive(object, "address");
    const cJSON *const port = cJSON_GetObjectItemCaseSensitive(object, "port");
    if (is_ping_label(address, port)) {
        *client = (struct address){.family = ADDRESS_NONE};
        return FRAME_OK;
    }
    if (!address_parse(client, address->valuestring, strlen(address->valuestring)))
        return FRAME_BAD_ADDRESS;
    if (!port_valid(object, port, json))
        return FRAME_BAD_PORT;
    client->port = (uint16_t)port->valuedouble;
    return FRAME_OK;
}

static enum frame_result read_object(struct address *client, uint8_t *payload, size_t *payload_size,
                                     const cJSON *object, const struct json_text *json)
{
    if (has_duplicate_key(object))
        return FRAME_DUPLICATE_KEY;
    const cJSON *const address = cJSON_GetObjectItemCaseSensitive(object, "address");
    const cJSON *const port = cJSON_GetObjectItemCaseSensitive(object, "port");
    const cJSON *const data = cJSON_GetObjectItemCaseSensitive(object, "data");
    if (address == NULL || port == NULL || data == NULL)
        return FRAME_MISSING_KEY;
    if (!cJSON_IsString(address) || !cJSON_IsNumber(port) || !cJSON_IsString(data))
        return FRAME_WRONG_TYPE;
    const enum frame_result label = read_label(client, object, json);
    if (label != FRAME_OK)
        return label;
    return read_data(payload, payload_size, data->valuestring, strlen(data->valuestring));
}

enum frame_result frame_read_general(struct address *client, uint8_t *payload, size_t *payload_size,
                                     const uint8_t *text, size_t size)
{
    struct json_text json;
    if (!json_scan(&json, text, size))
        return FRAME_NOT_JSON;
    if (!json.at_end)
        return json.is_object ? FRAME_TRAILING_BYTES : FRAME_NOT_JSON;
    if (!json.is_object)
        return FRAME_NOT_AN_OBJECT;
    /* After the scan only an unpaired surrogate is refused here, or memory has run out. */
    cJSON *const object = cJSON_ParseWithLength((const char *)json.start, json.size);
    if (object == NULL)
        return FRAME_NOT_JSON;
    const enum frame_result result = read_object(client, payload, payload_size, object, &json);
    cJSON_Delete(object);
    return result;
}

enum frame_result frame_read(struct address *client, uint8_t *payload, size_t *payload_size,
                             const uint8_t *text, size_t size)
{
    if (frame_read_canonical(client, payload, payload_size, text, size))
        return FRAME_OK;
    return frame_read_general(client, payload, payload_size, text, size);
}
