#include "byte_queue.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16384 };

static void compact(struct byte_queue *queue)
{
    const size_t size = byte_queue_size(queue);

    if (queue->data == NULL || queue->start == 0)
        return;
    memmove(queue->data, queue->data + queue->start, size);
    queue->start = 0;
    queue->end = size;
}

static int grow(struct byte_queue *queue, size_t needed)
{
    size_t capacity = queue->capacity > 0 ? queue->capacity : FIRST_CAPACITY;

    while (capacity < needed)
        capacity *= 2;
    uint8_t *data = realloc(queue->data, capacity);
    if (data == NULL)
        return -1;
    queue->data = data;
    queue->capacity = capacity;
    return 0;
}

uint8_t *byte_queue_reserve(struct byte_queue *queue, size_t size)
{
    if (queue->data == NULL || queue->capacity - queue->end < size) {
        compact(queue);
        if ((queue->data == NULL || queue->capacity - queue->end < size) &&
            grow(queue, queue->end + size) != 0)
            return NULL;
    }
    return queue->data + queue->end;
}

void byte_queue_commit(struct byte_queue *queue, size_t size)
{
    queue->end += size;
}

void byte_queue_consume(struct byte_queue *queue, size_t size)
{
    queue->start += size;
    if (queue->start == queue->end) {
        queue->start = 0;
        queue->end = 0;
    }
}

int byte_queue_append(struct byte_queue *queue, const uint8_t *data, size_t size)
{
    uint8_t *room = byte_queue_reserve(queue, size);

    if (room == NULL)
        return -1;
    memcpy(room, data, size);
    byte_queue_commit(queue, size);
    return 0;
}

void byte_queue_fini(struct byte_queue *queue)
{
    free(queue->data);
    memset(queue, 0, sizeof(*queue));
}
