/* Name lookup beside the loop: getaddrinfo(3) in a thread of its own, so that datagrams are still
 * read and deadlines hold while a name server does not answer. IP literals need no thread. */
#ifndef OTOROSHICTL_NET_RESOLVER_H
#define OTOROSHICTL_NET_RESOLVER_H

#include <stddef.h>

#include "otoroshictl/net/loop.h"

enum {
    RESOLVER_ADDRESSES_MAX = 16,
    RESOLVER_TEXT_SIZE = 64, /* an IPv6 literal with its zone */
};

struct resolver_result {
    const char *error; /* NULL where there are addresses; else gai_strerror's words */
    size_t count;
    char addresses[RESOLVER_ADDRESSES_MAX][RESOLVER_TEXT_SIZE]; /* in RFC 6724 order */
};

struct resolver_query;
typedef void resolver_callback(void *context, const struct resolver_result *result);

/* The callback comes later, once, unless cancelled. NULL when out of memory or threads. */
struct resolver_query *resolver_start(struct loop *loop, const char *name,
                                      resolver_callback *callback, void *context);
/* Not after the callback. The thread, if still waiting, ends by itself. */
void resolver_cancel(struct resolver_query *query);

#endif
