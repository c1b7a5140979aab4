/* How a connection to the gateway ended, as src/net found it, and what to tell the user. */
#ifndef OTOROSHICTL_TUNNEL_CONNECTION_END_H
#define OTOROSHICTL_TUNNEL_CONNECTION_END_H

#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/tunnel/config.h"

enum connection_end_kind {
    END_CLOSED_BY_US,    /* the close that was asked for is complete */
    END_NAME_LOOKUP,     /* detail: the resolver's words */
    END_TCP,             /* detail: strerror */
    END_TLS,             /* detail: which check failed */
    END_TIMEOUT,         /* detail: the step that did not finish within --connect-timeout */
    END_HTTP_STATUS,     /* status; detail: the Location of a redirect */
    END_UPGRADE,         /* an answer that is no WebSocket upgrade; detail: why */
    END_CLOSED_BY_PEER,  /* status: close code; detail: the peer's reason */
    END_LOST,            /* the TCP connection ended without a close frame; detail: why */
    END_PROTOCOL_BREACH, /* status: the code sent; detail: what the peer did */
    END_INTERNAL,        /* out of memory or descriptors; detail */
};

struct connection_end {
    enum connection_end_kind kind;
    uint16_t status;
    int64_t retry_after_us; /* of a 429 or 503; 0: none */
    char detail[256];
};

/* One sentence without a full stop: what happened and, where the user can act, what to do.
 * `host` is the gateway as the user wrote it. NUL-terminated, cut at `size`. */
void connection_end_describe(const struct connection_end *end, const char *host,
                             enum access_type access_type, char *out, size_t size);

#endif
