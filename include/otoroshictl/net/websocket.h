/* One client WebSocket to the gateway: name lookup, TCP, TLS, upgrade, messages, close.
 *
 * libwebsockets connects, does TLS, sends the request and runs the loop. The gateway's answer and
 * all that follows is read and written by this module, in bulk, through codec/http_response.h and
 * codec/ws_frame.h: the library hands each received byte through a state machine, and is less
 * strict than RFC 6455 asks. Nothing of this shows to the caller. */
#ifndef OTOROSHICTL_NET_WEBSOCKET_H
#define OTOROSHICTL_NET_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/codec/upgrade.h"
#include "otoroshictl/net/loop.h"
#include "otoroshictl/net/start_failure.h"
#include "otoroshictl/tunnel/config.h"
#include "otoroshictl/tunnel/connection_end.h"

enum {
    /* Most payload bytes of one received message; above it the connection is closed with 1009. */
    WEBSOCKET_MESSAGE_MAX = 128 * 1024,
    /* Most bytes kept ready to send; above it websocket_reserve() gives none. */
    WEBSOCKET_SEND_MAX = 256 * 1024,
};

/* A gateway host, what is asked of it, and how it proves who it is. Shared by connections. */
struct websocket_target;

/* `config`, `host` and `request` (and what they point to) outlive the target. NULL with the reason
 * in *failure. */
struct websocket_target *websocket_target_new(struct loop *loop, const struct tunnel_config *config,
                                              const struct gateway_host *host,
                                              const struct upgrade_request *request,
                                              struct start_failure *failure);
/* After its connections. */
void websocket_target_free(struct websocket_target *target);

struct websocket_events {
    void (*open)(void *context);
    /* A whole message; the bytes are valid during the call. */
    void (*message)(void *context, bool text, const uint8_t *data, size_t size);
    /* The answer to websocket_ping(). */
    void (*pong)(void *context);
    /* There is room again after websocket_reserve() gave none, or websocket_flush() left some. */
    void (*writable)(void *context);
    /* Once, last: the handle is gone after this. */
    void (*closed)(void *context, const struct connection_end *end);
};

struct websocket;

/* Starts connecting, with config->connect_timeout_us for all steps together. NULL when out of
 * memory. Events come later, never from within a function of this module. */
struct websocket *websocket_open(struct websocket_target *target,
                                 const struct websocket_events *events, void *context);

/* Room for one binary message of `size` bytes, to be filled and committed before anything else is
 * done with this connection. NULL while the peer does not read. */
uint8_t *websocket_reserve(struct websocket *websocket, size_t size);
void websocket_commit(struct websocket *websocket, size_t size);
/* Hands what was committed to the kernel in one write. False where some of it is left, since the
 * peer does not read; that goes by itself later. */
bool websocket_flush(struct websocket *websocket);

/* Sends a ping without payload, behind what waits to be sent; none where that fills the buffer. */
void websocket_ping(struct websocket *websocket);

/* Sends a close frame with 1000 and waits for the answer, a second at most; messages that come
 * meanwhile are still delivered. Before the upgrade it just gives up. events->closed follows. */
void websocket_close(struct websocket *websocket);

/* Frees at once, without a close frame and without an event. */
void websocket_free(struct websocket *websocket);

#endif
