#include "labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool label_set(struct label *label, const char *address_json, int32_t port)
{
    const int size = snprintf(label->text, sizeof(label->text),
                              "{\"port\":%d,\"address\":%s,\"data\":\"", (int)port, address_json);

    if (size < 0 || (size_t)size >= sizeof(label->text))
        return false;
    label->size = (uint16_t)size;
    return true;
}

void label_set_control(struct label *label)
{
    (void)label_set(label, "\"localhost\"", 0);
}

bool label_equal(const struct label *a, const struct label *b)
{
    return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

static int grow(struct label_queue *queue)
{
    const size_t capacity = queue->capacity > 0 ? 2 * queue->capacity : LABEL_STALL;
    struct label *ring = calloc(capacity, sizeof(*ring));

    if (ring == NULL)
        return -1;
    for (size_t i = 0; i < queue->count; i++)
        ring[i] = queue->ring[(queue->head + i) % queue->capacity];
    free(queue->ring);
    queue->ring = ring;
    queue->capacity = capacity;
    queue->head = 0;
    return 0;
}

int label_queue_push(struct label_queue *queue, const struct label *label)
{
    if (queue->count == queue->capacity && grow(queue) != 0)
        return -1;
    queue->ring[(queue->head + queue->count) % queue->capacity] = *label;
    queue->count++;
    return 0;
}

bool label_queue_pop(struct label_queue *queue, struct label *label)
{
    if (queue->count == 0)
        return false;
    *label = queue->ring[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    return true;
}

void label_queue_fini(struct label_queue *queue)
{
    free(queue->ring);
    memset(queue, 0, sizeof(*queue));
}
