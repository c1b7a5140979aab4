/* The head of an HTTP/1.1 response, as far as a WebSocket client needs it (RFC 9112, RFC 6455
 * section 4.1). Pure: bytes in, slices of them out. */
#ifndef OTOROSHICTL_CODEC_HTTP_RESPONSE_H
#define OTOROSHICTL_CODEC_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest response head that is read. */
enum { HTTP_RESPONSE_MAX_BYTES = 16384 };

/* Bytes of the head, without the white space around them; size 0 where there are none. */
struct http_text {
    const char *text;
    size_t size;
};

struct http_response {
    uint16_t status; /* 100..999 */
    struct http_text upgrade;
    struct http_text connection;
    struct http_text accept;      /* Sec-WebSocket-Accept */
    struct http_text extensions;  /* Sec-WebSocket-Extensions */
    struct http_text subprotocol; /* Sec-WebSocket-Protocol */
    struct http_text location;
    struct http_text retry_after;
};

enum http_result {
    HTTP_MORE,  /* the head has not ended yet */
    HTTP_WHOLE, /* *response is filled, *used is the head's size, its empty line included */
    HTTP_BAD,   /* not the head of an HTTP/1.x response, or above the limit */
};

/* Looks at the first `size` bytes that came. A header that is given twice has its first value. */
enum http_result http_response_read(struct http_response *response, size_t *used,
                                    const uint8_t *data, size_t size);

/* Whether a comma-separated list of tokens has this one, in any case (RFC 9110, section 5.6.1). */
bool http_has_token(const struct http_text *list, const char *token);

/* Microseconds from `now_s` (seconds since the epoch) that a Retry-After asks for, which is a
 * number of seconds or a date (RFC 9110, section 10.2.3); 0 where it does not read or is past. */
int64_t http_retry_after(const struct http_text *text, int64_t now_s);

#endif
