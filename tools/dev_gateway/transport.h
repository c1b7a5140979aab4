/* What a session hands a WebSocket's messages to: UDP, TCP or reflection. */
#ifndef DEV_GATEWAY_TRANSPORT_H
#define DEV_GATEWAY_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"
#include "wire.h"

struct session;

struct transport_ops {
    int64_t idle_timeout_us;
    /* Called in the loop, right after the 101. NULL when out of memory or descriptors. `remote`
     * may name no host where the transport needs none. */
    void *(*open)(struct session *session, const struct endpoint *remote);
    /* A whole message; `data` is the transport's to change until it returns. */
    void (*message)(void *transport, enum wire_opcode opcode, uint8_t *data, size_t size);
    /* A ping or a pong; the pong to a ping has been queued. May be NULL. */
    void (*control)(void *transport);
    /* What came in one read has all been delivered. May be NULL. */
    void (*batch_end)(void *transport);
    /* The session's output is below its low-water mark again. May be NULL. */
    void (*output_room)(void *transport);
    /* The tunnel is over: closes sockets, frees everything. */
    void (*close)(void *transport);
};

extern const struct transport_ops udp_transport;
extern const struct transport_ops tcp_transport;
extern const struct transport_ops reflect_transport;

#endif
