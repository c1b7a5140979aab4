/* What the gateway has counted, and the JSON line that tells it. */
#ifndef DEV_GATEWAY_COUNTERS_H
#define DEV_GATEWAY_COUNTERS_H

#include <stdint.h>
#include <stdio.h>

/* "open", "now", "waiting" and "outstanding" go down again, the others only grow. */
#define COUNTERS(ROW)                                                                  \
    ROW(websockets_opened)      /* upgrades answered with 101 */                       \
    ROW(websockets_open)        /* of them not ended; leaked ones count */             \
    ROW(websockets_leaked)      /* of them reset by their client while not read */     \
    ROW(frames_received)        /* data messages from clients, text included */        \
    ROW(bytes_received)         /* their payload */                                    \
    ROW(frames_sent)            /* data frames queued for clients */                   \
    ROW(bytes_sent)             /* their payload */                                    \
    ROW(pings_received)         /* pings and pongs from clients */                     \
    ROW(malformed_frames)       /* not JSON, wrong types, bad base64 */                \
    ROW(protocol_breaches)      /* RFC 6455 broken, or a message above 1 MiB */        \
    ROW(datagrams_sent)         /* to the remote */                                    \
    ROW(datagrams_not_sent)     /* the kernel refused them, or the UDP side is dead */ \
    ROW(replies_received)       /* datagrams from the remote */                        \
    ROW(replies_dropped)        /* no label, and no room to wait */                    \
    ROW(replies_waiting)        /* for a label, now */                                 \
    ROW(replies_dropped_fault)  /* by --drop-reply */                                  \
    ROW(replies_doubled_fault)  /* by --duplicate-reply */                             \
    ROW(replies_lost_in_flight) /* by --drop-in-flight */                              \
    ROW(labels_credit)          /* frames with empty or missing data */                \
    ROW(labels_outstanding)     /* on all WebSockets, now */                           \
    ROW(labels_outstanding_max) /* on one WebSocket, ever */                           \
    ROW(stalled_now)            /* WebSockets not read because of 32 labels */         \
    ROW(stalled_total)                                                                 \
    ROW(udp_sockets_open)                                                              \
    ROW(tcp_sockets_open) /* to targets */                                             \
    ROW(tcp_refused)      /* targets that could not be reached */

enum { COUNTERS_STATUS_MAX = 600 };

struct counters {
#define COUNTERS_FIELD(name) uint64_t name;
    COUNTERS(COUNTERS_FIELD)
#undef COUNTERS_FIELD
    uint64_t refused[COUNTERS_STATUS_MAX]; /* answers other than 101, by status */
};

/* One JSON object on one line, flushed. "refused" is an object of its own: {"400":1}. */
void counters_print(const struct counters *counters, FILE *stream);

#endif
