#include "otoroshictl/tunnel/send_queue.h"

#include <stdlib.h>
#include <string.h>

/* A free slot gives its buffer back above this size, so that a burst of large datagrams does not
 * stay in memory. */
enum { KEEP_BYTES = 2048 };

struct send_queue {
    size_t capacity;
    size_t count;
    size_t used; /* slots that have ever been used; those beyond are untouched memory */
    struct queued_datagram *oldest;
    struct queued_datagram *newest;
    struct queued_datagram *free; /* linked by `newer`; the last used first, which is warm */
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
    for (size_t i = 0; i < queue->used; i++)
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

static void append(struct send_queue *queue, struct queued_datagram *slot)
{
    struct lane *lane = slot->lane;
    slot->older = queue->newest;
    slot->newer = NULL;
    slot->next_in_lane = NULL;
    *(queue->newest != NULL ? &queue->newest->newer : &queue->oldest) = slot;
    queue->newest = slot;
    queue->count++;
    *(lane->last != NULL ? &lane->last->next_in_lane : &lane->first) = slot;
    lane->last = slot;
    lane->queued++;
}

bool send_queue_push(struct send_queue *queue, struct lane *lane, struct client *client,
                     const uint8_t *payload, size_t size, int64_t received_us)
{
    if (send_queue_full(queue))
        return false;
    struct queued_datagram *slot = queue->free;
    if (slot == NULL)
        slot = &queue->slots[queue->used];
    if (!slot_reserve(slot, size))
        return false;
    if (slot == queue->free)
        queue->free = slot->newer;
    else
        queue->used++;
    memcpy(slot->payload, payload, size);
    slot->lane = lane;
    slot->client = client;
    slot->size = size;
    slot->received_us = received_us;
    append(queue, slot);
    return true;
}

const struct queued_datagram *send_queue_oldest(const struct send_queue *queue)
{
    return queue->oldest;
}

static void release(struct send_queue *queue, struct queued_datagram *slot)
{
    if (slot->capacity > KEEP_BYTES) {
        free(slot->payload);
        slot->payload = NULL;
        slot->capacity = 0;
    }
    slot->newer = queue->free;
    queue->free = slot;
}

void send_queue_pop(struct send_queue *queue, struct lane *lane)
{
    struct queued_datagram *slot = lane->first;
    lane->first = slot->next_in_lane;
    if (lane->first == NULL)
        lane->last = NULL;
    lane->queued--;
    *(slot->older != NULL ? &slot->older->newer : &queue->oldest) = slot->newer;
    *(slot->newer != NULL ? &slot->newer->older : &queue->newest) = slot->older;
    queue->count--;
    release(queue, slot);
}
