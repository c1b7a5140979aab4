/* Which WebSocket carries what: the table of a tunnel's connections, and the lanes that wait for
 * one. It decides, in each mode, who takes a lane's datagrams, who is handed on, how many are to
 * be opened, and who has to make room. Data and pure functions: nothing here opens or closes; the
 * mediator does, and tells with carriers_set_state(). Times are microseconds of the caller's
 * clock. */
#ifndef OTOROSHICTL_TUNNEL_CARRIERS_H
#define OTOROSHICTL_TUNNEL_CARRIERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/tunnel/config.h"
#include "otoroshictl/tunnel/lane.h"
#include "otoroshictl/tunnel/pairing.h"

enum {
    /* In shared mode, where one is enough: room for those that are replaced meanwhile. */
    CARRIERS_SHARED_MAX = 40,
    CARRIERS_OPENING_MAX = 16, /* at a time */
    /* In a pool a connection rests for so long before it is handed on: a doubled reply that comes
     * meanwhile comes while nothing is asked, and takes the credit ahead; later it would take the
     * place of the next client's answer, and under load of all that follow. It rests longer where
     * the answer came sooner than others do: one and a half round trips from the question. */
    CARRIERS_REST_US = 5 * 1000,
    CARRIERS_ROUND_TRIP_MAX_US = 200 * 1000,
    /* A replaced connection keeps its slot at least so long for late replies. */
    CARRIERS_DRAIN_LEAST_US = 250 * 1000,
};

enum connection_state {
    CONNECTION_FREE,
    CONNECTION_OPENING,
    CONNECTION_IDLE,     /* open; all is answered, so that any lane can have it */
    CONNECTION_ACTIVE,   /* open; carries a lane's datagrams */
    CONNECTION_DRAINING, /* replaced; stays for late replies, or until all is sent */
    CONNECTION_CLOSING,  /* the close frame is on its way */
    CONNECTION_STATE_COUNT,
};

struct connection {
    unsigned index;
    enum connection_state state; /* see carriers_set_state() */
    struct lane *lane;           /* whose replies it brings; NULL: nobody's */
    struct pairing pairing;
    size_t host;
    uint32_t turn; /* datagrams since it was handed to its lane */
    bool stale;    /* from before a reload: for a lane only where there is no other */
    bool ready;    /* in the mediator's list of those that something has happened to */
    int64_t since_us;
    int64_t asked_us;   /* the last datagram */
    int64_t several_us; /* when a second client first sent on it; 0: never */
    int64_t opened_us;  /* 0: never */
    int64_t drain_until_us;
    int64_t heard_us;  /* the last sign of the gateway */
    int64_t pinged_us; /* a ping is out since then; 0: none */

    /* Of the list of its state. */
    struct connection *previous;
    struct connection *next;
};

struct connection_list {
    struct connection *first; /* longest in this state */
    struct connection *last;
    unsigned count;
};

struct carriers {
    enum connections_mode mode;
    bool one_way;
    bool stopping;
    bool no_more;        /* set by the mediator: none can be opened at the moment */
    uint32_t window;     /* one-way: datagrams that a connection takes; 0: any number */
    unsigned max;        /* connections */
    unsigned ahead;      /* one-way: kept open ahead of need */
    unsigned stale_idle; /* of the idle ones */
    struct lane common;  /* the lane of all clients, where they share one */
    struct lane *first_waiting;
    struct lane *last_waiting;
    unsigned waiting;  /* lanes */
    unsigned renewing; /* of these: to get a fresh one in place of another */
    int64_t reply_timeout_us;
    int64_t round_trip_us; /* of a pool: from the last question to the last answer, smoothed */
    struct connection_list lists[CONNECTION_STATE_COUNT];
    struct connection *connections; /* `max` of them */
};

/* How many connections a tunnel may have at a time. */
unsigned carriers_max(const struct tunnel_config *config);

/* False when out of memory. */
bool carriers_init(struct carriers *carriers, const struct tunnel_config *config);
void carriers_free(struct carriers *carriers);

/* True where every client has a lane, and a connection at a time, of its own. */
bool carriers_separate(const struct carriers *carriers);
/* True in a pool, where connections go from lane to lane. */
bool carriers_hands_on(const struct carriers *carriers);
unsigned carriers_count(const struct carriers *carriers, enum connection_state state);
/* Connections that could carry something now. */
unsigned carriers_open(const struct carriers *carriers);
struct connection *carriers_first(const struct carriers *carriers, enum connection_state state);

/* Moves a connection to another state. Only one that is active or idle takes a lane's datagrams; a
 * lane that loses its own this way has none. One that is free brings nobody's replies. */
void carriers_set_state(struct carriers *carriers, struct connection *connection,
                        enum connection_state state, int64_t now_us);

/* The connection that takes this lane's next datagram, which may be handed on to it by this call.
 * NULL: there is none, the lane has to wait. */
struct connection *carriers_connection_of(struct carriers *carriers, struct lane *lane,
                                          int64_t now_us);

/* The lane waits for a connection. */
void carriers_want(struct carriers *carriers, struct lane *lane);
/* Its connection is to be replaced, the fresh one first. */
void carriers_want_fresh(struct carriers *carriers, struct lane *lane, enum renewal_cause cause);
/* It has nothing to send any more. No effect on a lane that is shared by all, or that is to get a
 * fresh one of its own. */
void carriers_want_no_more(struct carriers *carriers, struct lane *lane);
/* Pool: others wait, no connection can be opened, and this one has been the lane's long enough; or
 * it is from before a reload, and a fresh one is idle. Then the lane waits, too, and its connection
 * is handed on once all is answered. */
bool carriers_must_yield(const struct carriers *carriers, const struct connection *connection);
void carriers_yield(struct carriers *carriers, struct connection *connection);

/* Gives the longest idle connection to the lane that has waited longest. *replaced is the one that
 * the lane had before, still active, or NULL. NULL where nobody waits or nothing is idle. */
struct connection *carriers_serve(struct carriers *carriers, struct connection **replaced,
                                  int64_t now_us);

/* Pool: an active connection on which all is answered and whose lane has nothing to send becomes
 * idle. */
void carriers_settle(struct carriers *carriers, struct connection *connection, int64_t now_us);

/* An idle connection is to be replaced by a fresh one; no effect on any other. */
void carriers_make_stale(struct carriers *carriers, struct connection *connection);

/* When an idle connection will have rested long enough to be handed on; INT64_MAX: none is idle. */
int64_t carriers_rested_at(const struct carriers *carriers);
/* A surplus reply came: an idle connection begins its rest anew. */
void carriers_rest_again(struct carriers *carriers, struct connection *connection, int64_t now_us);

/* How many connections are missing, whether or not there is room for them. */
unsigned carriers_missing(const struct carriers *carriers);

/* Which connection has to go, as there is no room for one that is missing: an idle one from before
 * a reload, one that is draining, the one that a lane waits to have replaced, or a quiet client's.
 * NULL: none can yet. */
struct connection *carriers_make_room(const struct carriers *carriers, int64_t now_us);

/* An idle connection that nobody has needed for so long, beyond those to be kept. NULL: none. */
struct connection *carriers_superfluous(const struct carriers *carriers, int64_t idle_us,
                                        int64_t now_us);

/* The client of this lane is forgotten. */
void carriers_forget(struct carriers *carriers, struct lane *lane);

#endif
