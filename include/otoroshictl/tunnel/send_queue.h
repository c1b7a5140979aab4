/* Datagrams that wait while no WebSocket can take them: bounded in number, in order within their
 * lane, and in the order of their age over all lanes.
 *
 * Each slot keeps its own buffer, which grows to what it has held and is reused, so that a queue
 * in steady use allocates nothing. Ages are the caller's business. */
#ifndef OTOROSHICTL_TUNNEL_SEND_QUEUE_H
#define OTOROSHICTL_TUNNEL_SEND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/tunnel/lane.h"

struct queued_datagram {
    struct lane *lane;
    struct client *client;
    int64_t received_us;
    uint8_t *payload;
    size_t size;

    /* The queue's own. */
    size_t capacity; /* of `payload` */
    struct queued_datagram *older;
    struct queued_datagram *newer;
    struct queued_datagram *next_in_lane;
};

struct send_queue;

/* `capacity`: datagrams, at least 1. NULL when out of memory. */
struct send_queue *send_queue_new(size_t capacity);
void send_queue_free(struct send_queue *queue);

size_t send_queue_count(const struct send_queue *queue);
bool send_queue_full(const struct send_queue *queue);

/* Copies the payload and appends it to the lane. False when full or out of memory; then nothing
 * has changed. */
bool send_queue_push(struct send_queue *queue, struct lane *lane, struct client *client,
                     const uint8_t *payload, size_t size, int64_t received_us);

/* The oldest of all lanes, or NULL; it is the first of its lane. */
const struct queued_datagram *send_queue_oldest(const struct send_queue *queue);

/* Takes the first of a lane off, which must have one. */
void send_queue_pop(struct send_queue *queue, struct lane *lane);

#endif
