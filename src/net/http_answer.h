/* What a failed upgrade's answer says. */
#ifndef OTOROSHICTL_SRC_NET_HTTP_ANSWER_H
#define OTOROSHICTL_SRC_NET_HTTP_ANSWER_H

#include <libwebsockets.h>
#include <stdint.h>

struct http_answer {
    uint16_t status;        /* 0: no answer that could be read */
    int64_t retry_after_us; /* Retry-After of a 429 or 503 (RFC 9110, section 10.2.3); 0: none */
    char location[200];     /* without query and fragment */
};

/* From within LWS_CALLBACK_CLIENT_CONNECTION_ERROR. */
void http_answer_read(struct http_answer *answer, struct lws *wsi);

/* Microseconds from `now` (seconds since the epoch) that a Retry-After asks for; 0 where it does
 * not read or lies in the past. */
int64_t http_retry_after(const char *text, int64_t now_s);

#endif
