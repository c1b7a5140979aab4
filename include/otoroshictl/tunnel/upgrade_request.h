/* The request that opens a WebSocket, from what the tunnel was told: the one place that knows which
 * fields of the configuration are sent, and as what. Pure. */
#ifndef OTOROSHICTL_TUNNEL_UPGRADE_REQUEST_H
#define OTOROSHICTL_TUNNEL_UPGRADE_REQUEST_H

#include "otoroshictl/codec/upgrade.h"
#include "otoroshictl/tunnel/config.h"

/* `transport` is "udp" or "tcp". The request refers to the strings of `config`, `host` and
 * `transport`; it must not outlive them. */
void upgrade_request_from_config(struct upgrade_request *request,
                                 const struct tunnel_config *config,
                                 const struct gateway_host *host, const char *transport);

#endif
