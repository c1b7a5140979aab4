/* A socket bound to a local address: what UDP and TCP do alike. */
#ifndef OTOROSHICTL_SRC_NET_BOUND_SOCKET_H
#define OTOROSHICTL_SRC_NET_BOUND_SOCKET_H

#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "otoroshictl/net/start_failure.h"

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct local_address {
    const char *host; /* IPv4, IPv6 or a name; "::" is dual-stack */
    uint16_t port;    /* 0: the kernel's choice */
};

/* Sets what has to be set before the socket is bound. */
typedef void bound_socket_prepare(int fd, const struct addrinfo *address, void *context);

/* Binds a socket of `type` (SOCK_DGRAM, SOCK_STREAM), which does not block, to the first of the
 * name's addresses that will do. -1 with the reason in *failure. */
int bound_socket_open(const struct local_address *local, int type, bound_socket_prepare *prepare,
                      void *context, struct start_failure *failure);

/* "127.0.0.1:1053", "[::1]:1053": what is really bound. */
void bound_socket_name(int fd, char *out, size_t size);

#endif
