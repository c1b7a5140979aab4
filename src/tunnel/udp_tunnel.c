#include "otoroshictl/tunnel/udp_tunnel.h"

#include <stdlib.h>
#include <string.h>

#include "otoroshictl/tunnel/carriers.h"
#include "otoroshictl/tunnel/client_table.h"
#include "otoroshictl/tunnel/label_line.h"
#include "otoroshictl/tunnel/pairing.h"
#include "otoroshictl/tunnel/reconnect.h"
#include "otoroshictl/tunnel/send_queue.h"

#include "reports.h"

enum {
    /* Stopping: this long for what is queued; closing then takes a second at most. */
    STOP_DRAIN_US = 600 * 1000,
    /* --one-way: most connections kept ahead of need. */
    AHEAD_MAX = 16,
};

struct udp_tunnel {
    const struct tunnel_config *config;
    const struct tunnel_ports *ports;
    struct pairing_rules rules;
    struct reconnect_policy reconnect_policy;

    struct client_table *clients;
    struct send_queue *queue;
    struct carriers carriers;
    struct counters counters;
    struct reports reports;

    uint32_t generation;
    size_t host; /* the one to try next */
    struct reconnect reconnect;
    int64_t not_before_us; /* no attempt to connect is made before */
    bool failing;          /* the last attempt failed: one at a time from here */
    bool told_up;          /* the user knows that the tunnel is connected */

    struct label_line *lines; /* one a connection where clients share them by position, else NULL */
    struct frame_prefix own_label;
    struct connection **ready; /* those that may have room, or are to be flushed */
    size_t ready_count;
    bool pump_wanted;
    bool replies_seen;
    bool stopping;
    bool stopped;
    int64_t stop_deadline_us;
    int64_t timer_us;
};

/* ---- small things --------------------------------------------------------------------------- */

static void schedule(struct udp_tunnel *tunnel, int64_t at_us)
{
    if (at_us >= tunnel->timer_us)
        return;
    tunnel->timer_us = at_us;
    tunnel->ports->set_timer(tunnel->ports->net, at_us);
}

static void drop(struct udp_tunnel *tunnel, enum direction direction, enum drop_reason reason,
                 int64_t now_us)
{
    tunnel->counters.direction[direction].dropped[reason]++;
    schedule(tunnel, reports_drop(&tunnel->reports, direction, reason, now_us));
}

/* pump() will look at it. */
static void mark_ready(struct udp_tunnel *tunnel, struct connection *connection)
{
    tunnel->pump_wanted = true;
    if (connection->ready)
        return;
    connection->ready = true;
    tunnel->ready[tunnel->ready_count++] = connection;
}

static struct lane *lane_of(struct udp_tunnel *tunnel, struct client *client)
{
    return carriers_separate(&tunnel->carriers) ? &client->lane : &tunnel->carriers.common;
}

/* ---- closing and replacing connections ------------------------------------------------------ */

static void close_connection(struct udp_tunnel *tunnel, struct connection *connection,
                             int64_t now_us)
{
    carriers_set_state(&tunnel->carriers, connection, CONNECTION_CLOSING, now_us);
    tunnel->ports->close(tunnel->ports->net, connection->index);
}

/* It stays for late replies. */
static void drain_connection(struct udp_tunnel *tunnel, struct connection *connection,
                             int64_t now_us)
{
    if (connection->pairing.unanswered == 0 || tunnel->stopping || tunnel->rules.one_way) {
        close_connection(tunnel, connection, now_us);
        return;
    }
    if (connection->state == CONNECTION_ACTIVE)
        tunnel->ports->flush(tunnel->ports->net, connection->index);
    connection->drain_until_us = now_us + tunnel->rules.reply_timeout_us;
    carriers_set_state(&tunnel->carriers, connection, CONNECTION_DRAINING, now_us);
    schedule(tunnel, connection->drain_until_us);
}

static void renew(struct udp_tunnel *tunnel, struct connection *connection,
                  enum renewal_cause cause, int64_t now_us)
{
    struct lane *lane = connection->lane;
    const struct carriers *carriers = &tunnel->carriers;
    tunnel->pump_wanted = true;
    /* Nobody sends on it any more, or needs another one now. */
    if (lane == NULL || lane->connection != connection ||
        (carriers_hands_on(carriers) && lane->queued == 0)) {
        tunnel->counters.renewals[cause]++;
        drain_connection(tunnel, connection, now_us);
        return;
    }
    if (lane->renews)
        return;
    reports_line(&tunnel->reports, REPORT_DEBUG, "Renewing a WebSocket (%s)",
                 renewal_cause_label(cause));
    carriers_want_fresh(&tunnel->carriers, lane, cause);
}

static void check_draining(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct connection *connection = carriers_first(&tunnel->carriers, CONNECTION_DRAINING);
    while (connection != NULL) {
        struct connection *next = connection->next;
        if (connection->pairing.unanswered == 0 || now_us >= connection->drain_until_us)
            close_connection(tunnel, connection, now_us);
        else
            schedule(tunnel, connection->drain_until_us);
        connection = next;
    }
}

/* A reload: what nobody uses is closed once there is a fresh one. */
static void close_stale(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct carriers *carriers = &tunnel->carriers;
    struct connection *connection = carriers_first(carriers, CONNECTION_IDLE);
    while (connection != NULL && carriers->stale_idle > 0 &&
           carriers_count(carriers, CONNECTION_IDLE) > carriers->stale_idle) {
        struct connection *next = connection->next;
        if (connection->stale) {
            tunnel->counters.renewals[RENEWAL_RELOAD]++;
            close_connection(tunnel, connection, now_us);
        }
        connection = next;
    }
}

static void close_superfluous(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct carriers *carriers = &tunnel->carriers;
    struct connection *connection;
    int64_t idle_us = tunnel->config->client_timeout_us;
    while ((connection = carriers_superfluous(carriers, idle_us, now_us)) != NULL) {
        close_connection(tunnel, connection, now_us);
        if (carriers->ahead > 1)
            carriers->ahead--;
    }
    connection = carriers_superfluous(carriers, 0, now_us);
    if (connection != NULL)
        schedule(tunnel, connection->since_us + idle_us);
}

/* ---- opening connections -------------------------------------------------------------------- */

/* While attempts are paused, a further failure belongs to the same trouble: many connections are
 * lost at the same time. Only the loss of the last one, which may have been good for long, begins
 * a pause of its own. */
static void plan_attempt(struct udp_tunnel *tunnel, const struct connection_end *end,
                         const struct connection *was, int64_t now_us)
{
    int64_t lifetime_us = was->opened_us == 0 ? 0 : now_us - was->opened_us;
    bool paused = now_us < tunnel->not_before_us;
    bool last = lifetime_us >= RECONNECT_LASTED_US && carriers_open(&tunnel->carriers) == 0;
    if (paused && !last) {
        reports_further_failure(&tunnel->reports, was->host);
        return;
    }
    struct reconnect_event event = {
        .lifetime_us = lifetime_us,
        .retry_after_us = end->retry_after_us,
        .random = tunnel->ports->random(tunnel->ports->net),
    };
    int64_t pause_us = reconnect_pause(&tunnel->reconnect, &tunnel->reconnect_policy, &event);
    reports_failure(&tunnel->reports, end, was->host, paused ? 0 : lifetime_us, pause_us, now_us);
    tunnel->not_before_us = now_us + pause_us;
    if (was->opened_us == 0)
        tunnel->host = (was->host + 1) % tunnel->config->host_count;
    schedule(tunnel, tunnel->not_before_us);
}

/* An attempt to connect has failed; the next one goes to the next host. */
static void connection_failed(struct udp_tunnel *tunnel, struct connection *connection,
                              const struct connection_end *end, int64_t now_us)
{
    struct connection was = *connection;
    carriers_set_state(&tunnel->carriers, connection, CONNECTION_FREE, now_us);
    tunnel->counters.connects_failed++;
    tunnel->failing = true;
    if (!tunnel->stopping)
        plan_attempt(tunnel, end, &was, now_us);
}

static void open_connection(struct udp_tunnel *tunnel, int64_t now_us)
{
    static const struct connection_end no_resources = {.kind = END_INTERNAL,
                                                       .detail = "out of memory or descriptors"};
    struct carriers *carriers = &tunnel->carriers;
    struct connection *connection = carriers_first(carriers, CONNECTION_FREE);
    /* While the same failure goes on, its line is not repeated, and neither is this one. */
    bool quiet = tunnel->told_up || carriers_count(carriers, CONNECTION_OPENING) > 0 ||
                 reports_failing(&tunnel->reports, tunnel->host);
    reports_line(&tunnel->reports, quiet ? REPORT_DEBUG : REPORT_INFO,
                 "Connecting WebSocket tunnel ...");
    carriers_set_state(carriers, connection, CONNECTION_OPENING, now_us);
    connection->host = tunnel->host;
    connection->opened_us = 0;
    connection->pinged_us = 0;
    connection->stale = false;
    connection->several_us = 0;
    if (tunnel->lines != NULL)
        tunnel->lines[connection->index] = (struct label_line){0};
    connection->pairing = (struct pairing){0};
    if (!tunnel->ports->open(tunnel->ports->net, connection->index, tunnel->host))
        connection_failed(tunnel, connection, &no_resources, now_us);
}

/* A client's own connection makes room for another's, although it may not be done. */
static void warn_crowd(struct udp_tunnel *tunnel, const struct connection *connection,
                       int64_t now_us)
{
    enum { QUIET_US = 1000 * 1000 };
    if (now_us < connection->lane->client->last_seen_us + QUIET_US)
        reports_crowd(&tunnel->reports, now_us);
}

/* There is no connection left for one that is missing. */
static bool make_room(struct udp_tunnel *tunnel, int64_t now_us)
{
    const struct carriers *carriers = &tunnel->carriers;
    struct connection *connection = carriers_make_room(carriers, now_us);
    const struct connection *draining = carriers_first(carriers, CONNECTION_DRAINING);
    if (connection == NULL && draining != NULL &&
        now_us < draining->since_us + CARRIERS_DRAIN_LEAST_US)
        schedule(tunnel, draining->since_us + CARRIERS_DRAIN_LEAST_US);
    if (connection == NULL)
        return false;
    const struct lane *lane = connection->lane;
    bool renews = connection->state == CONNECTION_ACTIVE && lane != NULL && lane->renews;
    if (connection->state == CONNECTION_IDLE)
        tunnel->counters.renewals[RENEWAL_RELOAD]++;
    if (renews) {
        tunnel->counters.renewals[lane->cause]++;
        drain_connection(tunnel, connection, now_us);
        schedule(tunnel, now_us + CARRIERS_DRAIN_LEAST_US);
        return true;
    }
    if (connection->state == CONNECTION_ACTIVE && lane != NULL && !tunnel->stopping)
        warn_crowd(tunnel, connection, now_us);
    close_connection(tunnel, connection, now_us);
    return true;
}

static bool may_open_more(const struct udp_tunnel *tunnel)
{
    const struct carriers *carriers = &tunnel->carriers;
    unsigned at_a_time = tunnel->failing ? 1 : CARRIERS_OPENING_MAX;
    if (tunnel->stopping && (tunnel->failing || send_queue_count(tunnel->queue) == 0))
        return false;
    return carriers_missing(carriers) > 0 &&
           carriers_count(carriers, CONNECTION_OPENING) < at_a_time;
}

static void open_missing(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct carriers *carriers = &tunnel->carriers;
    carriers->no_more = tunnel->failing && carriers_missing(carriers) > 0;
    while (may_open_more(tunnel)) {
        bool paused = now_us < tunnel->not_before_us;
        carriers->no_more = paused || carriers_count(carriers, CONNECTION_FREE) == 0;
        if (paused)
            schedule(tunnel, tunnel->not_before_us);
        else if (carriers->no_more)
            while (make_room(tunnel, now_us))
                ;
        else
            open_connection(tunnel, now_us);
        if (carriers->no_more)
            return;
    }
}

/* ---- out: local clients to the gateway ------------------------------------------------------ */

static bool write_frame(struct udp_tunnel *tunnel, const struct connection *connection,
                        const struct frame_prefix *prefix, const uint8_t *payload, size_t size)
{
    const struct tunnel_ports *ports = tunnel->ports;
    size_t message_size = frame_size(prefix, size);
    uint8_t *message = ports->reserve(ports->net, connection->index, message_size);
    if (message == NULL)
        return false;
    frame_write(message, prefix, payload, size);
    ports->commit(ports->net, connection->index, message_size);
    return true;
}

static bool send_credit(struct udp_tunnel *tunnel, struct connection *connection,
                        const struct frame_prefix *prefix)
{
    if (!write_frame(tunnel, connection, prefix, (const uint8_t *)"", 0))
        return false;
    pairing_credit_sent(&connection->pairing);
    tunnel->counters.label_credits++;
    mark_ready(tunnel, connection);
    return true;
}

/* Sends the label credits that are missing. */
static void send_credits(struct udp_tunnel *tunnel, struct connection *connection,
                         const struct client *client)
{
    uint32_t due = pairing_credits_due(&connection->pairing, &tunnel->rules);
    while (due > 0 && send_credit(tunnel, connection, &client->prefix))
        due--;
}

/* Once several clients have shared a WebSocket for some time, it gets a label of the tunnel's own
 * as soon as nothing is unanswered on it. */
static void begin_line(struct udp_tunnel *tunnel, struct connection *connection, int64_t now_us)
{
    if (tunnel->lines == NULL || connection->several_us == 0 ||
        tunnel->lines[connection->index].begun)
        return;
    if (now_us < connection->several_us + tunnel->rules.reply_timeout_us)
        schedule(tunnel, connection->several_us + tunnel->rules.reply_timeout_us);
    else if (connection->pairing.unanswered == 0 &&
             send_credit(tunnel, connection, &tunnel->own_label))
        label_line_begin(&tunnel->lines[connection->index]);
}

/* --one-way: it has carried what it may. Closed once all of it is on its way. */
static void use_up(struct udp_tunnel *tunnel, struct connection *connection, int64_t now_us)
{
    struct carriers *carriers = &tunnel->carriers;
    bool sent = tunnel->ports->flush(tunnel->ports->net, connection->index);
    tunnel->counters.renewals[RENEWAL_ONE_WAY]++;
    if (sent) {
        close_connection(tunnel, connection, now_us);
    } else {
        connection->drain_until_us = now_us + tunnel->rules.reply_timeout_us;
        carriers_set_state(carriers, connection, CONNECTION_DRAINING, now_us);
        schedule(tunnel, connection->drain_until_us);
    }
    if (carriers_count(carriers, CONNECTION_IDLE) > 0)
        return;
    carriers_want(carriers, &carriers->common);
    if (carriers->ahead < AHEAD_MAX)
        carriers->ahead++;
}

/* Does this connection take the lane's next datagram? If not, sees to it that one will. */
static bool takes_next(struct udp_tunnel *tunnel, struct connection *connection,
                       struct client *client, int64_t now_us)
{
    enum pairing_verdict verdict =
        pairing_judge(&connection->pairing, &client->share, &tunnel->rules);
    if (verdict == PAIRING_SEND)
        return true;
    pairing_needs_labels(&connection->pairing);
    if (verdict == PAIRING_RENEW)
        renew(tunnel, connection, RENEWAL_WINDOW, now_us);
    else if (!carriers_separate(&tunnel->carriers) &&
             pairing_waits(&connection->pairing, &client->share, now_us))
        schedule(tunnel, pairing_deadline(&connection->pairing, &tunnel->rules));
    return false;
}

static void note_label(struct udp_tunnel *tunnel, struct connection *connection,
                       const struct client *client, int64_t now_us)
{
    label_line_sent(&tunnel->lines[connection->index], &client->address);
    if (connection->several_us == 0 && connection->pairing.clients > 1) {
        connection->several_us = now_us;
        schedule(tunnel, now_us + tunnel->rules.reply_timeout_us);
    }
}

/* A reload that came before the connection was a lane's. In a pool it goes once it is idle. */
static void renew_stale(struct udp_tunnel *tunnel, struct connection *connection, int64_t now_us)
{
    if (!connection->stale || connection->state != CONNECTION_ACTIVE ||
        carriers_hands_on(&tunnel->carriers))
        return;
    connection->stale = false;
    renew(tunnel, connection, RENEWAL_RELOAD, now_us);
}

/* Sends one datagram if it may go now. */
static bool offer(struct udp_tunnel *tunnel, struct client *client, const uint8_t *payload,
                  size_t size, int64_t now_us)
{
    struct carriers *carriers = &tunnel->carriers;
    struct lane *lane = lane_of(tunnel, client);
    struct connection *connection = carriers_connection_of(carriers, lane, now_us);
    if (connection == NULL) {
        carriers_want(carriers, lane);
        tunnel->pump_wanted = true;
        return false;
    }
    renew_stale(tunnel, connection, now_us);
    if (carriers_must_yield(carriers, connection)) {
        carriers_yield(carriers, connection);
        schedule(tunnel, now_us + PAIRING_FULL_US);
        mark_ready(tunnel, connection);
        return false;
    }
    if (!takes_next(tunnel, connection, client, now_us))
        return false;
    send_credits(tunnel, connection, client);
    if (!write_frame(tunnel, connection, &client->prefix, payload, size))
        return false;
    connection->turn++;
    connection->asked_us = now_us;
    pairing_sent(&connection->pairing, &client->share, &tunnel->rules, now_us);
    if (tunnel->lines != NULL)
        note_label(tunnel, connection, client, now_us);
    tunnel->counters.direction[DIRECTION_OUT].passed_on++;
    tunnel->counters.direction[DIRECTION_OUT].bytes += size;
    int64_t deadline_us = pairing_deadline(&connection->pairing, &tunnel->rules);
    if (deadline_us > now_us) /* else a renewal is under way */
        schedule(tunnel, deadline_us);
    mark_ready(tunnel, connection);
    if (tunnel->rules.one_way && tunnel->rules.window != 0 &&
        connection->pairing.unanswered >= tunnel->rules.window)
        use_up(tunnel, connection, now_us);
    return true;
}

static void unqueue(struct udp_tunnel *tunnel, struct lane *lane)
{
    lane->first->client->queued--;
    send_queue_pop(tunnel->queue, lane);
    if (lane->queued == 0)
        carriers_want_no_more(&tunnel->carriers, lane);
    if (lane->connection != NULL)
        mark_ready(tunnel, lane->connection);
}

static void drop_oldest(struct udp_tunnel *tunnel, enum drop_reason reason, int64_t now_us)
{
    unqueue(tunnel, send_queue_oldest(tunnel->queue)->lane);
    drop(tunnel, DIRECTION_OUT, reason, now_us);
}

static void enqueue(struct udp_tunnel *tunnel, struct client *client,
                    const struct datagram *datagram, int64_t now_us)
{
    struct lane *lane = lane_of(tunnel, client);
    if (send_queue_full(tunnel->queue))
        drop_oldest(tunnel, DROP_QUEUE_FULL, now_us);
    if (!send_queue_push(tunnel->queue, lane, client, datagram->payload, datagram->size, now_us)) {
        drop(tunnel, DIRECTION_OUT, DROP_NO_MEMORY, now_us);
        if (lane->queued == 0)
            carriers_want_no_more(&tunnel->carriers, lane);
        return;
    }
    client->queued++;
    if (lane->connection == NULL)
        carriers_want(&tunnel->carriers, lane);
    else if (tunnel->rules.only_full)
        schedule(tunnel, now_us + PAIRING_FULL_US);
    schedule(tunnel, send_queue_oldest(tunnel->queue)->received_us + tunnel->config->queue_age_us);
}

static void expire_queued(struct udp_tunnel *tunnel, int64_t now_us)
{
    const struct queued_datagram *oldest;
    while ((oldest = send_queue_oldest(tunnel->queue)) != NULL) {
        int64_t expiry_us = oldest->received_us + tunnel->config->queue_age_us;
        if (now_us < expiry_us) {
            schedule(tunnel, expiry_us);
            return;
        }
        drop_oldest(tunnel, DROP_QUEUE_AGE, now_us);
    }
}

/* Sends what the lane has waiting, as far as it may go. */
static void send_queued(struct udp_tunnel *tunnel, struct lane *lane, int64_t now_us)
{
    const struct queued_datagram *first;
    while ((first = lane->first) != NULL &&
           offer(tunnel, first->client, first->payload, first->size, now_us))
        unqueue(tunnel, lane);
}

/* All that has been written since, and credits, go out; what is at rest goes back to the pool. */
static void finish_ready(struct udp_tunnel *tunnel, struct connection *connection, int64_t now_us)
{
    const struct lane *lane = connection->lane;
    if (connection->state == CONNECTION_ACTIVE || connection->state == CONNECTION_IDLE) {
        if (lane != NULL && lane->client != NULL && connection->pairing.clients > 0)
            send_credits(tunnel, connection, lane->client);
        begin_line(tunnel, connection, now_us);
        tunnel->ports->flush(tunnel->ports->net, connection->index);
        carriers_settle(&tunnel->carriers, connection, now_us);
    }
    connection->ready = false;
}

/* Whatever something has happened to may have room for its lane. */
static void pump_ready(struct udp_tunnel *tunnel, int64_t now_us)
{
    size_t count = tunnel->ready_count;
    for (size_t i = 0; i < count; i++) {
        const struct connection *connection = tunnel->ready[i];
        struct lane *lane = connection->lane;
        if (lane != NULL && lane->connection == connection)
            send_queued(tunnel, lane, now_us);
    }
    /* Sending marks no other connection than these, or those just handed over: the list only
     * grows by what is not in it yet. */
    for (size_t i = 0; i < tunnel->ready_count; i++)
        finish_ready(tunnel, tunnel->ready[i], now_us);
    tunnel->ready_count = 0;
}

/* Connections that are idle for lanes that wait. */
static void serve_waiting(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct connection *replaced;
    struct connection *connection;
    while ((connection = carriers_serve(&tunnel->carriers, &replaced, now_us)) != NULL) {
        struct lane *lane = connection->lane;
        if (replaced != NULL) {
            tunnel->counters.renewals[lane->cause]++;
            reports_line(&tunnel->reports, REPORT_DEBUG, "WebSocket renewed");
            drain_connection(tunnel, replaced, now_us);
        }
        mark_ready(tunnel, connection);
        send_queued(tunnel, lane, now_us);
        if (tunnel->rules.only_full && lane->queued > 0)
            schedule(tunnel, now_us + PAIRING_FULL_US);
        renew_stale(tunnel, connection, now_us);
    }
}

static void pump(struct udp_tunnel *tunnel, int64_t now_us)
{
    tunnel->pump_wanted = false;
    expire_queued(tunnel, now_us);
    do {
        pump_ready(tunnel, now_us);
        serve_waiting(tunnel, now_us);
    } while (tunnel->ready_count > 0);
    if (tunnel->carriers.waiting > 0)
        schedule(tunnel, carriers_rested_at(&tunnel->carriers));
    close_stale(tunnel, now_us);
    open_missing(tunnel, now_us);
}

static void forget_client(struct udp_tunnel *tunnel, struct client *client, int64_t now_us)
{
    struct carriers *carriers = &tunnel->carriers;
    struct connection *connection = lane_of(tunnel, client)->connection;
    if (connection != NULL)
        pairing_forget(&connection->pairing, &client->share);
    if (carriers_separate(carriers)) {
        if (connection != NULL && carriers->mode == CONNECTIONS_PER_CLIENT)
            close_connection(tunnel, connection, now_us);
        carriers_forget(carriers, &client->lane);
        tunnel->pump_wanted = true;
    }
    client_table_remove(tunnel->clients, client);
}

static void forget_clients(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct client *client;
    while ((client = client_table_expired(tunnel->clients, now_us)) != NULL)
        forget_client(tunnel, client, now_us);
}

static void accept_datagram(struct udp_tunnel *tunnel, const struct datagram *datagram,
                            int64_t now_us)
{
    tunnel->counters.direction[DIRECTION_OUT].received++;
    if (datagram->size == 0 || datagram->size > DATAGRAM_MAX_BYTES) {
        drop(tunnel, DIRECTION_OUT, datagram->size == 0 ? DROP_EMPTY : DROP_OVERSIZE, now_us);
        return;
    }
    if (datagram->client.port == 0) {
        drop(tunnel, DIRECTION_OUT, DROP_BAD_SOURCE, now_us);
        return;
    }
    struct client *client = client_table_touch(tunnel->clients, &datagram->client, now_us);
    if (client == NULL) {
        drop(tunnel, DIRECTION_OUT, DROP_NO_MEMORY, now_us);
        return;
    }
    /* What waits goes first. */
    if (lane_of(tunnel, client)->queued > 0 ||
        !offer(tunnel, client, datagram->payload, datagram->size, now_us))
        enqueue(tunnel, client, datagram, now_us);
}

void udp_tunnel_on_datagrams(struct udp_tunnel *tunnel, const struct datagram *batch, size_t count,
                             int64_t now_us)
{
    for (size_t i = 0; i < count; i++)
        accept_datagram(tunnel, &batch[i], now_us);
    if (client_table_count(tunnel->clients) > CLIENTS_MAX)
        forget_clients(tunnel, now_us);
    schedule(tunnel, client_table_next_expiry(tunnel->clients));
    pump(tunnel, now_us);
}

void udp_tunnel_on_overflow(struct udp_tunnel *tunnel, uint64_t count, int64_t now_us)
{
    tunnel->counters.receive_overflow += count;
    reports_overflow(&tunnel->reports, count, tunnel->counters.receive_overflow, now_us);
}

/* ---- in: the gateway to local clients ------------------------------------------------------- */

/* Who gets it: the client that the connection carries, or, where several share it, the one that the
 * label names. NULL for nobody who has sent something lately. */
static struct client *recipient(struct udp_tunnel *tunnel, const struct connection *connection,
                                const struct address *label, int64_t now_us)
{
    if (!carriers_separate(&tunnel->carriers))
        return client_table_find(tunnel->clients, label, now_us);
    if (connection->lane == NULL ||
        !client_table_knows(tunnel->clients, connection->lane->client, now_us))
        return NULL;
    return connection->lane->client;
}

/* Which client a reply on a shared WebSocket is for, where that is not its label's (NULL for one
 * that cannot be read). */
static void read_label(struct udp_tunnel *tunnel, struct connection *connection,
                       struct address *label, int64_t now_us)
{
    struct address client;
    switch (label_line_answered(&tunnel->lines[connection->index], label, &client)) {
    case LABEL_BEFORE:
        if (label != NULL)
            *label = client;
        break;
    case LABEL_SURPLUS:
        reports_misrouting(&tunnel->reports, "There are more replies than requests", now_us);
        if (connection->state == CONNECTION_ACTIVE)
            renew(tunnel, connection, RENEWAL_WINDOW, now_us);
        break;
    case LABEL_AS_WRITTEN:
        break;
    }
}

/* A credit that the gateway has sent back as it was, instead of keeping it: Otoroshi writes the
 * keys in another order, so that an empty answer is not taken for one. */
static bool credit_returned(const struct udp_tunnel *tunnel, struct connection *connection,
                            const uint8_t *data, size_t size)
{
    uint8_t credit[FRAME_PREFIX_MAX_BYTES + FRAME_SUFFIX_BYTES];
    const struct lane *lane = connection->lane;
    const struct frame_prefix *prefix = &tunnel->own_label;
    if (carriers_separate(&tunnel->carriers)) {
        if (lane == NULL || !pairing_credit_may_return(&connection->pairing))
            return false;
        prefix = &lane->client->prefix;
    }
    return size == frame_write(credit, prefix, credit, 0) && memcmp(data, credit, size) == 0;
}

/* Of no use here, and they would come back for ever. */
static void stop_credits(struct udp_tunnel *tunnel)
{
    tunnel->rules.credits = 0;
    free(tunnel->lines);
    tunnel->lines = NULL;
}

/* It has used up a label all the same. */
static void take_unreadable(struct udp_tunnel *tunnel, struct connection *connection,
                            enum drop_reason reason, int64_t now_us)
{
    if (tunnel->lines != NULL)
        read_label(tunnel, connection, NULL, now_us);
    drop(tunnel, DIRECTION_IN, reason, now_us);
}

static void take_reply(struct udp_tunnel *tunnel, struct connection *connection,
                       const uint8_t *data, size_t size, int64_t now_us)
{
    struct address label;
    size_t payload_size;
    uint8_t *payload = tunnel->ports->reply_reserve(tunnel->ports->net);
    enum frame_result result = frame_read(&label, payload, &payload_size, data, size);
    if (result != FRAME_OK) {
        take_unreadable(tunnel, connection, drop_reason_of_frame(result), now_us);
        return;
    }
    if (payload_size == 0 && credit_returned(tunnel, connection, data, size)) {
        pairing_credit_returned(&connection->pairing);
        stop_credits(tunnel);
        drop(tunnel, DIRECTION_IN, DROP_CREDIT_RETURNED, now_us);
        return;
    }
    if (tunnel->lines != NULL)
        read_label(tunnel, connection, &label, now_us);
    struct client *client = recipient(tunnel, connection, &label, now_us);
    bool surplus = pairing_answered(&connection->pairing, client == NULL ? NULL : &client->share,
                                    &tunnel->rules, now_us);
    if (surplus && carriers_hands_on(&tunnel->carriers)) {
        tunnel->counters.surplus_replies++;
        carriers_rest_again(&tunnel->carriers, connection, now_us);
    }
    if (tunnel->rules.one_way || client == NULL) {
        drop(tunnel, DIRECTION_IN, tunnel->rules.one_way ? DROP_ONE_WAY : DROP_UNKNOWN_CLIENT,
             now_us);
        return;
    }
    tunnel->replies_seen = true;
    tunnel->ports->reply_commit(tunnel->ports->net, &client->address, payload_size);
}

void udp_tunnel_on_message(struct udp_tunnel *tunnel, unsigned index, bool text,
                           const uint8_t *data, size_t size, int64_t now_us)
{
    struct connection *connection = &tunnel->carriers.connections[index];
    tunnel->counters.direction[DIRECTION_IN].received++;
    connection->heard_us = now_us;
    if (text) {
        take_unreadable(tunnel, connection, DROP_TEXT_FRAME, now_us);
        return;
    }
    take_reply(tunnel, connection, data, size, now_us);
    if (connection->state == CONNECTION_DRAINING && connection->pairing.unanswered == 0)
        close_connection(tunnel, connection, now_us);
    mark_ready(tunnel, connection);
}

void udp_tunnel_on_delivered(struct udp_tunnel *tunnel, size_t sent, uint64_t sent_bytes,
                             size_t failed, int64_t now_us)
{
    tunnel->counters.direction[DIRECTION_IN].passed_on += sent;
    tunnel->counters.direction[DIRECTION_IN].bytes += sent_bytes;
    for (size_t i = 0; i < failed; i++)
        drop(tunnel, DIRECTION_IN, DROP_SEND_FAILED, now_us);
}

/* ---- what becomes of connections ------------------------------------------------------------ */

void udp_tunnel_on_open(struct udp_tunnel *tunnel, unsigned index, int64_t now_us)
{
    struct connection *connection = &tunnel->carriers.connections[index];
    if (++tunnel->generation == 0)
        tunnel->generation = 1;
    pairing_init(&connection->pairing, tunnel->generation);
    connection->opened_us = now_us;
    connection->heard_us = now_us;
    carriers_set_state(&tunnel->carriers, connection, CONNECTION_IDLE, now_us);
    tunnel->counters.connects_ok++;
    tunnel->failing = false;
    reports_line(&tunnel->reports, tunnel->told_up ? REPORT_DEBUG : REPORT_INFO,
                 "WebSocket tunnel connected");
    tunnel->told_up = true;
    if (tunnel->config->connections == CONNECTIONS_PER_CLIENT &&
        tunnel->config->ping_interval_us > 0)
        schedule(tunnel, now_us + tunnel->config->ping_interval_us);
    tunnel->pump_wanted = true;
}

/* A connection that was up has ended, or is given up. What waits for it waits for another. */
static void connection_lost(struct udp_tunnel *tunnel, struct connection *connection,
                            const struct connection_end *end, enum connection_state state,
                            int64_t now_us)
{
    struct carriers *carriers = &tunnel->carriers;
    struct connection was = *connection;
    struct lane *lane = was.lane != NULL && was.lane->connection == connection ? was.lane : NULL;
    bool others = carriers_open(carriers) > 1;
    carriers_set_state(carriers, connection, state, now_us);
    if (lane == &carriers->common || (lane != NULL && lane->queued > 0))
        carriers_want(carriers, lane);
    else if (lane != NULL)
        carriers_want_no_more(carriers, lane);
    if (carriers_open(carriers) == 0)
        tunnel->told_up = false;
    if (tunnel->stopping)
        return;
    /* A spare one that the gateway, or something before it, has no patience with. */
    if (was.state == CONNECTION_IDLE && others && now_us - was.opened_us >= RECONNECT_LASTED_US)
        reports_line(&tunnel->reports, REPORT_DEBUG, "An idle WebSocket has ended");
    else
        plan_attempt(tunnel, end, &was, now_us);
}

static void count_breach(struct udp_tunnel *tunnel, const struct connection_end *end,
                         int64_t now_us)
{
    enum { STATUS_TOO_BIG = 1009 };
    tunnel->counters.direction[DIRECTION_IN].received++;
    drop(tunnel, DIRECTION_IN, end->status == STATUS_TOO_BIG ? DROP_TOO_LARGE : DROP_PROTOCOL,
         now_us);
}

void udp_tunnel_on_closed(struct udp_tunnel *tunnel, unsigned index,
                          const struct connection_end *end, int64_t now_us)
{
    struct connection *connection = &tunnel->carriers.connections[index];
    tunnel->pump_wanted = true;
    if (end->kind == END_PROTOCOL_BREACH)
        count_breach(tunnel, end, now_us);
    if (connection->state == CONNECTION_OPENING)
        connection_failed(tunnel, connection, end, now_us);
    else if (connection->state == CONNECTION_ACTIVE || connection->state == CONNECTION_IDLE)
        connection_lost(tunnel, connection, end, CONNECTION_FREE, now_us);
    else
        carriers_set_state(&tunnel->carriers, connection, CONNECTION_FREE, now_us);
}

void udp_tunnel_on_writable(struct udp_tunnel *tunnel, unsigned index, int64_t now_us)
{
    struct connection *connection = &tunnel->carriers.connections[index];
    if (tunnel->rules.one_way && connection->state == CONNECTION_DRAINING)
        close_connection(tunnel, connection, now_us); /* now all of it is on its way */
    mark_ready(tunnel, connection);
}

void udp_tunnel_on_pong(struct udp_tunnel *tunnel, unsigned index, int64_t now_us)
{
    struct connection *connection = &tunnel->carriers.connections[index];
    connection->heard_us = now_us;
    schedule(tunnel, now_us + tunnel->config->ping_interval_us);
    if (connection->pinged_us == 0)
        return;
    counters_add_ping(&tunnel->counters.pings, now_us - connection->pinged_us);
    connection->pinged_us = 0;
}

/* ---- looking after connections -------------------------------------------------------------- */

static void warn_unclean(struct udp_tunnel *tunnel, const struct connection *connection,
                         int64_t now_us)
{
    if (!tunnel->replies_seen)
        reports_no_reply(&tunnel->reports, now_us);
    else if (!carriers_separate(&tunnel->carriers) && connection->pairing.clients > 1)
        reports_misrouting(&tunnel->reports, "Replies are missing", now_us);
}

/* A client that has its own WebSocket keeps it as long as it can, since the remote knows it by
 * that. It gets another one when a datagram has waited for room for so long. */
static bool held_up(const struct udp_tunnel *tunnel, const struct connection *connection,
                    int64_t now_us)
{
    const struct lane *lane = connection->lane;
    return lane != NULL && lane->connection == connection && lane->queued > 0 &&
           now_us >= lane->first->received_us + PAIRING_FULL_US &&
           now_us >= connection->since_us + PAIRING_FULL_US &&
           pairing_judge(&connection->pairing, &lane->client->share, &tunnel->rules) ==
               PAIRING_WAIT;
}

/* Its client has made way for others, which wait for what may never be answered. */
static bool held_back(const struct udp_tunnel *tunnel, const struct connection *connection,
                      int64_t now_us)
{
    const struct lane *lane = connection->lane;
    return carriers_hands_on(&tunnel->carriers) && tunnel->carriers.waiting > 0 &&
           (lane == NULL || lane->connection != connection) &&
           now_us >= connection->pairing.progress_us + PAIRING_FULL_US;
}

static enum pairing_state state_of(struct udp_tunnel *tunnel, const struct connection *connection,
                                   int64_t now_us)
{
    if (!tunnel->rules.only_full)
        return pairing_check(&connection->pairing, &tunnel->rules, now_us);
    return held_up(tunnel, connection, now_us) ? PAIRING_STUCK : PAIRING_CLEAN;
}

static void check_clean(struct udp_tunnel *tunnel, struct connection *connection, int64_t now_us)
{
    const struct lane *lane = connection->lane;
    enum pairing_state state = state_of(tunnel, connection, now_us);
    if (held_back(tunnel, connection, now_us)) {
        renew(tunnel, connection, RENEWAL_REPLY_TIMEOUT, now_us);
    } else if (state != PAIRING_CLEAN) {
        warn_unclean(tunnel, connection, now_us);
        renew(tunnel, connection, state == PAIRING_STUCK ? RENEWAL_WINDOW : RENEWAL_REPLY_TIMEOUT,
              now_us);
    } else {
        if (tunnel->rules.only_full && lane != NULL && lane->queued > 0)
            schedule(tunnel, now_us + PAIRING_FULL_US);
        schedule(tunnel, pairing_deadline(&connection->pairing, &tunnel->rules));
        begin_line(tunnel, connection, now_us);
    }
}

static void check_active(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct connection *connection = carriers_first(&tunnel->carriers, CONNECTION_ACTIVE);
    while (connection != NULL) {
        struct connection *next = connection->next;
        check_clean(tunnel, connection, now_us);
        connection = next;
    }
}

static void give_up(struct udp_tunnel *tunnel, struct connection *connection, int64_t now_us)
{
    static const struct connection_end no_pong = {
        .kind = END_LOST, .detail = "a ping was not answered within --ping-timeout"};
    connection_lost(tunnel, connection, &no_pong, CONNECTION_CLOSING, now_us);
    tunnel->ports->close(tunnel->ports->net, connection->index);
}

static void check_ping(struct udp_tunnel *tunnel, struct connection *connection, int64_t now_us)
{
    int64_t due_us = connection->heard_us + tunnel->config->ping_interval_us;
    if (connection->pinged_us != 0) {
        due_us = connection->pinged_us + tunnel->config->ping_timeout_us;
        if (now_us >= due_us) {
            give_up(tunnel, connection, now_us);
            return;
        }
    } else if (now_us >= due_us && pairing_may_ping(&connection->pairing, &tunnel->rules)) {
        connection->pinged_us = now_us;
        pairing_credit_sent(&connection->pairing); /* it takes a label, too */
        tunnel->ports->ping(tunnel->ports->net, connection->index);
        due_us = now_us + tunnel->config->ping_timeout_us;
    } else if (now_us >= due_us) {
        due_us = now_us + tunnel->config->ping_interval_us;
    }
    schedule(tunnel, due_us);
}

static void check_pings(struct udp_tunnel *tunnel, int64_t now_us)
{
    static const enum connection_state states[] = {CONNECTION_IDLE, CONNECTION_ACTIVE};
    if (tunnel->config->connections != CONNECTIONS_PER_CLIENT ||
        tunnel->config->ping_interval_us == 0)
        return;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct connection *connection = carriers_first(&tunnel->carriers, states[i]);
        while (connection != NULL) {
            struct connection *next = connection->next;
            check_ping(tunnel, connection, now_us);
            connection = next;
        }
    }
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void close_all(struct udp_tunnel *tunnel, int64_t now_us)
{
    for (unsigned i = 0; i < tunnel->carriers.max; i++) {
        struct connection *connection = &tunnel->carriers.connections[i];
        if (connection->state != CONNECTION_FREE && connection->state != CONNECTION_CLOSING)
            close_connection(tunnel, connection, now_us);
    }
}

static void check_stopped(struct udp_tunnel *tunnel, int64_t now_us)
{
    if (tunnel->stopped ||
        carriers_count(&tunnel->carriers, CONNECTION_FREE) < tunnel->carriers.max)
        return;
    tunnel->stopped = true;
    reports_held_back(&tunnel->reports, 0, now_us);
    tunnel->ports->stopped(tunnel->ports->net);
}

/* Nobody waits for replies any more: what a full window holds back goes on fresh WebSockets. */
static void renew_full(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct connection *connection = carriers_first(&tunnel->carriers, CONNECTION_ACTIVE);
    while (connection != NULL) {
        struct connection *next = connection->next;
        const struct lane *lane = connection->lane;
        if (lane != NULL && lane->connection == connection && lane->queued > 0)
            renew(tunnel, connection, RENEWAL_WINDOW, now_us);
        connection = next;
    }
}

/* Once nothing is queued, or can go any more, or the time is up, closes. */
static void advance_stop(struct udp_tunnel *tunnel, int64_t now_us)
{
    const struct carriers *carriers = &tunnel->carriers;
    bool opening = carriers_count(carriers, CONNECTION_OPENING) > 0;
    unsigned usable = carriers_open(carriers) + carriers_count(carriers, CONNECTION_CLOSING);
    bool hopeless = !opening && (tunnel->failing || usable == 0);
    bool late = now_us >= tunnel->stop_deadline_us;
    if (send_queue_count(tunnel->queue) > 0 && !hopeless && !late) {
        renew_full(tunnel, now_us);
        open_missing(tunnel, now_us);
        schedule(tunnel, tunnel->stop_deadline_us);
        return;
    }
    while (send_queue_count(tunnel->queue) > 0)
        drop_oldest(tunnel, DROP_SHUTDOWN, now_us);
    close_all(tunnel, now_us);
    check_stopped(tunnel, now_us);
}

void udp_tunnel_stop(struct udp_tunnel *tunnel, int64_t now_us)
{
    reports_line(&tunnel->reports, REPORT_INFO, "Stopping: closing the WebSocket tunnel ...");
    tunnel->stopping = true;
    tunnel->carriers.stopping = true;
    tunnel->stop_deadline_us = now_us + STOP_DRAIN_US;
    if (carriers_open(&tunnel->carriers) > 0)
        tunnel->failing = false; /* another attempt may do */
    pump(tunnel, now_us);
    advance_stop(tunnel, now_us);
}

/* ---- the life of the tunnel ----------------------------------------------------------------- */

void udp_tunnel_on_timer(struct udp_tunnel *tunnel, int64_t now_us)
{
    tunnel->timer_us = INT64_MAX;
    schedule(tunnel, reports_held_back(&tunnel->reports, LIMITED_REPORT_INTERVAL_US, now_us));
    forget_clients(tunnel, now_us);
    schedule(tunnel, client_table_next_expiry(tunnel->clients));
    check_active(tunnel, now_us);
    check_draining(tunnel, now_us);
    check_pings(tunnel, now_us);
    close_superfluous(tunnel, now_us);
    pump(tunnel, now_us);
    if (tunnel->stopping && !tunnel->stopped)
        advance_stop(tunnel, now_us);
}

void udp_tunnel_before_sleep(struct udp_tunnel *tunnel, int64_t now_us)
{
    if (!tunnel->pump_wanted)
        return;
    pump(tunnel, now_us);
    if (tunnel->stopping && !tunnel->stopped)
        advance_stop(tunnel, now_us);
}

void udp_tunnel_start(struct udp_tunnel *tunnel, int64_t now_us)
{
    if (!carriers_separate(&tunnel->carriers))
        carriers_want(&tunnel->carriers, &tunnel->carriers.common);
    pump(tunnel, now_us);
}

static void renew_all(struct udp_tunnel *tunnel, int64_t now_us)
{
    for (unsigned i = 0; i < tunnel->carriers.max; i++) {
        struct connection *connection = &tunnel->carriers.connections[i];
        bool active = connection->state == CONNECTION_ACTIVE;
        if (active && !carriers_hands_on(&tunnel->carriers))
            renew(tunnel, connection, RENEWAL_RELOAD, now_us);
        else if (active || connection->state == CONNECTION_OPENING)
            connection->stale = true;
        carriers_make_stale(&tunnel->carriers, connection);
    }
}

void udp_tunnel_renew(struct udp_tunnel *tunnel, int64_t now_us)
{
    reports_line(&tunnel->reports, REPORT_INFO, "Renewing the WebSocket tunnel ...");
    tunnel->not_before_us = now_us; /* now, not when a failed attempt's pause is over */
    renew_all(tunnel, now_us);
    pump(tunnel, now_us);
}

void udp_tunnel_counters(const struct udp_tunnel *tunnel, struct counters *out)
{
    const struct carriers *carriers = &tunnel->carriers;
    *out = tunnel->counters;
    out->queue_datagrams = send_queue_count(tunnel->queue);
    out->clients = client_table_count(tunnel->clients);
    out->connections_connecting = carriers_count(carriers, CONNECTION_OPENING);
    out->connections_active = carriers_count(carriers, CONNECTION_ACTIVE);
    out->connections_idle = carriers_count(carriers, CONNECTION_IDLE);
    out->connections_draining = carriers_count(carriers, CONNECTION_DRAINING);
    for (unsigned i = 0; i < carriers->max; i++)
        if (carriers->connections[i].state != CONNECTION_CLOSING && !carriers->one_way)
            out->unanswered_datagrams += carriers->connections[i].pairing.unanswered;
}

unsigned udp_tunnel_connections_max(const struct tunnel_config *config)
{
    return carriers_max(config);
}

struct udp_tunnel *udp_tunnel_new(const struct tunnel_config *config,
                                  const struct tunnel_ports *ports)
{
    struct udp_tunnel *tunnel = calloc(1, sizeof *tunnel);
    if (tunnel == NULL)
        return NULL;
    uint64_t seed = (uint64_t)ports->random(ports->net) << 32 | ports->random(ports->net);
    tunnel->config = config;
    tunnel->ports = ports;
    tunnel->reports = (struct reports){.config = config, .ports = ports};
    tunnel->rules = pairing_rules_of(config);
    tunnel->reconnect_policy = (struct reconnect_policy){
        .delay_us = config->reconnect_delay_us, .max_delay_us = config->reconnect_max_delay_us};
    tunnel->timer_us = INT64_MAX;
    tunnel->clients = client_table_new(config->client_timeout_us, seed);
    tunnel->queue = send_queue_new(config->queue_size);
    bool carriers = carriers_init(&tunnel->carriers, config);
    tunnel->ready = calloc(carriers_max(config), sizeof(struct connection *));
    bool lines = true;
    if (!carriers_separate(&tunnel->carriers) && !config->one_way &&
        pairing_by_position(&tunnel->rules)) {
        const struct address own = label_line_own();
        frame_prefix_init(&tunnel->own_label, &own);
        tunnel->lines = calloc(carriers_max(config), sizeof *tunnel->lines);
        lines = tunnel->lines != NULL;
    }
    if (tunnel->clients == NULL || tunnel->queue == NULL || !carriers || tunnel->ready == NULL ||
        !lines) {
        udp_tunnel_free(tunnel);
        return NULL;
    }
    return tunnel;
}

void udp_tunnel_free(struct udp_tunnel *tunnel)
{
    if (tunnel == NULL)
        return;
    client_table_free(tunnel->clients);
    send_queue_free(tunnel->queue);
    carriers_free(&tunnel->carriers);
    free(tunnel->ready);
    free(tunnel->lines);
    free(tunnel);
}
