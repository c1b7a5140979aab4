/* The two halves of a client WebSocket: websocket_connect.c brings it up, websocket.c uses it and
 * ends it. Calls go from the first to the second only. */
#ifndef OTOROSHICTL_SRC_NET_WEBSOCKET_INTERNAL_H
#define OTOROSHICTL_SRC_NET_WEBSOCKET_INTERNAL_H

#include <openssl/ssl.h>

#include "otoroshictl/codec/ws_frame.h"
#include "otoroshictl/net/resolver.h"
#include "otoroshictl/net/tls.h"
#include "otoroshictl/net/websocket.h"

#include "loop_internal.h"

enum { WEBSOCKET_KEY_CHARACTERS = 24 }; /* 16 random bytes in base64 */

enum websocket_state {
    WEBSOCKET_RESOLVING,
    WEBSOCKET_CONNECTING, /* TCP, TLS */
    WEBSOCKET_UPGRADING,  /* the request head has been sent */
    WEBSOCKET_OPEN,
    WEBSOCKET_CLOSING,   /* our close frame has been sent or waits to be */
    WEBSOCKET_LINGERING, /* the caller has been told; only the peer's end of the connection is
                            awaited */
};

struct websocket_target {
    struct loop *loop;
    const struct tunnel_config *config;
    const struct gateway_host *host;
    const struct upgrade_request *request;
    struct tls_handshake_finder finder;
    SSL_CTX *tls;
    struct lws_vhost *vhost;
    struct websocket *first; /* all of its connections */
};

struct websocket {
    struct loop_owner owner;
    struct websocket_target *target;
    struct websocket *previous;
    struct websocket *next;
    const struct websocket_events *events;
    void *context;

    enum websocket_state state;
    bool ended; /* `end` waits to be told */
    struct connection_end end;
    struct loop_timer *timer;
    int64_t deadline_us; /* of connecting */

    struct resolver_query *query;
    struct resolver_result addresses;
    size_t next_address;

    struct lws *wsi;
    bool entering;        /* within lws_client_connect_via_info() */
    bool library_closing; /* within its last callbacks */
    bool library_awake;   /* it still watches the socket for room, see let_library_sleep() */
    struct tls_handshake handshake;
    char key[WEBSOCKET_KEY_CHARACTERS + 1]; /* Sec-WebSocket-Key */
    /* What comes while upgrading: returns the bytes used up, 0 where the answer is not whole. */
    size_t (*take_answer)(struct websocket *websocket, const uint8_t *data, size_t size);
    /* The connection ended before it was: notes why. */
    void (*answer_missing)(struct websocket *websocket);

    /* Receiving. */
    struct loop_watch *stream; /* a duplicate of the library's socket */
    int stream_fd;
    struct ws_parser *parser;
    uint8_t *rest; /* the unread begin of a frame, between reads */
    size_t rest_size;
    size_t rest_capacity;

    /* Sending: ready-made frames. */
    uint8_t *send;
    size_t send_size;
    size_t send_capacity;
    bool blocked; /* the kernel takes no more for now */
};

/* ---- ends: the caller is told from the timer, never from within a call of its own ---- */

void websocket_set_timer(struct websocket *websocket, int64_t after_us);
/* `detail` need not be NUL-terminated. */
void websocket_set_end(struct websocket *websocket, enum connection_end_kind kind, uint16_t status,
                       const char *detail, size_t detail_size);
/* Ends with what websocket_set_end() was given. */
void websocket_finish_noted(struct websocket *websocket);
void websocket_finish(struct websocket *websocket, enum connection_end_kind kind, uint16_t status,
                      const char *detail);
/* Tells the end and frees, or lingers until the peer has ended too. */
void websocket_tell_end(struct websocket *websocket);
void websocket_drop_connection(struct websocket *websocket);

/* ---- once the request head is sent ---- */

extern const struct loop_watch_events websocket_stream_events;
void websocket_stream_readable(void *websocket);
/* The library's handle is gone. */
void websocket_connection_gone(struct websocket *websocket);

#endif
