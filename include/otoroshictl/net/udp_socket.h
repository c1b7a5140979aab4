/* The local UDP socket: batches in (recvmmsg), batches out (sendmmsg).
 *
 * On a dual-stack socket IPv4 clients are IPv4 addresses to the caller. */
#ifndef OTOROSHICTL_NET_UDP_SOCKET_H
#define OTOROSHICTL_NET_UDP_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/net/loop.h"
#include "otoroshictl/net/start_failure.h"
#include "otoroshictl/tunnel/udp_tunnel.h"

enum { UDP_SOCKET_BATCH = 64 };

struct udp_socket_events {
    /* The payloads are valid during the call. */
    void (*datagrams)(void *context, const struct datagram *batch, size_t count);
    /* What became of committed datagrams. */
    void (*delivered)(void *context, size_t sent, uint64_t sent_bytes, size_t failed);
    /* The kernel had no room for this many (SO_RXQ_OVFL). */
    void (*overflow)(void *context, uint64_t count);
};

struct udp_socket;

/* Binds `host` (IPv4, IPv6 or a name; "::" is dual-stack) and `port` (0: the kernel's choice).
 * NULL with the reason in *failure. */
struct udp_socket *udp_socket_open(struct loop *loop, const char *host, uint16_t port,
                                   const struct udp_socket_events *events, void *context,
                                   struct start_failure *failure);
void udp_socket_free(struct udp_socket *udp);

/* Stops reading for good; sending goes on. */
void udp_socket_stop_reading(struct udp_socket *udp);

/* Asks the kernel how many datagrams it has dropped so far; events->overflow() is told what is new.
 * The end of a burst needs it: a datagram tells only of drops before it. */
void udp_socket_check_overflow(struct udp_socket *udp);

/* "127.0.0.1:1053", "[::1]:1053": what is really bound. */
void udp_socket_name(const struct udp_socket *udp, char *out, size_t size);

/* Room for one payload of up to DATAGRAM_MAX_BYTES + 3, filled and committed at once. Sends what
 * is pending where the batch is full. */
uint8_t *udp_socket_reserve(struct udp_socket *udp);
void udp_socket_commit(struct udp_socket *udp, const struct address *client, size_t size);
void udp_socket_flush(struct udp_socket *udp);

#endif
