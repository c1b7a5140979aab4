/* A UDP tunnel on a loop: ties the mediator (tunnel/udp_tunnel.h) to its socket and WebSockets. */
#ifndef OTOROSHICTL_NET_UDP_PORTS_H
#define OTOROSHICTL_NET_UDP_PORTS_H

#include "otoroshictl/net/loop.h"
#include "otoroshictl/net/start_failure.h"
#include "otoroshictl/ops/log.h"
#include "otoroshictl/ops/metrics.h"
#include "otoroshictl/tunnel/config.h"

struct udp_ports;

/* How many descriptors the process may come to need for such a tunnel. */
unsigned udp_ports_descriptors(const struct tunnel_config *config);

/* Binds the socket, prepares TLS and starts the tunnel; everything else happens in loop_run(),
 * which ends when the tunnel has stopped after SIGINT or SIGTERM. `config` and `log` outlive it.
 * NULL with the reason in *failure. */
struct udp_ports *udp_ports_start(struct loop *loop, const struct tunnel_config *config,
                                  const struct log *log, struct start_failure *failure);
/* What the tunnel has to tell at this moment, for a status_server_source. */
void udp_ports_facts(struct udp_ports *ports, struct tunnel_facts *facts);
void udp_ports_free(struct udp_ports *ports);

#endif
