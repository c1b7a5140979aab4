#include "otoroshictl/codec/http_response.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char end_of_head[] = "\r\n\r\n";
static const char end_of_line[] = "\r\n";

static bool equals(const struct http_text *a, const char *b)
{
    return a->size == strlen(b) && strncasecmp(a->text, b, a->size) == 0;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct http_text trimmed(const char *text, size_t size)
{
    while (size > 0 && is_space(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && is_space(text[size - 1]))
        size--;
    return (struct http_text){text, size};
}

/* "HTTP/1.1 101 Switching Protocols"; the reason may be missing. */
static bool read_status_line(struct http_response *response, const char *line, size_t size)
{
    static const char version[] = "HTTP/1.";
    const size_t digits_at = sizeof version - 1 + 2;
    if (size < digits_at + 3 || memcmp(line, version, sizeof version - 1) != 0 ||
        !isdigit((unsigned char)line[digits_at - 2]) || line[digits_at - 1] != ' ')
        return false;
    unsigned status = 0;
    for (size_t i = digits_at; i < digits_at + 3; i++) {
        if (!isdigit((unsigned char)line[i]))
            return false;
        status = status * 10 + (unsigned)(line[i] - '0');
    }
    response->status = (uint16_t)status;
    return status >= 100 && (size == digits_at + 3 || line[digits_at + 3] == ' ');
}

static struct http_text *place_for(struct http_response *response, const struct http_text *name)
{
    const struct {
        const char *name;
        struct http_text *place;
    } known[] = {
        {"upgrade", &response->upgrade},
        {"connection", &response->connection},
        {"sec-websocket-accept", &response->accept},
        {"sec-websocket-extensions", &response->extensions},
        {"sec-websocket-protocol", &response->subprotocol},
        {"location", &response->location},
        {"retry-after", &response->retry_after},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (equals(name, known[i].name))
            return known[i].place;
    return NULL;
}

static bool read_header(struct http_response *response, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || colon == line || is_space(line[0]) || is_space(colon[-1]))
        return false;
    const struct http_text name = {line, (size_t)(colon - line)};
    struct http_text *place = place_for(response, &name);
    if (place != NULL && place->text == NULL)
        *place = trimmed(colon + 1, size - name.size - 1);
    return true;
}

/* The lines up to the empty one; `size` includes the end of the last line. */
static bool read_lines(struct http_response *response, const char *head, size_t size)
{
    const char *end = head + size;
    bool first = true;
    while (head < end) {
        const char *line_end = memmem(head, (size_t)(end - head), end_of_line, 2);
        size_t line_size = (size_t)(line_end - head);
        if (memchr(head, '\0', line_size) != NULL ||
            !(first ? read_status_line(response, head, line_size)
                    : read_header(response, head, line_size)))
            return false;
        first = false;
        head = line_end + 2;
    }
    return true;
}

/* Whether what has come so far can be the begin of a response at all. */
static bool begins_well(const uint8_t *data, size_t size)
{
    static const char begin[] = "HTTP/1.";
    size_t shorter = size < sizeof begin - 1 ? size : sizeof begin - 1;
    return memcmp(data, begin, shorter) == 0;
}

enum http_result http_response_read(struct http_response *response, size_t *used,
                                    const uint8_t *data, size_t size)
{
    size_t searched = size < HTTP_RESPONSE_MAX_BYTES ? size : HTTP_RESPONSE_MAX_BYTES;
    const uint8_t *end = memmem(data, searched, end_of_head, sizeof end_of_head - 1);
    *response = (struct http_response){0};
    *used = 0;
    if (!begins_well(data, size))
        return HTTP_BAD;
    if (end == NULL)
        return size < HTTP_RESPONSE_MAX_BYTES ? HTTP_MORE : HTTP_BAD;
    if (!read_lines(response, (const char *)data, (size_t)(end - data) + 2))
        return HTTP_BAD;
    *used = (size_t)(end - data) + sizeof end_of_head - 1;
    return HTTP_WHOLE;
}

bool http_has_token(const struct http_text *list, const char *token)
{
    const char *text = list->text;
    size_t left = list->size;
    while (left > 0) {
        const char *comma = memchr(text, ',', left);
        size_t size = comma == NULL ? left : (size_t)(comma - text);
        const struct http_text item = trimmed(text, size);
        if (equals(&item, token))
            return true;
        if (comma == NULL)
            return false;
        text += size + 1;
        left -= size + 1;
    }
    return false;
}

static int64_t parse_date(const char *text)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return end != NULL && *end == '\0' ? (int64_t)timegm(&parts) : 0;
}

int64_t http_retry_after(const struct http_text *text, int64_t now_s)
{
    enum { DIGITS_MAX = 9, US_PER_S = 1000000 };
    char copy[64];
    if (text->size == 0 || text->size >= sizeof copy)
        return 0;
    memcpy(copy, text->text, text->size);
    copy[text->size] = '\0';
    size_t digits = strspn(copy, "0123456789");
    if (copy[digits] == '\0')
        return digits <= DIGITS_MAX ? strtoll(copy, NULL, 10) * US_PER_S : 0;
    int64_t date_s = parse_date(copy);
    return date_s > now_s ? (date_s - now_s) * US_PER_S : 0;
}
