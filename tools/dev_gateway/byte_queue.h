/* Bytes in, bytes out, in one piece of memory that grows as asked. The owner bounds it. */
#ifndef DEV_GATEWAY_BYTE_QUEUE_H
#define DEV_GATEWAY_BYTE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct byte_queue { /* all zero is an empty queue */
    uint8_t *data;
    size_t start; /* first unread byte */
    size_t end;   /* one past the last */
    size_t capacity;
};

static inline size_t byte_queue_size(const struct byte_queue *queue)
{
    return queue->end - queue->start;
}

static inline uint8_t *byte_queue_front(const struct byte_queue *queue)
{
    return queue->data + queue->start;
}

/* Room for `size` more bytes behind the last one; NULL when out of memory. Moves the content:
 * pointers into the queue are void afterwards. */
uint8_t *byte_queue_reserve(struct byte_queue *queue, size_t size);

/* `size` bytes of the reserved room are now content. */
void byte_queue_commit(struct byte_queue *queue, size_t size);

/* The first `size` bytes are done with. The content does not move. */
void byte_queue_consume(struct byte_queue *queue, size_t size);

/* 0, or -1 when out of memory. */
int byte_queue_append(struct byte_queue *queue, const uint8_t *data, size_t size);

void byte_queue_fini(struct byte_queue *queue);

#endif
