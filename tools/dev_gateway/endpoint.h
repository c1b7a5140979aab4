/* HOST:PORT as the command line and the query name it, and the address behind it. */
#ifndef DEV_GATEWAY_ENDPOINT_H
#define DEV_GATEWAY_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ENDPOINT_HOST_SIZE = 256, ENDPOINT_TEXT_SIZE = ENDPOINT_HOST_SIZE + 9 };

struct endpoint {
    char host[ENDPOINT_HOST_SIZE]; /* without brackets; "" : none */
    uint16_t port;
};

/* A decimal number without sign, space or prefix, up to `max`. */
bool parse_number(uint64_t *out, const char *text, uint64_t max);

/* "name:53", "127.0.0.1:53", "[::1]:53". */
bool endpoint_parse(struct endpoint *out, const char *text);

/* The two halves apart, as the query has them; brackets around the host are taken off. */
bool endpoint_set(struct endpoint *out, const char *host, const char *port);

/* Writes "127.0.0.1:53" or "[::1]:53". */
void endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_SIZE]);

/* Looks the host up (blocking) for SOCK_STREAM or SOCK_DGRAM; of several addresses an IPv4 one,
 * as Otoroshi's JVM does. False: `*why` says why. */
bool endpoint_resolve(const struct endpoint *endpoint, int socket_type,
                      struct sockaddr_storage *address, socklen_t *length, const char **why);

#endif
