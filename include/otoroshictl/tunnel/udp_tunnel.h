/* The UDP tunnel's mediator: decides which datagram goes on which WebSocket and when a WebSocket
 * is opened, replaced and closed. It owns clients, queue, pairing and counters, and no socket:
 * it reaches the outside through `struct tunnel_ports`, which src/net fills in and tests replace.
 *
 * Everything happens in calls of one thread. The caller gives the time (microseconds, monotonic,
 * counting suspended time) with each call. A port is free to call nothing back before it returns;
 * in fact it must not: results come as later calls of udp_tunnel_on_...(). */
#ifndef OTOROSHICTL_TUNNEL_UDP_TUNNEL_H
#define OTOROSHICTL_TUNNEL_UDP_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/codec/address.h"
#include "otoroshictl/tunnel/config.h"
#include "otoroshictl/tunnel/connection_end.h"
#include "otoroshictl/tunnel/counters.h"

/* WebSockets that a tunnel may have at a time, those being drained and closed included: their
 * numbers are 0 to one less. */
unsigned udp_tunnel_connections_max(const struct tunnel_config *config);

enum report_level {
    REPORT_ERROR,
    REPORT_WARN,
    REPORT_INFO,
    REPORT_DEBUG,
};

struct tunnel_ports {
    void *net; /* given back as the first argument of each */

    /* Starts connecting to config->hosts[host]; udp_tunnel_on_open() or udp_tunnel_on_closed()
     * follows later. False when out of memory or descriptors: then neither does. */
    bool (*open)(void *net, unsigned connection, size_t host);
    /* Sends a close frame with 1000, or gives up connecting; udp_tunnel_on_closed() follows
     * within a second. */
    void (*close)(void *net, unsigned connection);
    /* Room for a message of `size` bytes in the connection's send buffer, NULL while the peer
     * does not read (then udp_tunnel_on_writable() follows). Filled and committed at once. */
    uint8_t *(*reserve)(void *net, unsigned connection, size_t size);
    void (*commit)(void *net, unsigned connection, size_t size);
    /* Sends what was committed. False where the peer does not read, so that some of it still waits
     * (then udp_tunnel_on_writable() follows). */
    bool (*flush)(void *net, unsigned connection);
    /* Sends a WebSocket ping; udp_tunnel_on_pong() follows where the peer answers. */
    void (*ping)(void *net, unsigned connection);

    /* Room for one payload (DATAGRAM_MAX_BYTES + 3) to a local client; never NULL. */
    uint8_t *(*reply_reserve)(void *net);
    /* Hands over what was put there; udp_tunnel_on_delivered() follows later. */
    void (*reply_commit)(void *net, const struct address *client, size_t size);

    /* One timer: udp_tunnel_on_timer() is called at or after this time. Replaces the one before. */
    void (*set_timer)(void *net, int64_t at_us);
    /* The tunnel has stopped; nothing is called after this. */
    void (*stopped)(void *net);

    void (*report)(void *net, enum report_level level, const char *message);
    uint32_t (*random)(void *net);
};

/* A datagram as it came from a local client; the payload is valid during the call. */
struct datagram {
    struct address client;
    const uint8_t *payload;
    size_t size;
};

struct udp_tunnel;

/* `config` and `ports` stay the caller's and outlive the tunnel. NULL when out of memory. */
struct udp_tunnel *udp_tunnel_new(const struct tunnel_config *config,
                                  const struct tunnel_ports *ports);
void udp_tunnel_free(struct udp_tunnel *tunnel);

/* Opens the first connection. */
void udp_tunnel_start(struct udp_tunnel *tunnel, int64_t now_us);
/* Sends what is queued, closes every connection, then calls ports->stopped(): within 2 s. */
void udp_tunnel_stop(struct udp_tunnel *tunnel, int64_t now_us);
/* Replaces each connection by a fresh one, new one first (SIGHUP). */
void udp_tunnel_renew(struct udp_tunnel *tunnel, int64_t now_us);

void udp_tunnel_on_datagrams(struct udp_tunnel *tunnel, const struct datagram *batch, size_t count,
                             int64_t now_us);
/* The kernel dropped this many datagrams before they could be read. */
void udp_tunnel_on_overflow(struct udp_tunnel *tunnel, uint64_t count, int64_t now_us);
/* What became of replies that were committed. */
void udp_tunnel_on_delivered(struct udp_tunnel *tunnel, size_t sent, uint64_t sent_bytes,
                             size_t failed, int64_t now_us);

void udp_tunnel_on_open(struct udp_tunnel *tunnel, unsigned connection, int64_t now_us);
void udp_tunnel_on_writable(struct udp_tunnel *tunnel, unsigned connection, int64_t now_us);
void udp_tunnel_on_pong(struct udp_tunnel *tunnel, unsigned connection, int64_t now_us);
/* A whole message; `text` for a text frame. */
void udp_tunnel_on_message(struct udp_tunnel *tunnel, unsigned connection, bool text,
                           const uint8_t *data, size_t size, int64_t now_us);
/* The connection is gone, however it ended; its number is free again. */
void udp_tunnel_on_closed(struct udp_tunnel *tunnel, unsigned connection,
                          const struct connection_end *end, int64_t now_us);
void udp_tunnel_on_timer(struct udp_tunnel *tunnel, int64_t now_us);
/* Once before the event loop sleeps: sends from the queue what replies have made room for, all
 * in one write. */
void udp_tunnel_before_sleep(struct udp_tunnel *tunnel, int64_t now_us);

/* A copy of the counters as they are now. */
void udp_tunnel_counters(const struct udp_tunnel *tunnel, struct counters *out);

#endif
