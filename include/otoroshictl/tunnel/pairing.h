/* How many datagrams a WebSocket may carry unanswered, and when it must be replaced.
 *
 * Otoroshi gives each reply to the oldest label, that is the oldest frame that has none yet,
 * whatever it answers (see docs/protocol.md). It drops replies by itself where more than eight are
 * in flight, keeps about sixteen that have no label, and stops reading at 32 labels. So the tool
 * counts, per WebSocket, the labels that are out: datagrams unanswered, and credits, frames
 * without payload that are sent ahead. Data and pure functions: the clock is a parameter, nothing
 * here has an effect outside its arguments. */
#ifndef OTOROSHICTL_TUNNEL_PAIRING_H
#define OTOROSHICTL_TUNNEL_PAIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "otoroshictl/tunnel/config.h"

enum {
    PAIRING_LABELS_MAX = 31,    /* out on one WebSocket: one below the gateway's stall */
    PAIRING_WINDOW_SEVERAL = 8, /* unanswered, where the gateway loses none by itself */
    PAIRING_CREDITS_POOL = 1,   /* ahead: a doubled reply comes out while its client is there */
    /* Ahead, for what a server pushes: few, so that with four requests in flight no more labels are
     * out than where the gateway loses no reply by itself; */
    PAIRING_CREDITS_CLIENT = 4,
    /* and where a server pushes this fast, what covers a round trip. */
    PAIRING_CREDITS_MAX = 18,
    PAIRING_PUSH_COUNT = 15,
    PAIRING_PUSH_US = 250 * 1000,
    PAIRING_PING_LABELS_MAX = 16, /* a ping takes a label too: none is sent above */
    PAIRING_FULL_US = 250 * 1000, /* a full window without a reply for this long is unclean */
};

struct pairing_rules {
    /* Most unanswered datagrams; 0: no limit. Up to PAIRING_LABELS_MAX the gateway is taken to
     * pair by position: while several clients wait at most PAIRING_WINDOW_SEVERAL go, and a
     * WebSocket that had more of one client is renewed before another's datagram. */
    uint32_t window;
    uint32_t credits; /* labels kept ahead of what is unanswered */
    bool one_way;     /* what is sent stays unanswered; a full WebSocket is used up */
    bool only_full;   /* missing replies are no reason to renew; the mediator sees to the window */
    int64_t reply_timeout_us;
};

/* True where replies are taken to come in the order of the datagrams. */
bool pairing_by_position(const struct pairing_rules *rules);

/* The rules of a tunnel's mode. */
struct pairing_rules pairing_rules_of(const struct tunnel_config *config);

/* One WebSocket's state. Zero and pairing_init() before use. */
struct pairing {
    uint32_t generation; /* tells this WebSocket from its predecessors; never 0 */
    uint32_t unanswered;
    uint32_t credits;         /* labels out ahead of need */
    uint32_t more_credits;    /* to be kept, beyond those of the rules */
    uint32_t pushed;          /* replies that used up a credit */
    int64_t pushed_since_us;  /* since then */
    uint32_t first_credits;   /* sent ahead of the first datagram, and not come back yet */
    uint32_t waiting_clients; /* clients with something unanswered */
    uint32_t clients;         /* clients that have sent on it */
    bool newcomer_waits;      /* a client with nothing unanswered was told to wait */
    bool crowded;             /* has had more than PAIRING_WINDOW_SEVERAL for one client: */
    const struct pairing_share *crowded_by; /* this one (compared only, never read) */
    int64_t waiting_since_us;               /* when `unanswered` last left none */
    int64_t progress_us;                    /* the last reply, or when the window became full */
};

/* One client's part of it; of no meaning where its generation is another. */
struct pairing_share {
    uint32_t generation;
    uint32_t unanswered;
};

enum pairing_verdict {
    PAIRING_SEND,
    PAIRING_WAIT,  /* the window is full */
    PAIRING_RENEW, /* replies may be missing, or it is used up: a fresh WebSocket is needed */
};

enum pairing_state {
    PAIRING_CLEAN,
    PAIRING_REPLY_OVERDUE, /* something has been unanswered for the whole reply timeout */
    PAIRING_STUCK,         /* the window has been full for PAIRING_FULL_US without a reply */
};

void pairing_init(struct pairing *pairing, uint32_t generation);

/* May this client's next datagram go on this WebSocket? */
enum pairing_verdict pairing_judge(const struct pairing *pairing, const struct pairing_share *share,
                                   const struct pairing_rules *rules);

/* A datagram of this client was sent. */
void pairing_sent(struct pairing *pairing, struct pairing_share *share,
                  const struct pairing_rules *rules, int64_t now_us);

/* A reply came for this client; NULL: nobody known. True where nothing was unanswered, so that it
 * has used up a credit. */
bool pairing_answered(struct pairing *pairing, struct pairing_share *share,
                      const struct pairing_rules *rules, int64_t now_us);

/* How many credits are to be sent now, and that one was: a frame without payload, or a ping. */
uint32_t pairing_credits_due(const struct pairing *pairing, const struct pairing_rules *rules);
void pairing_credit_sent(struct pairing *pairing);
/* A gateway that sends credits back, as Otoroshi does not, sends those first that went first: true
 * where nothing else has come so far. And one did come back. */
bool pairing_credit_may_return(const struct pairing *pairing);
void pairing_credit_returned(struct pairing *pairing);
/* Datagrams wait since no label is left: no more credits than at first from here on. */
void pairing_needs_labels(struct pairing *pairing);
/* False where a ping would take a label that datagrams need. */
bool pairing_may_ping(const struct pairing *pairing, const struct pairing_rules *rules);

/* This client's datagram was told to wait. From now on a window that is full for several clients
 * counts as full, although only one has something unanswered. True where that is new. */
bool pairing_waits(struct pairing *pairing, const struct pairing_share *share, int64_t now_us);

/* The client is forgotten; what it had unanswered stays counted on the WebSocket. */
void pairing_forget(struct pairing *pairing, struct pairing_share *share);

enum pairing_state pairing_check(const struct pairing *pairing, const struct pairing_rules *rules,
                                 int64_t now_us);

/* When pairing_check() can next find it unclean, if nothing happens; INT64_MAX for never. */
int64_t pairing_deadline(const struct pairing *pairing, const struct pairing_rules *rules);

#endif
