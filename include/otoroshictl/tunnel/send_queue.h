/* Datagrams that wait while no WebSocket can take them: first in, first out, bounded in number.
 *
 * Each slot keeps its own buffer, which grows to what it has held and is reused, so that a queue
 * in steady use allocates nothing. Ages are the caller's business: the head is the oldest. */
#ifndef OTOROSHICTL_TUNNEL_SEND_QUEUE_H
#define OTOROSHICTL_TUNNEL_SEND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

struct queued_datagram {
    struct client *client;
    int64_t received_us;
    uint8_t *payload;
    size_t size;
    size_t capacity; /* of `payload`; the queue's own */
};

struct send_queue;

/* `capacity`: datagrams, at least 1. NULL when out of memory. */
struct send_queue *send_queue_new(size_t capacity);
void send_queue_free(struct send_queue *queue);

size_t send_queue_count(const struct send_queue *queue);
bool send_queue_full(const struct send_queue *queue);

/* Copies the payload. False when full or out of memory; then nothing has changed. */
bool send_queue_push(struct send_queue *queue, struct client *client, const uint8_t *payload,
                     size_t size, int64_t received_us);

/* The oldest, or NULL; valid until it is popped. */
const struct queued_datagram *send_queue_head(const struct send_queue *queue);
void send_queue_pop(struct send_queue *queue);

#endif
