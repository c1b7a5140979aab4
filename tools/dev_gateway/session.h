/* One client's WebSocket after the upgrade.
 *
 * The library listens, does TLS and answers the upgrade. From then on its own connection object
 * only holds the socket and the TLS state: it is not read any more, and a dup() of the socket is
 * watched instead, read and written here. So a stall stops the processing of frames and not
 * only the reading, pings are seen, and many frames go out in one write. */
#ifndef DEV_GATEWAY_SESSION_H
#define DEV_GATEWAY_SESSION_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway.h"
#include "transport.h"
#include "wire.h"

struct session;

/* Why a session is not read; any of them stops it. */
enum session_pause {
    SESSION_PAUSE_LABELS = 1, /* 32 outstanding: leaving now leaks, as in Otoroshi */
    SESSION_PAUSE_FAULT = 2,  /* --stop-reading-after: the same */
    SESSION_PAUSE_TARGET = 4, /* the TCP target does not take more */
    SESSION_PAUSE_OUTPUT = 8, /* the client does not take more; the session's own */
};

/* Takes the upgraded connection over. NULL: the caller closes it. */
struct session *session_new(struct gateway *gateway, struct lws *wsi,
                            const struct transport_ops *ops, const struct endpoint *remote);

/* The library has closed its connection object. */
void session_connection_closed(struct session *session);

/* Frees those that have ended. Only between two turns of the loop. */
void session_sweep(struct gateway *gateway);

/* Ends and frees all of them, without close frames. */
void session_end_all(struct gateway *gateway);

struct gateway *session_gateway(const struct session *session);

/* Adds the header of a data frame to the output; the caller fills in the `size` bytes of payload
 * returned before anything else happens to the session. NULL when out of memory or closing. */
uint8_t *session_frame(struct session *session, enum wire_opcode opcode, size_t size);

/* Writes what is queued, as far as the client takes it. */
void session_flush(struct session *session);

/* Over the high-water mark (1 MiB): add nothing before output_room(). */
bool session_output_full(const struct session *session);

void session_pause(struct session *session, enum session_pause reason);
void session_unpause(struct session *session, enum session_pause reason);

/* Sends what is queued and a close frame with an empty reason, then hangs up. The transport is
 * closed at once, so the caller returns without touching it. */
void session_close(struct session *session, uint16_t status);

/* Hangs up without a close frame. The transport is closed at once. */
void session_abort(struct session *session);

/* Something came from the remote: not idle. */
void session_touch(struct session *session);

#endif
