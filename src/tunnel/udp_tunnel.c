#include "otoroshictl/tunnel/udp_tunnel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/tunnel/client_table.h"
#include "otoroshictl/tunnel/pairing.h"
#include "otoroshictl/tunnel/reconnect.h"
#include "otoroshictl/tunnel/send_queue.h"

#include "limited_report.h"

enum {
    NONE = -1,
    /* Stopping: this long for what is queued; closing then takes a second at most. */
    STOP_DRAIN_US = 600 * 1000,
};

enum connection_state {
    CONNECTION_FREE,
    CONNECTION_OPENING,
    CONNECTION_ACTIVE,   /* the one that new datagrams go to */
    CONNECTION_DRAINING, /* replaced; stays for late replies */
    CONNECTION_CLOSING,  /* the close frame is on its way */
};

struct connection {
    enum connection_state state;
    size_t host;
    struct pairing pairing;
    int64_t opened_us;
    int64_t drain_until_us;
};

/* The last failure with one gateway host. */
struct failure {
    struct limited_report report;
    char text[480];
};

struct udp_tunnel {
    const struct tunnel_config *config;
    const struct tunnel_ports *ports;
    struct pairing_rules rules;
    struct reconnect_policy reconnect_policy;

    struct client_table *clients;
    struct send_queue *queue;
    struct counters counters;

    struct connection connections[TUNNEL_CONNECTIONS_MAX];
    int active;  /* index, or NONE */
    int opening; /* index, or NONE */
    uint32_t generation;
    size_t host; /* the one to try next */

    struct reconnect reconnect;
    int64_t next_attempt_us;          /* INT64_MAX: none is planned */
    enum renewal_cause renewal_cause; /* of the connection being opened beside an active one */

    bool pump_wanted; /* something may have made room for the queue */
    bool replies_seen;
    bool stopping;
    bool stopped;
    int64_t stop_deadline_us;
    int64_t timer_us;

    struct limited_report drop_reports[DIRECTION_COUNT][DROP_REASON_COUNT];
    struct limited_report unclean_report;
    struct limited_report overflow_report;
    struct failure failures[GATEWAY_HOSTS_MAX];
};

/* ---- reporting ------------------------------------------------------------------------------ */

static void report(const struct udp_tunnel *tunnel, enum report_level level, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

static void report(const struct udp_tunnel *tunnel, enum report_level level, const char *format,
                   ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    tunnel->ports->report(tunnel->ports->net, level, message);
}

/* ---- the one timer -------------------------------------------------------------------------- */

static void schedule(struct udp_tunnel *tunnel, int64_t at_us)
{
    if (at_us >= tunnel->timer_us)
        return;
    tunnel->timer_us = at_us;
    tunnel->ports->set_timer(tunnel->ports->net, at_us);
}

/* ---- drops ---------------------------------------------------------------------------------- */

static void report_drops(struct udp_tunnel *tunnel, enum direction direction,
                         enum drop_reason reason, uint64_t count)
{
    bool out = direction == DIRECTION_OUT;
    report(tunnel, REPORT_WARN, "Dropped %" PRIu64 " %s%s: %s %s [%s]", count,
           out ? "datagram" : "repl",
           out ? (count == 1 ? " from a local client" : "s from local clients")
               : (count == 1 ? "y from the gateway" : "ies from the gateway"),
           count == 1 ? "it" : "each", drop_reason_text(reason), drop_reason_label(reason));
}

/* Told at the first, then at most once a minute with the number since; what cannot be mended by
 * watching (an application that sends what cannot be carried) is told once. */
static bool told_once(enum direction direction, enum drop_reason reason)
{
    return direction == DIRECTION_OUT && (reason == DROP_EMPTY || reason == DROP_OVERSIZE);
}

static void drop(struct udp_tunnel *tunnel, enum direction direction, enum drop_reason reason,
                 int64_t now_us)
{
    uint64_t held_back;
    struct limited_report *last = &tunnel->drop_reports[direction][reason];
    tunnel->counters.direction[direction].dropped[reason]++;
    if (last->last_us != 0 && told_once(direction, reason))
        return;
    if (limited_report_due(last, now_us, &held_back))
        report_drops(tunnel, direction, reason, held_back + 1);
    else
        schedule(tunnel, last->last_us + LIMITED_REPORT_INTERVAL_US);
}

/* Tells of drops that were counted but held back, where the last line is older than this. */
static void report_held_back(struct udp_tunnel *tunnel, int64_t told_before_us, int64_t now_us)
{
    for (int direction = 0; direction < DIRECTION_COUNT; direction++)
        for (int reason = 0; reason < DROP_REASON_COUNT; reason++) {
            struct limited_report *last = &tunnel->drop_reports[direction][reason];
            uint64_t count = last->unwritten;
            if (count == 0)
                continue;
            if (last->last_us > told_before_us) {
                schedule(tunnel, last->last_us + LIMITED_REPORT_INTERVAL_US);
                continue;
            }
            *last = (struct limited_report){.last_us = now_us};
            report_drops(tunnel, (enum direction)direction, (enum drop_reason)reason, count);
        }
}

/* ---- opening, replacing and closing connections --------------------------------------------- */

static int free_slot(const struct udp_tunnel *tunnel)
{
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        if (tunnel->connections[i].state == CONNECTION_FREE)
            return i;
    return NONE;
}

static void close_connection(struct udp_tunnel *tunnel, int index)
{
    struct connection *connection = &tunnel->connections[index];
    if (tunnel->active == index)
        tunnel->active = NONE;
    if (tunnel->opening == index)
        tunnel->opening = NONE;
    connection->state = CONNECTION_CLOSING;
    tunnel->ports->close(tunnel->ports->net, (unsigned)index);
}

/* Where every slot is taken by replaced connections, the one that has drained longest goes. */
static void close_oldest_draining(struct udp_tunnel *tunnel)
{
    int oldest = NONE;
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++) {
        if (tunnel->connections[i].state != CONNECTION_DRAINING)
            continue;
        if (oldest == NONE ||
            tunnel->connections[i].drain_until_us < tunnel->connections[oldest].drain_until_us)
            oldest = i;
    }
    if (oldest != NONE)
        close_connection(tunnel, oldest);
}

static void connection_failed(struct udp_tunnel *tunnel, int index,
                              const struct connection_end *end, int64_t now_us);

static void open_connection(struct udp_tunnel *tunnel, int64_t now_us)
{
    static const struct connection_end no_resources = {.kind = END_INTERNAL,
                                                       .detail = "out of memory or descriptors"};
    int index = free_slot(tunnel);
    if (index == NONE) {
        close_oldest_draining(tunnel);
        tunnel->next_attempt_us = now_us + PAIRING_FULL_US;
        schedule(tunnel, tunnel->next_attempt_us);
        return;
    }
    tunnel->next_attempt_us = INT64_MAX;
    tunnel->opening = index;
    tunnel->connections[index] =
        (struct connection){.state = CONNECTION_OPENING, .host = tunnel->host};
    if (!tunnel->ports->open(tunnel->ports->net, (unsigned)index, tunnel->host))
        connection_failed(tunnel, index, &no_resources, now_us);
}

/* The first attempt, and each after a failure. While the same failure goes on, its line is not
 * repeated (report_failure()), and neither is this one. */
static void connect_again(struct udp_tunnel *tunnel, int64_t now_us)
{
    bool quiet = tunnel->active != NONE || tunnel->failures[tunnel->host].report.unwritten > 0;
    report(tunnel, quiet ? REPORT_DEBUG : REPORT_INFO, "Connecting WebSocket tunnel ...");
    open_connection(tunnel, now_us);
}

static void renew(struct udp_tunnel *tunnel, enum renewal_cause cause, int64_t now_us)
{
    if (tunnel->opening != NONE || tunnel->next_attempt_us != INT64_MAX)
        return;
    tunnel->renewal_cause = cause;
    report(tunnel, REPORT_DEBUG, "Renewing the WebSocket (%s)", renewal_cause_label(cause));
    open_connection(tunnel, now_us);
}

static void drain_connection(struct udp_tunnel *tunnel, int index, int64_t now_us)
{
    struct connection *connection = &tunnel->connections[index];
    if (connection->pairing.unanswered == 0 || tunnel->stopping) {
        close_connection(tunnel, index);
        return;
    }
    connection->state = CONNECTION_DRAINING;
    connection->drain_until_us = now_us + tunnel->rules.reply_timeout_us;
    schedule(tunnel, connection->drain_until_us);
}

static void check_draining(struct udp_tunnel *tunnel, int64_t now_us)
{
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++) {
        const struct connection *connection = &tunnel->connections[i];
        if (connection->state != CONNECTION_DRAINING)
            continue;
        if (connection->pairing.unanswered == 0 || now_us >= connection->drain_until_us)
            close_connection(tunnel, i);
        else
            schedule(tunnel, connection->drain_until_us);
    }
}

static void warn_unclean(struct udp_tunnel *tunnel, const struct connection *connection,
                         int64_t now_us)
{
    uint64_t held_back;
    bool several = connection->pairing.clients > 1;
    if (!several && tunnel->replies_seen)
        return;
    if (!limited_report_due(&tunnel->unclean_report, now_us, &held_back))
        return;
    if (!tunnel->replies_seen)
        report(tunnel, REPORT_WARN,
               "No reply has come through the tunnel yet; if the remote service never answers "
               "(syslog, traps, statsd), --one-way (planned) will be for it");
    else
        report(tunnel, REPORT_WARN,
               "Replies are missing while several clients share one WebSocket, so that answers "
               "may have reached the wrong client; the WebSocket is renewed. --connections pool "
               "or --connections per-client (planned) will keep clients apart");
}

static void check_active(struct udp_tunnel *tunnel, int64_t now_us)
{
    if (tunnel->active == NONE)
        return;
    const struct connection *connection = &tunnel->connections[tunnel->active];
    enum pairing_state state = pairing_check(&connection->pairing, &tunnel->rules, now_us);
    if (state == PAIRING_CLEAN) {
        schedule(tunnel, pairing_deadline(&connection->pairing, &tunnel->rules));
        return;
    }
    warn_unclean(tunnel, connection, now_us);
    renew(tunnel, state == PAIRING_STUCK ? RENEWAL_WINDOW : RENEWAL_REPLY_TIMEOUT, now_us);
}

/* ---- out: local clients to the gateway ------------------------------------------------------ */

/* Sends one datagram if it may go now. */
static bool offer(struct udp_tunnel *tunnel, struct client *client, const uint8_t *payload,
                  size_t size, int64_t now_us)
{
    if (tunnel->active == NONE)
        return false;
    struct connection *connection = &tunnel->connections[tunnel->active];
    enum pairing_verdict verdict =
        pairing_judge(&connection->pairing, &client->share, &tunnel->rules);
    if (verdict == PAIRING_RENEW)
        renew(tunnel, RENEWAL_WINDOW, now_us);
    if (verdict == PAIRING_WAIT && pairing_waits(&connection->pairing, &client->share, now_us))
        check_active(tunnel, now_us);
    if (verdict != PAIRING_SEND)
        return false;

    const struct tunnel_ports *ports = tunnel->ports;
    size_t message_size = frame_size(&client->prefix, size);
    uint8_t *message = ports->reserve(ports->net, (unsigned)tunnel->active, message_size);
    if (message == NULL)
        return false;
    frame_write(message, &client->prefix, payload, size);
    ports->commit(ports->net, (unsigned)tunnel->active, message_size);
    pairing_sent(&connection->pairing, &client->share, &tunnel->rules, now_us);
    tunnel->counters.direction[DIRECTION_OUT].passed_on++;
    tunnel->counters.direction[DIRECTION_OUT].bytes += size;
    schedule(tunnel, pairing_deadline(&connection->pairing, &tunnel->rules));
    return true;
}

static void flush(struct udp_tunnel *tunnel)
{
    if (tunnel->active != NONE)
        tunnel->ports->flush(tunnel->ports->net, (unsigned)tunnel->active);
}

static void unqueue(struct udp_tunnel *tunnel)
{
    send_queue_head(tunnel->queue)->client->queued--;
    send_queue_pop(tunnel->queue);
}

static void drop_queued(struct udp_tunnel *tunnel, enum drop_reason reason, int64_t now_us)
{
    unqueue(tunnel);
    drop(tunnel, DIRECTION_OUT, reason, now_us);
}

static void enqueue(struct udp_tunnel *tunnel, struct client *client,
                    const struct datagram *datagram, int64_t now_us)
{
    if (send_queue_full(tunnel->queue))
        drop_queued(tunnel, DROP_QUEUE_FULL, now_us);
    if (!send_queue_push(tunnel->queue, client, datagram->payload, datagram->size, now_us)) {
        drop(tunnel, DIRECTION_OUT, DROP_NO_MEMORY, now_us);
        return;
    }
    client->queued++;
    schedule(tunnel, send_queue_head(tunnel->queue)->received_us + tunnel->config->queue_age_us);
}

static void expire_queued(struct udp_tunnel *tunnel, int64_t now_us)
{
    const struct queued_datagram *head;
    while ((head = send_queue_head(tunnel->queue)) != NULL) {
        int64_t expiry_us = head->received_us + tunnel->config->queue_age_us;
        if (now_us < expiry_us) {
            schedule(tunnel, expiry_us);
            return;
        }
        drop_queued(tunnel, DROP_QUEUE_AGE, now_us);
    }
}

static void pump(struct udp_tunnel *tunnel, int64_t now_us)
{
    const struct queued_datagram *head;
    tunnel->pump_wanted = false;
    expire_queued(tunnel, now_us);
    while ((head = send_queue_head(tunnel->queue)) != NULL &&
           offer(tunnel, head->client, head->payload, head->size, now_us))
        unqueue(tunnel);
    flush(tunnel);
}

static void forget_clients(struct udp_tunnel *tunnel, int64_t now_us)
{
    struct client *client;
    while ((client = client_table_expired(tunnel->clients, now_us)) != NULL) {
        if (tunnel->active != NONE)
            pairing_forget(&tunnel->connections[tunnel->active].pairing, &client->share);
        client_table_remove(tunnel->clients, client);
    }
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
    if (send_queue_count(tunnel->queue) > 0 ||
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
    flush(tunnel);
}

void udp_tunnel_on_overflow(struct udp_tunnel *tunnel, uint64_t count, int64_t now_us)
{
    uint64_t held_back;
    tunnel->counters.receive_overflow += count;
    if (limited_report_due(&tunnel->overflow_report, now_us, &held_back))
        report(tunnel, REPORT_WARN,
               "The kernel dropped %" PRIu64 " datagrams (%" PRIu64 " in all) that came faster "
               "than they could be read; a larger net.core.rmem_max helps",
               count, tunnel->counters.receive_overflow);
}

/* ---- in: the gateway to local clients ------------------------------------------------------- */

static void take_reply(struct udp_tunnel *tunnel, struct connection *connection,
                       const uint8_t *data, size_t size, int64_t now_us)
{
    struct address address;
    size_t payload_size;
    uint8_t *payload = tunnel->ports->reply_reserve(tunnel->ports->net);
    enum frame_result result = frame_read(&address, payload, &payload_size, data, size);
    if (result != FRAME_OK) {
        drop(tunnel, DIRECTION_IN, drop_reason_of_frame(result), now_us);
        return;
    }
    struct client *client = client_table_find(tunnel->clients, &address, now_us);
    pairing_answered(&connection->pairing, client == NULL ? NULL : &client->share, now_us);
    if (client == NULL) {
        drop(tunnel, DIRECTION_IN, DROP_UNKNOWN_CLIENT, now_us);
        return;
    }
    tunnel->replies_seen = true;
    tunnel->ports->reply_commit(tunnel->ports->net, &client->address, payload_size);
}

void udp_tunnel_on_message(struct udp_tunnel *tunnel, unsigned connection, bool text,
                           const uint8_t *data, size_t size, int64_t now_us)
{
    tunnel->counters.direction[DIRECTION_IN].received++;
    if (text) {
        drop(tunnel, DIRECTION_IN, DROP_TEXT_FRAME, now_us);
        return;
    }
    struct connection *from = &tunnel->connections[connection];
    take_reply(tunnel, from, data, size, now_us);
    if (from->state == CONNECTION_DRAINING && from->pairing.unanswered == 0)
        close_connection(tunnel, (int)connection);
    tunnel->pump_wanted = true;
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
    struct connection *connection = &tunnel->connections[index];
    int replaced = tunnel->active;

    connection->state = CONNECTION_ACTIVE;
    connection->opened_us = now_us;
    if (++tunnel->generation == 0)
        tunnel->generation = 1;
    pairing_init(&connection->pairing, tunnel->generation);
    tunnel->counters.connects_ok++;
    tunnel->opening = NONE;
    tunnel->active = (int)index;
    if (replaced != NONE) {
        tunnel->counters.renewals[tunnel->renewal_cause]++;
        report(tunnel, REPORT_DEBUG, "WebSocket renewed");
        drain_connection(tunnel, replaced, now_us);
    } else {
        report(tunnel, REPORT_INFO, "WebSocket tunnel connected");
    }
    tunnel->pump_wanted = true;
}

/* "2s", "0.75s", "3600s". */
static void format_pause(int64_t pause_us, char *out, size_t size)
{
    int hundredths = (int)(pause_us / 10000 % 100);
    if (hundredths == 0)
        snprintf(out, size, "%" PRId64 "s", pause_us / 1000000);
    else
        snprintf(out, size, "%" PRId64 ".%0*ds", pause_us / 1000000, hundredths % 10 == 0 ? 1 : 2,
                 hundredths % 10 == 0 ? hundredths / 10 : hundredths);
}

/* One line for the first failure of a kind with a host, then at most one a minute. A connection
 * that was good for a while begins a new story; one that is closed at once each time does not. */
static void report_failure(struct udp_tunnel *tunnel, const struct connection_end *end, size_t host,
                           const struct reconnect_event *event, int64_t pause_us, int64_t now_us)
{
    char cause[sizeof tunnel->failures[0].text];
    uint64_t held_back;
    struct failure *failure = &tunnel->failures[host];
    connection_end_describe(end, tunnel->config->hosts[host].text, tunnel->config->access_type,
                            cause, sizeof cause);
    if (event->lifetime_us >= RECONNECT_LASTED_US || strcmp(cause, failure->text) != 0) {
        memcpy(failure->text, cause, sizeof cause);
        failure->report = (struct limited_report){0};
    }
    if (!limited_report_due(&failure->report, now_us, &held_back))
        return;
    char again[64] = "";
    if (held_back > 0)
        snprintf(again, sizeof again, " (failed so %" PRIu64 " times)", held_back + 1);
    char pause[32];
    format_pause(pause_us, pause, sizeof pause);
    bool at_once = pause_us < RECONNECT_AT_ONCE_US;
    report(tunnel, REPORT_ERROR, "WebSocket tunnel error: %s%s; retrying %s%s", cause, again,
           at_once ? "at once" : "in ", at_once ? "" : pause);
}

static void plan_attempt(struct udp_tunnel *tunnel, const struct connection_end *end,
                         const struct connection *lost, int64_t now_us)
{
    struct reconnect_event event = {
        .lifetime_us = lost->opened_us == 0 ? 0 : now_us - lost->opened_us,
        .retry_after_us = end->retry_after_us,
        .random = tunnel->ports->random(tunnel->ports->net),
    };
    int64_t pause_us = reconnect_pause(&tunnel->reconnect, &tunnel->reconnect_policy, &event);
    report_failure(tunnel, end, lost->host, &event, pause_us, now_us);
    if (tunnel->opening != NONE)
        return;
    tunnel->next_attempt_us = now_us + pause_us;
    schedule(tunnel, tunnel->next_attempt_us);
}

static void count_breach(struct udp_tunnel *tunnel, const struct connection_end *end,
                         int64_t now_us)
{
    enum { STATUS_TOO_BIG = 1009 };
    tunnel->counters.direction[DIRECTION_IN].received++;
    drop(tunnel, DIRECTION_IN, end->status == STATUS_TOO_BIG ? DROP_TOO_LARGE : DROP_PROTOCOL,
         now_us);
}

/* An attempt to connect has failed; the next one goes to the next host. */
static void connection_failed(struct udp_tunnel *tunnel, int index,
                              const struct connection_end *end, int64_t now_us)
{
    struct connection was = tunnel->connections[index];
    tunnel->connections[index] = (struct connection){.state = CONNECTION_FREE};
    tunnel->opening = NONE;
    tunnel->counters.connects_failed++;
    tunnel->host = (was.host + 1) % tunnel->config->host_count;
    if (tunnel->stopping)
        tunnel->stop_deadline_us = now_us; /* there is no time to try again */
    else
        plan_attempt(tunnel, end, &was, now_us);
}

static void connection_lost(struct udp_tunnel *tunnel, int index, const struct connection_end *end,
                            int64_t now_us)
{
    struct connection was = tunnel->connections[index];
    tunnel->connections[index] = (struct connection){.state = CONNECTION_FREE};
    tunnel->active = NONE;
    if (!tunnel->stopping)
        plan_attempt(tunnel, end, &was, now_us);
}

static void advance_stop(struct udp_tunnel *tunnel, int64_t now_us);

void udp_tunnel_on_closed(struct udp_tunnel *tunnel, unsigned index,
                          const struct connection_end *end, int64_t now_us)
{
    struct connection *connection = &tunnel->connections[index];
    if (end->kind == END_PROTOCOL_BREACH)
        count_breach(tunnel, end, now_us);
    if (connection->state == CONNECTION_OPENING)
        connection_failed(tunnel, (int)index, end, now_us);
    else if (connection->state == CONNECTION_ACTIVE)
        connection_lost(tunnel, (int)index, end, now_us);
    else
        *connection = (struct connection){.state = CONNECTION_FREE};
    if (tunnel->stopping && !tunnel->stopped)
        advance_stop(tunnel, now_us);
}

void udp_tunnel_on_writable(struct udp_tunnel *tunnel, unsigned connection, int64_t now_us)
{
    (void)connection;
    (void)now_us;
    tunnel->pump_wanted = true;
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void close_all(struct udp_tunnel *tunnel)
{
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++) {
        enum connection_state state = tunnel->connections[i].state;
        if (state != CONNECTION_FREE && state != CONNECTION_CLOSING)
            close_connection(tunnel, i);
    }
}

static void check_stopped(struct udp_tunnel *tunnel, int64_t now_us)
{
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        if (tunnel->connections[i].state != CONNECTION_FREE)
            return;
    if (tunnel->stopped)
        return;
    tunnel->stopped = true;
    report_held_back(tunnel, INT64_MAX, now_us);
    tunnel->ports->stopped(tunnel->ports->net);
}

/* While stopping nobody waits for replies: what a full window holds back goes on a fresh
 * WebSocket. Once nothing is queued, or can go any more, or the time is up, closes. */
static void advance_stop(struct udp_tunnel *tunnel, int64_t now_us)
{
    bool hopeless = tunnel->active == NONE && tunnel->opening == NONE;
    bool late = now_us >= tunnel->stop_deadline_us;
    if (send_queue_count(tunnel->queue) > 0 && !hopeless && !late) {
        if (tunnel->active != NONE)
            renew(tunnel, RENEWAL_WINDOW, now_us);
        schedule(tunnel, tunnel->stop_deadline_us);
        return;
    }
    while (send_queue_count(tunnel->queue) > 0)
        drop_queued(tunnel, DROP_SHUTDOWN, now_us);
    tunnel->next_attempt_us = INT64_MAX;
    close_all(tunnel);
    check_stopped(tunnel, now_us);
}

void udp_tunnel_stop(struct udp_tunnel *tunnel, int64_t now_us)
{
    report(tunnel, REPORT_INFO, "Stopping: closing the WebSocket tunnel ...");
    tunnel->stopping = true;
    tunnel->next_attempt_us = INT64_MAX;
    tunnel->stop_deadline_us = now_us + STOP_DRAIN_US;
    pump(tunnel, now_us);
    advance_stop(tunnel, now_us);
}

/* ---- the life of the tunnel ----------------------------------------------------------------- */

void udp_tunnel_on_timer(struct udp_tunnel *tunnel, int64_t now_us)
{
    tunnel->timer_us = INT64_MAX;
    report_held_back(tunnel, now_us - LIMITED_REPORT_INTERVAL_US, now_us);
    forget_clients(tunnel, now_us);
    schedule(tunnel, client_table_next_expiry(tunnel->clients));
    check_active(tunnel, now_us);
    check_draining(tunnel, now_us);
    if (now_us >= tunnel->next_attempt_us)
        connect_again(tunnel, now_us);
    else
        schedule(tunnel, tunnel->next_attempt_us);
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
    connect_again(tunnel, now_us);
}

void udp_tunnel_renew(struct udp_tunnel *tunnel, int64_t now_us)
{
    report(tunnel, REPORT_INFO, "Renewing the WebSocket tunnel ...");
    if (tunnel->opening == NONE) /* now, not when a failed attempt's pause is over */
        tunnel->next_attempt_us = INT64_MAX;
    if (tunnel->active != NONE)
        renew(tunnel, RENEWAL_RELOAD, now_us);
    else if (tunnel->opening == NONE && !tunnel->stopping)
        connect_again(tunnel, now_us);
}

void udp_tunnel_counters(const struct udp_tunnel *tunnel, struct counters *out)
{
    *out = tunnel->counters;
    out->queue_datagrams = send_queue_count(tunnel->queue);
    out->clients = client_table_count(tunnel->clients);
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++) {
        const struct connection *connection = &tunnel->connections[i];
        out->unanswered_datagrams += connection->pairing.unanswered;
        out->connections_connecting += connection->state == CONNECTION_OPENING;
        out->connections_active += connection->state == CONNECTION_ACTIVE;
        out->connections_draining += connection->state == CONNECTION_DRAINING;
    }
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
    tunnel->rules = (struct pairing_rules){.window = config->window,
                                           .reply_timeout_us = config->reply_timeout_us};
    tunnel->reconnect_policy = (struct reconnect_policy){
        .delay_us = config->reconnect_delay_us, .max_delay_us = config->reconnect_max_delay_us};
    tunnel->active = NONE;
    tunnel->opening = NONE;
    tunnel->next_attempt_us = INT64_MAX;
    tunnel->timer_us = INT64_MAX;
    tunnel->clients = client_table_new(config->client_timeout_us, seed);
    tunnel->queue = send_queue_new(config->queue_size);
    if (tunnel->clients == NULL || tunnel->queue == NULL) {
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
    free(tunnel);
}
