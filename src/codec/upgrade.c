#include "otoroshictl/codec/upgrade.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "otoroshictl/codec/base64.h"

enum { KEY_LENGTH = 24 };

/* Counts all that is put, keeps what fits: one walk serves for writing and for measuring. */
struct writer {
    char *out;
    size_t capacity;
    size_t size;
};

static void put_bytes(struct writer *writer, const char *bytes, size_t size)
{
    if (writer->size < writer->capacity && size <= writer->capacity - writer->size)
        memcpy(writer->out + writer->size, bytes, size);
    writer->size += size;
}

static void put(struct writer *writer, const char *text)
{
    put_bytes(writer, text, strlen(text));
}

static void put_line(struct writer *writer, const char *name, const char *value)
{
    put(writer, name);
    put(writer, value);
    put(writer, "\r\n");
}

/* RFC 3986, section 2.3; not isalnum(), which asks the locale. */
static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void put_percent_encoded(struct writer *writer, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        const uint8_t byte = (uint8_t)*text;
        const char encoded[] = {'%', digits[byte >> 4], digits[byte & 0xF]};
        if (is_unreserved(*text))
            put_bytes(writer, text, 1);
        else
            put_bytes(writer, encoded, sizeof(encoded));
    }
}

static void put_parameter(struct writer *writer, const char *name, const char *value)
{
    put(writer, name);
    put_percent_encoded(writer, value);
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static void put_request_line(struct writer *writer, const struct upgrade_request *request)
{
    put(writer, "GET /.well-known/otoroshi/tunnel");
    put_parameter(writer, "?transport=", request->transport);
    if (*or_empty(request->remote_host) != '\0')
        put_parameter(writer, "&remoteHost=", request->remote_host);
    if (request->remote_port != 0) {
        char port[sizeof("65535")];
        snprintf(port, sizeof(port), "%u", (unsigned)request->remote_port);
        put_parameter(writer, "&remotePort=", port);
    }
    if (request->credential == UPGRADE_SESSION)
        put_parameter(writer, "&pappsToken=", or_empty(request->first));
    put(writer, " HTTP/1.1\r\n");
}

/* Base64 of several strings in a row without joining them: bytes wait until they make a group of
 * three. */
struct base64_stream {
    struct writer *writer;
    uint8_t group[3];
    size_t waiting;
};

static void base64_stream_flush(struct base64_stream *stream)
{
    char text[4];
    put_bytes(stream->writer, text, base64_encode(text, stream->group, stream->waiting));
    stream->waiting = 0;
}

static void base64_stream_put(struct base64_stream *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        stream->group[stream->waiting++] = (uint8_t)*text;
        if (stream->waiting == sizeof(stream->group))
            base64_stream_flush(stream);
    }
}

static void put_basic_credential(struct writer *writer, const char *id, const char *secret)
{
    struct base64_stream stream = {.writer = writer};
    base64_stream_put(&stream, id);
    base64_stream_put(&stream, ":");
    base64_stream_put(&stream, secret);
    base64_stream_flush(&stream);
}

static void put_authorization(struct writer *writer, const struct upgrade_request *request)
{
    if (request->credential == UPGRADE_BEARER)
        put_line(writer, "Authorization: Bearer ", or_empty(request->first));
    if (request->credential == UPGRADE_BASIC) {
        put(writer, "Authorization: Basic ");
        put_basic_credential(writer, or_empty(request->first), or_empty(request->second));
        put(writer, "\r\n");
    }
}

static void put_head(struct writer *writer, const struct upgrade_request *request, const char *key)
{
    put_request_line(writer, request);
    put_line(writer, "Host: ", request->host_header);
    put(writer, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    put_line(writer, "Sec-WebSocket-Key: ", key);
    put(writer, "Sec-WebSocket-Version: 13\r\n");
    put(writer, "User-Agent: otoroshictl/" OTOROSHICTL_VERSION "\r\n");
    put_authorization(writer, request);
    for (size_t i = 0; i < request->header_count; i++)
        put_line(writer, request->headers[i], "");
    put(writer, "\r\n");
}

size_t upgrade_write(char *out, size_t capacity, const struct upgrade_request *request,
                     const char *key)
{
    struct writer writer = {.out = out, .capacity = capacity};
    put_head(&writer, request, key);
    return writer.size <= capacity ? writer.size : 0;
}

size_t upgrade_size(const struct upgrade_request *request)
{
    static const char any_key[KEY_LENGTH + 1] = "AAAAAAAAAAAAAAAAAAAAAA==";
    struct writer nowhere = {.out = NULL, .capacity = 0};
    put_head(&nowhere, request, any_key);
    return nowhere.size;
}
