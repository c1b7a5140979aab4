#include "udp_replies.h"

#include <stdlib.h>
#include <string.h>

int udp_replies_push(struct udp_replies *replies, const struct label *label, const uint8_t *data,
                     size_t size, int64_t due_us)
{
    struct udp_reply *reply = calloc(1, sizeof(*reply) + size);

    if (reply == NULL)
        return -1;
    if (label != NULL)
        reply->label = *label;
    reply->due_us = due_us;
    reply->size = size;
    memcpy(reply->data, data, size);
    if (replies->last != NULL)
        replies->last->next = reply;
    else
        replies->first = reply;
    replies->last = reply;
    replies->count++;
    return 0;
}

struct udp_reply *udp_replies_pop(struct udp_replies *replies)
{
    struct udp_reply *reply = replies->first;

    if (reply == NULL)
        return NULL;
    replies->first = reply->next;
    if (replies->first == NULL)
        replies->last = NULL;
    replies->count--;
    return reply;
}

void udp_replies_fini(struct udp_replies *replies)
{
    struct udp_reply *reply = NULL;

    while ((reply = udp_replies_pop(replies)) != NULL)
        free(reply);
}
