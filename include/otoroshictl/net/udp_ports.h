/* A UDP tunnel on a loop: ties the mediator (tunnel/udp_tunnel.h) to its socket and WebSockets. */
#ifndef OTOROSHICTL_NET_UDP_PORTS_H
#define OTOROSHICTL_NET_UDP_PORTS_H

#include <stddef.h>

#include "otoroshictl/net/loop.h"
#include "otoroshictl/ops/log.h"
#include "otoroshictl/tunnel/config.h"

enum udp_ports_result {
    UDP_PORTS_OK,
    UDP_PORTS_BAD_FILE, /* a TLS file cannot be used */
    UDP_PORTS_CANNOT_BIND,
    UDP_PORTS_NO_RESOURCES,
};

struct udp_ports;

/* Binds the socket, prepares TLS and starts the tunnel; everything else happens in loop_run(),
 * which ends when the tunnel has stopped after SIGINT or SIGTERM. `config` and `log` outlive it.
 * On failure *out is NULL and `error` has the reason. */
enum udp_ports_result udp_ports_start(struct udp_ports **out, struct loop *loop,
                                      const struct tunnel_config *config, const struct log *log,
                                      char *error, size_t error_size);
void udp_ports_free(struct udp_ports *ports);

#endif
