/* The outside of a udp_tunnel as its tests see it: ports that record what is asked of them and hold
 * the tunnel to the contract of tunnel/udp_tunnel.h, and a clock that only tests move.
 *
 * Each event ends with fake_settle(), as a turn of the event loop does: what waits is sent, replies
 * are delivered, and the sums of the counters are checked. Include after cmocka.h. */
#ifndef OTOROSHICTL_TESTS_UNIT_TUNNEL_FAKE_PORTS_H
#define OTOROSHICTL_TESTS_UNIT_TUNNEL_FAKE_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/base64.h"
#include "otoroshictl/codec/frame.h"
#include "otoroshictl/tunnel/udp_tunnel.h"

enum {
    MS = 1000,
    SECOND = 1000 * MS,
    FAKE_START_US = 1000 * SECOND,
    FAKE_CONNECTIONS_MAX = 64,
    FAKE_RECORDS_MAX = 4096,
    FAKE_PAYLOAD_KEPT = 64,
    FAKE_MESSAGE_MAX = 128 * 1024,
    FAKE_TIMER_SPINS_MAX = 8, /* at one time: above it the tunnel never sleeps */
};

enum fake_state {
    FAKE_FREE,
    FAKE_OPENING,
    FAKE_OPEN,
    FAKE_CLOSING,
};

struct fake_connection {
    enum fake_state state;
    size_t host;
    bool blocked; /* the peer does not read: reserve gives none */
    bool stalls;  /* from the next flush on: some of what was committed is left */
    bool refused; /* the tunnel waits for on_writable */
    size_t unflushed;
    size_t sent; /* datagrams since it was opened */
    size_t credits;
    size_t pings;
};

enum fake_frame_kind {
    FAKE_DATAGRAM,
    FAKE_CREDIT, /* a frame without payload */
    FAKE_PING,
};

/* A frame or ping that was sent, or a reply that was delivered. */
struct fake_record {
    enum fake_frame_kind kind; /* of a frame */
    unsigned connection;       /* likewise */
    struct address client;
    size_t size;
    uint8_t payload[FAKE_PAYLOAD_KEPT]; /* its beginning */
};

struct fake_records {
    size_t count;
    struct fake_record rows[FAKE_RECORDS_MAX];
};

struct fake_report {
    enum report_level level;
    char text[256];
};

struct fake {
    struct tunnel_config config;
    struct tunnel_ports ports;
    struct udp_tunnel *tunnel;
    int64_t now_us;
    int64_t timer_us;
    uint32_t random;
    bool refuse_open;

    unsigned connections_max; /* indexes that the tunnel may use */
    struct fake_connection connections[FAKE_CONNECTIONS_MAX];
    uint32_t incarnations[FAKE_CONNECTIONS_MAX]; /* how often each was opened */
    unsigned last_opened;
    size_t opens;
    size_t closes;
    size_t flushes;
    size_t stopped;

    struct fake_records frames;
    struct fake_records replies;
    size_t undelivered; /* replies that were committed and not yet handed over */
    uint64_t undelivered_bytes;
    size_t failing_deliveries; /* of the next ones */

    size_t report_count;
    struct fake_report reports[FAKE_RECORDS_MAX];

    uint8_t message[FAKE_MESSAGE_MAX]; /* reserved, or the last one committed */
    size_t reserved;
    unsigned reserved_on;
    uint8_t reply[DATAGRAM_MAX_BYTES + 3];
};

/* ---- ports ---------------------------------------------------------------------------------- */

static inline bool fake_port_open(void *net, unsigned connection, size_t host)
{
    struct fake *fake = net;
    assert_int_equal(fake->stopped, 0);
    assert_true(connection < fake->connections_max);
    assert_int_equal(fake->connections[connection].state, FAKE_FREE);
    assert_true(host < fake->config.host_count);
    fake->opens++;
    if (fake->refuse_open)
        return false;
    fake->connections[connection] = (struct fake_connection){.state = FAKE_OPENING, .host = host};
    fake->incarnations[connection]++;
    fake->last_opened = connection;
    return true;
}

static inline void fake_port_close(void *net, unsigned connection)
{
    struct fake *fake = net;
    struct fake_connection *it = &fake->connections[connection];
    assert_int_equal(fake->stopped, 0);
    assert_true(it->state == FAKE_OPENING || it->state == FAKE_OPEN);
    it->state = FAKE_CLOSING;
    it->unflushed = 0; /* goes before the close frame */
    fake->closes++;
}

static inline uint8_t *fake_port_reserve(void *net, unsigned connection, size_t size)
{
    struct fake *fake = net;
    struct fake_connection *it = &fake->connections[connection];
    assert_int_equal(it->state, FAKE_OPEN);
    assert_int_equal(fake->reserved, 0);
    assert_true(size > 0 && size <= FAKE_MESSAGE_MAX);
    if (it->blocked) {
        it->refused = true;
        return NULL;
    }
    fake->reserved = size;
    fake->reserved_on = connection;
    return fake->message;
}

static inline struct fake_record *fake_records_add(struct fake_records *records)
{
    assert_true(records->count < FAKE_RECORDS_MAX);
    return &records->rows[records->count++];
}

static inline void fake_record_fill(struct fake_record *record, const uint8_t *payload, size_t size)
{
    const size_t kept = size < FAKE_PAYLOAD_KEPT ? size : FAKE_PAYLOAD_KEPT;
    memset(record->payload, 0, sizeof record->payload);
    memcpy(record->payload, payload, kept);
    record->size = size;
}

static inline void fake_port_commit(void *net, unsigned connection, size_t size)
{
    static uint8_t payload[DATAGRAM_MAX_BYTES + 3];
    struct fake *fake = net;
    struct fake_record *record = fake_records_add(&fake->frames);
    assert_int_equal(fake->reserved, size);
    assert_int_equal(fake->reserved_on, connection);
    size_t payload_size;
    assert_int_equal(frame_read(&record->client, payload, &payload_size, fake->message, size),
                     FRAME_OK);
    fake_record_fill(record, payload, payload_size);
    record->connection = connection;
    record->kind = payload_size == 0 ? FAKE_CREDIT : FAKE_DATAGRAM;
    fake->reserved = 0;
    fake->connections[connection].unflushed++;
    if (record->kind == FAKE_CREDIT)
        fake->connections[connection].credits++;
    else
        fake->connections[connection].sent++;
}

static inline void fake_port_ping(void *net, unsigned connection)
{
    struct fake *fake = net;
    assert_int_equal(fake->config.connections, CONNECTIONS_PER_CLIENT);
    assert_int_equal(fake->connections[connection].state, FAKE_OPEN);
    assert_int_equal(fake->reserved, 0);
    struct fake_record *record = fake_records_add(&fake->frames);
    *record = (struct fake_record){.kind = FAKE_PING, .connection = connection};
    fake->connections[connection].pings++;
}

static inline bool fake_port_flush(void *net, unsigned connection)
{
    struct fake *fake = net;
    struct fake_connection *it = &fake->connections[connection];
    assert_int_equal(it->state, FAKE_OPEN);
    fake->flushes++;
    if (it->stalls && it->unflushed > 0) {
        it->stalls = false;
        it->blocked = true;
    }
    it->unflushed = 0;
    if (it->blocked)
        it->refused = true;
    return !it->blocked;
}

static inline uint8_t *fake_port_reply_reserve(void *net)
{
    struct fake *fake = net;
    return fake->reply;
}

static inline void fake_port_reply_commit(void *net, const struct address *client, size_t size)
{
    struct fake *fake = net;
    struct fake_record *record = fake_records_add(&fake->replies);
    fake_record_fill(record, fake->reply, size);
    record->client = *client;
    fake->undelivered++;
    fake->undelivered_bytes += size;
}

static inline void fake_port_set_timer(void *net, int64_t at_us)
{
    struct fake *fake = net;
    fake->timer_us = at_us;
}

static inline void fake_port_stopped(void *net)
{
    struct fake *fake = net;
    fake->stopped++;
}

static inline void fake_port_report(void *net, enum report_level level, const char *message)
{
    struct fake *fake = net;
    assert_true(fake->report_count < FAKE_RECORDS_MAX);
    struct fake_report *report = &fake->reports[fake->report_count++];
    report->level = level;
    snprintf(report->text, sizeof report->text, "%s", message);
}

static inline uint32_t fake_port_random(void *net)
{
    struct fake *fake = net;
    return fake->random;
}

/* ---- what can be seen ----------------------------------------------------------------------- */

static inline struct counters fake_counters(const struct fake *fake)
{
    struct counters counters;
    udp_tunnel_counters(fake->tunnel, &counters);
    return counters;
}

static inline uint64_t fake_dropped(const struct fake *fake, enum direction direction,
                                    enum drop_reason reason)
{
    return fake_counters(fake).direction[direction].dropped[reason];
}

/* Lines of this level that contain the text. */
static inline size_t fake_reports(const struct fake *fake, enum report_level level,
                                  const char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->report_count; i++)
        count +=
            fake->reports[i].level == level && strstr(fake->reports[i].text, text) != NULL ? 1 : 0;
    return count;
}

/* Datagrams that this client has had sent. */
static inline size_t fake_frames_of(const struct fake *fake, uint16_t port)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->frames.count; i++)
        count +=
            fake->frames.rows[i].kind == FAKE_DATAGRAM && fake->frames.rows[i].client.port == port
                ? 1
                : 0;
    return count;
}

/* The latest datagram of this client; one there must be. */
static inline const struct fake_record *fake_last_of(const struct fake *fake, uint16_t port)
{
    for (size_t i = fake->frames.count; i > 0; i--)
        if (fake->frames.rows[i - 1].kind == FAKE_DATAGRAM &&
            fake->frames.rows[i - 1].client.port == port)
            return &fake->frames.rows[i - 1];
    fail_msg("nothing of client %u has been sent", port);
    return NULL;
}

static inline size_t fake_in_state(const struct fake *fake, enum fake_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->connections_max; i++)
        count += fake->connections[i].state == state ? 1 : 0;
    return count;
}

static inline void assert_record(const struct fake_record *record, uint16_t port, const char *text)
{
    assert_int_equal(record->client.port, port);
    assert_int_equal(record->size, strlen(text));
    assert_memory_equal(record->payload, text, strlen(text));
}

static inline void fake_check_sums(const struct fake *fake)
{
    const struct counters counters = fake_counters(fake);
    const struct direction_counters *out = &counters.direction[DIRECTION_OUT];
    const struct direction_counters *in = &counters.direction[DIRECTION_IN];
    assert_int_equal(out->received,
                     out->passed_on + counters_dropped(out) + counters.queue_datagrams);
    assert_int_equal(in->received, in->passed_on + counters_dropped(in) + fake->undelivered);
}

/* ---- events --------------------------------------------------------------------------------- */

static inline void fake_deliver(struct fake *fake)
{
    if (fake->undelivered == 0)
        return;
    const size_t failed = fake->failing_deliveries;
    const size_t sent = fake->undelivered - failed;
    const uint64_t bytes = fake->undelivered_bytes;
    fake->undelivered = 0;
    fake->undelivered_bytes = 0;
    fake->failing_deliveries = 0;
    udp_tunnel_on_delivered(fake->tunnel, sent, bytes, failed, fake->now_us);
}

static inline void fake_settle(struct fake *fake)
{
    if (fake->stopped == 0)
        udp_tunnel_before_sleep(fake->tunnel, fake->now_us);
    fake_deliver(fake);
    fake_check_sums(fake);
    for (size_t i = 0; i < fake->connections_max; i++)
        assert_int_equal(fake->connections[i].unflushed, 0);
    assert_true(fake->stopped <= 1);
}

static inline struct address fake_client(uint16_t port)
{
    return (struct address){.ip = {127, 0, 0, 1}, .port = port, .family = ADDRESS_IPV4};
}

static inline void fake_send_from(struct fake *fake, const struct address *client,
                                  const void *payload, size_t size)
{
    const struct datagram datagram = {.client = *client, .payload = payload, .size = size};
    udp_tunnel_on_datagrams(fake->tunnel, &datagram, 1, fake->now_us);
    fake_settle(fake);
}

static inline void fake_send(struct fake *fake, uint16_t port, const char *text)
{
    const struct address client = fake_client(port);
    fake_send_from(fake, &client, text, strlen(text));
}

static inline void fake_send_times(struct fake *fake, uint16_t port, size_t times)
{
    for (size_t i = 0; i < times; i++)
        fake_send(fake, port, "question");
}

static inline void fake_message(struct fake *fake, unsigned connection, bool text, const void *data,
                                size_t size)
{
    udp_tunnel_on_message(fake->tunnel, connection, text, data, size, fake->now_us);
    fake_settle(fake);
}

/* As Otoroshi writes it. */
static inline void fake_answer_bytes(struct fake *fake, unsigned connection,
                                     const struct address *client, const void *payload, size_t size)
{
    static char frame[FAKE_MESSAGE_MAX];
    char ip[ADDRESS_TEXT_SIZE];
    address_format(client, ip);
    size_t used = (size_t)snprintf(frame, sizeof frame,
                                   "{\"port\":%u,\"address\":\"%s\",\"data\":\"", client->port, ip);
    used += base64_encode(frame + used, payload, size);
    memcpy(frame + used, "\"}", 2);
    fake_message(fake, connection, false, frame, used + 2);
}

static inline void fake_answer(struct fake *fake, unsigned connection, uint16_t port,
                               const char *text)
{
    const struct address client = fake_client(port);
    fake_answer_bytes(fake, connection, &client, text, strlen(text));
}

static inline void fake_answer_times(struct fake *fake, unsigned connection, uint16_t port,
                                     size_t times)
{
    for (size_t i = 0; i < times; i++)
        fake_answer(fake, connection, port, "answer");
}

/* The connection being opened is up. */
static inline void fake_open(struct fake *fake, unsigned connection)
{
    assert_int_equal(fake->connections[connection].state, FAKE_OPENING);
    fake->connections[connection].state = FAKE_OPEN;
    udp_tunnel_on_open(fake->tunnel, connection, fake->now_us);
    fake_settle(fake);
}

static inline void fake_end(struct fake *fake, unsigned connection,
                            const struct connection_end *end)
{
    assert_int_not_equal(fake->connections[connection].state, FAKE_FREE);
    fake->connections[connection] = (struct fake_connection){.state = FAKE_FREE};
    udp_tunnel_on_closed(fake->tunnel, connection, end, fake->now_us);
    fake_settle(fake);
}

/* The connection ends by itself, or the attempt fails. */
static inline void fake_lose(struct fake *fake, unsigned connection)
{
    const struct connection_end end = {
        .kind = fake->connections[connection].state == FAKE_OPEN ? END_LOST : END_TCP,
        .detail = "it is gone"};
    fake_end(fake, connection, &end);
}

/* The close that the tunnel has asked for is complete. */
static inline void fake_closed(struct fake *fake, unsigned connection)
{
    const struct connection_end end = {.kind = END_CLOSED_BY_US};
    assert_int_equal(fake->connections[connection].state, FAKE_CLOSING);
    fake_end(fake, connection, &end);
}

static inline void fake_writable(struct fake *fake, unsigned connection)
{
    fake->connections[connection].blocked = false;
    fake->connections[connection].refused = false;
    udp_tunnel_on_writable(fake->tunnel, connection, fake->now_us);
    fake_settle(fake);
}

static inline void fake_pong(struct fake *fake, unsigned connection)
{
    udp_tunnel_on_pong(fake->tunnel, connection, fake->now_us);
    fake_settle(fake);
}

static inline void fake_fire_timer(struct fake *fake)
{
    fake->timer_us = INT64_MAX;
    udp_tunnel_on_timer(fake->tunnel, fake->now_us);
    fake_settle(fake);
}

/* Time passes; the timer fires whenever it is due. */
static inline void fake_advance(struct fake *fake, int64_t by_us)
{
    const int64_t until_us = fake->now_us + by_us;
    for (int spins = 0; fake->stopped == 0 && fake->timer_us <= until_us; spins++) {
        if (fake->timer_us > fake->now_us) {
            fake->now_us = fake->timer_us;
            spins = 0;
        }
        assert_true(spins < FAKE_TIMER_SPINS_MAX);
        fake_fire_timer(fake);
    }
    fake->now_us = until_us;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* The defaults of the command line, with a fixed reconnect delay and one gateway. */
static inline struct tunnel_config fake_config(void)
{
    static char text[] = "gateway.test:8080";
    static char name[] = "gateway.test";
    return (struct tunnel_config){
        .hosts = {{.text = text, .name = name, .port = 8080}},
        .host_count = 1,
        .access_type = ACCESS_APIKEY,
        .reconnect_delay_us = 2 * SECOND,
        .reconnect_max_delay_us = 2 * SECOND,
        .max_connections = 64,
        .ping_interval_us = 20 * SECOND,
        .ping_timeout_us = 5 * SECOND,
        .window = 31,
        .client_timeout_us = 60 * SECOND,
        .reply_timeout_us = 5 * SECOND,
        .queue_size = 1024,
        .queue_age_us = 5 * SECOND,
    };
}

/* A tunnel that has not been started. */
static inline struct fake *fake_new(const struct tunnel_config *config)
{
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->config = *config;
    fake->now_us = FAKE_START_US;
    fake->timer_us = INT64_MAX;
    fake->random = UINT32_MAX / 2;
    fake->connections_max = udp_tunnel_connections_max(&fake->config);
    assert_true(fake->connections_max <= FAKE_CONNECTIONS_MAX);
    fake->ports = (struct tunnel_ports){.net = fake,
                                        .open = fake_port_open,
                                        .close = fake_port_close,
                                        .reserve = fake_port_reserve,
                                        .commit = fake_port_commit,
                                        .flush = fake_port_flush,
                                        .ping = fake_port_ping,
                                        .reply_reserve = fake_port_reply_reserve,
                                        .reply_commit = fake_port_reply_commit,
                                        .set_timer = fake_port_set_timer,
                                        .stopped = fake_port_stopped,
                                        .report = fake_port_report,
                                        .random = fake_port_random};
    fake->tunnel = udp_tunnel_new(&fake->config, &fake->ports);
    assert_non_null(fake->tunnel);
    return fake;
}

static inline void fake_start(struct fake *fake)
{
    udp_tunnel_start(fake->tunnel, fake->now_us);
    fake_settle(fake);
}

/* A tunnel whose first connection is being opened. */
static inline struct fake *fake_started(const struct tunnel_config *config)
{
    struct fake *fake = fake_new(config);
    fake_start(fake);
    return fake;
}

/* A tunnel with one connection, number 0. */
static inline struct fake *fake_connected(const struct tunnel_config *config)
{
    struct fake *fake = fake_started(config);
    fake_open(fake, 0);
    return fake;
}

static inline void fake_free(struct fake *fake)
{
    udp_tunnel_free(fake->tunnel);
    free(fake);
}

#endif
