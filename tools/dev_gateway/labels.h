/* Labels: whose answer the next reply is. Pure, no sockets.
 *
 * Otoroshi does not look at content. A frame's address and port go into a queue as they came, and
 * each datagram from the remote takes the oldest (pairing by position). */
#ifndef DEV_GATEWAY_LABELS_H
#define DEV_GATEWAY_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LABEL_TEXT_MAX = 320,
    LABEL_STALL = 32, /* outstanding labels at which the gateway stops reading */
};

/* The start of the reply's JSON, up to the base64: {"port":1,"address":"a","data":" */
struct label {
    uint16_t size;
    char text[LABEL_TEXT_MAX];
};

/* `address_json` is the address as JSON writes it, quotes included. False where it is too long. */
bool label_set(struct label *label, const char *address_json, int32_t port);

/* What a ping, a pong or a text frame leaves behind: port 0, address localhost. */
void label_set_control(struct label *label);

bool label_equal(const struct label *a, const struct label *b);

/* FIFO without a limit of its own. All zero is an empty one. */
struct label_queue {
    struct label *ring;
    size_t capacity;
    size_t head;
    size_t count;
};

/* 0, or -1 when out of memory. */
int label_queue_push(struct label_queue *queue, const struct label *label);

/* The oldest label into *label. False: none. */
bool label_queue_pop(struct label_queue *queue, struct label *label);

void label_queue_fini(struct label_queue *queue);

#endif
