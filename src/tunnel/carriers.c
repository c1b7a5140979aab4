#include "otoroshictl/tunnel/carriers.h"

#include <stdlib.h>

#include "otoroshictl/tunnel/client_table.h"

unsigned carriers_max(const struct tunnel_config *config)
{
    if (config->connections == CONNECTIONS_SHARED && !config->one_way)
        return CARRIERS_SHARED_MAX;
    return config->max_connections;
}

bool carriers_init(struct carriers *carriers, const struct tunnel_config *config)
{
    *carriers = (struct carriers){
        .mode = config->connections,
        .one_way = config->one_way,
        .window = config->window,
        .reply_timeout_us = config->reply_timeout_us,
        .max = carriers_max(config),
        .ahead = 1,
    };
    carriers->connections = calloc(carriers->max, sizeof *carriers->connections);
    if (carriers->connections == NULL)
        return false;
    for (unsigned i = carriers->max; i-- > 0;) {
        struct connection *connection = &carriers->connections[i];
        connection->index = i;
        connection->state = CONNECTION_STATE_COUNT; /* in no list yet */
        carriers_set_state(carriers, connection, CONNECTION_FREE, 0);
    }
    return true;
}

void carriers_free(struct carriers *carriers)
{
    free(carriers->connections);
    carriers->connections = NULL;
}

bool carriers_separate(const struct carriers *carriers)
{
    return carriers->mode != CONNECTIONS_SHARED && !carriers->one_way;
}

bool carriers_hands_on(const struct carriers *carriers)
{
    return carriers->mode == CONNECTIONS_POOL && !carriers->one_way;
}

unsigned carriers_count(const struct carriers *carriers, enum connection_state state)
{
    return carriers->lists[state].count;
}

unsigned carriers_open(const struct carriers *carriers)
{
    return carriers_count(carriers, CONNECTION_IDLE) + carriers_count(carriers, CONNECTION_ACTIVE);
}

struct connection *carriers_first(const struct carriers *carriers, enum connection_state state)
{
    return carriers->lists[state].first;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void unlink_connection(struct carriers *carriers, struct connection *connection)
{
    if (connection->state == CONNECTION_STATE_COUNT)
        return;
    struct connection_list *list = &carriers->lists[connection->state];
    *(connection->previous != NULL ? &connection->previous->next : &list->first) = connection->next;
    *(connection->next != NULL ? &connection->next->previous : &list->last) = connection->previous;
    list->count--;
    if (connection->state == CONNECTION_IDLE && connection->stale)
        carriers->stale_idle--;
}

/* At the end of the list; a free one at its beginning, so that few are used again and again. */
static void link_connection(struct carriers *carriers, struct connection *connection,
                            enum connection_state state)
{
    struct connection_list *list = &carriers->lists[state];
    connection->state = state;
    connection->previous = state == CONNECTION_FREE ? NULL : list->last;
    connection->next = state == CONNECTION_FREE ? list->first : NULL;
    *(connection->previous != NULL ? &connection->previous->next : &list->first) = connection;
    *(connection->next != NULL ? &connection->next->previous : &list->last) = connection;
    list->count++;
    if (state == CONNECTION_IDLE && connection->stale)
        carriers->stale_idle++;
}

static void set_renews(struct carriers *carriers, struct lane *lane, bool renews)
{
    if (lane->renews && !renews)
        carriers->renewing--;
    if (!lane->renews && renews)
        carriers->renewing++;
    lane->renews = renews;
}

static void wait_no_more(struct carriers *carriers, struct lane *lane)
{
    if (!lane->waits)
        return;
    *(lane->previous_waiting != NULL ? &lane->previous_waiting->next_waiting
                                     : &carriers->first_waiting) = lane->next_waiting;
    *(lane->next_waiting != NULL ? &lane->next_waiting->previous_waiting
                                 : &carriers->last_waiting) = lane->previous_waiting;
    lane->waits = false;
    set_renews(carriers, lane, false);
    carriers->waiting--;
}

void carriers_want(struct carriers *carriers, struct lane *lane)
{
    if (lane->waits)
        return;
    lane->waits = true;
    lane->previous_waiting = carriers->last_waiting;
    lane->next_waiting = NULL;
    *(carriers->last_waiting != NULL ? &carriers->last_waiting->next_waiting
                                     : &carriers->first_waiting) = lane;
    carriers->last_waiting = lane;
    carriers->waiting++;
}

void carriers_want_fresh(struct carriers *carriers, struct lane *lane, enum renewal_cause cause)
{
    if (lane->renews)
        return;
    carriers_want(carriers, lane);
    set_renews(carriers, lane, true);
    lane->cause = cause;
}

void carriers_want_no_more(struct carriers *carriers, struct lane *lane)
{
    bool keeps_its_own = lane->renews && !carriers_hands_on(carriers);
    if (lane != &carriers->common && !keeps_its_own)
        wait_no_more(carriers, lane);
}

/* ---- who carries whom ----------------------------------------------------------------------- */

static void set_lane(struct connection *connection, struct lane *lane)
{
    struct lane *before = connection->lane;
    if (before == lane)
        return;
    if (before != NULL) {
        before->references--;
        if (before->connection == connection)
            before->connection = NULL;
    }
    connection->lane = lane;
    if (lane != NULL)
        lane->references++;
}

void carriers_set_state(struct carriers *carriers, struct connection *connection,
                        enum connection_state state, int64_t now_us)
{
    struct lane *lane = connection->lane;
    bool keeps_lane = state == CONNECTION_ACTIVE || state == CONNECTION_IDLE;
    unlink_connection(carriers, connection);
    link_connection(carriers, connection, state);
    connection->since_us = now_us;
    if (lane != NULL && lane->connection == connection && !keeps_lane) {
        lane->connection = NULL;
        set_renews(carriers, lane, false); /* there is nothing to be replaced any more */
        if (lane->queued == 0)
            carriers_want_no_more(carriers, lane);
    }
    if (state == CONNECTION_FREE) {
        set_lane(connection, NULL);
        connection->pairing = (struct pairing){0};
    }
}

static void hand_over(struct carriers *carriers, struct connection *connection, struct lane *lane,
                      int64_t now_us)
{
    set_lane(connection, lane);
    lane->connection = connection;
    connection->turn = 0;
    carriers_set_state(carriers, connection, CONNECTION_ACTIVE, now_us);
    wait_no_more(carriers, lane);
}

static bool fresh_is_idle(const struct carriers *carriers)
{
    return carriers_count(carriers, CONNECTION_IDLE) > carriers->stale_idle;
}

static int64_t rested_at(const struct carriers *carriers, const struct connection *connection,
                         const struct lane *lane)
{
    bool others = connection->lane != NULL && connection->lane != lane;
    if (!carriers_hands_on(carriers) || !others)
        return 0;
    /* An answer that came sooner than others do may be the copy of another one: then its own is
     * still to come. */
    int64_t expected_us = connection->asked_us + carriers->round_trip_us * 3 / 2;
    int64_t rested_us = connection->since_us + CARRIERS_REST_US;
    return expected_us > rested_us ? expected_us : rested_us;
}

/* Rises fast and falls slowly: what is to be waited for is the slow answer. */
static void learn_round_trip(struct carriers *carriers, int64_t sample_us)
{
    int64_t difference_us = sample_us - carriers->round_trip_us;
    carriers->round_trip_us += difference_us > 0 ? difference_us / 4 : difference_us / 64;
    if (carriers->round_trip_us > CARRIERS_ROUND_TRIP_MAX_US)
        carriers->round_trip_us = CARRIERS_ROUND_TRIP_MAX_US;
}

/* The longest idle one that has rested, from after a reload if there is such. NULL: none. */
static struct connection *pick_idle(const struct carriers *carriers, const struct lane *lane,
                                    int64_t now_us)
{
    bool any = !fresh_is_idle(carriers);
    struct connection *connection = carriers_first(carriers, CONNECTION_IDLE);
    while (connection != NULL &&
           ((connection->stale && !any) || now_us < rested_at(carriers, connection, lane)))
        connection = connection->next;
    return connection;
}

int64_t carriers_rested_at(const struct carriers *carriers)
{
    const struct connection *connection = carriers_first(carriers, CONNECTION_IDLE);
    int64_t first_us = INT64_MAX;
    for (; connection != NULL; connection = connection->next) {
        int64_t at_us = rested_at(carriers, connection, NULL);
        if (at_us < first_us)
            first_us = at_us;
    }
    return first_us;
}

void carriers_rest_again(struct carriers *carriers, struct connection *connection, int64_t now_us)
{
    if (connection->state == CONNECTION_IDLE)
        carriers_set_state(carriers, connection, CONNECTION_IDLE, now_us);
}

struct connection *carriers_connection_of(struct carriers *carriers, struct lane *lane,
                                          int64_t now_us)
{
    struct connection *connection = lane->connection;
    if (connection != NULL && connection->state == CONNECTION_ACTIVE)
        return connection;
    if (connection == NULL) {
        connection = pick_idle(carriers, lane, now_us);
        /* Those that wait go first. */
        if (connection == NULL || carriers->waiting > 0)
            return NULL;
    }
    hand_over(carriers, connection, lane, now_us);
    return connection;
}

struct connection *carriers_serve(struct carriers *carriers, struct connection **replaced,
                                  int64_t now_us)
{
    struct lane *lane = carriers->first_waiting;
    struct connection *connection = lane == NULL ? NULL : pick_idle(carriers, lane, now_us);
    if (connection == NULL)
        return NULL;
    *replaced = lane->connection;
    hand_over(carriers, connection, lane, now_us);
    return connection;
}

/* ---- taking turns --------------------------------------------------------------------------- */

/* Datagrams that a lane may send before it has to let others have its connection. */
enum { TURN = PAIRING_WINDOW_SEVERAL };

bool carriers_must_yield(const struct carriers *carriers, const struct connection *connection)
{
    if (!carriers_hands_on(carriers))
        return false;
    if (connection->stale && fresh_is_idle(carriers))
        return true;
    return carriers->waiting > 0 && connection->turn >= TURN && carriers->no_more;
}

void carriers_yield(struct carriers *carriers, struct connection *connection)
{
    struct lane *lane = connection->lane;
    lane->connection = NULL;
    wait_no_more(carriers, lane); /* at the end of the line */
    carriers_want(carriers, lane);
}

void carriers_settle(struct carriers *carriers, struct connection *connection, int64_t now_us)
{
    const struct lane *lane = connection->lane;
    if (!carriers_hands_on(carriers) || connection->state != CONNECTION_ACTIVE ||
        connection->pairing.unanswered > 0)
        return;
    if (lane != NULL && lane->connection == connection && lane->queued > 0)
        return;
    if (connection->turn > 0)
        learn_round_trip(carriers, now_us - connection->asked_us);
    carriers_set_state(carriers, connection, CONNECTION_IDLE, now_us);
}

/* ---- how many ------------------------------------------------------------------------------- */

/* Idle ones to have beyond those that are waited for. */
static unsigned spare(const struct carriers *carriers)
{
    if (carriers->stopping)
        return 0;
    if (carriers->one_way)
        return carriers->ahead;
    switch (carriers->mode) {
    case CONNECTIONS_POOL:
        return 1;
    case CONNECTIONS_PER_CLIENT: /* so that the tunnel is known to be up before the first client */
        return carriers_count(carriers, CONNECTION_ACTIVE) + carriers->waiting == 0 ? 1 : 0;
    default:
        return 0;
    }
}

/* How many connections the waiting lanes will take: with --one-way one takes several. */
static unsigned demand(const struct carriers *carriers)
{
    uint32_t queued = carriers->common.queued;
    if (carriers->waiting == 0 || !carriers->one_way || carriers->window == 0)
        return carriers->waiting;
    return queued <= carriers->window ? 1 : (queued + carriers->window - 1) / carriers->window;
}

unsigned carriers_missing(const struct carriers *carriers)
{
    unsigned supply = carriers_count(carriers, CONNECTION_IDLE) - carriers->stale_idle +
                      carriers_count(carriers, CONNECTION_OPENING);
    unsigned wanted = demand(carriers) + spare(carriers);
    return wanted > supply ? wanted - supply : 0;
}

/* ---- making room ---------------------------------------------------------------------------- */

/* The unclean connection of a lane that waits for a fresh one. */
static struct connection *unclean(const struct carriers *carriers)
{
    const struct lane *lane = carriers->renewing > 0 ? carriers->first_waiting : NULL;
    while (lane != NULL && (!lane->renews || lane->connection == NULL))
        lane = lane->next_waiting;
    return lane == NULL ? NULL : lane->connection;
}

/* It has nothing to send, and waits for nothing, or for what will not come any more. */
static bool quiet(const struct carriers *carriers, const struct connection *connection,
                  int64_t now_us)
{
    if (connection->lane == NULL || connection->lane->connection != connection)
        return carriers->stopping;
    bool given_up = now_us >= connection->asked_us + carriers->reply_timeout_us;
    return connection->lane->queued == 0 &&
           (connection->pairing.unanswered == 0 || given_up || carriers->stopping);
}

static int64_t last_seen_us(const struct connection *connection)
{
    return connection->lane == NULL ? 0 : connection->lane->client->last_seen_us;
}

/* The connection of the client that has been quiet longest and has nothing unanswered. */
static struct connection *quietest(const struct carriers *carriers, int64_t now_us)
{
    struct connection *found = NULL;
    struct connection *connection = carriers_first(carriers, CONNECTION_ACTIVE);
    for (; connection != NULL; connection = connection->next)
        if (quiet(carriers, connection, now_us) &&
            (found == NULL || last_seen_us(connection) < last_seen_us(found)))
            found = connection;
    return found;
}

void carriers_make_stale(struct carriers *carriers, struct connection *connection)
{
    if (connection->state != CONNECTION_IDLE || connection->stale)
        return;
    connection->stale = true;
    carriers->stale_idle++;
}

static struct connection *stale_idle(const struct carriers *carriers)
{
    struct connection *connection = carriers_first(carriers, CONNECTION_IDLE);
    while (connection != NULL && !connection->stale)
        connection = connection->next;
    return connection;
}

struct connection *carriers_make_room(const struct carriers *carriers, int64_t now_us)
{
    unsigned closing = carriers_count(carriers, CONNECTION_CLOSING);
    struct connection *draining = carriers_first(carriers, CONNECTION_DRAINING);
    if (carriers->stale_idle > 0 && closing == 0)
        return stale_idle(carriers);
    if (draining != NULL && carriers->waiting > closing &&
        now_us >= draining->since_us + CARRIERS_DRAIN_LEAST_US)
        return draining;
    if (carriers->waiting <= closing + carriers_count(carriers, CONNECTION_DRAINING))
        return NULL; /* room is on its way */
    struct connection *connection = unclean(carriers);
    /* In a pool each comes back once it is answered, unless nobody waits for that any more. */
    if (connection == NULL && carriers_separate(carriers) &&
        (carriers->mode == CONNECTIONS_PER_CLIENT || carriers->stopping))
        connection = quietest(carriers, now_us);
    return connection;
}

struct connection *carriers_superfluous(const struct carriers *carriers, int64_t idle_us,
                                        int64_t now_us)
{
    struct connection *longest = carriers_first(carriers, CONNECTION_IDLE);
    /* What --one-way has had to keep ahead it need not keep for ever. */
    unsigned kept = carriers->one_way ? 1 : spare(carriers);
    if (longest == NULL || now_us < longest->since_us + idle_us ||
        carriers_count(carriers, CONNECTION_IDLE) <= kept)
        return NULL;
    return longest;
}

void carriers_forget(struct carriers *carriers, struct lane *lane)
{
    wait_no_more(carriers, lane);
    if (lane->connection != NULL)
        set_lane(lane->connection, NULL);
    for (unsigned i = 0; i < carriers->max && lane->references > 0; i++)
        if (carriers->connections[i].lane == lane)
            set_lane(&carriers->connections[i], NULL);
}
