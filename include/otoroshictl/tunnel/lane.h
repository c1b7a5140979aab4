/* A lane: datagrams that travel in order over one WebSocket. In shared mode there is one for all
 * clients; in pool and per-client each client has its own. */
#ifndef OTOROSHICTL_TUNNEL_LANE_H
#define OTOROSHICTL_TUNNEL_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "otoroshictl/tunnel/counters.h"

struct client;
struct connection;
struct queued_datagram;

struct lane {
    struct client *client; /* whose; NULL: everybody's */

    /* Of the send queue: what waits, oldest first. */
    struct queued_datagram *first;
    struct queued_datagram *last;
    uint32_t queued;

    /* Of the carriers. */
    struct connection *connection; /* that takes its datagrams; NULL: none */
    uint32_t references;           /* connections whose `lane` this is, replaced ones included */
    bool waits;                    /* for a connection, or for a fresh one in place of this */
    bool renews;                   /* `connection` is to be replaced, for `cause` */
    enum renewal_cause cause;
    struct lane *previous_waiting;
    struct lane *next_waiting;
};

#endif
