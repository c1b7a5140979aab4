#include "otoroshictl/tunnel/send_queue.h"

#include <stdlib.h>
#include <string.h>

/* An idle queue gives a slot's buffer back above this size, so that a burst of large datagrams
 * does not stay in memory. */
enum { KEEP_BYTES = 2048 };

struct send_queue {
    size_t capacity;
    size_t first; /* the oldest */
    size_t count;
    struct queued_datagram slots[];
};

struct send_queue *send_queue_new(size_t capacity)
{
    struct send_queue *queue = calloc(1, sizeof *queue + capacity * sizeof queue->slots[0]);
    if (queue != NULL)
        queue->capacity = capacity;
    return queue;
}

void send_queue_free(struct send_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->capacity; i++)
        free(queue->slots[i].payload);
    free(queue);
}

size_t send_queue_count(const struct send_queue *queue)
{
    return queue->count;
}

bool send_queue_full(const struct send_queue *queue)
{
    return queue->count == queue->capacity;
}

static bool slot_reserve(struct queued_datagram *slot, size_t size)
{
    if (size <= slot->capacity)
        return true;
    size_t capacity = slot->capacity == 0 ? 512 : slot->capacity;
    while (capacity < size)
        capacity *= 2;
    uint8_t *payload = realloc(slot->payload, capacity);
    if (payload == NULL)
        return false;
    slot->payload = payload;
    slot->capacity = capacity;
    return true;
}

bool send_queue_push(struct send_queue *queue, struct client *client, const uint8_t *payload,
                     size_t size, int64_t received_us)
{
    if (send_queue_full(queue))
        return false;
    struct queued_datagram *slot = &queue->slots[(queue->first + queue->count) % queue->capacity];
    if (!slot_reserve(slot, size))
        return false;
    memcpy(slot->payload, payload, size);
    slot->client = client;
    slot->size = size;
    slot->received_us = received_us;
    queue->count++;
    return true;
}

const struct queued_datagram *send_queue_head(const struct send_queue *queue)
{
    return queue->count == 0 ? NULL : &queue->slots[queue->first];
}

void send_queue_pop(struct send_queue *queue)
{
    struct queued_datagram *slot = &queue->slots[queue->first];
    if (slot->capacity > KEEP_BYTES) {
        free(slot->payload);
        slot->payload = NULL;
        slot->capacity = 0;
    }
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    if (queue->count == 0)
        queue->first = 0; /* a queue that empties often stays within few, warm slots */
}
