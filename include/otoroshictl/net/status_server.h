/* The HTTP server of --metrics-listen: the pages of ops/status_pages.h, on the tool's own loop.
 *
 * It must never be in the tunnel's way: a request is answered and its connection closed; what takes
 * longer than a few seconds is ended, however slowly it still sends; where many connections are
 * open, the oldest makes room; a request has a bounded size. */
#ifndef OTOROSHICTL_NET_STATUS_SERVER_H
#define OTOROSHICTL_NET_STATUS_SERVER_H

#include "otoroshictl/net/loop.h"
#include "otoroshictl/net/start_failure.h"
#include "otoroshictl/ops/metrics.h"
#include "otoroshictl/tunnel/config.h"

struct status_server;

/* What the tunnel has to tell at this moment. */
typedef void status_server_source(void *context, struct tunnel_facts *facts);

/* Listens, and logs where. `listen` outlives the server; `source` is first called in loop_run().
 * NULL with the reason in *failure. */
struct status_server *status_server_start(struct loop *loop, const struct listen_address *listen,
                                          status_server_source *source, void *context,
                                          struct start_failure *failure);
void status_server_free(struct status_server *server);

#endif
