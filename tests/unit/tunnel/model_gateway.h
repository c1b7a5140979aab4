/* What Otoroshi does with the frames of one WebSocket, as docs/protocol.md has it measured: labels
 * in the order of the frames, the stall at 32, replies that wait for a label, frames without data
 * and pings that use one up. Or, on demand, an ideal gateway that pairs by content.
 *
 * It knows neither the tunnel nor a clock: what it does shows in the hooks. Include after
 * cmocka.h. */
#ifndef OTOROSHICTL_TESTS_UNIT_TUNNEL_MODEL_GATEWAY_H
#define OTOROSHICTL_TESTS_UNIT_TUNNEL_MODEL_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "otoroshictl/codec/address.h"

enum {
    GATEWAY_LABELS_MAX = 32,  /* it stops reading at so many */
    GATEWAY_WAITING_MAX = 16, /* replies that find no label; further ones it drops */
    GATEWAY_UNREAD_MAX = 256,
};

/* The payload of a datagram, and of its answer. */
struct question {
    uint32_t client;
    uint32_t number;
    int64_t asked_us;
    uint32_t pushed; /* not an answer: the service sent it of its own accord */
    uint32_t reserved;
};

enum gateway_frame_kind {
    GATEWAY_DATAGRAM,
    GATEWAY_CREDIT, /* without data */
    GATEWAY_PING,
};

struct gateway_frame {
    enum gateway_frame_kind kind;
    struct address label; /* of a ping: none */
    struct question question;
};

/* The gateway's end of one WebSocket. */
struct gateway_end {
    bool by_content;
    size_t label_count;
    struct address labels[GATEWAY_LABELS_MAX];
    size_t waiting_count;
    struct question waiting[GATEWAY_WAITING_MAX];
    size_t unread_count;
    struct gateway_frame unread[GATEWAY_UNREAD_MAX];
    uint64_t datagrams; /* taken */
    uint64_t messages;  /* sent */
    uint64_t overflowed;
};

/* `context` and `connection` are given back. */
struct gateway_hooks {
    void *context;
    /* A frame was taken, its label is in the queue. */
    void (*took)(void *context, unsigned connection, const struct gateway_frame *frame);
    /* A datagram goes to the remote service. */
    void (*to_service)(void *context, unsigned connection, const struct question *question);
    /* A message goes to the tool. The label of a ping has no address family. */
    void (*message)(void *context, unsigned connection, const struct address *label,
                    const struct question *answer);
    void (*pong)(void *context, unsigned connection);
};

static inline void gateway_begin(struct gateway_end *gateway, bool by_content)
{
    gateway->by_content = by_content;
    gateway->label_count = 0;
    gateway->waiting_count = 0;
    gateway->unread_count = 0;
    gateway->datagrams = 0;
    gateway->messages = 0;
    gateway->overflowed = 0;
}

static inline void gateway_emit(struct gateway_end *gateway, const struct gateway_hooks *hooks,
                                unsigned connection, const struct question *answer)
{
    const struct address label = gateway->labels[0];
    gateway->label_count--;
    memmove(gateway->labels, gateway->labels + 1, gateway->label_count * sizeof gateway->labels[0]);
    gateway->messages++;
    hooks->message(hooks->context, connection, &label, answer);
}

static inline void gateway_emit_waiting(struct gateway_end *gateway,
                                        const struct gateway_hooks *hooks, unsigned connection)
{
    while (gateway->waiting_count > 0 && gateway->label_count > 0) {
        const struct question answer = gateway->waiting[0];
        gateway->waiting_count--;
        memmove(gateway->waiting, gateway->waiting + 1,
                gateway->waiting_count * sizeof gateway->waiting[0]);
        gateway_emit(gateway, hooks, connection, &answer);
    }
}

static inline void gateway_take(struct gateway_end *gateway, const struct gateway_hooks *hooks,
                                unsigned connection, const struct gateway_frame *frame)
{
    if (!gateway->by_content)
        gateway->labels[gateway->label_count++] = frame->label;
    hooks->took(hooks->context, connection, frame);
    if (frame->kind == GATEWAY_DATAGRAM) {
        gateway->datagrams++;
        hooks->to_service(hooks->context, connection, &frame->question);
    } else if (frame->kind == GATEWAY_PING) {
        hooks->pong(hooks->context, connection);
    }
    gateway_emit_waiting(gateway, hooks, connection);
}

static inline void gateway_read_on(struct gateway_end *gateway, const struct gateway_hooks *hooks,
                                   unsigned connection)
{
    while (gateway->unread_count > 0 && gateway->label_count < GATEWAY_LABELS_MAX) {
        const struct gateway_frame frame = gateway->unread[0];
        gateway->unread_count--;
        memmove(gateway->unread, gateway->unread + 1,
                gateway->unread_count * sizeof gateway->unread[0]);
        gateway_take(gateway, hooks, connection, &frame);
    }
}

/* A frame has come from the tool. */
static inline void gateway_frame_arrives(struct gateway_end *gateway,
                                         const struct gateway_hooks *hooks, unsigned connection,
                                         const struct gateway_frame *frame)
{
    assert_true(gateway->unread_count < GATEWAY_UNREAD_MAX);
    gateway->unread[gateway->unread_count++] = *frame;
    gateway_read_on(gateway, hooks, connection);
}

/* A datagram has come from the remote service. `asker` is for a gateway that pairs by content. */
static inline void gateway_answer_arrives(struct gateway_end *gateway,
                                          const struct gateway_hooks *hooks, unsigned connection,
                                          const struct address *asker,
                                          const struct question *answer)
{
    if (gateway->by_content) {
        gateway->messages++;
        hooks->message(hooks->context, connection, asker, answer);
        return;
    }
    if (gateway->label_count > 0)
        gateway_emit(gateway, hooks, connection, answer);
    else if (gateway->waiting_count < GATEWAY_WAITING_MAX)
        gateway->waiting[gateway->waiting_count++] = *answer;
    else
        gateway->overflowed++;
    gateway_read_on(gateway, hooks, connection);
}

#endif
