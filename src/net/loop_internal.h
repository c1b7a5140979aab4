/* What the modules of this room share of the loop: the only place, with them, that knows
 * libwebsockets. */
#ifndef OTOROSHICTL_SRC_NET_LOOP_INTERNAL_H
#define OTOROSHICTL_SRC_NET_LOOP_INTERNAL_H

#include <libwebsockets.h>

#include "otoroshictl/net/loop.h"

/* Put into the opaque pointer of a `struct lws`: who gets its callbacks. The library has one
 * callback per protocol; this makes it one per object. A `struct lws` without owner is told to
 * close. */
struct loop_owner {
    int (*callback)(struct loop_owner *owner, struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t size);
};

enum {
    LOOP_SCRATCH_BYTES = 256 * 1024,
    /* Deadlines are the tool's own; the library's must never come first. */
    LOOP_LIBRARY_TIMEOUT_S = 24 * 3600,
};

struct lws_context *loop_lws_context(struct loop *loop);
/* The protocols of every vhost; the first serves all. */
const struct lws_protocols *loop_lws_protocols(void);
/* LOOP_SCRATCH_BYTES for whoever reads right now; nothing stays in it between callbacks. */
uint8_t *loop_scratch(struct loop *loop);

/* Takes the owner off, so that no more callbacks come, and closes in the next turn. */
void loop_release_wsi(struct lws *wsi);

#endif
