/* --reflect: every message comes back as it was. */
#include <string.h>

#include "session.h"
#include "transport.h"

static void *reflect_open(struct session *session, const struct endpoint *remote)
{
    (void)remote;
    return session;
}

static void reflect_message(void *transport, enum wire_opcode opcode, uint8_t *data, size_t size)
{
    uint8_t *payload = session_frame(transport, opcode, size);

    if (payload != NULL && size > 0)
        memcpy(payload, data, size);
}

static void reflect_close(void *transport)
{
    (void)transport;
}

const struct transport_ops reflect_transport = {
    .idle_timeout_us = 3600 * (int64_t)LWS_USEC_PER_SEC,
    .open = reflect_open,
    .message = reflect_message,
    .close = reflect_close,
};
