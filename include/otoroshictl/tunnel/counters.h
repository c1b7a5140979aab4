/* What a tunnel counts. At any moment and in each direction:
 * received = passed on + dropped + queued, exactly. */
#ifndef OTOROSHICTL_TUNNEL_COUNTERS_H
#define OTOROSHICTL_TUNNEL_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "otoroshictl/codec/frame.h"
#include "otoroshictl/codec/text.h"

enum direction {
    DIRECTION_OUT, /* from local clients to the gateway */
    DIRECTION_IN,  /* from the gateway to local clients */
    DIRECTION_COUNT,
};

/* Every reason for which a datagram is dropped: name, the metric's label, words for the log.
 * A reply that does not read as a frame has the reasons of codec/frame.h, which come first. */
#define DROP_REASONS(ROW)                                                                        \
    FRAME_ERRORS(ROW)                                                                            \
    ROW(TEXT_FRAME, "text_frame", "is a text frame, not a binary one")                           \
    ROW(UNKNOWN_CLIENT, "unknown_client", "is for an address that has not sent anything lately") \
    ROW(PROTOCOL, "protocol", "breaks the WebSocket protocol")                                   \
    ROW(TOO_LARGE, "too_large", "is a message above 128 KiB")                                    \
    ROW(ONE_WAY, "one_way", "came although --one-way expects none")                              \
    ROW(CREDIT_RETURNED, "credit_returned", "is a label credit, which Otoroshi would have kept") \
    ROW(SEND_FAILED, "send_failed", "could not be handed to the local client")                   \
    ROW(EMPTY, "empty", "is empty, which would break the gateway's pairing")                     \
    ROW(BAD_SOURCE, "bad_source", "comes from port 0")                                           \
    ROW(QUEUE_FULL, "queue_full", "was the oldest in a full queue (--queue-size)")               \
    ROW(QUEUE_AGE, "queue_age", "waited longer than --queue-age")                                \
    ROW(SHUTDOWN, "shutdown", "was still waiting when the tunnel was stopped")                   \
    ROW(NO_MEMORY, "no_memory", "found no memory")

enum drop_reason {
#define DROP_REASON_ENUM(name, label, text) DROP_##name,
    DROP_REASONS(DROP_REASON_ENUM)
#undef DROP_REASON_ENUM
        DROP_REASON_COUNT,
};

/* The reason for a frame_result other than FRAME_OK. */
enum drop_reason drop_reason_of_frame(enum frame_result result);
const char *drop_reason_label(enum drop_reason reason);
const char *drop_reason_text(enum drop_reason reason);

/* Why a WebSocket was replaced by a fresh one. */
#define RENEWAL_CAUSES(ROW)             \
    ROW(REPLY_TIMEOUT, "reply_timeout") \
    ROW(WINDOW, "window")               \
    ROW(ONE_WAY, "one_way")             \
    ROW(RELOAD, "reload")

enum renewal_cause {
#define RENEWAL_CAUSE_ENUM(name, label) RENEWAL_##name,
    RENEWAL_CAUSES(RENEWAL_CAUSE_ENUM)
#undef RENEWAL_CAUSE_ENUM
        RENEWAL_CAUSE_COUNT,
};

const char *renewal_cause_label(enum renewal_cause cause);

struct direction_counters {
    uint64_t received;  /* datagrams taken from the socket or the WebSocket */
    uint64_t passed_on; /* datagrams handed to the other side */
    uint64_t bytes;     /* payload bytes passed on */
    uint64_t dropped[DROP_REASON_COUNT];
};

enum {
    PING_BOUND_COUNT = 12,
    PING_BUCKET_COUNT, /* one more: what is above the last bound */
};

/* Upper bounds of the round trips that a bucket counts, in microseconds, ascending. */
extern const int64_t ping_bounds_us[PING_BOUND_COUNT];

/* Round trips of WebSocket pings. */
struct ping_histogram {
    uint64_t buckets[PING_BUCKET_COUNT]; /* each ping in one */
    uint64_t sum_us;
};

struct counters {
    struct direction_counters direction[DIRECTION_COUNT];
    uint64_t connects_ok;
    uint64_t connects_failed;
    uint64_t renewals[RENEWAL_CAUSE_COUNT];
    uint64_t label_credits;
    uint64_t surplus_replies; /* replies beyond the datagrams that asked, on a pooled WebSocket */
    struct ping_histogram pings;
    uint64_t receive_overflow; /* datagrams the kernel dropped before the tool could read them */

    /* As they are now. */
    uint64_t queue_datagrams;
    uint64_t unanswered_datagrams;
    uint64_t clients;
    uint64_t connections_connecting;
    uint64_t connections_active;
    uint64_t connections_idle; /* open, and carrying nobody's datagrams at the moment */
    uint64_t connections_draining;
};

uint64_t counters_dropped(const struct direction_counters *counters);

/* WebSockets that can carry datagrams now. */
uint64_t counters_open_connections(const struct counters *counters);

/* A pong came this long after its ping. */
void counters_add_ping(struct ping_histogram *pings, int64_t round_trip_us);

/* Whether datagrams of this direction can be dropped for this reason. */
bool drop_reason_occurs(enum direction direction, enum drop_reason reason);

/* The members of a JSON object, without its braces: Prometheus names as keys, labels as objects
 * within. Reasons that have not occurred are left out. 4 KiB is enough. */
void counters_append_json(struct text *text, const struct counters *counters);

#endif
