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

enum websocket_state {
    WEBSOCKET_RESOLVING,
    WEBSOCKET_CONNECTING, /* TCP, TLS, upgrade */
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
    bool head_sent;       /* TCP, and TLS if any, are up */
    bool library_closing; /* within its last callbacks */
    struct tls_handshake handshake;

    /* Receiving. */
    struct loop_watch *stream; /* a duplicate of the socket; NULL where the library reads */
    int stream_fd;
    struct ws_parser *parser;
    uint8_t *rest; /* the unread begin of a frame, between reads */
    size_t rest_size;
    size_t rest_capacity;
    bool library_answers_close;
    uint8_t *assembly; /* of a message that the library reads */
    size_t assembly_size;

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

/* ---- what the loop and the library report once the upgrade is done ---- */

extern const struct loop_watch_events websocket_stream_events;
void websocket_stream_readable(void *websocket);
void websocket_on_writable(struct websocket *websocket);
void websocket_take_from_library(struct websocket *websocket, const uint8_t *data, size_t size);
void websocket_library_close(struct websocket *websocket, const uint8_t *payload, size_t size);
/* The library's handle is gone after the upgrade. */
void websocket_connection_gone(struct websocket *websocket);

#endif
