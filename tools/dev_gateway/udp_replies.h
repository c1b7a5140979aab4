/* Replies that wait: for a label, or for --delay to pass. First in, first out. */
#ifndef DEV_GATEWAY_UDP_REPLIES_H
#define DEV_GATEWAY_UDP_REPLIES_H

#include <stddef.h>
#include <stdint.h>

#include "labels.h"

struct udp_reply {
    struct udp_reply *next;
    int64_t due_us;
    struct label label; /* exact pairing only, else size 0 */
    size_t size;
    uint8_t data[];
};

struct udp_replies { /* all zero is empty */
    struct udp_reply *first;
    struct udp_reply *last;
    size_t count;
};

/* A copy of the datagram goes to the end of the queue; `label` may be NULL. 0, or -1 when out of
 * memory. */
int udp_replies_push(struct udp_replies *replies, const struct label *label, const uint8_t *data,
                     size_t size, int64_t due_us);

/* The first one, to be freed by the caller with free(); NULL: none. */
struct udp_reply *udp_replies_pop(struct udp_replies *replies);

void udp_replies_fini(struct udp_replies *replies);

#endif
